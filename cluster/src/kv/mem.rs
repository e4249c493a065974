//! A disk in memory, for simulation: what was not synced is lost by a power cut, and faults are injected at will.

use super::{Durability, Engine, Gauge, KvError, Op, Tree, Visit};
use crate::identity::Identity;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Pairs = BTreeMap<(Tree, Vec<u8>), Vec<u8>>;

/// A disk that outlives the processes that attach to it. Clones are the same disk.
#[derive(Clone, Default)]
pub struct MemDisk(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    synced: Pairs,
    /// What is readable: `synced` with the buffered writes on top.
    current: Pairs,
    /// Buffered writes, oldest first.
    buffered: Vec<Vec<Op>>,
    /// Which attachment may still write; an older one belongs to a process that is gone.
    attachment: u64,
    fail_sync: bool,
    full: bool,
    /// Of so many syncs only one is real, though all report success; zero for an honest disk.
    sync_only_every: u64,
    syncs: u64,
    identity: Option<Identity>,
}

impl Content {
    fn apply(pairs: &mut Pairs, ops: &[Op]) {
        for op in ops {
            match op {
                Op::Put { tree, key, value } => {
                    pairs.insert((*tree, key.clone()), value.clone());
                }
                Op::Remove { tree, key } => {
                    pairs.remove(&(*tree, key.clone()));
                }
            }
        }
    }
}

impl MemDisk {
    fn content(&self) -> MutexGuard<'_, Content> {
        // A panic while holding this lock is a failed test already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the disk. An earlier attachment can no longer write.
    #[must_use]
    pub fn attach(&self) -> MemEngine {
        let mut content = self.content();
        content.attachment += 1;
        MemEngine {
            disk: self.clone(),
            attachment: content.attachment,
        }
    }

    /// Cuts the power: whoever is attached can write no more, and of the buffered writes only the `kept` oldest
    /// reached the disk.
    pub fn cut_power(&self, kept: usize) {
        let mut content = self.content();
        content.attachment += 1;
        let mut synced = std::mem::take(&mut content.synced);
        for ops in content.buffered.drain(..).take(kept) {
            Content::apply(&mut synced, &ops);
        }
        content.current = synced.clone();
        content.synced = synced;
    }

    /// Makes the next sync fail, losing what it should have made durable.
    pub fn fail_next_sync(&self) {
        self.content().fail_sync = true;
    }

    /// Sets whether writes are refused for lack of room.
    pub fn set_full(&self, full: bool) {
        self.content().full = full;
    }

    /// Makes a liar of the disk: of `every` syncs only one is real, though all report success. Planted by the chaos tests,
    /// to show that they would notice a member that acknowledges before it has synced.
    pub fn sync_only_every(&self, every: u64) {
        self.content().sync_only_every = every;
    }

    /// How many writes wait for a sync.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.content().buffered.len()
    }

    pub(crate) fn identity(&self) -> Option<Identity> {
        self.content().identity.clone()
    }

    pub(crate) fn set_identity(&self, identity: Option<Identity>) {
        self.content().identity = identity;
    }
}

/// One process's use of a [`MemDisk`].
pub struct MemEngine {
    disk: MemDisk,
    attachment: u64,
}

fn io(attempt: &'static str, kind: io::ErrorKind) -> KvError {
    KvError::Io {
        attempt,
        source: kind.into(),
    }
}

impl Engine for MemEngine {
    fn load(&mut self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), KvError> {
        let pairs = self.disk.content().current.clone();
        for ((found, key), value) in &pairs {
            if *found == tree {
                visit(key, value)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, ops: Vec<Op>, durability: Durability) -> Result<(), KvError> {
        let mut content = self.disk.content();
        if content.attachment != self.attachment {
            return Err(io("write, the power was cut", io::ErrorKind::BrokenPipe));
        }
        if content.full && !ops.is_empty() {
            return Err(io("write", io::ErrorKind::StorageFull));
        }
        Content::apply(&mut content.current, &ops);
        content.buffered.push(ops);
        if durability == Durability::Synced {
            if std::mem::take(&mut content.fail_sync) {
                return Err(io("sync", io::ErrorKind::Other));
            }
            content.syncs += 1;
            if content.sync_only_every > 0 && !content.syncs.is_multiple_of(content.sync_only_every)
            {
                return Ok(());
            }
            let buffered = std::mem::take(&mut content.buffered);
            for ops in &buffered {
                Content::apply(&mut content.synced, ops);
            }
        }
        Ok(())
    }

    fn gauge(&self) -> Gauge {
        let disk = self.disk.clone();
        Arc::new(move || {
            let content = disk.content();
            let sizes = content
                .current
                .iter()
                .map(|((_, key), value)| key.len() + value.len());
            sizes.sum::<usize>() as u64
        })
    }
}
