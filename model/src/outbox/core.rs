//! The sender's core: events, answers and time in; requests and proposals out.

use super::stage::{Pending, Stage, Stages};
use super::{NAMED_MAX, OutboxSettings, OutboxStats, Part, Seen, Told};
use crate::command::{EventDone, EventOutcome};
use crate::env::Mono;
use crate::node::power::PowerState;
use crate::port::compute::{ComputeError, ItemResult, PowerUpdate, ServerPower, Trouble};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use uuid::Uuid;

/// How often an event is sent that the service does not know the server of (404) or has on no host (422). Both pass while a
/// server is being built or moved: five tries are 15 s.
const UNKNOWN_TRIES_MAX: u32 = 5;
/// Strikes after which an event that fails whole requests (404, 500) is given up: more than 15 minutes of tries at the
/// longest pause, with successes of others between each two.
const STRIKES_MAX: u32 = 20;
/// Read-backs that tell nothing (a task is running, no answer) before the 200 has to do: 20 minutes at the longest pause.
const VAIN_CHECKS_MAX: u32 = 20;
/// Servers of one read-back. Each is a GET of its own.
const CHECK_MAX: usize = 20;
/// Longest `Retry-After` that is obeyed, so that a wrong one does not silence a conductor for good.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// How soon a withheld batch is looked at again; the log tells by then whose it is.
const WITHHELD_PAUSE: Duration = Duration::from_millis(250);

/// One request to the compute service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Names the request in [`Outbox::answered`].
    pub id: u64,
    /// What to tell.
    pub events: Vec<PowerUpdate>,
}

/// One read-back; answer it with [`Outbox::checked`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadBack {
    /// The servers.
    pub servers: Vec<Uuid>,
}

#[derive(Clone, Debug)]
struct Request {
    begun: Mono,
    sent: Vec<(Uuid, u64)>,
    events: Vec<PowerUpdate>,
    suspect: bool,
}

/// States that the service may yet hear of from requests whose answers were lost. A different state of such an instance
/// waits, or it could be overtaken by the older one. Bounded by the events of failed requests within the wait.
#[derive(Clone, Debug, Default)]
struct Doubts {
    until: BTreeMap<Uuid, (PowerState, Mono)>,
    order: VecDeque<(Mono, Uuid)>,
}

impl Doubts {
    fn add(&mut self, update: PowerUpdate, until: Mono) {
        self.until.insert(update.instance, (update.state, until));
        self.order.push_back((until, update.instance));
    }

    /// Until when `update` has to wait.
    fn hold(&self, update: PowerUpdate) -> Mono {
        match self.until.get(&update.instance) {
            Some((state, until)) if *state != update.state => *until,
            Some(_) | None => Mono(0),
        }
    }

    fn prune(&mut self, now: Mono) {
        while let Some((until, instance)) = self.order.front().copied()
            && until <= now
        {
            self.order.pop_front();
            if self
                .until
                .get(&instance)
                .is_some_and(|(_, last)| *last <= now)
            {
                self.until.remove(&instance);
            }
        }
    }
}

/// The events of the nodes owned here, and what is under way about them.
#[derive(Clone, Debug)]
pub struct Outbox {
    settings: OutboxSettings,
    stages: Stages,
    suspects: VecDeque<Vec<(Uuid, u64)>>,
    requests: BTreeMap<u64, Request>,
    doubts: Doubts,
    checking: Option<Vec<(Uuid, u64)>>,
    /// Claims that were asked for, and when last: what the log names ours because of them has to wait for the former sender's
    /// request. Older ones than that wait have come to nothing.
    claimed: BTreeMap<Uuid, Mono>,
    /// Events that another conductor may be the sender of already, since we have proposed so.
    releasing: BTreeSet<(Uuid, u64)>,
    next_id: u64,
    batch_cap: usize,
    failures: u32,
    failed_at: Mono,
    pause_until: Mono,
    successes: u64,
    stats: OutboxStats,
}

