//! `GET /v1/nodes/{node}/validate`: would each interface of a node work, judged by its record alone.

use super::Slot;
use crate::driver::{DriverInfoError, ipmi, redfish};
use crate::node::record::NodeRecord;

/// The verdict on one interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Validation {
    /// It would work.
    Good,
    /// It would not, because of this.
    Bad(Box<str>),
}

impl Validation {
    fn of<T>(parsed: Result<T, DriverInfoError>) -> Self {
        match parsed {
            Ok(_) => Self::Good,
            Err(error) => Self::Bad(error.to_string().into()),
        }
    }
}

/// Interfaces that need an image to be written to disk.
const IMAGE_DEPLOYS: &[&str] = &[
    "autodetect",
    "direct",
    "ansible",
    "ramdisk",
    "anaconda",
    "bootc",
    "custom-agent",
];

/// Judges one interface of a node. No BMC is contacted.
#[must_use]
pub fn validate(node: &NodeRecord, slot: Slot) -> Validation {
    let info = || node.driver_info.to_map();
    let name = slot.of(&node.interfaces);
    match (slot, name) {
        (_, "ipmitool" | "ipmitool-socat") => Validation::of(ipmi::parse(node.id, &info())),
        (_, "redfish") => Validation::of(redfish::parse(node.id, &info())),
        (Slot::Boot, "redfish-virtual-media" | "redfish-https") => {
            match Validation::of(redfish::parse(node.id, &info())) {
                Validation::Good => ramdisk(node),
                bad @ Validation::Bad(_) => bad,
            }
        }
        (Slot::Boot, "ipxe" | "pxe" | "http-ipxe" | "http") => ramdisk(node),
        (Slot::Deploy, name) if IMAGE_DEPLOYS.contains(&name) => Validation::Bad(
            format!(
                "The deploy interface '{name}' of node {} writes images to disk, which this version of baton does not \
                 do. Set deploy_interface to fake to go through the states without writing.",
                node.id
            )
            .into(),
        ),
        (Slot::Power, "agent") => Validation::Bad(
            "Fast track mode must be enabled to use the agent power interface".into(),
        ),
        (Slot::Storage | Slot::Network | Slot::Management | Slot::Deploy, "noop")
        | (_, "fake")
        | (Slot::Network, "flat") => Validation::Good,
        (_, name) if name.is_empty() || name.starts_with("no-") => unsupported(node, slot),
        (_, name) => Validation::Bad(
            format!(
                "The {} interface '{name}' of node {} is not implemented in this version of baton.",
                slot.as_str(),
                node.id
            )
            .into(),
        ),
    }
}

fn unsupported(node: &NodeRecord, slot: Slot) -> Validation {
    Validation::Bad(
        format!(
            "Driver {} does not support {} (disabled or not implemented).",
            node.driver,
            slot.as_str()
        )
        .into(),
    )
}

/// Network boot needs a deploy kernel and ramdisk (Ironic `deploy_utils.check_for_missing_params`).
fn ramdisk(node: &NodeRecord) -> Validation {
    let info = node.driver_info.to_map();
    let missing: Vec<String> = ["deploy_kernel", "deploy_ramdisk"]
        .into_iter()
        .filter(|key| {
            info.get(*key)
                .is_none_or(|value| !crate::driver::python::is_truthy(value))
        })
        .map(|key| format!("'driver_info.{key}'"))
        .collect();
    if missing.is_empty() {
        Validation::Good
    } else {
        Validation::Bad(
            format!(
                "Node {} failed to validate deploy image info. Some parameters were missing. Missing are: [{}]",
                node.id,
                missing.join(", ")
            )
            .into(),
        )
    }
}
