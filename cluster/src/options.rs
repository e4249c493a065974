//! What a cluster member is started with.

use crate::kv::mem::MemDisk;
use crate::peer::transport::{Listener, Transport};
use crate::raft::types::Member;
use baton_model::ids::ConductorId;
use baton_model::session::SessionPeriods;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The highest id that a founding member may have. Ids of later members are taken from the log's indexes above it,
/// so that none is ever given twice.
pub const FOUNDING_ID_MAX: u64 = 16;

/// Where log, state and identity are kept.
#[derive(Clone)]
pub enum Storage {
    /// In a directory, by sled.
    Directory(PathBuf),
    /// In memory, for simulation: no thread, no file, and the faults that the simulation injects.
    Memory(MemDisk),
}

/// Where peers are awaited.
pub enum Listen {
    /// On this `host:port`.
    Address(String),
    /// On a listener that is open already.
    Open(Box<dyn Listener>),
}

/// The first members of a new cluster. Every one of them is started with the same cluster and members.
#[derive(Clone, Debug)]
pub struct Founding {
    /// The new cluster's id.
    pub cluster: Uuid,
    /// This member, from 1 to [`FOUNDING_ID_MAX`].
    pub conductor: ConductorId,
    /// The other first members; empty for a cluster of one.
    pub others: BTreeMap<ConductorId, Member>,
}

/// How fast the cluster notices. Heartbeat below a third of the shortest election time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat: Duration,
    /// Shortest silence after which a member stands for election.
    pub election_min: Duration,
    /// Longest such silence; also the life of a leader's lease.
    pub election_max: Duration,
}

impl Default for Timing {
    /// Measured on 2 busy cores: fails over in about 0.9 s, and never without cause.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(80),
            election_min: Duration::from_millis(250),
            election_max: Duration::from_millis(500),
        }
    }
}

/// When the log is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compaction {
    /// Entries after which a snapshot is taken. 20,000 would make each purge stall the log for 390 ms, 2000 for 30.
    pub snapshot_every: u64,
    /// Entries kept behind a snapshot, so that a member that was away for a moment needs no snapshot.
    pub keep: u64,
}

impl Default for Compaction {
    fn default() -> Self {
        Self {
            snapshot_every: 2000,
            keep: 1000,
        }
    }
}

/// What a member is started with.
pub struct Options {
    /// This conductor's host name, unique in the cluster.
    pub host_name: String,
    /// Where everything is kept.
    pub storage: Storage,
    /// Opens and accepts streams.
    pub transport: Arc<dyn Transport>,
    /// Where peers are awaited.
    pub listen: Listen,
    /// `host:port` by which peers reach this member; the listening address if not given.
    pub advertise: Option<String>,
    /// How fast the cluster notices.
    pub timing: Timing,
    /// When the log is cut.
    pub compaction: Compaction,
    /// How long a conductor's session lasts after a renewal; the same on every member.
    pub sessions: SessionPeriods,
    /// How long a proposal or a read barrier is tried before it fails.
    pub patience: Duration,
    /// Makes a new cluster if the storage is empty. Ignored by a member that has an identity of this cluster already.
    pub founding: Option<Founding>,
}
