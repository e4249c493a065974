//! The commands that baton sends and its simulator answers, typed in both directions.
//!
//! Response types decode what a BMC sends and encode what the simulator sends. Decoders take longer answers than the
//! specification asks for (vendors append) and refuse shorter ones.

use super::WireError;
use super::boot::{BOOT_FLAGS, BootOption};
use super::code::CompletionCode;
use super::message::NetFn;
use super::packet::AuthType;
use super::raw::{RAW_DATA_MAX, RawCommand};
use super::reader::Reader;
use baton_model::driver::ipmi::Privilege;

/// Wire numbers of privilege levels (§6.8; table 22-15 Get Channel Authentication Capabilities).
pub trait PrivilegeNumber: Sized {
    /// The wire number.
    fn number(self) -> u8;
    /// The meaning of a wire number.
    fn from_number(number: u8) -> Option<Self>;
}

impl PrivilegeNumber for Privilege {
    fn number(self) -> u8 {
        match self {
            Self::Callback => 1,
            Self::User => 2,
            Self::Operator => 3,
            Self::Administrator => 4,
        }
    }

    fn from_number(number: u8) -> Option<Self> {
        match number & 0x0F {
            1 => Some(Self::Callback),
            2 => Some(Self::User),
            3 => Some(Self::Operator),
            4 => Some(Self::Administrator),
            _ => None,
        }
    }
}

/// The one data byte of Chassis Control (§28.3, table 28-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlAction {
    /// 0h: power down, hard.
    PowerDown,
    /// 1h: power up.
    PowerUp,
    /// 2h: power cycle.
    PowerCycle,
    /// 3h: hard reset.
    HardReset,
    /// 4h: pulse diagnostic interrupt (NMI).
    PulseDiagnostic,
    /// 5h: soft shutdown by emulating a fatal overtemperature; most systems raise an ACPI power button press.
    SoftShutdown,
}

impl ControlAction {
    /// The wire number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::PowerDown => 0,
            Self::PowerUp => 1,
            Self::PowerCycle => 2,
            Self::HardReset => 3,
            Self::PulseDiagnostic => 4,
            Self::SoftShutdown => 5,
        }
    }

    /// The meaning of a wire number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number & 0x0F {
            0 => Some(Self::PowerDown),
            1 => Some(Self::PowerUp),
            2 => Some(Self::PowerCycle),
            3 => Some(Self::HardReset),
            4 => Some(Self::PulseDiagnostic),
            5 => Some(Self::SoftShutdown),
            _ => None,
        }
    }
}

/// A request, by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Get Channel Authentication Capabilities (§22.13). Needs no session.
    GetAuthCapabilities {
        /// Channel number; Eh is "this channel".
        channel: u8,
        /// Privilege level that will be asked for.
        privilege: Privilege,
        /// Asks for the RMCP+ data as well.
        extended: bool,
    },
    /// Get Channel Cipher Suites (§22.15.1). Needs no session.
    GetCipherSuites {
        /// Channel number.
        channel: u8,
        /// Which 16 bytes of the list.
        index: u8,
    },
    /// Get Session Challenge, IPMI 1.5 (§22.16). Needs no session.
    GetSessionChallenge {
        /// Authentication type to use.
        auth: AuthType,
        /// User name, zero-padded.
        username: [u8; 16],
    },
    /// Activate Session, IPMI 1.5 (§22.17).
    ActivateSession {
        /// Authentication type to use.
        auth: AuthType,
        /// Highest privilege level of the session.
        privilege: Privilege,
        /// The challenge string, echoed.
        challenge: [u8; 16],
        /// First sequence number for packets from the BMC.
        first_sequence: u32,
    },
    /// Set Session Privilege Level (§22.18).
    SetPrivilege(Privilege),
    /// Get Session Privilege Level: Set with 0, which leaves it as it is (§22.18).
    GetPrivilege,
    /// Close Session (§22.19), by the BMC's session id; not only one's own.
    CloseSession(u32),
    /// Get Device ID (§20.1).
    GetDeviceId,
    /// Get System GUID (§22.14). Needs no session.
    GetSystemGuid,
    /// Get Chassis Status (§28.2).
    GetChassisStatus,
    /// Chassis Control (§28.3).
    ChassisControl(ControlAction),
    /// Set System Boot Options (§28.12).
    SetBootOption(BootOption),
    /// Get System Boot Options (§28.13) for the boot flags.
    GetBootFlags,
    /// Anything else, as a user wrote it.
    Raw(RawCommand),
}

