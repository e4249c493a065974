//! Node history: rows made by the entries that changed the node.

use super::{Kind, Object, made_id};
use crate::ids::WallMs;
use crate::json::Json;
use crate::node::power::show;
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use serde_json::{Value, json};

/// Most rows kept per node; the oldest go first. A row takes some 500 bytes of memory at every member, so a full history
/// is 32 KiB, and a fleet of 100,000 nodes that all have one stays near 3 GiB. Ironic keeps 300 in its database.
pub const ROWS_MAX: usize = 64;

/// What a change of a record leaves in its history, if anything: every new error, every automatic maintenance and its end
/// (Ironic tells nobody of either, D16), and every arrival at the end of work.
pub(crate) fn rows(
    old: &NodeRecord,
    new: &NodeRecord,
    host: &str,
    at: WallMs,
    serial: u64,
) -> Vec<Object> {
    let mut rows = Vec::new();
    if let Some(error) = &new.last_error
        && old.last_error != new.last_error
    {
        rows.push(row(old, new, host, at, serial, "ERROR", error));
    } else if let (None, Some(_), Some(reason)) = (old.fault, new.fault, &new.maintenance_reason) {
        rows.push(row(old, new, host, at, serial, "ERROR", reason));
    }
    if let (Some(fault), None, false) = (old.fault, new.fault, new.maintenance) {
        let event = format!(
            "Node {} is recovered from {} with actual power state '{}'.",
            new.id,
            fault.as_str(),
            show(new.power_state)
        );
        let serial = serial.saturating_add(2);
        rows.push(row(old, new, host, at, serial, "INFO", &event));
    }
    let (from, to) = (old.provision_state, new.provision_state);
    if from != to && (to.is_stable() || to.is_failed()) {
        let event = format!("Node moved from provision state \"{from}\" to \"{to}\".");
        let serial = serial.saturating_add(1);
        rows.push(row(old, new, host, at, serial, "INFO", &event));
    }
    rows
}

fn row(
    old: &NodeRecord,
    new: &NodeRecord,
    host: &str,
    at: WallMs,
    serial: u64,
    severity: &str,
    event: &str,
) -> Object {
    let mut row = Object::new(Kind::History, made_id(new.id, serial), at);
    row.serial = serial;
    row.node = Some(new.id);
    let since = old.provision_updated_at.unwrap_or(old.created_at);
    let body = json!({
        "severity": severity,
        "event": event,
        "event_type": if old.fault == new.fault {
            event_type(old.provision_state)
        } else {
            "monitoring"
        },
        "conductor": host,
        "state": new.provision_state.as_str(),
        "target_provision_state": new.target_provision_state.map(ProvisionState::as_str),
        "duration_seconds": at.0.saturating_sub(since.0) / 1000,
    });
    if let Value::Object(body) = body {
        row.body = Json::from_map(&body);
    }
    row
}

/// Ironic's word for what was going on (`conductor.md` §22).
const fn event_type(state: ProvisionState) -> &'static str {
    match state {
        ProvisionState::Verifying | ProvisionState::Enroll => "verify",
        ProvisionState::Cleaning
        | ProvisionState::CleanWait
        | ProvisionState::CleanHold
        | ProvisionState::CleanFailed => "cleaning",
        ProvisionState::Deploying
        | ProvisionState::WaitCallBack
        | ProvisionState::DeployHold
        | ProvisionState::DeployFailed => "deploying",
        ProvisionState::Deleting | ProvisionState::Error => "unprovision",
        ProvisionState::Inspecting
        | ProvisionState::InspectWait
        | ProvisionState::InspectFailed => "introspection",
        ProvisionState::Adopting | ProvisionState::AdoptFailed => "adoption",
        ProvisionState::Rescuing
        | ProvisionState::RescueWait
        | ProvisionState::RescueFailed
        | ProvisionState::Rescue
        | ProvisionState::Unrescuing
        | ProvisionState::UnrescueFailed => "rescue",
        ProvisionState::Servicing
        | ProvisionState::ServiceWait
        | ProvisionState::ServiceHold
        | ProvisionState::ServiceFailed => "servicing",
        ProvisionState::Manageable | ProvisionState::Available | ProvisionState::Active => {
            "monitoring"
        }
    }
}
