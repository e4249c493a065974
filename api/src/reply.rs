//! Successful replies: a status, perhaps a `Location`, perhaps a JSON body.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

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
                let mut response = Response::new(Body::from(body));
                response.headers_mut().insert(
                    header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
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
