//! Error replies with Ironic's bodies: a JSON document whose `error_message` is itself JSON in a string.

use crate::out::Out;
use crate::reply::Reply;
use crate::version::VersionError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_model::node::edit::Refused;
use baton_model::port::cluster::ProposeError;
use baton_model::port::node::NodeError;
use std::borrow::Cow;

/// Seconds that a client is told to wait when the cluster has no leader. An election takes about one second
/// (`docs/adr`), so the first retry mostly succeeds.
pub(crate) const RETRY_AFTER_S: u32 = 1;

/// The shape of an error body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// `faultcode`, `faultstring`, `debuginfo` inside the wrapper.
    Application,
    /// `code`, `title`, `description` inside the wrapper: what Ironic's web framework answers.
    Framework,
    /// `faultcode`, `faultstring` without the wrapper: what its guards answer.
    Bare,
    /// `message` and `code` under `error`: what its basic authentication answers.
    Basic,
}

/// A request that is refused or failed, with everything its reply says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) text: Cow<'static, str>,
    shape: Shape,
    pub(crate) retry_after_s: Option<u32>,
    challenge: Option<&'static str>,
}

impl ApiError {
    /// An error of the application.
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
            shape: Shape::Application,
            retry_after_s: None,
            challenge: None,
        }
    }

    /// 400.
    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 404.
    pub(crate) fn not_found(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 404 for a node that was named in the path.
    pub(crate) fn no_node(ident: &str) -> Self {
        Self::not_found(format!("Node {ident} could not be found."))
    }

    /// 409.
    pub(crate) fn conflict(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    /// 406: the version allows no such field, filter, verb or value.
    pub(crate) fn not_acceptable() -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "Request not acceptable.")
    }

    /// 406, naming the version that would do.
    pub(crate) fn needs_version(since: u16) -> Self {
        Self::new(
            StatusCode::NOT_ACCEPTABLE,
            format!("Request not acceptable. The minimal required API version should be 1.{since}"),
        )
    }

    /// What the framework says when no route matches.
    pub(crate) fn no_route() -> Self {
        Self {
            shape: Shape::Framework,
            ..Self::not_found("The resource could not be found.")
        }
    }

    /// What the framework says when the route has no such method.
    pub(crate) fn no_method() -> Self {
        Self {
            shape: Shape::Framework,
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "The server could not comply with the request since the method is not allowed for this resource.",
            )
        }
    }

    /// 406 of the framework: the client accepts nothing that we have.
    pub(crate) fn no_media_type() -> Self {
        Self {
            shape: Shape::Framework,
            ..Self::new(
                StatusCode::NOT_ACCEPTABLE,
                "The resource could not be generated that was acceptable to your browser: only application/json is \
                 available.",
            )
        }
    }

    /// An error of the guards that stand before the application.
    pub(crate) fn guard(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            shape: Shape::Bare,
            ..Self::new(status, text)
        }
    }

    /// An error of basic authentication.
    pub(crate) fn basic_auth(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            shape: Shape::Basic,
            ..Self::new(status, text)
        }
    }

    /// The same, asking for credentials.
    pub(crate) const fn challenging(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// 503, with the time to come back.
    pub(crate) fn unavailable(text: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut inner = Out::with_capacity(self.text.len() + 80);
        let code = if self.status.is_server_error() {
            "Server"
        } else {
            "Client"
        };
        match self.shape {
            Shape::Application => {
                inner.raw("{\"faultcode\": \"").raw(code);
                inner.raw("\", \"faultstring\": ").str(&self.text);
                inner.raw(", \"debuginfo\": null}");
            }
            Shape::Framework => {
                inner.raw("{\"code\": ").raw(self.status.as_str());
                inner.raw(", \"title\": ");
                inner.str(self.status.canonical_reason().unwrap_or("Error"));
                inner.raw(", \"description\": ").str(&self.text).raw("}");
            }
            Shape::Basic => {
                inner.raw("{\"error\": {\"message\": ").str(&self.text);
                inner
                    .raw(", \"code\": ")
                    .raw(self.status.as_str())
                    .raw("}}");
                return inner.into_bytes();
            }
            Shape::Bare => {
                inner.raw("{\"faultcode\": \"").raw(code);
                inner.raw("\", \"faultstring\": ").str(&self.text).raw("}");
                return inner.into_bytes();
            }
        }
        let inner = inner.into_bytes();
        let mut outer = Out::with_capacity(inner.len() + 60);
        outer.raw("{\"error_message\": ");
        outer.str(&String::from_utf8_lossy(&inner)).raw("}");
        outer.into_bytes()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Reply::json(self.body()).into_response();
        *response.status_mut() = self.status;
        response.headers_mut().remove(header::ETAG);
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

impl From<Refused> for ApiError {
    fn from(refused: Refused) -> Self {
        let status =
            StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, refused.text.into_string())
    }
}

impl From<VersionError> for ApiError {
    fn from(error: VersionError) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, error.to_string())
    }
}

impl From<ProposeError> for ApiError {
    fn from(error: ProposeError) -> Self {
        let text = match &error {
            ProposeError::Unavailable { .. } => {
                format!("{error}. Nothing was changed; please retry.")
            }
            ProposeError::Unknown { .. } => {
                format!("{error}. Read the object again before repeating the request.")
            }
        };
        Self::unavailable(text, RETRY_AFTER_S)
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Refused(refused) => refused.into(),
            NodeError::NotOwner(_) => Self::unavailable(
                "The node is moving to another conductor; please retry.",
                RETRY_AFTER_S,
            ),
            NodeError::Unavailable {
                reason,
                retry_after_s,
            } => Self::unavailable(reason.into_string(), retry_after_s),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_carry_json_in_json() {
        let body = ApiError::no_node("a\"b").body();
        assert_eq!(
            String::from_utf8(body).expect("UTF-8"),
            r#"{"error_message": "{\"faultcode\": \"Client\", \"faultstring\": \"Node a\\\"b could not be found.\", \"debuginfo\": null}"}"#
        );
        let bare = ApiError::guard(StatusCode::PAYLOAD_TOO_LARGE, "too big").body();
        assert_eq!(
            bare,
            br#"{"faultcode": "Client", "faultstring": "too big"}"#
        );
    }
}
