//! What a machine boots from, in which mode, and whether it checks signatures: the words, and the rules over a record.
//!
//! Words are Ironic's (`common/boot_devices.py`, `common/boot_modes.py`). Nothing here contacts a BMC.

use super::core::PowerDriver;
use super::edit::Refused;
use super::record::NodeRecord;
use crate::driver::python::is_truthy;
use crate::json::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// A device that a machine can be told to boot from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum BootDevice {
    /// The network.
    Pxe,
    /// The default disk.
    Disk,
    /// CD or DVD, also a virtual one.
    Cdrom,
    /// The firmware's setup.
    Bios,
    /// The default disk in safe mode.
    Safe,
    /// An image by HTTP, asked for by the firmware.
    UefiHttp,
}

impl BootDevice {
    /// Every device.
    pub const ALL: [Self; 6] = [
        Self::Pxe,
        Self::Disk,
        Self::Cdrom,
        Self::Bios,
        Self::Safe,
        Self::UefiHttp,
    ];

    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pxe => "pxe",
            Self::Disk => "disk",
            Self::Cdrom => "cdrom",
            Self::Bios => "bios",
            Self::Safe => "safe",
            Self::UefiHttp => "uefihttp",
        }
    }

    /// The device of this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|device| device.as_str() == word)
    }
}

impl fmt::Display for BootDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the firmware boots.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum BootMode {
    /// As PCs did.
    Bios,
    /// UEFI.
    Uefi,
}

impl BootMode {
    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        }
    }

    /// The mode of this name.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Bios, Self::Uefi]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }
}

impl fmt::Display for BootMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a machine is told to boot from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct BootOrder {
    /// The device.
    pub device: BootDevice,
    /// From now on, or the next time only.
    pub persistent: bool,
    /// For firmware that is told the mode along with the device (IPMI).
    pub mode: BootMode,
}

/// What a BMC says about the next boot. `None` where it does not tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BootState {
    /// The device that overrides the firmware's own order.
    pub device: Option<BootDevice>,
    /// Whether the override stays.
    pub persistent: Option<bool>,
    /// The mode.
    pub mode: Option<BootMode>,
    /// Whether only signed code boots.
    pub secure_boot: Option<bool>,
}

/// Devices that a management interface can boot from, in Ironic's order; `None` for one that cannot choose.
#[must_use]
pub fn devices_of(management: &str) -> Option<&'static [BootDevice]> {
    use BootDevice::{Bios, Cdrom, Disk, Pxe, Safe, UefiHttp};
    match management {
        "fake" => Some(&[Pxe]),
        "ipmitool" => Some(&[Pxe, Disk, Cdrom, Bios, Safe]),
        "redfish" => Some(&[Pxe, Disk, Cdrom, Bios, UefiHttp]),
        "noop" => Some(&[]),
        _ => None,
    }
}

/// The BMC behind the management interface of a node. It is reached as the power interface reaches it, so the two must be of
/// one kind.
///
/// # Errors
/// 400 where there is none that could do `what`.
pub fn manager(node: &NodeRecord, what: &str) -> Result<PowerDriver, Refused> {
    match (&*node.interfaces.management, PowerDriver::of(node)) {
        ("ipmitool", PowerDriver::Ipmi) => Ok(PowerDriver::Ipmi),
        ("redfish", PowerDriver::Redfish) => Ok(PowerDriver::Redfish),
        ("ipmitool" | "redfish", _) => Err(Refused::new(
            400,
            format!(
                "The management interface '{}' of node {} needs a power interface of the same kind, not '{}'.",
                node.interfaces.management, node.id, node.interfaces.power
            ),
        )),
        _ => Err(unsupported(node, what)),
    }
}

/// Ironic's `UnsupportedDriverExtension`.
#[must_use]
pub fn unsupported(node: &NodeRecord, what: &str) -> Refused {
    Refused::new(
        400,
        format!(
            "Driver {} does not support {what} (disabled or not implemented).",
            node.driver
        ),
    )
}

