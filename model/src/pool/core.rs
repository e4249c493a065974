//! The pool itself: queues, limits and the order in which jobs leave.
//!
//! Jobs wait per BMC. Of each BMC that is free, the best job stands in the *ready set* of its address block, by class
//! (lane and priority) and arrival; the heads of the blocks that have room stand in `eligible`. So one start costs a few
//! searches in ordered sets, however many jobs wait, and a full block or a paused BMC is never looked at in vain.
//!
//! Two lanes have limits of their own. A conversation with a BMC whose last call was silent, or one that takes much
//! longer than usual, holds its place for seconds and sends next to nothing: it counts as *suspect*, so that dead BMCs
//! do not take the places of healthy ones.

mod learn;
mod leave;
mod ready;
#[cfg(test)]
mod sound;

use super::bmc_state::BmcState;
use super::endpoint::{BlockKey, BmcKey, Endpoint};
use super::job::{Job, PoolRefusal, Priority};
use super::knee::Knee;
use super::pace::TokenBucket;
use super::settings::PoolSettings;
use super::stats::Counters;
use crate::env::Mono;
use crate::ids::{NodeId, Ticket};
use crate::port::bmc::BmcError;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::time::Duration;

/// Names one submitted job, in order of arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JobId(NonZeroU64);

/// Which limit a conversation counts against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lane {
    Healthy = 0,
    Suspect = 1,
}

/// Lane and priority in one: the index of a ready set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Class(u8);

const LANES: usize = 2;
const CLASSES: usize = LANES * Priority::COUNT;

impl Class {
    const fn new(lane: Lane, priority: Priority) -> Self {
        Self(lane as u8 * 3 + priority as u8)
    }

    const fn index(self) -> usize {
        self.0 as usize
    }

    const fn lane(self) -> Lane {
        if self.0 < 3 {
            Lane::Healthy
        } else {
            Lane::Suspect
        }
    }

    const fn is_user(self) -> bool {
        self.0.is_multiple_of(3)
    }

    const fn all(order: [Priority; Priority::COUNT]) -> [Self; CLASSES] {
        let [a, b, c] = order;
        [
            Self::new(Lane::Healthy, a),
            Self::new(Lane::Suspect, a),
            Self::new(Lane::Healthy, b),
            Self::new(Lane::Suspect, b),
            Self::new(Lane::Healthy, c),
            Self::new(Lane::Suspect, c),
        ]
    }
}

/// The usual order, and the two orders of the starvation guard.
const STRICT: [Class; CLASSES] = Class::all(Priority::ALL);
const SYNC_FIRST: [Class; CLASSES] =
    Class::all([Priority::Sync, Priority::Recovery, Priority::User]);
const RECOVERY_FIRST: [Class; CLASSES] =
    Class::all([Priority::Recovery, Priority::Sync, Priority::User]);

/// What the shell has to carry out.
#[derive(Debug)]
pub enum Effect<T> {
    /// Make the call of this job now; it ends within `budget`. Then report to [`SyncPool::finished`].
    Start {
        /// The job; see [`SyncPool::job`].
        id: JobId,
        /// The longest that the call may take.
        budget: Duration,
    },
    /// Tell the asker that nothing left.
    Reject {
        /// The job as it was submitted.
        job: Job,
        /// What was submitted with it.
        payload: T,
        /// Why.
        refusal: PoolRefusal,
    },
}

/// How a started call ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The BMC answered.
    Answered,
    /// The BMC call failed.
    Failed(&'a BmcError),
    /// The call was never made (the lease was over).
    NotMade,
    /// The call was made and nobody knows how it ended.
    Lost,
}

/// A job that ended.
#[derive(Debug)]
pub struct Ended<T> {
    /// The job.
    pub job: Job,
    /// What was submitted with it.
    pub payload: T,
    /// When it left.
    pub started: Mono,
    /// Whether its asker has taken it back meanwhile and wants no report.
    pub cancelled: bool,
}

struct Entry<T> {
    job: Job,
    payload: T,
    submitted: Mono,
    cancelled: bool,
    flight: Option<Flight>,
}

#[derive(Clone, Copy)]
struct Flight {
    started: Mono,
    lane: Lane,
    late_at: Mono,
    /// Whether silence within this budget means anything.
    telling: bool,
    /// The credentials have changed since: that the old ones were refused means nothing.
    outdated: bool,
}

