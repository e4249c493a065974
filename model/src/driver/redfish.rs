//! `driver_info` of the `redfish` power interface. Keys and texts: Ironic `ironic/drivers/modules/redfish/utils.py`
//! (`parse_driver_info`).

use super::{DriverInfoError, python};
use crate::ids::NodeId;
use crate::mask::MASK;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;

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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Targets are looked up with every read, and where a BMC is tells nearly all of them apart.
impl Hash for RedfishTarget {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.origin.hash(state);
        self.system_id.hash(state);
    }
}

/// The service root of a BMC whose address names no other (DSP0266 §6.2).
pub const SERVICE_ROOT: &str = "/redfish/v1/";

/// Longest address that is looked at; a DNS name has at most 253 characters, the rest is room for scheme, port and
/// path.
pub const ADDRESS_BYTES_MAX: usize = 1024;

/// Ironic's `[redfish]` options that fill what a node leaves out, and the one question that needs the file system.
#[derive(Clone, Copy)]
pub struct RedfishDefaults<'a> {
    /// `[redfish]auth_type`.
    pub auth: RedfishAuth,
    /// `[redfish]tls_minimum_version`.
    pub tls_minimum: TlsMinimum,
    /// Whether `redfish_verify_ca` names a file or directory here.
    pub path_exists: &'a dyn Fn(&str) -> bool,
}

impl fmt::Debug for RedfishDefaults<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedfishDefaults")
            .field("auth", &self.auth)
            .field("tls_minimum", &self.tls_minimum)
            .finish_non_exhaustive()
    }
}

impl Default for RedfishDefaults<'_> {
    /// Ironic's defaults. A text with a slash counts as a path; whether it is there shows when it is read.
    fn default() -> Self {
        Self {
            auth: RedfishAuth::Auto,
            tls_minimum: TlsMinimum::V1_2,
            path_exists: &|path| path.contains('/'),
        }
    }
}

/// Every `driver_info` key of the redfish power interface, with its description for the API.
#[must_use]
pub const fn properties() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "redfish_address",
            "Address of the BMC: a host or a URL such as https://bmc.example.com:8443. HTTPS is used where no scheme is \
             given; a path becomes the service root. Required.",
        ),
        (
            "redfish_auth_type",
            "How to log in: \"basic\", \"session\", or \"auto\" for a session where the BMC offers one and basic \
             otherwise. Optional.",
        ),
        ("redfish_password", "Password of the BMC user. Optional."),
        (
            "redfish_system_id",
            "Path of the system to manage, such as /redfish/v1/Systems/1. Only needed where the BMC has more than one. \
             Optional.",
        ),
        (
            "redfish_tls_ciphers",
            "OpenSSL list of TLS 1.2 ciphers. Accepted for compatibility; baton always uses authenticated ciphers with \
             forward secrecy. Optional.",
        ),
        (
            "redfish_tls_minimum_version",
            "Lowest TLS version to accept: \"1.1\", \"1.2\" or \"1.3\". 1.1 behaves as 1.2. Optional.",
        ),
        (
            "redfish_username",
            "BMC user with the right to read and change the power state. Optional.",
        ),
        (
            "redfish_verify_ca",
            "Whether to check the BMC's certificate: true for the configured or the system's CAs, false for no check, \
             or the path of a CA file or directory. Optional, defaults to true.",
        ),
    ]
}

/// Reads the `driver_info` of a node with Ironic's own defaults for what it leaves out.
///
/// # Errors
/// Ironic's text for the first key that does not fit.
pub fn parse(
    node: NodeId,
    driver_info: &Map<String, Value>,
) -> Result<RedfishTarget, DriverInfoError> {
    parse_with(node, driver_info, &RedfishDefaults::default())
}

