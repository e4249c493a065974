//! One caller's turn with one BMC: requests with credentials on the link's connection, and what HTTP statuses mean.
//!
//! Owns reconnecting after an idle close and the one re-login after a session ended; what went wrong is put into words
//! in `failure`. It never waits and never repeats a request that a BMC may have carried out:
//! retry policy belongs to the caller.

use super::answer;
use super::exchange::{Answer, ExchangeError, exchange};
use super::pool::{Link, Login};
use super::stream::{ConnectError, Connector, Stream};
use super::{Counters, Shared};
use crate::vendor::Vendor;
use baton_model::driver::redfish::{RedfishAuth, RedfishTarget};
use baton_model::port::bmc::BmcError;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use rustls::HandshakeKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The header of a Redfish session (DSP0266 §Sessions).
pub(super) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The header that names the OData version (DSP0266 §Request headers).
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

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
    /// The version that the next `PATCH` is meant for.
    pub(super) if_match: Option<HeaderValue>,
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
            let answer = self.fetch(method, path, &credentials, &body).await?;
            let status = answer.status;
            if status.is_success() {
                return Ok(answer);
            }
            match status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let words = answer::error_words(&answer.body);
                    if Vendor::means_sessions_full(&words) {
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
        credentials: &Credentials,
        body: &Option<Bytes>,
    ) -> Result<Answer, BmcError> {
        let answer = self.send(method, path, credentials, body).await?;
        if answer.status.is_redirection()
            && *method == Method::GET
            && let Some(moved) = self.redirect_on_this_bmc(&answer)
            && moved != *path
        {
            return Box::pin(self.send(method, &moved, credentials, body)).await;
        }
        Ok(answer)
    }

    /// One request on the kept connection, or on a new one if that has ended.
    async fn send(
        &mut self,
        method: &Method,
        path: &Uri,
        credentials: &Credentials,
        body: &Option<Bytes>,
    ) -> Result<Answer, BmcError> {
        Counters::add(&self.shared.counters.requests);
        let mut kept = self.link.stream.take();
        if let Some(stream) = kept.take_if(|stream| stream.is_usable()) {
            self.count_attempt_once();
            let request = self.build(method, path, credentials, body);
            match exchange(stream, request).await {
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
        // Boxed, both: a handshake is rare, and every read would carry its size.
        let stream = Box::pin(self.connect()).await?;
        let request = self.build(method, path, credentials, body);
        match Box::pin(exchange(stream, request)).await {
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
        credentials: &Credentials,
        body: &Option<Bytes>,
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
            headers.insert(name, value.clone());
        }
        if let Some(version) = self.if_match.clone().filter(|_| *method == Method::PATCH) {
            headers.insert(header::IF_MATCH, version);
        }
        if body.is_some() {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        let mut request = Request::new(Full::new(body.clone().unwrap_or_default()));
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
}
