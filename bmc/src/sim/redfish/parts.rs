//! What a simulated machine is made of: processors, network interfaces, a disk. The same for all but for numbers.

use super::ROOT;
use super::message::{Answer, Request};
use super::resource::only_get;
use crate::sim::core::Core;
use serde_json::{Value, json};

/// Network interfaces of each machine; the last one is switched off.
pub const INTERFACES: u32 = 3;

/// The MAC address of an interface: locally administered, different for every machine and interface.
#[must_use]
pub fn mac(machine: u32, interface: u32) -> String {
    let [_, a, b, c] = machine.to_be_bytes();
    let [.., last] = interface.to_be_bytes();
    format!("02:5A:{a:02X}:{b:02X}:{c:02X}:{last:02X}")
}

/// The collections below a system.
pub(super) const COLLECTIONS: [&str; 3] = ["Processors", "EthernetInterfaces", "Storage"];

/// Below `Systems/{id}`: a collection, a member, or a drive.
pub(super) fn answer(
    core: &Core,
    request: &Request<'_>,
    place: &str,
    below: (Option<&str>, Option<&str>, Option<&str>),
) -> Answer {
    let base = format!(
        "{}{ROOT}/Systems/{}/{place}",
        request.prefix, core.personality.system
    );
    let count = if place == "EthernetInterfaces" {
        INTERFACES
    } else {
        1
    };
    let body = match (place, below) {
        (_, (None, None, None)) => Some(collection(&base, count)),
        ("Processors", (Some("1"), None, None)) => Some(processor(&base)),
        ("EthernetInterfaces", (Some(id), None, None)) => id
            .parse()
            .ok()
            .filter(|number| (1..=count).contains(number))
            .map(|number| interface(&base, core.number, number)),
        ("Storage", (Some("1"), None, None)) => Some(json!({
            "@odata.id": format!("{base}/1"),
            "@odata.type": "#Storage.v1_10_0.Storage", "Id": "1", "Name": "Storage",
            "Drives": [{"@odata.id": format!("{base}/1/Drives/1")}],
        })),
        ("Storage", (Some("1"), Some("Drives"), Some("1"))) => Some(json!({
            "@odata.id": format!("{base}/1/Drives/1"),
            "@odata.type": "#Drive.v1_12_0.Drive", "Id": "1", "Name": "Disk 1",
            "CapacityBytes": 480_u64 << 30, "MediaType": "SSD", "Manufacturer": "Baton",
            "Model": "Simulated Disk", "SerialNumber": format!("DISK{:07}", core.number),
        })),
        _ => None,
    };
    match body {
        Some(body) => only_get(request, || body),
        None => Answer::not_found(request.path),
    }
}

fn collection(base: &str, count: u32) -> Value {
    let members: Vec<Value> = (1..=count)
        .map(|number| json!({"@odata.id": format!("{base}/{number}")}))
        .collect();
    json!({"@odata.id": base, "Name": "Collection", "Members@odata.count": count, "Members": members})
}

fn processor(base: &str) -> Value {
    json!({
        "@odata.id": format!("{base}/1"),
        "@odata.type": "#Processor.v1_13_0.Processor", "Id": "1", "Name": "Processor",
        "ProcessorArchitecture": "x86", "InstructionSet": "x86-64", "Model": "Simulated Processor",
        "MaxSpeedMHz": 3000, "TotalCores": 16, "TotalThreads": 32,
    })
}

fn interface(base: &str, machine: u32, number: u32) -> Value {
    let state = if number == INTERFACES {
        "Disabled"
    } else {
        "Enabled"
    };
    json!({
        "@odata.id": format!("{base}/{number}"),
        "@odata.type": "#EthernetInterface.v1_6_0.EthernetInterface",
        "Id": number.to_string(), "Name": "Ethernet Interface",
        "MACAddress": mac(machine, number), "SpeedMbps": 25_000,
        "Status": {"State": state, "Health": "OK"},
    })
}