/// Reads the `driver_info` of a node. Checks run in Ironic's order: address, system, CA, authentication, TLS.
///
/// # Errors
/// Ironic's text for the first key that does not fit.
pub fn parse_with(
    node: NodeId,
    driver_info: &Map<String, Value>,
    defaults: &RedfishDefaults<'_>,
) -> Result<RedfishTarget, DriverInfoError> {
    let (origin, root) = match driver_info.get("redfish_address") {
        Some(address) if python::is_truthy(address) => address
            .as_str()
            .and_then(parse_address)
            .ok_or_else(|| invalid_address(node, address))?,
        Some(_) | None => {
            return Err(DriverInfoError::Missing(format!(
                "Missing the following Redfish properties in node {node} driver_info: \
                 ['redfish_address']"
            )));
        }
    };
    Ok(RedfishTarget {
        origin: origin.into(),
        root: root.into(),
        system_id: parse_system_id(node, driver_info)?,
        username: text_of(driver_info.get("redfish_username")).filter(|name| !name.is_empty()),
        password: Secret::new(text_of(driver_info.get("redfish_password")).unwrap_or_default()),
        verify_ca: parse_verify_ca(node, driver_info, defaults)?,
        auth: parse_auth(node, driver_info, defaults)?,
        tls_minimum: parse_tls_minimum(node, driver_info, defaults)?,
    })
}

/// A credential as text; numbers are taken as they are written.
fn text_of(value: Option<&Value>) -> Option<Box<str>> {
    value
        .filter(|value| !value.is_null())
        .map(|value| python::display(value).into_boxed_str())
}

/// Ironic's text for an unusable address. A password inside the address is not repeated.
fn invalid_address(node: NodeId, address: &Value) -> DriverInfoError {
    let shown: String = python::display(address)
        .chars()
        .take(ADDRESS_BYTES_MAX)
        .collect();
    let shown = match shown.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            let separator = if scheme.is_empty() { "" } else { "://" };
            format!("{scheme}{separator}{MASK}@{host}")
        }
        None => shown,
    };
    DriverInfoError::Invalid(format!(
        "Invalid Redfish address {shown} set in driver_info/redfish_address on node {node}"
    ))
}

/// Splits an address into origin and service root; `None` if it is no usable HTTP address (RFC 3986 §3).
fn parse_address(address: &str) -> Option<(String, String)> {
    if address.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None => ("https".to_owned(), address),
    };
    if scheme != "http" && scheme != "https" {
        return None;
    }
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at_checked(at)?,
        None => (rest, ""),
    };
    let authority = parse_authority(authority)?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_end_matches('/');
    let root = if path.is_empty() {
        SERVICE_ROOT.to_owned()
    } else if path.bytes().all(is_path_byte) {
        format!("{path}/")
    } else {
        return None;
    };
    Some((format!("{scheme}://{authority}"), root))
}

/// Checks `host[:port]` and puts a bare IPv6 address into brackets. User information is refused: credentials have keys
/// of their own.
fn parse_authority(authority: &str) -> Option<String> {
    if authority.parse::<Ipv6Addr>().is_ok() {
        return Some(format!("[{}]", authority.to_ascii_lowercase()));
    }
    let (host, port) = if let Some(literal) = authority.strip_prefix('[') {
        let (literal, after) = literal.split_once(']')?;
        literal.parse::<Ipv6Addr>().ok()?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port),
            None if after.is_empty() => None,
            None => return None,
        };
        (format!("[{}]", literal.to_ascii_lowercase()), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 255 || !host.bytes().all(known) {
            return None;
        }
        (host.to_ascii_lowercase(), port)
    };
    match port {
        None | Some("") => Some(host),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
            Some(format!("{host}:{port}"))
        }
        Some(_) => None,
    }
}

/// Characters of a path as it goes on the request line (RFC 3986 §3.3).
const fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'/' | b'-'
                | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b':'
                | b'@'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}

