//! `driver_info` of the `redfish` power interface. Keys and texts: Ironic `ironic/drivers/modules/redfish/utils.py`
//! (`parse_driver_info`).

use crate::secret::Secret;

/// `redfish_auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RedfishAuth {
    /// HTTP basic on every request.
    Basic,
    /// A Redfish session.
    Session,
    /// A session if the BMC offers one, else basic.
    Auto,
}

/// `redfish_verify_ca`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VerifyCa {
    /// Check against the system's (or `[redfish]verify_ca`'s) roots.
    Roots,
    /// Check against the CA file or directory at this path.
    Path(Box<str>),
    /// Do not check.
    Off,
}

/// Lowest TLS version to accept; rustls speaks 1.2 and 1.3 only, so `1.1` behaves as `1.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsMinimum {
    /// TLS 1.2
    V1_2,
    /// TLS 1.3
    V1_3,
}

/// A checked Redfish `driver_info`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RedfishTarget {
    /// `http://host[:port]` or `https://host[:port]`, no trailing slash; IPv6 literals in brackets.
    pub origin: Box<str>,
    /// Path of the service root, `/redfish/v1/` unless the address had a path.
    pub root: Box<str>,
    /// `redfish_system_id`; `None` means the only member of `Systems`.
    pub system_id: Option<Box<str>>,
    /// User name; without one no credentials are sent.
    pub username: Option<Box<str>>,
    /// Password.
    pub password: Secret<Box<str>>,
    /// How to authenticate.
    pub auth: RedfishAuth,
    /// Which certificates to accept.
    pub verify_ca: VerifyCa,
    /// Lowest TLS version.
    pub tls_minimum: TlsMinimum,
}
