//! The outbox's reader: which events are sent when, and what becomes of them.
//!
//! The replicated state holds the newest untold power change of each instance; this core holds what one conductor is
//! doing about those of its own nodes, and nothing that a takeover would miss. One request is in flight at a time, so no
//! instance ever has two, and a newer change of an instance waits until the older one was answered. The invariant: an
//! event leaves the replicated outbox only after the service took it or will never take it.

use crate::command::EventDone;
use crate::env::Mono;
use crate::port::compute::{ComputeError, ItemResult, PowerUpdate};
use crate::state::OutboxEvent;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// When and how much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Events of one request. A hundred are 12 KiB; the service works through them one by one, about 10 ms each, so a
    /// request takes a second and stays far from any time-out.
    pub batch_max: usize,
    /// How long an event waits for company. Short against the minutes after which the service would act on the old state.
    pub batch_wait: Duration,
    /// First pause after a failure; it doubles.
    pub backoff_min: Duration,
    /// Longest pause: a service that is back hears of everything within it.
    pub backoff_max: Duration,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            batch_max: 100,
            batch_wait: Duration::from_millis(500),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
        }
    }
}

/// What the notifier shows to operators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// Untold events of nodes owned here.
    pub depth: usize,
    /// How long the oldest of them has been known here.
    pub oldest: Duration,
    /// Events in the request that is under way.
    pub in_flight: usize,
    /// Events that the service took.
    pub accepted: u64,
    /// Events that it will never take.
    pub rejected: u64,
    /// Events that were sent in vain.
    pub failed: u64,
    /// Why the last request failed, if it did.
    pub last_error: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    event: PowerUpdate,
    seq: u64,
    known_since: Mono,
    not_before: Mono,
    failures: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// In the request that is under way, as this number.
    Sent(u64),
    /// The service is done with it; the log is yet to say so.
    Told,
}

/// The events of the nodes owned here.
#[derive(Clone, Debug)]
pub struct Outbox {
    settings: OutboxSettings,
    pending: BTreeMap<Uuid, Pending>,
    sent: Vec<Uuid>,
    failures: u32,
    pause_until: Mono,
    stats: OutboxStats,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(settings: OutboxSettings) -> Self {
        Self {
            settings: OutboxSettings {
                batch_max: settings.batch_max.max(1),
                ..settings
            },
            pending: BTreeMap::new(),
            sent: Vec::new(),
            failures: 0,
            pause_until: Mono(0),
            stats: OutboxStats::default(),
        }
    }