#[derive(Default)]
struct Block {
    in_flight: [usize; LANES],
    ready: [BTreeSet<(JobId, BmcKey)>; CLASSES],
    /// What stands in `eligible` for this block.
    listed: [Option<JobId>; CLASSES],
}

/// BMCs that may wait for each call in flight before the pool is pressed for places. A beat of node actors brings some.
const PRESSED_AT: usize = 4;

/// First quota of the suspect lane; see `learn`.
const SUSPECT_QUOTA_INITIAL: usize = 64;

/// The pool. `T` is what the shell wants back with each job.
pub struct SyncPool<T> {
    pub(super) settings: PoolSettings,
    pub(super) knee: Knee,
    bucket: TokenBucket,
    chance: u64,
    next_job: NonZeroU64,
    jobs: BTreeMap<JobId, Entry<T>>,
    pub(super) bmcs: BTreeMap<BmcKey, BmcState>,
    blocks: BTreeMap<BlockKey, Block>,
    /// BMCs that stand in a ready set.
    ready: [usize; LANES],
    eligible: [BTreeSet<(JobId, BlockKey)>; CLASSES],
    deadlines: BTreeSet<(Mono, JobId)>,
    holds: BTreeSet<(Mono, BmcKey)>,
    lates: BTreeSet<(Mono, JobId)>,
    pub(super) in_flight: [usize; LANES],
    pub(super) waiting: [usize; Priority::COUNT],
    starts: u64,
    suspect_quota: usize,
    tokens_at: Option<Mono>,
    sweep_from: BmcKey,
    pub(super) counters: Counters,
}

impl<T> SyncPool<T> {
    /// An empty pool. `seed` feeds the jitter.
    #[must_use]
    pub fn new(settings: PoolSettings, seed: u64, now: Mono) -> Self {
        let settings = settings.clamped();
        Self {
            knee: Knee::new(&settings, now),
            bucket: TokenBucket::new(settings.packets_per_second, settings.packets_burst, now),
            chance: seed,
            next_job: NonZeroU64::MIN,
            jobs: BTreeMap::new(),
            bmcs: BTreeMap::new(),
            blocks: BTreeMap::new(),
            ready: [0; LANES],
            eligible: Default::default(),
            deadlines: BTreeSet::new(),
            holds: BTreeSet::new(),
            lates: BTreeSet::new(),
            in_flight: [0; LANES],
            waiting: [0; Priority::COUNT],
            starts: 0,
            suspect_quota: settings.suspects_max.min(SUSPECT_QUOTA_INITIAL),
            tokens_at: None,
            sweep_from: BmcKey(0),
            counters: Counters::default(),
            settings,
        }
    }

    /// The numbers it works by.
    #[must_use]
    pub const fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// New numbers, from a reload. What is in flight or waits beyond them ends as it would have.
    pub fn configure(&mut self, now: Mono, settings: PoolSettings, out: &mut Vec<Effect<T>>) {
        self.settings = settings.clamped();
        self.knee.configure(&self.settings);
        self.suspect_quota = self.suspect_quota.min(self.settings.suspects_max);
        let (rate, burst) = (
            self.settings.packets_per_second,
            self.settings.packets_burst,
        );
        self.bucket = TokenBucket::new(rate, burst, now);
        // A deadline stands in its set as the moment by which the job has to start.
        let waiting = self.jobs.iter().filter(|(_, entry)| entry.flight.is_none());
        self.deadlines = waiting
            .map(|(id, entry)| (self.start_by(&entry.job), *id))
            .collect();
        let blocks: Vec<BlockKey> = self.blocks.keys().copied().collect();
        for block in blocks {
            self.list_lane(block, Lane::Healthy);
            self.list_lane(block, Lane::Suspect);
        }
        self.tick(now, out);
    }

