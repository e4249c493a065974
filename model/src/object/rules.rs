//! What objects may be and when they may change, with Ironic's statuses and texts (api-resources.md §1 to §10).

use super::{BODY_BYTES_MAX, Key, Kind, Object, PER_NODE_MAX};
use crate::command::Refusal;
use crate::ids::NodeId;
use crate::node::edit::Refused;
use crate::node::power::PowerState;
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use crate::state::ClusterState;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

fn rule(status: u16, text: String) -> Refusal {
    Refusal::Rule(Refused::new(status, text))
}

/// Whether a new object may enter the state.
pub(crate) fn check_create(state: &ClusterState, object: &Object) -> Result<(), Refusal> {
    if state.objects().get(object.kind, object.id).is_some() {
        let text = format!("{} with UUID {} already exists.", a(object.kind), object.id);
        return Err(rule(409, text));
    }
    if let Some(node) = object.node {
        let count = state
            .objects()
            .of_node(node, object.kind, None)
            .take(PER_NODE_MAX)
            .count();
        if count >= PER_NODE_MAX {
            let text = format!(
                "Node {node} has {PER_NODE_MAX} objects of the kind {} already, which is the most.",
                object.kind
            );
            return Err(rule(400, text));
        }
    }
    check_common(state, object)?;
    if let Some(node) = owner(state, object)? {
        check_lock(state, node)?;
        if object.kind == Kind::Port {
            let body = object.body.to_map();
            let joins = body.get("portgroup_uuid").is_some_and(|id| !id.is_null());
            if joins {
                check_connectivity(node, object)?;
            }
        }
    }
    Ok(())
}

/// Whether `old` may become `new`.
pub(crate) fn check_replace(
    state: &ClusterState,
    old: &Object,
    new: &Object,
) -> Result<(), Refusal> {
    check_common(state, new)?;
    for object in [old, new] {
        let Some(node) = owner(state, object)? else {
            continue;
        };
        if old.kind != Kind::Allocation {
            check_lock(state, node)?;
        }
        match old.kind {
            Kind::Port => check_port_edit(node, old, new)?,
            Kind::Portgroup => check_group_edit(state, old, new)?,
            Kind::VolumeConnector | Kind::VolumeTarget => check_powered_off(node, old.kind)?,
            Kind::Chassis
            | Kind::Allocation
            | Kind::DeployTemplate
            | Kind::Runbook
            | Kind::InspectionRule
            | Kind::History
            | Kind::Inventory
            | Kind::Bios
            | Kind::Firmware => {}
        }
    }
    Ok(())
}

/// Whether an object may go.
pub(crate) fn check_delete(state: &ClusterState, object: &Object) -> Result<(), Refusal> {
    if object.kind == Kind::Chassis {
        let used = state
            .nodes()
            .any(|node| node.chassis_uuid == Some(object.id));
        if used {
            let text = format!(
                "Cannot complete the requested action because chassis {} contains nodes.",
                object.id
            );
            return Err(rule(400, text));
        }
    }
    let Some(node) = owner(state, object)? else {
        return Ok(());
    };
    match object.kind {
        Kind::Portgroup => {
            let members = members(state, node.id, object.id).next().is_some();
            if members {
                let text = format!(
                    "Cannot complete the requested action because portgroup {} contains ports.",
                    object.id
                );
                return Err(rule(400, text));
            }
        }
        Kind::VolumeConnector | Kind::VolumeTarget => check_powered_off(node, object.kind)?,
        Kind::Allocation => return check_release(node, object.id),
        Kind::Port
        | Kind::Chassis
        | Kind::DeployTemplate
        | Kind::Runbook
        | Kind::InspectionRule
        | Kind::History
        | Kind::Inventory
        | Kind::Bios
        | Kind::Firmware => {}
    }
    check_lock(state, node)
}

/// Whether an allocation may let go of its node (Ironic `api/controllers/v1/allocation.py`, `delete`).
pub(crate) fn check_release(node: &NodeRecord, allocation: Uuid) -> Result<(), Refusal> {
    let settled = node.target_provision_state.is_none()
        || node.provision_state.allows_edit_in_transition()
        || node.maintenance;
    if (node.provision_state == ProvisionState::Active && !node.maintenance) || !settled {
        let text = format!(
            "Cannot delete allocation {allocation}: its node {} is in state \"{}\"; undeploy it first or set it into \
             maintenance mode.",
            node.id, node.provision_state
        );
        return Err(rule(409, text));
    }
    Ok(())
}

fn check_common(state: &ClusterState, object: &Object) -> Result<(), Refusal> {
    let bytes = object.body.as_str().len();
    if bytes > BODY_BYTES_MAX {
        let text = format!(
            "{} {} has {bytes} bytes; at most {BODY_BYTES_MAX} are kept.",
            object.kind, object.id
        );
        return Err(rule(400, text));
    }
    for key in object.keys() {
        let taken = state
            .objects()
            .holder(object.kind, &key)
            .is_some_and(|other| other.id != object.id);
        if taken {
            return Err(rule(409, duplicate(object.kind, &key)));
        }
    }
    if object.kind == Kind::Port {
        check_group_of(state, object)?;
    }
    Ok(())
}

/// A noun with its article.
fn a(kind: Kind) -> String {
    let article = if matches!(kind, Kind::Allocation | Kind::InspectionRule) {
        "An"
    } else {
        "A"
    };
    format!("{article} {}", kind.noun().to_lowercase())
}

fn duplicate(kind: Kind, key: &Key) -> String {
    let a = a(kind);
    match key {
        Key::Name(name) => format!("{a} with name {name} already exists."),
        Key::Address(address) => format!("{a} with MAC address {address} already exists."),
        Key::Connector(kind, id) => {
            format!("{a} with type {kind} connector ID {id} already exists.")
        }
        Key::BootIndex(_, index) => {
            format!("{a} with boot index '{index}' for the same node already exists.")
        }
    }
}

