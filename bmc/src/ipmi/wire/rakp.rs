//! The messages that open an RMCP+ session: Open Session Request and Response (§13.17, §13.18) and RAKP 1 to 4
//! (§13.20 to §13.23). Layout only; the codes inside are computed in [`super::crypto`].

use super::code::RmcpStatus;
use super::reader::Reader;
use super::{Encode, USERNAME_MAX, WireError};

/// Bit 4 of the role byte: look the user up by name alone (§13.20).
pub const ROLE_NAME_ONLY: u8 = 0x10;

/// The three algorithm numbers of a proposal (tables 13-17, 13-18, 13-19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Algorithms {
    /// 0 none, 1 RAKP-HMAC-SHA1, 2 RAKP-HMAC-MD5, 3 RAKP-HMAC-SHA256.
    pub authentication: u8,
    /// 0 none, 1 HMAC-SHA1-96, 2 HMAC-MD5-128, 3 MD5-128, 4 HMAC-SHA256-128.
    pub integrity: u8,
    /// 0 none, 1 AES-CBC-128, 2 xRC4-128, 3 xRC4-40.
    pub confidentiality: u8,
}

/// A payload of type `kind` is 8 bytes: kind, two reserved, length 8 (0 would mean "any"), algorithm, three reserved.
const ALGORITHM_PAYLOAD: u8 = 8;

impl Algorithms {
    fn encode(self, out: &mut Vec<u8>) {
        for (kind, number) in [
            (0, self.authentication),
            (1, self.integrity),
            (2, self.confidentiality),
        ] {
            out.extend_from_slice(&[kind, 0, 0, ALGORITHM_PAYLOAD, number, 0, 0, 0]);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, WireError> {
        let mut numbers = [0u8; 3];
        for (expected, number) in (0u8..).zip(&mut numbers) {
            let [kind, _, _, _length, algorithm, _, _, _] = reader.array()?;
            if kind != expected {
                return Err(WireError::Malformed("algorithm payload"));
            }
            *number = algorithm & 0x3F;
        }
        let [authentication, integrity, confidentiality] = numbers;
        Ok(Self {
            authentication,
            integrity,
            confidentiality,
        })
    }
}

/// RMCP+ Open Session Request (§13.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRequest {
    /// Pairs the response with it.
    pub tag: u8,
    /// Highest privilege to allow, 0 for "as high as the algorithms permit".
    pub privilege: u8,
    /// Session id that the BMC shall put into packets to the console.
    pub console_id: u32,
    /// The one proposal.
    pub algorithms: Algorithms,
}

impl Encode for OpenRequest {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.tag, self.privilege, 0, 0]);
        out.extend_from_slice(&self.console_id.to_le_bytes());
        self.algorithms.encode(out);
    }
}

impl OpenRequest {
    /// Reads it as a BMC does.
    ///
    /// # Errors
    /// Too short, or algorithm payloads out of order.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "Open Session Request");
        let [tag, privilege, _, _] = reader.array()?;
        Ok(Self {
            tag,
            privilege: privilege & 0x0F,
            console_id: reader.u32()?,
            algorithms: Algorithms::decode(&mut reader)?,
        })
    }
}

/// What a BMC grants in its Open Session Response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenGranted {
    /// Session id that the console shall put into packets to the BMC.
    pub bmc_id: u32,
    /// Highest privilege for the session.
    pub privilege: u8,
    /// What was chosen.
    pub algorithms: Algorithms,
}

/// RMCP+ Open Session Response (§13.18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenResponse {
    /// Tag of the request.
    pub tag: u8,
    /// The console's session id, echoed; 0 in a refusal that does not tell.
    pub console_id: u32,
    /// The grant, or why not.
    pub result: Result<OpenGranted, RmcpStatus>,
}

impl Encode for OpenResponse {
    fn encode(&self, out: &mut Vec<u8>) {
        match self.result {
            Ok(granted) => {
                out.extend_from_slice(&[self.tag, RmcpStatus::OK.0, granted.privilege, 0]);
                out.extend_from_slice(&self.console_id.to_le_bytes());
                out.extend_from_slice(&granted.bmc_id.to_le_bytes());
                granted.algorithms.encode(out);
            }
            // Only the first eight bytes are returned with an error (§13.18).
            Err(status) => {
                out.extend_from_slice(&[self.tag, status.0, 0, 0]);
                out.extend_from_slice(&self.console_id.to_le_bytes());
            }
        }
    }
}

impl OpenResponse {
    /// Reads it as a console does. A refusal may end after the status: OpenIPMI's simulator sends no more.
    ///
    /// # Errors
    /// Too short, or algorithm payloads out of order.
    pub fn decode(payload: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "Open Session Response");
        let [tag, status] = reader.array()?;
        if RmcpStatus(status) != RmcpStatus::OK {
            let console_id = reader.take(2).and_then(|_| reader.u32());
            return Ok(Self {
                tag,
                console_id: console_id.unwrap_or(0),
                result: Err(RmcpStatus(status)),
            });
        }
        let [privilege, _] = reader.array()?;
        Ok(Self {
            tag,
            console_id: reader.u32()?,
            result: Ok(OpenGranted {
                bmc_id: reader.u32()?,
                privilege: privilege & 0x0F,
                algorithms: Algorithms::decode(&mut reader)?,
            }),
        })
    }
}

