//! How fresh what is known of each owned machine's power is: the promise that power sync makes, kept without asking.
//!
//! Each node actor notes here when its BMC confirmed the state last. A note costs two searches in ordered sets, a report
//! costs what it shows. Only nodes that power sync reads count: one in manual maintenance or in `enroll` is not late.
//! The invariant: every entry stands in exactly one of the ordered sets, or in none if nobody reads it.

use crate::env::Mono;
use crate::ids::NodeId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Ages up to this many seconds are told by the second; five times the usual interval.
const BY_SECOND: u64 = 600;
/// Older ones by the minute, up to a day; what is older than a day is a day old.
const AGE_MAX_S: u64 = 86_400;

/// Whether somebody reads a node's power state, and why not regularly.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Watch {
    /// Nobody: manual maintenance, a state that power sync leaves alone, or power sync is off.
    #[default]
    Nobody,
    /// Power sync.
    Sync,
    /// Fault recovery; the node is in fault already, so it is no news that it is stale.
    Recovery,
}

/// A node's place in [`Freshness`]. Given back with [`Freshness::leave`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Slot(u32);

#[derive(Clone, Copy, Debug)]
struct Entry {
    node: NodeId,
    watch: Watch,
    confirmed: Option<Mono>,
    /// Since when its confirmation has been waited for, while there is none.
    since: Mono,
}

/// The freshness of all nodes that this conductor owns.
#[derive(Debug, Default)]
pub struct Freshness {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
    /// Watched by sync and confirmed, the stalest first.
    confirmed: BTreeSet<(Mono, Slot)>,
    /// Watched by sync and never confirmed by this owner, the longest wait first.
    unconfirmed: BTreeSet<(Mono, Slot)>,
    /// How many of `confirmed` were confirmed in each second.
    by_second: BTreeMap<u64, u32>,
    recovering: usize,
    unwatched: usize,
}

impl Freshness {
    /// Nothing is owned.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            confirmed: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            by_second: BTreeMap::new(),
            recovering: 0,
            unwatched: 0,
        }
    }

    /// A node is owned from now on.
    pub fn enter(&mut self, now: Mono, node: NodeId) -> Slot {
        let entry = Entry {
            node,
            watch: Watch::Nobody,
            confirmed: None,
            since: now,
        };
        self.unwatched += 1;
        if let Some(index) = self.free.pop()
            && let Some(place) = self.entries.get_mut(place(index))
        {
            *place = Some(entry);
            return Slot(index);
        }
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Some(entry));
        Slot(index)
    }

    /// What is known now. Times may come a little out of order, since actors live on several threads.
    pub fn note(&mut self, now: Mono, slot: Slot, watch: Watch, confirmed: Option<Mono>) {
        let Some(Some(old)) = self.entries.get(place(slot.0)).copied() else {
            return;
        };
        self.take_out(slot, old);
        let waits = watch == Watch::Sync && confirmed.is_none();
        let waited = old.watch == Watch::Sync && old.confirmed.is_none();
        let entry = Entry {
            watch,
            confirmed,
            since: if waits && !waited { now } else { old.since },
            ..old
        };
        match (watch, confirmed) {
            (Watch::Sync, Some(at)) => {
                self.confirmed.insert((at, slot));
                *self.by_second.entry(second(at)).or_default() += 1;
            }
            (Watch::Sync, None) => {
                self.unconfirmed.insert((entry.since, slot));
            }
            (Watch::Recovery, _) => self.recovering += 1,
            (Watch::Nobody, _) => self.unwatched += 1,
        }
        if let Some(place) = self.entries.get_mut(place(slot.0)) {
            *place = Some(entry);
        }
    }

    /// The node is owned no more.
    pub fn leave(&mut self, slot: Slot) {
        if let Some(old) = self.entries.get_mut(place(slot.0)).and_then(Option::take) {
            self.take_out(slot, old);
            self.free.push(slot.0);
        }
    }

    fn take_out(&mut self, slot: Slot, old: Entry) {
        match (old.watch, old.confirmed) {
            (Watch::Sync, Some(at)) => {
                self.confirmed.remove(&(at, slot));
                if let Some(count) = self.by_second.get_mut(&second(at)) {
                    *count -= 1;
                    if *count == 0 {
                        self.by_second.remove(&second(at));
                    }
                }
            }
            (Watch::Sync, None) => {
                self.unconfirmed.remove(&(old.since, slot));
            }
            (Watch::Recovery, _) => self.recovering -= 1,
            (Watch::Nobody, _) => self.unwatched -= 1,
        }
    }

    /// How it stands now: the `worst` stalest nodes, and how many are staler than `stale_after`.
    #[must_use]
    pub fn report(&self, now: Mono, worst: usize, stale_after: Duration) -> FreshnessReport {
        let is_stale = |at: &Mono| now.since(*at) > stale_after;
        let late = |set: &BTreeSet<(Mono, Slot)>| -> u64 {
            let late = set.iter().take_while(|(at, _)| is_stale(at)).count();
            u64::try_from(late).unwrap_or(u64::MAX)
        };
        let row = |(at, slot): &(Mono, Slot), confirmed: bool| {
            let node = (*self.entries.get(place(slot.0))?)?.node;
            Some(StaleNode {
                node,
                age_ms: millis(now.since(*at)),
                confirmed,
            })
        };
        let never = self.unconfirmed.iter().map(|at| row(at, false));
        let oldest = self.confirmed.iter().map(|at| row(at, true));
        let mut ages = Ages::default();
        for (second, count) in &self.by_second {
            ages.add((now.0 / 1000).saturating_sub(*second), u64::from(*count));
        }
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        FreshnessReport {
            ages,
            oldest_ms: self.confirmed.first().map(|(at, _)| millis(now.since(*at))),
            unconfirmed: count(self.unconfirmed.len()),
            recovering: count(self.recovering),
            unwatched: count(self.unwatched),
            stale: late(&self.confirmed) + late(&self.unconfirmed),
            worst: never.chain(oldest).flatten().take(worst).collect(),
        }
    }
}

