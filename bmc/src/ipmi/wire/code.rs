//! The two families of result codes: completion codes of IPMI messages and status codes of RMCP+ and RAKP.

use std::fmt;

/// The first byte of every IPMI response (§5.2, table 5-2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CompletionCode(pub u8);

impl CompletionCode {
    /// Command completed normally.
    pub const OK: Self = Self(0x00);
    /// Activate Session, Get Session Challenge: invalid user name (§22.16, §22.17 use 81h, 82h).
    pub const INVALID_USER: Self = Self(0x81);
    /// Close Session: invalid session id in request (§22.19).
    pub const INVALID_SESSION_ID: Self = Self(0x87);
    /// Node busy.
    pub const NODE_BUSY: Self = Self(0xC0);
    /// Invalid or unsupported command.
    pub const INVALID_COMMAND: Self = Self(0xC1);
    /// Command invalid for the given LUN.
    pub const INVALID_LUN: Self = Self(0xC2);
    /// Timeout while processing the command.
    pub const TIMEOUT: Self = Self(0xC3);
    /// Out of space.
    pub const OUT_OF_SPACE: Self = Self(0xC4);
    /// Request data length invalid.
    pub const LENGTH_INVALID: Self = Self(0xC7);
    /// Parameter out of range.
    pub const OUT_OF_RANGE: Self = Self(0xC9);
    /// Invalid data field in request.
    pub const INVALID_FIELD: Self = Self(0xCC);
    /// Command response could not be provided: SDR repository in update mode, device in firmware update mode.
    pub const FIRMWARE_UPDATE: Self = Self(0xD1);
    /// Command response could not be provided: BMC initialization in progress.
    pub const INITIALIZING: Self = Self(0xD2);
    /// Insufficient privilege level or other security restriction.
    pub const INSUFFICIENT_PRIVILEGE: Self = Self(0xD4);
    /// Command not supported in present state.
    pub const WRONG_STATE: Self = Self(0xD5);
    /// Unspecified error.
    pub const UNSPECIFIED: Self = Self(0xFF);

    /// Whether the BMC says "not now": asking again later makes sense.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        matches!(
            self,
            Self::NODE_BUSY
                | Self::TIMEOUT
                | Self::OUT_OF_SPACE
                | Self::FIRMWARE_UPDATE
                | Self::INITIALIZING
        )
    }

    /// The specification's words, as `ipmitool` users know them; empty for codes it does not name.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self.0 {
            0x00 => "command completed normally",
            0xC0 => "Node busy",
            0xC1 => "Invalid command",
            0xC2 => "Invalid command on LUN",
            0xC3 => "Timeout",
            0xC4 => "Out of space",
            0xC5 => "Reservation cancelled or invalid",
            0xC6 => "Request data truncated",
            0xC7 => "Request data length invalid",
            0xC8 => "Request data field length limit exceeded",
            0xC9 => "Parameter out of range",
            0xCA => "Cannot return number of requested data bytes",
            0xCB => "Requested sensor, data, or record not found",
            0xCC => "Invalid data field in request",
            0xCD => "Command illegal for specified sensor or record type",
            0xCE => "Command response could not be provided",
            0xCF => "Cannot execute duplicated request",
            0xD0 => "SDR Repository in update mode",
            0xD1 => "Device firmware in update mode",
            0xD2 => "BMC initialization in progress",
            0xD3 => "Destination unavailable",
            0xD4 => "Insufficient privilege level",
            0xD5 => "Command not supported in present state",
            0xD6 => "Cannot execute command, command disabled",
            0xFF => "Unspecified error",
            _ => "",
        }
    }
}

impl fmt::Display for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            "" => write!(f, "completion code {:02X}h", self.0),
            text => write!(f, "{text} ({:02X}h)", self.0),
        }
    }
}

impl fmt::Debug for CompletionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Status of an RMCP+ or RAKP message (§13.24, table 13-15).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RmcpStatus(pub u8);

