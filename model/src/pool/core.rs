//! The pool itself: queues, limits and the order in which jobs leave.
//!
//! Jobs wait per BMC. Of each BMC that is free, the best job stands in the *ready set* of its address block, by class
//! (lane and priority) and arrival; the heads of the blocks that have room stand in `eligible`. So one start costs a few
//! searches in ordered sets, however many jobs wait, and a full block or a paused BMC is never looked at in vain.
//!
//! Two lanes have limits of their own. A conversation with a BMC whose last call was silent, or one that takes much
//! longer than usual, holds its place for seconds and sends next to nothing: it counts as *suspect*, so that dead BMCs
//! do not take the places of healthy ones.

use super::bmc_state::{BmcState, Gate};
use super::endpoint::{BlockKey, BmcKey};
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
}

#[derive(Default)]
struct Block {
    in_flight: [usize; LANES],
    ready: [BTreeSet<(JobId, BmcKey)>; CLASSES],
    /// What stands in `eligible` for this block.
    listed: [Option<JobId>; CLASSES],
}

/// Conversations in the suspect lane that are always allowed, and its first quota; see [`SyncPool::learn`].
const SUSPECT_QUOTA_MIN: usize = 32;
const SUSPECT_QUOTA_INITIAL: usize = 64;
/// Idle BMCs looked at for forgetting with each job that ends: at any rate all are seen within as many jobs as half of them.
const SWEEP_STEP: usize = 2;

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

    /// A job that waits or is in flight, and what was submitted with it.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<(&Job, &T)> {
        self.jobs.get(&id).map(|entry| (&entry.job, &entry.payload))
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
            .or_insert_with(|| BmcState::new(&job, now));
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

    /// The operator changed the credentials or address: whatever barred the BMC is over.
    pub fn credentials_changed(&mut self, now: Mono, bmc: BmcKey, out: &mut Vec<Effect<T>>) {
        if let Some(state) = self.bmcs.get_mut(&bmc) {
            state.credentials_changed(now);
            self.offer(now, bmc, out);
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

    // --- Ready sets -------------------------------------------------------------------------------

    /// Looks anew at what this BMC may do next: rejects what its breakers bar, and offers its best job or notes when
    /// to look again.
    fn offer(&mut self, now: Mono, key: BmcKey, out: &mut Vec<Effect<T>>) {
        self.retract(key);
        let mut shut = Vec::new();
        let mut hold: Option<Mono> = None;
        let mut offer = None;
        let Some(state) = self.bmcs.get(&key) else {
            return;
        };
        if state.flying.is_some() {
            return;
        }
        for (priority, id) in state.candidates() {
            let Some(entry) = self.jobs.get(&id) else {
                continue;
            };
            match state.gate(&entry.job, entry.submitted, now, &self.settings) {
                Gate::Open(lane) if offer.is_none() => {
                    offer = Some((Class::new(lane, priority), id, entry.job.endpoint.block));
                }
                Gate::Open(_) => {}
                Gate::Later(at) => hold = Some(hold.map_or(at, |hold| hold.min(at))),
                // The favourite of the guard is met twice.
                Gate::Shut(_) if shut.iter().any(|(barred, _)| *barred == id) => {}
                Gate::Shut(refusal) => shut.push((id, refusal)),
            }
        }
        if let Some(state) = self.bmcs.get_mut(&key) {
            state.offer = offer.map(|(class, id, _)| (class, id));
            state.hold = hold.filter(|_| offer.is_none());
            if let Some(at) = state.hold {
                self.holds.insert((at, key));
            }
        }
        if let Some((class, id, block)) = offer {
            // Two nodes may write one BMC's address in blocks of different size; the state keeps the one in use.
            if let Some(state) = self.bmcs.get_mut(&key) {
                state.block = block;
            }
            let ready = &mut self.blocks.entry(block).or_default().ready;
            ready[class.index()].insert((id, key));
            self.list(block, class);
        }
        for (id, refusal) in shut {
            self.reject(id, refusal, out);
        }
    }

    /// Takes the BMC's offer and hold back.
    fn retract(&mut self, key: BmcKey) {
        let Some(state) = self.bmcs.get_mut(&key) else {
            return;
        };
        if let Some(at) = state.hold.take() {
            self.holds.remove(&(at, key));
        }
        if let Some((class, id)) = state.offer.take() {
            let block = state.block;
            if let Some(found) = self.blocks.get_mut(&block) {
                found.ready[class.index()].remove(&(id, key));
            }
            self.list(block, class);
        }
    }

    /// Brings `eligible` in line with one ready set of a block.
    fn list(&mut self, key: BlockKey, class: Class) {
        let Some(block) = self.blocks.get_mut(&key) else {
            return;
        };
        let lane = class.lane();
        let room = block.in_flight[lane as usize] < block_max(&self.settings, lane);
        let head = block.ready[class.index()].first().filter(|_| room);
        let head = head.map(|(id, _)| *id);
        let listed = std::mem::replace(&mut block.listed[class.index()], head);
        if listed != head {
            let eligible = &mut self.eligible[class.index()];
            if let Some(id) = listed {
                eligible.remove(&(id, key));
            }
            if let Some(id) = head {
                eligible.insert((id, key));
            }
        }
        let idle = |block: &Block| {
            block.in_flight == [0; LANES] && block.ready.iter().all(BTreeSet::is_empty)
        };
        if head.is_none() && idle(block) {
            self.blocks.remove(&key);
        }
    }

    fn land_in_block(&mut self, key: BlockKey, lane: Lane) {
        if let Some(block) = self.blocks.get_mut(&key) {
            block.in_flight[lane as usize] -= 1;
        }
        self.list_lane(key, lane);
    }

    fn list_lane(&mut self, key: BlockKey, lane: Lane) {
        for priority in Priority::ALL {
            self.list(key, Class::new(lane, priority));
        }
    }

    // --- Leaving ----------------------------------------------------------------------------------

    fn dispatch(&mut self, now: Mono, out: &mut Vec<Effect<T>>) {
        self.tokens_at = None;
        while let Some((class, id, block)) = self.choose() {
            let Some(entry) = self.jobs.get(&id) else {
                return;
            };
            let Some(state) = self.bmcs.get(&entry.job.endpoint.bmc) else {
                return;
            };
            if let Err(at) = self.bucket.take(now, state.packets(now, &self.settings)) {
                self.tokens_at = Some(at);
                break;
            }
            self.start(now, id, class, block, out);
        }
        if !self.has_room(Lane::Healthy, false) && self.waits_for_room() {
            self.knee.bound();
        }
    }

    /// The next job to leave: by strict priority, but for the guard's turns.
    fn choose(&self) -> Option<(Class, JobId, BlockKey)> {
        let (turn, guard) = (
            self.starts / self.settings.guard_every,
            self.starts % self.settings.guard_every,
        );
        let guarding = guard == self.settings.guard_every - 1;
        let order = match (guarding, turn % 4) {
            (false, _) => &STRICT,
            (true, 3) => &RECOVERY_FIRST,
            (true, _) => &SYNC_FIRST,
        };
        let found = order.iter().find_map(|class| {
            let head = self.eligible[class.index()].first()?;
            let reserve = guarding || class.is_user();
            self.has_room(class.lane(), reserve)
                .then_some((*class, *head))
        });
        found.map(|(class, (id, block))| (class, id, block))
    }

    fn has_room(&self, lane: Lane, reserve: bool) -> bool {
        match lane {
            Lane::Healthy => {
                let extra = if reserve {
                    self.settings.user_reserve
                } else {
                    0
                };
                self.in_flight[0] < self.knee.limit().saturating_add(extra)
            }
            Lane::Suspect => self.in_flight[1] < self.suspect_quota,
        }
    }

    fn waits_for_room(&self) -> bool {
        self.eligible[..Priority::COUNT]
            .iter()
            .any(|set| !set.is_empty())
    }

    fn start(
        &mut self,
        now: Mono,
        id: JobId,
        class: Class,
        block: BlockKey,
        out: &mut Vec<Effect<T>>,
    ) {
        let Some(entry) = self.jobs.get_mut(&id) else {
            return;
        };
        let job = entry.job;
        let key = job.endpoint.bmc;
        let lane = class.lane();
        let Some(state) = self.bmcs.get_mut(&key) else {
            return;
        };
        let wanted = state.timeout(&job, &self.settings);
        let budget = wanted.min(job.deadline.since(now));
        let late_at = now + state.late_after();
        entry.flight = Some(Flight {
            started: now,
            lane,
            late_at,
            telling: budget * 2 >= wanted,
        });
        let waited = now.since(entry.submitted);
        self.counters.left(job.priority, waited);
        self.waiting[job.priority.index()] -= 1;
        self.deadlines
            .remove(&(job.deadline - self.settings.left_min, id));
        self.starts += 1;
        self.in_flight[lane as usize] += 1;
        state.launch(job.priority, id, now);
        if let Some(found) = self.blocks.get_mut(&block) {
            found.in_flight[lane as usize] += 1;
        }
        self.retract(key);
        self.list_lane(block, lane);
        if lane == Lane::Healthy {
            self.lates.insert((late_at, id));
            self.knee.in_flight(self.in_flight[0]);
        }
        out.push(Effect::Start { id, budget });
    }

    // --- The passing of time ----------------------------------------------------------------------

    fn advance(&mut self, now: Mono, out: &mut Vec<Effect<T>>) {
        self.knee.advance(now);
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, id));
            self.expire(now, id, out);
        }
        while let Some((at, key)) = self.holds.first().copied()
            && at <= now
        {
            self.offer(now, key, out);
        }
        while let Some((at, id)) = self.lates.first().copied()
            && at <= now
            && self.may_move_late()
        {
            self.lates.remove(&(at, id));
            self.note_late(id);
        }
    }

    fn may_move_late(&self) -> bool {
        self.has_room(Lane::Suspect, false)
    }

    /// Moves a late call out of the healthy lane, so that its place is free.
    fn note_late(&mut self, id: JobId) {
        let Some(entry) = self.jobs.get_mut(&id) else {
            return;
        };
        let block = entry.job.endpoint.block;
        if let Some(flight) = &mut entry.flight {
            flight.lane = Lane::Suspect;
        }
        self.counters.moved_late += 1;
        self.in_flight[0] -= 1;
        self.in_flight[1] += 1;
        if let Some(found) = self.blocks.get_mut(&block) {
            found.in_flight[0] -= 1;
            found.in_flight[1] += 1;
        }
        self.list_lane(block, Lane::Healthy);
        self.list_lane(block, Lane::Suspect);
    }

    fn expire(&mut self, now: Mono, id: JobId, out: &mut Vec<Effect<T>>) {
        let Some(entry) = self.jobs.get(&id) else {
            return;
        };
        let key = entry.job.endpoint.bmc;
        let state = self.bmcs.get(&key);
        let reason = match state {
            Some(state) if state.flying.is_some() => "another conversation with this BMC took long",
            Some(state) if state.hold.is_some() => "the BMC is left alone for a while",
            Some(_) | None => "other BMCs were first and the limits were reached",
        };
        let refusal = PoolRefusal::Late {
            work: entry.job.work,
            waited: now.since(entry.submitted),
            reason,
        };
        self.reject(id, refusal, out);
        self.offer(now, key, out);
    }

    fn reject(&mut self, id: JobId, refusal: PoolRefusal, out: &mut Vec<Effect<T>>) {
        self.counters.refused(&refusal);
        if let Some((job, payload)) = self.withdraw(id) {
            out.push(Effect::Reject {
                job,
                payload,
                refusal,
            });
        }
    }

    /// Removes a waiting job from every set.
    fn withdraw(&mut self, id: JobId) -> Option<(Job, T)> {
        let entry = self.jobs.remove(&id)?;
        let key = entry.job.endpoint.bmc;
        self.waiting[entry.job.priority.index()] -= 1;
        self.deadlines.remove(&(self.start_by(&entry.job), id));
        let offered = self.bmcs.get(&key).and_then(|state| state.offer);
        if offered.is_some_and(|(_, offered)| offered == id) {
            self.retract(key);
        }
        if let Some(state) = self.bmcs.get_mut(&key) {
            state.dequeue(id);
        }
        Some((entry.job, entry.payload))
    }

    // --- Learning ---------------------------------------------------------------------------------

    fn learn(&mut self, now: Mono, job: &Job, flight: Flight, rtt: Duration, outcome: Outcome<'_>) {
        let spread = self.draw();
        let Some(state) = self.bmcs.get_mut(&job.endpoint.bmc) else {
            return;
        };
        let was_suspect = state.is_suspect();
        if matches!(outcome, Outcome::NotMade) {
            self.counters.refused_lease += 1;
            state.flying = None;
            return;
        }
        state.land(job.work.is_write(), now);
        let mut answered = false;
        match outcome {
            Outcome::NotMade => {}
            Outcome::Lost => self.counters.lost += 1,
            Outcome::Failed(BmcError::Refused { .. }) if state.is_outdated(flight.started) => {
                self.counters.auth_refused += 1;
            }
            Outcome::Answered
            | Outcome::Failed(BmcError::Declined { .. } | BmcError::Unsupported { .. }) => {
                answered = true;
                let inflation = state.answered(Some(rtt), now);
                self.counters.answered += 1;
                self.counters.rtt.record(rtt);
                // A write may wait for the machine, so only reads tell about the network.
                self.knee
                    .answered(inflation.filter(|_| !job.work.is_write()));
            }
            Outcome::Failed(error @ (BmcError::Silent { .. } | BmcError::Unreachable { .. })) => {
                self.counters.silent += 1;
                if flight.telling {
                    state.silent(error.clone(), now, spread, &self.settings);
                    let silent = matches!(error, BmcError::Silent { .. });
                    if silent && !was_suspect {
                        self.knee.silent();
                    }
                }
            }
            Outcome::Failed(error @ BmcError::Refused { .. }) => {
                self.counters.auth_refused += 1;
                state.refused(error.clone(), now, &self.settings);
            }
            Outcome::Failed(error @ BmcError::Busy { retry_after, .. }) => {
                self.counters.failed += 1;
                state.busy(error.clone(), *retry_after, now, &self.settings);
            }
            Outcome::Failed(BmcError::Garbled { .. } | BmcError::Tls { .. }) => {
                // It is there, and that is all: a round trip of half a conversation teaches nothing.
                self.counters.failed += 1;
                state.answered(None, now);
            }
            Outcome::Failed(BmcError::Misconfigured { .. }) => self.counters.failed += 1,
        }
        if flight.lane == Lane::Suspect {
            self.adapt_suspects(answered);
        }
    }

    /// Suspects that stay silent are dead and load nothing, so more of them may be waited for at once; suspects that
    /// answer are alive, so it is the network that is slow, and this lane has to shrink with the other. One answer
    /// outweighs eight silences: in an overloaded network most calls may fail, at dead BMCs all do.
    fn adapt_suspects(&mut self, answered: bool) {
        let least = SUSPECT_QUOTA_MIN.max(self.knee.limit() / 4);
        let quota = if answered {
            self.suspect_quota.saturating_sub(8)
        } else {
            self.suspect_quota.saturating_add(1)
        };
        self.suspect_quota = quota.max(least).min(self.settings.suspects_max);
    }

    /// Drops what was learned about BMCs that nobody has asked about for long.
    fn sweep(&mut self, now: Mono) {
        for _ in 0..SWEEP_STEP {
            let Some((key, state)) = self.bmcs.range(self.sweep_from..).next() else {
                self.sweep_from = BmcKey(0);
                return;
            };
            let key = *key;
            let idle = state.flying.is_none() && state.queue.is_empty();
            // An auth breaker outlives its BMC's silence: forgetting it would spend a login.
            let barred = state.auth_broken().is_some_and(|(_, until)| now < until);
            let old = now.since(state.touched_at) >= self.settings.forget_after;
            if idle && old && !barred {
                self.bmcs.remove(&key);
            }
            self.sweep_from = BmcKey(key.0.saturating_add(1));
        }
    }

    /// splitmix64, for the jitter only.
    const fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

