//! No power edge that nobody asked for: every command belongs to an open intent of whoever sent it, and every intent to a
//! request of a client, or to the recorded state that a machine had left.

use super::{moment, short};
use crate::farm::Received;
use crate::oracle::Version;
use crate::workload::{Ask, Call, request_id};
use crate::world::World;
use baton_model::ids::{NodeId, RequestId};
use baton_model::node::intent::{Intent, IntentKind};
use baton_model::port::bmc::PowerAction;
use std::collections::BTreeMap;

pub(super) fn check(world: &World) -> Vec<String> {
    let calls: BTreeMap<RequestId, Call> = world
        .workload
        .history()
        .all()
        .into_iter()
        .map(|(number, call)| (request_id(number), call))
        .collect();
    let history = world.oracle().nodes();
    let mut wrong = Vec::new();
    for (node, versions) in &history {
        wrong.extend(unfounded_intents(*node, versions, &calls));
    }
    for machine in world.farm().machines() {
        let versions = history
            .get(&machine.node)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let unfounded = machine
            .ledger
            .iter()
            .filter(|command| !is_covered(world, versions, command));
        wrong.extend(unfounded.map(|command| {
            format!(
                "machine {} was told `{}` at {} by conductor {} under epoch {:?}, without an open intent for it",
                short(machine.node),
                command.action,
                moment(command.arrived),
                command.from.host,
                command.epoch
            )
        }));
    }
    wrong
}

fn intent_of(version: &Version) -> Option<&Intent> {
    version.record.as_ref()?.intent.as_ref()
}

/// Intents that were opened without a request of that kind, or to force what was not the recorded state.
fn unfounded_intents(
    node: NodeId,
    versions: &[Version],
    calls: &BTreeMap<RequestId, Call>,
) -> Vec<String> {
    let before = std::iter::once(None).chain(versions.iter().map(Some));
    let mut wrong = Vec::new();
    for (before, version) in before.zip(versions) {
        let Some(intent) = intent_of(version) else {
            continue;
        };
        let known = before.and_then(intent_of).map(|intent| intent.id);
        if known == Some(intent.id) {
            continue;
        }
        let founded = match (&intent.request, &intent.kind) {
            (Some(id), kind) => calls
                .get(id)
                .is_some_and(|call| call.node == node && asks_for(&call.ask, kind)),
            (None, IntentKind::Power { request, .. }) => before
                .and_then(|before| before.record.as_ref()?.power_state)
                .is_some_and(|recorded| recorded == request.target()),
            (None, _) => false,
        };
        if !founded {
            wrong.push(format!(
                "entry {} opened an intent of node {} at {} that nobody asked for: {:?} for {:?}",
                version.index,
                short(node),
                moment(version.at),
                intent.kind,
                intent.request
            ));
        }
    }
    wrong
}

fn asks_for(ask: &Ask, kind: &IntentKind) -> bool {
    match (ask, kind) {
        (Ask::Power(asked), IntentKind::Power { request, .. }) => asked == request,
        (Ask::Manage, IntentKind::Provision { .. }) => true,
        _ => false,
    }
}

/// Whether an intent of the sender under its tenure was open when the command left, and has such a command in it.
fn is_covered(world: &World, versions: &[Version], command: &Received) -> bool {
    let last = versions
        .iter()
        .rposition(|version| version.at < command.sent);
    // Within one millisecond the order is not known, so every state in it counts.
    let at_that_time = versions
        .iter()
        .enumerate()
        .filter(|(number, version)| Some(*number) == last || version.at == command.sent);
    at_that_time.filter_map(|(_, version)| intent_of(version)).any(|intent| {
        world.oracle().host_of(intent.holder) == Some(command.from.host)
            && Some(intent.epoch) == command.epoch
            && matches!(&intent.kind, IntentKind::Power { request, .. } if does(*request, command.action))
    })
}

fn does(request: baton_model::node::power::PowerRequest, action: PowerAction) -> bool {
    use baton_model::node::power::PowerRequest;
    match request {
        PowerRequest::On => action == PowerAction::On,
        PowerRequest::Off => action == PowerAction::Off,
        PowerRequest::Reboot => matches!(
            action,
            PowerAction::Off | PowerAction::On | PowerAction::Reset | PowerAction::Cycle
        ),
        PowerRequest::SoftOff | PowerRequest::SoftReboot => true,
    }
}
