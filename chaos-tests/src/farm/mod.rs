//! The machines and their BMCs: what a real rack would show to whoever stands before it.
//!
//! Every command that reaches a machine goes into its ledger with who sent it and under which tenure; every change of
//! power with what caused it. Questions and answers take their time, a silent BMC answers nothing, and a conductor may be
//! cut off from all of them. Commands travel no longer than the two margins between the end of a lease and a takeover.

mod machine;
mod port;

pub use machine::{Cause, Edge, Machine, Received};
pub use port::FarmPort;

use crate::rng::Rng;
use crate::timeline::Timeline;
use crate::trace::Trace;
use crate::world::net::Host;
use baton_model::ids::{Epoch, NodeId};
use baton_model::port::bmc::{PowerAction, PowerReading};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Usual delay between a conductor and a BMC, in milliseconds, one way.
const DELAY_MS: (u64, u64) = (2, 12);

/// One packet in fifty finds the BMC busy and waits so long. Less than twice the margin of a session.
const SLOW_ONE_IN: u64 = 50;
const SLOW_MS: (u64, u64) = (50, 250);

/// What is asked of a BMC.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Question {
    /// The power state; opens a session where this one is not (any more).
    Read { session: Option<u32> },
    /// A command, in this session if the BMC has sessions.
    Act {
        action: PowerAction,
        epoch: Option<Epoch>,
        session: Option<u32>,
    },
    /// The end of a session, whoever opened it.
    End { session: u32 },
}

/// What a BMC answers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    Reading { reading: PowerReading, session: u32 },
    Done,
    SessionOver,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asker {
    /// The conductor.
    pub host: Host,
    /// Its start, counted from one.
    pub boot: u64,
}

enum Event {
    Ask {
        machine: Box<str>,
        from: Asker,
        sent: u64,
        question: Question,
        reply: oneshot::Sender<Answer>,
    },
    Answer {
        to: Host,
        answer: Answer,
        reply: oneshot::Sender<Answer>,
    },
}

struct Inner {
    due: Timeline<Event>,
    chance: Rng,
    trace: Trace,
    machines: BTreeMap<Box<str>, Machine>,
    /// Conductors that no BMC hears.
    cut: BTreeSet<Host>,
}

/// See the module. Clones are the same farm.
#[derive(Clone)]
pub struct Farm(Arc<Mutex<Inner>>);

impl Farm {
    /// A farm without machines.
    #[must_use]
    pub fn new(chance: Rng, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            due: Timeline::default(),
            chance,
            trace,
            machines: BTreeMap::new(),
            cut: BTreeSet::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new machine, whose BMC is found at `address`.
    pub fn add(&self, address: &str, node: NodeId, on: bool) {
        let mut inner = self.inner();
        let chance = inner.chance.child(address);
        inner
            .machines
            .insert(address.into(), Machine::new(node, on, chance));
    }

    /// Everything that is due by `now` happens.
    pub fn deliver(&self, now: u64) {
        let mut inner = self.inner();
        inner.due.advance(now);
        let trace = inner.trace.clone();
        for machine in inner.machines.values_mut() {
            machine.settle(now, &trace);
        }
        while let Some(event) = inner.due.take_due() {
            inner.arrive(event);
        }
    }

    /// The addresses of all machines.
    #[must_use]
    pub fn addresses(&self) -> Vec<Box<str>> {
        self.inner().machines.keys().cloned().collect()
    }

    /// Looks at one machine.
    pub fn look<R>(&self, address: &str, look: impl FnOnce(&Machine) -> R) -> Option<R> {
        self.inner().machines.get(address).map(look)
    }

    /// Looks at every machine.
    #[must_use]
    pub fn machines(&self) -> Vec<Machine> {
        self.inner().machines.values().cloned().collect()
    }

    // --- Faults -------------------------------------------------------------------------------------

    /// Somebody presses the button of a machine.
    pub fn press(&self, address: &str) {
        let mut inner = self.inner();
        let (now, trace) = (inner.due.now(), inner.trace.clone());
        if let Some(machine) = inner.machines.get_mut(address) {
            machine.press(now, &trace);
        }
    }

    /// A BMC stops answering, or answers again.
    pub fn set_silent(&self, address: &str, silent: bool) {
        if let Some(machine) = self.inner().machines.get_mut(address) {
            machine.set_silent(silent);
        }
    }

    /// A conductor loses its way to all BMCs, or finds it again.
    pub fn set_cut(&self, host: Host, cut: bool) {
        let mut inner = self.inner();
        if cut {
            inner.cut.insert(host);
        } else {
            inner.cut.remove(&host);
        }
    }

    // --- Conversations ------------------------------------------------------------------------------

    pub(crate) fn ask(
        &self,
        from: Asker,
        machine: &str,
        question: Question,
    ) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        let mut inner = self.inner();
        let sent = inner.due.now();
        inner.send(Event::Ask {
            machine: machine.into(),
            from,
            sent,
            question,
            reply,
        });
        answer
    }

    pub(crate) fn node_at(&self, address: &str) -> Option<NodeId> {
        self.look(address, |machine| machine.node)
    }
}

impl Inner {
    fn send(&mut self, event: Event) {
        let mut delay = self.chance.between(DELAY_MS.0, DELAY_MS.1);
        if self.chance.below(SLOW_ONE_IN) == 0 {
            delay += self.chance.between(SLOW_MS.0, SLOW_MS.1);
        }
        self.due.send(delay, event);
    }

    /// Datagrams: what arrives at a closed door is gone, and whoever asked runs into its time limit.
    fn arrive(&mut self, event: Event) {
        match event {
            Event::Ask {
                machine,
                from,
                sent,
                question,
                reply,
            } => {
                if self.cut.contains(&from.host) {
                    return;
                }
                let (now, trace) = (self.due.now(), self.trace.clone());
                let Some(known) = self.machines.get_mut(&machine) else {
                    return;
                };
                if known.is_silent() {
                    return;
                }
                let answer = match question {
                    Question::Read { session } => {
                        known.note_read(from.host, now);
                        Answer::Reading {
                            reading: known.reading(),
                            session: known.session(session),
                        }
                    }
                    Question::Act {
                        action,
                        epoch,
                        session,
                    } => {
                        if session.is_some_and(|session| !known.has_session(session)) {
                            trace.note(format_args!(
                                "BMC {machine} refuses `{action}` of conductor {}: its session has ended",
                                from.host
                            ));
                            Answer::SessionOver
                        } else {
                            let received = Received {
                                sent,
                                arrived: now,
                                from,
                                epoch,
                                action,
                            };
                            known.command(received, &trace);
                            Answer::Done
                        }
                    }
                    Question::End { session } => {
                        known.end_session(session);
                        trace.note(format_args!(
                            "conductor {} ends session {session} of BMC {machine}",
                            from.host
                        ));
                        Answer::Done
                    }
                };
                self.send(Event::Answer {
                    to: from.host,
                    answer,
                    reply,
                });
            }
            Event::Answer { to, answer, reply } => {
                if !self.cut.contains(&to) {
                    // The asker may have given up, or be gone.
                    reply.send(answer).ok();
                }
            }
        }
    }
}
