//! One UDP socket with its table. Calls are begun on the caller's thread; a single task per socket reads answers and
//! runs timers, and many datagrams per wake-up.

use super::table::{CallId, Effects, Outgoing, Table};
use crate::beat;
use crate::ipmi::session::{Ignored, Job, Reply, SessionIds};
use crate::ipmi::wire::packet::decode;
use baton_model::driver::ipmi::IpmiTarget;
use baton_model::env::Mono;
use baton_model::port::bmc::BmcError;
use rand::rngs::StdRng;
use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Datagrams read before timers and other tasks get a turn: about a millisecond of work.
const BATCH_MAX: usize = 128;
/// Receive buffer asked for. The kernel grants up to `net.core.rmem_max`; answers of some thousand BMCs that come at
/// once need about 1 KiB each.
const RECEIVE_BUFFER: usize = 4 << 20;
/// One byte more than any datagram we accept, so that a longer one is seen as such.
const BUFFER: usize = crate::ipmi::wire::DATAGRAM_MAX + 1;

/// Counters of one socket.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) sent: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) garbage: AtomicU64,
    pub(super) unexpected: AtomicU64,
    pub(super) replayed: AtomicU64,
    pub(super) forged: AtomicU64,
}

impl Counters {
    fn ignored(&self, why: Ignored) {
        match why {
            Ignored::Garbage => &self.garbage,
            Ignored::Unexpected => &self.unexpected,
            Ignored::Replayed => &self.replayed,
            Ignored::Forged => &self.forged,
        }
        .fetch_add(1, Ordering::Relaxed);
    }
}

/// A socket, its table, and what its task needs.
pub(super) struct Shard {
    socket: UdpSocket,
    table: Mutex<Table>,
    /// When the task means to wake up; a call that needs it sooner says so through `rearm`.
    wake_at: AtomicU64,
    rearm: Notify,
    pub(super) counters: Counters,
}

thread_local! {
    /// Reused by calls that begin on this thread.
    static EFFECTS: Cell<Option<Box<Effects>>> = const { Cell::new(None) };
}

/// Takes a running or waiting call back when its future is dropped.
struct Claim<'a> {
    shard: &'a Shard,
    id: Option<CallId>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let shard = self.shard;
            shard.step(|table, now, fx| table.cancel(id, now, fx));
        }
    }
}

