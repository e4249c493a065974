//! Which steps a node has: those that the conductor carries out by itself, and those of the fake interfaces.
//!
//! Everything else needs the deploy agent or a vendor's interface, whose seat is here.

use super::{Flow, Kind};
use crate::hardware::fake;
use crate::node::power::PowerRequest;
use crate::node::record::NodeRecord;
use serde_json::Value;

/// A step of an interface.
pub(super) struct Known {
    pub(super) interface: &'static str,
    pub(super) step: &'static str,
    pub(super) flows: &'static [Flow],
    /// In automated cleaning and in deployment; 0: only when asked for.
    pub(super) priority: u64,
    pub(super) abortable: bool,
    pub(super) asynchronous: bool,
}

const fn known(
    interface: &'static str,
    step: &'static str,
    flows: &'static [Flow],
    priority: u64,
) -> Known {
    Known {
        interface,
        step,
        flows,
        priority,
        abortable: true,
        asynchronous: false,
    }
}

const MANUAL: &[Flow] = &[Flow::Clean, Flow::Deploy, Flow::Service];

/// Steps of the fake interfaces (api-nodes.md §20).
pub(super) const FAKE: &[Known] = &[
    known("deploy", "deploy", &[Flow::Deploy], 100),
    known("vendor", "log_passthrough", &[Flow::Clean], 1),
    known("bios", "apply_configuration", MANUAL, 0),
    known("bios", "factory_reset", MANUAL, 0),
    known("bios", "cache_bios_settings", MANUAL, 0),
    known("firmware", "update", &[Flow::Clean, Flow::Service], 0),
    known("raid", "create_configuration", MANUAL, 0),
    known("raid", "delete_configuration", MANUAL, 0),
    Known {
        asynchronous: true,
        ..known("vendor", "trigger_servicewait", &[Flow::Service], 0)
    },
];

/// The name of the node's interface of this kind.
pub(super) fn interface_of<'a>(node: &'a NodeRecord, kind: &str) -> &'a str {
    let interfaces = &node.interfaces;
    match kind {
        "bios" => &interfaces.bios,
        "deploy" => &interfaces.deploy,
        "firmware" => &interfaces.firmware,
        "management" => &interfaces.management,
        "power" => &interfaces.power,
        "raid" => &interfaces.raid,
        "vendor" => &interfaces.vendor,
        _ => "",
    }
}

/// A step as it is stored: an object with `interface` and `step`.
pub(super) fn word<'a>(step: &'a Value, key: &str) -> &'a str {
    step.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// How messages name a step.
pub(crate) fn name(step: &Value) -> String {
    let (interface, step) = (word(step, "interface"), word(step, "step"));
    if interface.is_empty() {
        step.to_owned()
    } else {
        format!("{interface}.{step}")
    }
}

/// What a step of this node does; `None` if the node has no such step.
pub(crate) fn kind(node: &NodeRecord, flow: Flow, step: &Value) -> Option<Kind> {
    let (interface, name) = (word(step, "interface"), word(step, "step"));
    let reserved = match name {
        "power_on" => Some(Kind::Power(PowerRequest::On)),
        "power_off" => Some(Kind::Power(PowerRequest::Off)),
        "reboot" => Some(Kind::Power(PowerRequest::Reboot)),
        "hold" => Some(Kind::Hold),
        "wait" => {
            let seconds = step
                .get("args")
                .and_then(|args| args.get("seconds"))
                .and_then(Value::as_u64)
                .and_then(|seconds| u32::try_from(seconds).ok());
            Some(Kind::Wait(seconds.unwrap_or(0)))
        }
        _ => None,
    };
    if reserved.is_some() {
        return reserved;
    }
    if interface_of(node, interface) != "fake" {
        return None;
    }
    FAKE.iter()
        .find(|known| {
            known.interface == interface && known.step == name && known.flows.contains(&flow)
        })
        .map(|known| {
            if known.asynchronous {
                Kind::Asynchronous
            } else {
                Kind::Instant
            }
        })
}

/// Why the fake interface that is to do this step fails at it, if it was told to.
pub(crate) fn fake_failure(node: &NodeRecord, step: &Value) -> Option<String> {
    let interface = match kind(node, Flow::Service, step) {
        Some(Kind::Power(_)) => return fake::failure(node, &node.interfaces.power, "power"),
        Some(Kind::Hold | Kind::Wait(_)) => return None,
        Some(Kind::Instant | Kind::Asynchronous) | None => word(step, "interface"),
    };
    fake::failure(node, interface_of(node, interface), &name(step))
}

/// Whether a user may abort while the step waits.
pub(super) fn is_abortable(step: &Value) -> bool {
    let (interface, name) = (word(step, "interface"), word(step, "step"));
    FAKE.iter()
        .find(|known| known.interface == interface && known.step == name)
        .is_none_or(|known| known.abortable)
}
