//! Logging in and out. Sources: DSP0266 §Sessions; the order of what is tried is Ironic's (`redfish_auth_type`) and
//! sushy's (`auth.py`): `auto` tries a session, then basic, and never goes back to basic once a session worked.

use super::Counters;
use super::answer;
use super::conversation::{Conversation, Credentials, X_AUTH_TOKEN};
use super::exchange::Answer;
use super::pool::{Login, RedfishSession};
use crate::vendor::Vendor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use baton_model::driver::redfish::RedfishAuth;
use baton_model::port::bmc::BmcError;
use bytes::Bytes;
use hyper::header::{AUTHORIZATION, HeaderValue, LOCATION};
use hyper::{Method, StatusCode, Uri};

/// Every session's path has this in it (DSP0266 §Sessions), so that nothing else is ever deleted.
const SESSIONS_SEGMENT: &str = "/Sessions/";

impl Conversation<'_> {
    /// The header for the next request; logs in if there is no session yet.
    pub(super) async fn credentials(&mut self) -> Result<Credentials, BmcError> {
        if let Some(session) = self.bound_to
            && self.link.session_path() != Some(session)
        {
            return Err(self.session_is_over());
        }
        if self.target.username.is_none() {
            return Ok(None);
        }
        if !self.uses_basic() && self.link.session.is_none() {
            Box::pin(self.log_in()).await?;
        }
        if self.uses_basic() {
            return self.basic().map(|value| Some((AUTHORIZATION, value)));
        }
        Ok(self
            .link
            .session
            .as_ref()
            .map(|session| (X_AUTH_TOKEN, session.token.clone())))
    }

    /// `Authorization: Basic`, made once.
    fn basic(&mut self) -> Result<HeaderValue, BmcError> {
        if let Some(basic) = &self.link.basic {
            return Ok(basic.clone());
        }
        let username = self.target.username.as_deref().unwrap_or_default();
        let pair = format!("{username}:{}", self.target.password.expose());
        let mut basic = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(pair)))
            .map_err(|_| self.misconfigured("redfish_username or redfish_password is too long"))?;
        basic.set_sensitive(true);
        self.link.basic = Some(basic.clone());
        Ok(basic)
    }

    /// Opens a session, or settles on basic where `auto` allows it.
    async fn log_in(&mut self) -> Result<(), BmcError> {
        let may_fall_back =
            self.target.auth == RedfishAuth::Auto && self.link.login != Login::Session;
        let sessions = self.sessions_path().await?;
        let body = serde_json::json!({
            "UserName": self.target.username.as_deref().unwrap_or_default(),
            "Password": self.target.password.expose(),
        });
        let body = Bytes::from(body.to_string());
        let answer = self
            .fetch(&Method::POST, &sessions, &None, &Some(body))
            .await?;
        match self.opened(&answer) {
            Ok(session) => {
                Counters::add(&self.shared.counters.logins);
                self.link.session = Some(session);
                self.link.login = Login::Session;
                Ok(())
            }
            // A BMC that asks for patience gets it, from basic as well.
            Err(BmcError::Busy { .. }) if may_fall_back && has_no_room(&answer) => {
                self.basic_this_turn = true;
                Ok(())
            }
            Err(busy @ BmcError::Busy { .. }) => Err(busy),
            Err(_) if may_fall_back => {
                // What broke may be mended; what was refused stays so.
                if answer.status.is_server_error() {
                    self.basic_this_turn = true;
                } else {
                    self.link.login = Login::Basic;
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The session that an answer to a login opened.
    fn opened(&self, answer: &Answer) -> Result<RedfishSession, BmcError> {
        let status = answer.status;
        if has_no_room(answer)
            || status == StatusCode::SERVICE_UNAVAILABLE
            || status == StatusCode::TOO_MANY_REQUESTS
        {
            return Err(self.busy(answer));
        }
        match status {
            status if status.is_success() => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(self.refused(answer)),
            // Many BMCs answer a wrong password with 400 (DSP0266 leaves the status open).
            StatusCode::BAD_REQUEST => return Err(self.refused(answer)),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
                return Err(self.misconfigured(&format!(
                    "it has no session service ({}); set redfish_auth_type to basic",
                    self.words(answer)
                )));
            }
            _ => return Err(self.unexpected(answer)),
        }
        // Copied, because a header of an answer keeps hyper's whole read buffer of 8 KiB alive.
        let copy = |token: &HeaderValue| HeaderValue::from_bytes(token.as_bytes()).ok();
        let token = answer.headers.get(X_AUTH_TOKEN).and_then(copy);
        let mut token = token.ok_or_else(|| {
            self.garbled(
                "No X-Auth-Token returned from remote host when attempting to establish a session; \
                 set redfish_auth_type to basic if it has no sessions",
            )
        })?;
        token.set_sensitive(true);
        let location = answer
            .headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            .and_then(answer::link)
            .or_else(|| answer::link_at(&answer::resource(&answer.body).ok()?, ""));
        Ok(RedfishSession { token, location })
    }

    /// Where sessions are made: what the service root says, else the usual place.
    async fn sessions_path(&mut self) -> Result<Uri, BmcError> {
        if self.link.sessions.is_none() {
            // The root must be open to everybody (DSP0266); where it is not, the usual place has to do.
            let root = self.root_path()?;
            let answer = self.fetch(&Method::GET, &root, &None, &None).await?;
            if answer.status.is_success()
                && let Ok(root) = answer::resource(&answer.body)
            {
                self.learn_root(&root);
            } else if answer.status == StatusCode::SERVICE_UNAVAILABLE
                || answer.status == StatusCode::TOO_MANY_REQUESTS
            {
                return Err(self.busy(&answer));
            } else if answer.status.is_redirection() {
                return Err(self.redirected(&answer));
            }
        }
        if let Some(sessions) = &self.link.sessions {
            return Ok(sessions.clone());
        }
        answer::link(&format!("{}SessionService/Sessions", self.target.root))
            .ok_or_else(|| self.misconfigured("redfish_address has an unusable path"))
    }

    /// Makes sure that a session is open and alive; its path, or `None` where the BMC is used without one.
    pub(super) async fn open_session(&mut self) -> Result<Option<Box<str>>, BmcError> {
        self.read_power().await?;
        Ok(self.link.session_path().map(Box::from))
    }

    /// Ends somebody's session by its path. Whether the BMC still knew it; either way it is gone.
    pub(super) async fn close_session(&mut self, session: &str) -> Result<bool, BmcError> {
        let path = answer::link(session)
            .filter(|path| path.path().contains(SESSIONS_SEGMENT))
            .ok_or_else(|| self.misconfigured(&format!("{session} is no path of a session")))?;
        let answer = self.request(&Method::DELETE, &path, None).await?;
        if self.link.session_path() == Some(session) {
            self.link.session = None;
        }
        match answer.status {
            status if status.is_success() => Ok(true),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
            _ => Err(self.unexpected(&answer)),
        }
    }

    /// Ends the session, if there is one. What the BMC says to that does not matter: it ends sessions by itself too.
    pub(super) async fn log_out(&mut self) {
        let Some(session) = self.link.session.take() else {
            return;
        };
        if let Some(location) = session.location {
            let token = Some((X_AUTH_TOKEN, session.token));
            if let Err(error) = self.fetch(&Method::DELETE, &location, &token, &None).await {
                tracing::debug!(bmc = %self.name(), %error, "redfish session left to its timeout");
            } else {
                Counters::add(&self.shared.counters.logouts);
            }
        }
    }
}

/// Whether the BMC says that all its sessions are taken, whatever the status.
fn has_no_room(answer: &Answer) -> bool {
    !answer.status.is_success() && Vendor::means_sessions_full(&answer::error_words(&answer.body))
}
