//! What reached a simulated machine: each power command with who sent it, and each power edge with its cause.
//!
//! Tests prove "no power edge that nobody asked for" from here, so edges are counted without bound even when the
//! entries themselves have left the ring: a reader that compares [`Journal::edges`] with what it saw knows whether it
//! missed one.

use baton_model::env::Mono;
use baton_model::port::bmc::PowerAction;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

/// By which way something reached the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// An IPMI session.
    Ipmi,
    /// A Redfish request.
    Redfish,
    /// The simulator's control endpoint, as an ordinary command with the machine's own delays.
    Control,
    /// Somebody pressed the button or the operating system shut down: at once, and nobody told the conductor.
    BehindTheBack,
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// By which way.
    pub via: Via,
    /// The BMC user, where there is one.
    pub user: Option<Arc<str>>,
    /// The BMC session, where there is one; zero never occurs.
    pub session: Option<u32>,
    /// The address it came from.
    pub remote: Option<SocketAddr>,
}

impl Origin {
    /// Somebody at the machine itself.
    pub const BEHIND_THE_BACK: Self = Self {
        via: Via::BehindTheBack,
        user: None,
        session: None,
        remote: None,
    };
}

/// A change of the machine's power, or a disruption of what runs on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// Off to on.
    On,
    /// On to off.
    Off,
    /// Restarted while on.
    Reset,
    /// Diagnostic interrupt while on.
    Nmi,
}

/// What became of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It leads to an edge, now or after the machine's delay.
    Started,
    /// The machine was already there (or on its way); nothing happens.
    AlreadyThere,
    /// The machine is off, and this needs it on.
    NeedsPower,
    /// The BMC said yes and does nothing (an injected lie, or an operating system that ignores the soft-off).
    Ignored,
    /// The BMC said no.
    Refused,
}

/// One line of the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A command arrived.
    Command(PowerAction, Outcome),
    /// The power changed.
    Edge(Edge),
}

/// One line of the journal with its time and origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts every entry of this machine, from 1.
    pub seq: u64,
    /// When it happened on the farm's clock (an edge: when the power changed, not when it was asked for).
    pub at: Mono,
    /// What happened.
    pub what: What,
    /// Who did it.
    pub origin: Origin,
}

/// A bounded ring of entries with totals that are not bounded.
#[derive(Clone, Debug)]
pub struct Journal {
    ring: VecDeque<Entry>,
    room: u16,
    written: u64,
    edges: u64,
    commands: u64,
}

impl Journal {
    /// An empty journal that keeps the last `room` entries. Allocates nothing yet.
    #[must_use]
    pub const fn new(room: u16) -> Self {
        Self {
            ring: VecDeque::new(),
            room,
            written: 0,
            edges: 0,
            commands: 0,
        }
    }

    /// Appends a line and lets the oldest go if there is no room.
    pub fn write(&mut self, at: Mono, what: What, origin: Origin) {
        self.written += 1;
        match what {
            What::Edge(_) => self.edges += 1,
            What::Command(..) => self.commands += 1,
        }
        if self.room == 0 {
            return;
        }
        if self.ring.len() >= usize::from(self.room) {
            self.ring.pop_front();
        }
        self.ring.push_back(Entry {
            seq: self.written,
            at,
            what,
            origin,
        });
    }

    /// The kept entries after sequence number `after`, oldest first.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &Entry> {
        self.ring.iter().filter(move |entry| entry.seq > after)
    }

    /// The kept edges, oldest first.
    pub fn kept_edges(&self) -> impl Iterator<Item = (&Entry, Edge)> {
        self.ring.iter().filter_map(|entry| match entry.what {
            What::Edge(edge) => Some((entry, edge)),
            What::Command(..) => None,
        })
    }

    /// How many entries were ever written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// How many edges there ever were.
    #[must_use]
    pub const fn edges(&self) -> u64 {
        self.edges
    }

    /// How many commands ever arrived.
    #[must_use]
    pub const fn commands(&self) -> u64 {
        self.commands
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_outlive_the_ring() {
        let mut journal = Journal::new(2);
        for at in 0..5 {
            journal.write(Mono(at), What::Edge(Edge::On), Origin::BEHIND_THE_BACK);
        }
        journal.write(
            Mono(9),
            What::Command(PowerAction::On, Outcome::AlreadyThere),
            Origin::BEHIND_THE_BACK,
        );
        assert_eq!(
            (journal.edges(), journal.commands(), journal.written()),
            (5, 1, 6)
        );
        assert_eq!(
            journal.after(0).map(|e| e.seq).collect::<Vec<_>>(),
            vec![5, 6]
        );
        assert_eq!(journal.kept_edges().count(), 1);
    }
}
