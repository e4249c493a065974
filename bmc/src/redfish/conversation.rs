//! One caller's turn with one BMC: requests with credentials on the link's connection, and what HTTP statuses mean.
//!
//! Owns reconnecting after an idle close, the one re-login after a session ended, and the translation of everything
//! that can go wrong into [`BmcError`]. It never waits and never repeats a request that a BMC may have carried out:
//! retry policy belongs to the caller.

use super::answer;
use super::exchange::{Answer, ExchangeError, exchange};
use super::pool::{Link, Login};
use super::stream::{ConnectError, Connector, Endpoint, Stream};
use super::{Counters, Shared};
use crate::quirks::Quirks;
use baton_model::driver::redfish::{RedfishAuth, RedfishTarget};
use baton_model::port::bmc::BmcError;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use rustls::HandshakeKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The header of a Redfish session (DSP0266 §Sessions).
pub(super) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The header that names the OData version (DSP0266 §Request headers).
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
/// Longest `Retry-After` that is believed; a BMC reboots within ten minutes.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Shortest secret that is cut out of a BMC's words. Shorter ones would hit ordinary text and hide nothing.
const SECRET_BYTES_MIN: usize = 3;

/// A name and value of the header that authenticates a request.
pub(super) type Credentials = Option<(HeaderName, HeaderValue)>;

/// One caller's turn. Holds the link's lock for as long as it lives.
pub(super) struct Conversation<'a> {
    pub(super) shared: &'a Shared,
    pub(super) link: &'a mut Link,
    pub(super) target: &'a RedfishTarget,
    /// What the caller wants, for messages.
    pub(super) operation: &'static str,
    /// Connections tried so far.
    pub(super) attempts: &'a AtomicU32,
    /// The BMC has no session for us just now, and basic may stand in for this one turn.
    pub(super) basic_this_turn: bool,
    /// The session that this turn's requests belong to: without it they are not sent at all.
    pub(super) bound_to: Option<&'a str>,
}

