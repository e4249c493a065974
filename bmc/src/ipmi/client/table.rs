//! All BMCs of one socket: their conversations, the calls that wait for them, their timers and their warm sessions.
//!
//! No sockets and no clock here: every method takes the time and leaves datagrams and finished calls in [`Effects`].
//! One conversation at a time per BMC; further calls queue behind it.

use super::lru::Lru;
use crate::ipmi::session::{
    Conversation, IDLE_MAX, Ignored, Io, Job, Progress, Reply, SessionIds, refusal::Refusal,
};
use crate::ipmi::wire::packet::Packet;
use baton_model::driver::ipmi::IpmiTarget;
use baton_model::env::Mono;
use baton_model::port::bmc::BmcError;
use rand::rngs::StdRng;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Calls that may wait for one BMC. The sync pool sends one at a time; a few more come from operators.
const WAITING_MAX: usize = 16;
/// BMCs remembered per socket. With 4 sockets that is 262,144, twice the largest fleet we aim at; one that is
/// forgotten costs a new search for its cipher suite.
const PEERS_MAX: usize = 65_536;
/// Idle sessions ended in one go, so that a sweep never holds the table for longer than about a millisecond.
const SWEEP_MAX: usize = 128;
/// How often idle sessions are looked at. [`IDLE_MAX`] leaves 7 s before BMCs act by themselves.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Timers fire in whole ticks of this, all that have become due at once: each wake-up of a thread costs more than what
/// most timers do. The shortest wait for an answer is four times as long, so nobody notices.
const TICK_MS: u64 = 64;
/// How soon a datagram is offered again that the kernel had no room for, at the next tick.
const POSTPONE: Duration = Duration::from_millis(5);

/// Where a call's result goes.
pub(super) type Caller = oneshot::Sender<Result<Reply, BmcError>>;

/// Names one call at one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallId {
    pub(super) slot: u32,
    pub(super) serial: u64,
}

/// A datagram to send: `Effects::bytes[start..end]`.
pub(super) struct Outgoing {
    pub(super) to: SocketAddr,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Who wants to know if it cannot be sent; farewells do not.
    pub(super) call: Option<CallId>,
}

/// What the socket's owner has to do after a step. Reused, so that steps do not allocate.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) bytes: Vec<u8>,
    pub(super) sends: Vec<Outgoing>,
    pub(super) done: Vec<(Caller, Result<Reply, BmcError>)>,
}

impl Effects {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.sends.clear();
        self.done.clear();
    }
}

struct Call {
    serial: u64,
    target: Arc<IpmiTarget>,
    job: Job,
    deadline: Mono,
    submitted: Mono,
    caller: Caller,
}

struct Peer {
    address: SocketAddr,
    conversation: Conversation,
    /// The running call; its target and job live on in the conversation.
    running: Option<(u64, Caller)>,
    waiting: VecDeque<Call>,
    /// When the conversation wants its timer.
    due: Mono,
    /// The one timer entry that counts; others of this slot are leftovers.
    armed: Option<Mono>,
}

/// The table.
pub(super) struct Table {
    peers: Vec<Option<Peer>>,
    free: Vec<u32>,
    by_address: HashMap<SocketAddr, u32>,
    timers: BinaryHeap<Reverse<(Mono, u32)>>,
    /// Idle peers with an open session.
    warm: Lru,
    /// All idle peers.
    idle: Lru,
    warm_max: usize,
    serial: u64,
    sweep_at: Mono,
    rng: StdRng,
    out: Vec<u8>,
    clear: Vec<u8>,
}

impl Table {
    pub(super) fn new(rng: StdRng, warm_max: usize) -> Self {
        Self {
            peers: Vec::new(),
            free: Vec::new(),
            by_address: HashMap::new(),
            timers: BinaryHeap::new(),
            warm: Lru::new(),
            idle: Lru::new(),
            warm_max,
            serial: 0,
            sweep_at: Mono(0),
            rng,
            out: Vec::new(),
            clear: Vec::new(),
        }
    }

    /// When [`Self::fire`] is next needed, in whole ticks.
    pub(super) fn wake_at(&self) -> Mono {
        let timer = self
            .timers
            .peek()
            .map_or(Mono(u64::MAX), |Reverse((at, _))| *at);
        let next = if self.warm.len() == 0 {
            timer
        } else {
            timer.min(self.sweep_at)
        };
        Mono(next.0.checked_next_multiple_of(TICK_MS).unwrap_or(u64::MAX))
    }

