//! What a BMC is asked besides the power state, and what it tells. Nothing here changes a machine.

use crate::json::Json;
use crate::node::boot::{BootMode, BootState};
use serde::{Deserialize, Serialize};
use std::fmt;

/// One question to a BMC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Inquiry {
    /// What the machine boots from, and how.
    Boot,
    /// BIOS settings and firmware versions.
    Findings,
    /// What the machine is made of.
    Inventory,
    /// The lights that help to find it in its rack.
    Lights,
    /// Whom the BMC sends its events to.
    Subscriptions,
}

impl Inquiry {
    /// The words of errors and logs.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::Boot => "get boot device",
            Self::Findings => "get firmware",
            Self::Inventory => "inspect",
            Self::Lights => "get indicators",
            Self::Subscriptions => "get subscriptions",
        }
    }

    /// Whether the answer takes many requests, so that its time says nothing about the network.
    #[must_use]
    pub const fn is_long(self) -> bool {
        match self {
            Self::Boot => false,
            Self::Findings | Self::Inventory | Self::Lights | Self::Subscriptions => true,
        }
    }
}

impl fmt::Display for Inquiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation())
    }
}

/// The answer to an [`Inquiry`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Disclosure {
    /// To [`Inquiry::Boot`].
    Boot(BootState),
    /// To [`Inquiry::Findings`].
    Findings(Findings),
    /// To [`Inquiry::Inventory`].
    Inventory(Inventory),
    /// To [`Inquiry::Lights`].
    Lights(Vec<Light>),
    /// To [`Inquiry::Subscriptions`]: each by its id, with the fields that a client may see.
    Subscriptions(Json),
}

/// What a BMC says about the firmware of its machine: objects by name, with the fields that the API shows.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Findings {
    /// BIOS settings; `None` if it has none to show.
    pub bios: Option<Json>,
    /// The BMC says that a reset of the settings waits for the machine to start.
    pub reset_pending: bool,
    /// Firmware components; `None` if it tells of none.
    pub firmware: Option<Json>,
}

/// What a machine is made of, as far as its BMC knows.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Memory in MiB.
    pub memory_mb: Option<u64>,
    /// Logical processors.
    pub cpus: Option<u64>,
    /// The word for their architecture, such as `x86_64`.
    pub cpu_arch: Option<Box<str>>,
    /// The disk that an image would be written to, in GiB, less one for what a partition table takes.
    pub local_gb: u64,
    /// How the firmware boots.
    pub boot_mode: Option<BootMode>,
    /// Who made the machine.
    pub vendor: Option<Box<str>>,
    /// MAC addresses of network interfaces that are not switched off, in lower case.
    pub macs: Vec<Box<str>>,
    /// Everything, as the API shows it.
    pub document: Json,
}

/// A part that carries lights (Ironic `common/components.py`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Part {
    /// The computer.
    System,
    /// The box around it.
    Chassis,
}

impl Part {
    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Chassis => "chassis",
        }
    }
}

/// What a light does (Ironic `common/indicator_states.py`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Glow {
    /// It shines.
    On,
    /// It is dark.
    Off,
    /// It blinks.
    Blinking,
    /// The BMC says something else, or nothing.
    Unknown,
}

impl Glow {
    /// What a light can be told.
    pub const TOLD: [Self; 3] = [Self::Blinking, Self::Off, Self::On];

    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Blinking => "blinking",
            Self::Unknown => "unknown",
        }
    }

    /// The glow of this name, in either case: clients send both.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::TOLD
            .into_iter()
            .find(|glow| glow.as_str().eq_ignore_ascii_case(word))
    }
}

/// A light.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Light {
    /// What it is on.
    pub part: Part,
    /// The name of that part.
    pub id: Box<str>,
    /// What it does now.
    pub glow: Glow,
}
