//! The Raft log, the vote, and the marks of what is committed and purged.
//!
//! The un-purged log is kept in memory, some thousand entries; the disk is read at open only. Votes and entries go to
//! the one writer in the order in which openraft issues them: a vote that overtook an entry could lose a commit.

use crate::codec::CodecError;
use crate::codec::raft::{
    decode_entry, decode_log_id, decode_vote, encode_entry, encode_log_id, encode_vote,
};
use crate::kv::writer::Opening;
use crate::kv::{KvError, Op, Store, Tree};
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload, OptionalSend};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

const ANCHOR_KEY: &[u8] = &[0x00];
const VOTE_KEY: &[u8] = &[0x01];
const PURGED_KEY: &[u8] = &[0x02];
const COMMITTED_KEY: &[u8] = &[0x03];
const ENTRY_PREFIX: u8 = 0x10;

/// Keys removed in one batch. A batch stalls the writer; 2000 of them take some 20 ms.
const REMOVE_CHUNK: usize = 2000;

/// Bytes of entries in one message to a follower, unless a single entry is larger. Well under the 16 MiB of a frame.
const SEND_BYTES_MAX: usize = 4 << 20;

fn entry_key(index: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(9);
    key.push(ENTRY_PREFIX);
    key.extend_from_slice(&index.to_be_bytes());
    key
}

fn put(key: Vec<u8>, value: Vec<u8>) -> Op {
    Op::Put {
        tree: Tree::Log,
        key,
        value,
    }
}

/// What is wrong with a stored record, in the store's terms.
pub(crate) fn unreadable(error: CodecError) -> KvError {
    match error {
        CodecError::Schema { expected, found } if expected >> 8 == found >> 8 => KvError::Newer {
            detail: error.to_string(),
        },
        CodecError::Length { .. }
        | CodecError::Magic { .. }
        | CodecError::Schema { .. }
        | CodecError::Checksum { .. }
        | CodecError::TooLarge { .. }
        | CodecError::Payload { .. }
        | CodecError::Meaning { .. } => KvError::Damaged {
            detail: error.to_string(),
        },
    }
}