    /// Takes the untold events of the nodes owned here, as the replicated state has them now. What is gone from there
    /// is gone from here; a newer event of an instance replaces the older one.
    pub fn refresh<'a>(&mut self, now: Mono, owned: impl Iterator<Item = &'a OutboxEvent>) {
        let mut known = std::mem::take(&mut self.pending);
        for event in owned {
            let fresh = Pending {
                event: PowerUpdate {
                    instance: event.instance,
                    state: event.state,
                },
                seq: event.seq,
                known_since: now,
                not_before: now,
                failures: 0,
                stage: Stage::Waiting,
            };
            let pending = match known.remove(&event.instance) {
                Some(old) if old.seq == event.seq => old,
                // The older one is still on its way: the newer one waits for its answer.
                Some(old) if matches!(old.stage, Stage::Sent(_)) => Pending {
                    stage: old.stage,
                    ..fresh
                },
                Some(_) | None => fresh,
            };
            self.pending.insert(event.instance, pending);
        }
    }

    /// The next request, if one is due. Answer it with [`Outbox::answered`].
    pub fn next_batch(&mut self, now: Mono) -> Option<Vec<PowerUpdate>> {
        if !self.sent.is_empty() || now < self.pause_until {
            return None;
        }
        let mut due: Vec<&mut Pending> = self
            .pending
            .values_mut()
            .filter(|pending| pending.stage == Stage::Waiting && pending.not_before <= now)
            .collect();
        let waited =
            |pending: &&mut Pending| now.since(pending.known_since) >= self.settings.batch_wait;
        if due.len() < self.settings.batch_max && !due.iter().any(waited) {
            return None;
        }
        due.sort_by_key(|pending| (pending.known_since, pending.seq));
        due.truncate(self.settings.batch_max);
        let mut batch = Vec::with_capacity(due.len());
        for pending in due {
            pending.stage = Stage::Sent(pending.seq);
            self.sent.push(pending.event.instance);
            batch.push(pending.event);
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// The request ended. `spread` is a random number for the jitter.
    pub fn answered(
        &mut self,
        now: Mono,
        result: &Result<Vec<ItemResult>, ComputeError>,
        spread: u64,
    ) {
        let sent = std::mem::take(&mut self.sent);
        let results = match result {
            Ok(results) if results.len() == sent.len() => Some(results),
            Ok(_) => {
                self.stats.last_error =
                    Some("the compute service answered for another number of events".into());
                None
            }
            Err(error) => {
                self.stats.last_error = Some(error.to_string().into());
                None
            }
        };
        if let Some(results) = results {
            self.failures = 0;
            self.stats.last_error = None;
            for (instance, result) in sent.into_iter().zip(results) {
                self.settle(now, instance, result, spread);
            }
        } else {
            self.stats.failed += sent.len() as u64;
            for instance in sent {
                if let Some(pending) = self.pending.get_mut(&instance) {
                    pending.stage = Stage::Waiting;
                }
            }
            let asked = match result {
                Err(ComputeError::Unavailable { retry_after, .. }) => *retry_after,
                Err(ComputeError::Refused { .. }) | Ok(_) => None,
            };
            let pause = self
                .pause(self.failures, spread)
                .max(asked.unwrap_or_default());
            self.pause_until = now + pause.min(self.settings.backoff_max);
            self.failures = self.failures.saturating_add(1);
        }
    }

    fn settle(&mut self, now: Mono, instance: Uuid, result: &ItemResult, spread: u64) {
        let failed = matches!(result, ItemResult::Failed { .. });
        match result {
            ItemResult::Accepted => self.stats.accepted += 1,
            ItemResult::Rejected { .. } => self.stats.rejected += 1,
            ItemResult::Failed { .. } => self.stats.failed += 1,
        }
        let failures = self
            .pending
            .get(&instance)
            .map_or(0, |pending| pending.failures);
        let pause = self.pause(failures, spread);
        let Some(pending) = self.pending.get_mut(&instance) else {
            return;
        };
        let current = pending.stage == Stage::Sent(pending.seq);
        pending.stage = if current && !failed {
            Stage::Told
        } else {
            Stage::Waiting
        };
        if current && failed {
            pending.failures = pending.failures.saturating_add(1);
            pending.not_before = now + pause;
        }
    }

    /// Half to all of a pause that doubles with each failure.
    fn pause(&self, failures: u32, spread: u64) -> Duration {
        let doubled = self
            .settings
            .backoff_min
            .saturating_mul(1 << failures.min(16));
        let millis = u64::try_from(doubled.min(self.settings.backoff_max).as_millis());
        let half = millis.unwrap_or(u64::MAX) / 2;
        Duration::from_millis(half + spread % half.max(1))
    }

    /// Events that the log is to drop: propose them, as often as it takes until [`Outbox::refresh`] misses them.
    #[must_use]
    pub fn told(&self) -> Vec<EventDone> {
        let told = self
            .pending
            .values()
            .filter(|pending| pending.stage == Stage::Told);
        let done = |pending: &Pending| EventDone {
            instance: pending.event.instance,
            seq: pending.seq,
        };
        told.map(done).collect()
    }

    /// What to show.
    #[must_use]
    pub fn stats(&self, now: Mono) -> OutboxStats {
        let oldest = self
            .pending
            .values()
            .map(|pending| pending.known_since)
            .min();
        OutboxStats {
            depth: self.pending.len(),
            oldest: oldest.map_or(Duration::ZERO, |since| now.since(since)),
            in_flight: self.sent.len(),
            ..self.stats.clone()
        }
    }
}

#[cfg(test)]
mod tests;