impl RmcpStatus {
    /// No errors.
    pub const OK: Self = Self(0x00);
    /// Insufficient resources to create a session.
    pub const NO_RESOURCES: Self = Self(0x01);
    /// Invalid session id.
    pub const INVALID_SESSION_ID: Self = Self(0x02);
    /// Invalid authentication algorithm.
    pub const INVALID_AUTHENTICATION: Self = Self(0x04);
    /// Invalid integrity algorithm.
    pub const INVALID_INTEGRITY: Self = Self(0x05);
    /// No matching authentication payload.
    pub const NO_AUTHENTICATION: Self = Self(0x06);
    /// No matching integrity payload.
    pub const NO_INTEGRITY: Self = Self(0x07);
    /// Inactive session id.
    pub const INACTIVE_SESSION_ID: Self = Self(0x08);
    /// Invalid role.
    pub const INVALID_ROLE: Self = Self(0x09);
    /// Unauthorized role or privilege level requested.
    pub const UNAUTHORIZED_ROLE: Self = Self(0x0A);
    /// Insufficient resources to create a session at the requested role.
    pub const NO_RESOURCES_FOR_ROLE: Self = Self(0x0B);
    /// Invalid name length.
    pub const INVALID_NAME_LENGTH: Self = Self(0x0C);
    /// Unauthorized name.
    pub const UNAUTHORIZED_NAME: Self = Self(0x0D);
    /// Unauthorized GUID.
    pub const UNAUTHORIZED_GUID: Self = Self(0x0E);
    /// Invalid integrity check value: what a BMC says in RAKP 4 to a wrong password.
    pub const INVALID_CHECK_VALUE: Self = Self(0x0F);
    /// Invalid confidentiality algorithm.
    pub const INVALID_CONFIDENTIALITY: Self = Self(0x10);
    /// No cipher suite match with proposed security algorithms.
    pub const NO_CIPHER_SUITE: Self = Self(0x11);
    /// Illegal or unrecognized parameter.
    pub const ILLEGAL_PARAMETER: Self = Self(0x12);

    /// Whether a different cipher suite may fare better. `invalid role` is among them because some BMCs answer it to
    /// a suite that the asked privilege level may not use; Ironic treats it alike.
    #[must_use]
    pub const fn is_cipher_refusal(self) -> bool {
        matches!(
            self,
            Self::INVALID_AUTHENTICATION
                | Self::INVALID_INTEGRITY
                | Self::NO_AUTHENTICATION
                | Self::NO_INTEGRITY
                | Self::INVALID_ROLE
                | Self::INVALID_CONFIDENTIALITY
                | Self::NO_CIPHER_SUITE
                | Self::ILLEGAL_PARAMETER
        )
    }

    /// Whether the BMC merely has no room.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        matches!(self, Self::NO_RESOURCES | Self::NO_RESOURCES_FOR_ROLE)
    }

    /// The words that `ipmitool` prints, which operators search for and Ironic matches.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self.0 {
            0x00 => "no errors",
            0x01 => "insufficient resources for session",
            0x02 => "invalid session ID",
            0x03 => "invalid payload type",
            0x04 => "invalid authentication algorithm",
            0x05 => "invalid integrity algorithm",
            0x06 => "no matching authentication algorithm",
            0x07 => "no matching integrity payload",
            0x08 => "inactive session ID",
            0x09 => "invalid role",
            0x0A => "unauthorized role or privilege level requested",
            0x0B => "insufficient resources for role",
            0x0C => "invalid name length",
            0x0D => "unauthorized name",
            0x0E => "unauthorized GUID",
            0x0F => "invalid integrity check value",
            0x10 => "invalid confidentiality algorithm",
            0x11 => "no matching cipher suite",
            0x12 => "illegal parameter",
            _ => "unknown RMCP+ status",
        }
    }
}

impl fmt::Display for RmcpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0x00..=0x12 => f.write_str(self.text()),
            code => write!(f, "{} {code:02X}h", self.text()),
        }
    }
}

impl fmt::Debug for RmcpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
