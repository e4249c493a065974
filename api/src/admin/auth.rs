//! Who may use the admin endpoint: whoever shows the token, as a bearer or as the password of HTTP Basic, which browsers
//! and Prometheus know how to ask for and to send.

use super::error::AdminError;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use baton_model::secret::Secret;

/// Compares what callers show with the token.
pub(super) struct Gate(Option<Secret<String>>);

impl Gate {
    pub(super) fn new(token: Option<&Secret<String>>) -> Self {
        Self(token.filter(|token| !token.expose().is_empty()).cloned())
    }

    /// Lets the caller in, or answers it.
    #[expect(
        clippy::result_large_err,
        reason = "the refusal is the response itself"
    )]
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Response> {
        let Some(token) = &self.0 else {
            return Ok(());
        };
        let shown = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| shown(value.as_bytes()));
        if shown.is_some_and(|shown| same(&shown, token.expose().as_bytes())) {
            return Ok(());
        }
        let error = AdminError::new(
            StatusCode::UNAUTHORIZED,
            "Show the token in [admin] token, as Authorization: Bearer or as a password.",
        );
        let mut response = error.into_response();
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"baton\""),
        );
        Err(response)
    }
}

fn shown(value: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = value.split_at_checked(value.iter().position(|byte| *byte == b' ')?)?;
    let rest = rest.trim_ascii();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        Some(rest.to_vec())
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        let pair = STANDARD.decode(rest).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        Some(pair.get(colon + 1..)?.to_vec())
    } else {
        None
    }
}

/// Takes as long for a wrong token as for the right one, so that its bytes cannot be guessed one by one.
fn same(shown: &[u8], token: &[u8]) -> bool {
    let difference = shown
        .iter()
        .zip(token)
        .fold(0, |difference, (a, b)| difference | (a ^ b));
    shown.len() == token.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(gate: &Gate, value: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(value) = value {
            headers.insert(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        gate.check(&headers).is_ok()
    }

    #[test]
    fn only_the_token_opens_the_gate() {
        let gate = Gate::new(Some(&Secret::new("s3cret".to_owned())));
        let basic = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert!(allowed(&gate, Some("Bearer s3cret")));
        assert!(allowed(&gate, Some("bearer  s3cret ")));
        assert!(allowed(&gate, Some(&basic("anybody:s3cret"))));
        for wrong in [
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer",
            "s3cret",
            "Digest s3cret",
            "",
        ] {
            assert!(!allowed(&gate, Some(wrong)), "{wrong}");
        }
        assert!(!allowed(&gate, Some(&basic("s3cret"))));
        assert!(!allowed(&gate, Some(&basic("s3cret:"))));
        assert!(!allowed(&gate, Some("Basic ???")));
        assert!(!allowed(&gate, None));
    }

    #[test]
    fn without_a_token_the_listener_decides() {
        assert!(allowed(&Gate::new(None), None));
        assert!(allowed(&Gate::new(Some(&Secret::new(String::new()))), None));
    }
}
