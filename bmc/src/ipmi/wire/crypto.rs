//! Cryptography of RMCP+ sessions for cipher suites 3 and 17: key exchange codes, session keys, sealing and opening
//! of packets (§13.28 to §13.32), and the authentication codes of IPMI 1.5 (§22.17.1).

use super::packet::{Packet20, PayloadType, RMCP_HEADER, begin_v20, patch_length};
use super::rakp::Algorithms;
use super::{Encode, KEY_MAX, WireError};
use aes::Aes128;
use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

pub use baton_model::driver::ipmi::CipherSuite;

/// AES-CBC-128 works on blocks of 16 bytes and starts with as many of initialisation vector (§13.29.2).
const BLOCK: usize = 16;
/// "Const 1" and "Const 2" of §13.32 are 20 bytes long whatever the hash.
const KEY_CONSTANT: usize = 20;
/// The next header field always says RMCP (§13.28, table 13-8).
const NEXT_HEADER: u8 = 0x07;

/// What baton needs to know about a cipher suite (table 22-20).
pub trait SuiteFacts: Sized {
    /// The number operators write.
    fn number(self) -> u8;
    /// The proposal that stands for it.
    fn algorithms(self) -> Algorithms;
    /// The suite that a proposal stands for, if baton speaks it.
    fn from_algorithms(algorithms: Algorithms) -> Option<Self>;
    /// Length of the codes in RAKP 2 and RAKP 3.
    fn exchange_code_len(self) -> usize;
    /// Length of the code in RAKP 4 and of packet integrity codes.
    fn integrity_code_len(self) -> usize;
}

impl SuiteFacts for CipherSuite {
    fn number(self) -> u8 {
        match self {
            Self::Three => 3,
            Self::Seventeen => 17,
        }
    }

    fn algorithms(self) -> Algorithms {
        let (authentication, integrity) = match self {
            Self::Three => (1, 1),
            Self::Seventeen => (3, 4),
        };
        Algorithms {
            authentication,
            integrity,
            confidentiality: 1,
        }
    }

    fn from_algorithms(algorithms: Algorithms) -> Option<Self> {
        [Self::Three, Self::Seventeen]
            .into_iter()
            .find(|suite| suite.algorithms() == algorithms)
    }

    fn exchange_code_len(self) -> usize {
        match self {
            Self::Three => 20,
            Self::Seventeen => 32,
        }
    }

    fn integrity_code_len(self) -> usize {
        match self {
            Self::Three => 12,
            Self::Seventeen => 16,
        }
    }
}

/// A keyed hash of either suite, its key already scheduled.
#[derive(Clone)]
enum Keyed {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

impl Keyed {
    fn new(suite: CipherSuite, key: &[u8]) -> Self {
        const ANY_LENGTH: &str = "HMAC takes keys of any length";
        match suite {
            CipherSuite::Three => {
                Self::Sha1(<Hmac<Sha1> as KeyInit>::new_from_slice(key).expect(ANY_LENGTH))
            }
            CipherSuite::Seventeen => {
                Self::Sha256(<Hmac<Sha256> as KeyInit>::new_from_slice(key).expect(ANY_LENGTH))
            }
        }
    }

    fn digest(&self, parts: &[&[u8]]) -> Code {
        let mut code = Code {
            bytes: [0; 32],
            length: 0,
        };
        match self {
            Self::Sha1(keyed) => {
                let mut keyed = keyed.clone();
                for part in parts {
                    keyed.update(part);
                }
                code.fill(&keyed.finalize().into_bytes());
            }
            Self::Sha256(keyed) => {
                let mut keyed = keyed.clone();
                for part in parts {
                    keyed.update(part);
                }
                code.fill(&keyed.finalize().into_bytes());
            }
        }
        code
    }
}

/// The result of a keyed hash, possibly cut to the length its use asks for.
#[derive(Clone)]
pub struct Code {
    bytes: [u8; 32],
    length: usize,
}

impl Code {
    fn fill(&mut self, digest: &[u8]) {
        for (to, from) in self.bytes.iter_mut().zip(digest) {
            *to = *from;
        }
        self.length = digest.len().min(self.bytes.len());
    }

    const fn cut(mut self, length: usize) -> Self {
        if length < self.length {
            self.length = length;
        }
        self
    }

    /// The bytes as they go on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or(&self.bytes)
    }

