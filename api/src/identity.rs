//! Who is asking. The one place where a request gets its identity.

mod htpasswd;

use crate::error::ApiError;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use htpasswd::Users;
use std::path::PathBuf;

/// The caller of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// For logs and history; `None` where nobody is told apart.
    pub(crate) user: Option<Box<str>>,
    /// May do everything that policy grants to administrators of the system.
    pub(crate) admin: bool,
}

impl Identity {
    /// Somebody without credentials, at a path that needs none.
    const NOBODY: Self = Self {
        user: None,
        admin: false,
    };
}

/// How callers are told apart; `[DEFAULT]auth_strategy`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Auth {
    /// Everybody is an administrator.
    #[default]
    NoAuth,
    /// By the users and bcrypt hashes of this file; every known user is an administrator.
    HttpBasic(PathBuf),
}

/// [`Auth`] at work.
pub(crate) enum AuthStrategy {
    NoAuth,
    HttpBasic(Box<Users>),
}

/// The realm that clients are asked for.
const REALM: &str = "Basic realm=\"Baremetal API\"";

impl AuthStrategy {
    pub(crate) fn new(auth: &Auth, seed: [u64; 4]) -> Self {
        match auth {
            Auth::NoAuth => Self::NoAuth,
            Auth::HttpBasic(file) => Self::HttpBasic(Box::new(Users::new(file.clone(), seed))),
        }
    }

    /// The identity behind a request, before anything else about it is looked at.
    pub(crate) async fn identify(&self, request: &Parts) -> Result<Identity, ApiError> {
        match self {
            Self::NoAuth => Ok(Identity {
                user: None,
                admin: true,
            }),
            Self::HttpBasic(users) => {
                let given = request.headers.get(header::AUTHORIZATION);
                match given {
                    None if is_public(request.uri.path()) => Ok(Identity::NOBODY),
                    None => Err(unauthorized("Authorization required")),
                    Some(value) => {
                        let (user, password) = credentials(value.as_bytes())?;
                        if users.knows(&user, &password).await? {
                            Ok(Identity {
                                user: Some(user.into()),
                                admin: true,
                            })
                        } else {
                            Err(unauthorized("Incorrect username or password"))
                        }
                    }
                }
            }
        }
    }
}

fn unauthorized(text: &'static str) -> ApiError {
    ApiError::basic_auth(StatusCode::UNAUTHORIZED, text).challenging(REALM)
}

/// Paths that need no credentials (api-auth.md §1); only with the version in front.
fn is_public(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let path = path
        .strip_suffix(".json")
        .or_else(|| path.strip_suffix(".xml"))
        .unwrap_or(path);
    let is_ident = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    matches!(path, "" | "/v1" | "/v1/lookup" | "/v1/continue_inspection")
        || path.strip_prefix("/v1/heartbeat/").is_some_and(is_ident)
}

/// User and password of a header.
fn credentials(header: &[u8]) -> Result<(String, String), ApiError> {
    let bad = |text: String| ApiError::basic_auth(StatusCode::BAD_REQUEST, text);
    let unparsable = || bad("Could not parse Authorization header".to_owned());
    let undecodable = || bad("Could not decode authorization token".to_owned());
    let text = std::str::from_utf8(header).map_err(|_| unparsable())?;
    let (scheme, token) = text.trim().split_once(' ').ok_or_else(unparsable)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        let scheme: String = scheme.chars().take(64).collect();
        return Err(bad(format!("Unsupported authorization type \"{scheme}\"")));
    }
    let decoded = STANDARD.decode(token.trim()).map_err(|_| undecodable())?;
    let pair = String::from_utf8(decoded).map_err(|_| undecodable())?;
    let (user, password) = pair.split_once(':').ok_or_else(undecodable)?;
    Ok((user.to_owned(), password.to_owned()))
}

/// The user that a proxy or middleware in front of baton authenticated (`X-User-Name`, as keystonemiddleware sets it). Good for
/// telling callers apart and for nothing that needs proof: without such a proxy, anybody may send the header.
pub(crate) fn forwarded_user(request: &Parts) -> Option<Box<str>> {
    let name = request.headers.get("x-user-name")?.to_str().ok()?;
    Some(name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_paths_are_public() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/v1.json",
            "/v1/lookup",
            "/v1/lookup/",
            "/v1/lookup.json",
            "/v1/heartbeat/1be26c0b-03f2-4d2e-ae87-c02d7f33c123",
            "/v1/heartbeat/node-1/",
            "/v1/continue_inspection",
        ] {
            assert!(is_public(path), "{path}");
        }
        for path in [
            "/v1/nodes",
            "/lookup",
            "/v1/heartbeat/",
            "/v1/heartbeat/A",
            "/v1/heartbeat/a/b",
            "/v1/lookup/x",
            "/v2",
        ] {
            assert!(!is_public(path), "{path}");
        }
    }

    #[test]
    fn headers_are_read_or_refused_with_their_texts() {
        let ok = format!("Basic {}", STANDARD.encode("me:a:b"));
        assert_eq!(
            credentials(ok.as_bytes()),
            Ok(("me".to_owned(), "a:b".to_owned()))
        );
        for (header, text) in [
            ("Basic", "Could not parse Authorization header"),
            ("Bearer x", "Unsupported authorization type \"Bearer\""),
            ("Basic !!", "Could not decode authorization token"),
            ("Basic bWU=", "Could not decode authorization token"),
        ] {
            let error = credentials(header.as_bytes()).expect_err("refused");
            assert_eq!((error.status.as_u16(), &*error.text), (400, text));
        }
    }
}
