//! How often in a row the power sync of each node has failed, kept beside the records.
//!
//! While a rack is silent, each of its nodes has another count in each interval. In the record that would be a kilobyte to
//! replicate the change of, to hand to every listener and to write; here it is an entry of a small table, of which some
//! hundred counts are stored together.

use crate::ids::NodeId;
use std::collections::BTreeMap;

/// The counts that are not 0, in groups that are stored as one record each. There are 256 groups: with a tenth of 100,000
/// nodes failing, one is a kilobyte.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct SyncFailures(BTreeMap<u8, Counts>);

/// The counts of one group.
pub type Counts = BTreeMap<NodeId, u32>;

impl SyncFailures {
    /// The group of a node. All bytes of its uuid count, since some kinds of uuid begin alike.
    #[must_use]
    pub fn group_of(node: NodeId) -> u8 {
        node.0.as_bytes().iter().fold(0, |all, byte| all ^ byte)
    }

    /// The count of a node.
    #[must_use]
    pub fn of(&self, node: NodeId) -> u32 {
        self.group(Self::group_of(node))
            .and_then(|counts| counts.get(&node))
            .copied()
            .unwrap_or(0)
    }

    /// The counts of a group, if there are any.
    #[must_use]
    pub fn group(&self, group: u8) -> Option<&Counts> {
        self.0.get(&group)
    }

    /// The groups that have counts.
    pub fn groups(&self) -> impl Iterator<Item = (u8, &Counts)> {
        self.0.iter().map(|(group, counts)| (*group, counts))
    }

    /// Sets the count of a node; whether that changed it.
    pub(crate) fn set(&mut self, node: NodeId, count: u32) -> bool {
        let group = Self::group_of(node);
        let counts = self.0.entry(group).or_default();
        let before = if count == 0 {
            counts.remove(&node)
        } else {
            counts.insert(node, count)
        };
        if counts.is_empty() {
            self.0.remove(&group);
        }
        before.unwrap_or(0) != count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_count_is_there_until_it_is_nought() {
        let mut failures = SyncFailures::default();
        let [one, two] = [1, 2].map(|n| NodeId(Uuid::from_u128(n)));
        assert!(failures.set(one, 3));
        assert!(!failures.set(one, 3));
        assert!(failures.set(two, 1));
        assert_eq!((failures.of(one), failures.of(two)), (3, 1));
        assert!(failures.set(one, 0) && failures.set(two, 0) && !failures.set(two, 0));
        assert_eq!(failures, SyncFailures::default());
    }

    #[test]
    fn nodes_whose_uuids_begin_alike_are_spread_over_the_groups() {
        let fleet = (0..10_000).map(|n| NodeId(Uuid::from_u128(0x0190 << 112 | n)));
        let mut failures = SyncFailures::default();
        for node in fleet {
            failures.set(node, 1);
        }
        assert_eq!(failures.groups().count(), 256);
        assert!(failures.groups().all(|(_, counts)| counts.len() < 100));
    }
}
