//! The simulated network between conductors: connections that carry bytes in order, with delays, cuts and lost hosts.
//!
//! It behaves as TCP does towards its users. A cut loses nothing: what was sent arrives once the cut has healed, since
//! a real sender would repeat it. A killed process resets its connections; a host without power is silent, and resets
//! what it is sent once it is back. Everything due is delivered between two ticks, in the order of time and sequence.

use crate::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::ReadBuf;

/// A conductor's host; its number is the conductor's id.
pub type Host = u64;

/// Bytes under way or unread in one direction; then the writer waits. Four parts of a snapshot.
const WINDOW_BYTES: usize = 4 << 20;

/// Usual delay in one direction, in milliseconds.
const DELAY_MS: (u64, u64) = (1, 3);

/// One segment in two hundred is lost and repeated; the repetition comes this much later (Linux's least RTO is 200 ms).
const LOST_ONE_IN: u64 = 200;
const REPEATED_AFTER_MS: (u64, u64) = (200, 450);

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct Net(Arc<Mutex<Inner>>);

struct Inner {
    now: u64,
    sequence: u64,
    chance: Rng,
    due: BTreeMap<(u64, u64), Event>,
    links: BTreeMap<(Host, Host), Link>,
    pipes: BTreeMap<u64, Pipe>,
    doors: BTreeMap<String, Door>,
    numbers: u64,
    /// Hosts with power; one without answers nothing.
    powered: BTreeSet<Host>,
    wake: Vec<Waker>,
    carried: u64,
}

struct Link {
    chance: Rng,
    cut: bool,
    slower_ms: u64,
    held: Vec<Event>,
}

struct Event {
    from: Host,
    to: Host,
    what: What,
}

enum What {
    Bytes {
        pipe: u64,
        bytes: Vec<u8>,
    },
    Finished {
        pipe: u64,
    },
    /// The receiver of `read` and writer of `write` learns that the connection is gone.
    Reset {
        read: u64,
        write: u64,
    },
    Dial {
        address: String,
        slot: Slot,
    },
    Answered {
        slot: Slot,
        outcome: Result<(u64, u64), io::ErrorKind>,
    },
}

