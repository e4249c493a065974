//! The race guard: what the compute service may not undo before it has heard of it.
//!
//! The compute service compares its records with the machines' now and then and forces its own view. If that happens
//! between a power change and the moment it hears of the change, it would undo the change. Every conductor notes when it
//! applied an untold change and refuses a contradicting wish of the compute service for a bounded time. The clock is the
//! conductor's own: the bound begins when the change was applied here.

use crate::env::Mono;
use crate::node::power::{PowerCause, PowerRequest, PowerState};
use crate::outbox::OutboxEvent;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// How long after the acknowledgement a contradiction still counts: the service hands an event to another of its
/// processes, which takes a moment to record it.
pub const SETTLING: Duration = Duration::from_secs(5);

/// A wish that contradicts a change of which the compute service has not heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contradiction {
    /// The state that the machine went to.
    pub state: PowerState,
    /// Why it did.
    pub cause: PowerCause,
    /// How long ago this conductor learned of it.
    pub age: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    seq: u64,
    state: PowerState,
    cause: PowerCause,
    since: Mono,
    acknowledged: Option<Mono>,
}

/// The changes that count now. One entry for each untold event, and for [`SETTLING`] after.
#[derive(Clone, Debug, Default)]
pub struct RaceGuard {
    noted: BTreeMap<Uuid, Noted>,
    // Acknowledged ones by when, so that pruning looks at those only that are over.
    acknowledged: BTreeMap<(Mono, Uuid), u64>,
}

impl RaceGuard {
    /// The record of this instance is now `event`.
    pub fn update(&mut self, now: Mono, instance: Uuid, event: Option<&OutboxEvent>) {
        self.prune(now);
        match event.filter(|event| event.is_waiting()) {
            Some(event) => {
                let known = self.noted.get(&instance);
                if known.is_none_or(|known| known.seq != event.seq) {
                    let noted = Noted {
                        seq: event.seq,
                        state: event.state,
                        cause: event.cause,
                        since: now,
                        acknowledged: None,
                    };
                    self.noted.insert(instance, noted);
                }
            }
            None => {
                if let Some(noted) = self.noted.get_mut(&instance)
                    && noted.acknowledged.is_none()
                {
                    noted.acknowledged = Some(now);
                    self.acknowledged.insert((now, instance), noted.seq);
                }
            }
        }
    }

    fn prune(&mut self, now: Mono) {
        while let Some(((at, instance), seq)) = self
            .acknowledged
            .first_key_value()
            .map(|(key, seq)| (*key, *seq))
        {
            if now.since(at) < SETTLING {
                break;
            }
            self.acknowledged.remove(&(at, instance));
            if self
                .noted
                .get(&instance)
                .is_some_and(|noted| noted.seq == seq && noted.acknowledged.is_some())
            {
                self.noted.remove(&instance);
            }
        }
    }

    /// Forgets everything: the whole state was replaced.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether `wish`, of the compute service, contradicts a change of the last `window` that it has not heard of. What it
    /// asked for itself it may undo. `event` is the record as it is now, which may be newer than what was noted.
    #[must_use]
    pub fn contradiction(
        &self,
        now: Mono,
        instance: Uuid,
        event: Option<&OutboxEvent>,
        wish: PowerRequest,
        window: Duration,
    ) -> Option<Contradiction> {
        if let Some(event) = event.filter(|event| event.is_waiting())
            && self
                .noted
                .get(&instance)
                .is_none_or(|noted| noted.seq != event.seq)
        {
            let contradicts = event.cause != PowerCause::Compute && event.state != wish.target();
            return contradicts.then_some(Contradiction {
                state: event.state,
                cause: event.cause,
                age: Duration::ZERO,
            });
        }
        let noted = self.noted.get(&instance)?;
        let over = noted
            .acknowledged
            .is_some_and(|at| now.since(at) >= SETTLING);
        let age = now.since(noted.since);
        let contradicts = noted.cause != PowerCause::Compute && noted.state != wish.target();
        (contradicts && !over && age < window).then_some(Contradiction {
            state: noted.state,
            cause: noted.cause,
            age,
        })
    }
}
