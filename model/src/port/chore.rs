//! Commands to something beside the machine's power: its firmware settings, its lights, its BMC.
//!
//! A chore is only a word, so that it can be announced and compared like any command. What it carries, its cargo, is in
//! the node's record: whoever takes the work over finds it there.

use serde::{Deserialize, Serialize};

/// One such command.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Chore {
    /// Change BIOS settings at the next start. Cargo: values by name.
    ApplyBios,
    /// Bring all BIOS settings back to those of the factory at the next start.
    ResetBios,
    /// Switch a light. Cargo: `part`, `id` and `glow`.
    Light,
    /// Send bytes as they are. Cargo: `raw_bytes`, such as `0x00 0x01`.
    Raw,
    /// Restart the BMC. Cargo: `warm`.
    RestartBmc,
    /// Take virtual media out. Cargo: `boot_device`, or nothing for all.
    EjectMedia,
    /// Have events sent. Cargo: what Redfish's EventDestination takes.
    Subscribe,
    /// Have them sent no more. Cargo: `id`.
    Unsubscribe,
}

impl Chore {
    /// The words of errors and logs.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::ApplyBios => "apply BIOS settings",
            Self::ResetBios => "reset BIOS settings",
            Self::Light => "set indicator",
            Self::Raw => "send raw bytes",
            Self::RestartBmc => "restart BMC",
            Self::EjectMedia => "eject virtual media",
            Self::Subscribe => "create subscription",
            Self::Unsubscribe => "delete subscription",
        }
    }

    /// Whether saying it twice does what saying it once does.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        match self {
            Self::ApplyBios | Self::ResetBios | Self::Light | Self::EjectMedia => true,
            Self::Raw | Self::RestartBmc | Self::Subscribe | Self::Unsubscribe => false,
        }
    }
}
