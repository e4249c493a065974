//! `driver_info` of the `ipmitool` power interface. Keys, order of checks and texts: Ironic
//! `ironic/drivers/modules/ipmitool.py` (`_parse_driver_info`).

use super::{DriverInfoError, python};
use crate::ids::NodeId;
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// The UDP port of RMCP (IPMI 2.0 §13.1.1).
pub const IPMI_PORT: u16 = 623;

/// Privilege level asked for when the session opens (IPMI 2.0 §6.8), in rising order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// `CALLBACK`
    Callback,
    /// `USER`
    User,
    /// `OPERATOR`
    Operator,
    /// `ADMINISTRATOR`
    Administrator,
}

/// RMCP+ cipher suites that baton speaks (IPMI 2.0 table 22-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CipherSuite {
    /// HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128.
    Three,
    /// HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128.
    Seventeen,
}

/// `ipmi_protocol_version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpmiProtocol {
    /// IPMI 1.5 (`lan`).
    V1_5,
    /// IPMI 2.0 RMCP+ (`lanplus`).
    V2_0,
}

/// A checked IPMI `driver_info`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IpmiTarget {
    /// IP address or lower-case host name.
    pub address: Box<str>,
    /// UDP port.
    pub port: u16,
    /// User name; empty is the NULL user.
    pub username: Box<str>,
    /// Password, at most 20 bytes on the wire.
    pub password: Secret<Box<str>>,
    /// Privilege level to ask for.
    pub privilege: Privilege,
    /// Protocol version.
    pub protocol: IpmiProtocol,
    /// Fixed cipher suite; `None` lets the client find one and remember it.
    pub cipher_suite: Option<CipherSuite>,
    /// The BMC key K_G, if the BMC has one (`ipmi_hex_kg_key`).
    pub kg: Option<Secret<Box<[u8]>>>,
    /// Whether the BMC is told to keep the boot device for longer than a minute (`ipmi_disable_boot_timeout`); `None`
    /// leaves it to the option of that name.
    pub keep_boot: Option<bool>,
}

/// Longest password and longest K_G of IPMI 2.0 (§13.31); IPMI 1.5 has [`PASSWORD_1_5_BYTES_MAX`].
pub const PASSWORD_BYTES_MAX: usize = 20;
/// Longest password of IPMI 1.5 (§22.17.1).
pub const PASSWORD_1_5_BYTES_MAX: usize = 16;
/// Longest user name (§13.20).
pub const USERNAME_BYTES_MAX: usize = 16;
/// Longest host name that is looked at; DNS allows 253 characters, Ironic 255.
pub const ADDRESS_BYTES_MAX: usize = 255;
/// No message shows more of a value than this; it is for reading, not for storing.
const SHOWN_CHARS_MAX: usize = 1024;

