//! Hardware types and their interfaces: what a driver name stands for, which interfaces a node gets, what each of them
//! needs in `driver_info`, and how a node's BMC is reached.
//!
//! Pure tables and functions over them. The order inside a table is Ironic's order of preference (its `drivers/*.py`):
//! the first entry that is enabled is the default. Nothing here contacts a BMC. A node whose interface is not enabled
//! (any more) is still shown, edited and synced: only what needs the interface refuses.

pub mod fake;
mod types;
mod validate;

pub use types::{HARDWARE_TYPES, HardwareType};
pub use validate::{Validation, validate};

use crate::driver::{BmcTarget, DriverInfoError, ipmi, redfish};
use crate::ids::NodeId;
use crate::node::edit::Refused;
use crate::node::power::PowerRequest;
use crate::node::record::{Interfaces, NodeRecord};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A slot for an interface of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "each is Ironic's `<name>_interface`")]
pub enum Slot {
    Bios,
    Boot,
    Console,
    Deploy,
    Firmware,
    Inspect,
    Management,
    Network,
    Power,
    Raid,
    Rescue,
    Storage,
    Vendor,
}

impl Slot {
    /// Every slot, in alphabetical order.
    pub const ALL: [Self; 13] = [
        Self::Bios,
        Self::Boot,
        Self::Console,
        Self::Deploy,
        Self::Firmware,
        Self::Inspect,
        Self::Management,
        Self::Network,
        Self::Power,
        Self::Raid,
        Self::Rescue,
        Self::Storage,
        Self::Vendor,
    ];

    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Boot => "boot",
            Self::Console => "console",
            Self::Deploy => "deploy",
            Self::Firmware => "firmware",
            Self::Inspect => "inspect",
            Self::Management => "management",
            Self::Network => "network",
            Self::Power => "power",
            Self::Raid => "raid",
            Self::Rescue => "rescue",
            Self::Storage => "storage",
            Self::Vendor => "vendor",
        }
    }

    /// The interface that a node has in this slot; empty if none.
    #[must_use]
    pub const fn of(self, interfaces: &Interfaces) -> &str {
        match self {
            Self::Bios => &interfaces.bios,
            Self::Boot => &interfaces.boot,
            Self::Console => &interfaces.console,
            Self::Deploy => &interfaces.deploy,
            Self::Firmware => &interfaces.firmware,
            Self::Inspect => &interfaces.inspect,
            Self::Management => &interfaces.management,
            Self::Network => &interfaces.network,
            Self::Power => &interfaces.power,
            Self::Raid => &interfaces.raid,
            Self::Rescue => &interfaces.rescue,
            Self::Storage => &interfaces.storage,
            Self::Vendor => &interfaces.vendor,
        }
    }

    /// Puts an interface into this slot.
    pub fn set(self, interfaces: &mut Interfaces, name: Box<str>) {
        let slot = match self {
            Self::Bios => &mut interfaces.bios,
            Self::Boot => &mut interfaces.boot,
            Self::Console => &mut interfaces.console,
            Self::Deploy => &mut interfaces.deploy,
            Self::Firmware => &mut interfaces.firmware,
            Self::Inspect => &mut interfaces.inspect,
            Self::Management => &mut interfaces.management,
            Self::Network => &mut interfaces.network,
            Self::Power => &mut interfaces.power,
            Self::Raid => &mut interfaces.raid,
            Self::Rescue => &mut interfaces.rescue,
            Self::Storage => &mut interfaces.storage,
            Self::Vendor => &mut interfaces.vendor,
        };
        *slot = name;
    }
}

/// What `[DEFAULT]enabled_hardware_types`, `enabled_*_interfaces` and `default_*_interface` say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enabled {
    /// Enabled hardware types.
    pub types: Vec<Box<str>>,
    /// Enabled interfaces per slot. A slot that is absent enables the first supported interface of each enabled type.
    pub interfaces: BTreeMap<Slot, Vec<Box<str>>>,
    /// Defaults that go before the computed ones.
    pub defaults: BTreeMap<Slot, Box<str>>,
}

impl Default for Enabled {
    /// Ironic's defaults, to which `fake-hardware` and `manual-management` may be added.
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
        Self {
            types: list(&["ipmi", "redfish"]),
            interfaces: [
                (Slot::Bios, list(&["no-bios", "redfish"])),
                (Slot::Boot, list(&["ipxe", "pxe", "redfish-virtual-media"])),
                (Slot::Console, list(&["no-console"])),
                (
                    Slot::Deploy,
                    list(&["autodetect", "direct", "ramdisk", "bootc"]),
                ),
                (Slot::Firmware, list(&["no-firmware"])),
                (Slot::Inspect, list(&["no-inspect", "redfish"])),
                (Slot::Network, list(&["flat", "noop"])),
                (Slot::Raid, list(&["agent", "no-raid", "redfish"])),
                (Slot::Rescue, list(&["no-rescue"])),
                (Slot::Storage, list(&["cinder", "noop"])),
                (Slot::Vendor, list(&["ipmitool", "redfish", "no-vendor"])),
            ]
            .into(),
            defaults: [(Slot::Storage, Box::from("noop"))].into(),
        }
    }
}