/// Whether the node can be told to boot from this device.
///
/// # Errors
/// 400 with Ironic's text.
pub fn check_device(node: &NodeRecord, device: BootDevice) -> Result<(), Refused> {
    let devices = devices_of(&node.interfaces.management)
        .ok_or_else(|| unsupported(node, "set_boot_device"))?;
    if devices.contains(&device) {
        return Ok(());
    }
    Err(Refused::new(
        400,
        format!("Invalid boot device {device} specified."),
    ))
}

/// The mode that the node is wanted to boot in: `capabilities` of its properties, then those of its instance, then
/// `instance_info/deploy_boot_mode`, then UEFI (Ironic `boot_mode_utils.get_boot_mode`, `[deploy]default_boot_mode`).
#[must_use]
pub fn wanted_mode(node: &NodeRecord) -> BootMode {
    let instance = node.instance_info.to_map();
    let deploy_mode = instance.get("deploy_boot_mode").and_then(Value::as_str);
    capability(&node.properties.to_map(), "boot_mode")
        .or_else(|| capability(&instance, "boot_mode"))
        .or_else(|| deploy_mode.map(str::to_owned))
        .and_then(|word| BootMode::parse(&word))
        .unwrap_or(BootMode::Uefi)
}

/// One of the `capabilities`: an object, or text such as `boot_mode:uefi,secure_boot:true`.
fn capability(map: &Map<String, Value>, key: &str) -> Option<String> {
    match map.get("capabilities")? {
        Value::Object(all) => all.get(key)?.as_str().map(str::to_owned),
        Value::String(list) => list
            .split(',')
            .filter_map(|item| item.split_once(':'))
            .find(|(name, _)| name.trim() == key)
            .map(|(_, value)| value.trim().to_owned()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

/// Where a device is kept that the BMC forgets after one boot (Ironic `redfish/management.py`).
const REDFISH: &str = "redfish_boot_device";
/// The same for IPMI, with the flag that lets one other boot pass (Ironic `drivers/utils.py`).
const IPMI: &str = "persistent_boot_device";
const IPMI_NEXT: &str = "is_next_boot_persistent";

/// The device that the machine is told again before each boot, because its BMC keeps it for one only.
#[must_use]
pub fn remembered(node: &NodeRecord) -> Option<BootDevice> {
    if node.driver_internal_info.is_empty() {
        return None;
    }
    let info = node.driver_internal_info.to_map();
    let device = |key: &str| BootDevice::parse(info.get(key)?.as_str()?);
    match manager(node, "set_boot_device").ok()? {
        PowerDriver::Redfish => device(REDFISH),
        PowerDriver::Ipmi if is_forced(node) => {
            device(IPMI).filter(|_| info.get(IPMI_NEXT) != Some(&Value::Bool(false)))
        }
        PowerDriver::Ipmi | PowerDriver::Fake | PowerDriver::None => None,
    }
}

/// `ipmi_force_boot_device`.
fn is_forced(node: &NodeRecord) -> bool {
    let info = node.driver_info.to_map();
    info.get("ipmi_force_boot_device").is_some_and(|value| {
        is_truthy(value) && !matches!(value.as_str(), Some("false" | "False" | "no" | "0"))
    })
}

/// `driver_internal_info` once the machine was told its boot device. `by_us` says that a lasting wish is to be repeated
/// before each boot; `None` if nothing changes.
#[must_use]
pub fn after_setting(node: &NodeRecord, order: BootOrder, by_us: bool) -> Option<Json> {
    let mut info = node.driver_internal_info.to_map();
    match manager(node, "set_boot_device").ok()? {
        PowerDriver::Redfish if by_us => {
            info.insert(REDFISH.to_owned(), order.device.as_str().into());
        }
        PowerDriver::Redfish => {
            info.remove(REDFISH);
        }
        PowerDriver::Ipmi if is_forced(node) => {
            if order.persistent {
                info.insert(IPMI.to_owned(), order.device.as_str().into());
                info.remove(IPMI_NEXT);
            } else {
                info.insert(IPMI_NEXT.to_owned(), Value::Bool(false));
            }
        }
        PowerDriver::Ipmi | PowerDriver::Fake | PowerDriver::None => return None,
    }
    let info = Json::from_map(&info);
    (info != node.driver_internal_info).then_some(info)
}

/// `driver_internal_info` once the machine has booted with a device that was chosen for that boot only.
#[must_use]
pub fn after_boot(node: &NodeRecord) -> Option<Json> {
    if !node.driver_internal_info.as_str().contains(IPMI_NEXT) {
        return None;
    }
    let mut info = node.driver_internal_info.to_map();
    info.remove(IPMI_NEXT);
    Some(Json::from_map(&info))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NodeId, WallMs};
    use serde_json::json;
    use uuid::Uuid;

    fn json(value: Value) -> Json {
        Json::from_map(value.as_object().expect("an object"))
    }

    fn node(power: &str, management: &str) -> NodeRecord {
        let mut node = NodeRecord::new(NodeId(Uuid::nil()), "redfish".into(), WallMs(0));
        node.interfaces.power = power.into();
        node.interfaces.management = management.into();
        node
    }

    #[test]
    fn management_and_power_must_reach_the_same_bmc() {
        assert!(manager(&node("redfish", "redfish"), "x").is_ok());
        assert!(manager(&node("ipmitool", "ipmitool"), "x").is_ok());
        let odd = manager(&node("fake", "redfish"), "x").expect_err("it has no BMC");
        assert!(odd.text.contains("same kind"), "{}", odd.text);
        assert!(manager(&node("redfish", "noop"), "x").is_err());
    }

    #[test]
    fn the_wanted_mode_comes_from_the_first_that_names_one() {
        let mut node = node("redfish", "redfish");
        assert_eq!(wanted_mode(&node), BootMode::Uefi);
        node.instance_info = json(json!({"deploy_boot_mode": "bios"}));
        assert_eq!(wanted_mode(&node), BootMode::Bios);
        node.instance_info = json(json!({"capabilities": {"boot_mode": "bios"}}));
        assert_eq!(wanted_mode(&node), BootMode::Bios);
        node.properties = json(json!({"capabilities": "secure_boot:true, boot_mode:uefi"}));
        assert_eq!(wanted_mode(&node), BootMode::Uefi);
    }

    #[test]
    fn what_a_bmc_forgets_is_remembered_for_it() {
        let mut node = node("redfish", "redfish");
        let order = BootOrder {
            device: BootDevice::Disk,
            persistent: true,
            mode: BootMode::Uefi,
        };
        assert_eq!(after_setting(&node, order, false), None, "the BMC keeps it");
        node.driver_internal_info = after_setting(&node, order, true).expect("a note");
        assert_eq!(remembered(&node), Some(BootDevice::Disk));
        node.driver_internal_info = after_setting(&node, order, false).expect("the note goes");
        assert_eq!(remembered(&node), None);
    }

    #[test]
    fn a_forced_ipmi_device_lets_one_other_boot_pass() {
        let mut node = node("ipmitool", "ipmitool");
        let order = |persistent| BootOrder {
            device: BootDevice::Disk,
            persistent,
            mode: BootMode::Uefi,
        };
        assert_eq!(after_setting(&node, order(true), false), None);
        node.driver_info = json(json!({"ipmi_force_boot_device": "true"}));
        node.driver_internal_info = after_setting(&node, order(true), false).expect("a note");
        assert_eq!(remembered(&node), Some(BootDevice::Disk));
        node.driver_internal_info = after_setting(&node, order(false), false).expect("a note");
        assert_eq!(remembered(&node), None);
        node.driver_internal_info = after_boot(&node).expect("the boot is over");
        assert_eq!(remembered(&node), Some(BootDevice::Disk));
    }
}
