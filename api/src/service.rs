//! `PublicApi`: one request in, one reply out. Everything that happens before and after routing is here: identity,
//! version, path forms, body limits, reply headers, log and metrics.

use crate::app::{App, Deps};
use crate::call::Arrival;
use crate::error::ApiError;
use crate::identity::AuthStrategy;
use crate::metrics::Metrics;
use crate::options::ApiOptions;
use crate::reply::is_known;
use crate::version::{HEADER, HEADER_MAX, HEADER_MIN, MAX, MIN, Version};
use crate::{request_id, v1};
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use prometheus_client::registry::Registry;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

/// Largest body of most requests (Ironic `[api]max_json_body_size`, api.md §3).
const BODY_BYTES_MAX: usize = 1 << 20;
/// Largest body of `PUT …/states/provision`: it may carry a config drive.
const BODY_BYTES_MAX_PROVISION: usize = 64 << 20;
/// How many bodies above [`BODY_BYTES_MAX`] are read at once; together they take at most 256 MiB.
const LARGE_BODIES_MAX: usize = 4;
/// How long a client may take to send its body. A config drive of 64 MiB over 10 Mbit/s takes 54 s.
const BODY_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Marks a reply of the router's fallback, which gets no version headers outside `/v1`.
#[derive(Clone, Copy)]
pub(crate) struct NotRouted;

/// The Bare Metal v1 API of one conductor. Cheap to clone.
#[derive(Clone)]
pub struct PublicApi(Arc<Inner>);

struct Inner {
    app: Arc<App>,
    router: Router,
    auth: AuthStrategy,
    metrics: Metrics,
    large_bodies: Semaphore,
}

impl PublicApi {
    /// Builds the API.
    #[must_use]
    pub fn new(deps: Deps, options: ApiOptions) -> Self {
        let (router, table) = v1::routes::routes().build();
        let auth = options.auth.clone();
        let seed = std::array::from_fn(|_| deps.env.entropy.next_u64());
        let app = Arc::new(App::new(deps, options, table));
        Self(Arc::new(Inner {
            router: router.with_state(Arc::clone(&app)),
            app,
            auth: AuthStrategy::new(&auth, seed),
            metrics: Metrics::default(),
            large_bodies: Semaphore::new(LARGE_BODIES_MAX),
        }))
    }

    /// Makes the API's counters visible in a registry.
    pub fn register_metrics(&self, registry: &mut Registry) {
        self.0.metrics.register(registry);
    }

    /// Answers one request. Never fails: what goes wrong is in the reply.
    pub async fn handle<B>(&self, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let started = Instant::now();
        let id = request_id::draw(&*self.0.app.deps.env.entropy);
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let path = parts.uri.path().to_owned();
        let negotiated = Version::negotiate(&parts.headers);
        let if_none_match = parts
            .headers
            .get(header::IF_NONE_MATCH)
            .filter(|_| method == Method::GET)
            .cloned();
        let version = negotiated.as_ref().ok().copied();
        let stumbles = stumbles_over_retry_after(&parts.headers);
        let answer = match negotiated {
            Ok(version) => self.0.answer(parts, body, version, &id).await,
            // Credentials come first, also before a bad version.
            Err(error) => self
                .0
                .auth
                .identify(&parts)
                .await
                .and_then(|_| Err(error.into())),
        };
        let mut response = answer.unwrap_or_else(IntoResponse::into_response);
        if is_known(if_none_match.as_ref(), &response) {
            let tag = response.headers_mut().remove(header::ETAG);
            response = StatusCode::NOT_MODIFIED.into_response();
            if let Some(tag) = tag {
                response.headers_mut().insert(header::ETAG, tag);
            }
        }
        let ours = is_versioned(&path) || response.extensions().get::<NotRouted>().is_none();
        let headers = response.headers_mut();
        if ours {
            put_version_headers(headers, version);
        }
        if stumbles {
            headers.remove(header::RETRY_AFTER);
        }
        headers.insert(request_id::HEADER, id.clone());
        headers.insert(request_id::HEADER_X, id.clone());
        let (status, elapsed) = (response.status(), started.elapsed());
        self.0.metrics.observe(&method, status, elapsed);
        let request_id = id.to_str().unwrap_or_default();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(request_id, %method, path, elapsed_ms, "request failed");
        } else {
            let status = status.as_u16();
            tracing::debug!(request_id, %method, path, status, elapsed_ms, "request answered");
        }
        response
    }
}