impl Outbox {
    /// An empty one.
    #[must_use]
    pub fn new(settings: OutboxSettings) -> Self {
        let mut outbox = Self {
            settings,
            stages: Stages::default(),
            suspects: VecDeque::new(),
            requests: BTreeMap::new(),
            doubts: Doubts::default(),
            checking: None,
            claimed: BTreeMap::new(),
            releasing: BTreeSet::new(),
            next_id: 0,
            batch_cap: 1,
            failures: 0,
            failed_at: Mono(0),
            pause_until: Mono(0),
            successes: 0,
            stats: OutboxStats::default(),
        };
        outbox.configure(settings);
        outbox
    }

    /// Takes over new settings, from a reload.
    pub fn configure(&mut self, settings: OutboxSettings) {
        self.settings = OutboxSettings {
            batch_max: settings.batch_max.clamp(1, NAMED_MAX),
            requests_max: settings.requests_max.max(1),
            ..settings
        };
        self.batch_cap = self.settings.batch_max;
    }

    // --- What the log says ------------------------------------------------------------------------

    /// The event of `instance` as the log has it now; `None` if there is none, or it is no affair of this conductor.
    pub fn update(&mut self, now: Mono, instance: Uuid, seen: Option<Seen<'_>>) {
        let known = self.stages.get(instance).copied();
        let Some(Seen { event, part }) = seen else {
            match known {
                Some(busy) if busy.is_busy() => self.stages.put(Pending { gone: true, ..busy }),
                Some(_) => self.stages.remove(instance),
                None => {}
            }
            return;
        };
        let update = PowerUpdate {
            instance,
            state: event.state,
        };
        let doubt = self.doubts.hold(update);
        let fresh = Pending {
            update,
            seq: event.seq,
            known_since: now,
            part,
            gone: false,
            held_until: doubt,
            patience_until: now + self.settings.handover_wait,
            attempts: 0,
            strikes: 0,
            seen_successes: None,
            repeats: 0,
            vain_checks: 0,
            stage: Stage::Ready,
        };
        let mine = matches!(part, Part::Send | Part::HandOver);
        // What its former sender handed over is free; what was claimed may be on its way still.
        let wait = self.settings.handover_wait;
        let claim = match self.claimed.get(&instance) {
            Some(asked) if mine && now.since(*asked) < wait => now + wait,
            Some(_) | None => Mono(0),
        };
        if mine {
            self.claimed.remove(&instance);
        }
        let Some(known) = known else {
            let held_until = doubt.max(claim);
            let fresh = Pending {
                held_until,
                ..fresh
            };
            self.stages.put(fresh.rest(now));
            return;
        };
        let is_same = known.seq == event.seq;
        let current = if is_same { known } else { fresh };
        let next = Pending {
            part,
            gone: false,
            held_until: known.held_until.max(doubt).max(claim),
            patience_until: if known.part == part {
                known.patience_until
            } else {
                fresh.patience_until
            },
            stage: known.stage,
            ..current
        };
        let settled = matches!(known.stage, Stage::Finished(_));
        let is_leaving = known.stage == Stage::Leaving;
        let goes_on = part == Part::Send && known.part == Part::Send && !is_leaving;
        let keeps = known.is_busy() || (is_same && (goes_on || settled));
        let leaves = is_leaving && self.releasing.contains(&(instance, event.seq));
        self.stages.put(if keeps {
            next
        } else if leaves && part == Part::Send {
            // It came back while the log may be making it somebody else's.
            Pending {
                stage: Stage::Leaving,
                ..next
            }
        } else {
            next.rest(now)
        });
    }

    /// The instances that are known here, for a look at everything.
    pub fn known(&self) -> impl Iterator<Item = Uuid> {
        self.stages.all().map(|pending| pending.update.instance)
    }

    /// Events that the log is to call this life's own, before they may be sent.
    #[must_use]
    pub fn claims(&mut self, now: Mono) -> Vec<Uuid> {
        let late = self.stages.awaited.iter();
        let late = late.take_while(|(until, _)| *until <= now);
        let late = late.map(|(_, instance)| *instance);
        let foreign = self.stages.foreign.iter().copied();
        let claims: Vec<Uuid> = foreign.chain(late).take(NAMED_MAX).collect();
        self.claimed
            .extend(claims.iter().map(|instance| (*instance, now)));
        claims
    }

