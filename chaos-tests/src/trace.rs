//! What happened, in order: one line for each thing worth telling, and a hash over all of them.
//!
//! Two runs of one seed must have the same trace. The hash is what tests compare; the lines say where two runs part.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// FNV-1a, 64 bits: offset basis and prime.
const HASH_START: u64 = 0xcbf2_9ce4_8422_2325;
const HASH_PRIME: u64 = 0x0000_0100_0000_01b3;

/// Hashes bytes on top of an earlier hash.
#[must_use]
pub fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(HASH_PRIME)
    })
}

/// Hashes bytes.
#[must_use]
pub fn hash_of(bytes: &[u8]) -> u64 {
    hash(HASH_START, bytes)
}

struct Inner {
    now: u64,
    lines: Vec<String>,
    hash: u64,
}

/// The trace of one run, and the world's time. Clones are the same trace.
#[derive(Clone)]
pub struct Trace(Arc<Mutex<Inner>>);

impl Default for Trace {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            now: 0,
            lines: Vec::new(),
            hash: HASH_START,
        })))
    }
}

impl Trace {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The world's time in milliseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.inner().now
    }

    /// Time goes on.
    pub fn set_now(&self, now: u64) {
        self.inner().now = now;
    }

    /// Adds a line.
    pub fn note(&self, what: impl std::fmt::Display) {
        let mut inner = self.inner();
        let (seconds, millis) = (inner.now / 1000, inner.now % 1000);
        let line = format!("{seconds:>4}.{millis:03} {what}");
        inner.hash = hash(inner.hash, line.as_bytes());
        inner.hash = hash(inner.hash, b"\n");
        inner.lines.push(line);
    }

    /// The hash over all lines.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.inner().hash
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.inner().lines.clone()
    }
}

/// Where two traces part: the line's number and both lines. `None` if they are the same.
#[must_use]
pub fn first_difference(one: &[String], other: &[String]) -> Option<(usize, String, String)> {
    let end = "(the trace ends here)".to_owned();
    (0..one.len().max(other.len())).find_map(|number| {
        let (a, b) = (one.get(number), other.get(number));
        (a != b).then(|| {
            let text = |line: Option<&String>| line.unwrap_or(&end).clone();
            (number + 1, text(a), text(b))
        })
    })
}
