//! The stored forms of Raft's own values.
//!
//! openraft's types change between its releases; these do not. They are ours, positional, and frozen by golden bytes.
//! The content of a proposal stays a string of bytes here: a follower stores and forwards it without decoding it.

use super::{CodecError, Schema, decode, encode};
use crate::raft::types::{
    Entry, LeaderId, LogId, Member, Membership, RaftId, StoredMembership, Vote,
};
use bytes::Bytes;
use openraft::EntryPayload;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Bytes that bincode copies in one piece.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob(pub Bytes);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl Visitor<'_> for Whole {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(Bytes::copy_from_slice(bytes)))
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes.into()))
            }
        }
        deserializer.deserialize_byte_buf(Whole)
    }
}

/// A log id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogIdRec {
    term: u64,
    leader: RaftId,
    index: u64,
}

impl From<LogId> for LogIdRec {
    fn from(id: LogId) -> Self {
        Self {
            term: id.leader_id.term,
            leader: id.leader_id.node_id,
            index: id.index,
        }
    }
}

impl From<LogIdRec> for LogId {
    fn from(id: LogIdRec) -> Self {
        Self {
            leader_id: LeaderId {
                term: id.term,
                node_id: id.leader,
            },
            index: id.index,
        }
    }
}

/// A vote.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VoteRec {
    term: u64,
    leader: RaftId,
    committed: bool,
}

impl From<Vote> for VoteRec {
    fn from(vote: Vote) -> Self {
        Self {
            term: vote.leader_id.term,
            leader: vote.leader_id.node_id,
            committed: vote.committed,
        }
    }
}

impl From<VoteRec> for Vote {
    fn from(vote: VoteRec) -> Self {
        Self {
            leader_id: LeaderId {
                term: vote.term,
                node_id: vote.leader,
            },
            committed: vote.committed,
        }
    }
}

/// Who votes and who takes part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MembershipRec {
    configs: Vec<BTreeSet<RaftId>>,
    members: BTreeMap<RaftId, Member>,
}

impl From<&Membership> for MembershipRec {
    fn from(membership: &Membership) -> Self {
        Self {
            configs: membership.get_joint_config().clone(),
            members: membership
                .nodes()
                .map(|(id, member)| (*id, member.clone()))
                .collect(),
        }
    }
}

impl TryFrom<MembershipRec> for Membership {
    type Error = CodecError;
    fn try_from(record: MembershipRec) -> Result<Self, CodecError> {
        Self::new(record.configs, record.members).map_err(|error| CodecError::Meaning {
            schema: Schema::LOG_ENTRY.0,
            detail: error.to_string(),
        })
    }
}

/// A membership and the entry that set it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StoredMembershipRec {
    set_by: Option<LogIdRec>,
    membership: MembershipRec,
}

impl From<&StoredMembership> for StoredMembershipRec {
    fn from(stored: &StoredMembership) -> Self {
        Self {
            set_by: stored.log_id().map(Into::into),
            membership: stored.membership().into(),
        }
    }
}

impl TryFrom<StoredMembershipRec> for StoredMembership {
    type Error = CodecError;
    fn try_from(record: StoredMembershipRec) -> Result<Self, CodecError> {
        Ok(Self::new(
            record.set_by.map(Into::into),
            record.membership.try_into()?,
        ))
    }
}

/// What an entry holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum PayloadRec {
    /// Nothing; a new leader begins with one.
    Blank,
    /// Proposals, one or more frames of [`Schema::COMMAND`].
    Proposal(Blob),
    /// A change of membership.
    Membership(MembershipRec),
}

/// A log entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EntryRec {
    id: LogIdRec,
    payload: PayloadRec,
}

impl From<Entry> for EntryRec {
    fn from(entry: Entry) -> Self {
        Self {
            id: entry.log_id.into(),
            payload: match entry.payload {
                EntryPayload::Blank => PayloadRec::Blank,
                EntryPayload::Normal(bytes) => PayloadRec::Proposal(bytes),
                EntryPayload::Membership(membership) => {
                    PayloadRec::Membership((&membership).into())
                }
            },
        }
    }
}

impl EntryRec {
    /// openraft's form. No `TryFrom`: openraft's own conversions would overlap with it.
    ///
    /// # Errors
    /// [`CodecError::Meaning`] for an impossible membership.
    pub fn into_entry(self) -> Result<Entry, CodecError> {
        Ok(Entry {
            log_id: self.id.into(),
            payload: match self.payload {
                PayloadRec::Blank => EntryPayload::Blank,
                PayloadRec::Proposal(bytes) => EntryPayload::Normal(bytes),
                PayloadRec::Membership(membership) => {
                    EntryPayload::Membership(membership.try_into()?)
                }
            },
        })
    }
}

/// A log entry as stored.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, CodecError> {
    encode(Schema::LOG_ENTRY, &EntryRec::from(entry.clone()))
}

/// Reads a stored log entry.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, CodecError> {
    decode::<EntryRec>(Schema::LOG_ENTRY, bytes)?.into_entry()
}

/// A vote as stored.
///
/// # Errors
/// None that can happen; bincode's signature has one.
pub fn encode_vote(vote: Vote) -> Result<Vec<u8>, CodecError> {
    encode(Schema::VOTE, &VoteRec::from(vote))
}

/// Reads a stored vote.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_vote(bytes: &[u8]) -> Result<Vote, CodecError> {
    decode::<VoteRec>(Schema::VOTE, bytes).map(Into::into)
}

/// A log id as stored.
///
/// # Errors
/// None that can happen; bincode's signature has one.
pub fn encode_log_id(id: Option<LogId>) -> Result<Vec<u8>, CodecError> {
    encode(Schema::LOG_ID, &id.map(LogIdRec::from))
}

/// Reads a stored log id.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_log_id(bytes: &[u8]) -> Result<Option<LogId>, CodecError> {
    Ok(decode::<Option<LogIdRec>>(Schema::LOG_ID, bytes)?.map(Into::into))
}