/// The node of an object, which has to exist.
fn owner<'a>(
    state: &'a ClusterState,
    object: &Object,
) -> Result<Option<&'a Arc<NodeRecord>>, Refusal> {
    object
        .node
        .map(|node| {
            state
                .node(node)
                .ok_or_else(|| rule(400, format!("Node {node} could not be found.")))
        })
        .transpose()
}

fn check_lock(state: &ClusterState, node: &NodeRecord) -> Result<(), Refusal> {
    match &node.intent {
        Some(intent) => Err(Refusal::Locked {
            host: state.host_of(intent.holder),
        }),
        None => Ok(()),
    }
}

fn check_powered_off(node: &NodeRecord, kind: Kind) -> Result<(), Refusal> {
    if node.power_state == Some(PowerState::Off) {
        return Ok(());
    }
    let text = format!(
        "Node {} must be powered off before its {} can be changed or deleted.",
        node.id,
        kind.noun().to_lowercase()
    );
    Err(rule(400, text))
}

/// Fields of a port that decide how it is wired.
const CONNECTIVITY: [&str; 4] = [
    "portgroup_uuid",
    "pxe_enabled",
    "local_link_connection",
    "physical_network",
];

fn check_connectivity(node: &NodeRecord, port: &Object) -> Result<(), Refusal> {
    let allowed = matches!(
        node.provision_state,
        ProvisionState::Enroll
            | ProvisionState::Inspecting
            | ProvisionState::InspectWait
            | ProvisionState::Manageable
    );
    if allowed || node.maintenance {
        return Ok(());
    }
    let text = format!(
        "Port {} can not have any connectivity attributes ({}) updated unless node {} is in a enroll, inspecting, inspect \
         wait, manageable state or in maintenance mode.",
        port.id,
        CONNECTIVITY.join(", "),
        node.id
    );
    Err(rule(409, text))
}

fn check_port_edit(node: &NodeRecord, old: &Object, new: &Object) -> Result<(), Refusal> {
    let (before, after) = (old.body.to_map(), new.body.to_map());
    let differs = |key: &str| before.get(key) != after.get(key);
    if CONNECTIVITY.into_iter().any(differs) {
        check_connectivity(node, old)?;
    }
    let in_use = node.instance_uuid.is_some() || node.provision_state == ProvisionState::Active;
    if differs("address") && in_use && !node.maintenance {
        let text = format!(
            "Cannot update the MAC address of port {}: node {} is active or has an instance and is not in maintenance \
             mode.",
            old.id, node.id
        );
        return Err(rule(409, text));
    }
    Ok(())
}

fn text<'a>(body: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    body.get(key).and_then(Value::as_str)
}

/// The ports of a node that belong to a group.
fn members(
    state: &ClusterState,
    node: NodeId,
    group: Uuid,
) -> impl Iterator<Item = (&Arc<Object>, Map<String, Value>)> {
    let group = group.to_string();
    state
        .objects()
        .of_node(node, Kind::Port, None)
        .map(|port| (port, port.body.to_map()))
        .filter(move |(_, body)| text(body, "portgroup_uuid") == Some(&group))
}

/// The group of a port exists, is on the same node and agrees about the physical network.
fn check_group_of(state: &ClusterState, port: &Object) -> Result<(), Refusal> {
    let body = port.body.to_map();
    let Some(wanted) = text(&body, "portgroup_uuid") else {
        return Ok(());
    };
    let missing = || rule(400, format!("Portgroup {wanted} could not be found."));
    let id = Uuid::try_parse(wanted).map_err(|_| missing())?;
    let group = state
        .objects()
        .get(Kind::Portgroup, id)
        .ok_or_else(missing)?;
    if group.node != port.node {
        let text = format!(
            "Port {} can not join portgroup {id}: they belong to different nodes.",
            port.id
        );
        return Err(rule(400, text));
    }
    let Some(node) = port.node else { return Ok(()) };
    let network = text(&body, "physical_network");
    let differs = members(state, node, id)
        .any(|(other, body)| other.id != port.id && text(&body, "physical_network") != network);
    if differs {
        let text = format!(
            "Port {} has another physical network than the other ports of portgroup {id}.",
            port.id
        );
        return Err(rule(409, text));
    }
    if group.body.to_map().get("standalone_ports_supported") == Some(&Value::Bool(false))
        && body.get("pxe_enabled") == Some(&Value::Bool(true))
        && text(&body, "portgroup_uuid").is_some()
        && state
            .objects()
            .get(Kind::Port, port.id)
            .is_some_and(|old| text(&old.body.to_map(), "portgroup_uuid") != Some(wanted))
    {
        let text = format!(
            "Port {} has pxe_enabled, which portgroup {id} does not allow: it has no standalone ports.",
            port.id
        );
        return Err(rule(409, text));
    }
    Ok(())
}

fn check_group_edit(state: &ClusterState, old: &Object, new: &Object) -> Result<(), Refusal> {
    let now_alone = |object: &Object| {
        object.body.to_map().get("standalone_ports_supported") == Some(&Value::Bool(false))
    };
    let Some(node) = old.node else { return Ok(()) };
    if now_alone(new) && !now_alone(old) {
        let pxe = members(state, node, old.id)
            .any(|(_, body)| body.get("pxe_enabled") == Some(&Value::Bool(true)));
        if pxe {
            let text = format!(
                "Portgroup {} can not refuse standalone ports while ports of it have pxe_enabled.",
                old.id
            );
            return Err(rule(409, text));
        }
    }
    Ok(())
}
