//! Once nothing goes wrong any more, everything heals: every conductor is alive, every node is owned, has its actor and no
//! open intent, and its machine is in the recorded state.

use super::short;
use crate::world::World;
use baton_model::command::Session;
use baton_model::node::power::PowerState;

pub(super) fn check(world: &World) -> Vec<String> {
    unhealed(world)
}

/// What has not healed yet.
#[must_use]
pub fn unhealed(world: &World) -> Vec<String> {
    let conductors = world.conductors();
    let mut wrong = Vec::new();
    for host in world.hosts() {
        if !conductors.contains_key(&host) {
            wrong.push(format!("conductor {host} does not run"));
        }
    }
    if let Some(conductor) = conductors.values().next() {
        let state = conductor.state.read();
        if state.outbox_len() > 0 {
            wrong.push(format!("{} events wait", state.outbox_len()));
        }
        if !state.drained().is_empty() {
            wrong.push(format!("drained: {:?}", state.drained()));
        }
    }
    if world.leader().is_none() {
        wrong.push("nobody leads".to_owned());
    }
    let indexes: Vec<u64> = conductors
        .values()
        .map(|conductor| *conductor.cluster.applied().borrow())
        .collect();
    if indexes.iter().min() != indexes.iter().max() {
        wrong.push(format!(
            "the members have applied up to different entries: {indexes:?}"
        ));
    }
    for (host, conductor) in &conductors {
        let state = conductor.state.read();
        let session: Session = conductor.lease.session();
        if !state.is_live(session) {
            wrong.push(format!("the session of conductor {host} is over"));
        }
        for (node, address) in world.workload.nodes() {
            let name = short(*node);
            let Some(record) = state.node(*node) else {
                wrong.push(format!("conductor {host} does not know node {name}"));
                continue;
            };
            match state.owner(record) {
                None => wrong.push(format!("nobody owns node {name}, says conductor {host}")),
                Some(owner) if owner == conductor.cluster.conductor() => {
                    if !conductor.gateway.has_actor(*node) {
                        wrong.push(format!("node {name} has no actor at conductor {host}"));
                    }
                    if let Some(intent) = &record.intent {
                        wrong.push(format!(
                            "node {name} has an open intent: {}",
                            intent.kind.purpose()
                        ));
                    }
                    if let Some(fault) = record.fault {
                        wrong.push(format!("node {name} is in fault: {}", fault.as_str()));
                    }
                    let power = world.farm().look(address, |machine| {
                        let state = if machine.is_on() {
                            PowerState::On
                        } else {
                            PowerState::Off
                        };
                        (!machine.is_changing()).then_some(state)
                    });
                    if record.power_state != power.flatten() {
                        wrong.push(format!(
                            "node {name} is recorded as {} and its machine is {power:?}",
                            baton_model::node::power::show(record.power_state)
                        ));
                    }
                }
                Some(_) => {}
            }
        }
    }
    wrong
}
