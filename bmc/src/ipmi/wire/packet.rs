//! The datagram's outside: the RMCP header, then an IPMI 1.5 or RMCP+ session header (§13.1.3, §13.6).
//!
//! [`decode`] takes a datagram apart without judging it; integrity and confidentiality of RMCP+ packets are checked
//! by [`super::crypto::SessionKeys::open`], which alone knows the keys.

use super::reader::Reader;
use super::{DATAGRAM_MAX, Encode, WireError};

/// Version 1.0, reserved, sequence number 255 (no RMCP acknowledge), class IPMI (§13.1.3, table 13-6).
pub const RMCP_HEADER: [u8; 4] = [0x06, 0x00, 0xFF, 0x07];
/// RMCP class of ASF messages (presence ping).
const RMCP_CLASS_ASF: u8 = 0x06;
/// RMCP class of IPMI messages.
const RMCP_CLASS_IPMI: u8 = 0x07;
/// Set in the payload type byte: the payload is encrypted (§13.6, table 13-8).
const ENCRYPTED: u8 = 0x80;
/// Set in the payload type byte: the packet carries an integrity trailer.
const AUTHENTICATED: u8 = 0x40;
/// The authentication type that says "RMCP+ format" (§13.6).
pub(super) const FORMAT_RMCP_PLUS: u8 = 0x06;

/// Authentication type of an IPMI 1.5 session header (§13.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthType {
    /// No authentication code.
    None,
    /// Keyed MD2. baton decodes the header and never uses it.
    Md2,
    /// Keyed MD5.
    Md5,
    /// The password itself.
    Password,
    /// Whatever the vendor likes.
    Oem,
}

impl AuthType {
    /// The wire number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Md2 => 1,
            Self::Md5 => 2,
            Self::Password => 4,
            Self::Oem => 5,
        }
    }

    /// The meaning of a wire number; `None` for reserved ones and RMCP+.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::None),
            1 => Some(Self::Md2),
            2 => Some(Self::Md5),
            4 => Some(Self::Password),
            5 => Some(Self::Oem),
            _ => None,
        }
    }
}

/// What an RMCP+ packet carries (§13.27.3, table 13-16).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PayloadType {
    /// An IPMI message.
    Ipmi,
    /// RMCP+ Open Session Request.
    OpenRequest,
    /// RMCP+ Open Session Response.
    OpenResponse,
    /// RAKP Message 1.
    Rakp1,
    /// RAKP Message 2.
    Rakp2,
    /// RAKP Message 3.
    Rakp3,
    /// RAKP Message 4.
    Rakp4,
    /// Anything else (serial over LAN, OEM), by its six-bit number.
    Other(u8),
}

impl PayloadType {
    /// The wire number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ipmi => 0x00,
            Self::OpenRequest => 0x10,
            Self::OpenResponse => 0x11,
            Self::Rakp1 => 0x12,
            Self::Rakp2 => 0x13,
            Self::Rakp3 => 0x14,
            Self::Rakp4 => 0x15,
            Self::Other(number) => number & 0x3F,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0x00 => Self::Ipmi,
            0x10 => Self::OpenRequest,
            0x11 => Self::OpenResponse,
            0x12 => Self::Rakp1,
            0x13 => Self::Rakp2,
            0x14 => Self::Rakp3,
            0x15 => Self::Rakp4,
            other => Self::Other(other),
        }
    }
}

/// A packet with an IPMI 1.5 session header (§13.6, table 13-8 left column).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet15<'a> {
    /// Authentication type.
    pub auth: AuthType,
    /// Session sequence number.
    pub sequence: u32,
    /// Session id, 0 outside of a session.
    pub session: u32,
    /// Authentication code, present unless `auth` is `None`.
    pub code: Option<[u8; 16]>,
    /// The IPMI message.
    pub payload: &'a [u8],
}

/// A packet with an RMCP+ session header (§13.6, table 13-8 right column).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet20<'a> {
    /// What the payload is.
    pub kind: PayloadType,
    /// Whether the payload is encrypted.
    pub encrypted: bool,
    /// Whether an integrity trailer follows.
    pub authenticated: bool,
    /// The *receiver's* session id, 0 outside of a session.
    pub session: u32,
    /// Session sequence number.
    pub sequence: u32,
    /// The payload, still encrypted if `encrypted`.
    pub payload: &'a [u8],
    /// Everything from the authentication type to the end of the datagram: what the integrity code covers, and then
    /// the code.
    pub(super) covered: &'a [u8],
}

