//! Snapshots: images of the replicated state taken from memory, never from the disk, and how one is received.

use crate::codec::peer::SnapshotHead;
use crate::codec::raft::Blob;
use crate::codec::state::decode_stored;
use crate::raft::types::{SnapshotMeta, StoredMembership, TypeConfig};
use baton_model::state::{ClusterState, Stored};
use openraft::alias::SnapshotOf;
use std::sync::Arc;

/// The replicated state at one log entry. Records are shared with the live state, so an image costs pointers.
#[derive(Clone, Debug)]
pub struct Image(pub Arc<ClusterState>);

/// An image with what it covers.
pub type Snapshot = SnapshotOf<TypeConfig, Image>;

/// A snapshot while it arrives, in parts and in order.
pub struct Arriving {
    head: SnapshotHead,
    parts: u64,
    records: Vec<Stored>,
}

impl Arriving {
    /// Begins.
    #[must_use]
    pub const fn new(head: SnapshotHead) -> Self {
        Self {
            head,
            parts: 0,
            records: Vec::new(),
        }
    }

    /// Which transfer this is.
    #[must_use]
    pub const fn transfer(&self) -> u64 {
        self.head.transfer
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// What is wrong with it, for the sender's log.
    pub fn part(&mut self, number: u64, records: &[Blob]) -> Result<(), String> {
        if number != self.parts {
            return Err(format!(
                "part {number} of the snapshot came where part {} was expected",
                self.parts
            ));
        }
        for record in records {
            self.records
                .push(decode_stored(&record.0).map_err(|error| error.to_string())?);
        }
        self.parts += 1;
        Ok(())
    }

    /// Completes the snapshot, if all of it arrived.
    ///
    /// # Errors
    /// What is missing, for the sender's log.
    pub fn finish(self, parts: u64, records: u64) -> Result<(SnapshotHead, Snapshot), String> {
        if (parts, records) != (self.parts, self.records.len() as u64) {
            return Err(format!(
                "the snapshot has {parts} parts and {records} records, {} and {} arrived",
                self.parts,
                self.records.len()
            ));
        }
        let membership: StoredMembership = self
            .head
            .membership
            .clone()
            .try_into()
            .map_err(|error: crate::codec::CodecError| error.to_string())?;
        let snapshot = Snapshot {
            meta: SnapshotMeta {
                last_log_id: self.head.last_applied.map(Into::into),
                last_membership: membership,
            },
            snapshot: Image(Arc::new(ClusterState::restore(self.records))),
        };
        Ok((self.head, snapshot))
    }
}
