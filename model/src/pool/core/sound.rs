//! The consistency of all indexes, for tests.

use super::{BTreeMap, BTreeSet, Block, BlockKey, LANES, Lane, Priority, SyncPool};

impl<T> SyncPool<T> {
    /// Checks every index against the jobs, and that nothing that could leave is still here.
    pub(in super::super) fn assert_sound(&self) {
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
        let mut offers = [0; LANES];
        for (class, _) in self.bmcs.values().filter_map(|state| state.offer) {
            offers[class.lane() as usize] += 1;
        }
        assert_eq!(offers, self.ready);
        let ready = |block: &Block| block.ready.iter().map(BTreeSet::len).sum::<usize>();
        assert_eq!(
            offers.iter().sum::<usize>(),
            self.blocks.values().map(ready).sum::<usize>()
        );
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
    }
}