impl Conversation<'_> {
    /// Sends a request as the configured user and judges the status. Returned answers are 2xx, or 4xx and 5xx that mean
    /// different things to different callers; never 3xx, 401, 403, 429 or 503.
    pub(super) async fn request(
        &mut self,
        method: &Method,
        path: &Uri,
        body: Option<Bytes>,
    ) -> Result<Answer, BmcError> {
        let mut logged_in_again = false;
        loop {
            let had_session = self.link.session.is_some();
            let credentials = self.credentials().await?;
            let answer = self.fetch(method, path, credentials, body.clone()).await?;
            let status = answer.status;
            if status.is_success() {
                return Ok(answer);
            }
            match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let words = answer::error_words(&answer.body);
                    if Quirks::means_sessions_full(&words) {
                        return Err(self.busy(&answer));
                    }
                    if self.bound_to.is_some() {
                        self.link.session = None;
                        return Err(self.session_is_over());
                    }
                    if had_session && !logged_in_again {
                        // The session ended behind our back; the request was refused, so repeating it is safe.
                        self.link.session = None;
                        logged_in_again = true;
                        continue;
                    }
                    if self.link.login == Login::Basic {
                        self.link.login = Login::Unknown;
                    }
                    return Err(self.refused(&answer));
                }
                StatusCode::NOT_ACCEPTABLE if !self.link.any_encoding => {
                    // sushy: some BMCs insist on an encoding of their own.
                    self.link.any_encoding = true;
                }
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    return Err(self.busy(&answer));
                }
                status if status.is_redirection() => return Err(self.redirected(&answer)),
                _ => return Ok(answer),
            }
        }
    }

    /// One request with these credentials, whatever the status. A GET follows one redirect that stays on this BMC.
    pub(super) async fn fetch(
        &mut self,
        method: &Method,
        path: &Uri,
        credentials: Credentials,
        body: Option<Bytes>,
    ) -> Result<Answer, BmcError> {
        let answer = self
            .send(method, path, credentials.clone(), body.clone())
            .await?;
        if answer.status.is_redirection()
            && *method == Method::GET
            && let Some(moved) = self.redirect_on_this_bmc(&answer)
            && moved != *path
        {
            return self.send(method, &moved, credentials, body).await;
        }
        Ok(answer)
    }

    /// One request on the kept connection, or on a new one if that has ended.
    async fn send(
        &mut self,
        method: &Method,
        path: &Uri,
        credentials: Credentials,
        body: Option<Bytes>,
    ) -> Result<Answer, BmcError> {
        let request = self.build(method, path, credentials, body);
        Counters::add(&self.shared.counters.requests);
        let mut kept = self.link.stream.take();
        if let Some(stream) = kept.take_if(|stream| stream.is_usable()) {
            self.count_attempt_once();
            match exchange(stream, request.clone()).await {
                Ok((answer, stream)) => {
                    self.keep(stream);
                    return Ok(answer);
                }
                // The BMC closed the idle connection while we wrote. Reading again changes nothing there.
                Err(ExchangeError::Closed(_))
                    if *method == Method::GET || *method == Method::DELETE => {}
                Err(error) => return Err(self.broken(method, error)),
            }
        }
        drop(kept);
        let stream = self.connect().await?;
        match exchange(stream, request).await {
            Ok((answer, stream)) => {
                self.keep(stream);
                Ok(answer)
            }
            Err(error) => Err(self.broken(method, error)),
        }
    }

    /// Keeps a connection for the next request, unless there are more than may be kept.
    fn keep(&mut self, stream: Option<Stream>) {
        self.link.stream = stream.filter(|_| !self.shared.pool.is_over());
    }

    /// The first use of a kept connection counts as one attempt.
    fn count_attempt_once(&self) {
        if self.attempts.load(Ordering::Relaxed) == 0 {
            self.attempts.store(1, Ordering::Relaxed);
        }
    }

    fn build(
        &self,
        method: &Method,
        path: &Uri,
        credentials: Credentials,
        body: Option<Bytes>,
    ) -> Request<Full<Bytes>> {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::HOST, self.link.host.clone());
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ODATA_VERSION, HeaderValue::from_static("4.0"));
        if !self.link.any_encoding {
            headers.insert(
                header::ACCEPT_ENCODING,
                HeaderValue::from_static("identity"),
            );
        }
        if let Some((name, value)) = credentials {
            headers.insert(name, value);
        }
        if body.is_some() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        let mut request = Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.clone();
        *request.headers_mut() = headers;
        request
    }

    /// A new connection, with room made for it.
    async fn connect(&mut self) -> Result<Stream, BmcError> {
        let shared = self.shared;
        self.attempts.fetch_add(1, Ordering::Relaxed);
        if shared.pool.is_full() {
            shared.pool.close_one();
        }
        let tickets = Arc::clone(&self.link.tickets);
        let connector = Connector {
            tls: &shared.tls,
            tickets: &tickets,
            open: &shared.pool.open,
            timeout: shared.config.connect_timeout,
        };
        let mut connected = connector.connect(self.target).await;
        if let Err(ConnectError::NoDescriptors) = connected {
            shared.pool.close_one();
            connected = connector.connect(self.target).await;
        }
        let (stream, handshake) = connected.map_err(|error| self.unconnected(error))?;
        Counters::add(&shared.counters.connections);
        match handshake {
            Some(HandshakeKind::Resumed) => Counters::add(&shared.counters.handshakes_resumed),
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest) => {
                Counters::add(&shared.counters.handshakes_full);
            }
            None => {}
        }
        Ok(stream)
    }

    /// Whether requests of this turn go out with basic authentication.
    pub(super) fn uses_basic(&self) -> bool {
        match self.target.auth {
            RedfishAuth::Basic => true,
            RedfishAuth::Session => false,
            RedfishAuth::Auto => self.basic_this_turn || self.link.login == Login::Basic,
        }
    }

    /// Where a redirect leads, if it stays on this BMC.
    fn redirect_on_this_bmc(&self, answer: &Answer) -> Option<Uri> {
        let location = answer.headers.get(header::LOCATION)?.to_str().ok()?;
        match location.strip_prefix(&*self.target.origin) {
            Some(path) => answer::link(path),
            None if location.starts_with('/') => answer::link(location),
            None => None,
        }
    }

    // --- what went wrong ---------------------------------------------------------------------------------------------

    /// The BMC in messages.
    pub(super) fn name(&self) -> Box<str> {
        Endpoint::of(self.target).authority.into()
    }

    /// A BMC's words, fit for a message: on one line, cut, and without our own secrets in them.
    pub(super) fn clean(&self, text: &str) -> Box<str> {
        let mut text = answer::printable(text);
        let mut hide = |secret: &str| {
            if secret.len() >= SECRET_BYTES_MIN && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        };
        hide(self.target.password.expose());
        for value in [
            self.link.basic.as_ref(),
            self.link.session.as_ref().map(|session| &session.token),
        ]
        .into_iter()
        .flatten()
        {
            if let Ok(value) = value.to_str() {
                hide(value.strip_prefix("Basic ").unwrap_or(value));
            }
        }
        text.into()
    }

    /// Status and words of an answer.
    pub(super) fn words(&self, answer: &Answer) -> Box<str> {
        let words = answer::error_words(&answer.body);
        let status = answer.status.as_u16();
        if words.is_empty() {
            format!("HTTP {status}").into()
        } else {
            self.clean(&format!("HTTP {status} {words}"))
        }
    }

    pub(super) fn garbled(&self, reason: &str) -> BmcError {
        BmcError::Garbled {
            bmc: self.name(),
            operation: self.operation,
            reason: self.clean(reason),
        }
    }

    pub(super) fn misconfigured(&self, reason: &str) -> BmcError {
        BmcError::Misconfigured {
            bmc: self.name(),
            reason: self.clean(reason),
        }
    }

    pub(super) fn declined(&self, answer: &Answer) -> BmcError {
        BmcError::Declined {
            bmc: self.name(),
            operation: self.operation,
            reason: self.words(answer),
        }
    }

    pub(super) fn busy(&self, answer: &Answer) -> BmcError {
        BmcError::Busy {
            bmc: self.name(),
            reason: self.words(answer),
            retry_after: retry_after(&answer.headers),
        }
    }

    pub(super) fn refused(&self, answer: &Answer) -> BmcError {
        let mut reason = self.words(answer);
        if self.target.username.is_none() {
            reason = format!("{reason}; redfish_username is not set").into();
        }
        BmcError::Refused {
            bmc: self.name(),
            username: self.target.username.clone().unwrap_or_default(),
            reason,
        }
    }

    /// An answer that fits nothing the caller expects.
    pub(super) fn unexpected(&self, answer: &Answer) -> BmcError {
        if answer.status.is_server_error() {
            // It broke on the BMC's side and may work next time.
            self.garbled(&self.words(answer))
        } else {
            self.declined(answer)
        }
    }

    pub(super) fn session_is_over(&self) -> BmcError {
        BmcError::Declined {
            bmc: self.name(),
            operation: self.operation,
            reason: "the session that this command belongs to has ended".into(),
        }
    }

    pub(super) fn redirected(&self, answer: &Answer) -> BmcError {
        let location = answer
            .headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .unwrap_or("nowhere");
        self.misconfigured(&format!(
            "HTTP {} sends us to {location}; credentials are not carried there, so set redfish_address to the address \
             that answers",
            answer.status.as_u16()
        ))
    }

    fn broken(&self, method: &Method, error: ExchangeError) -> BmcError {
        let unsure = if *method == Method::POST {
            "; the command may have been carried out"
        } else {
            ""
        };
        match error {
            ExchangeError::Closed(reason) => BmcError::Unreachable {
                bmc: self.name(),
                reason: self.clean(&format!(
                    "the connection ended before an answer came ({reason}){unsure}"
                )),
            },
            ExchangeError::Cut(reason) => {
                self.garbled(&format!("the answer broke off ({reason}){unsure}"))
            }
            ExchangeError::Malformed(reason) => self.garbled(&format!("{reason}{unsure}")),
        }
    }

    fn unconnected(&self, error: ConnectError) -> BmcError {
        let bmc = self.name();
        match error {
            ConnectError::NoDescriptors => BmcError::Unreachable {
                bmc,
                reason: "this conductor has no file descriptor left; raise its limit (LimitNOFILE)"
                    .into(),
            },
            ConnectError::Unreachable(reason) | ConnectError::Broken(reason) => {
                BmcError::Unreachable {
                    bmc,
                    reason: self.clean(&reason),
                }
            }
            ConnectError::Tls(reason) => BmcError::Tls {
                bmc,
                reason: self.clean(&reason),
            },
            ConnectError::Misconfigured(reason) => self.misconfigured(&reason),
        }
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3). A date is not read: BMC clocks are often wrong by years.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn believes_sensible_retry_after_only() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers)
        };
        assert_eq!(read(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999999"), Some(RETRY_AFTER_MAX));
        for odd in ["-1", "soon", "", "Fri, 31 Dec 1999 23:59:59 GMT", "1e3"] {
            assert_eq!(read(odd), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
