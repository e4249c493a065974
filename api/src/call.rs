//! `Call`: everything a handler knows about its request. Making one is where the route's policy and gate are checked.

use crate::app::App;
use crate::barrier::ReadPolicy;
use crate::error::ApiError;
use crate::identity::{Identity, forwarded_user};
use crate::policy;
use crate::query::{Arguments, Query, parse_json};
use crate::version::{Below, Gate, Version};
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use baton_model::ids::RequestId;
use bytes::Bytes;
use serde_json::Value;
use std::sync::Arc;

/// What the outer service learned about a request before it was routed.
#[derive(Clone)]
pub(crate) struct Arrival {
    pub(crate) version: Version,
    pub(crate) request_id: HeaderValue,
    pub(crate) identity: Identity,
    pub(crate) base: Arc<str>,
    pub(crate) reads: ReadPolicy,
    pub(crate) body: Bytes,
}

/// One routed, allowed request.
pub(crate) struct Call {
    /// The method.
    pub(crate) method: Method,
    /// The negotiated version.
    pub(crate) version: Version,
    /// Scheme and authority of every link, without a trailing slash.
    pub(crate) base: Arc<str>,
    /// How fresh the answer has to be.
    pub(crate) reads: ReadPolicy,
    /// The query.
    pub(crate) query: Query,
    /// The path below `/v1`, without a trailing slash.
    pub(crate) path: String,
    /// The body.
    pub(crate) body: Bytes,
    /// The user, where callers are told apart.
    pub(crate) user: Option<Box<str>>,
    request_id: HeaderValue,
    params: Vec<String>,
}

impl Call {
    /// The decoded variable segments of the path, in order. A route has as many as its pattern names, so a missing one
    /// is a mistake in the route table; it reads as an empty name, which nothing has.
    pub(crate) fn segment(&self, at: usize) -> &str {
        self.params.get(at).map_or("", String::as_str)
    }

    /// The request's id, to be carried by the work it starts.
    pub(crate) fn request_id(&self) -> RequestId {
        RequestId(self.request_id.to_str().unwrap_or_default().into())
    }

    /// Refuses a filter, value or verb that came with a later version.
    pub(crate) fn needs(&self, since: u16) -> Result<(), ApiError> {
        if self.version.has(since) {
            Ok(())
        } else {
            Err(ApiError::needs_version(since))
        }
    }

    /// The arguments of a PUT, from body and query.
    pub(crate) fn arguments(&self, known: &[&str]) -> Result<Arguments, ApiError> {
        Arguments::collect(&self.query, &self.body, known)
    }

    /// The JSON body.
    pub(crate) fn json(&self) -> Result<Value, ApiError> {
        parse_json(&self.body)
    }
}

impl FromRequestParts<Arc<App>> for Call {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let broken = || ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error.");
        let arrival = parts.extensions.remove::<Arrival>().ok_or_else(broken)?;
        let row = parts
            .extensions
            .get::<MatchedPath>()
            .and_then(|matched| app.table.find(&parts.method, matched.as_str()))
            .ok_or_else(broken)?;
        policy::allow(&arrival.identity, row.action)?;
        if let Some(gate) = row.gate {
            check_gate(arrival.version, gate)?;
        }
        let params = if row.path.contains('{') {
            RawPathParams::from_request_parts(parts, app)
                .await
                .map_err(|_| ApiError::bad("The path holds bytes that are not UTF-8."))?
                .iter()
                .map(|(_, value)| value.to_owned())
                .collect()
        } else {
            Vec::new()
        };
        Ok(Self {
            method: parts.method.clone(),
            version: arrival.version,
            base: arrival.base,
            reads: arrival.reads,
            query: Query::parse(parts.uri.query()),
            path: parts.uri.path().to_owned(),
            body: arrival.body,
            user: arrival.identity.user.or_else(|| forwarded_user(parts)),
            request_id: arrival.request_id,
            params,
        })
    }
}

fn check_gate(version: Version, gate: Gate) -> Result<(), ApiError> {
    if version.has(gate.since) {
        return Ok(());
    }
    Err(match gate.below {
        Below::Missing => ApiError::not_found("Not Found"),
        Below::MissingBecause(text) => ApiError::not_found(text),
        Below::Refused => ApiError::no_method(),
        Below::NotAcceptable => ApiError::needs_version(gate.since),
    })
}
