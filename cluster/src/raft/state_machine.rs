//! The replicated state: in memory for everybody, on disk incrementally.
//!
//! `apply` changes memory and notes which records it touched. The touched records go to the state tree together with
//! the mark of the last applied entry, in one atomic batch, every [`DIRTY_MAX`] records and before every snapshot;
//! until then the log holds what is needed to apply them again. The log is purged only behind that mark.

use crate::codec::CodecError;
use crate::codec::raft::Blob;
use crate::codec::state::{
    REPLIES_KIND, StateMeta, decode_meta, decode_proposals, decode_replies, decode_stored,
    encode_meta, encode_replies, encode_stored, record_key,
};
use crate::kv::writer::{FatalSender, Opening};
use crate::kv::{KvError, Op, Store, Tree};
use crate::raft::log_store::unreadable;
use crate::raft::snapshot::{Image, Snapshot};
use crate::raft::types::{LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::watch;
use baton_model::apply::apply;
use baton_model::command::{Proposal, Reply};
use baton_model::ids::{LogIndex, Position};
use baton_model::port::cluster::ChangeSink;
use baton_model::state::{Change, ClusterState, StateView, Stored};
use futures_util::{Stream, TryStreamExt};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

const META_KEY: &[u8] = &[0x00];
const RECORD_PREFIX: u8 = 0x01;

/// Touched records that may wait for the disk. Waiting spares writes: a record touched again is written once. It is
/// bounded by the snapshots, every 2000 entries, which write everything; this bound is for longer distances. A batch
/// of this size takes some 40 ms of the writer's time, and a restart applies at most as many entries again.
const DIRTY_MAX: usize = 6000;

/// Records in one batch of a snapshot's installation.
const INSTALL_CHUNK: usize = 512;

fn stored_key(generation: u32, change: Change) -> Vec<u8> {
    let mut key = vec![RECORD_PREFIX];
    key.extend_from_slice(&generation.to_be_bytes());
    key.extend(record_key(change));
    key
}

/// Turns touched records into writes. They come in the order of their keys, replies of one group one after another.
struct Writing<'a> {
    state: &'a ClusterState,
    generation: u32,
    /// The key of the group of replies written last.
    group: Vec<u8>,
}

impl<'a> Writing<'a> {
    const fn new(state: &'a ClusterState, generation: u32) -> Self {
        Self {
            state,
            generation,
            group: Vec::new(),
        }
    }

    /// The write for `change`; none if its group has just been written.
    fn op(&mut self, change: Change) -> Result<Option<Op>, CodecError> {
        let key = stored_key(self.generation, change);
        let value = if let Change::Reply(conductor, slot) = change {
            if key == self.group {
                return Ok(None);
            }
            self.group.clone_from(&key);
            encode_replies(self.state, conductor, slot)?
        } else {
            self.state
                .stored(change)
                .map(|record| encode_stored(&record))
                .transpose()?
        };
        Ok(Some(match value {
            Some(value) => put(key, value),
            None => remove(key),
        }))
    }
}

/// What was found in the state tree of a store.
pub struct LoadedState {
    meta: StateMeta,
    state: ClusterState,
}

/// Reads the state tree, and removes what an interrupted installation left.
///
/// # Errors
/// [`KvError::Damaged`] if a record is unreadable.
pub fn load(opening: &mut Opening) -> Result<LoadedState, KvError> {
    let mut meta: Option<StateMeta> = None;
    let mut records = Vec::new();
    let mut left_over = Vec::new();
    // The mark's key is the smallest, so it comes first.
    opening.load(Tree::State, &mut |key, value| {
        match key {
            [0x00] => meta = Some(decode_meta(value).map_err(unreadable)?),
            [RECORD_PREFIX, g0, g1, g2, g3, kind, ..] => {
                let generation = u32::from_be_bytes([*g0, *g1, *g2, *g3]);
                if meta
                    .as_ref()
                    .is_some_and(|meta| meta.generation == generation)
                {
                    if *kind == REPLIES_KIND {
                        let group = decode_replies(value).map_err(unreadable)?;
                        records.extend(group.into_iter().map(Stored::Reply));
                    } else {
                        records.push(decode_stored(value).map_err(unreadable)?);
                    }
                } else {
                    left_over.push(Op::Remove {
                        tree: Tree::State,
                        key: key.to_vec(),
                    });
                }
            }
            _ => {
                return Err(KvError::Damaged {
                    detail: "the state holds a key that is not baton's".to_owned(),
                });
            }
        }
        Ok(())
    })?;
    opening.clean(left_over)?;
    Ok(LoadedState {
        meta: meta.unwrap_or_default(),
        state: ClusterState::restore(records),
    })
}

