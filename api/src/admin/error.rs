//! Errors of the admin endpoint: a status and `{"error": "<text>"}`.

use crate::reply::Reply;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use baton_model::port::cluster::{ChangeError, ProposeError};
use baton_model::port::node::NodeError;
use serde_json::json;

/// A refused or failed admin request.
#[derive(Debug)]
pub(super) struct AdminError {
    status: StatusCode,
    text: String,
}

impl AdminError {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        let mut response = Reply::of(&json!({"error": self.text})).into_response();
        *response.status_mut() = self.status;
        response
    }
}

impl From<ProposeError> for AdminError {
    fn from(error: ProposeError) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
    }
}

impl From<ChangeError> for AdminError {
    fn from(error: ChangeError) -> Self {
        let status = match &error {
            ChangeError::Refused(_) => StatusCode::CONFLICT,
            ChangeError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, error.to_string())
    }
}

impl From<NodeError> for AdminError {
    fn from(error: NodeError) -> Self {
        let status = match &error {
            NodeError::Refused(refused) => {
                StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            NodeError::NotOwner(_) | NodeError::Unavailable { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Self::new(status, error.to_string())
    }
}