/// RAKP Message 1 (§13.20): the console names itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rakp1<'a> {
    /// Pairs the answer with it.
    pub tag: u8,
    /// The BMC's session id.
    pub bmc_id: u32,
    /// The console's random number.
    pub console_random: [u8; 16],
    /// Requested privilege in bits 3:0, [`ROLE_NAME_ONLY`]. The whole byte goes into the hashes.
    pub role: u8,
    /// User name, at most [`USERNAME_MAX`] bytes.
    pub username: &'a [u8],
}

impl Encode for Rakp1<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let username = self.username.get(..USERNAME_MAX).unwrap_or(self.username);
        out.extend_from_slice(&[self.tag, 0, 0, 0]);
        out.extend_from_slice(&self.bmc_id.to_le_bytes());
        out.extend_from_slice(&self.console_random);
        let length = u8::try_from(username.len()).unwrap_or(0);
        out.extend_from_slice(&[self.role, 0, 0, length]);
        out.extend_from_slice(username);
    }
}

impl<'a> Rakp1<'a> {
    /// Reads it as a BMC does.
    ///
    /// # Errors
    /// Too short, or a user name longer than [`USERNAME_MAX`].
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "RAKP 1");
        let [tag, _, _, _] = reader.array()?;
        let bmc_id = reader.u32()?;
        let console_random = reader.array()?;
        let [role, _, _, length] = reader.array()?;
        if usize::from(length) > USERNAME_MAX {
            return Err(WireError::Malformed("user name length"));
        }
        Ok(Self {
            tag,
            bmc_id,
            console_random,
            role,
            username: reader.take(usize::from(length))?,
        })
    }
}

/// The BMC's half of the key exchange, from RAKP Message 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rakp2Granted<'a> {
    /// The BMC's random number.
    pub bmc_random: [u8; 16],
    /// The BMC's GUID.
    pub guid: [u8; 16],
    /// Key exchange authentication code.
    pub code: &'a [u8],
}

/// RAKP Message 2 (§13.21): the BMC proves that it knows the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rakp2<'a> {
    /// Tag of RAKP 1.
    pub tag: u8,
    /// The console's session id.
    pub console_id: u32,
    /// The BMC's half, or why not.
    pub result: Result<Rakp2Granted<'a>, RmcpStatus>,
}

impl Encode for Rakp2<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let status = self.result.err().unwrap_or(RmcpStatus::OK);
        out.extend_from_slice(&[self.tag, status.0, 0, 0]);
        out.extend_from_slice(&self.console_id.to_le_bytes());
        if let Ok(granted) = self.result {
            out.extend_from_slice(&granted.bmc_random);
            out.extend_from_slice(&granted.guid);
            out.extend_from_slice(granted.code);
        }
    }
}

impl<'a> Rakp2<'a> {
    /// Reads it as a console does.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "RAKP 2");
        let [tag, status, _, _] = reader.array()?;
        let console_id = reader.u32()?;
        let result = match RmcpStatus(status) {
            RmcpStatus::OK => Ok(Rakp2Granted {
                bmc_random: reader.array()?,
                guid: reader.array()?,
                code: reader.rest(),
            }),
            refusal => Err(refusal),
        };
        Ok(Self {
            tag,
            console_id,
            result,
        })
    }
}

/// RAKP Message 3 (§13.22): the console proves that it knows the password, or gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rakp3<'a> {
    /// Pairs the answer with it.
    pub tag: u8,
    /// The BMC's session id.
    pub bmc_id: u32,
    /// Key exchange authentication code, or the reason for giving up (which ends the half-open session).
    pub result: Result<&'a [u8], RmcpStatus>,
}

impl Encode for Rakp3<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let status = self.result.err().unwrap_or(RmcpStatus::OK);
        out.extend_from_slice(&[self.tag, status.0, 0, 0]);
        out.extend_from_slice(&self.bmc_id.to_le_bytes());
        out.extend_from_slice(self.result.unwrap_or_default());
    }
}

impl<'a> Rakp3<'a> {
    /// Reads it as a BMC does.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "RAKP 3");
        let [tag, status, _, _] = reader.array()?;
        let bmc_id = reader.u32()?;
        let result = match RmcpStatus(status) {
            RmcpStatus::OK => Ok(reader.rest()),
            refusal => Err(refusal),
        };
        Ok(Self {
            tag,
            bmc_id,
            result,
        })
    }
}

/// RAKP Message 4 (§13.23): the session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rakp4<'a> {
    /// Tag of RAKP 3.
    pub tag: u8,
    /// The console's session id.
    pub console_id: u32,
    /// Integrity check value, or why not.
    pub result: Result<&'a [u8], RmcpStatus>,
}

impl Encode for Rakp4<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        let status = self.result.err().unwrap_or(RmcpStatus::OK);
        out.extend_from_slice(&[self.tag, status.0, 0, 0]);
        out.extend_from_slice(&self.console_id.to_le_bytes());
        out.extend_from_slice(self.result.unwrap_or_default());
    }
}

impl<'a> Rakp4<'a> {
    /// Reads it as a console does.
    ///
    /// # Errors
    /// Too short.
    pub fn decode(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(payload, "RAKP 4");
        let [tag, status, _, _] = reader.array()?;
        let console_id = reader.u32()?;
        let result = match RmcpStatus(status) {
            RmcpStatus::OK => Ok(reader.rest()),
            refusal => Err(refusal),
        };
        Ok(Self {
            tag,
            console_id,
            result,
        })
    }
}