/// Every `driver_info` key of the ipmitool power interface, with its description for the API.
#[must_use]
pub const fn properties() -> &'static [(&'static str, &'static str)] {
    &[
        (
            "ipmi_address",
            "IP address or lower-case host name of the BMC. Required.",
        ),
        (
            "ipmi_bridging",
            "Whether requests go through bridges: \"no\", \"single\" or \"dual\". baton speaks to the BMC itself, \
             so only \"no\" can be used. Optional, defaults to \"no\".",
        ),
        (
            "ipmi_cipher_suite",
            "RMCP+ cipher suite, 3 or 17. Left out, baton finds the best one that the BMC offers and remembers it. \
             Optional.",
        ),
        (
            "ipmi_disable_boot_timeout",
            "Whether to keep the BMC from dropping the boot device after 60 seconds. Optional, defaults to \
             [ipmi]disable_boot_timeout.",
        ),
        (
            "ipmi_force_boot_device",
            "Whether to set the remembered boot device again before each power on. Optional, defaults to false.",
        ),
        (
            "ipmi_hex_kg_key",
            "The BMC key K_G in hexadecimal digits, at most 40. Optional.",
        ),
        (
            "ipmi_local_address",
            "Local IPMB address for bridged requests. Optional.",
        ),
        (
            "ipmi_password",
            "Password of the BMC user, at most 20 bytes (16 with IPMI 1.5). Optional, defaults to the empty password.",
        ),
        (
            "ipmi_port",
            "UDP port of the BMC. Optional, defaults to 623.",
        ),
        (
            "ipmi_priv_level",
            "Privilege level of the session: ADMINISTRATOR, OPERATOR, USER or CALLBACK. Power changes need OPERATOR. \
             Optional, defaults to ADMINISTRATOR.",
        ),
        (
            "ipmi_protocol_version",
            "IPMI version, \"2.0\" or \"1.5\". Optional, defaults to \"2.0\".",
        ),
        (
            "ipmi_target_address",
            "Destination address for bridged requests. Required only with ipmi_bridging.",
        ),
        (
            "ipmi_target_channel",
            "Destination channel for bridged requests. Required only with ipmi_bridging.",
        ),
        (
            "ipmi_terminal_port",
            "Local port for the console. Optional, used by consoles only.",
        ),
        (
            "ipmi_transit_address",
            "Transit address for bridged requests. Required only with dual bridging.",
        ),
        (
            "ipmi_transit_channel",
            "Transit channel for bridged requests. Required only with dual bridging.",
        ),
        (
            "ipmi_username",
            "BMC user, at most 16 bytes. Optional, defaults to the NULL user.",
        ),
    ]
}

/// What Ironic warns about while it reads a `driver_info` that it accepts.
#[must_use]
pub fn warnings(node: NodeId, driver_info: &Map<String, Value>) -> Vec<String> {
    [("ipmi_username", "user"), ("ipmi_password", "password")]
        .into_iter()
        .filter(|(key, _)| !driver_info.get(*key).is_some_and(python::is_truthy))
        .map(|(key, what)| {
            format!("{key} is not defined or empty for node {node}: NULL {what} will be utilized.")
        })
        .collect()
}

/// Reads the `driver_info` of a node. Checks run in Ironic's order: address present, protocol, ports, bridging,
/// privilege, K_G, cipher suite, address well-formed; then what only baton checks, lengths and what it cannot do.
///
/// # Errors
/// Ironic's text for the first key that does not fit.
pub fn parse(
    node: NodeId,
    driver_info: &Map<String, Value>,
) -> Result<IpmiTarget, DriverInfoError> {
    let address = driver_info
        .get("ipmi_address")
        .filter(|address| python::is_truthy(address))
        .ok_or_else(|| {
            DriverInfoError::Missing(
                "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."
                    .to_owned(),
            )
        })?;
    let protocol = parse_protocol(driver_info)?;
    parse_port(driver_info, "ipmi_terminal_port")?;
    let port = parse_port(driver_info, "ipmi_port")?.unwrap_or(IPMI_PORT);
    let bridging = parse_bridging(driver_info)?;
    let privilege = parse_privilege(driver_info)?;
    let kg = parse_kg(driver_info)?;
    let cipher_suite = parse_cipher_suite(driver_info, protocol)?;
    let address = parse_address(node, address)?;
    if let Some(bridging) = bridging {
        return Err(DriverInfoError::Unsupported(format!(
            "Value for ipmi_bridging is provided as {bridging}, but baton does not support IPMI \
             bridging. Give the node a BMC address that can be reached directly and remove \
             ipmi_bridging."
        )));
    }
    let username = text_of(driver_info, "ipmi_username").unwrap_or_default();
    if username.len() > USERNAME_BYTES_MAX {
        return Err(DriverInfoError::Invalid(format!(
            "ipmi_username is longer than {USERNAME_BYTES_MAX} bytes, the most that IPMI allows"
        )));
    }
    let password = text_of(driver_info, "ipmi_password").unwrap_or_default();
    let password_max = match protocol {
        IpmiProtocol::V1_5 => PASSWORD_1_5_BYTES_MAX,
        IpmiProtocol::V2_0 => PASSWORD_BYTES_MAX,
    };
    if password.len() > password_max {
        return Err(DriverInfoError::Invalid(format!(
            "ipmi_password is longer than {password_max} bytes, the most that this version of \
             IPMI allows"
        )));
    }
    Ok(IpmiTarget {
        address,
        port,
        username,
        password: Secret::new(password),
        privilege,
        protocol,
        cipher_suite,
        kg,
        keep_boot: driver_info.get("ipmi_disable_boot_timeout").map(|value| {
            python::is_truthy(value)
                && !matches!(value.as_str(), Some("false" | "False" | "no" | "0"))
        }),
    })
}