    /// Number of idle warm sessions.
    pub(super) fn warm_sessions(&self) -> usize {
        self.warm.len()
    }

    /// The open session with a BMC, if it was opened for this target.
    pub(super) fn session_ids(
        &self,
        address: SocketAddr,
        target: &IpmiTarget,
    ) -> Option<SessionIds> {
        let peer = self.peer(*self.by_address.get(&address)?)?;
        (**peer.conversation.target() == *target)
            .then(|| peer.conversation.session_ids())
            .flatten()
    }

    /// Everyone with an open session, for closing.
    pub(super) fn open_sessions(&self) -> Vec<(SocketAddr, Arc<IpmiTarget>)> {
        self.peers
            .iter()
            .flatten()
            .filter(|peer| peer.conversation.session_ids().is_some())
            .map(|peer| (peer.address, Arc::clone(peer.conversation.target())))
            .collect()
    }

    /// Forgets a BMC unless a call is using it.
    pub(super) fn forget(&mut self, address: SocketAddr, fx: &mut Effects) {
        if let Some(&slot) = self.by_address.get(&address)
            && self
                .peer(slot)
                .is_some_and(|peer| peer.running.is_none() && peer.waiting.is_empty())
        {
            self.evict(slot, fx);
        }
    }

    /// Starts a call, or queues it behind the one that runs.
    pub(super) fn submit(
        &mut self,
        address: SocketAddr,
        target: &Arc<IpmiTarget>,
        job: Job,
        (now, deadline): (Mono, Mono),
        caller: Caller,
        fx: &mut Effects,
    ) -> Option<CallId> {
        let Some(slot) = self.slot_of(address, target, fx) else {
            let error =
                Refusal::new(target, job).busy("baton is in conversation with too many BMCs");
            fx.done.push((caller, Err(error)));
            return None;
        };
        self.serial = self.serial.wrapping_add(1);
        let serial = self.serial;
        let peer = self.peers[slot as usize].as_mut()?;
        let call = Call {
            serial,
            target: Arc::clone(target),
            job,
            deadline,
            submitted: now,
            caller,
        };
        if peer.running.is_none() {
            self.begin(slot, call, now, fx);
        } else if peer.waiting.len() < WAITING_MAX {
            peer.waiting.push_back(call);
            let due = peer.due;
            self.arm(slot, due);
        } else {
            let error = Refusal::new(target, job)
                .busy(format!("{WAITING_MAX} calls are waiting for it already"));
            fx.done.push((call.caller, Err(error)));
            return None;
        }
        Some(CallId { slot, serial })
    }

    /// The caller has gone.
    pub(super) fn cancel(&mut self, id: CallId, now: Mono, fx: &mut Effects) {
        let Some(peer) = self.peer_mut(id.slot) else {
            return;
        };
        peer.waiting.retain(|call| call.serial != id.serial);
        if peer
            .running
            .as_ref()
            .is_some_and(|(serial, _)| *serial == id.serial)
        {
            peer.conversation.abandon();
            peer.running = None;
            self.next(id.slot, now, fx);
        }
    }

    /// Takes a datagram.
    pub(super) fn datagram(
        &mut self,
        from: SocketAddr,
        packet: &Packet<'_>,
        now: Mono,
        fx: &mut Effects,
    ) -> Result<(), Ignored> {
        let slot = *self.by_address.get(&from).ok_or(Ignored::Unexpected)?;
        let Some(Some(peer)) = self.peers.get_mut(slot as usize) else {
            return Err(Ignored::Unexpected);
        };
        self.out.clear();
        let mut io = Io {
            out: &mut self.out,
            clear: &mut self.clear,
            rng: &mut self.rng,
        };
        let progress = peer.conversation.datagram(now, packet, &mut io)?;
        self.flow(slot, progress, now, fx);
        Ok(())
    }

