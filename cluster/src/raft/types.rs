//! openraft's generic types, named once.
//!
//! Proposals travel and are stored as encoded bytes, several in an entry; only `apply` decodes them. A conductor's id is openraft's node id.

use crate::codec::raft::Blob;
use baton_model::command::Reply;
use serde::{Deserialize, Serialize};

/// A conductor's id as openraft sees it; `baton_model::ids::ConductorId` outside.
pub type RaftId = u64;

pub use super::runtime::Runtime;

/// Where a member is found.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Member {
    /// Host name, unique in the cluster.
    pub host: String,
    /// `host:port` on which it listens for its peers.
    pub address: String,
}

openraft::declare_raft_types!(
    /// baton's choice of openraft's types.
    pub TypeConfig:
        D = Blob,
        R = Vec<Reply>,
        NodeId = RaftId,
        Node = Member,
        AsyncRuntime = Runtime,
);

/// One tenure of one leader.
pub type LeaderId = openraft::alias::LeaderIdOf<TypeConfig>;
/// The name of a log entry.
pub type LogId = openraft::alias::LogIdOf<TypeConfig>;
/// A vote.
pub type Vote = openraft::alias::VoteOf<TypeConfig>;
/// A log entry.
pub type Entry = openraft::alias::EntryOf<TypeConfig>;
/// Who votes and who takes part.
pub type Membership = openraft::Membership<RaftId, Member>;
/// A membership and the entry that set it.
pub type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
/// What a snapshot covers.
pub type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
/// The consensus core.
pub type Raft = openraft::Raft<TypeConfig, super::state_machine::StateMachine>;
/// Its figures.
pub type RaftMetrics = openraft::RaftMetrics<TypeConfig>;
