//! Members that applied the same entry hold the same state, in this life and in every later one.

use super::moment;
use crate::world::World;
use std::collections::BTreeMap;

pub(super) fn check(world: &World) -> Vec<String> {
    let mut wrong: Vec<String> = world
        .oracle()
        .disagreements()
        .iter()
        .map(|one| {
            format!(
                "at {} conductor {} applied as entry {} something else than conductor {} had applied",
                moment(one.at),
                one.other,
                one.index,
                one.first
            )
        })
        .collect();
    let conductors = world.conductors();
    let mut by_index = BTreeMap::new();
    for (host, conductor) in &conductors {
        let index = *conductor.cluster.applied().borrow();
        let (first, state) = by_index
            .entry(index)
            .or_insert_with(|| (*host, conductor.state.clone()));
        if host != first && *state.read() != *conductor.state.read() {
            wrong.push(format!(
                "conductors {first} and {host} have both applied up to entry {index} and hold different states"
            ));
        }
    }
    wrong
}