    /// Whether `wire` is this code, in time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, wire: &[u8]) -> bool {
        bool::from(self.as_bytes().ct_eq(wire))
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// The public part of a key exchange: all that both sides hash (§13.31). The password and K_G are arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange<'a> {
    /// The suite in use.
    pub suite: CipherSuite,
    /// SID_M, the console's session id.
    pub console_id: u32,
    /// SID_C, the BMC's session id.
    pub bmc_id: u32,
    /// R_M, the console's random number.
    pub console_random: [u8; 16],
    /// R_C, the BMC's random number.
    pub bmc_random: [u8; 16],
    /// GUID_C.
    pub guid: [u8; 16],
    /// Role_M, the whole role byte of RAKP 1.
    pub role: u8,
    /// UName_M.
    pub username: &'a [u8],
}

impl Exchange<'_> {
    fn name_length(&self) -> [u8; 2] {
        [
            self.role,
            u8::try_from(self.username.len()).unwrap_or(u8::MAX),
        ]
    }

    /// Key exchange authentication code of RAKP 2: `HMAC_KUID(SID_M, SID_C, R_M, R_C, GUID_C, Role, Len, Name)`.
    #[must_use]
    pub fn rakp2_code(&self, password: &[u8]) -> Code {
        Keyed::new(self.suite, key_bytes(password)).digest(&[
            &self.console_id.to_le_bytes(),
            &self.bmc_id.to_le_bytes(),
            &self.console_random,
            &self.bmc_random,
            &self.guid,
            &self.name_length(),
            self.username,
        ])
    }

    /// Key exchange authentication code of RAKP 3: `HMAC_KUID(R_C, SID_M, Role, Len, Name)`.
    #[must_use]
    pub fn rakp3_code(&self, password: &[u8]) -> Code {
        Keyed::new(self.suite, key_bytes(password)).digest(&[
            &self.bmc_random,
            &self.console_id.to_le_bytes(),
            &self.name_length(),
            self.username,
        ])
    }

    /// The session's keys. `kg` is the BMC key K_G; without one the password takes its place (§13.31, §13.32).
    #[must_use]
    pub fn session_keys(&self, password: &[u8], kg: Option<&[u8]>) -> SessionKeys {
        let secret = kg.filter(|kg| kg.iter().any(|byte| *byte != 0));
        let sik = Keyed::new(self.suite, key_bytes(secret.unwrap_or(password))).digest(&[
            &self.console_random,
            &self.bmc_random,
            &self.name_length(),
            self.username,
        ]);
        let sik = Keyed::new(self.suite, sik.as_bytes());
        let k1 = sik.digest(&[&[1; KEY_CONSTANT]]);
        let k2 = sik.digest(&[&[2; KEY_CONSTANT]]);
        let mut aes_key = Zeroizing::new([0u8; BLOCK]);
        for (to, from) in aes_key.iter_mut().zip(k2.as_bytes()) {
            *to = *from;
        }
        let check = sik
            .digest(&[&self.console_random, &self.bmc_id.to_le_bytes(), &self.guid])
            .cut(self.suite.integrity_code_len());
        SessionKeys {
            check,
            traffic: TrafficKeys {
                suite: self.suite,
                integrity: Keyed::new(self.suite, k1.as_bytes()),
                confidentiality: Aes128::new(&Array::from(*aes_key)),
            },
        }
    }
}

/// Passwords and K_G are 20 bytes, padded with zeros; HMAC pads with zeros anyway, so only the cut is left to do.
fn key_bytes(key: &[u8]) -> &[u8] {
    key.get(..KEY_MAX).unwrap_or(key)
}

/// What a finished key exchange yields.
#[derive(Clone)]
pub struct SessionKeys {
    /// Integrity check value of RAKP 4: `HMAC_SIK(R_M, SID_C, GUID_C)`, cut to the suite's length (§13.28.1).
    pub check: Code,
    /// Keys for the packets of the session.
    pub traffic: TrafficKeys,
}

/// K1 and K2, scheduled once per session.
#[derive(Clone)]
pub struct TrafficKeys {
    suite: CipherSuite,
    integrity: Keyed,
    confidentiality: Aes128,
}