impl Enabled {
    /// Everything there is, `fake` and `no-*` first: what development clusters and tests run with.
    #[must_use]
    pub fn everything() -> Self {
        let mut interfaces = BTreeMap::<Slot, Vec<Box<str>>>::new();
        for slot in Slot::ALL {
            let names = interfaces.entry(slot).or_default();
            for kind in HARDWARE_TYPES {
                for name in kind.supported(slot) {
                    if !names.iter().any(|known| **known == **name) {
                        names.push((*name).into());
                    }
                }
            }
        }
        Self {
            types: HARDWARE_TYPES.iter().map(|kind| kind.name.into()).collect(),
            interfaces,
            defaults: [
                (Slot::Storage, Box::from("noop")),
                (Slot::Network, Box::from("noop")),
            ]
            .into(),
        }
    }

    /// The interfaces that may be used in a slot, as Ironic lists them in its error: sorted.
    #[must_use]
    pub fn in_slot(&self, slot: Slot) -> Vec<Box<str>> {
        let mut names: Vec<Box<str>> = self.interfaces.get(&slot).cloned().unwrap_or_else(|| {
            self.types
                .iter()
                .filter_map(|name| HardwareType::find(name))
                .filter_map(|kind| kind.supported(slot).first())
                .map(|name| Box::from(*name))
                .collect()
        });
        names.sort();
        names.dedup();
        names
    }

    /// Whether an interface may be used in a slot.
    #[must_use]
    pub fn allows(&self, slot: Slot, name: &str) -> bool {
        match self.interfaces.get(&slot) {
            Some(names) => names.iter().any(|known| **known == *name),
            None => self.in_slot(slot).iter().any(|known| **known == *name),
        }
    }

    /// The enabled interfaces of a slot that a hardware type supports, in the type's order.
    #[must_use]
    pub fn for_type(&self, kind: &HardwareType, slot: Slot) -> Vec<&'static str> {
        kind.supported(slot)
            .iter()
            .copied()
            .filter(|name| self.allows(slot, name))
            .collect()
    }

    /// The enabled hardware type of this name.
    #[must_use]
    pub fn hardware_type(&self, driver: &str) -> Option<&'static HardwareType> {
        self.types
            .iter()
            .any(|name| **name == *driver)
            .then(|| HardwareType::find(driver))
            .flatten()
    }

    /// What is wrong with the lists themselves: the text for the operator who wrote them.
    ///
    /// # Errors
    /// Names the option and the value.
    pub fn check(&self) -> Result<(), String> {
        for name in &self.types {
            if HardwareType::find(name).is_none() {
                let known: Vec<&str> = HARDWARE_TYPES.iter().map(|kind| kind.name).collect();
                return Err(format!(
                    "[DEFAULT]enabled_hardware_types names \"{name}\", which is no hardware type; there are {}",
                    known.join(", ")
                ));
            }
        }
        for (slot, names) in &self.interfaces {
            for name in names {
                if !HARDWARE_TYPES
                    .iter()
                    .any(|kind| kind.supported(*slot).contains(&&**name))
                {
                    let slot = slot.as_str();
                    return Err(format!(
                        "[DEFAULT]enabled_{slot}_interfaces names \"{name}\", which is no {slot} interface"
                    ));
                }
            }
        }
        for name in &self.types {
            if let Some(kind) = HardwareType::find(name) {
                for slot in Slot::ALL {
                    default_for(kind, slot, None, self).map_err(|refused| {
                        format!(
                            "enabled_hardware_types has \"{name}\", but enabled_{}_interfaces has nothing for it: {}",
                            slot.as_str(),
                            refused.text
                        )
                    })?;
                }
            }
        }
        Ok(())
    }
}

/// The interfaces of a node with this driver: `wanted` where it names one, else the default of the slot.
///
/// # Errors
/// 400 with Ironic's text: driver not enabled, interface not enabled, interface not supported by the type, no default.
pub fn compose(
    driver: &str,
    node: Option<NodeId>,
    wanted: &Interfaces,
    enabled: &Enabled,
) -> Result<Interfaces, Refused> {
    let kind = enabled.hardware_type(driver).ok_or_else(|| {
        Refused::new(
            400,
            format!("Could not find the following driver(s) or hardware type(s): {driver}."),
        )
    })?;
    let mut composed = Interfaces::default();
    for slot in Slot::ALL {
        let name = slot.of(wanted);
        let name = if name.is_empty() {
            default_for(kind, slot, node, enabled)?
        } else {
            check(kind, slot, name, enabled)?;
            name.into()
        };
        slot.set(&mut composed, name);
    }
    Ok(composed)
}