const GET_DEVICE_ID: u8 = 0x01;
const GET_SYSTEM_GUID: u8 = 0x37;
const GET_AUTH_CAPABILITIES: u8 = 0x38;
const GET_SESSION_CHALLENGE: u8 = 0x39;
const ACTIVATE_SESSION: u8 = 0x3A;
const SET_PRIVILEGE: u8 = 0x3B;
const CLOSE_SESSION: u8 = 0x3C;
const GET_CIPHER_SUITES: u8 = 0x54;
const GET_CHASSIS_STATUS: u8 = 0x01;
const CHASSIS_CONTROL: u8 = 0x02;
const SET_BOOT_OPTIONS: u8 = 0x08;
const GET_BOOT_OPTIONS: u8 = 0x09;

/// The data of the longest request here, a raw one. Activate Session has 22 bytes.
pub const REQUEST_DATA_MAX: usize = RAW_DATA_MAX;

/// Request data in place, so that no command allocates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestData {
    bytes: [u8; REQUEST_DATA_MAX],
    length: usize,
}

impl RequestData {
    const fn new() -> Self {
        Self {
            bytes: [0; REQUEST_DATA_MAX],
            length: 0,
        }
    }

    fn put(mut self, data: &[u8]) -> Self {
        let end = self.length.saturating_add(data.len());
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(data);
            self.length = end;
        }
        self
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Command {
    /// Network function.
    #[must_use]
    pub const fn netfn(&self) -> NetFn {
        match self {
            Self::GetChassisStatus
            | Self::ChassisControl(_)
            | Self::SetBootOption(_)
            | Self::GetBootFlags => NetFn::CHASSIS,
            Self::GetAuthCapabilities { .. }
            | Self::GetCipherSuites { .. }
            | Self::GetSessionChallenge { .. }
            | Self::ActivateSession { .. }
            | Self::SetPrivilege(_)
            | Self::GetPrivilege
            | Self::CloseSession(_)
            | Self::GetDeviceId
            | Self::GetSystemGuid => NetFn::APP,
            Self::Raw(raw) => raw.netfn,
        }
    }

    /// Command number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::GetAuthCapabilities { .. } => GET_AUTH_CAPABILITIES,
            Self::GetCipherSuites { .. } => GET_CIPHER_SUITES,
            Self::GetSessionChallenge { .. } => GET_SESSION_CHALLENGE,
            Self::ActivateSession { .. } => ACTIVATE_SESSION,
            Self::SetPrivilege(_) | Self::GetPrivilege => SET_PRIVILEGE,
            Self::CloseSession(_) => CLOSE_SESSION,
            Self::GetDeviceId => GET_DEVICE_ID,
            Self::GetSystemGuid => GET_SYSTEM_GUID,
            Self::GetChassisStatus => GET_CHASSIS_STATUS,
            Self::ChassisControl(_) => CHASSIS_CONTROL,
            Self::SetBootOption(_) => SET_BOOT_OPTIONS,
            Self::GetBootFlags => GET_BOOT_OPTIONS,
            Self::Raw(raw) => raw.number,
        }
    }

    /// Request data.
    #[must_use]
    pub fn data(&self) -> RequestData {
        let data = RequestData::new();
        match self {
            Self::GetAuthCapabilities {
                channel,
                privilege,
                extended,
            } => data.put(&[
                (channel & 0x0F) | if *extended { 0x80 } else { 0 },
                privilege.number(),
            ]),
            // Payload type IPMI; list algorithms by cipher suite.
            Self::GetCipherSuites { channel, index } => {
                data.put(&[channel & 0x0F, 0, 0x80 | (index & 0x3F)])
            }
            Self::GetSessionChallenge { auth, username } => {
                data.put(&[auth.number()]).put(username)
            }
            Self::ActivateSession {
                auth,
                privilege,
                challenge,
                first_sequence,
            } => data
                .put(&[auth.number(), privilege.number()])
                .put(challenge)
                .put(&first_sequence.to_le_bytes()),
            Self::SetPrivilege(privilege) => data.put(&[privilege.number()]),
            Self::GetPrivilege => data.put(&[0]),
            Self::CloseSession(id) => data.put(&id.to_le_bytes()),
            Self::GetDeviceId | Self::GetSystemGuid | Self::GetChassisStatus => data,
            Self::ChassisControl(action) => data.put(&[action.number()]),
            Self::SetBootOption(option) => {
                let (bytes, length) = option.data();
                data.put(bytes.get(..length).unwrap_or_default())
            }
            // No set or block selector for this parameter.
            Self::GetBootFlags => data.put(&[BOOT_FLAGS, 0, 0]),
            Self::Raw(raw) => data.put(raw.data()),
        }
    }

    /// Reads a request as a BMC does.
    ///
    /// # Errors
    /// The completion code that a BMC answers: unknown command, data too short, a field with an impossible value.
    pub fn decode(netfn: NetFn, number: u8, data: &[u8]) -> Result<Self, CompletionCode> {
        let mut reader = Reader::new(data, "request data");
        let short = |_: WireError| CompletionCode::LENGTH_INVALID;
        let privilege =
            |number| Privilege::from_number(number).ok_or(CompletionCode::INVALID_FIELD);
        let auth_type =
            |number: u8| AuthType::from_number(number & 0x0F).ok_or(CompletionCode::INVALID_FIELD);
        match (netfn, number) {
            (NetFn::CHASSIS, GET_CHASSIS_STATUS) => Ok(Self::GetChassisStatus),
            (NetFn::CHASSIS, CHASSIS_CONTROL) => {
                ControlAction::from_number(reader.u8().map_err(short)?)
                    .map(Self::ChassisControl)
                    .ok_or(CompletionCode::INVALID_FIELD)
            }
            (NetFn::CHASSIS, SET_BOOT_OPTIONS) => BootOption::decode(data)
                .map(Self::SetBootOption)
                .ok_or(CompletionCode::INVALID_FIELD),
            (NetFn::CHASSIS, GET_BOOT_OPTIONS) => match reader.u8().map_err(short)? & 0x7F {
                BOOT_FLAGS => Ok(Self::GetBootFlags),
                _ => Err(CompletionCode::INVALID_FIELD),
            },
            (NetFn::APP, GET_DEVICE_ID) => Ok(Self::GetDeviceId),
            (NetFn::APP, GET_SYSTEM_GUID) => Ok(Self::GetSystemGuid),
            (NetFn::APP, GET_AUTH_CAPABILITIES) => {
                let [channel, level] = reader.array().map_err(short)?;
                Ok(Self::GetAuthCapabilities {
                    channel: channel & 0x0F,
                    privilege: privilege(level)?,
                    extended: channel & 0x80 != 0,
                })
            }
            (NetFn::APP, GET_CIPHER_SUITES) => {
                let [channel, _payload, index] = reader.array().map_err(short)?;
                Ok(Self::GetCipherSuites {
                    channel: channel & 0x0F,
                    index: index & 0x3F,
                })
            }
            (NetFn::APP, GET_SESSION_CHALLENGE) => Ok(Self::GetSessionChallenge {
                auth: auth_type(reader.u8().map_err(short)?)?,
                username: reader.array().map_err(short)?,
            }),
            (NetFn::APP, ACTIVATE_SESSION) => {
                let [auth, level] = reader.array().map_err(short)?;
                Ok(Self::ActivateSession {
                    auth: auth_type(auth)?,
                    privilege: privilege(level)?,
                    challenge: reader.array().map_err(short)?,
                    first_sequence: reader.u32().map_err(short)?,
                })
            }
            (NetFn::APP, SET_PRIVILEGE) => match reader.u8().map_err(short)? & 0x0F {
                0 => Ok(Self::GetPrivilege),
                level => Ok(Self::SetPrivilege(privilege(level)?)),
            },
            (NetFn::APP, CLOSE_SESSION) => Ok(Self::CloseSession(reader.u32().map_err(short)?)),
            _ => Err(CompletionCode::INVALID_COMMAND),
        }
    }
}