impl Shard {
    /// Binds a socket to `local`, an unspecified address of either family.
    pub(super) fn bind(local: SocketAddr, rng: StdRng, warm_max: usize) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        // A smaller buffer only means more repetitions under load.
        if let Err(error) = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER) {
            tracing::debug!(%error, "the IPMI receive buffer keeps its default size");
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            table: Mutex::new(Table::new(rng, warm_max)),
            wake_at: AtomicU64::new(u64::MAX),
            rearm: Notify::new(),
            counters: Counters::default(),
        })
    }

    fn now() -> Mono {
        Mono(beat::millis(Instant::now()))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // A panic under the lock was counted by the runtime; conversations survive it with their deadlines.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one call to its end. Dropping the future takes the call back.
    pub(super) async fn call(
        &self,
        address: SocketAddr,
        target: &Arc<IpmiTarget>,
        job: Job,
        budget: Duration,
    ) -> Option<Result<Reply, BmcError>> {
        let (caller, result) = oneshot::channel();
        let mut claim = Claim {
            shard: self,
            id: None,
        };
        self.step(|table, now, fx| {
            let deadline = Mono(beat::end((now + budget).0, budget));
            claim.id = table.submit(address, target, job, (now, deadline), caller, fx);
        });
        let result = result.await;
        claim.id = None;
        result.ok()
    }

    pub(super) fn session_ids(
        &self,
        address: SocketAddr,
        target: &IpmiTarget,
    ) -> Option<SessionIds> {
        self.table().session_ids(address, target)
    }

    pub(super) fn open_sessions(&self) -> Vec<(SocketAddr, Arc<IpmiTarget>)> {
        self.table().open_sessions()
    }

    pub(super) fn warm_sessions(&self) -> usize {
        self.table().warm_sessions()
    }

    pub(super) fn forget(&self, address: SocketAddr) {
        self.step(|table, _, fx| table.forget(address, fx));
    }

    /// One step of the table from outside of the task.
    fn step(&self, run: impl FnOnce(&mut Table, Mono, &mut Effects)) {
        let mut fx = EFFECTS.take().unwrap_or_default();
        fx.clear();
        let now = Self::now();
        let wake_at = {
            let mut table = self.table();
            run(&mut table, now, &mut fx);
            table.wake_at()
        };
        if wake_at.0 < self.wake_at.load(Ordering::Acquire) {
            self.rearm.notify_one();
        }
        self.carry_out(&mut fx, now);
        EFFECTS.set(Some(fx));
    }

    /// Sends what is to be sent and answers who is to be answered, without the lock.
    fn carry_out(&self, fx: &mut Effects, now: Mono) {
        let mut failed: Vec<(CallId, io::Error)> = Vec::new();
        for &Outgoing {
            to,
            start,
            end,
            call,
        } in &fx.sends
        {
            match self.send(&fx.bytes[start..end], to) {
                Ok(()) => {
                    self.counters.sent.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => failed.extend(call.map(|call| (call, error))),
            }
        }
        for (caller, result) in fx.done.drain(..) {
            // Whoever dropped the receiver does not want to know.
            drop(caller.send(result));
        }
        fx.clear();
        for (call, error) in failed {
            let wake_at = {
                let mut table = self.table();
                table.unsent(call, &error, now, fx);
                table.wake_at()
            };
            if wake_at.0 < self.wake_at.load(Ordering::Acquire) {
                self.rearm.notify_one();
            }
        }
        // A failed send ends a call or delays it; neither sends at once, except for the next waiting call, which will
        // hear of the same failure from its own timer.
        for (caller, result) in fx.done.drain(..) {
            drop(caller.send(result));
        }
        fx.clear();
    }

    fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        match self.socket.try_send_to(datagram, to) {
            // Of a new socket tokio does not know yet whether it has room; the kernel does.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                socket2::SockRef::from(&self.socket)
                    .send_to(datagram, &to.into())
                    .map(|_| ())
            }
            sent => sent.map(|_| ()),
        }
    }

    /// Reads and answers for ever.
    pub(super) async fn run(self: Arc<Self>) {
        let mut buffer = vec![0; BUFFER];
        let mut fx = Effects::default();
        let sleep = tokio::time::sleep_until(beat::epoch());
        tokio::pin!(sleep);
        let mut armed = Mono(0);
        loop {
            let wake_at = self.table().wake_at();
            self.wake_at.store(wake_at.0, Ordering::Release);
            if wake_at != armed {
                armed = wake_at;
                // What stands for never is not waited for below.
                if wake_at.0 != u64::MAX {
                    sleep
                        .as_mut()
                        .reset(beat::epoch() + Duration::from_millis(wake_at.0));
                }
            }
            tokio::select! {
                biased;
                ready = self.socket.readable() => {
                    if let Err(error) = ready {
                        tracing::error!(%error, "an IPMI socket cannot be waited for");
                        return;
                    }
                    let full = self.drain(&mut buffer, &mut fx);
                    if full {
                        tokio::task::yield_now().await;
                    }
                }
                () = &mut sleep, if wake_at.0 != u64::MAX => armed = Mono(0),
                () = self.rearm.notified() => {}
            }
            let now = Self::now();
            if now >= wake_at {
                self.table().fire(now, &mut fx);
                self.carry_out(&mut fx, now);
            }
        }
    }

    /// Reads until the socket is empty or a batch is full; returns whether it was the batch.
    fn drain(&self, buffer: &mut [u8], fx: &mut Effects) -> bool {
        let now = Self::now();
        for _ in 0..BATCH_MAX {
            let (length, from) = match self.socket.try_recv_from(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // An ICMP error of an earlier send; the deadline of that call tells its caller.
                Err(_) => continue,
            };
            self.counters.received.fetch_add(1, Ordering::Relaxed);
            let taken = decode(&buffer[..length])
                .map_err(Ignored::from)
                .and_then(|packet| self.table().datagram(from, &packet, now, fx));
            match taken {
                Ok(()) => self.carry_out(fx, now),
                Err(why) => self.counters.ignored(why),
            }
        }
        true
    }
}
