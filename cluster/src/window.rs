//! Numbers proposals so that a retry is always recognised.
//!
//! `apply` remembers the last [`RETRY_SLOTS`] replies of a conductor. A proposal that is still being tried must not
//! be more than that many numbers behind the newest one, or its retry would be taken for a new proposal.

use baton_model::state::RETRY_SLOTS;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Hands out the numbers of one life of one conductor.
#[derive(Default)]
pub(crate) struct Window {
    inner: Mutex<Inner>,
    left: Notify,
}

#[derive(Default)]
struct Inner {
    next: u64,
    in_flight: BTreeSet<u64>,
}

/// A number in use; dropping it ends its use.
pub(crate) struct Seat<'a> {
    window: &'a Window,
    /// The number.
    pub(crate) seq: u64,
}

impl Window {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_enter(&self) -> Option<Seat<'_>> {
        let mut inner = self.inner();
        let seq = inner.next;
        let oldest = inner.in_flight.first().copied().unwrap_or(seq);
        if seq - oldest >= RETRY_SLOTS {
            return None;
        }
        inner.next += 1;
        inner.in_flight.insert(seq);
        Some(Seat { window: self, seq })
    }

    /// Takes the next number, waiting while the oldest one in use is too far behind.
    pub(crate) async fn enter(&self) -> Seat<'_> {
        loop {
            let left = self.left.notified();
            if let Some(seat) = self.try_enter() {
                return seat;
            }
            left.await;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.window.inner().in_flight.remove(&self.seq);
        self.window.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_is_handed_out_while_a_retry_could_be_mistaken() {
        let window = Window::default();
        let first = window.try_enter().unwrap();
        for _ in 1..RETRY_SLOTS {
            drop(window.try_enter().unwrap());
        }
        assert!(window.try_enter().is_none());
        drop(first);
        assert_eq!(window.try_enter().unwrap().seq, RETRY_SLOTS);
    }
}