/// Response to Get Channel Authentication Capabilities (§22.13, table 22-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthCapabilities {
    /// Channel number that was meant.
    pub channel: u8,
    /// Bit per IPMI 1.5 authentication type: bit `n` is type number `n`.
    pub auth_types: u8,
    /// Login options: bit 5 K_G is set, bit 4 no per-message authentication, bit 3 no user level authentication,
    /// bit 2 named users, bit 1 null users, bit 0 anonymous login.
    pub login: u8,
    /// The channel speaks IPMI 2.0 RMCP+.
    pub rmcp_plus: bool,
    /// The channel speaks IPMI 1.5.
    pub v15: bool,
}

impl AuthCapabilities {
    /// Per-message authentication is switched off: only the activation is authenticated.
    #[must_use]
    pub const fn per_message_disabled(&self) -> bool {
        self.login & 0x10 != 0
    }

    /// Whether the BMC offers `auth`.
    #[must_use]
    pub const fn offers(&self, auth: AuthType) -> bool {
        self.auth_types & 1u8.wrapping_shl(auth.number() as u32) != 0
    }

    /// The response data.
    #[must_use]
    pub const fn encode(&self) -> [u8; 8] {
        let extended = if self.rmcp_plus { 0x80 } else { 0 };
        let versions = if self.rmcp_plus { 0x02 } else { 0 } | if self.v15 { 0x01 } else { 0 };
        [
            self.channel,
            (self.auth_types & 0x3F) | extended,
            self.login,
            versions,
            0,
            0,
            0,
            0,
        ]
    }

