//! Tokens: got from the identity service, kept, renewed before they end.
//!
//! How long a token lives is the difference of two times that the identity service names, counted here from when it was
//! asked for: no clock of ours is compared with one of theirs.

use crate::auth::Method;
use crate::catalog::{self, Service};
use crate::http::{Http, NoAnswer};
use crate::options::ComputeOptions;
use baton_model::port::compute::{ComputeError, Trouble};
use baton_model::secret::Secret;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long before its end a token is renewed at the latest; a quarter of its life if that is shorter.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// A token that names no end lives this long; Keystone's default.
const LIFE_DEFAULT: Duration = Duration::from_secs(3600);

/// A token and where it leads.
#[derive(Debug)]
pub(crate) struct Token {
    pub(crate) secret: Secret<String>,
    /// Where the compute service is.
    pub(crate) endpoint: String,
    renew_at: Instant,
    ends_at: Instant,
}

#[derive(Deserialize)]
struct Body {
    token: Fields,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    expires_at: Option<String>,
    #[serde(default)]
    issued_at: Option<String>,
    #[serde(default)]
    catalog: Vec<Service>,
}

/// The identity service.
pub(crate) struct Identity {
    url: String,
    method: Method,
    kept: Mutex<Option<Arc<Token>>>,
}

impl Identity {
    pub(crate) fn new(auth_url: &str, method: Method) -> Self {
        // `auth_url` may name the version or not, as keystoneauth allows.
        let base = auth_url.trim_end_matches('/');
        let base = base.strip_suffix("/v3").unwrap_or(base);
        Self {
            url: format!("{base}/v3/auth/tokens"),
            method,
            kept: Mutex::new(None),
        }
    }

    /// A token that is good for now. One caller asks the identity service, the others wait for what it gets.
    pub(crate) async fn token(
        &self,
        http: &Http,
        options: &ComputeOptions,
    ) -> Result<Arc<Token>, ComputeError> {
        let mut kept = self.kept.lock().await;
        let now = Instant::now();
        if let Some(token) = kept.as_ref().filter(|token| now < token.renew_at) {
            return Ok(token.clone());
        }
        match self.issue(http, options).await {
            Ok(token) => {
                let token = Arc::new(token);
                *kept = Some(token.clone());
                Ok(token)
            }
            // The old one does until its end.
            Err(error) => match kept.as_ref().filter(|token| now < token.ends_at) {
                Some(token) => {
                    tracing::warn!(%error, "the token for the compute service could not be renewed early");
                    Ok(token.clone())
                }
                None => Err(error),
            },
        }
    }

    /// The compute service did not accept this token: forget it, unless a newer one is kept already.
    pub(crate) async fn forget(&self, refused: &Arc<Token>) {
        let mut kept = self.kept.lock().await;
        if kept
            .as_ref()
            .is_some_and(|token| Arc::ptr_eq(token, refused))
        {
            *kept = None;
        }
    }

    async fn issue(&self, http: &Http, options: &ComputeOptions) -> Result<Token, ComputeError> {
        let asked = Instant::now();
        let request = Request::post(&self.url)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(Full::new(Bytes::from(self.method.body())))
            .map_err(|error| refused(0, format!("auth_url {}: {error}", self.url)))?;
        let answer = http
            .exchange(request)
            .await
            .map_err(|NoAnswer { reason, .. }| unavailable(&self.url, &reason))?;
        match answer.status {
            200..=299 => {}
            status @ (401 | 403 | 400 | 404) => {
                let words = crate::answer::words(&answer.body);
                let text = format!("no token from {}: HTTP {status} {words}", self.url);
                return Err(refused(status, text));
            }
            status => {
                let words = crate::answer::words(&answer.body);
                return Err(unavailable(&self.url, &format!("HTTP {status} {words}")));
            }
        }
        let secret = answer
            .headers
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| unavailable(&self.url, "the answer has no X-Subject-Token"))?;
        let body: Body = serde_json::from_slice(&answer.body)
            .map_err(|error| unavailable(&self.url, &format!("the answer is no token: {error}")))?;
        let endpoint = match &options.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => {
                catalog::endpoint(&body.token.catalog, options).map_err(|text| refused(0, text))?
            }
        };
        let life = life(&body.token);
        Ok(Token {
            secret: Secret::new(secret.to_owned()),
            endpoint: catalog::base(&endpoint),
            renew_at: asked + life.saturating_sub(RENEW_BEFORE.min(life / 4)),
            ends_at: asked + life,
        })
    }
}

fn life(token: &Fields) -> Duration {
    let at = |text: &Option<String>| text.as_ref()?.parse::<jiff::Timestamp>().ok();
    let seconds = at(&token.expires_at)
        .zip(at(&token.issued_at))
        .map(|(end, start)| end.as_second().saturating_sub(start.as_second()));
    seconds
        .and_then(|seconds| u64::try_from(seconds).ok())
        .map_or(LIFE_DEFAULT, Duration::from_secs)
}

fn refused(code: u16, reason: String) -> ComputeError {
    let reason = reason.into();
    ComputeError::Refused { code, reason }
}

fn unavailable(url: &str, reason: &str) -> ComputeError {
    ComputeError::Unavailable {
        trouble: Trouble::Identity,
        reason: format!("no token from {url}: {reason}").into(),
        retry_after: None,
    }
}