    /// Runs timers that are due, and ends sessions that were idle for long. Call again at [`Self::wake_at`].
    pub(super) fn fire(&mut self, now: Mono, fx: &mut Effects) {
        while let Some(&Reverse((at, slot))) = self.timers.peek() {
            if at > now {
                break;
            }
            self.timers.pop();
            let Some(peer) = self.peer_mut(slot) else {
                continue;
            };
            if peer.armed != Some(at) {
                continue;
            }
            peer.armed = None;
            self.expire_waiting(slot, now, fx);
            let Some(peer) = self.peers[slot as usize].as_mut() else {
                continue;
            };
            if peer.running.is_none() {
                continue;
            }
            if peer.due > now {
                let due = peer.due;
                self.arm(slot, due);
                continue;
            }
            self.out.clear();
            let mut io = Io {
                out: &mut self.out,
                clear: &mut self.clear,
                rng: &mut self.rng,
            };
            let progress = peer.conversation.timer(now, &mut io);
            self.flow(slot, progress, now, fx);
        }
        self.sweep(now, fx);
    }

    /// A datagram could not be sent: later, or not at all.
    pub(super) fn unsent(
        &mut self,
        id: CallId,
        error: &std::io::Error,
        now: Mono,
        fx: &mut Effects,
    ) {
        let Some(peer) = self.peer_mut(id.slot) else {
            return;
        };
        if peer
            .running
            .as_ref()
            .is_none_or(|(serial, _)| *serial != id.serial)
        {
            return;
        }
        let no_room = matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::OutOfMemory
        );
        let progress = if no_room {
            peer.conversation.postpone(now + POSTPONE)
        } else {
            peer.conversation.fail_to_send(error)
        };
        self.out.clear();
        self.flow(id.slot, progress, now, fx);
    }

    // --- Inside -----------------------------------------------------------------------------------------

    fn peer(&self, slot: u32) -> Option<&Peer> {
        self.peers.get(slot as usize)?.as_ref()
    }

    fn peer_mut(&mut self, slot: u32) -> Option<&mut Peer> {
        self.peers.get_mut(slot as usize)?.as_mut()
    }

    /// The slot of a BMC, made if need be; `None` if all slots are busy.
    fn slot_of(
        &mut self,
        address: SocketAddr,
        target: &Arc<IpmiTarget>,
        fx: &mut Effects,
    ) -> Option<u32> {
        if let Some(&slot) = self.by_address.get(&address) {
            return Some(slot);
        }
        if self.by_address.len() >= PEERS_MAX {
            let oldest = self.idle.oldest()?;
            self.evict(oldest, fx);
        }
        let peer = Some(Peer {
            address,
            conversation: Conversation::new(Arc::clone(target)),
            running: None,
            waiting: VecDeque::new(),
            due: Mono(u64::MAX),
            armed: None,
        });
        let slot = if let Some(slot) = self.free.pop() {
            self.peers[slot as usize] = peer;
            slot
        } else {
            let slot = u32::try_from(self.peers.len()).ok()?;
            self.peers.push(peer);
            slot
        };
        self.by_address.insert(address, slot);
        Some(slot)
    }

    /// Removes an idle peer, saying goodbye if a session is open.
    fn evict(&mut self, slot: u32, fx: &mut Effects) {
        self.farewell(slot, fx);
        self.warm.remove(slot);
        self.idle.remove(slot);
        if let Some(peer) = self.peers.get_mut(slot as usize).and_then(Option::take) {
            self.by_address.remove(&peer.address);
            self.free.push(slot);
        }
    }

    fn farewell(&mut self, slot: u32, fx: &mut Effects) {
        let Some(Some(peer)) = self.peers.get_mut(slot as usize) else {
            return;
        };
        self.out.clear();
        peer.conversation.farewell(&mut Io {
            out: &mut self.out,
            clear: &mut self.clear,
            rng: &mut self.rng,
        });
        let to = peer.address;
        self.outgoing(to, None, fx);
    }

    /// Moves the datagram in `self.out`, if there is one, to the effects.
    fn outgoing(&mut self, to: SocketAddr, call: Option<CallId>, fx: &mut Effects) {
        if self.out.is_empty() {
            return;
        }
        let start = fx.bytes.len();
        fx.bytes.extend_from_slice(&self.out);
        fx.sends.push(Outgoing {
            to,
            start,
            end: fx.bytes.len(),
            call,
        });
        self.out.clear();
    }

    fn begin(&mut self, slot: u32, call: Call, now: Mono, fx: &mut Effects) {
        self.warm.remove(slot);
        self.idle.remove(slot);
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let known = Arc::ptr_eq(peer.conversation.target(), &call.target)
            || **peer.conversation.target() == *call.target;
        if !known || peer.conversation.is_stale(now) {
            self.farewell(slot, fx);
        }
        let Some(Some(peer)) = self.peers.get_mut(slot as usize) else {
            return;
        };
        if !known {
            peer.conversation.retarget(call.target);
        }
        peer.running = Some((call.serial, call.caller));
        self.out.clear();
        let mut io = Io {
            out: &mut self.out,
            clear: &mut self.clear,
            rng: &mut self.rng,
        };
        let progress = peer
            .conversation
            .start(call.job, now, call.deadline, &mut io);
        self.flow(slot, progress, now, fx);
    }

    /// Carries out what a conversation's step led to.
    fn flow(&mut self, slot: u32, progress: Progress, now: Mono, fx: &mut Effects) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        let to = peer.address;
        let call = peer.running.as_ref().map(|(serial, _)| CallId {
            slot,
            serial: *serial,
        });
        match progress {
            Progress::Waiting(at) => {
                self.outgoing(to, call, fx);
                self.arm(slot, at);
            }
            Progress::Done(result) => {
                if let Some((_, caller)) = peer.running.take() {
                    fx.done.push((caller, result));
                }
                self.outgoing(to, None, fx);
                self.next(slot, now, fx);
            }
        }
    }

    /// Starts the next waiting call, or lets the peer rest.
    fn next(&mut self, slot: u32, now: Mono, fx: &mut Effects) {
        self.expire_waiting(slot, now, fx);
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        if let Some(call) = peer.waiting.pop_front() {
            self.begin(slot, call, now, fx);
            return;
        }
        peer.due = Mono(u64::MAX);
        let warm = peer.conversation.session_ids().is_some();
        self.idle.touch(slot);
        if warm {
            if self.warm.len() == 0 {
                self.sweep_at = now + SWEEP_EVERY;
            }
            self.warm.touch(slot);
            if self.warm.len() > self.warm_max
                && let Some(oldest) = self.warm.oldest()
            {
                self.warm.remove(oldest);
                self.farewell(oldest, fx);
            }
        }
    }

    /// Fails waiting calls whose deadline has come.
    fn expire_waiting(&mut self, slot: u32, now: Mono, fx: &mut Effects) {
        let Some(peer) = self.peer_mut(slot) else {
            return;
        };
        if peer.waiting.iter().all(|call| call.deadline > now) {
            return;
        }
        let waiting = std::mem::take(&mut peer.waiting);
        for call in waiting {
            if call.deadline > now {
                peer.waiting.push_back(call);
                continue;
            }
            let waited = call.deadline.since(call.submitted);
            let error = Refusal::new(&call.target, call.job).busy(format!(
                "other calls to it took the whole {} ms",
                waited.as_millis()
            ));
            fx.done.push((call.caller, Err(error)));
        }
    }

    /// Notes when a peer wants attention; pushes a timer only if none comes soon enough.
    fn arm(&mut self, slot: u32, due: Mono) {
        let Some(Some(peer)) = self.peers.get_mut(slot as usize) else {
            return;
        };
        peer.due = due;
        let first = peer
            .waiting
            .iter()
            .map(|call| call.deadline)
            .fold(due, Mono::min);
        if first.0 != u64::MAX && peer.armed.is_none_or(|armed| armed > first) {
            peer.armed = Some(first);
            self.timers.push(Reverse((first, slot)));
        }
    }

    /// Ends idle sessions before their BMCs do, so that a BMC with four session slots has them back.
    fn sweep(&mut self, now: Mono, fx: &mut Effects) {
        if now < self.sweep_at || self.warm.len() == 0 {
            return;
        }
        self.sweep_at = now + SWEEP_EVERY;
        for _ in 0..SWEEP_MAX {
            let Some(slot) = self.warm.oldest() else {
                return;
            };
            if !self
                .peer(slot)
                .is_some_and(|peer| peer.conversation.is_stale(now))
            {
                return;
            }
            self.warm.remove(slot);
            self.farewell(slot, fx);
        }
        // More to do: come back at once, but let others have the table in between.
        self.sweep_at = now;
    }
}

/// The sweep relies on idle sessions growing stale in the order of their last use.
const _: () = assert!(IDLE_MAX.as_secs() > SWEEP_EVERY.as_secs());