    /// Reads response data.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(data, "Get Channel Authentication Capabilities response");
        let [channel, types, login] = reader.array()?;
        let extended = types & 0x80 != 0;
        let versions = reader.u8().unwrap_or(0);
        Ok(Self {
            channel: channel & 0x0F,
            auth_types: types & 0x3F,
            login,
            rmcp_plus: extended && versions & 0x02 != 0,
            v15: !extended || versions & 0x01 != 0,
        })
    }
}

/// Response to Get Session Challenge (§22.16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionChallenge {
    /// Temporary session id, used in the Activate Session request.
    pub session: u32,
    /// Challenge string.
    pub challenge: [u8; 16],
}

impl SessionChallenge {
    /// The response data.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(20);
        data.extend_from_slice(&self.session.to_le_bytes());
        data.extend_from_slice(&self.challenge);
        data
    }

    /// Reads response data.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(data, "Get Session Challenge response");
        Ok(Self {
            session: reader.u32()?,
            challenge: reader.array()?,
        })
    }
}

/// Response to Activate Session (§22.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionActivated {
    /// Authentication type of the rest of the session.
    pub auth: AuthType,
    /// The session's id.
    pub session: u32,
    /// First sequence number for packets to the BMC.
    pub first_sequence: u32,
    /// Highest privilege level of the session.
    pub privilege: Privilege,
}

impl SessionActivated {
    /// The response data.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut data = Vec::with_capacity(10);
        data.push(self.auth.number());
        data.extend_from_slice(&self.session.to_le_bytes());
        data.extend_from_slice(&self.first_sequence.to_le_bytes());
        data.push(self.privilege.number());
        data
    }

    /// Reads response data.
    ///
    /// # Errors
    /// Too short or with a reserved value.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(data, "Activate Session response");
        Ok(Self {
            auth: AuthType::from_number(reader.u8()? & 0x0F)
                .ok_or(WireError::Malformed("authentication type"))?,
            session: reader.u32()?,
            first_sequence: reader.u32()?,
            privilege: Privilege::from_number(reader.u8()?)
                .ok_or(WireError::Malformed("privilege level"))?,
        })
    }
}

