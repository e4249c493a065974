//! No acknowledged write is lost: it is in the history of what was committed, no later state is without it or one that
//! came after it, and every read that began after its answer sees it.

use super::{moment, short};
use crate::workload::{Ask, Call, Told};
use crate::world::World;
use baton_model::ids::NodeId;
use std::collections::BTreeMap;

pub(super) fn check(world: &World) -> Vec<String> {
    let calls = world.workload.history().all();
    let written = written(world);
    let mut wrong = Vec::new();
    for (number, call) in &calls {
        match (&call.ask, &call.told) {
            (Ask::Write(text), Some((_, Told::Done(Some(index))))) => {
                let committed = written.get(&(call.node, text.clone()));
                if committed != Some(index) {
                    wrong.push(format!(
                        "request {number}, write {text} to node {}, was answered at {} as done by entry {index}, but \
                         the history has it {}",
                        short(call.node),
                        moment(answered(call)),
                        committed.map_or_else(
                            || "nowhere".to_owned(),
                            |other| format!("in entry {other}")
                        )
                    ));
                }
            }
            (Ask::Read, Some((_, Told::Value(value)))) => {
                let newest = newest_before(&calls, call.node, call.from);
                let seen = value
                    .as_ref()
                    .and_then(|text| written.get(&(call.node, text.clone())).copied());
                if seen < newest {
                    wrong.push(format!(
                        "request {number}, a read of node {} sent at {} to conductor {}, returned {}, older than what \
                         entry {} had written and a client been told before",
                        short(call.node),
                        moment(call.from),
                        call.host,
                        value.as_deref().unwrap_or("nothing"),
                        newest.unwrap_or_default()
                    ));
                }
            }
            _ => {}
        }
    }
    for (host, conductor) in world.conductors() {
        for (node, _) in world.workload.nodes() {
            let newest = newest_before(&calls, *node, u64::MAX);
            let state = conductor.state.read();
            let held = state
                .node(*node)
                .and_then(|record| record.description.as_deref())
                .and_then(|text| written.get(&(*node, text.to_owned())).copied());
            if held < newest {
                wrong.push(format!(
                    "in the end conductor {host} does not hold what entry {} wrote to node {} and a client was told \
                     is done",
                    newest.unwrap_or_default(),
                    short(*node)
                ));
            }
        }
    }
    wrong
}

const fn answered(call: &Call) -> u64 {
    match &call.told {
        Some((at, _)) => *at,
        None => u64::MAX,
    }
}

/// The entry in which each text was written. Every text is written once.
fn written(world: &World) -> BTreeMap<(NodeId, String), u64> {
    let mut written = BTreeMap::new();
    for (node, versions) in world.oracle().nodes() {
        for version in versions {
            let text = version
                .record
                .as_ref()
                .and_then(|record| record.description.as_deref());
            if let Some(text) = text {
                written
                    .entry((node, text.to_owned()))
                    .or_insert(version.index);
            }
        }
    }
    written
}

/// The newest write to `node` that a client was told of before `before`.
fn newest_before(calls: &BTreeMap<u64, Call>, node: NodeId, before: u64) -> Option<u64> {
    calls
        .values()
        .filter(|call| call.node == node && matches!(call.ask, Ask::Write(_)))
        .filter_map(|call| match &call.told {
            Some((at, Told::Done(index))) if *at < before => *index,
            _ => None,
        })
        .max()
}
