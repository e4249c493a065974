//! Which jobs could leave: the offer of each BMC, the ready sets of the blocks, and the heads of the blocks with room.

use super::super::bmc_state::Gate;
use super::{
    Block, BlockKey, BmcKey, Class, Effect, Job, JobId, LANES, Lane, Mono, PoolRefusal,
    PoolSettings, Priority, SyncPool,
};
use std::collections::BTreeSet;

impl<T> SyncPool<T> {
    /// Looks anew at what this BMC may do next: rejects what its breakers bar, and offers its best job or notes when
    /// to look again.
    pub(super) fn offer(&mut self, now: Mono, key: BmcKey, out: &mut Vec<Effect<T>>) {
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
            self.ready[class.lane() as usize] += 1;
            self.list(block, class);
        }
        for (id, refusal) in shut {
            self.reject(id, refusal, out);
        }
    }

    /// Takes the BMC's offer and hold back.
    pub(super) fn retract(&mut self, key: BmcKey) {
        let Some(state) = self.bmcs.get_mut(&key) else {
            return;
        };
        if let Some(at) = state.hold.take() {
            self.holds.remove(&(at, key));
        }
        if let Some((class, id)) = state.offer.take() {
            let block = state.block;
            if let Some(found) = self.blocks.get_mut(&block)
                && found.ready[class.index()].remove(&(id, key))
            {
                self.ready[class.lane() as usize] -= 1;
            }
            self.list(block, class);
        }
    }

    /// Brings `eligible` in line with one ready set of a block.
    pub(super) fn list(&mut self, key: BlockKey, class: Class) {
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

    pub(super) fn land_in_block(&mut self, key: BlockKey, lane: Lane) {
        if let Some(block) = self.blocks.get_mut(&key) {
            block.in_flight[lane as usize] -= 1;
        }
        self.list_lane(key, lane);
    }

    pub(super) fn list_lane(&mut self, key: BlockKey, lane: Lane) {
        for priority in Priority::ALL {
            self.list(key, Class::new(lane, priority));
        }
    }

    pub(super) fn reject(&mut self, id: JobId, refusal: PoolRefusal, out: &mut Vec<Effect<T>>) {
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
    pub(super) fn withdraw(&mut self, id: JobId) -> Option<(Job, T)> {
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
}

const fn block_max(settings: &PoolSettings, lane: Lane) -> usize {
    match lane {
        Lane::Healthy => settings.block_max,
        Lane::Suspect => settings.block_suspects_max,
    }
}
