//! Every byte that cluster persists or sends to a peer is made and read here; nobody else imports bincode.
//!
//! A value is a *frame*: magic, schema, length, CRC-32, payload. The schema names the family of the record and its
//! version, so a record read as something else, or written by a newer baton, is told apart from a damaged one.
//! bincode is not self-describing: payload types are structs and enums of our own, enums grow at the end only, and
//! golden files in `tests/it/format/` freeze the bytes. When such a test fails, the code is wrong, not the test.

pub mod peer;
pub mod raft;
pub mod state;

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// First bytes of every frame.
const MAGIC: [u8; 2] = *b"bt";

/// Magic 2, schema 2, length 4, checksum 4.
pub const HEADER_LEN: usize = 12;

/// Room behind a frame, so that the store can add its count of pieces without moving the bytes.
const SPARE: usize = 2;

/// No payload may be longer: sixteen times the largest proposal, and small enough to hold in memory a few times over.
pub const PAYLOAD_MAX: usize = 16 << 20;

/// The family of a record (high byte) and the version of its layout (low byte).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schema(pub u16);

impl Schema {
    /// A Raft log entry on disk.
    pub const LOG_ENTRY: Self = Self(0x0101);
    /// The Raft vote.
    pub const VOTE: Self = Self(0x0201);
    /// A log id: the last committed one, or the last purged one.
    pub const LOG_ID: Self = Self(0x0301);
    /// What the state tree says of itself: last applied entry, membership, generation.
    pub const STATE_META: Self = Self(0x0401);
    /// One record of the replicated state.
    pub const STATE_RECORD: Self = Self(0x0501);
    /// A proposed command.
    pub const COMMAND: Self = Self(0x0601);
    /// The answer to a command.
    pub const REPLY: Self = Self(0x0701);
    /// Several remembered replies of one conductor.
    pub const REPLIES: Self = Self(0x0901);
    /// A message between conductors.
    pub const PEER: Self = Self(0x0801);
    /// A frame of a backup.
    pub const BACKUP: Self = Self(0x0A01);
}

/// Why bytes are no record of ours.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Fewer bytes than the header or its length field announce, or more.
    #[error("a record of schema {schema:#06x} has {found} bytes, {expected} were announced")]
    Length {
        /// What was being read.
        schema: u16,
        /// Bytes announced.
        expected: usize,
        /// Bytes there.
        found: usize,
    },
    /// The first bytes are not ours.
    #[error("a record of schema {schema:#06x} does not begin with the mark of baton's records")]
    Magic {
        /// What was being read.
        schema: u16,
    },
    /// A record of another family, or of a version this binary does not know.
    #[error(
        "a record of schema {found:#06x} stands where {expected:#06x} was expected; if a newer baton wrote it, upgrade this conductor"
    )]
    Schema {
        /// What was being read.
        expected: u16,
        /// What the frame says.
        found: u16,
    },
    /// The bytes changed after they were written.
    #[error("a record of schema {schema:#06x} fails its checksum")]
    Checksum {
        /// What was being read.
        schema: u16,
    },
    /// The payload is larger than any record may be.
    #[error(
        "a record of schema {schema:#06x} would have {found} bytes, at most {PAYLOAD_MAX} are allowed"
    )]
    TooLarge {
        /// What was being written or read.
        schema: u16,
        /// Its size.
        found: usize,
    },
    /// The checksum holds but the payload is not of the expected shape.
    #[error("a record of schema {schema:#06x} has an unreadable payload")]
    Payload {
        /// What was being read or written.
        schema: u16,
        /// bincode's complaint.
        #[source]
        source: bincode::Error,
    },
    /// The values are readable but make no sense together.
    #[error("a record of schema {schema:#06x} is inconsistent: {detail}")]
    Meaning {
        /// What was being read.
        schema: u16,
        /// What contradicts what.
        detail: String,
    },
}