const fn block_max(settings: &PoolSettings, lane: Lane) -> usize {
    match lane {
        Lane::Healthy => settings.block_max,
        Lane::Suspect => settings.block_suspects_max,
    }
}

#[cfg(test)]
impl<T> SyncPool<T> {
    /// Checks every index against the jobs, and that nothing that could leave is still here.
    pub(super) fn assert_sound(&self) {
        let mut in_flight = [0; LANES];
        let mut waiting = [0; Priority::COUNT];
        let mut per_block: BTreeMap<BlockKey, [usize; LANES]> = BTreeMap::new();
        for (id, entry) in &self.jobs {
            let state = &self.bmcs[&entry.job.endpoint.bmc];
            if let Some(flight) = entry.flight {
                in_flight[flight.lane as usize] += 1;
                per_block.entry(entry.job.endpoint.block).or_default()[flight.lane as usize] += 1;
                assert_eq!(state.flying, Some(*id));
                assert_eq!(
                    self.lates.contains(&(flight.late_at, *id)),
                    flight.lane == Lane::Healthy
                );
            } else {
                waiting[entry.job.priority.index()] += 1;
                assert_eq!(
                    state
                        .queue
                        .iter()
                        .filter(|(_, queued)| queued == id)
                        .count(),
                    1
                );
                assert!(self.deadlines.contains(&(self.start_by(&entry.job), *id)));
            }
        }
        assert_eq!((in_flight, waiting), (self.in_flight, self.waiting));
        assert_eq!(self.deadlines.len(), waiting.iter().sum::<usize>());
        assert_eq!(self.lates.len(), in_flight[0]);
        for (key, state) in &self.bmcs {
            assert_eq!(
                state
                    .hold
                    .is_some_and(|at| self.holds.contains(&(at, *key))),
                state.hold.is_some()
            );
            let idle = state.flying.is_none() && !state.queue.is_empty();
            assert_eq!(idle, state.offer.is_some() || state.hold.is_some());
            if let Some((class, id)) = state.offer {
                assert!(self.blocks[&state.block].ready[class.index()].contains(&(id, *key)));
            }
        }
        assert_eq!(
            self.holds.len(),
            self.bmcs.values().filter(|s| s.hold.is_some()).count()
        );
        let offers = self
            .bmcs
            .values()
            .filter(|state| state.offer.is_some())
            .count();
        let ready = |block: &Block| block.ready.iter().map(BTreeSet::len).sum::<usize>();
        assert_eq!(offers, self.blocks.values().map(ready).sum::<usize>());
        for (key, block) in &self.blocks {
            let counted = per_block.get(key).copied().unwrap_or_default();
            assert_eq!(block.in_flight, counted);
            for (class, listed) in block.listed.iter().enumerate() {
                let eligible = listed.is_some_and(|id| self.eligible[class].contains(&(id, *key)));
                assert_eq!(eligible, listed.is_some());
            }
        }
        let listed = |block: &Block| block.listed.iter().flatten().count();
        let eligible: usize = self.eligible.iter().map(BTreeSet::len).sum();
        assert_eq!(eligible, self.blocks.values().map(listed).sum::<usize>());
        assert!(
            self.choose().is_none() || self.tokens_at.is_some(),
            "work is left undone"
        );
        assert!(self.in_flight[1] <= self.settings.suspects_max);
    }
}