/// One direction of a connection.
struct Pipe {
    from: Host,
    to: Host,
    /// The other direction.
    back: u64,
    ready: VecDeque<u8>,
    /// Sent and not yet read.
    unread: usize,
    last_due: u64,
    finished: bool,
    reset: bool,
    /// The reading end is gone: closed, or its process was killed.
    deaf: bool,
    /// The writing process was killed; what is left of it sends nothing more.
    dead: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

struct Door {
    number: u64,
    host: Host,
    waiting: VecDeque<(Host, u64, u64)>,
    acceptor: Option<Waker>,
}

type Slot = Arc<Mutex<SlotState>>;

#[derive(Default)]
struct SlotState {
    outcome: Option<Result<(u64, u64), io::ErrorKind>>,
    waker: Option<Waker>,
}

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
        Self(Arc::new(Mutex::new(Inner {
            now: 0,
            sequence: 0,
            chance,
            due: BTreeMap::new(),
            links: BTreeMap::new(),
            pipes: BTreeMap::new(),
            doors: BTreeMap::new(),
            numbers: 0,
            powered: BTreeSet::new(),
            wake: Vec::new(),
            carried: 0,
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Delivers everything that is due at `now`.
    pub fn deliver(&self, now: u64) {
        let wake = {
            let mut inner = self.inner();
            inner.now = now;
            while let Some(entry) = inner.due.first_entry() {
                if entry.key().0 > now {
                    break;
                }
                let event = entry.remove();
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
                inner.schedule(event);
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

impl Inner {
    const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn link(&mut self, from: Host, to: Host) -> &mut Link {
        let chance = &self.chance;
        self.links.entry((from, to)).or_insert_with(|| Link {
            chance: chance.child(&format!("{from} to {to}")),
            cut: false,
            slower_ms: 0,
            held: Vec::new(),
        })
    }

    /// Sends, to arrive not before `not_before`; when it is due.
    fn send(&mut self, from: Host, to: Host, what: What, not_before: u64) -> u64 {
        let now = self.now;
        let link = self.link(from, to);
        let mut delay = link.chance.between(DELAY_MS.0, DELAY_MS.1) + link.slower_ms;
        if link.chance.below(LOST_ONE_IN) == 0 {
            delay += link
                .chance
                .between(REPEATED_AFTER_MS.0, REPEATED_AFTER_MS.1);
        }
        let due = (now + delay).max(not_before);
        let sequence = self.next();
        self.due.insert((due, sequence), Event { from, to, what });
        due
    }

    /// Lets go of what a cut held back, before anything that was sent after it.
    fn schedule(&mut self, event: Event) {
        let key = (self.now, self.next());
        self.due.insert(key, event);
    }

    const fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    fn arrive(&mut self, event: Event) {
        let Event { from, to, .. } = event;
        let link = self.link(from, to);
        if link.cut {
            link.held.push(event);
            return;
        }
        if !self.powered.contains(&to) {
            return;
        }
        self.carried += 1;
        match event.what {
            What::Bytes { pipe, bytes } => {
                let Some(open) = self.pipes.get_mut(&pipe) else {
                    return;
                };
                if open.deaf {
                    // Nobody reads there any more: the writer is told so.
                    let (read, write) = (open.back, pipe);
                    if !open.dead {
                        self.send(to, from, What::Reset { read, write }, 0);
                    }
                    return;
                }
                open.ready.extend(bytes);
                self.wake.extend(open.reader.take());
            }
            What::Finished { pipe } => {
                if let Some(open) = self.pipes.get_mut(&pipe) {
                    open.finished = true;
                    self.wake.extend(open.reader.take());
                }
            }
            What::Reset { read, write } => {
                for pipe in [read, write] {
                    if let Some(open) = self.pipes.get_mut(&pipe) {
                        open.reset = true;
                        self.wake.extend(open.reader.take());
                        self.wake.extend(open.writer.take());
                    }
                }
            }
            What::Dial { address, slot } => {
                let outcome = self.answer(from, to, &address);
                self.send(to, from, What::Answered { slot, outcome }, 0);
            }
            What::Answered { slot, outcome } => {
                if Arc::strong_count(&slot) == 1 {
                    // Whoever dialled has given up.
                    if let Ok((read, write)) = outcome {
                        self.send(from, to, What::Reset { read, write }, 0);
                        self.send(
                            to,
                            from,
                            What::Reset {
                                read: write,
                                write: read,
                            },
                            0,
                        );
                    }
                    return;
                }
                let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                slot.outcome = Some(outcome);
                self.wake.extend(slot.waker.take());
            }
        }
    }

    fn answer(&mut self, from: Host, to: Host, address: &str) -> Result<(u64, u64), io::ErrorKind> {
        let (there, back) = (self.number(), self.number());
        let Some(door) = self.doors.get_mut(address) else {
            return Err(io::ErrorKind::ConnectionRefused);
        };
        door.waiting.push_back((from, there, back));
        self.wake.extend(door.acceptor.take());
        let pipe = |from, to, back| Pipe {
            from,
            to,
            back,
            ready: VecDeque::new(),
            unread: 0,
            last_due: 0,
            finished: false,
            reset: false,
            deaf: false,
            dead: false,
            reader: None,
            writer: None,
        };
        self.pipes.insert(there, pipe(from, to, back));
        self.pipes.insert(back, pipe(to, from, there));
        Ok((back, there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection from host 1 to host 2: what each end reads from and writes to.
    fn connected(net: &Net) -> ((u64, u64), (u64, u64)) {
        let mut cx = Context::from_waker(Waker::noop());
        let address = address_of(2);
        net.set_power(1, true);
        net.set_power(2, true);
        let door = net.listen(2, &address);
        let connecting = net.connect(1, &address);
        for now in 1..20 {
            net.deliver(now);
            if let Poll::Ready(here) = connecting.poll(&mut cx) {
                let Poll::Ready(Ok((from, read, write))) = net.poll_accept(&address, door, &mut cx)
                else {
                    panic!("a caller was told yes before it was let in");
                };
                assert_eq!(from, 1);
                return (here.unwrap(), (read, write));
            }
        }
        panic!("no connection was made");
    }

    fn write(net: &Net, pipe: u64, bytes: &[u8]) -> io::Result<usize> {
        match net.poll_write(pipe, &mut Context::from_waker(Waker::noop()), bytes) {
            Poll::Ready(written) => written,
            Poll::Pending => panic!("the window is full"),
        }
    }

    /// What can be read now; `None` if nothing can.
    fn read(net: &Net, pipe: u64) -> Option<io::Result<Vec<u8>>> {
        let mut room = [0; 64];
        let mut buf = ReadBuf::new(&mut room);
        match net.poll_read(pipe, &mut Context::from_waker(Waker::noop()), &mut buf) {
            Poll::Ready(done) => Some(done.map(|()| buf.filled().to_vec())),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_cut_delays_and_reorders_nothing() {
        let net = Net::new(Rng::seeded(1));
        let ((_, out), (inbox, _)) = connected(&net);
        write(&net, out, b"a").unwrap();
        net.set_cut(1, 2, true);
        net.deliver(1000);
        write(&net, out, b"b").unwrap();
        net.deliver(2000);
        assert!(read(&net, inbox).is_none(), "it came through a cut");
        net.set_cut(1, 2, false);
        write(&net, out, b"c").unwrap();
        net.deliver(3000);
        assert_eq!(read(&net, inbox).unwrap().unwrap(), b"abc");
    }

    #[test]
    fn a_killed_process_resets_its_connections_and_a_dark_host_does_not() {
        for loud in [true, false] {
            let net = Net::new(Rng::seeded(1));
            let ((inbox, out), _) = connected(&net);
            net.kill(2, loud);
            net.set_power(2, loud);
            net.deliver(1000);
            assert_eq!(read(&net, inbox).is_some_and(|read| read.is_err()), loud);
            if !loud {
                write(&net, out, b"anybody?").unwrap();
                net.deliver(2000);
                assert!(read(&net, inbox).is_none(), "a dark host answered");
                net.set_power(2, true);
                write(&net, out, b"anybody?").unwrap();
                // There, and the answer back.
                net.deliver(3000);
                net.deliver(4000);
                assert!(read(&net, inbox).unwrap().is_err());
            }
        }
    }
}
