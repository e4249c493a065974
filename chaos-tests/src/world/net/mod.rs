//! The simulated network between conductors: connections that carry bytes in order, with delays, cuts and lost hosts.
//!
//! It behaves as TCP does towards its users. A cut loses nothing: what was sent arrives once the cut has healed, since
//! a real sender would repeat it. A killed process resets its connections; a host without power is silent, and resets
//! what it is sent once it is back. Everything due is delivered between two ticks, in the order of time and sequence.

mod carry;
#[cfg(test)]
mod tests;

use crate::rng::Rng;
use carry::{Door, Inner, Slot, What};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// A conductor's host; its number is the conductor's id.
pub type Host = u64;

/// Bytes under way or unread in one direction; then the writer waits. Four parts of a snapshot.
const WINDOW_BYTES: usize = 4 << 20;

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Net(Arc<Mutex<Inner>>);

/// A connection being made.
pub struct Connecting(Slot);

impl Connecting {
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<(u64, u64)>> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.outcome.take() {
            Some(outcome) => Poll::Ready(outcome.map_err(Into::into)),
            None => {
                slot.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// `host:port` of a conductor.
#[must_use]
pub fn address_of(host: Host) -> String {
    format!("conductor-{host}:6386")
}

fn host_of(address: &str) -> Option<Host> {
    let (name, _) = address.split_once(':')?;
    name.strip_prefix("conductor-")?.parse().ok()
}

impl Net {
    /// A network without any host.
    #[must_use]
    pub fn new(chance: Rng) -> Self {
        Self(Arc::new(Mutex::new(Inner::new(chance))))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers everything that is due at `now`.
    pub fn deliver(&self, now: u64) {
        let wake = {
            let mut inner = self.inner();
            inner.due.advance(now);
            while let Some(event) = inner.due.take_due() {
                inner.arrive(event);
            }
            std::mem::take(&mut inner.wake)
        };
        for waker in wake {
            waker.wake();
        }
    }

    /// Segments delivered so far.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.inner().carried
    }

    // --- Faults -------------------------------------------------------------------------------------

    /// A host has power, or none.
    pub fn set_power(&self, host: Host, on: bool) {
        let mut inner = self.inner();
        if on {
            inner.powered.insert(host);
        } else {
            inner.powered.remove(&host);
        }
    }

    /// The process on `host` is gone. If `loud`, its system resets its connections at once.
    pub fn kill(&self, host: Host, loud: bool) {
        let mut inner = self.inner();
        inner.doors.retain(|_, door| door.host != host);
        let mut resets = Vec::new();
        for (number, pipe) in &mut inner.pipes {
            if pipe.from == host && !pipe.dead {
                pipe.dead = true;
                if loud && !pipe.finished && !pipe.reset {
                    resets.push((pipe.to, *number, pipe.back));
                }
            }
            if pipe.to == host {
                pipe.deaf = true;
            }
        }
        if loud {
            for (to, read, write) in resets {
                inner.send(host, to, What::Reset { read, write }, 0);
            }
        }
    }

    /// Cuts or joins one direction. What was sent into a cut arrives after it.
    pub fn set_cut(&self, from: Host, to: Host, cut: bool) {
        let mut inner = self.inner();
        let link = inner.link(from, to);
        link.cut = cut;
        if !cut {
            let held = std::mem::take(&mut link.held);
            for event in held {
                // Before anything that is sent after it.
                inner.due.send(0, event);
            }
        }
    }

    /// Makes one direction slower than usual.
    pub fn set_slower(&self, from: Host, to: Host, slower_ms: u64) {
        self.inner().link(from, to).slower_ms = slower_ms;
    }

    // --- Connections --------------------------------------------------------------------------------

    pub(super) fn connect(&self, from: Host, address: &str) -> Connecting {
        let slot = Slot::default();
        match host_of(address) {
            Some(to) => {
                let what = What::Dial {
                    address: address.to_owned(),
                    slot: slot.clone(),
                };
                self.inner().send(from, to, what, 0);
            }
            None => {
                slot.lock().unwrap_or_else(PoisonError::into_inner).outcome =
                    Some(Err(io::ErrorKind::AddrNotAvailable));
            }
        }
        Connecting(slot)
    }

    pub(super) fn listen(&self, host: Host, address: &str) -> u64 {
        let mut inner = self.inner();
        let number = inner.number();
        let door = Door {
            number,
            host,
            waiting: VecDeque::new(),
            acceptor: None,
        };
        inner.doors.insert(address.to_owned(), door);
        number
    }

    pub(super) fn close_door(&self, address: &str, number: u64) {
        let mut inner = self.inner();
        if inner
            .doors
            .get(address)
            .is_some_and(|door| door.number == number)
        {
            inner.doors.remove(address);
        }
    }

    pub(super) fn poll_accept(
        &self,
        address: &str,
        number: u64,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(Host, u64, u64)>> {
        let mut inner = self.inner();
        let door = inner.doors.get_mut(address);
        let Some(door) = door.filter(|door| door.number == number) else {
            return Poll::Pending;
        };
        match door.waiting.pop_front() {
            Some(caller) => Poll::Ready(Ok(caller)),
            None => {
                door.acceptor = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_read(
        &self,
        pipe: u64,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut inner = self.inner();
        let Some(pipe) = inner.pipes.get_mut(&pipe) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        let count = buf.remaining().min(pipe.ready.len());
        if count > 0 {
            let bytes: Vec<u8> = pipe.ready.drain(..count).collect();
            buf.put_slice(&bytes);
            pipe.unread -= count;
            let writer = pipe.writer.take();
            drop(inner);
            if let Some(writer) = writer {
                writer.wake();
            }
            return Poll::Ready(Ok(()));
        }
        if pipe.reset {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if pipe.finished {
            return Poll::Ready(Ok(()));
        }
        pipe.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn poll_write(
        &self,
        number: u64,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.inner();
        let Some(pipe) = inner.pipes.get_mut(&number) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        if pipe.reset || pipe.dead || pipe.finished {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if pipe.unread >= WINDOW_BYTES {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        pipe.unread += bytes.len();
        let (from, to, last) = (pipe.from, pipe.to, pipe.last_due);
        let what = What::Bytes {
            pipe: number,
            bytes: bytes.to_vec(),
        };
        let due = inner.send(from, to, what, last);
        if let Some(pipe) = inner.pipes.get_mut(&number) {
            pipe.last_due = due;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    pub(super) fn finish(&self, number: u64) {
        let mut inner = self.inner();
        let Some(pipe) = inner.pipes.get(&number) else {
            return;
        };
        if pipe.dead || pipe.reset || pipe.finished {
            return;
        }
        let (from, to, last) = (pipe.from, pipe.to, pipe.last_due);
        let due = inner.send(from, to, What::Finished { pipe: number }, last);
        if let Some(pipe) = inner.pipes.get_mut(&number) {
            pipe.last_due = due;
        }
    }

    pub(super) fn hang_up(&self, read: u64, write: u64) {
        self.finish(write);
        let mut inner = self.inner();
        if let Some(pipe) = inner.pipes.get_mut(&read) {
            pipe.deaf = true;
        }
    }
}
