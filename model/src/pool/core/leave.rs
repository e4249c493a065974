//! Which job leaves next, and what the passing of time does to those that wait.

use super::{
    BlockKey, Class, Effect, Flight, JobId, Lane, Mono, PoolRefusal, Priority, RECOVERY_FIRST,
    STRICT, SYNC_FIRST, SyncPool,
};

impl<T> SyncPool<T> {
    pub(super) fn dispatch(&mut self, now: Mono, out: &mut Vec<Effect<T>>) {
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
    pub(super) fn choose(&self) -> Option<(Class, JobId, BlockKey)> {
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

    pub(super) fn has_room(&self, lane: Lane, reserve: bool) -> bool {
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

    pub(super) fn waits_for_room(&self) -> bool {
        self.eligible[..Priority::COUNT]
            .iter()
            .any(|set| !set.is_empty())
    }

    pub(super) fn start(
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
            outdated: false,
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
            self.knee.in_flight(now, self.in_flight[0]);
        }
        out.push(Effect::Start { id, budget });
    }

    pub(super) fn advance(&mut self, now: Mono, out: &mut Vec<Effect<T>>) {
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
            self.note_late(now, id);
        }
    }

    pub(super) fn may_move_late(&self) -> bool {
        self.has_room(Lane::Suspect, false)
    }

    /// Moves a late call out of the healthy lane, so that its place is free.
    pub(super) fn note_late(&mut self, now: Mono, id: JobId) {
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
        self.knee.in_flight(now, self.in_flight[0]);
        if let Some(found) = self.blocks.get_mut(&block) {
            found.in_flight[0] -= 1;
            found.in_flight[1] += 1;
        }
        self.list_lane(block, Lane::Healthy);
        self.list_lane(block, Lane::Suspect);
    }

    pub(super) fn expire(&mut self, now: Mono, id: JobId, out: &mut Vec<Effect<T>>) {
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
}
