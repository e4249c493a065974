//! A vendor file as it is written, and what makes one acceptable: every fact has a source, every word is known, and no
//! two files claim the same BMC.

use super::{ACTIONS, BootOverride, GENERIC, Vendor};
use crate::redfish::ResetType;
use baton_model::port::bmc::PowerAction;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A vendor file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bmc/vendors/{file}.toml: {wrong}")]
pub struct VendorError {
    file: Box<str>,
    wrong: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Box<str>,
    title: Box<str>,
    known_by: KnownBy,
    #[serde(default)]
    reset: Vec<Reset>,
    #[serde(default)]
    busy: Vec<Words>,
    #[serde(default)]
    sessions_full: Vec<Words>,
    after_restart: Option<AfterRestart>,
    sessions: Option<Sessions>,
    ipmi_boot: Option<IpmiBoot>,
    redfish_boot: Option<RedfishBoot>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KnownBy {
    #[serde(default)]
    redfish: Vec<Box<str>>,
    #[serde(default)]
    redfish_words: Vec<Box<str>>,
    #[serde(default)]
    oem: Vec<Box<str>>,
    #[serde(default)]
    ipmi: Vec<Maker>,
    source: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Maker {
    number: u32,
    name: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reset {
    action: Box<str>,
    r#try: Vec<Box<str>>,
    source: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    words: Box<str>,
    source: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AfterRestart {
    settle_s: u32,
    source: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sessions {
    max: Option<u16>,
    idle_s: Option<u32>,
    source: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IpmiBoot {
    uefi_disk: u8,
    source: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedfishBoot {
    name: Box<str>,
    source: Box<str>,
}

/// A boot device selector has four bits.
const SELECTOR_MAX: u8 = 15;

/// Words in an error that would also be in errors of other meaning are shorter than this.
const WORDS_MIN: usize = 6;

/// The actions by their names in the files, each at its [`place_of`](super::place_of).
const NAMES: [(&str, PowerAction); ACTIONS] = [
    ("on", PowerAction::On),
    ("off", PowerAction::Off),
    ("soft_off", PowerAction::SoftOff),
    ("reset", PowerAction::Reset),
    ("cycle", PowerAction::Cycle),
    ("soft_reset", PowerAction::SoftReset),
    ("nmi", PowerAction::Nmi),
];

/// All files, the generic one's resets standing in for those that the others do not name.
pub(super) fn read_all(files: &[(&str, &str)]) -> Result<Vec<Vendor>, VendorError> {
    let refuse = |file: &str, wrong: String| VendorError {
        file: file.into(),
        wrong: wrong.into(),
    };
    let Some((generic, others)) = files.split_last() else {
        return Err(refuse(GENERIC, "is missing".into()));
    };
    let base = read(generic.0, generic.1, None).map_err(|wrong| refuse(generic.0, wrong))?;
    let mut vendors = Vec::with_capacity(files.len());
    for (name, text) in others {
        vendors.push(read(name, text, Some(&base)).map_err(|wrong| refuse(name, wrong))?);
    }
    vendors.push(base);
    let mut claims: BTreeMap<String, &str> = BTreeMap::new();
    // The generic file first, so that a clash is told of the file that was added.
    for vendor in vendors.iter().rev() {
        let makers = vendor.redfish.iter().map(|maker| maker.to_string());
        let oem = vendor.oem.iter().map(|key| format!("Oem {key}"));
        let numbers = vendor
            .ipmi
            .iter()
            .map(|(number, _)| format!("number {number}"));
        for claim in makers.chain(oem).chain(numbers) {
            if let Some(other) = claims.insert(claim.clone(), &vendor.name) {
                return Err(refuse(
                    &vendor.name,
                    format!("{claim} is claimed by {other}.toml too"),
                ));
            }
        }
    }
    Ok(vendors)
}

fn read(name: &str, text: &str, base: Option<&Vendor>) -> Result<Vendor, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    if *file.name != *name {
        return Err(format!("its name is {}, not that of the file", file.name));
    }
    if file.title.is_empty() {
        return Err("title is empty".into());
    }
    sourced("known_by", &file.known_by.source)?;
    if let Some(loud) = file
        .known_by
        .redfish
        .iter()
        .chain(&file.known_by.redfish_words)
        .find(|maker| maker.is_empty() || maker.chars().any(|letter| letter.is_ascii_uppercase()))
    {
        return Err(format!(
            "known_by.redfish: \"{loud}\" has to be written in lower case"
        ));
    }
    let mut resets: [Vec<ResetType>; ACTIONS] =
        base.map_or_else(Default::default, |base| base.resets.clone());
    let mut named = Vec::new();
    for reset in &file.reset {
        sourced("reset", &reset.source)?;
        let (place, (_, action)) = NAMES
            .iter()
            .enumerate()
            .find(|(_, (known, _))| *known == &*reset.action)
            .ok_or_else(|| format!("reset: there is no action \"{}\"", reset.action))?;
        if named.contains(action) {
            return Err(format!("reset: {} is named twice", reset.action));
        }
        named.push(*action);
        resets[place] = choices(*action, &reset.r#try)?;
    }
    if let Some(((missing, _), _)) = NAMES
        .iter()
        .zip(&resets)
        .find(|(_, choices)| choices.is_empty())
    {
        return Err(format!("reset: {missing} has no choice"));
    }
    let settle = match &file.after_restart {
        Some(after) => {
            sourced("after_restart", &after.source)?;
            Duration::from_secs(after.settle_s.into())
        }
        None => base.map_or(Duration::ZERO, |base| base.settle),
    };
    let (sessions_max, idle_s) = match &file.sessions {
        Some(sessions) => {
            sourced("sessions", &sessions.source)?;
            if sessions.max == Some(0) || sessions.idle_s == Some(0) {
                return Err("sessions: a BMC without sessions is given redfish_auth_type".into());
            }
            (sessions.max, sessions.idle_s)
        }
        None => (None, None),
    };
    let uefi_disk = match &file.ipmi_boot {
        Some(boot) => {
            sourced("ipmi_boot", &boot.source)?;
            if boot.uefi_disk > SELECTOR_MAX {
                return Err("ipmi_boot: uefi_disk is no selector of four bits".into());
            }
            Some(boot.uefi_disk)
        }
        None => None,
    };
    let boot_override = match &file.redfish_boot {
        Some(boot) => {
            sourced("redfish_boot", &boot.source)?;
            match &*boot.name {
                "enabled" => BootOverride::Enabled,
                "full" => BootOverride::Full,
                other => {
                    return Err(format!(
                        "redfish_boot: name is enabled or full, not \"{other}\""
                    ));
                }
            }
        }
        None => base.map_or_else(BootOverride::default, |base| base.boot_override),
    };
    Ok(Vendor {
        name: file.name,
        title: file.title,
        redfish: file.known_by.redfish,
        redfish_words: file.known_by.redfish_words,
        oem: file.known_by.oem,
        ipmi: file
            .known_by
            .ipmi
            .into_iter()
            .map(|maker| (maker.number, maker.name))
            .collect(),
        resets,
        busy: words("busy", file.busy)?,
        sessions_full: words("sessions_full", file.sessions_full)?,
        settle,
        sessions_max,
        sessions_idle: idle_s.map(|seconds| Duration::from_secs(seconds.into())),
        uefi_disk,
        boot_override,
    })
}

/// The resets of one action. A press of the button stands in only where its effect is known beforehand.
fn choices(action: PowerAction, words: &[Box<str>]) -> Result<Vec<ResetType>, String> {
    let mut choices = Vec::with_capacity(words.len());
    for word in words {
        let choice = ResetType::from_word(word)
            .ok_or_else(|| format!("reset: \"{word}\" is no ResetType that baton sends"))?;
        if choices.contains(&choice) {
            return Err(format!("reset: {action} names {word} twice"));
        }
        if choice == ResetType::PushPowerButton
            && !matches!(action, PowerAction::On | PowerAction::SoftOff)
        {
            return Err(format!("reset: a press of the button is no {action}"));
        }
        choices.push(choice);
    }
    Ok(choices)
}

fn words(table: &str, entries: Vec<Words>) -> Result<Vec<Box<str>>, String> {
    entries
        .into_iter()
        .map(|entry| {
            sourced(table, &entry.source)?;
            if entry.words.len() < WORDS_MIN {
                return Err(format!(
                    "{table}: \"{}\" is too short to mean one thing",
                    entry.words
                ));
            }
            Ok(entry.words)
        })
        .collect()
}

fn sourced(table: &str, source: &str) -> Result<(), String> {
    if source.trim().is_empty() {
        return Err(format!("{table}: every fact needs its source"));
    }
    Ok(())
}
