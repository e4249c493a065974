//! What went wrong, in words an operator can act on. Everything a BMC said is cut, put on one line, and cleaned of our
//! own secrets before it gets into an error.

use super::answer;
use super::conversation::Conversation;
use super::exchange::{Answer, ExchangeError};
use super::stream::{ConnectError, Endpoint};
use crate::vendor::Vendor;
use baton_model::port::bmc::BmcError;
use hyper::Method;
use hyper::header::{self, HeaderMap};
use std::time::Duration;

/// Longest `Retry-After` that is believed; a BMC reboots within ten minutes.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Shortest secret that is cut out of a BMC's words. Shorter ones would hit ordinary text and hide nothing.
const SECRET_BYTES_MIN: usize = 3;

impl Conversation<'_> {
    /// The BMC in messages.
    pub(super) fn name(&self) -> Box<str> {
        Endpoint::of(self.target).authority.into()
    }

    /// A BMC's words, fit for a message: on one line, cut, and without our own secrets in them.
    pub(super) fn clean(&self, text: &str) -> Box<str> {
        let mut text = answer::printable(text);
        let mut hide = |secret: &str| {
            if secret.len() >= SECRET_BYTES_MIN && text.contains(secret) {
                text = text.replace(secret, "***");
            }
        };
        hide(self.target.password.expose());
        for value in [
            self.link.basic.as_ref(),
            self.link.session.as_ref().map(|session| &session.token),
        ]
        .into_iter()
        .flatten()
        {
            if let Ok(value) = value.to_str() {
                hide(value.strip_prefix("Basic ").unwrap_or(value));
            }
        }
        text.into()
    }

    /// Status and words of an answer.
    pub(super) fn words(&self, answer: &Answer) -> Box<str> {
        let words = answer::error_words(&answer.body);
        let status = answer.status.as_u16();
        if words.is_empty() {
            format!("HTTP {status}").into()
        } else {
            self.clean(&format!("HTTP {status} {words}"))
        }
    }

    pub(super) fn garbled(&self, reason: &str) -> BmcError {
        BmcError::Garbled {
            bmc: self.name(),
            operation: self.operation,
            reason: self.clean(reason),
        }
    }

    pub(super) fn misconfigured(&self, reason: &str) -> BmcError {
        BmcError::Misconfigured {
            bmc: self.name(),
            reason: self.clean(reason),
        }
    }

    pub(super) fn declined(&self, answer: &Answer) -> BmcError {
        BmcError::Declined {
            bmc: self.name(),
            operation: self.operation,
            reason: self.words(answer),
        }
    }

    pub(super) fn busy(&self, answer: &Answer) -> BmcError {
        let mut reason = self.words(answer);
        if Vendor::means_sessions_full(&answer::error_words(&answer.body)) {
            let room = match self.link.vendor.sessions_max {
                Some(max) => format!("all of its {max} sessions are taken"),
                None => "all of its sessions are taken".to_owned(),
            };
            reason = format!(
                "{reason}; {room}: end those that nobody uses, or set redfish_auth_type to basic"
            )
            .into();
        }
        BmcError::Busy {
            bmc: self.name(),
            reason,
            retry_after: retry_after(&answer.headers),
        }
    }

    pub(super) fn refused(&self, answer: &Answer) -> BmcError {
        let mut reason = self.words(answer);
        if self.target.username.is_none() {
            reason = format!("{reason}; redfish_username is not set").into();
        }
        BmcError::Refused {
            bmc: self.name(),
            username: self.target.username.clone().unwrap_or_default(),
            reason,
        }
    }

    /// An answer that fits nothing the caller expects.
    pub(super) fn unexpected(&self, answer: &Answer) -> BmcError {
        if Vendor::means_busy(&answer::error_words(&answer.body)) {
            self.busy(answer)
        } else if answer.status.is_server_error() {
            // It broke on the BMC's side and may work next time.
            self.garbled(&self.words(answer))
        } else {
            self.declined(answer)
        }
    }

    pub(super) fn session_is_over(&self) -> BmcError {
        BmcError::SessionOver {
            bmc: self.name(),
            operation: self.operation,
        }
    }

    pub(super) fn redirected(&self, answer: &Answer) -> BmcError {
        let location = answer
            .headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .unwrap_or("nowhere");
        self.misconfigured(&format!(
            "HTTP {} sends us to {location}; credentials are not carried there, so set redfish_address to the address \
             that answers",
            answer.status.as_u16()
        ))
    }

    pub(super) fn broken(&self, method: &Method, error: ExchangeError) -> BmcError {
        let unsure = if *method == Method::POST {
            "; the command may have been carried out"
        } else {
            ""
        };
        match error {
            ExchangeError::Closed(reason) => BmcError::Unreachable {
                bmc: self.name(),
                reason: self.clean(&format!(
                    "the connection ended before an answer came ({reason}){unsure}"
                )),
            },
            ExchangeError::Cut(reason) => {
                // rustls ends its sentence with the address of a page for programmers.
                let reason = reason.split(": https://docs.rs").next().unwrap_or_default();
                self.garbled(&format!("the answer broke off ({reason}){unsure}"))
            }
            ExchangeError::Malformed(reason) => self.garbled(&format!("{reason}{unsure}")),
        }
    }

    pub(super) fn unconnected(&self, error: ConnectError) -> BmcError {
        let bmc = self.name();
        match error {
            ConnectError::NoDescriptors => BmcError::Unreachable {
                bmc,
                reason: "this conductor has no file descriptor left; raise its limit (LimitNOFILE)"
                    .into(),
            },
            ConnectError::Unreachable(reason) | ConnectError::Broken(reason) => {
                BmcError::Unreachable {
                    bmc,
                    reason: self.clean(&reason),
                }
            }
            ConnectError::Tls(reason) => BmcError::Tls {
                bmc,
                reason: self.clean(&reason),
            },
            ConnectError::Misconfigured(reason) => self.misconfigured(&reason),
        }
    }
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3). A date is not read: BMC clocks are often wrong by years.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers
        .get(header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim()
        .parse()
        .ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn believes_sensible_retry_after_only() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers)
        };
        assert_eq!(read(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(read("99999999999"), Some(RETRY_AFTER_MAX));
        for odd in ["-1", "soon", "", "Fri, 31 Dec 1999 23:59:59 GMT", "1e3"] {
            assert_eq!(read(odd), None, "{odd}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
