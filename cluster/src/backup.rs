//! Backups: the replicated state at one log entry as one stream of checksummed frames, and the store made of one.
//!
//! ```text
//! head   which cluster, up to which log entry, when
//! part   some records …
//! end    how many parts and records there were, and a checksum over all of them
//! ```
//! A restored cluster is another cluster: it has an id of its own, and a member of an id that the old one never gave.
//! Its log goes on behind the entry of the backup, so nothing numbered by the log is numbered twice.

use crate::codec::raft::{Blob, LogIdRec};
use crate::codec::state::{decode_stored, encode_stored};
use crate::codec::{CodecError, HEADER_LEN, Schema, decode, encode, payload_len};
use crate::error::ClusterError;
use crate::handle::Cluster;
use crate::kv::KvError;
use crate::options::{FOUNDING_ID_MAX, Options};
use crate::raft::snapshot::Snapshot;
use crate::raft::types::{LogId, Member, RaftId};
use crate::storage::{Newcomer, Vault, blocking};
use baton_model::env::Env;
use baton_model::ids::{ConductorId, LogIndex};
use baton_model::state::{ClusterState, Stored};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read};
use uuid::Uuid;

/// Bytes of records in one part, unless a single record is larger: a part takes about a millisecond to make.
const PART_BYTES: usize = 256 << 10;

/// A frame of a backup.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BackupRec {
    /// Comes first.
    Head {
        /// The cluster.
        cluster: Uuid,
        /// The last entry that the records include.
        last_applied: Option<LogIdRec>,
        /// When it was taken, by the clock of the member that took it; a label.
        at_ms: u64,
        /// The host that took it.
        host: String,
    },
    /// Records, each a frame of [`Schema::STATE_RECORD`].
    Part(Vec<Blob>),
    /// Comes last.
    End {
        /// How many parts there were.
        parts: u64,
        /// How many records.
        records: u64,
        /// CRC-32 over the records' bytes, in order.
        crc: u32,
    },
}

/// Why a backup cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read to its end.
    #[error("the backup could not be read; it ends early or the disk refused")]
    Read(#[source] io::Error),
    /// It is not what was written.
    #[error("the backup is damaged or none at all: {0}")]
    Damaged(String),
    /// The new store could not be written.
    #[error("the store could not be made of the backup")]
    Store(#[from] KvError),
}

impl From<CodecError> for BackupError {
    fn from(error: CodecError) -> Self {
        Self::Damaged(error.to_string())
    }
}

// --- Taking -------------------------------------------------------------------------------------------

/// A backup while it is written: an iterator over the bytes of its frames.
pub struct Backup {
    head: Option<BackupRec>,
    records: Box<dyn Iterator<Item = Stored> + Send>,
    parts: u64,
    count: u64,
    crc: crc32fast::Hasher,
    ended: bool,
}

impl Backup {
    fn new(snapshot: Snapshot, cluster: Uuid, host: String, env: &Env) -> Self {
        let head = BackupRec::Head {
            cluster,
            last_applied: snapshot.meta.last_log_id.map(Into::into),
            at_ms: env.clock.wall().0,
            host,
        };
        // Replies to old proposals mean nothing in another cluster.
        let image = snapshot.snapshot.0;
        let keys: Vec<_> = image
            .all_stored()
            .filter(|record| !matches!(record, Stored::Reply(_)))
            .map(|record| record.key())
            .collect();
        let records = keys.into_iter().filter_map(move |key| image.stored(key));
        Self {
            head: Some(head),
            records: Box::new(records),
            parts: 0,
            count: 0,
            crc: crc32fast::Hasher::new(),
            ended: false,
        }
    }

    fn next_frame(&mut self) -> Result<Option<Vec<u8>>, CodecError> {
        if let Some(head) = self.head.take() {
            return encode(Schema::BACKUP, &head).map(Some);
        }
        let mut part = Vec::new();
        let mut bytes = 0;
        while bytes < PART_BYTES
            && let Some(record) = self.records.next()
        {
            let record = encode_stored(&record)?;
            self.crc.update(&record);
            bytes += record.len();
            part.push(Blob::from(record));
        }
        if !part.is_empty() {
            self.parts += 1;
            self.count += part.len() as u64;
            return encode(Schema::BACKUP, &BackupRec::Part(part)).map(Some);
        }
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        let end = BackupRec::End {
            parts: self.parts,
            records: self.count,
            crc: self.crc.clone().finalize(),
        };
        encode(Schema::BACKUP, &end).map(Some)
    }
}

impl Iterator for Backup {
    type Item = Vec<u8>;

    /// Ends early, and so without its last frame, if a record cannot be written.
    fn next(&mut self) -> Option<Vec<u8>> {
        if self.ended {
            return None;
        }
        self.next_frame().unwrap_or_else(|error| {
            tracing::error!(%error, "a backup was cut short");
            self.ended = true;
            None
        })
    }
}

impl Cluster {
    pub(crate) async fn take_backup(&self) -> Result<Backup, ClusterError> {
        let image = self
            .raft()
            .with_state_machine(|machine| {
                let image = machine.image();
                Box::pin(async move { image })
            })
            .await
            .map_err(|error| ClusterError::Core {
                attempt: "take a backup",
                detail: error.to_string(),
            })?;
        let (host, env) = (self.host_name().to_owned(), &self.inner().env);
        Ok(Backup::new(image, self.cluster_id(), host, env))
    }
}

// --- Restoring ----------------------------------------------------------------------------------------

/// What was restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// The new cluster.
    pub cluster: Uuid,
    /// Its only member.
    pub conductor: ConductorId,
    /// The cluster that the backup was taken of.
    pub of: Uuid,
    /// The last log entry in it.
    pub index: LogIndex,
    /// Nodes in it.
    pub nodes: u64,
    /// The host that took it.
    pub by: String,
}