impl From<CodecError> for std::io::Error {
    fn from(error: CodecError) -> Self {
        Self::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// The one set of bincode options; changing any of them changes every stored byte.
fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(PAYLOAD_MAX as u64)
        .reject_trailing_bytes()
}

/// Encodes `value` as a frame of `schema`.
///
/// # Errors
/// [`CodecError::TooLarge`] or [`CodecError::Payload`].
pub fn encode<T: Serialize + ?Sized>(schema: Schema, value: &T) -> Result<Vec<u8>, CodecError> {
    let failed = |source: bincode::Error| {
        let schema = schema.0;
        if matches!(*source, bincode::ErrorKind::SizeLimit) {
            let found = PAYLOAD_MAX + 1;
            CodecError::TooLarge { schema, found }
        } else {
            CodecError::Payload { schema, source }
        }
    };
    let size = options().serialized_size(value).map_err(failed)?;
    let size = usize::try_from(size).unwrap_or(PAYLOAD_MAX);
    let mut bytes = Vec::with_capacity(HEADER_LEN + size + SPARE);
    bytes.resize(HEADER_LEN, 0);
    options()
        .serialize_into(&mut bytes, value)
        .map_err(failed)?;
    seal(schema, &mut bytes)?;
    Ok(bytes)
}

/// Fills in the header of a frame whose payload stands behind [`HEADER_LEN`] spare bytes.
fn seal(schema: Schema, bytes: &mut [u8]) -> Result<(), CodecError> {
    let too_large = CodecError::TooLarge {
        schema: schema.0,
        found: bytes.len(),
    };
    let Some((header, payload)) = bytes.split_at_mut_checked(HEADER_LEN) else {
        return Err(too_large);
    };
    let length = u32::try_from(payload.len()).map_err(|_| too_large)?;
    header[..2].copy_from_slice(&MAGIC);
    header[2..4].copy_from_slice(&schema.0.to_le_bytes());
    header[4..8].copy_from_slice(&length.to_le_bytes());
    let crc = checksum(&header[..8], payload);
    header[8..].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// CRC-32 over the header before its checksum field, and the payload.
fn checksum(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    hasher.finalize()
}

/// How long the payload is that a header announces; for frames that are read from a stream.
///
/// # Errors
/// [`CodecError::Length`], [`CodecError::Magic`] or [`CodecError::TooLarge`].
pub fn payload_len(header: &[u8]) -> Result<usize, CodecError> {
    let [m0, m1, s0, s1, l0, l1, l2, l3, ..] = *header else {
        return Err(CodecError::Length {
            schema: 0,
            expected: HEADER_LEN,
            found: header.len(),
        });
    };
    let schema = u16::from_le_bytes([s0, s1]);
    if [m0, m1] != MAGIC {
        return Err(CodecError::Magic { schema });
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > PAYLOAD_MAX {
        return Err(CodecError::TooLarge {
            schema,
            found: length,
        });
    }
    Ok(length)
}

/// Checks a frame of `schema` and returns its payload.
fn open(schema: Schema, bytes: &[u8]) -> Result<&[u8], CodecError> {
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER_LEN>() else {
        return Err(CodecError::Length {
            schema: schema.0,
            expected: HEADER_LEN,
            found: bytes.len(),
        });
    };
    let [m0, m1, s0, s1, l0, l1, l2, l3, c0, c1, c2, c3] = *header;
    if [m0, m1] != MAGIC {
        return Err(CodecError::Magic { schema: schema.0 });
    }
    let expected = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if expected != payload.len() {
        return Err(CodecError::Length {
            schema: schema.0,
            expected,
            found: payload.len(),
        });
    }
    if u32::from_le_bytes([c0, c1, c2, c3]) != checksum(&header[..8], payload) {
        return Err(CodecError::Checksum { schema: schema.0 });
    }
    let found = u16::from_le_bytes([s0, s1]);
    if found != schema.0 {
        return Err(CodecError::Schema {
            expected: schema.0,
            found,
        });
    }
    Ok(payload)
}

/// Splits the first frame of `schema` off a run of frames, unchecked but for its length.
fn split(schema: Schema, bytes: &[u8]) -> Result<(&[u8], &[u8]), CodecError> {
    let short = |expected| CodecError::Length {
        schema: schema.0,
        expected,
        found: bytes.len(),
    };
    let Some([_, _, _, _, l0, l1, l2, l3, ..]) = bytes.first_chunk::<HEADER_LEN>() else {
        return Err(short(HEADER_LEN));
    };
    let payload = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
    let whole = HEADER_LEN.saturating_add(payload);
    bytes.split_at_checked(whole).ok_or_else(|| short(whole))
}

/// Decodes frames of `schema` that stand one behind another; there is at least one.
fn decode_run<T: DeserializeOwned>(schema: Schema, bytes: &[u8]) -> Result<Vec<T>, CodecError> {
    let mut values = Vec::new();
    let mut rest = bytes;
    loop {
        let (frame, behind) = split(schema, rest)?;
        values.push(decode(schema, frame)?);
        if behind.is_empty() {
            return Ok(values);
        }
        rest = behind;
    }
}

/// Decodes a frame of `schema`. Never panics, whatever the bytes are.
///
/// # Errors
/// Any [`CodecError`]: the bytes are damaged, of another kind, or of a newer baton.
pub fn decode<T: DeserializeOwned>(schema: Schema, bytes: &[u8]) -> Result<T, CodecError> {
    let payload = open(schema, bytes)?;
    options()
        .deserialize(payload)
        .map_err(|source| CodecError::Payload {
            schema: schema.0,
            source,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_frame_read_as_another_family_is_refused() {
        let bytes = encode(Schema::VOTE, &7_u64).unwrap();
        assert!(matches!(
            decode::<u64>(Schema::LOG_ID, &bytes),
            Err(CodecError::Schema {
                expected: 0x0301,
                found: 0x0201
            })
        ));
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(value: (u64, String, Vec<u8>)) {
            let bytes = encode(Schema::COMMAND, &value).unwrap();
            prop_assert_eq!(decode::<(u64, String, Vec<u8>)>(Schema::COMMAND, &bytes).unwrap(), value);
        }

        #[test]
        fn one_flipped_bit_is_always_noticed(value: Vec<u8>, place: usize, bit in 0_u8..8) {
            let mut bytes = encode(Schema::COMMAND, &value).unwrap();
            let place = place % bytes.len();
            bytes[place] ^= 1 << bit;
            prop_assert!(decode::<Vec<u8>>(Schema::COMMAND, &bytes).is_err());
        }

        #[test]
        fn a_run_of_frames_is_read_whole_or_not_at_all(values: Vec<Vec<u8>>, cut in 1_usize..40) {
            let frames: Vec<_> = values.iter().map(|value| encode(Schema::COMMAND, value).unwrap()).collect();
            let bytes = frames.concat();
            let read = decode_run::<Vec<u8>>(Schema::COMMAND, &bytes);
            if values.is_empty() {
                prop_assert!(read.is_err());
            } else {
                prop_assert_eq!(read.unwrap(), values);
                let torn = bytes.len() - cut.min(frames.last().unwrap().len() - 1);
                prop_assert!(decode_run::<Vec<u8>>(Schema::COMMAND, &bytes[..torn]).is_err());
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            prop_assert!(decode::<(u64, Vec<String>)>(Schema::COMMAND, &bytes).is_err());
        }

        #[test]
        fn a_valid_frame_around_arbitrary_payload_never_panics(payload: Vec<u8>, variant in 0_u32..16) {
            // Whatever the types, the first number chooses a variant; arbitrary ones rarely choose any.
            for payload in [payload.clone(), [variant.to_le_bytes().to_vec(), payload].concat()] {
                let mut bytes = vec![0; HEADER_LEN];
                bytes.extend(payload);
                let mut sealed = |schema| {
                    seal(schema, &mut bytes).unwrap();
                    bytes.clone()
                };
                drop(state::decode_proposals(&sealed(Schema::COMMAND)));
                drop(state::decode_replies_of(&sealed(Schema::REPLY)));
                drop(state::decode_stored(&sealed(Schema::STATE_RECORD)));
                drop(state::decode_meta(&sealed(Schema::STATE_META)));
                drop(raft::decode_entry(&sealed(Schema::LOG_ENTRY)));
                drop(peer::decode_message::<peer::Hello>(&sealed(Schema::PEER)));
                drop(peer::decode_message::<peer::Request>(&sealed(Schema::PEER)));
                drop(peer::decode_message::<peer::Response>(&sealed(Schema::PEER)));
            }
        }
    }
}
