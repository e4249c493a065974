//! Power states and power requests, with Ironic's words.

use crate::port::bmc::PowerReading;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The recorded power state of a machine; Ironic's `null` is `None` around it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PowerState {
    /// The machine is on.
    #[serde(rename = "power on")]
    On,
    /// The machine is off.
    #[serde(rename = "power off")]
    Off,
    /// The BMC itself reported an error until the retries were spent.
    #[serde(rename = "error")]
    Error,
}

impl PowerState {
    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::Error => "error",
        }
    }

    /// The settled state that a reading stands for; `None` for transitional and unknown readings.
    #[must_use]
    pub const fn from_reading(reading: PowerReading) -> Option<Self> {
        match reading {
            PowerReading::On => Some(Self::On),
            PowerReading::Off => Some(Self::Off),
            PowerReading::PoweringOn | PowerReading::PoweringOff | PowerReading::Unknown => None,
        }
    }
}

impl fmt::Display for PowerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How texts show a recorded state that may be null; Ironic prints Python's `None`.
#[must_use]
pub fn show(state: Option<PowerState>) -> &'static str {
    state.map_or("None", PowerState::as_str)
}

/// What a user or baton itself asks of a machine's power.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PowerRequest {
    /// Switch on.
    #[serde(rename = "power on")]
    On,
    /// Switch off, hard.
    #[serde(rename = "power off")]
    Off,
    /// Off and on, hard.
    #[serde(rename = "rebooting")]
    Reboot,
    /// Ask the operating system to shut down.
    #[serde(rename = "soft power off")]
    SoftOff,
    /// Ask the operating system to shut down, then switch on.
    #[serde(rename = "soft rebooting")]
    SoftReboot,
}

impl PowerRequest {
    /// Every request, in Ironic's order.
    pub const ALL: [Self; 5] = [
        Self::On,
        Self::Off,
        Self::Reboot,
        Self::SoftReboot,
        Self::SoftOff,
    ];

    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::Reboot => "rebooting",
            Self::SoftOff => "soft power off",
            Self::SoftReboot => "soft rebooting",
        }
    }

    /// The request that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|request| request.as_str() == word)
    }

    /// Where the machine is to end up; the value of `target_power_state` meanwhile.
    #[must_use]
    pub const fn target(self) -> PowerState {
        match self {
            Self::On | Self::Reboot | Self::SoftReboot => PowerState::On,
            Self::Off | Self::SoftOff => PowerState::Off,
        }
    }

    /// Whether the operating system takes part, which needs the longer default timeout.
    #[must_use]
    pub const fn is_soft(self) -> bool {
        matches!(self, Self::SoftOff | Self::SoftReboot)
    }

    /// Whether doing it twice does harm: after a takeover such a request is not simply repeated.
    #[must_use]
    pub const fn is_reboot(self) -> bool {
        matches!(self, Self::Reboot | Self::SoftReboot)
    }
}

impl From<PowerState> for PowerRequest {
    /// The hard request that forces a state; `Error` is never forced and maps to `Off` only for totality.
    fn from(state: PowerState) -> Self {
        match state {
            PowerState::On => Self::On,
            PowerState::Off | PowerState::Error => Self::Off,
        }
    }
}

impl fmt::Display for PowerRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the recorded power state changed; kept with the change and shown to operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum PowerCause {
    /// A request through the API.
    User,
    /// Power sync found a difference, or forced one away.
    Sync,
    /// The BMC answered again after a power fault.
    Recovery,
    /// The first read, while the node became manageable.
    Verify,
    /// A provisioning step.
    Step,
    /// A request of the compute service itself.
    Compute,
    /// The node was adopted: nothing changed, but the compute service has never heard of its state.
    Adoption,
}

impl PowerCause {
    /// The cause for operators, after "changed by".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "a request through the API",
            Self::Sync => "power sync",
            Self::Recovery => "recovery from a power fault",
            Self::Verify => "verification",
            Self::Step => "a provisioning step",
            Self::Compute => "a request of the compute service",
            Self::Adoption => "adoption",
        }
    }
}