/// The writes that make the state tree of a new store, in batches.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn first_ops(
    state: &ClusterState,
    last_applied: LogId,
    membership: StoredMembership,
) -> Result<Vec<Vec<Op>>, CodecError> {
    let meta = StateMeta {
        last_applied: Some(last_applied),
        membership,
        generation: 0,
    };
    let mut writing = Writing::new(state, meta.generation);
    let mut batches = vec![Vec::new()];
    for record in state.all_stored() {
        if batches
            .last()
            .is_some_and(|batch| batch.len() >= INSTALL_CHUNK)
        {
            batches.push(Vec::new());
        }
        if let (Some(op), Some(batch)) = (writing.op(record.key())?, batches.last_mut()) {
            batch.push(op);
        }
    }
    batches.push(vec![put(META_KEY.to_vec(), encode_meta(&meta)?)]);
    Ok(batches)
}

/// openraft's view of the replicated state.
pub struct StateMachine {
    view: StateView,
    meta: StateMeta,
    dirty: BTreeSet<Change>,
    /// The mark on disk is behind.
    behind: bool,
    store: Store,
    fatal: FatalSender,
    sink: Arc<dyn ChangeSink>,
    applied: watch::Sender<u64>,
    current: Arc<Mutex<Option<Snapshot>>>,
}

impl StateMachine {
    /// Begins with what was loaded. `sink` is told of every change.
    #[must_use]
    pub fn new(loaded: LoadedState, store: Store, sink: Arc<dyn ChangeSink>) -> Self {
        let applied = loaded.meta.last_applied.map_or(0, |id| id.index);
        Self {
            view: StateView::new(loaded.state),
            meta: loaded.meta,
            dirty: BTreeSet::new(),
            behind: false,
            fatal: store.fatal(),
            store,
            sink,
            applied: watch::Sender::new(applied),
            current: Arc::default(),
        }
    }

    /// The state for readers.
    #[must_use]
    pub fn view(&self) -> StateView {
        self.view.clone()
    }

    /// Follows the index of the last applied entry.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// Sends all touched records to the writer.
    ///
    /// # Errors
    /// If the store failed.
    pub async fn persist(&mut self) -> io::Result<()> {
        if !self.behind {
            return Ok(());
        }
        let mut ops = Vec::with_capacity(self.dirty.len() + 1);
        {
            let state = self.view.read();
            let mut writing = Writing::new(&state, self.meta.generation);
            for change in std::mem::take(&mut self.dirty) {
                ops.extend(writing.op(change)?);
            }
        }
        ops.push(put(META_KEY.to_vec(), encode_meta(&self.meta)?));
        self.behind = false;
        self.store.write(ops).await
    }

    /// Applies the proposals of an entry, all of which are readable or none is applied.
    fn apply_all(&mut self, index: u64, bytes: &Blob) -> io::Result<Vec<Reply>> {
        let proposals = decode_proposals(&bytes.0)?;
        let places = 0..=u8::MAX;
        Ok(places
            .zip(proposals)
            .map(|(place, proposal)| {
                let index = LogIndex(index);
                self.apply_one(Position { index, place }, proposal)
            })
            .collect())
    }

    /// Applies one proposal. Replicas that disagree are worse than a conductor that is gone, so a panic ends it.
    fn apply_one(&mut self, position: Position, proposal: Proposal) -> Reply {
        let index = position.index;
        let name = proposal.command.name();
        let applied = catch_unwind(AssertUnwindSafe(|| {
            apply(&mut self.view.write(), position, proposal)
        }));
        let Ok(applied) = applied else {
            tracing::error!(
                log_index = index.0,
                command = name,
                "applying a log entry panicked; the process aborts, since replicas must not diverge"
            );
            std::process::abort();
        };
        self.sink.applied(index, &applied.changes);
        self.dirty.extend(applied.changes);
        applied.reply
    }

