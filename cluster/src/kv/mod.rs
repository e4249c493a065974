//! The storage port: two ordered trees of bytes, written in batches, made durable on demand.
//!
//! [`Engine`] is all that the log store and the state machine ask of a disk. [`sled`] keeps it in files, [`mem`] in
//! memory with injectable faults; a write-ahead log or another database would fit behind the same calls. [`Store`]
//! owns an engine on one thread and groups what is queued into one write and one sync. [`Chunked`] splits values
//! that an engine must not see whole. No layer here knows what the bytes mean.

pub mod chunk;
pub mod mem;
pub mod sled;
pub mod writer;

pub use chunk::Chunked;
pub use writer::{Fatal, Store};

use std::io;
use std::sync::Arc;

/// One of the two trees of a store.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Tree {
    /// The Raft log, the vote and the committed and purged marks.
    Log,
    /// The replicated state, with the mark of the last applied entry beside it.
    State,
}

/// One change of one key.
#[derive(Clone, Debug)]
pub enum Op {
    /// Sets `key` to `value`.
    Put {
        /// Where.
        tree: Tree,
        /// Its name; big-endian numbers, so that the order of keys is the order of numbers.
        key: Vec<u8>,
        /// Its content, a frame of [`crate::codec`].
        value: Vec<u8>,
    },
    /// Removes `key`.
    Remove {
        /// Where.
        tree: Tree,
        /// Its name.
        key: Vec<u8>,
    },
}

/// Whether a write must survive a power cut before the call returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// It may be lost, though never before something written earlier is.
    Buffered,
    /// It, and everything written earlier, is on disk when the call returns.
    Synced,
}

/// What an engine can fail with. Apart from [`KvError::Busy`], none is retried: a store that failed once is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The operating system refused.
    #[error("the store could not {attempt}")]
    Io {
        /// What was being done.
        attempt: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The files do not hold what was written to them.
    #[error("the store is damaged: {detail}")]
    Damaged {
        /// What was noticed.
        detail: String,
    },
    /// A newer baton wrote the store.
    #[error("the store was written by a newer baton: {detail}")]
    Newer {
        /// Which record.
        detail: String,
    },
    /// Another process has the store open.
    #[error("the store is open in another process")]
    Busy,
    /// The engine broke one of the rules that its safety rests on.
    #[error("the store broke a rule that its safety rests on: {detail}")]
    Rule {
        /// The rule and what was seen.
        detail: String,
    },
}

impl From<KvError> for io::Error {
    fn from(error: KvError) -> Self {
        Self::other(error)
    }
}

/// What [`Engine::load`] hands each pair to.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), KvError> + 'a;

/// A store of two trees. Calls come from one thread at a time, in the order that the caller wants on disk.
pub trait Engine: Send {
    /// Visits every pair of `tree` in the order of keys.
    ///
    /// # Errors
    /// [`KvError::Damaged`] or [`KvError::Io`], or whatever `visit` refuses.
    fn load(&mut self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), KvError>;

    /// Applies `ops` in order, atomically within each tree, the log tree first.
    ///
    /// # Errors
    /// Any; afterwards the engine must not be used again.
    fn write(&mut self, ops: Vec<Op>, durability: Durability) -> Result<(), KvError>;

    /// Measures the bytes taken on disk, whenever it is asked and from any thread.
    fn gauge(&self) -> Gauge;
}

/// See [`Engine::gauge`].
pub type Gauge = Arc<dyn Fn() -> u64 + Send + Sync>;

impl Engine for Box<dyn Engine> {
    fn load(&mut self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), KvError> {
        (**self).load(tree, visit)
    }

    fn write(&mut self, ops: Vec<Op>, durability: Durability) -> Result<(), KvError> {
        (**self).write(ops, durability)
    }

    fn gauge(&self) -> Gauge {
        (**self).gauge()
    }
}