    /// A job that waits or is in flight, and what was submitted with it.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<(&Job, &T)> {
        self.jobs.get(&id).map(|entry| (&entry.job, &entry.payload))
    }

    /// Whether so many BMCs wait, for whatever limit, that a place in flight must not be held for a moment longer than its
    /// call. Suspects count on neither side: their calls take seconds.
    #[must_use]
    pub fn is_pressed(&self) -> bool {
        let healthy = Lane::Healthy as usize;
        self.ready[healthy] > self.in_flight[healthy].saturating_mul(PRESSED_AT)
    }

    // --- Inputs -----------------------------------------------------------------------------------

    /// Takes a job. Its start or its rejection may be among the effects at once.
    pub fn submit(&mut self, now: Mono, job: Job, payload: T, out: &mut Vec<Effect<T>>) -> JobId {
        self.advance(now, out);
        self.counters.submitted += 1;
        let id = JobId(self.next_job);
        self.next_job = self.next_job.saturating_add(1);
        if let Err(refusal) = self.admit(now, &job) {
            self.counters.refused(&refusal);
            out.push(Effect::Reject {
                job,
                payload,
                refusal,
            });
            return id;
        }
        let key = job.endpoint.bmc;
        self.waiting[job.priority.index()] += 1;
        self.deadlines.insert((self.start_by(&job), id));
        self.jobs.insert(
            id,
            Entry {
                job,
                payload,
                submitted: now,
                cancelled: false,
                flight: None,
            },
        );
        let state = self
            .bmcs
            .entry(key)
            .or_insert_with(|| BmcState::new(job.node, job.endpoint, now));
        state.node = job.node;
        state.touched_at = now;
        state.enqueue(job.priority, id);
        self.offer(now, key, out);
        self.dispatch(now, out);
        id
    }

    /// A started call ended, after `rtt`. `None` if the pool knows no such call.
    pub fn finished(
        &mut self,
        now: Mono,
        id: JobId,
        rtt: Duration,
        outcome: Outcome<'_>,
        out: &mut Vec<Effect<T>>,
    ) -> Option<Ended<T>> {
        self.jobs.get(&id)?.flight?;
        let Entry {
            job,
            payload,
            cancelled,
            flight: Some(flight),
            ..
        } = self.jobs.remove(&id)?
        else {
            return None;
        };
        let key = job.endpoint.bmc;
        self.lates.remove(&(flight.late_at, id));
        self.in_flight[flight.lane as usize] -= 1;
        self.knee.in_flight(now, self.in_flight[0]);
        self.land_in_block(job.endpoint.block, flight.lane);
        self.learn(now, &job, flight, rtt, outcome);
        self.advance(now, out);
        self.offer(now, key, out);
        self.dispatch(now, out);
        self.sweep(now);
        Some(Ended {
            job,
            payload,
            started: flight.started,
            cancelled,
        })
    }

    /// Takes back what `node` asked under `ticket`. A call that is in flight goes on and ends without a report. Returns
    /// whether there was such a job.
    pub fn cancel(
        &mut self,
        now: Mono,
        bmc: BmcKey,
        node: NodeId,
        ticket: Ticket,
        out: &mut Vec<Effect<T>>,
    ) -> bool {
        let Some(state) = self.bmcs.get(&bmc) else {
            return false;
        };
        let known = state.flying.into_iter();
        let known = known.chain(state.queue.iter().map(|(_, id)| *id));
        let asked = |id: &JobId| {
            self.jobs.get(id).is_some_and(|entry| {
                entry.job.node == node && entry.job.ticket == ticket && !entry.cancelled
            })
        };
        let Some(id) = known.into_iter().find(asked) else {
            return false;
        };
        self.counters.cancelled += 1;
        if let Some(entry) = self
            .jobs
            .get_mut(&id)
            .filter(|entry| entry.flight.is_some())
        {
            entry.cancelled = true;
        } else {
            self.withdraw(id);
            self.offer(now, bmc, out);
            self.dispatch(now, out);
        }
        true
    }

    /// `node` has left this BMC: what it still waits for is rejected, and what was learned goes unless the BMC serves
    /// others just now.
    pub fn forget(&mut self, now: Mono, bmc: BmcKey, node: NodeId, out: &mut Vec<Effect<T>>) {
        let Some(state) = self.bmcs.get(&bmc) else {
            return;
        };
        let waiting: Vec<JobId> = state.queue.iter().map(|(_, id)| *id).collect();
        for id in waiting {
            let of_node = |entry: &Entry<T>| entry.job.node == node;
            if let Some(work) = self
                .jobs
                .get(&id)
                .filter(|e| of_node(e))
                .map(|e| e.job.work)
            {
                self.reject(id, PoolRefusal::Forgotten { work }, out);
            }
        }
        self.offer(now, bmc, out);
        if let Some(state) = self.bmcs.get(&bmc)
            && state.flying.is_none()
            && state.queue.is_empty()
        {
            self.bmcs.remove(&bmc);
        }
        self.dispatch(now, out);
    }

    /// Changes what `node` has waiting at this BMC, before it leaves.
    pub fn amend(&mut self, bmc: BmcKey, node: NodeId, mut change: impl FnMut(&mut T)) {
        let Some(state) = self.bmcs.get(&bmc) else {
            return;
        };
        for (_, id) in &state.queue {
            if let Some(entry) = self.jobs.get_mut(id).filter(|e| e.job.node == node) {
                change(&mut entry.payload);
            }
        }
    }

    /// The operator changed the credentials: whatever barred the BMC is over.
    pub fn credentials_changed(&mut self, now: Mono, bmc: BmcKey, out: &mut Vec<Effect<T>>) {
        if let Some(state) = self.bmcs.get_mut(&bmc) {
            state.credentials_changed();
            let flying = state.flying.and_then(|id| self.jobs.get_mut(&id));
            if let Some(flight) = flying.and_then(|entry| entry.flight.as_mut()) {
                flight.outdated = true;
            }
            self.offer(now, bmc, out);
            self.dispatch(now, out);
        }
    }

    /// A login at this BMC was refused before this pool knew of it: by another conductor, or in a former life of this one.
    /// Its breaker opens as if the refusal had come here.
    pub fn bar(
        &mut self,
        now: Mono,
        node: NodeId,
        endpoint: Endpoint,
        refusal: BmcError,
        out: &mut Vec<Effect<T>>,
    ) {
        let is_new = !self.bmcs.contains_key(&endpoint.bmc);
        if is_new && self.bmcs.len() >= self.settings.bmcs_max {
            return;
        }
        let state = self
            .bmcs
            .entry(endpoint.bmc)
            .or_insert_with(|| BmcState::new(node, endpoint, now));
        if state.bar(refusal, now, &self.settings) {
            self.offer(now, endpoint.bmc, out);
            self.dispatch(now, out);
        }
    }

    /// Time has passed. Call it at [`SyncPool::wake_at`]; earlier or later does no harm.
    pub fn tick(&mut self, now: Mono, out: &mut Vec<Effect<T>>) {
        self.advance(now, out);
        self.dispatch(now, out);
    }

    /// When [`SyncPool::tick`] is due, if nothing else happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<Mono> {
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        let hold = self.holds.first().map(|(at, _)| *at);
        let blocked = self.waits_for_room() && !self.has_room(Lane::Healthy, false);
        let late = self.lates.first().map(|(at, _)| *at);
        let late = late.filter(|_| blocked && self.may_move_late());
        let judged = self.knee.due().filter(|_| blocked);
        [deadline, hold, late, judged, self.tokens_at]
            .into_iter()
            .flatten()
            .min()
    }

    // --- Admission --------------------------------------------------------------------------------

    fn admit(&self, now: Mono, job: &Job) -> Result<(), PoolRefusal> {
        let full = |waiting, scope| PoolRefusal::PoolFull {
            work: job.work,
            waiting,
            scope,
        };
        let waiting: usize = self.waiting.iter().sum();
        if waiting >= self.settings.queue_max {
            return Err(full(waiting, "in this conductor"));
        }
        match self.bmcs.get(&job.endpoint.bmc) {
            Some(state) if state.queue.len() >= self.settings.queue_per_bmc_max => {
                Err(full(state.queue.len(), "for this BMC"))
            }
            None if self.bmcs.len() >= self.settings.bmcs_max => {
                Err(full(self.bmcs.len(), "for as many BMCs in this conductor"))
            }
            Some(_) | None if now >= self.start_by(job) => Err(PoolRefusal::Late {
                work: job.work,
                waited: Duration::ZERO,
                reason: "its deadline was too near when it came",
            }),
            Some(_) | None => Ok(()),
        }
    }

    fn start_by(&self, job: &Job) -> Mono {
        job.deadline - self.settings.left_min
    }
}