/// A credential as text; numbers are taken as they are written, and null is unset.
fn text_of(driver_info: &Map<String, Value>, key: &str) -> Option<Box<str>> {
    driver_info
        .get(key)
        .filter(|value| python::is_truthy(value) || value.is_number())
        .map(|value| python::display(value).into_boxed_str())
}

/// A value as it appears in a message.
fn shown(value: &Value) -> String {
    python::display(value)
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect()
}

fn parse_protocol(driver_info: &Map<String, Value>) -> Result<IpmiProtocol, DriverInfoError> {
    let Some(value) = driver_info.get("ipmi_protocol_version") else {
        return Ok(IpmiProtocol::V2_0);
    };
    match python::display(value).as_str() {
        "2.0" => Ok(IpmiProtocol::V2_0),
        "1.5" => Ok(IpmiProtocol::V1_5),
        _ => Err(DriverInfoError::Invalid(format!(
            "Invalid IPMI protocol version value {}, the valid value can be one of 2.0, 1.5",
            shown(value)
        ))),
    }
}

fn parse_port(driver_info: &Map<String, Value>, key: &str) -> Result<Option<u16>, DriverInfoError> {
    match driver_info.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => python_int(value)
            .and_then(|port| u16::try_from(port).ok())
            .map(Some)
            .ok_or_else(|| {
                DriverInfoError::Invalid(format!("{key} \"{}\" is not a valid port.", shown(value)))
            }),
    }
}