/// Whether a node of this type may use the interface.
fn check(kind: &HardwareType, slot: Slot, name: &str, enabled: &Enabled) -> Result<(), Refused> {
    if !enabled.allows(slot, name) {
        let word = slot.as_str();
        return Err(Refused::new(
            400,
            format!(
                "Could not find the following interface in the 'ironic.hardware.interfaces.{word}' entrypoint: {name}. \
                 Valid interfaces are [{}].",
                enabled
                    .in_slot(slot)
                    .iter()
                    .map(|name| format!("'{name}'"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        ));
    }
    if !kind.accepts(slot, name) {
        return Err(Refused::new(
            400,
            format!(
                "{} interface implementation '{name}' is not supported by hardware type {}.",
                slot.as_str(),
                kind.class
            ),
        ));
    }
    Ok(())
}

/// Whether the driver and every interface of a node are enabled, so that work may be begun for it. A node for which they
/// are not is shown, listed, edited and deleted all the same, and read like every other.
///
/// # Errors
/// 400 with Ironic's text, for the first that is not.
pub fn check_enabled(node: &NodeRecord, enabled: &Enabled) -> Result<(), Refused> {
    let Some(kind) = enabled.hardware_type(&node.driver) else {
        return Err(Refused::new(
            400,
            format!(
                "Could not find the following driver(s) or hardware type(s): {}.",
                node.driver
            ),
        ));
    };
    for slot in Slot::ALL {
        let name = slot.of(&node.interfaces);
        if !name.is_empty() {
            check(kind, slot, name, enabled)?;
        }
    }
    Ok(())
}

/// The default interface of a slot (`conductor.md` §14, "Default calculation").
///
/// # Errors
/// 400 with Ironic's text when nothing is enabled that the type supports.
pub fn default_for(
    kind: &HardwareType,
    slot: Slot,
    node: Option<NodeId>,
    enabled: &Enabled,
) -> Result<Box<str>, Refused> {
    let none = || {
        let node = node.map_or_else(String::new, |node| format!(" node {node} with"));
        Refused::new(
            400,
            format!(
                "For{node} hardware type '{}', no default value found for {} interface could be determined. Please \
                 ensure the interfaces are enabled.",
                kind.name,
                slot.as_str()
            ),
        )
    };
    if let Some(name) = enabled.defaults.get(&slot) {
        return check(kind, slot, name, enabled)
            .map(|()| name.clone())
            .map_err(|refused| {
                if enabled.allows(slot, name) {
                    none()
                } else {
                    refused
                }
            });
    }
    enabled
        .for_type(kind, slot)
        .first()
        .map(|name| Box::from(*name))
        .ok_or_else(none)
}

/// The power requests that a power interface takes (Ironic `get_supported_power_states`).
#[must_use]
pub fn supported_power_requests(power_interface: &str) -> &'static [PowerRequest] {
    match power_interface {
        "agent" => &[PowerRequest::Reboot, PowerRequest::SoftReboot],
        _ => &PowerRequest::ALL,
    }
}

/// How to reach the BMC of a node, by its power interface.
///
/// # Errors
/// Ironic's text for a `driver_info` that does not fit; a text of ours for a power interface without a BMC.
pub fn bmc_target(node: &NodeRecord) -> Result<BmcTarget, DriverInfoError> {
    match &*node.interfaces.power {
        "fake" => Ok(BmcTarget::Fake),
        "ipmitool" => ipmi::parse(node.id, &node.driver_info.to_map())
            .map(|target| BmcTarget::Ipmi(Arc::new(target))),
        "redfish" | "idrac-redfish" => redfish::parse(node.id, &node.driver_info.to_map())
            .map(|target| BmcTarget::Redfish(Arc::new(target))),
        other => Err(DriverInfoError::Unsupported(format!(
            "The power interface '{other}' of node {} has no BMC that baton could ask. Set power_interface to one of \
             ipmitool, redfish or fake.",
            node.id
        ))),
    }
}

/// The `driver_info` keys of a hardware type with their descriptions: the union over its enabled interfaces.
#[must_use]
pub fn properties(kind: &HardwareType, enabled: &Enabled) -> BTreeMap<&'static str, &'static str> {
    let mut all = BTreeMap::new();
    for slot in Slot::ALL {
        for name in enabled.for_type(kind, slot) {
            all.extend(types::properties_of(slot, name).iter().copied());
        }
    }
    all
}

#[cfg(test)]
mod tests;