#[derive(Default)]
struct Content {
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// The mark of what is committed is newer than the one on its way to the disk.
    committed_moved: bool,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

/// What was found in the log tree of a store.
pub struct LoadedLog {
    content: Content,
    /// Written at the store's creation and noted beside it: tells a store that came back empty or was swapped.
    pub anchor: Option<u64>,
}

/// Reads the log tree, and removes what an interrupted purge left.
///
/// # Errors
/// [`KvError::Damaged`] if an entry is unreadable or missing.
pub fn load(opening: &mut Opening) -> Result<LoadedLog, KvError> {
    let mut content = Content::default();
    let mut anchor = None;
    let mut left_over = Vec::new();
    opening.load(Tree::Log, &mut |key, value| {
        match key {
            [0x00] => anchor = <[u8; 8]>::try_from(value).ok().map(u64::from_be_bytes),
            [0x01] => content.vote = Some(decode_vote(value).map_err(unreadable)?),
            [0x02] => content.purged = decode_log_id(value).map_err(unreadable)?,
            [0x03] => content.committed = decode_log_id(value).map_err(unreadable)?,
            [ENTRY_PREFIX, index @ ..] => {
                let entry = decode_entry(value).map_err(unreadable)?;
                if index != entry.log_id.index.to_be_bytes() {
                    return Err(KvError::Damaged {
                        detail: format!("log entry {} stands in another's place", entry.log_id),
                    });
                }
                if content
                    .purged
                    .is_some_and(|purged| entry.log_id.index <= purged.index)
                {
                    left_over.push(Op::Remove {
                        tree: Tree::Log,
                        key: key.to_vec(),
                    });
                } else {
                    content.entries.insert(entry.log_id.index, entry);
                }
            }
            _ => {
                return Err(KvError::Damaged {
                    detail: "the log holds a key that is not baton's".to_owned(),
                });
            }
        }
        Ok(())
    })?;
    let first = content.purged.map_or(0, |purged| purged.index + 1);
    for (expected, index) in (first..).zip(content.entries.keys()) {
        if *index != expected {
            return Err(KvError::Damaged {
                detail: format!("log entry {expected} is missing"),
            });
        }
    }
    opening.clean(left_over)?;
    Ok(LoadedLog { content, anchor })
}

/// Writes the anchor of a new store.
///
/// # Errors
/// As [`crate::kv::Engine::write`].
pub fn write_anchor(opening: &mut Opening, anchor: u64) -> Result<(), KvError> {
    opening.clean(vec![put(
        ANCHOR_KEY.to_vec(),
        anchor.to_be_bytes().to_vec(),
    )])
}

/// The writes that make the log tree of a new store whose state includes everything up to `base`.
///
/// # Errors
/// None that can happen; bincode's signature has one.
pub fn first_ops(base: LogId) -> Result<Vec<Op>, CodecError> {
    // Whoever leads next does so in a later term than the base's.
    let vote = Vote {
        leader_id: base.leader_id,
        committed: false,
    };
    Ok(vec![
        put(VOTE_KEY.to_vec(), encode_vote(vote)?),
        put(PURGED_KEY.to_vec(), encode_log_id(Some(base))?),
        put(COMMITTED_KEY.to_vec(), encode_log_id(Some(base))?),
    ])
}

/// The log store. Clones share it.
#[derive(Clone)]
pub struct LogStore {
    content: Arc<RwLock<Content>>,
    store: Store,
}

impl LogStore {
    /// Begins with what was loaded.
    #[must_use]
    pub fn new(loaded: LoadedLog, store: Store) -> Self {
        Self {
            content: Arc::new(RwLock::new(loaded.content)),
            store,
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Content> {
        // Nothing under this lock can panic half way.
        self.content.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Content> {
        self.content.write().unwrap_or_else(PoisonError::into_inner)
    }

    async fn remove(&self, keys: Vec<Vec<u8>>) -> io::Result<()> {
        let mut keys = keys.into_iter().peekable();
        while keys.peek().is_some() {
            let ops = keys
                .by_ref()
                .take(REMOVE_CHUNK)
                .map(|key| Op::Remove {
                    tree: Tree::Log,
                    key,
                })
                .collect();
            self.store.write(ops).await?;
        }
        Ok(())
    }
}

fn size(entry: &Entry) -> usize {
    match &entry.payload {
        EntryPayload::Normal(bytes) => bytes.0.len(),
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let content = self.read();
        Ok(content
            .entries
            .range(range)
            .map(|(_, entry)| entry.clone())
            .collect())
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(self.read().vote)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        let content = self.read();
        let mut bytes = 0;
        Ok(content
            .entries
            .range(start..end)
            .map(|(_, entry)| entry)
            .take_while(|entry| {
                let first = bytes == 0;
                // One for the entry itself, so that a blank first entry counts as taken.
                bytes += size(entry) + 1;
                first || bytes <= SEND_BYTES_MAX
            })
            .cloned()
            .collect())
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let content = self.read();
        let last = content.entries.values().next_back();
        Ok(LogState {
            last_purged_log_id: content.purged,
            last_log_id: last.map(|entry| entry.log_id).or(content.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let value = encode_vote(*vote)?;
        self.write().vote = Some(*vote);
        self.store
            .write_durably(vec![put(VOTE_KEY.to_vec(), value)])
            .await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        // Written with the next entries, so that it costs no write of its own. It may lag behind: it only says how far
        // a restarted member may apply before it hears from a leader.
        let mut content = self.write();
        content.committed = committed;
        content.committed_moved = true;
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.read().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let mut ops = Vec::with_capacity(entries.len() + 1);
        for entry in &entries {
            ops.push(put(entry_key(entry.log_id.index), encode_entry(entry)?));
        }
        {
            let mut content = self.write();
            if std::mem::take(&mut content.committed_moved) {
                let value = encode_log_id(content.committed)?;
                ops.push(put(COMMITTED_KEY.to_vec(), value));
            }
            content
                .entries
                .extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        }
        self.store
            .write_then(ops, Box::new(|outcome| callback.io_completed(outcome)))
            .await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let from = last_log_id.map_or(0, |id| id.index + 1);
        let removed = self.write().entries.split_off(&from);
        // From the end backward: a crash between two batches leaves no hole.
        self.remove(removed.into_keys().rev().map(entry_key).collect())
            .await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        let removed = {
            let mut content = self.write();
            content.purged = Some(log_id);
            let kept = content.entries.split_off(&(log_id.index + 1));
            std::mem::replace(&mut content.entries, kept)
        };
        // The state that makes these entries superfluous was queued earlier; it must be on disk before they go.
        let value = encode_log_id(Some(log_id))?;
        self.store
            .write_after_sync(vec![put(PURGED_KEY.to_vec(), value)])
            .await?;
        self.remove(removed.into_keys().map(entry_key).collect())
            .await
    }
}
