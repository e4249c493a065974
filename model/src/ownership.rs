//! Who owns a node: a pure function of replicated data.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1998) over the conductors that are up and serve the node's group: when a
//! conductor goes, only its nodes move, evenly to all others; when one comes, it takes only its share. A pin wins while
//! its conductor is up.
//!
//! Racks need no weights: each conductor has the same share wherever it stands, so a rack's share is that of its
//! conductors, and when all of them go at once, each of their nodes goes to its next best conductor, evenly spread over those
//! that are left in the other racks. A share per rack would load the only conductor of a rack with more than the others.

use crate::ids::{ConductorId, NodeId};
use crate::node::record::NodeRecord;
use crate::state::{ConductorRecord, ConductorStatus};
use std::collections::BTreeMap;

/// All conductors, by id.
pub type Conductors = BTreeMap<ConductorId, ConductorRecord>;

/// Why a conductor owns a node; shown to operators.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OwnedBy {
    /// An operator pinned the node to it.
    Pin,
    /// It has the highest rendezvous weight of the candidates.
    Hash,
}

/// The owner of a node and why; `None` when no conductor that is up serves its group.
#[must_use]
pub fn owner_of(conductors: &Conductors, node: &NodeRecord) -> Option<(ConductorId, OwnedBy)> {
    let serves = |record: &ConductorRecord| {
        record.status == ConductorStatus::Up && record.group == node.conductor_group
    };
    if let Some(host) = &node.pin {
        // At most one conductor of a name is up.
        let pinned = conductors
            .iter()
            .find(|(_, record)| record.host == *host && serves(record));
        if let Some((id, _)) = pinned {
            return Some((*id, OwnedBy::Pin));
        }
    }
    conductors
        .iter()
        .filter(|(_, record)| serves(record))
        .map(|(id, _)| *id)
        .max_by_key(|id| (weight(node.id, *id), *id))
        .map(|id| (id, OwnedBy::Hash))
}

/// The rendezvous weight of a conductor for a node: the finaliser of splitmix64 over uuid and conductor id, which is
/// full-avalanche (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[must_use]
pub fn weight(node: NodeId, conductor: ConductorId) -> u64 {
    let (high, low) = node.0.as_u64_pair();
    mix(mix(high ^ conductor.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)) ^ low)
}

const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Incarnation, WallMs};
    use uuid::Uuid;

    fn conductors(ids: &[u64]) -> Conductors {
        ids.iter()
            .map(|id| {
                let record = ConductorRecord {
                    incarnation: Incarnation(1),
                    status: ConductorStatus::Up,
                    host: format!("host-{id}").into(),
                    group: "".into(),
                    rack: "".into(),
                    drivers: Vec::new(),
                    created_at: WallMs(0),
                    updated_at: WallMs(0),
                };
                (ConductorId(*id), record)
            })
            .collect()
    }

    fn node(n: u64) -> NodeRecord {
        let id = NodeId(Uuid::from_u64_pair(mix(n), mix(!n)));
        NodeRecord::new(id, "fake-hardware".into(), WallMs(0))
    }

    #[test]
    fn shares_are_even_and_only_the_lost_share_moves() {
        let three = conductors(&[1, 2, 3]);
        let two = conductors(&[1, 3]);
        let mut shares = BTreeMap::<ConductorId, u32>::new();
        for n in 0..9000 {
            let node = node(n);
            let (before, _) = owner_of(&three, &node).expect("three conductors are up");
            let (after, _) = owner_of(&two, &node).expect("two conductors are up");
            *shares.entry(before).or_default() += 1;
            if before != ConductorId(2) {
                assert_eq!(before, after, "a node moved although its owner stayed");
            }
        }
        for (conductor, share) in shares {
            assert!(
                (2800..3200).contains(&share),
                "{conductor} owns {share} of 9000"
            );
        }
    }

    #[test]
    fn a_lost_rack_spreads_evenly_and_a_new_conductor_takes_only_its_share() {
        // Two racks of two and one of one; rack A is 1 and 2.
        let all = conductors(&[1, 2, 3, 4, 5]);
        let without_a = conductors(&[3, 4, 5]);
        let with_new = conductors(&[1, 2, 3, 4, 5, 6]);
        let owner = |conductors: &Conductors, node: &NodeRecord| {
            owner_of(conductors, node).expect("some are up").0
        };
        let (mut spread, mut taken) = (BTreeMap::<ConductorId, u32>::new(), 0);
        for n in 0..15_000 {
            let node = node(n);
            let before = owner(&all, &node);
            let after = owner(&without_a, &node);
            if before.0 <= 2 {
                *spread.entry(after).or_default() += 1;
            } else {
                assert_eq!(before, after, "a node of another rack moved");
            }
            let joined = owner(&with_new, &node);
            assert!(joined == before || joined == ConductorId(6));
            taken += u32::from(joined != before);
        }
        assert_eq!(spread.len(), 3);
        for (conductor, share) in spread {
            // 6000 nodes over three, give or take five standard deviations.
            assert!((1817..2183).contains(&share), "{conductor} got {share}");
        }
        assert!((2270..2730).contains(&taken), "the new one took {taken}");
    }

    #[test]
    fn a_pin_wins_while_its_conductor_is_up() {
        let mut all = conductors(&[1, 2, 3]);
        let mut node = node(7);
        for pin in [1, 2, 3] {
            node.pin = Some(format!("host-{pin}").into());
            let owner = Some((ConductorId(pin), OwnedBy::Pin));
            assert_eq!(owner_of(&all, &node), owner);
        }
        if let Some(record) = all.get_mut(&ConductorId(3)) {
            record.status = ConductorStatus::Down;
        }
        assert_ne!(
            owner_of(&all, &node).map(|(owner, _)| owner),
            Some(ConductorId(3))
        );
        // Its disk was lost, and it came back as another member: the pin is for the name.
        let reborn = ConductorRecord {
            status: ConductorStatus::Up,
            ..all[&ConductorId(3)].clone()
        };
        all.insert(ConductorId(9), reborn);
        let owner = Some((ConductorId(9), OwnedBy::Pin));
        assert_eq!(owner_of(&all, &node), owner);
    }
}