/// `redfish_system_id`, quoted as Python's `urllib.parse.quote` does; relative paths start at the server's root.
fn parse_system_id(
    node: NodeId,
    driver_info: &Map<String, Value>,
) -> Result<Option<Box<str>>, DriverInfoError> {
    match driver_info.get("redfish_system_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.is_empty() => Ok(None),
        Some(Value::String(id)) if id.len() <= ADDRESS_BYTES_MAX => {
            let mut quoted = String::with_capacity(id.len().saturating_add(1));
            if !id.starts_with('/') {
                quoted.push('/');
            }
            for byte in id.bytes() {
                if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'~' | b'/')
                {
                    quoted.push(char::from(byte));
                } else {
                    quoted.push_str(&format!("%{byte:02X}"));
                }
            }
            Ok(Some(quoted.into()))
        }
        Some(other) => {
            let shown: String = python::display(other)
                .chars()
                .take(ADDRESS_BYTES_MAX)
                .collect();
            Err(DriverInfoError::Invalid(format!(
                "Invalid value \"{shown}\" set in driver_info/redfish_system_id on node {node}. \
                 The value should be a path (string) to the resource that the driver will interact \
                 with. For example: /redfish/v1/Systems/1"
            )))
        }
    }
}

/// `redfish_verify_ca`. As in Ironic a path wins over a boolean word of the same spelling.
fn parse_verify_ca(
    node: NodeId,
    driver_info: &Map<String, Value>,
    defaults: &RedfishDefaults<'_>,
) -> Result<VerifyCa, DriverInfoError> {
    let of = |verify| {
        if verify {
            VerifyCa::Roots
        } else {
            VerifyCa::Off
        }
    };
    let found = match driver_info.get("redfish_verify_ca") {
        None => Some(VerifyCa::Roots),
        Some(Value::Bool(verify)) => Some(of(*verify)),
        Some(Value::String(text)) if !text.is_empty() && (defaults.path_exists)(text) => {
            Some(VerifyCa::Path(text.as_str().into()))
        }
        Some(Value::String(text)) => python::bool_from_str(text).map(of),
        Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) => None,
    };
    found.ok_or_else(|| {
        let shown = shown_value(driver_info, "redfish_verify_ca");
        DriverInfoError::Invalid(format!(
            "Invalid value type set in driver_info/redfish_verify_ca on node {node}. The value \
             should be a Boolean or the path to a file/directory, not \"{shown}\""
        ))
    })
}

/// `redfish_auth_type`.
fn parse_auth(
    node: NodeId,
    driver_info: &Map<String, Value>,
    defaults: &RedfishDefaults<'_>,
) -> Result<RedfishAuth, DriverInfoError> {
    let Some(value) = driver_info.get("redfish_auth_type") else {
        return Ok(defaults.auth);
    };
    match value.as_str() {
        Some("basic") => Ok(RedfishAuth::Basic),
        Some("session") => Ok(RedfishAuth::Session),
        Some("auto") => Ok(RedfishAuth::Auto),
        Some(_) | None => {
            let shown = shown_value(driver_info, "redfish_auth_type");
            Err(DriverInfoError::Invalid(format!(
                "Invalid value \"{shown}\" set in driver_info/redfish_auth_type on node {node}. \
                 The value should be one of \"basic\", \"session\" or \"auto\"."
            )))
        }
    }
}

/// `redfish_tls_minimum_version`. TLS 1.1 is gone from rustls, so it asks for 1.2.
fn parse_tls_minimum(
    node: NodeId,
    driver_info: &Map<String, Value>,
    defaults: &RedfishDefaults<'_>,
) -> Result<TlsMinimum, DriverInfoError> {
    let value = match driver_info.get("redfish_tls_minimum_version") {
        None | Some(Value::Null) => return Ok(defaults.tls_minimum),
        Some(value) => value,
    };
    match value.as_str() {
        Some("1.1" | "1.2") => Ok(TlsMinimum::V1_2),
        Some("1.3") => Ok(TlsMinimum::V1_3),
        Some(_) | None => {
            let shown = shown_value(driver_info, "redfish_tls_minimum_version");
            Err(DriverInfoError::Invalid(format!(
                "Invalid value \"{shown}\" set in driver_info/redfish_tls_minimum_version on node \
                 {node}. The value should be one of \"1.1\", \"1.2\", or \"1.3\"."
            )))
        }
    }
}

/// A value as it appears in a message, cut to a readable length.
fn shown_value(driver_info: &Map<String, Value>, key: &str) -> String {
    driver_info
        .get(key)
        .map(python::display)
        .unwrap_or_default()
        .chars()
        .take(ADDRESS_BYTES_MAX)
        .collect()
}

#[cfg(test)]
mod tests;
