//! What is under way between hosts, and what becomes of it when it arrives.

use super::Host;
use crate::rng::Rng;
use crate::timeline::Timeline;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// Usual delay in one direction, in milliseconds.
const DELAY_MS: (u64, u64) = (1, 3);

/// One segment in two hundred is lost and repeated; the repetition comes this much later (Linux's least RTO is 200 ms).
const LOST_ONE_IN: u64 = 200;
const REPEATED_AFTER_MS: (u64, u64) = (200, 450);

pub(super) struct Inner {
    pub(super) due: Timeline<Event>,
    pub(super) chance: Rng,
    pub(super) links: BTreeMap<(Host, Host), Link>,
    pub(super) pipes: BTreeMap<u64, Pipe>,
    pub(super) doors: BTreeMap<String, Door>,
    pub(super) numbers: u64,
    /// Hosts with power; one without answers nothing.
    pub(super) powered: BTreeSet<Host>,
    pub(super) wake: Vec<Waker>,
    pub(super) carried: u64,
}

pub(super) struct Link {
    pub(super) chance: Rng,
    pub(super) cut: bool,
    pub(super) slower_ms: u64,
    pub(super) held: Vec<Event>,
}

pub(super) struct Event {
    pub(super) from: Host,
    pub(super) to: Host,
    pub(super) what: What,
}

pub(super) enum What {
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
pub(super) struct Pipe {
    pub(super) from: Host,
    pub(super) to: Host,
    /// The other direction.
    pub(super) back: u64,
    pub(super) ready: VecDeque<u8>,
    /// Sent and not yet read.
    pub(super) unread: usize,
    pub(super) last_due: u64,
    pub(super) finished: bool,
    pub(super) reset: bool,
    /// The reading end is gone: closed, or its process was killed.
    pub(super) deaf: bool,
    /// The writing process was killed; what is left of it sends nothing more.
    pub(super) dead: bool,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
}

pub(super) struct Door {
    pub(super) number: u64,
    pub(super) host: Host,
    pub(super) waiting: VecDeque<(Host, u64, u64)>,
    pub(super) acceptor: Option<Waker>,
}

pub(super) type Slot = Arc<Mutex<SlotState>>;

#[derive(Default)]
pub(super) struct SlotState {
    pub(super) outcome: Option<Result<(u64, u64), io::ErrorKind>>,
    pub(super) waker: Option<Waker>,
}

impl Inner {
    /// A network without any host.
    pub(super) fn new(chance: Rng) -> Self {
        Self {
            due: Timeline::default(),
            chance,
            links: BTreeMap::new(),
            pipes: BTreeMap::new(),
            doors: BTreeMap::new(),
            numbers: 0,
            powered: BTreeSet::new(),
            wake: Vec::new(),
            carried: 0,
        }
    }

    pub(super) const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn link(&mut self, from: Host, to: Host) -> &mut Link {
        let chance = &self.chance;
        self.links.entry((from, to)).or_insert_with(|| Link {
            chance: chance.child(&format!("{from} to {to}")),
            cut: false,
            slower_ms: 0,
            held: Vec::new(),
        })
    }

    /// Sends, to arrive not before `not_before`; when it is due.
    pub(super) fn send(&mut self, from: Host, to: Host, what: What, not_before: u64) -> u64 {
        let now = self.due.now();
        let link = self.link(from, to);
        let mut delay = link.chance.between(DELAY_MS.0, DELAY_MS.1) + link.slower_ms;
        if link.chance.below(LOST_ONE_IN) == 0 {
            delay += link
                .chance
                .between(REPEATED_AFTER_MS.0, REPEATED_AFTER_MS.1);
        }
        let due = (now + delay).max(not_before);
        self.due.send_at(due, Event { from, to, what });
        due
    }

    pub(super) fn arrive(&mut self, event: Event) {
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
