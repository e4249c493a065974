//! The replicated core: openraft over sled, persisted formats, and the conversation between conductors.
//!
//! openraft, sled and bincode are confined here. What is replicated and how a command changes it is decided in
//! `baton_model`; this crate stores it, agrees on it with its peers, and hands it to whoever reads. The invariant
//! everything else rests on: a proposal is acknowledged only when a majority has it on disk, fsynced.

mod answers;
pub mod backup;
mod barrier;
pub mod bench;
pub mod codec;
mod enter;
pub mod error;
mod greeting;
pub mod handle;
pub mod identity;
pub mod kv;
mod lease;
mod membership;
mod operate;
pub mod options;
pub mod peer;
mod proposals;
pub mod raft;
mod sessions;
mod start;
mod status;
mod storage;
mod stranger;
mod upkeep;
pub mod watch;
mod whereabouts;
mod window;

pub use answers::CallHandler;
pub use backup::{Backup, BackupError, Restored};
pub use codec::peer::MembershipChange;
pub use enter::{Entry, FirstMembers};
pub use error::ClusterError;
pub use handle::{CallError, Cluster};
pub use kv::writer::Fatal;
pub use options::{Compaction, Founding, Listen, Options, Storage, Timing};
pub use raft::types::Member;
pub use upkeep::Upkeep;