fn place(index: u32) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

const fn second(at: Mono) -> u64 {
    at.0 / 1000
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Ages in seconds and how many nodes have each, youngest first.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ages(BTreeMap<u64, u64>);

impl Ages {
    fn add(&mut self, age_s: u64, count: u64) {
        let age = if age_s <= BY_SECOND {
            age_s
        } else {
            age_s.div_ceil(60).saturating_mul(60).min(AGE_MAX_S)
        };
        *self.0.entry(age).or_default() += count;
    }

    /// Takes in another conductor's.
    pub fn merge(&mut self, other: &Self) {
        for (age, count) in &other.0 {
            *self.0.entry(*age).or_default() += count;
        }
    }

    /// How many nodes there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many are at most this old.
    #[must_use]
    pub fn within(&self, age_s: u64) -> u64 {
        self.0.range(..=age_s).map(|(_, count)| count).sum()
    }

    /// The age in seconds that `permille` thousandths do not exceed.
    #[must_use]
    pub fn at(&self, permille: u64) -> Option<u64> {
        let rank = self
            .count()
            .saturating_mul(permille.min(1000))
            .div_ceil(1000);
        let mut seen = 0;
        self.0.iter().find_map(|(age, count)| {
            seen += count;
            (seen >= rank.max(1)).then_some(*age)
        })
    }
}

/// What one conductor knows of the freshness of its nodes at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FreshnessReport {
    /// Ages of the last confirmed reads of nodes that power sync reads.
    pub ages: Ages,
    /// The greatest of them, exactly.
    pub oldest_ms: Option<u64>,
    /// Nodes that power sync reads and that this owner has never confirmed.
    pub unconfirmed: u64,
    /// Nodes in fault.
    pub recovering: u64,
    /// Nodes that nobody reads.
    pub unwatched: u64,
    /// Nodes that power sync reads and whose last confirmation, or the wait for the first one, is older than the
    /// threshold.
    pub stale: u64,
    /// The stalest, those never confirmed before all others.
    pub worst: Vec<StaleNode>,
}