    /// Events that another conductor is to send from now on: nothing about them is under way here, and no request whose
    /// answer was lost may still arrive. Propose them, as often as it takes until [`Outbox::released`].
    #[must_use]
    pub fn releases(&mut self, now: Mono) -> Vec<(Uuid, u64)> {
        self.doubts.prune(now);
        let is_free = |pending: &&Pending| {
            pending.held_until <= now && !self.doubts.until.contains_key(&pending.update.instance)
        };
        let leaving = self.stages.leaving.iter();
        let leaving = leaving.filter_map(|instance| self.stages.get(*instance));
        let free = leaving.filter(is_free).take(NAMED_MAX);
        let releases: Vec<_> = free
            .map(|pending| (pending.update.instance, pending.seq))
            .collect();
        self.releasing.extend(&releases);
        releases
    }

    /// A release was applied; the log tells whose its events are now. Show all that are known again.
    pub fn released(&mut self) {
        self.releasing.clear();
    }

    /// Whether nothing is under way and the log knows all that happened, so that this sender may end without a trace.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty()
            && self.checking.is_none()
            && self.stages.leaving.is_empty()
            && self.stages.finished.is_empty()
    }

    /// Events that are done with: propose them, as often as it takes until [`Outbox::update`] takes them away.
    #[must_use]
    pub fn done(&self) -> Vec<EventDone> {
        let finished = self.stages.finished.iter().take(NAMED_MAX);
        let done = |instance: &Uuid| {
            let pending = self.stages.get(*instance)?;
            let Stage::Finished(outcome) = pending.stage else {
                return None;
            };
            Some(EventDone {
                instance: *instance,
                seq: pending.seq,
                outcome,
            })
        };
        finished.filter_map(done).collect()
    }

    // --- Requests ---------------------------------------------------------------------------------

    /// The next request, if one is due. Answer it with [`Outbox::answered`].
    pub fn next_batch(&mut self, now: Mono) -> Option<Batch> {
        self.promote(now);
        self.doubts.prune(now);
        if self.requests.len() >= self.lanes() || now < self.pause_until {
            return None;
        }
        if !self.has_suspect_request() {
            while let Some(group) = self.suspects.pop_front() {
                let still = |(instance, seq): &(Uuid, u64)| {
                    self.stages.get(*instance).is_some_and(|pending| {
                        pending.seq == *seq && pending.stage == Stage::Suspect
                    })
                };
                let group: Vec<Uuid> = group.into_iter().filter(still).map(|(id, _)| id).collect();
                if !group.is_empty() {
                    return Some(self.send(now, &group, true));
                }
            }
        }
        let (_, first) = *self.stages.ready.first()?;
        let ripe = self
            .stages
            .get(first)
            .is_none_or(|first| now.since(first.known_since) >= self.settings.batch_wait);
        if !ripe && self.stages.ready.len() < self.batch_cap {
            return None;
        }
        let oldest = self.stages.ready.iter().take(self.batch_cap);
        let batch: Vec<Uuid> = oldest.map(|(_, instance)| *instance).collect();
        Some(self.send(now, &batch, false))
    }

    /// Requests that may be under way at once; after a failure one, which tells whether the service is back.
    const fn lanes(&self) -> usize {
        if self.failures > 0 {
            1
        } else {
            self.settings.requests_max
        }
    }

    fn has_suspect_request(&self) -> bool {
        self.requests.values().any(|request| request.suspect)
    }

    /// Those whose time has come.
    fn promote(&mut self, now: Mono) {
        while let Some((at, instance)) = self.stages.later.first().copied()
            && at <= now
        {
            let Some(pending) = self.stages.get(instance).copied() else {
                break;
            };
            let mut next = pending.rest(now);
            if pending.seen_successes.is_some() && next.stage == Stage::Ready {
                next.stage = Stage::Suspect;
                self.suspects.push_back(vec![(instance, pending.seq)]);
            }
            self.stages.put(next);
        }
    }

    fn send(&mut self, now: Mono, batch: &[Uuid], suspect: bool) -> Batch {
        self.next_id += 1;
        let mut sent = Vec::with_capacity(batch.len());
        let mut events = Vec::with_capacity(batch.len());
        for instance in batch {
            if let Some(pending) = self.stages.get(*instance).copied() {
                sent.push((*instance, pending.seq));
                events.push(pending.update);
                self.stages.put(Pending {
                    stage: Stage::Sent,
                    ..pending
                });
            }
        }
        let request = Request {
            begun: now,
            sent,
            events: events.clone(),
            suspect,
        };
        self.requests.insert(self.next_id, request);
        self.stats.requests += 1;
        Batch {
            id: self.next_id,
            events,
        }
    }

    /// The request ended. `spread` is a random number for the jitter.
    pub fn answered(
        &mut self,
        now: Mono,
        id: u64,
        result: &Result<Vec<ItemResult>, ComputeError>,
        spread: u64,
    ) {
        let Some(request) = self.requests.remove(&id) else {
            return;
        };
        match result {
            Ok(results) if results.len() == request.sent.len() => {
                self.failures = 0;
                self.pause_until = now;
                self.successes += 1;
                self.stats.last_error = None;
                for ((instance, seq), result) in request.sent.into_iter().zip(results) {
                    self.settle(now, instance, seq, *result, spread);
                }
            }
            Ok(results) => {
                let text = format!(
                    "the compute service answered for {} events instead of {}",
                    results.len(),
                    request.sent.len()
                );
                self.count("garbled", request.sent.len());
                self.doubt(now, &request);
                self.fail(now, &request, text.into(), None, spread);
                self.again(now, request.sent);
            }
            Err(ComputeError::Withheld) => {
                self.count("withheld", request.sent.len());
                self.pause_until = self.pause_until.max(now + WITHHELD_PAUSE);
                self.again(now, request.sent);
            }
            Err(error @ ComputeError::Batch { code, .. }) => {
                self.count(&error.label(), request.sent.len());
                self.stats.last_error = Some(error.to_string().into());
                self.split(now, *code, request, spread);
            }
            Err(error) => {
                let mut asked = None;
                if let ComputeError::Unavailable {
                    trouble,
                    retry_after,
                    ..
                } = error
                {
                    asked = *retry_after;
                    if *trouble != Trouble::Unreachable && *trouble != Trouble::Identity {
                        self.doubt(now, &request);
                    }
                }
                self.count(&error.label(), request.sent.len());
                self.fail(now, &request, error.to_string().into(), asked, spread);
                self.again(now, request.sent);
            }
        }
    }

    /// The service may have these events without our knowing, and may be working on them still.
    fn doubt(&mut self, now: Mono, request: &Request) {
        for update in &request.events {
            self.doubts.add(*update, now + self.settings.handover_wait);
            if let Some(pending) = self.stages.get(update.instance).copied() {
                let held_until = pending.held_until.max(self.doubts.hold(pending.update));
                self.stages.put(Pending {
                    held_until,
                    ..pending
                });
            }
        }
    }

    fn count(&mut self, label: &str, events: usize) {
        *self.stats.results.entry(label.into()).or_default() += events as u64;
    }

    /// The service as a whole is in trouble: nothing is sent for a while, then one request.
    fn fail(
        &mut self,
        now: Mono,
        request: &Request,
        error: Box<str>,
        asked: Option<Duration>,
        spread: u64,
    ) {
        self.stats.failed += request.sent.len() as u64;
        self.stats.last_error = Some(error);
        // Requests that were under way when the first one failed say nothing new.
        if self.failures == 0 || request.begun >= self.failed_at {
            let pause = self.pause(self.failures, spread);
            self.failures = self.failures.saturating_add(1);
            self.failed_at = now;
            self.pause_until = self.pause_until.max(now + pause);
        }
        let asked = asked.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.pause_until = self.pause_until.max(now + asked);
    }

    fn again(&mut self, now: Mono, sent: Vec<(Uuid, u64)>) {
        for (instance, _) in sent {
            if let Some(pending) = self.take_back(instance) {
                let alone = pending.seen_successes.is_some();
                let mut next = pending.rest(now);
                if alone && next.stage == Stage::Ready {
                    next.stage = Stage::Suspect;
                    self.suspects.push_back(vec![(instance, next.seq)]);
                }
                self.stages.put(next);
            }
        }
    }

    /// The event whose request ended, unless it is gone from here.
    fn take_back(&mut self, instance: Uuid) -> Option<Pending> {
        let pending = self.stages.get(instance).copied()?;
        if pending.gone {
            self.stages.remove(instance);
            return None;
        }
        Some(pending)
    }

    /// A request failed as a whole, perhaps for one of its events: each half goes by itself, to the last one. An event
    /// that fails alone is given up only if others succeed meanwhile.
    fn split(&mut self, now: Mono, code: u16, request: Request, spread: u64) {
        let size = request.sent.len();
        if code == 413 && size > 1 {
            self.stats.failed += size as u64;
            self.batch_cap = self.batch_cap.min(size / 2).max(1);
            self.again(now, request.sent);
            return;
        }
        if matches!(code, 404 | 500) && size > 1 {
            let error = self.stats.last_error.take().unwrap_or_default();
            self.fail(now, &request, error, None, spread);
        } else {
            self.stats.failed += size as u64;
        }
        if let [(instance, seq)] = request.sent[..] {
            self.strike(now, instance, seq, code, spread);
            return;
        }
        for half in request.sent.chunks(size.div_ceil(2)) {
            let mut group = Vec::with_capacity(half.len());
            for (instance, seq) in half {
                let Some(pending) = self.take_back(*instance) else {
                    continue;
                };
                let mut next = pending.rest(now);
                if next.seq == *seq && next.stage == Stage::Ready {
                    next.stage = Stage::Suspect;
                    group.push((*instance, *seq));
                }
                self.stages.put(next);
            }
            self.suspects.push_back(group);
        }
    }

    fn strike(&mut self, now: Mono, instance: Uuid, seq: u64, code: u16, spread: u64) {
        let Some(mut pending) = self.take_back(instance) else {
            return;
        };
        if pending.seq != seq {
            self.stages.put(pending.rest(now));
            return;
        }
        if pending
            .seen_successes
            .is_some_and(|seen| seen < self.successes)
        {
            pending.strikes += 1;
        }
        pending.seen_successes = Some(self.successes);
        let strikes_max = if matches!(code, 400 | 413) {
            1
        } else {
            STRIKES_MAX
        };
        pending.stage = if pending.strikes >= strikes_max {
            self.stats.rejected += 1;
            Stage::Finished(EventOutcome::Rejected(code))
        } else {
            let at = now + self.pause(pending.attempts, spread);
            Stage::Later(at.max(pending.held_until))
        };
        pending.attempts = pending.attempts.saturating_add(1);
        self.stages.put(pending.or_leave(now));
    }

    /// What the service said to one event.
    fn settle(&mut self, now: Mono, instance: Uuid, seq: u64, result: ItemResult, spread: u64) {
        let ItemResult(code) = result;
        let is_taken = (200..300).contains(&code);
        self.count(&code.to_string(), 1);
        if is_taken {
            self.stats.accepted += 1;
        } else {
            self.stats.failed += 1;
        }
        let Some(mut pending) = self.take_back(instance) else {
            return;
        };
        if pending.seq != seq {
            self.stages.put(pending.rest(now));
            return;
        }
        let tries_max = match code {
            400 => 1,
            404 | 422 => UNKNOWN_TRIES_MAX,
            _ => u32::MAX,
        };
        pending.stage = match self.settings.read_back {
            Some(delay) if is_taken => Stage::Check(now + delay),
            None if is_taken => Stage::Finished(EventOutcome::Told(Told::Accepted)),
            Some(_) | None if pending.attempts.saturating_add(1) >= tries_max => {
                self.stats.rejected += 1;
                Stage::Finished(EventOutcome::Rejected(code))
            }
            Some(_) | None => {
                let pause = self.pause(pending.attempts, spread);
                pending.attempts = pending.attempts.saturating_add(1);
                Stage::Later(now + pause)
            }
        };
        pending.seen_successes = None;
        self.stages.put(pending.or_leave(now));
    }

    // --- Read-back --------------------------------------------------------------------------------

    /// The next read-back, if one is due; one at a time. Answer it with [`Outbox::checked`].
    pub fn next_check(&mut self, now: Mono) -> Option<ReadBack> {
        if self.checking.is_some() || now < self.pause_until {
            return None;
        }
        let due = self.stages.checks.iter().take_while(|(at, _)| *at <= now);
        let servers: Vec<Uuid> = due.take(CHECK_MAX).map(|(_, instance)| *instance).collect();
        if servers.is_empty() {
            return None;
        }
        let mut asked = Vec::with_capacity(servers.len());
        for instance in &servers {
            if let Some(pending) = self.stages.get(*instance).copied() {
                asked.push((*instance, pending.seq));
                self.stages.put(Pending {
                    stage: Stage::Checking,
                    ..pending
                });
            }
        }
        self.checking = Some(asked);
        Some(ReadBack { servers })
    }

    /// The read-back ended.
    pub fn checked(
        &mut self,
        now: Mono,
        result: &Result<Vec<ServerPower>, ComputeError>,
        spread: u64,
    ) {
        let asked = self.checking.take().unwrap_or_default();
        let answers = match result {
            Ok(answers) if answers.len() == asked.len() => Some(answers),
            Ok(_) => None,
            Err(error) => {
                self.stats.last_error = Some(error.to_string().into());
                None
            }
        };
        for (at, (instance, seq)) in asked.into_iter().enumerate() {
            let Some(mut pending) = self.take_back(instance) else {
                continue;
            };
            if pending.seq != seq || pending.part != Part::Send {
                self.stages.put(pending.rest(now));
                continue;
            }
            let answer = answers.and_then(|answers| answers.get(at));
            pending.stage = self.judge(now, &mut pending, answer, spread);
            self.stages.put(pending);
        }
    }

    fn judge(
        &mut self,
        now: Mono,
        pending: &mut Pending,
        answer: Option<&ServerPower>,
        spread: u64,
    ) -> Stage {
        let told = |how| Stage::Finished(EventOutcome::Told(how));
        match answer {
            Some(ServerPower::Gone) => told(Told::Accepted),
            Some(ServerPower::Known { state, .. }) if *state == Some(pending.update.state) => {
                told(Told::Confirmed)
            }
            Some(ServerPower::Known { busy: false, .. })
                if pending.repeats >= self.settings.repeats_max =>
            {
                told(Told::Unconfirmed)
            }
            Some(ServerPower::Known { busy: false, .. }) => {
                pending.repeats += 1;
                self.stats.repeated += 1;
                Stage::Ready
            }
            // While a task runs the service would drop the event again.
            Some(ServerPower::Known { busy: true, .. }) | None => {
                pending.vain_checks += 1;
                if pending.vain_checks >= VAIN_CHECKS_MAX {
                    return told(if answer.is_some() {
                        Told::Unconfirmed
                    } else {
                        Told::Accepted
                    });
                }
                Stage::Check(now + self.pause(pending.vain_checks, spread))
            }
        }
    }

    // --- Time and statistics ----------------------------------------------------------------------

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

    /// When to look again though nothing happens; `None` if only the log or an answer brings something new.
    #[must_use]
    pub fn wake_at(&self, now: Mono) -> Option<Mono> {
        let ripe = self.stages.ready.first().map(|(_, first)| {
            let full = self.stages.ready.len() >= self.batch_cap;
            let known = self.stages.get(*first).filter(|_| !full);
            known.map_or(now, |first| first.known_since + self.settings.batch_wait)
        });
        let suspects = self.suspects.front().map(|_| now);
        let suspects = suspects.filter(|_| !self.has_suspect_request());
        let later = self.stages.later.first().map(|(at, _)| *at);
        let checks = self.stages.checks.first().map(|(at, _)| *at);
        let sends = [ripe, suspects, later].into_iter().flatten().min();
        // With every lane taken, the next answer wakes.
        let sends = sends.filter(|_| self.requests.len() < self.lanes());
        let next = [sends, checks.filter(|_| self.checking.is_none())];
        let next = next.into_iter().flatten().min()?;
        Some(next.max(self.pause_until))
    }

    /// What to show.
    #[must_use]
    pub fn stats(&self, now: Mono) -> OutboxStats {
        let oldest = self.stages.all().map(|pending| pending.known_since).min();
        OutboxStats {
            depth: self.stages.all().len(),
            oldest: oldest.map_or(Duration::ZERO, |since| now.since(since)),
            in_flight: self
                .requests
                .values()
                .map(|request| request.sent.len())
                .sum(),
            pause: self.pause_until.since(now),
            batch_cap: self.batch_cap,
            ..self.stats.clone()
        }
    }
}
