//! The IPMI message inside a LAN packet: addresses, network function, sequence number, two checksums (§13.8).

use super::code::CompletionCode;
use super::reader::Reader;
use super::{Encode, WireError};

/// Slave address of the BMC (§13.8; table 5-4).
pub const BMC_ADDRESS: u8 = 0x20;
/// Software id of remote console software (§5.5, 40h..46h shifted with bit 0 set).
pub const CONSOLE_ADDRESS: u8 = 0x81;
/// Request sequence numbers have six bits (§13.8).
pub const REQUEST_SEQUENCE_MASK: u8 = 0x3F;

/// Network function of a request; a response has the next odd number (§5.1, table 5-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NetFn(pub u8);

impl NetFn {
    /// Chassis device requests.
    pub const CHASSIS: Self = Self(0x00);
    /// Application requests.
    pub const APP: Self = Self(0x06);
}

/// A request message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Even network function.
    pub netfn: NetFn,
    /// Logical unit of the responder, 0..3.
    pub lun: u8,
    /// Six-bit number that pairs the response with it.
    pub sequence: u8,
    /// Requester's address, [`CONSOLE_ADDRESS`] from us.
    pub requester: u8,
    /// Command number.
    pub command: u8,
    /// Command data.
    pub data: &'a [u8],
}

/// A response message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The network function of the *request* (even); the odd one is on the wire.
    pub netfn: NetFn,
    /// Logical unit that answered.
    pub lun: u8,
    /// Number of the request.
    pub sequence: u8,
    /// The requester's address, echoed.
    pub requester: u8,
    /// Command number of the request.
    pub command: u8,
    /// How it went.
    pub code: CompletionCode,
    /// Data after the completion code.
    pub data: &'a [u8],
}

/// Two's complement of the sum: a block and its checksum add up to zero (§13.8, §5.2.2 of IPMB).
fn checksum(bytes: &[u8]) -> u8 {
    bytes
        .iter()
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte))
        .wrapping_neg()
}

/// Appends `head`, its checksum, the rest of the message and the second checksum.
fn frame(out: &mut Vec<u8>, head: [u8; 2], body: &[u8], data: &[u8]) {
    out.extend_from_slice(&head);
    out.push(checksum(&head));
    out.extend_from_slice(body);
    out.extend_from_slice(data);
    out.push(checksum(body).wrapping_add(checksum(data)));
}

/// Checks both checksums and takes them away.
fn unframe(bytes: &[u8]) -> Result<([u8; 2], &[u8]), WireError> {
    let mut reader = Reader::new(bytes, "IPMI message");
    let head: [u8; 2] = reader.array()?;
    let head_sum = reader.u8()?;
    let rest = reader.rest();
    let (body_sum, body) = rest
        .split_last()
        .ok_or(WireError::Truncated("IPMI message"))?;
    if checksum(&head) != head_sum || checksum(body) != *body_sum {
        return Err(WireError::Checksum);
    }
    Ok((head, body))
}

const fn pack(upper: u8, lun: u8) -> u8 {
    (upper << 2) | (lun & 3)
}

impl Encode for Request<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        frame(
            out,
            [BMC_ADDRESS, pack(self.netfn.0, self.lun)],
            &[self.requester, pack(self.sequence, 0), self.command],
            self.data,
        );
    }
}

impl<'a> Request<'a> {
    /// Reads a request as a BMC does.
    ///
    /// # Errors
    /// Too short, wrong checksums, or an odd network function.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let ([_address, netfn_lun], body) = unframe(bytes)?;
        let netfn = netfn_lun >> 2;
        if netfn & 1 == 1 {
            return Err(WireError::Malformed("network function"));
        }
        let mut reader = Reader::new(body, "IPMI request");
        let [requester, sequence_lun, command] = reader.array()?;
        Ok(Self {
            netfn: NetFn(netfn),
            lun: netfn_lun & 3,
            sequence: sequence_lun >> 2,
            requester,
            command,
            data: reader.rest(),
        })
    }

    /// The response to this request.
    #[must_use]
    pub const fn respond<'b>(&self, code: CompletionCode, data: &'b [u8]) -> Response<'b> {
        Response {
            netfn: self.netfn,
            lun: self.lun,
            sequence: self.sequence,
            requester: self.requester,
            command: self.command,
            code,
            data,
        }
    }
}

impl Encode for Response<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        frame(
            out,
            [self.requester, pack(self.netfn.0 | 1, 0)],
            &[
                BMC_ADDRESS,
                pack(self.sequence, self.lun),
                self.command,
                self.code.0,
            ],
            self.data,
        );
    }
}

impl<'a> Response<'a> {
    /// Reads a response as a console does.
    ///
    /// # Errors
    /// Too short, wrong checksums, or an even network function.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let ([requester, netfn_lun], body) = unframe(bytes)?;
        let netfn = netfn_lun >> 2;
        if netfn & 1 == 0 {
            return Err(WireError::Malformed("network function"));
        }
        let mut reader = Reader::new(body, "IPMI response");
        let [_responder, sequence_lun, command, code] = reader.array()?;
        Ok(Self {
            netfn: NetFn(netfn & !1),
            lun: sequence_lun & 3,
            sequence: sequence_lun >> 2,
            requester,
            command,
            code: CompletionCode(code),
            data: reader.rest(),
        })
    }
}