/// One row of the worst-first list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StaleNode {
    /// The node.
    pub node: NodeId,
    /// Milliseconds since its last confirmation, or since the first one is waited for.
    pub age_ms: u64,
    /// Whether it was ever confirmed by this owner.
    pub confirmed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

    const AFTER: Duration = Duration::from_secs(300);

    fn node(n: u128) -> NodeId {
        NodeId(Uuid::from_u128(n))
    }

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1000)
    }

    #[test]
    fn the_stalest_come_first_and_those_never_confirmed_before_all() {
        let mut all = Freshness::new();
        for n in 0..5u64 {
            let slot = all.enter(at(0), node(u128::from(n)));
            let confirmed = (n > 0).then(|| at(n * 100));
            all.note(at(500), slot, Watch::Sync, confirmed);
        }
        let report = all.report(at(600), 3, AFTER);
        let worst: Vec<_> = report
            .worst
            .iter()
            .map(|row| (row.node, row.age_ms, row.confirmed))
            .collect();
        assert_eq!(
            worst,
            [
                (node(0), 100_000, false),
                (node(1), 500_000, true),
                (node(2), 400_000, true)
            ]
        );
        assert_eq!(
            (report.stale, report.unconfirmed, report.oldest_ms),
            (2, 1, Some(500_000))
        );
        assert_eq!(
            (report.ages.at(500), report.ages.at(1000)),
            (Some(300), Some(500))
        );
        assert_eq!(report.ages.within(300), 2);
    }

    #[test]
    fn whom_nobody_reads_is_not_late() {
        let mut all = Freshness::new();
        let slot = all.enter(at(0), node(1));
        all.note(at(0), slot, Watch::Sync, Some(at(0)));
        all.note(at(9), slot, Watch::Nobody, Some(at(0)));
        let report = all.report(at(9000), 9, AFTER);
        assert_eq!(
            (report.stale, report.unwatched, report.worst.len()),
            (0, 1, 0)
        );
        // Watched again, its wait for a confirmation is as long as its state is old.
        all.note(at(9000), slot, Watch::Sync, Some(at(0)));
        assert_eq!(all.report(at(9000), 9, AFTER).stale, 1);
        all.note(at(9001), slot, Watch::Recovery, Some(at(0)));
        let report = all.report(at(9001), 9, AFTER);
        assert_eq!((report.stale, report.recovering), (0, 1));
        all.leave(slot);
        assert_eq!(all.report(at(9001), 9, AFTER), FreshnessReport::default());
    }

    #[test]
    fn reports_of_several_conductors_add_up() {
        let mut sum = Ages::default();
        for ages in [&[(1, 2), (700, 1)][..], &[(1, 1), (1_000_000, 1)]] {
            let mut one = Ages::default();
            for (age, count) in ages {
                one.add(*age, *count);
            }
            sum.merge(&one);
        }
        assert_eq!(
            (sum.count(), sum.within(1), sum.at(1000)),
            (5, 3, Some(86_400))
        );
    }

    proptest! {
        /// Whatever happens in whatever order, the sums are those of counting anew.
        #[test]
        fn the_counts_are_those_of_the_entries(events in proptest::collection::vec((0..6usize, 0..4u8, 0..50u64), 1..200)) {
            let mut all = Freshness::new();
            let mut model: Vec<Option<(Slot, Watch, Option<Mono>)>> = vec![None; 6];
            for (step, (who, what, when)) in events.into_iter().enumerate() {
                let now = at(u64::try_from(step).unwrap() + 50);
                let slot = model[who].map_or_else(|| all.enter(now, node(who as u128)), |(slot, _, _)| slot);
                if what == 3 {
                    all.leave(slot);
                    model[who] = None;
                } else {
                    let watch = [Watch::Nobody, Watch::Sync, Watch::Recovery][usize::from(what)];
                    let confirmed = (when % 3 > 0).then(|| at(when));
                    all.note(now, slot, watch, confirmed);
                    model[who] = Some((slot, watch, confirmed));
                }
                let count = |wanted: &dyn Fn(Watch, Option<Mono>) -> bool| {
                    model.iter().flatten().filter(|(_, watch, confirmed)| wanted(*watch, *confirmed)).count() as u64
                };
                let report = all.report(now, 9, AFTER);
                prop_assert_eq!(report.ages.count(), count(&|watch, confirmed| watch == Watch::Sync && confirmed.is_some()));
                prop_assert_eq!(report.unconfirmed, count(&|watch, confirmed| watch == Watch::Sync && confirmed.is_none()));
                prop_assert_eq!(report.recovering, count(&|watch, _| watch == Watch::Recovery));
                prop_assert_eq!(report.unwatched, count(&|watch, _| watch == Watch::Nobody));
                prop_assert_eq!(report.worst.len() as u64, report.ages.count() + report.unconfirmed);
            }
        }
    }
}