/// Reads the level in a Set Session Privilege Level response (§22.18).
///
/// # Errors
/// Empty, or a reserved level.
pub fn decode_privilege(data: &[u8]) -> Result<Privilege, WireError> {
    let level = Reader::new(data, "Set Session Privilege Level response").u8()?;
    Privilege::from_number(level).ok_or(WireError::Malformed("privilege level"))
}

/// Response to Get Chassis Status (§28.2, table 28-3), as far as power goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChassisStatus {
    /// System power is on.
    pub power_on: bool,
    /// Shut down because of power overload.
    pub overload: bool,
    /// Shut down by the power interlock.
    pub interlock: bool,
    /// Fault in the main power subsystem.
    pub power_fault: bool,
    /// The controller could not do the last power command.
    pub control_fault: bool,
    /// Power restore policy, 0 off, 1 previous, 2 on, 3 unknown.
    pub restore_policy: u8,
}

impl ChassisStatus {
    /// The response data.
    #[must_use]
    pub const fn encode(&self) -> [u8; 3] {
        let state = (self.power_on as u8)
            | ((self.overload as u8) << 1)
            | ((self.interlock as u8) << 2)
            | ((self.power_fault as u8) << 3)
            | ((self.control_fault as u8) << 4)
            | ((self.restore_policy & 3) << 5);
        [state, 0, 0]
    }

    /// Reads response data.
    ///
    /// # Errors
    /// Shorter than the three mandatory bytes.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let [state, _last_event, _misc] =
            Reader::new(data, "Get Chassis Status response").array()?;
        Ok(Self {
            power_on: state & 0x01 != 0,
            overload: state & 0x02 != 0,
            interlock: state & 0x04 != 0,
            power_fault: state & 0x08 != 0,
            control_fault: state & 0x10 != 0,
            restore_policy: (state >> 5) & 3,
        })
    }
}

/// Response to Get Device ID (§20.1, table 20-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceId {
    /// Device id.
    pub device: u8,
    /// Device revision, 0..15.
    pub revision: u8,
    /// Major firmware revision, 0..127.
    pub firmware_major: u8,
    /// Minor firmware revision as two BCD digits.
    pub firmware_minor: u8,
    /// Firmware update or initialisation in progress.
    pub updating: bool,
    /// Manufacturer, an IANA enterprise number of 20 bits.
    pub manufacturer: u32,
    /// Product id.
    pub product: u16,
}

impl DeviceId {
    /// The response data: the eleven mandatory bytes. IPMI version 2.0; SEL, SDR, sensor and chassis device bits.
    #[must_use]
    pub const fn encode(&self) -> [u8; 11] {
        let [m0, m1, m2, _] = self.manufacturer.to_le_bytes();
        let [p0, p1] = self.product.to_le_bytes();
        [
            self.device,
            self.revision & 0x0F,
            (self.firmware_major & 0x7F) | if self.updating { 0x80 } else { 0 },
            self.firmware_minor,
            0x02,
            0x87,
            m0,
            m1,
            m2 & 0x0F,
            p0,
            p1,
        ]
    }

    /// Reads response data.
    ///
    /// # Errors
    /// Shorter than the eleven mandatory bytes.
    pub fn decode(data: &[u8]) -> Result<Self, WireError> {
        let [
            device,
            revision,
            major,
            minor,
            _version,
            _support,
            m0,
            m1,
            m2,
            p0,
            p1,
        ] = Reader::new(data, "Get Device ID response").array()?;
        Ok(Self {
            device,
            revision: revision & 0x0F,
            firmware_major: major & 0x7F,
            firmware_minor: minor,
            updating: major & 0x80 != 0,
            manufacturer: u32::from_le_bytes([m0, m1, m2 & 0x0F, 0]),
            product: u16::from_le_bytes([p0, p1]),
        })
    }
}
