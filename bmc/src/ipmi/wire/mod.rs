//! Bytes of IPMI over LAN, in both directions: RMCP, IPMI 1.5 and RMCP+ session headers, the RAKP exchange, IPMI
//! messages, and the cryptography of cipher suites 3 and 17.
//!
//! Pure: no I/O, no clock, no chance (randoms and initialisation vectors are arguments). The client and the
//! simulator use the same code. The one invariant: **every decoder is total**. Whatever a datagram holds, the
//! answer is a value or a [`WireError`]; hence indexing and unchecked arithmetic are denied in this folder.
//!
//! Sections are those of the IPMI 2.0 specification, revision 1.1.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod boot;
pub mod code;
pub mod command;
pub mod crypto;
pub mod message;
pub mod packet;
pub mod rakp;
pub mod raw;
mod reader;
#[cfg(test)]
mod tests;
pub mod window;

/// Longest user name (§13.20, RAKP Message 1; §22.28).
pub const USERNAME_MAX: usize = 16;
/// Longest password and longest K_G (§13.31: K_UID and K_G are 20 bytes, zero-padded).
pub const KEY_MAX: usize = 20;
/// Longest datagram that is looked at. IPMI messages of a LAN session are below 300 bytes; what is longer is no
/// answer to anything baton or a BMC asks.
pub const DATAGRAM_MAX: usize = 1024;

/// Why bytes are not what they should be. Carries no bytes of the datagram: it may reach logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Shorter than the layout asks for.
    #[error("the {0} is cut short")]
    Truncated(&'static str),
    /// A field has a value that its layout does not allow.
    #[error("the {0} has an impossible value")]
    Malformed(&'static str),
    /// One of the two checksums of an IPMI message is wrong.
    #[error("the IPMI message has a wrong checksum")]
    Checksum,
    /// The integrity check value does not belong to these bytes under this key.
    #[error("the integrity check value is wrong")]
    Integrity,
    /// Cleartext or unsigned where the session demands otherwise.
    #[error("the packet is not protected as its session demands")]
    Unprotected,
    /// The confidentiality padding is wrong, so this is not our plaintext.
    #[error("the confidentiality padding is wrong")]
    Padding,
}

/// Something that can be a packet's payload.
pub trait Encode {
    /// Appends the bytes.
    fn encode(&self, out: &mut Vec<u8>);
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}
