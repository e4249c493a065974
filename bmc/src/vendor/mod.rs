//! What sets one vendor's BMCs apart, as data: `bmc/vendors/*.toml`, compiled in.
//!
//! Nothing here decides anything. The Redfish client looks a vendor up by what the BMC says of itself and takes from its
//! file which reset to ask for, in which order to substitute, and which messages mean "come back later". To add a
//! vendor: write a file there and name it in [`FILES`]; `docs/vendors.md` tells how.

mod file;

#[cfg(test)]
mod tests;

use crate::redfish::ResetType;
use baton_model::port::bmc::PowerAction;
use std::sync::LazyLock;
use std::time::Duration;

pub use file::VendorError;

/// Every vendor file by its name. The generic one stands for all others, and is last.
const FILES: &[(&str, &str)] = &[
    ("idrac", include_str!("../../vendors/idrac.toml")),
    ("ilo", include_str!("../../vendors/ilo.toml")),
    ("supermicro", include_str!("../../vendors/supermicro.toml")),
    ("xcc", include_str!("../../vendors/xcc.toml")),
    ("openbmc", include_str!("../../vendors/openbmc.toml")),
    ("ami", include_str!("../../vendors/ami.toml")),
    (GENERIC, include_str!("../../vendors/generic.toml")),
];

/// The name of the file of all others.
const GENERIC: &str = "generic";

static ALL: LazyLock<Result<Vec<Vendor>, VendorError>> = LazyLock::new(|| file::read_all(FILES));

/// One vendor's differences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// Short name: its file's, and that of the simulator's personality.
    pub name: Box<str>,
    /// The name for people.
    pub title: Box<str>,
    /// Lower-case fragments of the service root's `Vendor` and the system's `Manufacturer`.
    redfish: Vec<Box<str>>,
    /// The same, where a name is too short to be looked for within another: the first words of it.
    redfish_words: Vec<Box<str>>,
    /// Keys of the service root's `Oem`.
    oem: Vec<Box<str>>,
    /// IANA enterprise numbers, and the names that Ironic records for them.
    ipmi: Vec<(u32, Box<str>)>,
    /// By [`place_of`].
    resets: [Vec<ResetType>; ACTIONS],
    busy: Vec<Box<str>>,
    sessions_full: Vec<Box<str>>,
    /// How long after an accepted restart "on" means nothing yet.
    pub settle: Duration,
    /// How many Redfish sessions the BMC holds, where that is known.
    pub sessions_max: Option<u16>,
    /// After how long the BMC ends an idle session, where that is known.
    pub sessions_idle: Option<Duration>,
    /// The maker's own IPMI selector of a disk with UEFI.
    pub uefi_disk: Option<u8>,
    /// What a change of the Redfish boot override has to name.
    pub boot_override: BootOverride,
}

/// What a change of the Redfish boot override has to name besides the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BootOverride {
    /// For how long it holds, where that changes.
    #[default]
    Changed,
    /// For how long it holds, always.
    Enabled,
    /// All of it, also what stays as it is.
    Full,
}

/// How many power actions are resets.
const ACTIONS: usize = 7;

/// An action's place in [`Vendor::resets`]; none for what is no reset.
const fn place_of(action: PowerAction) -> Option<usize> {
    match action {
        PowerAction::On => Some(0),
        PowerAction::Off => Some(1),
        PowerAction::SoftOff => Some(2),
        PowerAction::Reset => Some(3),
        PowerAction::Cycle => Some(4),
        PowerAction::SoftReset => Some(5),
        PowerAction::Nmi => Some(6),
        PowerAction::BootFrom(_)
        | PowerAction::BootMode(_)
        | PowerAction::SecureBoot(_)
        | PowerAction::Chore(_) => None,
    }
}

impl Vendor {
    /// Reads all files; to be called at start, so that a slip in one of them stops the process there and not later.
    ///
    /// # Errors
    /// Names the file and what is wrong in it.
    pub fn check() -> Result<(), VendorError> {
        ALL.as_ref().map(|_| ()).map_err(VendorError::clone)
    }

    /// Every vendor, the generic one last.
    #[must_use]
    pub fn all() -> &'static [Self] {
        ALL.as_deref()
            .expect("checked at start, and by a test of these very files")
    }

    /// The one that stands for all others.
    #[must_use]
    pub fn generic() -> &'static Self {
        Self::all()
            .last()
            .expect("there is the generic file at least")
    }

    /// The vendor of this short name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().iter().find(|vendor| &*vendor.name == name)
    }

    /// The vendor that a `Vendor` or `Manufacturer` names, if it is known.
    #[must_use]
    pub fn for_maker(maker: &str) -> Option<&'static Self> {
        let maker = maker.to_ascii_lowercase();
        Self::all().iter().find(|vendor| {
            let mut words = vendor.redfish_words.iter();
            vendor
                .redfish
                .iter()
                .any(|fragment| maker.contains(&**fragment))
                || words.any(|words| {
                    let rest = maker.strip_prefix(&**words);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
                })
        })
    }

    /// The vendor of a key in the service root's `Oem`, if it is known.
    #[must_use]
    pub fn for_oem(key: &str) -> Option<&'static Self> {
        Self::all().iter().find(|vendor| {
            vendor
                .oem
                .iter()
                .any(|known| known.eq_ignore_ascii_case(key))
        })
    }

    /// The vendor of an IANA enterprise number and the name that Ironic records for it.
    #[must_use]
    pub fn for_number(number: u32) -> Option<(&'static Self, &'static str)> {
        Self::all().iter().find_map(|vendor| {
            let (_, name) = vendor.ipmi.iter().find(|(known, _)| *known == number)?;
            Some((vendor, &**name))
        })
    }

    /// The resets to try for an action, best first; none for what is no reset.
    #[must_use]
    pub fn resets(&self, action: PowerAction) -> &[ResetType] {
        place_of(action).map_or(&[], |place| &self.resets[place])
    }

    /// Whether this is the file for all others.
    #[must_use]
    pub fn is_generic(&self) -> bool {
        &*self.name == GENERIC
    }

    /// Whether an error text of any vendor means "not now". Asked across vendors, because the answer may come before the
    /// BMC has told its maker, and no vendor's message means something else at another's.
    #[must_use]
    pub fn means_busy(text: &str) -> bool {
        Self::all()
            .iter()
            .flat_map(|vendor| &vendor.busy)
            .any(|words| text.contains(&**words))
    }

    /// Whether an error text of any vendor means "no free session".
    #[must_use]
    pub fn means_sessions_full(text: &str) -> bool {
        Self::all()
            .iter()
            .flat_map(|vendor| &vendor.sessions_full)
            .any(|words| text.contains(&**words))
    }
}