/// A datagram taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// IPMI 1.5 format.
    V15(Packet15<'a>),
    /// RMCP+ format.
    V20(Packet20<'a>),
    /// An ASF message, such as a presence ping or pong (§13.2.3); the bytes after the RMCP header.
    Asf(&'a [u8]),
}

/// Takes a datagram apart.
///
/// # Errors
/// Not RMCP, cut short, longer than [`DATAGRAM_MAX`], or with a length field that its bytes do not match.
pub fn decode(datagram: &[u8]) -> Result<Packet<'_>, WireError> {
    if datagram.len() > DATAGRAM_MAX {
        return Err(WireError::Malformed("datagram length"));
    }
    let mut reader = Reader::new(datagram, "RMCP header");
    let [version, _reserved, _sequence, class] = reader.array()?;
    if version != 0x06 {
        return Err(WireError::Malformed("RMCP version"));
    }
    let covered = reader.rest();
    match class {
        RMCP_CLASS_IPMI => {}
        RMCP_CLASS_ASF => return Ok(Packet::Asf(covered)),
        _ => return Err(WireError::Malformed("RMCP class")),
    }
    match covered.first() {
        Some(&FORMAT_RMCP_PLUS) => decode_v20(covered).map(Packet::V20),
        Some(_) => decode_v15(covered).map(Packet::V15),
        None => Err(WireError::Truncated("session header")),
    }
}

fn decode_v15(bytes: &[u8]) -> Result<Packet15<'_>, WireError> {
    let mut reader = Reader::new(bytes, "IPMI 1.5 session header");
    let auth = AuthType::from_number(reader.u8()? & 0x0F)
        .ok_or(WireError::Malformed("authentication type"))?;
    let sequence = reader.u32()?;
    let session = reader.u32()?;
    let code = match auth {
        AuthType::None => None,
        AuthType::Md2 | AuthType::Md5 | AuthType::Password | AuthType::Oem => Some(reader.array()?),
    };
    let length = reader.u8()?;
    // A legacy pad byte may follow the payload (§13.6, note on packet sizes), so more bytes are no error.
    let payload = reader.take(usize::from(length))?;
    Ok(Packet15 {
        auth,
        sequence,
        session,
        code,
        payload,
    })
}

fn decode_v20(covered: &[u8]) -> Result<Packet20<'_>, WireError> {
    let mut reader = Reader::new(covered, "RMCP+ session header");
    let [_format, kind] = reader.array()?;
    let type_number = kind & 0x3F;
    if type_number == 0x02 {
        // OEM explicit: IANA and payload id come before the session id.
        reader.take(6)?;
    }
    let session = reader.u32()?;
    let sequence = reader.u32()?;
    let length = reader.u16()?;
    let payload = reader.take(usize::from(length))?;
    Ok(Packet20 {
        kind: PayloadType::from_number(type_number),
        encrypted: kind & ENCRYPTED != 0,
        authenticated: kind & AUTHENTICATED != 0,
        session,
        sequence,
        payload,
        covered,
    })
}

/// Appends an RMCP+ packet outside of a session: session id and sequence number 0, no protection (§13.6).
pub fn encode_setup<B: Encode + ?Sized>(out: &mut Vec<u8>, kind: PayloadType, body: &B) {
    let length_at = begin_v20(out, kind, false, 0, 0);
    let start = out.len();
    body.encode(out);
    let length = out.len().saturating_sub(start);
    patch_length(out, length_at, length);
}

/// Appends the RMCP and session headers; returns where the payload length stands.
pub(super) fn begin_v20(
    out: &mut Vec<u8>,
    kind: PayloadType,
    protected: bool,
    session: u32,
    sequence: u32,
) -> usize {
    let flags = if protected {
        ENCRYPTED | AUTHENTICATED
    } else {
        0
    };
    out.extend_from_slice(&RMCP_HEADER);
    out.extend_from_slice(&[FORMAT_RMCP_PLUS, kind.number() | flags]);
    out.extend_from_slice(&session.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    let length_at = out.len();
    out.extend_from_slice(&[0, 0]);
    length_at
}

/// Fills in the payload length. Payloads are bounded by [`DATAGRAM_MAX`] long before a `u16` ends.
pub(super) fn patch_length(out: &mut [u8], length_at: usize, length: usize) {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
    if let Some(field) = out
        .get_mut(length_at..)
        .and_then(|rest| rest.first_chunk_mut::<2>())
    {
        *field = length;
    }
}

/// Appends an IPMI 1.5 packet. `code` is computed from the finished message, so it is asked for last:
/// it gets the encoded IPMI message and returns the authentication code, or `None` for [`AuthType::None`].
pub fn encode_v15<B: Encode + ?Sized>(
    out: &mut Vec<u8>,
    auth: AuthType,
    sequence: u32,
    session: u32,
    code: impl FnOnce(&[u8]) -> [u8; 16],
    body: &B,
) {
    out.extend_from_slice(&RMCP_HEADER);
    out.push(auth.number());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&session.to_le_bytes());
    let code_at = out.len();
    if auth != AuthType::None {
        out.extend_from_slice(&[0; 16]);
    }
    out.push(0);
    let start = out.len();
    body.encode(out);
    let message = out.get(start..).unwrap_or_default();
    let length = u8::try_from(message.len()).unwrap_or(u8::MAX);
    let code = (auth != AuthType::None).then(|| code(message));
    if let Some(field) = out.get_mut(start.saturating_sub(1)) {
        *field = length;
    }
    if let (Some(code), Some(field)) = (
        code,
        out.get_mut(code_at..)
            .and_then(|rest| rest.first_chunk_mut::<16>()),
    ) {
        *field = code;
    }
}
