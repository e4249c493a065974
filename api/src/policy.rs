//! Who may do what. The one place where a request is allowed or refused.

use crate::error::ApiError;
use crate::identity::Identity;
use axum::http::StatusCode;

/// A policy name, as in `baremetal:node:get`; each route of the table names one.
pub(crate) type Action = &'static str;

/// Actions that need no identity at all.
pub(crate) const PUBLIC: Action = "public";

/// Allows or refuses `action`.
///
/// # Errors
/// 403 with Ironic's text.
pub(crate) fn allow(identity: &Identity, action: Action) -> Result<(), ApiError> {
    if identity.admin || action == PUBLIC {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        format!("Access was denied to the following resource: {action}"),
    ))
}
