//! Who is asking. The one place where a request gets its identity.

use crate::error::ApiError;
use axum::http::request::Parts;

/// The caller of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// For logs and history; `None` where nobody is told apart.
    pub(crate) user: Option<Box<str>>,
    /// May do everything that policy grants to administrators of the system.
    pub(crate) admin: bool,
}

/// `[DEFAULT]auth_strategy`.
#[derive(Clone, Debug, Default)]
pub(crate) enum AuthStrategy {
    /// Everybody is an administrator.
    #[default]
    NoAuth,
}

impl AuthStrategy {
    /// The identity behind a request, before anything else about it is looked at.
    #[expect(
        clippy::unnecessary_wraps,
        reason = "http_basic and keystone refuse requests here; the caller already handles it"
    )]
    pub(crate) const fn identify(&self, _request: &Parts) -> Result<Identity, ApiError> {
        match self {
            Self::NoAuth => Ok(Identity {
                user: None,
                admin: true,
            }),
        }
    }
}
