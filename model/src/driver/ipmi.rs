//! `driver_info` of the `ipmitool` power interface. Keys, order of checks and texts: Ironic
//! `ironic/drivers/modules/ipmitool.py` (`_parse_driver_info`).

use crate::secret::Secret;

/// The UDP port of RMCP (IPMI 2.0 §13.1.1).
pub const IPMI_PORT: u16 = 623;

/// Privilege level asked for when the session opens (IPMI 2.0 §22.15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
}