/// Whether the client is python-ironicclient, which fails with a `TypeError` on each error but 413 that carries `Retry-After`
/// (its `common/apiclient/exceptions.py` hands the value to constructors that do not take it). It tries 409 and 503 again by a
/// schedule of its own, if it is let.
fn stumbles_over_retry_after(headers: &HeaderMap) -> bool {
    headers
        .get(header::USER_AGENT)
        .is_some_and(|agent| agent.as_bytes().starts_with(b"python-ironicclient"))
}

impl Inner {
    async fn answer<B>(
        &self,
        mut parts: Parts,
        body: B,
        version: Version,
        id: &HeaderValue,
    ) -> Result<Response, ApiError>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let identity = self.auth.identify(&parts).await?;
        if parts.method == Method::OPTIONS {
            return Ok(StatusCode::OK.into_response());
        }
        let is_root = parts.uri.path() == "/";
        if !is_root && !accepts_json(&parts.headers) {
            return Err(ApiError::no_media_type());
        }
        let base = self.base(&parts);
        if let Some(uri) = normalise(&parts.uri, version) {
            parts.uri = uri;
        }
        // axum would answer HEAD from the GET routes; Ironic has it for discovery only.
        if parts.method == Method::HEAD && !matches!(parts.uri.path(), "/" | "/v1") {
            return Err(ApiError::no_method());
        }
        let body = self.read_body(&parts, body).await?;
        parts.extensions.insert(Arrival {
            version,
            request_id: id.clone(),
            identity,
            base,
            reads: self.app.options.reads,
            body,
        });
        let request = Request::from_parts(parts, Body::empty());
        match self.router.clone().oneshot(request).await {
            Ok(response) => Ok(response),
            Err(never) => match never {},
        }
    }

    /// Scheme and authority of links: the configured one, or what the client used to get here.
    fn base(&self, parts: &Parts) -> Arc<str> {
        let options = &self.app.options;
        if let Some(endpoint) = &options.public_endpoint {
            return endpoint.trim_end_matches('/').into();
        }
        let text = |name: &str| {
            let value = parts.headers.get(name)?.to_str().ok()?;
            // Proxies append; the first one is what the client saw.
            value.split(',').next().map(str::trim)
        };
        let forwarded = |name: &str| text(name).filter(|_| options.proxy_headers);
        let scheme = match forwarded("x-forwarded-proto") {
            Some("https") => "https",
            None if options.tls => "https",
            _ => "http",
        };
        let authority = forwarded("x-forwarded-host")
            .or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
            .or_else(|| text("host"))
            .filter(|authority| is_authority(authority))
            .unwrap_or("localhost:6385");
        let prefix = forwarded("x-forwarded-prefix")
            .filter(|prefix| prefix.starts_with('/') && prefix.bytes().all(is_link_byte))
            .unwrap_or_default()
            .trim_end_matches('/');
        [scheme, "://", authority, prefix].concat().into()
    }

    async fn read_body<B>(&self, parts: &Parts, body: B) -> Result<Bytes, ApiError>
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if body.is_end_stream() {
            return Ok(Bytes::new());
        }
        let large_allowed = parts.uri.path().ends_with("/states/provision");
        let limit = if large_allowed {
            BODY_BYTES_MAX_PROVISION
        } else {
            BODY_BYTES_MAX
        };
        let too_large = || {
            ApiError::guard(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("The request body is larger than {limit} bytes."),
            )
        };
        let size = body.size_hint();
        let fits = |bytes: u64, limit: usize| usize::try_from(bytes).is_ok_and(|n| n <= limit);
        if !fits(size.lower(), limit) {
            return Err(too_large());
        }
        let small = size
            .upper()
            .is_some_and(|upper| fits(upper, BODY_BYTES_MAX));
        let _permit = if large_allowed && !small {
            let busy =
                || ApiError::unavailable("Too many large requests at once; please retry.", 1);
            Some(self.large_bodies.try_acquire().map_err(|_| busy())?)
        } else {
            None
        };
        match timeout(
            BODY_READ_TIMEOUT,
            Box::pin(Limited::new(body, limit)).collect(),
        )
        .await
        {
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(_)) => Err(ApiError::bad("The request body could not be read.")),
            Err(_) => Err(ApiError::guard(
                StatusCode::REQUEST_TIMEOUT,
                "The request body did not arrive in time.",
            )),
        }
    }
}

