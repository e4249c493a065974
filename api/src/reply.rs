//! Successful replies: a status, perhaps a `Location`, perhaps a JSON body.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::hash::{DefaultHasher, Hasher as _};

/// What a handler answers when all went well.
pub(crate) struct Reply {
    status: StatusCode,
    location: Option<HeaderValue>,
    body: Option<Vec<u8>>,
}

impl Reply {
    /// 200 with a JSON text.
    pub(crate) const fn json(body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::OK,
            location: None,
            body: Some(body),
        }
    }

    /// 200 with a small document. Lists of nodes are written by hand instead.
    pub(crate) fn of(value: &impl Serialize) -> Self {
        // Documents of this crate have string keys only, so writing them cannot fail; an empty object would show it.
        Self::json(serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec()))
    }

    /// 201 with the new resource and where it lives.
    pub(crate) fn created(location: &str, body: Vec<u8>) -> Self {
        Self {
            status: StatusCode::CREATED,
            location: HeaderValue::from_str(location).ok(),
            body: Some(body),
        }
    }

    /// 202 without a body. Clients decide by `Content-Type` whether to parse one, so none is sent.
    pub(crate) fn accepted(location: Option<&str>) -> Self {
        Self {
            status: StatusCode::ACCEPTED,
            location: location.and_then(|location| HeaderValue::from_str(location).ok()),
            body: None,
        }
    }

    /// 204.
    pub(crate) fn done(location: Option<&str>) -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            ..Self::accepted(location)
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => {
                let tag = etag(self.status, &body);
                let mut response = Response::new(Body::from(body));
                response.headers_mut().insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                if let Some(tag) = tag {
                    response.headers_mut().insert(header::ETAG, tag);
                }
                response
            }
            None => Response::new(Body::empty()),
        };
        *response.status_mut() = self.status;
        if let Some(location) = self.location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        response
    }
}

/// Largest body that gets an entity tag: any one object, and short lists. Hashing a list of a thousand nodes would cost as
/// much as sending it.
const TAGGED_BYTES_MAX: usize = 64 << 10;

/// The entity tag of a document: a digest of what is sent, so it is the same at every conductor. Weak, as proxies may
/// compress (RFC 9110 §8.8.3).
fn etag(status: StatusCode, body: &[u8]) -> Option<HeaderValue> {
    if status != StatusCode::OK || body.len() > TAGGED_BYTES_MAX {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    hasher.write(body);
    HeaderValue::from_str(&format!("W/\"{:016x}\"", hasher.finish())).ok()
}

/// Whether a client that sent `If-None-Match` has this document already.
pub(crate) fn is_known(wanted: Option<&HeaderValue>, response: &Response) -> bool {
    let text = |value: Option<&HeaderValue>| {
        value.and_then(|value| value.to_str().ok().map(str::to_owned))
    };
    match (text(wanted), text(response.headers().get(header::ETAG))) {
        (Some(wanted), Some(tag)) => {
            let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
            wanted.trim() == "*" || wanted.split(',').any(|one| bare(one) == bare(&tag))
        }
        _ => false,
    }
}
