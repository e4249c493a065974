//! One machine: its power, what it is about to do, and the ledger of what was done to it.

use super::Asker;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::world::net::Host;
use baton_model::ids::{Epoch, NodeId};
use baton_model::port::bmc::{PowerAction, PowerReading};
use std::collections::{BTreeMap, BTreeSet};

/// How long a machine takes to change its power, in milliseconds.
const CHANGE_MS: (u64, u64) = (50, 2500);

/// One machine in ten changes is slower than that.
const SLOW_CHANGE_MS: (u64, u64) = (2500, 5000);

/// A command that reached a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// When it left its conductor.
    pub sent: u64,
    /// When it arrived.
    pub arrived: u64,
    /// Who sent it.
    pub from: Asker,
    /// The tenure under which it left; `None` if the lease was not even asked.
    pub epoch: Option<Epoch>,
    /// What it orders.
    pub action: PowerAction,
}

/// What changed a machine's power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// The command of this number in the ledger.
    Command(usize),
    /// A hand at the machine.
    Button,
}

/// A change of power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Edge {
    /// When.
    pub at: u64,
    /// Whether it is on since.
    pub on: bool,
    /// Why.
    pub cause: Cause,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Machine {
    /// The node that it is.
    pub node: NodeId,
    /// Every command, in the order of arrival.
    pub ledger: Vec<Received>,
    /// Every change of power, in order.
    pub edges: Vec<Edge>,
    on: bool,
    silent: bool,
    pending: Option<(u64, bool, usize)>,
    sessions: BTreeSet<u32>,
    next_session: u32,
    /// When each conductor read it last.
    reads: BTreeMap<Host, u64>,
    chance: Rng,
}

impl Machine {
    pub(super) const fn new(node: NodeId, on: bool, chance: Rng) -> Self {
        Self {
            node,
            ledger: Vec::new(),
            edges: Vec::new(),
            on,
            silent: false,
            pending: None,
            sessions: BTreeSet::new(),
            next_session: 1,
            reads: BTreeMap::new(),
            chance,
        }
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.on
    }

    /// Whether it is about to change its power.
    #[must_use]
    pub const fn is_changing(&self) -> bool {
        self.pending.is_some()
    }

    /// Whether its BMC answers nothing.
    #[must_use]
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    pub(super) const fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    pub(super) const fn reading(&self) -> PowerReading {
        if self.on {
            PowerReading::On
        } else {
            PowerReading::Off
        }
    }

    /// When this conductor read it last.
    #[must_use]
    pub fn read_by(&self, host: Host) -> Option<u64> {
        self.reads.get(&host).copied()
    }

    pub(super) fn note_read(&mut self, host: Host, now: u64) {
        self.reads.insert(host, now);
    }

    /// This session, or a new one where it is not open (any more).
    pub(super) fn session(&mut self, known: Option<u32>) -> u32 {
        if let Some(known) = known.filter(|known| self.sessions.contains(known)) {
            return known;
        }
        let new = self.next_session;
        self.next_session += 1;
        self.sessions.insert(new);
        new
    }

    pub(super) fn has_session(&self, session: u32) -> bool {
        self.sessions.contains(&session)
    }

    pub(super) fn end_session(&mut self, session: u32) {
        self.sessions.remove(&session);
    }

    fn short(&self) -> String {
        self.node.to_string().chars().take(8).collect()
    }

    fn change(&mut self, at: u64, on: bool, cause: Cause, trace: &Trace) {
        if self.on == on {
            return;
        }
        self.on = on;
        self.edges.push(Edge { at, on, cause });
        let word = if on { "on" } else { "off" };
        let why = match cause {
            Cause::Command(_) => "as commanded",
            Cause::Button => "by its button",
        };
        trace.note(format_args!("machine {} goes {word} {why}", self.short()));
    }

    pub(super) fn settle(&mut self, now: u64, trace: &Trace) {
        if let Some((due, on, command)) = self.pending
            && due <= now
        {
            self.pending = None;
            self.change(due, on, Cause::Command(command), trace);
        }
    }

    pub(super) fn press(&mut self, now: u64, trace: &Trace) {
        self.pending = None;
        self.change(now, !self.on, Cause::Button, trace);
    }

    /// The newest command replaces what an older one had still to do.
    pub(super) fn command(&mut self, received: Received, trace: &Trace) {
        let Received {
            from,
            epoch,
            action,
            arrived,
            ..
        } = received;
        let tenure = epoch.map_or_else(|| "none".to_owned(), |epoch| epoch.to_string());
        trace.note(format_args!(
            "machine {} is told `{action}` by conductor {} (boot {}, epoch {tenure})",
            self.short(),
            from.host,
            from.boot
        ));
        let number = self.ledger.len();
        self.ledger.push(received);
        let wanted = match action {
            PowerAction::On => true,
            PowerAction::Off | PowerAction::SoftOff => false,
            PowerAction::Reset
            | PowerAction::Cycle
            | PowerAction::SoftReset
            | PowerAction::Nmi
            | PowerAction::BootFrom(_)
            | PowerAction::BootMode(_)
            | PowerAction::SecureBoot(_)
            | PowerAction::Chore(_) => {
                return;
            }
        };
        let (low, high) = if self.chance.chance(10) {
            SLOW_CHANGE_MS
        } else {
            CHANGE_MS
        };
        let delay = self.chance.between(low, high);
        self.pending = (self.on != wanted).then_some((arrived + delay, wanted, number));
    }
}