fn put_version_headers(headers: &mut HeaderMap, version: Option<Version>) {
    headers.insert(HEADER_MIN, Version(MIN).header());
    headers.insert(HEADER_MAX, Version(MAX).header());
    if let Some(version) = version {
        headers.insert(HEADER, version.header());
    }
}

fn is_versioned(path: &str) -> bool {
    path == "/" || path == "/v1" || path.starts_with("/v1/")
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::ACCEPT).iter().peekable();
    if values.peek().is_none() {
        return true;
    }
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| range.split(';').next())
        .any(|range| {
            let range = range.trim();
            range.is_empty() || matches!(range, "*/*" | "application/*" | "application/json")
        })
}

const fn is_link_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/')
}

/// Whether a `Host` can go into links: a name or address with an optional port, nothing that could break out of them.
fn is_authority(text: &str) -> bool {
    (1..=300).contains(&text.len())
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
        })
}

/// The one form of a path that routes know: without `/v1`, trailing slash and (below 1.91) `.json`. `None`: as it is.
fn normalise(uri: &Uri, version: Version) -> Option<Uri> {
    let original = uri.path();
    let mut path = original;
    if path.len() > 1 {
        path = path.strip_suffix('/').unwrap_or(path);
    }
    if let Some(below) = path
        .strip_prefix("/v1")
        .filter(|rest| rest.starts_with('/'))
    {
        path = below;
    }
    if !version.has(91)
        && let Some(bare) = path.strip_suffix(".json")
    {
        // The name of a node may end so; its lookup tries both.
        let is_node = bare
            .strip_prefix("/nodes/")
            .is_some_and(|name| !name.contains('/') && name != "detail" && name != "validate");
        if !is_node {
            path = bare;
        }
    }
    if path == original {
        return None;
    }
    let text = match uri.query() {
        Some(query) => [path, "?", query].concat(),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        let path = |text: &'static str, version| {
            let uri = Uri::from_static(text);
            normalise(&uri, Version(version)).unwrap_or(uri).to_string()
        };
        assert_eq!(path("/", 1), "/");
        assert_eq!(path("/v1", 1), "/v1");
        assert_eq!(path("/v1/", 1), "/v1");
        assert_eq!(path("/v1/nodes/", 1), "/nodes");
        assert_eq!(path("/v1/nodes/?a=b", 1), "/nodes?a=b");
        assert_eq!(path("/nodes", 1), "/nodes");
        assert_eq!(path("/v1/nodes/a.json", 1), "/nodes/a.json");
        assert_eq!(path("/v1/nodes/a/states.json", 1), "/nodes/a/states");
        assert_eq!(path("/v1/nodes/a/states.json", 91), "/nodes/a/states.json");
        assert_eq!(path("/v2/nodes", 1), "/v2/nodes");
    }

    #[test]
    fn only_safe_authorities_reach_links() {
        assert!(is_authority("127.0.0.1:6385") && is_authority("[::1]:6385"));
        assert!(!is_authority("a\"b") && !is_authority("") && !is_authority("a/b"));
    }
}