/// `int(value)` of Python as far as ports and cipher suites go; `None` where it raises.
fn python_int(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(flag) => Some(i64::from(*flag)),
        Value::Number(number) => number.as_i64().or_else(|| {
            let whole = number.as_f64()?.trunc();
            // Far above any port or suite, far below where f64 loses integers.
            (whole.abs() < 1e9).then(|| format!("{whole:.0}").parse().ok())?
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `None` without bridging; otherwise its kind, once all that it needs is there.
fn parse_bridging(
    driver_info: &Map<String, Value>,
) -> Result<Option<&'static str>, DriverInfoError> {
    const SINGLE: &[&str] = &["ipmi_target_channel", "ipmi_target_address"];
    const DUAL: &[&str] = &[
        "ipmi_target_channel",
        "ipmi_target_address",
        "ipmi_transit_channel",
        "ipmi_transit_address",
    ];
    let Some(value) = driver_info.get("ipmi_bridging") else {
        return Ok(None);
    };
    let (bridging, needed) = match value.as_str() {
        Some("no") => return Ok(None),
        Some("single") => ("single", SINGLE),
        Some("dual") => ("dual", DUAL),
        Some(_) | None => {
            return Err(DriverInfoError::Invalid(format!(
                "Invalid value for ipmi_bridging: {}, the valid value can be one of: ['single', \
                 'dual', 'no']",
                shown(value)
            )));
        }
    };
    let missing: Vec<String> = needed
        .iter()
        .filter(|key| driver_info.get(**key).is_none_or(Value::is_null))
        .map(|key| format!("'{key}'"))
        .collect();
    if missing.is_empty() {
        Ok(Some(bridging))
    } else {
        Err(DriverInfoError::Missing(format!(
            "[{}] not provided",
            missing.join(", ")
        )))
    }
}

fn parse_privilege(driver_info: &Map<String, Value>) -> Result<Privilege, DriverInfoError> {
    let Some(value) = driver_info.get("ipmi_priv_level") else {
        return Ok(Privilege::Administrator);
    };
    match value.as_str() {
        Some("ADMINISTRATOR") => Ok(Privilege::Administrator),
        Some("CALLBACK") => Ok(Privilege::Callback),
        Some("OPERATOR") => Ok(Privilege::Operator),
        Some("USER") => Ok(Privilege::User),
        Some(_) | None => Err(DriverInfoError::Invalid(format!(
            "Invalid privilege level value:{}, the valid value can be one of ADMINISTRATOR, \
             CALLBACK, OPERATOR, USER",
            shown(value)
        ))),
    }
}

/// `ipmi_hex_kg_key`. The key is a secret, so no message repeats it.
fn parse_kg(
    driver_info: &Map<String, Value>,
) -> Result<Option<Secret<Box<[u8]>>>, DriverInfoError> {
    let Some(text) = text_of(driver_info, "ipmi_hex_kg_key") else {
        return Ok(None);
    };
    if text.chars().count() % 2 != 0 {
        return Err(DriverInfoError::Invalid(
            "Number of ipmi_hex_kg_key characters is not even".to_owned(),
        ));
    }
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|value| u8::try_from(value).ok())
        })
        .collect();
    let key = digits
        .map(|digits| -> Box<[u8]> {
            digits
                .chunks_exact(2)
                .map(|pair| pair.iter().fold(0, |byte: u8, digit| (byte << 4) | digit))
                .collect()
        })
        .filter(|key| key.as_ref().len() <= PASSWORD_BYTES_MAX);
    match key {
        Some(key) => Ok(Some(Secret::new(key))),
        None => Err(DriverInfoError::Invalid(format!(
            "ipmi_hex_kg_key must be at most {} hexadecimal digits",
            2 * PASSWORD_BYTES_MAX
        ))),
    }
}

fn parse_cipher_suite(
    driver_info: &Map<String, Value>,
    protocol: IpmiProtocol,
) -> Result<Option<CipherSuite>, DriverInfoError> {
    let value = match driver_info.get("ipmi_cipher_suite") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(value) => value,
    };
    let number = python_int(value).ok_or_else(|| {
        DriverInfoError::Invalid(format!(
            "Invalid cipher suite {}, expected a number",
            shown(value)
        ))
    })?;
    match (protocol, number) {
        (IpmiProtocol::V1_5, _) => Err(DriverInfoError::Invalid(
            "Cipher suites cannot be used with IPMI 1.5".to_owned(),
        )),
        (IpmiProtocol::V2_0, 3) => Ok(Some(CipherSuite::Three)),
        (IpmiProtocol::V2_0, 17) => Ok(Some(CipherSuite::Seventeen)),
        (IpmiProtocol::V2_0, other) => Err(DriverInfoError::Unsupported(format!(
            "Cipher suite {other} is not supported: baton speaks 3 (SHA1) and 17 (SHA256), both \
             with encryption. Set ipmi_cipher_suite to one of them, or remove it to let baton \
             choose."
        ))),
    }
}

/// An IP address, or a lower-case name of RFC 3986 unreserved characters.
fn parse_address(node: NodeId, value: &Value) -> Result<Box<str>, DriverInfoError> {
    let text = python::display(value);
    let is_name = text.len() <= ADDRESS_BYTES_MAX
        && text.bytes().all(|byte| {
            byte.is_ascii_lowercase()
                || byte.is_ascii_digit()
                || matches!(byte, b'-' | b'.' | b'_' | b'~')
        });
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text.into_boxed_str());
    }
    Err(DriverInfoError::Invalid(format!(
        "Invalid IPMI address \"{}\" for node {node}. Must be a valid IP address or hostname.",
        shown(value)
    )))
}

#[cfg(test)]
mod tests;
