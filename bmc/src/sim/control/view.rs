//! How machines, journals and faults look as JSON.

use crate::sim::bmc::Bmc;
use crate::sim::farm::Shared;
use crate::sim::journal::{Entry, What};
use baton_model::port::bmc::PowerReading;
use serde_json::{Value, json};

/// Recent edges shown with one machine; the journal route shows all that are kept.
const RECENT: usize = 16;

const fn power(reading: PowerReading) -> &'static str {
    match reading {
        PowerReading::On => "on",
        PowerReading::Off => "off",
        PowerReading::PoweringOn => "powering-on",
        PowerReading::PoweringOff => "powering-off",
        PowerReading::Unknown => "unknown",
    }
}

/// A line of the list.
pub(super) fn summary(farm: &Shared, machine: u32) -> Option<Value> {
    let info = farm.info(machine)?;
    let now = farm.now();
    let mut bmc = farm.bmc(machine)?;
    Some(json!({
        "machine": machine, "name": info.name, "personality": info.personality,
        "ipmi": info.ipmi, "redfish": info.redfish, "redfish_system_id": info.redfish_system_id,
        "power": power(bmc.core.machine.power(now)),
        "faults": faults(&bmc),
        "edges": bmc.core.machine.journal(now).edges(),
    }))
}

/// Everything about one machine.
pub(super) fn details(farm: &Shared, machine: u32) -> Option<Value> {
    let mut view = summary(farm, machine)?;
    let now = farm.now();
    let mut bmc = farm.bmc(machine)?;
    let ipmi: Vec<_> = bmc
        .ipmi()
        .each_session()
        .map(|(id, user)| json!({"id": id, "user": user}))
        .collect();
    let redfish: Vec<_> = bmc
        .redfish()
        .sessions
        .iter()
        .map(|(id, user)| json!({"id": id, "user": user}))
        .collect();
    view["now_ms"] = now.0.into();
    view["sessions"] = json!({"ipmi": ipmi, "redfish": redfish});
    view["locked_until_ms"] = json!(bmc.core.guard.locked_until(now).map(|until| until.0));
    view["counters"] = json!(bmc.core.counters);
    let boot = bmc.redfish().boot;
    view["boot"] = json!({
        "target": boot.target, "enabled": boot.enabled, "mode": boot.mode, "secure": bmc.redfish().secure_boot,
    });
    view["ipmi_boot_flags"] = json!(bmc.ipmi().boot_flags());
    let journal = bmc.core.machine.journal(now);
    view["commands"] = journal.commands().into();
    let mut recent: Vec<_> = journal.kept_edges().map(|(one, _)| entry(one)).collect();
    recent.drain(..recent.len().saturating_sub(RECENT));
    view["recent_edges"] = recent.into();
    Some(view)
}

/// The faults of a BMC.
pub(super) fn faults(bmc: &Bmc) -> Value {
    bmc.core
        .faults
        .iter()
        .map(|(fault, since)| {
            let mut shown = json!(fault);
            shown["since_ms"] = since.0.into();
            shown
        })
        .collect()
}

/// A line of the journal.
pub(super) fn entry(entry: &Entry) -> Value {
    let mut shown = json!({
        "seq": entry.seq, "at_ms": entry.at.0, "via": entry.origin.via,
        "user": entry.origin.user.as_deref(), "session": entry.origin.session,
        "remote": entry.origin.remote,
    });
    match entry.what {
        What::Edge(edge) => shown["edge"] = json!(edge),
        What::Command(action, outcome) => {
            shown["command"] = action.to_string().into();
            shown["outcome"] = json!(outcome);
        }
    }
    shown
}
