//! Commands, replies and the records of the replicated state as bytes.

use super::raft::{LogIdRec, StoredMembershipRec};
use super::{CodecError, Schema, decode, decode_run, encode};
use crate::raft::types::{LogId, StoredMembership};
use baton_model::command::{Proposal, Reply};
use baton_model::ids::{ConductorId, Position};
use baton_model::object::Kind;
use baton_model::state::{Change, ClusterState, Replied, Stored};
use serde::{Deserialize, Serialize};

/// What the state tree says of itself. It is written in one batch with the records that it describes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StateMeta {
    /// The last entry that the records include.
    pub last_applied: Option<LogId>,
    /// The membership as of that entry.
    pub membership: StoredMembership,
    /// Which generation of records is the valid one; an installed snapshot begins a new one.
    pub generation: u32,
}

#[derive(Serialize, Deserialize)]
struct StateMetaRec {
    last_applied: Option<LogIdRec>,
    membership: StoredMembershipRec,
    generation: u32,
}

/// The mark of the state tree as stored.
///
/// # Errors
/// None that can happen; bincode's signature has one.
pub fn encode_meta(meta: &StateMeta) -> Result<Vec<u8>, CodecError> {
    encode(
        Schema::STATE_META,
        &StateMetaRec {
            last_applied: meta.last_applied.map(Into::into),
            membership: (&meta.membership).into(),
            generation: meta.generation,
        },
    )
}

/// Reads the mark of the state tree.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_meta(bytes: &[u8]) -> Result<StateMeta, CodecError> {
    let record: StateMetaRec = decode(Schema::STATE_META, bytes)?;
    Ok(StateMeta {
        last_applied: record.last_applied.map(Into::into),
        membership: record.membership.try_into()?,
        generation: record.generation,
    })
}

/// A record of the state as stored.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode_stored(record: &Stored) -> Result<Vec<u8>, CodecError> {
    encode(Schema::STATE_RECORD, record)
}

/// Reads a record of the state.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_stored(bytes: &[u8]) -> Result<Stored, CodecError> {
    decode(Schema::STATE_RECORD, bytes)
}

/// The bytes by which a record is found, after the generation.
#[must_use]
pub fn record_key(change: Change) -> Vec<u8> {
    let mut key = Vec::with_capacity(18);
    match change {
        Change::Node(id) => {
            key.push(1);
            key.extend_from_slice(id.0.as_bytes());
        }
        Change::Conductor(id) => {
            key.push(2);
            key.extend_from_slice(&id.0.to_be_bytes());
        }
        Change::Outbox(instance) => {
            key.push(3);
            key.extend_from_slice(instance.as_bytes());
        }
        Change::Drained => key.push(6),
        Change::SyncFailures(group) => key.extend([7, group]),
        Change::Object(kind, id) => {
            key.push(5);
            key.push(kind_byte(kind));
            key.extend_from_slice(id.as_bytes());
        }
        Change::Reply(id, slot) => {
            key.push(REPLIES_KIND);
            key.extend_from_slice(&id.0.to_be_bytes());
            key.extend_from_slice(&(slot / REPLIES_GROUP).to_be_bytes());
        }
    }
    key
}

/// The byte of a kind of object in keys; stored, so never reused for another kind.
const fn kind_byte(kind: Kind) -> u8 {
    match kind {
        Kind::Port => 1,
        Kind::Portgroup => 2,
        Kind::Chassis => 3,
        Kind::VolumeConnector => 4,
        Kind::VolumeTarget => 5,
        Kind::Allocation => 6,
        Kind::DeployTemplate => 7,
        Kind::Runbook => 8,
        Kind::InspectionRule => 9,
        Kind::History => 10,
        Kind::Inventory => 11,
        Kind::Bios => 12,
        Kind::Firmware => 13,
    }
}

/// The first byte of the key of a group of replies.
pub const REPLIES_KIND: u8 = 4;

/// Replies stored together. Every proposal leaves one, some 50 bytes; written one by one they would be half of all
/// writes. A group of this size is a value of a few KiB.
pub const REPLIES_GROUP: u64 = 64;

/// The group of replies that holds `slot` of `conductor`, as stored; `None` if it is empty.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode_replies(
    state: &ClusterState,
    conductor: ConductorId,
    slot: u64,
) -> Result<Option<Vec<u8>>, CodecError> {
    let first = slot - slot % REPLIES_GROUP;
    let group: Vec<Replied> = (first..first + REPLIES_GROUP)
        .filter_map(|slot| match state.stored(Change::Reply(conductor, slot)) {
            Some(Stored::Reply(replied)) => Some(replied),
            Some(
                Stored::Node(_)
                | Stored::Conductor(..)
                | Stored::Outbox(_)
                | Stored::Object(_)
                | Stored::Drained(_)
                | Stored::SyncFailures(..),
            )
            | None => None,
        })
        .collect();
    if group.is_empty() {
        return Ok(None);
    }
    encode(Schema::REPLIES, &group).map(Some)
}

/// Reads a group of replies.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_replies(bytes: &[u8]) -> Result<Vec<Replied>, CodecError> {
    decode(Schema::REPLIES, bytes)
}

/// A proposal as it enters the log.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode_proposal(proposal: &Proposal) -> Result<Vec<u8>, CodecError> {
    encode(Schema::COMMAND, proposal)
}

/// Reads the proposals of a log entry: one frame each, one behind another.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_proposals(bytes: &[u8]) -> Result<Vec<Proposal>, CodecError> {
    let proposals: Vec<Proposal> = decode_run(Schema::COMMAND, bytes)?;
    if proposals.len() > Position::PLACES {
        return Err(CodecError::Meaning {
            schema: Schema::COMMAND.0,
            detail: format!(
                "{} proposals in one entry, at most {} are possible",
                proposals.len(),
                Position::PLACES
            ),
        });
    }
    Ok(proposals)
}

/// A reply as it travels back to the proposer.
///
/// # Errors
/// None that can happen; bincode's signature has one.
pub fn encode_reply(reply: &Reply) -> Result<Vec<u8>, CodecError> {
    encode(Schema::REPLY, reply)
}

/// The replies to the proposals of an entry, as they travel back to the proposer.
///
/// # Errors
/// None that can happen; bincode's signature has one.
pub fn encode_replies_of(replies: &[Reply]) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    for reply in replies {
        bytes.extend(encode_reply(reply)?);
    }
    Ok(bytes)
}

/// Reads the replies to the proposals of an entry.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_replies_of(bytes: &[u8]) -> Result<Vec<Reply>, CodecError> {
    decode_run(Schema::REPLY, bytes)
}
