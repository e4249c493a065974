//! Microversions: what a client asked for, what it gets, and what a route answers below its gate.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::LazyLock;

/// Lowest minor served.
pub(crate) const MIN: u16 = 1;
/// Highest minor served.
pub(crate) const MAX: u16 = 115;

/// `X-OpenStack-Ironic-API-Version`, in requests and replies.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-openstack-ironic-api-version");
/// The lowest version, in replies.
pub(crate) const HEADER_MIN: HeaderName =
    HeaderName::from_static("x-openstack-ironic-api-minimum-version");
/// The highest version, in replies.
pub(crate) const HEADER_MAX: HeaderName =
    HeaderName::from_static("x-openstack-ironic-api-maximum-version");
/// The common header of all services: `OpenStack-API-Version: baremetal 1.72`.
const HEADER_COMMON: HeaderName = HeaderName::from_static("openstack-api-version");
/// The service type in it.
const SERVICE: &str = "baremetal";

/// A negotiated version, by its minor; the major is always 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Version(pub(crate) u16);

/// Why a version header cannot be served; all are 406.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum VersionError {
    #[error(
        "Version 1.{0} was requested but the minor version is not supported by this service. The supported version \
         range is: [1.{MIN}, 1.{MAX}]."
    )]
    Minor(u64),
    #[error(
        "Mutually exclusive versions requested. Version {0}.{1} requested but not supported by this service. The \
         supported version range is: [1.{MIN}, 1.{MAX}]."
    )]
    Major(u64, u64),
    #[error("Invalid value for X-OpenStack-Ironic-API-Version header")]
    Garbage,
}

impl Version {
    /// Whether something that came with 1.`since` exists for this client.
    pub(crate) const fn has(self, since: u16) -> bool {
        self.0 >= since
    }

    /// The value of the reply header.
    pub(crate) fn header(self) -> HeaderValue {
        static VALUES: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
            (0..=MAX)
                .map(|minor| {
                    HeaderValue::from_str(&format!("1.{minor}"))
                        .unwrap_or(HeaderValue::from_static("1.1"))
                })
                .collect()
        });
        VALUES
            .get(usize::from(self.0))
            .cloned()
            .unwrap_or(HeaderValue::from_static("1.1"))
    }

    /// What the request's headers ask for. The common header wins when it names this service.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Self, VersionError> {
        let mut wish: Option<&str> = None;
        for value in headers.get_all(HEADER_COMMON) {
            let text = value.to_str().map_err(|_| VersionError::Garbage)?;
            for part in text.split(',') {
                let mut words = part.split_whitespace();
                if words
                    .next()
                    .is_some_and(|service| service.eq_ignore_ascii_case(SERVICE))
                {
                    wish = Some(words.next().ok_or(VersionError::Garbage)?);
                }
            }
        }
        if wish.is_none()
            && let Some(value) = headers.get(HEADER)
        {
            wish = Some(value.to_str().map_err(|_| VersionError::Garbage)?);
        }
        wish.map_or(Ok(Self(MIN)), Self::parse)
    }

    fn parse(text: &str) -> Result<Self, VersionError> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("latest") {
            return Ok(Self(MAX));
        }
        let number = |part: &str| -> Result<u64, VersionError> {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(VersionError::Garbage);
            }
            part.parse().map_err(|_| VersionError::Garbage)
        };
        let (major, minor) = text.split_once('.').ok_or(VersionError::Garbage)?;
        let (major, minor) = (number(major)?, number(minor)?);
        if major != 1 {
            return Err(VersionError::Major(major, minor));
        }
        u16::try_from(minor)
            .ok()
            .filter(|minor| (MIN..=MAX).contains(minor))
            .map(Self)
            .ok_or(VersionError::Minor(minor))
    }
}

/// What a route answers to a client that asks with a version below its gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Below {
    /// 404 `Not Found`.
    Missing,
    /// 404 with a text.
    MissingBecause(&'static str),
    /// 405.
    Refused,
    /// 406 `Request not acceptable.` with the version that would do.
    NotAcceptable,
}

/// A route exists from a version on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Gate {
    /// The first minor that has it.
    pub(crate) since: u16,
    /// The answer below.
    pub(crate) below: Below,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(headers: &[(&'static str, &'static str)]) -> Result<Version, VersionError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        Version::negotiate(&map)
    }

    #[test]
    fn negotiates_as_ironic_does() {
        let own = "x-openstack-ironic-api-version";
        let common = "openstack-api-version";
        assert_eq!(ask(&[]), Ok(Version(1)));
        assert_eq!(ask(&[(own, "1.72")]), Ok(Version(72)));
        assert_eq!(ask(&[(own, "LATEST")]), Ok(Version(MAX)));
        assert_eq!(
            ask(&[(own, "1.5"), (common, "baremetal 1.72")]),
            Ok(Version(72))
        );
        assert_eq!(
            ask(&[(own, "1.5"), (common, "compute 2.1")]),
            Ok(Version(5))
        );
        assert_eq!(
            ask(&[(common, "baremetal 1.9, compute 2.1, baremetal 1.10")]),
            Ok(Version(10))
        );
        assert_eq!(ask(&[(own, "1.999")]), Err(VersionError::Minor(999)));
        assert_eq!(ask(&[(own, "1.0")]), Err(VersionError::Minor(0)));
        assert_eq!(ask(&[(own, "2.1")]), Err(VersionError::Major(2, 1)));
        for garbage in [
            "",
            "1",
            "1.",
            ".1",
            "1.1.1",
            "a.b",
            "1.-1",
            "+1.1",
            "99999999999999999999.1",
        ] {
            assert_eq!(
                ask(&[(own, garbage)]),
                Err(VersionError::Garbage),
                "{garbage}"
            );
        }
        assert_eq!(ask(&[(common, "baremetal")]), Err(VersionError::Garbage));
    }
}