impl TrafficKeys {
    /// The suite they belong to.
    #[must_use]
    pub const fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Appends an encrypted and signed packet. `session` is the receiver's id; `iv` must be unpredictable.
    pub fn seal<B: Encode + ?Sized>(
        &self,
        out: &mut Vec<u8>,
        kind: PayloadType,
        session: u32,
        sequence: u32,
        iv: [u8; 16],
        body: &B,
    ) {
        let start = out.len();
        let length_at = begin_v20(out, kind, true, session, sequence);
        let payload_at = out.len();
        out.extend_from_slice(&iv);
        let clear_at = out.len();
        body.encode(out);
        // Confidentiality trailer: 01, 02, 03 … up to a full block, then the pad length (§13.29, table 13-20).
        let clear = out.len().saturating_sub(clear_at);
        let pad = BLOCK.wrapping_sub(clear.wrapping_add(1) % BLOCK) % BLOCK;
        let pad = u8::try_from(pad).unwrap_or(0);
        out.extend(1..=pad);
        out.push(pad);
        if let Some(text) = out.get_mut(clear_at..) {
            let (blocks, _) = Array::slice_as_chunks_mut(text);
            cbc::Encryptor::<&Aes128>::inner_iv_init(&self.confidentiality, &Array::from(iv))
                .encrypt_blocks(blocks);
        }
        let payload = out.len().saturating_sub(payload_at);
        patch_length(out, length_at, payload);
        // Integrity trailer: FFh up to a multiple of four with the two bytes that follow (§13.28, table 13-8).
        let covered_at = start.saturating_add(RMCP_HEADER.len());
        let covered = out.len().saturating_sub(covered_at);
        let pad = 4usize.wrapping_sub(covered.wrapping_add(2) % 4) % 4;
        let pad = u8::try_from(pad).unwrap_or(0);
        out.extend(std::iter::repeat_n(0xFF, usize::from(pad)));
        out.extend_from_slice(&[pad, NEXT_HEADER]);
        let code = self
            .integrity
            .digest(&[out.get(covered_at..).unwrap_or_default()])
            .cut(self.suite.integrity_code_len());
        out.extend_from_slice(code.as_bytes());
    }

    /// Checks a packet's integrity and puts its decrypted payload into `clear`, which is emptied first.
    ///
    /// # Errors
    /// Unsigned or cleartext packets (a session of these suites has none, §13.28, §13.29), a wrong code, wrong
    /// padding, a ciphertext that is not whole blocks.
    pub fn open(&self, packet: &Packet20<'_>, clear: &mut Vec<u8>) -> Result<(), WireError> {
        clear.clear();
        if !packet.authenticated || !packet.encrypted {
            return Err(WireError::Unprotected);
        }
        let signed_len = packet
            .covered
            .len()
            .checked_sub(self.suite.integrity_code_len())
            .ok_or(WireError::Truncated("integrity trailer"))?;
        let (signed, code) = packet
            .covered
            .split_at_checked(signed_len)
            .ok_or(WireError::Truncated("integrity trailer"))?;
        let expected = self
            .integrity
            .digest(&[signed])
            .cut(self.suite.integrity_code_len());
        if !expected.matches(code) {
            return Err(WireError::Integrity);
        }
        if signed.last() != Some(&NEXT_HEADER) {
            return Err(WireError::Malformed("next header"));
        }
        let (iv, text) = packet
            .payload
            .split_first_chunk::<BLOCK>()
            .ok_or(WireError::Truncated("encrypted payload"))?;
        clear.extend_from_slice(text);
        let (blocks, tail) = Array::slice_as_chunks_mut(clear.as_mut_slice());
        if blocks.is_empty() || !tail.is_empty() {
            clear.clear();
            return Err(WireError::Malformed("encrypted payload length"));
        }
        cbc::Decryptor::<&Aes128>::inner_iv_init(&self.confidentiality, &Array::from(*iv))
            .decrypt_blocks(blocks);
        strip_pad(clear)
    }
}

/// Takes the confidentiality trailer away after checking it (§13.29: the receiver should check the pad bytes).
fn strip_pad(clear: &mut Vec<u8>) -> Result<(), WireError> {
    let pad = clear.pop().ok_or(WireError::Padding)?;
    let keep = clear
        .len()
        .checked_sub(usize::from(pad))
        .filter(|_| usize::from(pad) < BLOCK)
        .ok_or(WireError::Padding)?;
    let good = clear
        .get(keep..)
        .is_some_and(|bytes| bytes.iter().zip(1u8..).all(|(byte, want)| *byte == want));
    if !good {
        return Err(WireError::Padding);
    }
    clear.truncate(keep);
    Ok(())
}

/// A password or user name as IPMI 1.5 wants it: 16 bytes, zero-padded.
#[must_use]
pub fn fixed16(bytes: &[u8]) -> [u8; 16] {
    let mut fixed = [0; 16];
    for (to, from) in fixed.iter_mut().zip(bytes) {
        *to = *from;
    }
    fixed
}

/// The multi-session authentication code with MD5: `MD5(password, session id, message, sequence, password)`
/// (§22.17.1, table 22-22).
#[must_use]
pub fn md5_code(password: &[u8], session: u32, sequence: u32, message: &[u8]) -> [u8; 16] {
    let password = Zeroizing::new(fixed16(password));
    let mut hash = Md5::new();
    hash.update(*password);
    hash.update(session.to_le_bytes());
    hash.update(message);
    hash.update(sequence.to_le_bytes());
    hash.update(*password);
    hash.finalize().into()
}
