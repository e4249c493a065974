//! The tables: every hardware type with the interfaces it supports, and the `driver_info` keys of each interface.

use super::Slot;
use crate::driver::{ipmi, redfish};

/// A hardware type: what `driver` of a node names.
#[derive(Debug)]
pub struct HardwareType {
    /// The name in `driver`.
    pub name: &'static str,
    /// The class name that Ironic's error texts show.
    pub class: &'static str,
    own: fn(Slot) -> &'static [&'static str],
}

/// The hardware type without hardware.
const FAKE: &str = "fake-hardware";

/// Every hardware type baton knows. Room for more: one row and one function.
pub const HARDWARE_TYPES: &[HardwareType] = &[
    HardwareType {
        name: FAKE,
        class: "FakeHardware",
        own: fake_hardware,
    },
    HardwareType {
        name: "ipmi",
        class: "IPMIHardware",
        own: ipmi_hardware,
    },
    HardwareType {
        name: "manual-management",
        class: "ManualManagementHardware",
        own: manual_management,
    },
    HardwareType {
        name: "redfish",
        class: "RedfishHardware",
        own: redfish_hardware,
    },
];

impl HardwareType {
    /// The type of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        HARDWARE_TYPES.iter().find(|kind| kind.name == name)
    }

    /// The interfaces it supports in a slot, preferred ones first.
    #[must_use]
    pub fn supported(&self, slot: Slot) -> &'static [&'static str] {
        (self.own)(slot)
    }

    /// Whether a node of this type may use an interface. `fake-hardware` takes any that some type supports, so that real
    /// interfaces can be tried beside fake ones; its own list only chooses defaults (Ironic `drivers/fake_hardware.py`).
    #[must_use]
    pub fn accepts(&self, slot: Slot, name: &str) -> bool {
        self.supported(slot).contains(&name)
            || (self.name == FAKE
                && HARDWARE_TYPES
                    .iter()
                    .any(|kind| kind.supported(slot).contains(&name)))
    }
}

/// What Ironic's `GenericHardware` gives every type.
const fn generic(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::Bios => &["no-bios"],
        Slot::Boot => &["ipxe", "pxe", "http-ipxe", "http"],
        Slot::Console => &["no-console"],
        Slot::Deploy => &[
            "autodetect",
            "direct",
            "ansible",
            "ramdisk",
            "anaconda",
            "bootc",
            "custom-agent",
        ],
        Slot::Firmware => &["no-firmware"],
        Slot::Inspect => &["agent", "no-inspect"],
        Slot::Management | Slot::Power => &[],
        Slot::Network => &["flat", "neutron", "ironic-networking", "noop"],
        Slot::Raid => &["no-raid", "agent"],
        Slot::Rescue => &["no-rescue", "agent"],
        Slot::Storage => &["noop", "cinder", "external"],
        Slot::Vendor => &["no-vendor"],
    }
}

const fn ipmi_hardware(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::Console => &["ipmitool-socat", "no-console"],
        Slot::Management => &["ipmitool", "noop"],
        Slot::Power => &["ipmitool"],
        Slot::Vendor => &["ipmitool", "no-vendor"],
        Slot::Bios
        | Slot::Boot
        | Slot::Deploy
        | Slot::Firmware
        | Slot::Inspect
        | Slot::Network
        | Slot::Raid
        | Slot::Rescue
        | Slot::Storage => generic(slot),
    }
}

const fn redfish_hardware(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::Bios => &["redfish", "no-bios"],
        Slot::Boot => &[
            "ipxe",
            "pxe",
            "http-ipxe",
            "http",
            "redfish-virtual-media",
            "redfish-https",
        ],
        Slot::Firmware => &["redfish", "no-firmware"],
        Slot::Inspect => &["redfish", "agent", "no-inspect"],
        Slot::Management => &["redfish", "noop"],
        Slot::Power => &["redfish"],
        Slot::Raid => &["redfish", "no-raid", "agent"],
        Slot::Vendor => &["redfish", "no-vendor"],
        Slot::Console | Slot::Deploy | Slot::Network | Slot::Rescue | Slot::Storage => {
            generic(slot)
        }
    }
}

const fn manual_management(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::Deploy => &[
            "autodetect",
            "direct",
            "ansible",
            "ramdisk",
            "anaconda",
            "bootc",
            "custom-agent",
            "noop",
        ],
        Slot::Management => &["noop", "fake"],
        Slot::Power => &["agent", "fake"],
        Slot::Bios
        | Slot::Boot
        | Slot::Console
        | Slot::Firmware
        | Slot::Inspect
        | Slot::Network
        | Slot::Raid
        | Slot::Rescue
        | Slot::Storage
        | Slot::Vendor => generic(slot),
    }
}

const fn fake_hardware(slot: Slot) -> &'static [&'static str] {
    match slot {
        Slot::Bios => &["fake", "no-bios"],
        Slot::Boot => &["fake", "ipxe", "pxe", "http-ipxe", "http"],
        Slot::Console => &["fake", "no-console"],
        Slot::Deploy => &[
            "fake",
            "autodetect",
            "direct",
            "ansible",
            "ramdisk",
            "anaconda",
            "bootc",
            "custom-agent",
        ],
        Slot::Firmware => &["fake", "no-firmware"],
        Slot::Inspect => &["fake", "agent", "no-inspect"],
        Slot::Management => &["fake", "noop"],
        Slot::Network => generic(slot),
        Slot::Power => &["fake"],
        Slot::Raid => &["fake", "no-raid", "agent"],
        Slot::Rescue => &["fake", "no-rescue", "agent"],
        Slot::Storage => &["fake", "noop", "cinder", "external"],
        Slot::Vendor => &["fake", "no-vendor"],
    }
}

/// The `driver_info` keys that an interface reads.
pub(super) fn properties_of(
    slot: Slot,
    interface: &str,
) -> &'static [(&'static str, &'static str)] {
    match (slot, interface) {
        (_, "ipmitool" | "ipmitool-socat") => ipmi::properties(),
        (_, "redfish" | "redfish-virtual-media" | "redfish-https") => redfish::properties(),
        (Slot::Boot, "ipxe" | "pxe" | "http-ipxe" | "http") => RAMDISK,
        (Slot::Rescue, "agent") => RESCUE,
        (Slot::Vendor, "fake") => FAKE_VENDOR,
        (Slot::Deploy | Slot::Inspect | Slot::Power | Slot::Rescue, "fake") => FAKE_ANY,
        _ => &[],
    }
}

const RAMDISK: &[(&str, &str)] = &[
    (
        "deploy_kernel",
        "URL or image reference of the kernel that the machine boots for deployment and cleaning. Required to deploy.",
    ),
    (
        "deploy_ramdisk",
        "URL or image reference of the ramdisk that goes with deploy_kernel. Required to deploy.",
    ),
    (
        "kernel_append_params",
        "Further kernel parameters for the ramdisk. Optional.",
    ),
];

const RESCUE: &[(&str, &str)] = &[
    (
        "rescue_kernel",
        "URL or image reference of the kernel that the machine boots for rescue. Required for rescue.",
    ),
    (
        "rescue_ramdisk",
        "URL or image reference of the ramdisk that goes with rescue_kernel. Required for rescue.",
    ),
];

const FAKE_VENDOR: &[(&str, &str)] = &[
    ("B1", "B1 description. Required."),
    ("B2", "B2 description. Required."),
];

const FAKE_ANY: &[(&str, &str)] = &[(
    super::fake::FAILURES,
    "What the fake interfaces are to fail at, a list such as power, inspect, tear_down, rescue, deploy.deploy. Optional.",
)];