/// What a backup holds.
struct Content {
    of: Uuid,
    last_applied: LogId,
    host: String,
    state: ClusterState,
}

fn frame(from: &mut impl Read) -> Result<BackupRec, BackupError> {
    let mut bytes = vec![0; HEADER_LEN];
    from.read_exact(&mut bytes).map_err(BackupError::Read)?;
    let length = payload_len(&bytes)?;
    bytes.resize(HEADER_LEN + length, 0);
    from.read_exact(&mut bytes[HEADER_LEN..])
        .map_err(BackupError::Read)?;
    Ok(decode(Schema::BACKUP, &bytes)?)
}

fn read(mut from: impl Read) -> Result<Content, BackupError> {
    let damaged = |text: &str| Err(BackupError::Damaged(text.to_owned()));
    let BackupRec::Head {
        cluster,
        last_applied: Some(last_applied),
        host,
        ..
    } = frame(&mut from)?
    else {
        return damaged("it does not begin as one that holds anything");
    };
    let mut records = Vec::new();
    let mut parts = 0;
    let mut crc = crc32fast::Hasher::new();
    loop {
        match frame(&mut from)? {
            BackupRec::Part(part) => {
                parts += 1;
                for record in part {
                    crc.update(&record.0);
                    records.push(decode_stored(&record.0)?);
                }
            }
            BackupRec::End {
                parts: written,
                records: count,
                crc: expected,
            } => {
                if (written, count, expected) != (parts, records.len() as u64, crc.finalize()) {
                    return damaged("its end does not fit what came before");
                }
                break;
            }
            BackupRec::Head { .. } => return damaged("it begins twice"),
        }
    }
    let mut rest = [0];
    if from.read(&mut rest).map_err(BackupError::Read)? != 0 {
        return damaged("something follows its end");
    }
    // The old cluster's conductors are not this one's; a node that one of them was working on finds a new owner.
    let records = records
        .into_iter()
        .filter(|record| !matches!(record, Stored::Conductor(..)));
    Ok(Content {
        of: cluster,
        last_applied: last_applied.into(),
        host,
        state: ClusterState::restore(records),
    })
}

impl Cluster {
    /// Makes a new cluster of one member from a backup, in an empty storage. The next start begins it.
    ///
    /// # Errors
    /// [`ClusterError::Backup`], [`ClusterError::NotEmpty`], or what opening a storage fails with.
    pub async fn restore(
        options: Options,
        env: Env,
        from: impl Read + Send + 'static,
    ) -> Result<Restored, ClusterError> {
        let vault = Vault::lock(options.storage.clone()).await?;
        vault.check_empty()?;
        let Some(address) = options.advertise.clone() else {
            return Err(ClusterError::Options {
                detail: "the address by which peers reach this conductor is not known".to_owned(),
            });
        };
        let found = blocking(move || Ok(read(from)?)).await?;
        let conductor = ConductorId(found.last_applied.index + FOUNDING_ID_MAX + 1);
        let member = Member {
            host: options.host_name.clone(),
            address,
        };
        let newcomer = Newcomer {
            cluster: Uuid::from_u64_pair(env.entropy.next_u64(), env.entropy.next_u64()),
            conductor,
            founders: BTreeMap::new(),
        };
        let restored = Restored {
            cluster: newcomer.cluster,
            conductor,
            of: found.of,
            index: LogIndex(found.last_applied.index),
            nodes: found.state.nodes().count() as u64,
            by: found.host,
        };
        let members: BTreeMap<RaftId, Member> = [(conductor.0, member)].into();
        let base = Base {
            last_applied: found.last_applied,
            members,
            state: found.state,
        };
        vault.make(newcomer, base, options.host_name, env).await?;
        Ok(restored)
    }
}

/// What a store is made of.
pub(crate) struct Base {
    pub(crate) last_applied: LogId,
    pub(crate) members: BTreeMap<RaftId, Member>,
    pub(crate) state: ClusterState,
}
