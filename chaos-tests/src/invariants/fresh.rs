//! Once everything has healed, the owner of every node reads its machine at its interval again.

use super::short;
use crate::settings::SYNC_INTERVAL;
use crate::world::World;
use std::time::Duration;

/// Two intervals: one may have begun right before the run ended, and a read may be repeated.
const READ_WITHIN: Duration = SYNC_INTERVAL.saturating_mul(2);

pub(super) fn check(world: &World) -> Vec<String> {
    let conductors = world.conductors();
    let mut wrong = Vec::new();
    for (node, address) in world.workload.nodes() {
        let owner = conductors.iter().find(|(_, conductor)| {
            let state = conductor.state.read();
            let owner = state.node(*node).and_then(|record| state.owner(record));
            owner == Some(conductor.cluster.conductor())
        });
        let Some((owner, _)) = owner else {
            continue;
        };
        let read = world
            .farm()
            .look(address, |machine| machine.read_by(*owner));
        let age = read.flatten();
        let age = age.map(|at| Duration::from_millis(world.now().saturating_sub(at)));
        if age.is_none_or(|age| age > READ_WITHIN) {
            wrong.push(format!(
                "node {} was read by its owner, conductor {owner}, {}",
                short(*node),
                age.map_or_else(|| "never".to_owned(), |age| format!("{age:?} ago"))
            ));
        }
    }
    wrong
}
