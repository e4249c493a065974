//! Which steps a node has: those that the conductor carries out by itself, those of the fake interfaces, and those that a BMC
//! carries out without the deploy agent.
//!
//! Everything else needs the deploy agent or a vendor's interface, whose seat is here.

use super::{BiosChange, Flow, Kind};
use crate::command::NodeChange;
use crate::hardware;
use crate::json::Json;
use crate::node::bios;
use crate::node::power::PowerRequest;
use crate::node::record::NodeRecord;
use crate::object::Kind as ObjectKind;
use serde_json::Value;

/// A step of an interface.
pub(super) struct Known {
    pub(super) interface: &'static str,
    /// The implementation that has it.
    pub(super) of: &'static str,
    pub(super) step: &'static str,
    pub(super) flows: &'static [Flow],
    /// In automated cleaning and in deployment; 0: only when asked for.
    pub(super) priority: u64,
    pub(super) abortable: bool,
    pub(super) kind: Kind,
}

/// A step of a fake interface.
const fn fake(
    interface: &'static str,
    step: &'static str,
    flows: &'static [Flow],
    priority: u64,
) -> Known {
    Known {
        interface,
        of: "fake",
        step,
        flows,
        priority,
        abortable: true,
        kind: Kind::Instant,
    }
}

/// A step that changes a real BIOS. Nobody aborts it while its machine restarts.
const fn bios(step: &'static str, change: BiosChange) -> Known {
    Known {
        of: "redfish",
        abortable: false,
        kind: Kind::Bios(change),
        ..fake("bios", step, MANUAL, 0)
    }
}

const MANUAL: &[Flow] = &[Flow::Clean, Flow::Deploy, Flow::Service];

/// Steps of the fake interfaces (api-nodes.md §20), and those that need no agent (Ironic `redfish/bios.py`).
pub(super) const ALL: &[Known] = &[
    fake("deploy", "deploy", &[Flow::Deploy], 100),
    fake("vendor", "log_passthrough", &[Flow::Clean], 1),
    fake("bios", APPLY, MANUAL, 0),
    fake("bios", "factory_reset", MANUAL, 0),
    fake("bios", "cache_bios_settings", MANUAL, 0),
    fake("firmware", "update", &[Flow::Clean, Flow::Service], 0),
    fake("raid", "create_configuration", MANUAL, 0),
    fake("raid", "delete_configuration", MANUAL, 0),
    Known {
        kind: Kind::Asynchronous,
        ..fake("vendor", "trigger_servicewait", &[Flow::Service], 0)
    },
    bios(APPLY, BiosChange::Apply),
    bios("factory_reset", BiosChange::Reset),
];

/// The step that carries BIOS settings.
const APPLY: &str = "apply_configuration";

/// The step of this node's interfaces.
fn find(node: &NodeRecord, step: &Value) -> Option<&'static Known> {
    let (interface, name) = (word(step, "interface"), word(step, "step"));
    ALL.iter().find(|known| {
        known.interface == interface
            && known.step == name
            && interface_of(node, interface) == known.of
    })
}

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
    let reserved = match word(step, "step") {
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
    find(node, step)
        .filter(|known| known.flows.contains(&flow))
        .map(|known| known.kind)
}

/// What is wrong with the arguments of a step, if anything is.
pub(super) fn wrong_arguments(step: &Value) -> Option<&'static str> {
    let applies = word(step, "interface") == "bios" && word(step, "step") == APPLY;
    applies.then(|| bios::wanted(step).err()).flatten()
}

/// What a step of a fake interface leaves beside the record.
pub(crate) fn fake_findings(node: &NodeRecord, step: &Value) -> Option<NodeChange> {
    let known = find(node, step).filter(|known| (known.interface, known.of) == ("bios", "fake"))?;
    let body = match known.step {
        APPLY => bios::fake_table(&bios::wanted(step).unwrap_or_default()),
        "factory_reset" => Json::EMPTY,
        _ => return None,
    };
    let kind = ObjectKind::Bios;
    Some(NodeChange::Findings { kind, body })
}

/// Why the fake interface that is to do this step fails at it, if it was told to.
pub(crate) fn fake_failure(node: &NodeRecord, step: &Value) -> Option<String> {
    let interface = match kind(node, Flow::Service, step) {
        Some(Kind::Power(_)) => {
            return hardware::fake::failure(node, &node.interfaces.power, "power");
        }
        Some(Kind::Hold | Kind::Wait(_)) => return None,
        Some(Kind::Instant | Kind::Asynchronous | Kind::Bios(_)) | None => word(step, "interface"),
    };
    hardware::fake::failure(node, interface_of(node, interface), &name(step))
}

/// Whether a user may abort while the step waits.
pub(super) fn is_abortable(node: &NodeRecord, step: &Value) -> bool {
    find(node, step).is_none_or(|known| known.abortable)
}