    async fn apply_entry(
        &mut self,
        (entry, responder): EntryResponder<TypeConfig>,
    ) -> io::Result<()> {
        let replies = match &entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Normal(bytes) => self.apply_all(entry.log_id.index, bytes)?,
            EntryPayload::Membership(membership) => {
                self.meta.membership =
                    StoredMembership::new(Some(entry.log_id), membership.clone());
                Vec::new()
            }
        };
        self.meta.last_applied = Some(entry.log_id);
        self.behind = true;
        if self.dirty.len() >= DIRTY_MAX {
            self.persist().await?;
        }
        // Whoever looks sees it at once; whoever waits is woken once per batch.
        self.applied.send_if_modified(|applied| {
            *applied = entry.log_id.index;
            false
        });
        if let Some(responder) = responder {
            responder.send(replies);
        }
        Ok(())
    }

    /// The state as of the last applied entry.
    #[must_use]
    pub fn image(&self) -> Snapshot {
        Snapshot {
            meta: SnapshotMeta {
                last_log_id: self.meta.last_applied,
                last_membership: self.meta.membership.clone(),
            },
            snapshot: Image(Arc::new(self.view.read().clone())),
        }
    }

    async fn install(&mut self, meta: &SnapshotMeta, image: &Image) -> io::Result<()> {
        let generation = self.meta.generation.wrapping_add(1);
        let mut ops = Vec::with_capacity(INSTALL_CHUNK);
        let mut writing = Writing::new(&image.0, generation);
        for record in image.0.all_stored() {
            ops.extend(writing.op(record.key())?);
            if ops.len() >= INSTALL_CHUNK {
                self.store.write(std::mem::take(&mut ops)).await?;
            }
        }
        self.store.write(std::mem::take(&mut ops)).await?;
        let old_generation = self.meta.generation;
        self.meta = StateMeta {
            last_applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            generation,
        };
        // This one small write is the moment of installation; before it the old records are the valid ones.
        self.store
            .write_durably(vec![put(META_KEY.to_vec(), encode_meta(&self.meta)?)])
            .await?;
        let new = ClusterState::clone(&image.0);
        let old = std::mem::replace(&mut *self.view.write(), new);
        let mut last = Vec::new();
        for record in old.all_stored() {
            let key = stored_key(old_generation, record.key());
            // The replies of a group have one key and follow each other.
            if key != last {
                ops.push(remove(key.clone()));
                last = key;
            }
            if ops.len() >= INSTALL_CHUNK {
                self.store.write(std::mem::take(&mut ops)).await?;
            }
        }
        let gone = std::mem::take(&mut self.dirty);
        ops.extend(
            gone.into_iter()
                .map(|change| remove(stored_key(old_generation, change))),
        );
        self.behind = false;
        self.store.write(ops).await
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Option<Snapshot>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Any failure here ends the process; say which.
    fn noted<T>(&self, doing: &str, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome {
            self.fatal.report(format!("could not {doing}: {error}"));
        }
        outcome
    }
}

fn put(key: Vec<u8>, value: Vec<u8>) -> Op {
    Op::Put {
        tree: Tree::State,
        key,
        value,
    }
}

const fn remove(key: Vec<u8>) -> Op {
    Op::Remove {
        tree: Tree::State,
        key,
    }
}

/// A snapshot taken when the builder was asked for; building it is then only handing it out.
pub struct Builder {
    image: Snapshot,
    current: Arc<Mutex<Option<Snapshot>>>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = Image;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // A newer one may have been installed meanwhile.
        if current
            .as_ref()
            .is_none_or(|current| current.meta.last_log_id <= self.image.meta.last_log_id)
        {
            *current = Some(self.image.clone());
        }
        Ok(self.image.clone())
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = Image;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.meta.last_applied, self.meta.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some(entry) = entries.try_next().await? {
            let outcome = self.apply_entry(entry).await;
            self.noted("apply a log entry", outcome)?;
        }
        self.applied.send_modify(|_| {});
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        // The log will be purged behind this snapshot, so what it covers goes to the writer before the purge does.
        // A failure is published by the store itself and stops the purge too.
        drop(self.persist().await);
        Builder {
            image: self.image(),
            current: self.current.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Image,
    ) -> Result<(), io::Error> {
        let outcome = self.install(meta, &snapshot).await;
        self.noted("install a snapshot", outcome)?;
        *self.current() = Some(Snapshot {
            meta: meta.clone(),
            snapshot,
        });
        let index = meta.last_log_id.map_or(0, |id| id.index);
        self.sink.reset(LogIndex(index));
        self.applied.send_replace(index);
        tracing::info!(log_index = index, "installed a snapshot");
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.current().clone())
    }
}
