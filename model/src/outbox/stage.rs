//! Where each event is on its way, and the lists by which the core finds those whose turn it is.

use crate::command::EventOutcome;
use crate::env::Mono;
use crate::outbox::Part;
use crate::port::compute::PowerUpdate;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Where an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// A former sender, which is gone, may have a request about it on its way; to be claimed.
    Foreign,
    /// Its sender lives and hands it over; to be claimed all the same if it has not by then.
    Awaited(Mono),
    /// The node has another owner; to be handed over, since nothing about it is under way.
    Leaving,
    /// To be sent, not before this.
    Later(Mono),
    /// To be sent.
    Ready,
    /// To be sent without the others: a batch with it failed as a whole.
    Suspect,
    /// In a request that is under way.
    Sent,
    /// Taken; the server's state is read back at this time.
    Check(Mono),
    /// The server's state is being read back.
    Checking,
    /// Done with; the log is yet to say so.
    Finished(EventOutcome),
}

/// One event and its history here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) update: PowerUpdate,
    pub(super) seq: u64,
    pub(super) known_since: Mono,
    /// What is to be done about it here, by the log.
    pub(super) part: Part,
    /// It left the outbox, or another life became its sender, while something was under way.
    pub(super) gone: bool,
    /// Not before this, whatever changes: a former sender's request may still arrive.
    pub(super) held_until: Mono,
    /// How long its sender may take to hand it over.
    pub(super) patience_until: Mono,
    /// Failures of this very event.
    pub(super) attempts: u32,
    /// Failures alone, each after somebody else's success: the proof that it is the event and not the service.
    pub(super) strikes: u32,
    /// The count of successes at its last failure alone.
    pub(super) seen_successes: Option<u64>,
    /// Sent again since the read-back differed.
    pub(super) repeats: u32,
    /// Read-backs that told nothing.
    pub(super) vain_checks: u32,
    pub(super) stage: Stage,
}

/// The events, findable by stage.
#[derive(Clone, Debug, Default)]
pub(super) struct Stages {
    pending: BTreeMap<Uuid, Pending>,
    pub(super) ready: BTreeSet<(u64, Uuid)>,
    pub(super) later: BTreeSet<(Mono, Uuid)>,
    pub(super) checks: BTreeSet<(Mono, Uuid)>,
    pub(super) foreign: BTreeSet<Uuid>,
    pub(super) awaited: BTreeSet<(Mono, Uuid)>,
    pub(super) leaving: BTreeSet<Uuid>,
    pub(super) finished: BTreeSet<Uuid>,
}

impl Stages {
    pub(super) fn get(&self, instance: Uuid) -> Option<&Pending> {
        self.pending.get(&instance)
    }

    pub(super) fn all(&self) -> impl ExactSizeIterator<Item = &Pending> {
        self.pending.values()
    }

    /// Stores the event under the stage it has now.
    pub(super) fn put(&mut self, pending: Pending) {
        let instance = pending.update.instance;
        if let Some(old) = self.pending.insert(instance, pending) {
            self.list(&old, false);
        }
        self.list(&pending, true);
    }

    pub(super) fn remove(&mut self, instance: Uuid) {
        if let Some(old) = self.pending.remove(&instance) {
            self.list(&old, false);
        }
    }

    fn list(&mut self, pending: &Pending, add: bool) {
        fn set<K: Ord>(list: &mut BTreeSet<K>, key: K, add: bool) {
            if add {
                list.insert(key);
            } else {
                list.remove(&key);
            }
        }
        let instance = pending.update.instance;
        match pending.stage {
            Stage::Ready => set(&mut self.ready, (pending.seq, instance), add),
            Stage::Later(at) => set(&mut self.later, (at, instance), add),
            Stage::Check(at) => set(&mut self.checks, (at, instance), add),
            Stage::Foreign => set(&mut self.foreign, instance, add),
            Stage::Awaited(at) => set(&mut self.awaited, (at, instance), add),
            Stage::Leaving => set(&mut self.leaving, instance, add),
            Stage::Finished(_) => set(&mut self.finished, instance, add),
            Stage::Suspect | Stage::Sent | Stage::Checking => {}
        }
    }
}

impl Pending {
    /// The event waits for its turn (again).
    pub(super) fn rest(mut self, now: Mono) -> Self {
        self.stage = match self.part {
            Part::Claim => Stage::Foreign,
            Part::Await => Stage::Awaited(self.patience_until),
            Part::HandOver => Stage::Leaving,
            Part::Send if now < self.held_until => Stage::Later(self.held_until),
            Part::Send => Stage::Ready,
        };
        self
    }

    /// As it is, unless it is to go on with another conductor.
    pub(super) fn or_leave(self, now: Mono) -> Self {
        if self.part == Part::Send || matches!(self.stage, Stage::Finished(_)) {
            self
        } else {
            self.rest(now)
        }
    }

    /// Something about it is under way, which must end first.
    pub(super) const fn is_busy(&self) -> bool {
        matches!(self.stage, Stage::Sent | Stage::Checking)
    }
}
