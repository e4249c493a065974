//! What sets one vendor's BMCs apart, as data.
//!
//! Each file beside this one holds one const table with its sources; nothing here decides anything. The Redfish client
//! looks a vendor up by the manufacturer that the BMC names and takes from the table which reset to ask for, in which
//! order to substitute, and which messages mean "come back later". To add a vendor: copy `generic.rs`, change what
//! differs, add one line to [`ALL`].

mod generic;
mod idrac;
mod ilo;
mod openbmc;
mod supermicro;
mod xcc;

use crate::redfish::ResetType;
use baton_model::port::bmc::PowerAction;
use std::time::Duration;

pub use generic::GENERIC;

/// The reset types to try for each power action, best first. The first one that the BMC allows is used.
#[derive(Clone, Copy, Debug)]
pub struct ResetChoices {
    /// For [`PowerAction::On`].
    pub on: &'static [ResetType],
    /// For [`PowerAction::Off`].
    pub off: &'static [ResetType],
    /// For [`PowerAction::SoftOff`].
    pub soft_off: &'static [ResetType],
    /// For [`PowerAction::Reset`].
    pub reset: &'static [ResetType],
    /// For [`PowerAction::Cycle`].
    pub cycle: &'static [ResetType],
    /// For [`PowerAction::SoftReset`].
    pub soft_reset: &'static [ResetType],
    /// For [`PowerAction::Nmi`].
    pub nmi: &'static [ResetType],
}

impl ResetChoices {
    /// The candidates for one action.
    #[must_use]
    pub const fn of(&self, action: PowerAction) -> &'static [ResetType] {
        match action {
            PowerAction::On => self.on,
            PowerAction::Off => self.off,
            PowerAction::SoftOff => self.soft_off,
            PowerAction::Reset => self.reset,
            PowerAction::Cycle => self.cycle,
            PowerAction::SoftReset => self.soft_reset,
            PowerAction::Nmi => self.nmi,
        }
    }
}

/// One vendor's differences.
#[derive(Clone, Copy, Debug)]
pub struct Quirks {
    /// Short name for logs.
    pub name: &'static str,
    /// Lower-case fragments of `Manufacturer` or of the service root's `Vendor` that name this vendor.
    pub manufacturers: &'static [&'static str],
    /// Which resets to ask for.
    pub reset: ResetChoices,
    /// How long after an accepted restart the power state means nothing yet.
    pub settle: Duration,
    /// How many Redfish sessions the BMC holds, where the vendor says so.
    pub sessions_max: Option<u16>,
    /// Fragments of message ids or texts that mean "not now": the command may succeed later.
    pub busy: &'static [&'static str],
    /// Fragments of message ids or texts that mean "no free session", whatever the HTTP status.
    pub sessions_full: &'static [&'static str],
}

/// Every vendor we know; [`GENERIC`] stands for the others.
pub const ALL: &[&Quirks] = &[
    &idrac::IDRAC,
    &ilo::ILO,
    &supermicro::SUPERMICRO,
    &xcc::XCC,
    &openbmc::OPENBMC,
    &GENERIC,
];

impl Quirks {
    /// The table for a manufacturer or vendor name; the generic one for names nobody knows.
    #[must_use]
    pub fn for_manufacturer(name: &str) -> &'static Self {
        let name = name.to_ascii_lowercase();
        ALL.iter()
            .copied()
            .find(|quirks| {
                quirks
                    .manufacturers
                    .iter()
                    .any(|fragment| name.contains(fragment))
            })
            .unwrap_or(&GENERIC)
    }

    /// Whether an error text of any vendor means "not now". Asked across vendors, because the answer may come before the
    /// BMC has told its manufacturer, and no vendor's message means something else at another's.
    #[must_use]
    pub fn means_busy(text: &str) -> bool {
        ALL.iter()
            .flat_map(|quirks| quirks.busy)
            .any(|fragment| text.contains(fragment))
    }

    /// Whether an error text of any vendor means "no free session".
    #[must_use]
    pub fn means_sessions_full(text: &str) -> bool {
        ALL.iter()
            .flat_map(|quirks| quirks.sessions_full)
            .any(|fragment| text.contains(fragment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: [PowerAction; 7] = [
        PowerAction::On,
        PowerAction::Off,
        PowerAction::SoftOff,
        PowerAction::Reset,
        PowerAction::Cycle,
        PowerAction::SoftReset,
        PowerAction::Nmi,
    ];

    #[test]
    fn every_vendor_has_an_answer_for_every_action() {
        for quirks in ALL {
            for action in ACTIONS {
                let choices = quirks.reset.of(action);
                assert!(!choices.is_empty(), "{} {action}", quirks.name);
                let mut seen = choices.to_vec();
                seen.dedup();
                assert_eq!(seen.len(), choices.len(), "{} {action}", quirks.name);
            }
        }
    }

    #[test]
    fn a_button_press_never_stands_in_for_a_restart_or_a_hard_off() {
        for quirks in ALL {
            for action in [
                PowerAction::Off,
                PowerAction::Reset,
                PowerAction::Cycle,
                PowerAction::SoftReset,
                PowerAction::Nmi,
            ] {
                assert!(
                    !quirks
                        .reset
                        .of(action)
                        .contains(&ResetType::PushPowerButton),
                    "{} {action}",
                    quirks.name
                );
            }
        }
    }

    #[test]
    fn finds_vendors_by_what_they_call_themselves() {
        for (name, found) in [
            ("Dell Inc.", "idrac"),
            ("HPE", "ilo"),
            ("Hewlett Packard Enterprise", "ilo"),
            ("Supermicro", "supermicro"),
            ("Lenovo", "xcc"),
            ("OpenBMC", "openbmc"),
            ("IBM", "openbmc"),
            ("Sushy Emulator", "generic"),
            ("", "generic"),
        ] {
            assert_eq!(Quirks::for_manufacturer(name).name, found, "{name}");
        }
    }

    #[test]
    fn knows_the_messages_that_mean_later() {
        assert!(Quirks::means_sessions_full("IDRAC.2.4.RAC0218: full"));
        assert!(Quirks::means_busy(
            "iLO.2.14.InvalidOperationForSystemState"
        ));
        assert!(!Quirks::means_busy("Base.1.8.PropertyValueNotInList"));
    }
}
