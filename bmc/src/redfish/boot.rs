//! What the machine boots from: the boot override and secure boot. Sources: DSP2046 ComputerSystem `Boot` and SecureBoot,
//! Ironic `redfish/management.py`; what vendors want besides is in their files.

use super::answer;
use super::change::version_in;
use super::conversation::Conversation;
use crate::vendor::BootOverride;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};
use baton_model::port::bmc::BmcError;
use hyper::Method;
use serde_json::{Map, Value, json};

/// `BootSourceOverrideTarget` of each device.
const TARGETS: [(BootDevice, &str); 5] = [
    (BootDevice::Pxe, "Pxe"),
    (BootDevice::Disk, "Hdd"),
    (BootDevice::Cdrom, "Cd"),
    (BootDevice::Bios, "BiosSetup"),
    (BootDevice::UefiHttp, "UefiHttp"),
];

fn override_of<'a>(system: &'a Value, field: &str) -> Option<&'a str> {
    system
        .get("Boot")?
        .get(format!("BootSourceOverride{field}"))?
        .as_str()
}

const fn word_of(mode: BootMode) -> &'static str {
    match mode {
        BootMode::Bios => "Legacy",
        BootMode::Uefi => "UEFI",
    }
}

/// What a system says about its next boot.
fn state_of(system: &Value) -> BootState {
    let target = override_of(system, "Target");
    let enabled = override_of(system, "Enabled");
    BootState {
        device: TARGETS
            .iter()
            .find(|(_, word)| Some(*word) == target)
            .map(|(device, _)| *device),
        persistent: match enabled {
            Some("Continuous") => Some(true),
            Some("Once") => Some(false),
            _ => None,
        },
        mode: match override_of(system, "Mode") {
            Some("UEFI") => Some(BootMode::Uefi),
            Some("Legacy") => Some(BootMode::Bios),
            _ => None,
        },
        secure_boot: None,
    }
}

/// What a PATCH is to carry.
fn wish(system: &Value, order: BootOrder, target: &str, names: BootOverride) -> Value {
    let enabled = if order.persistent {
        "Continuous"
    } else {
        "Once"
    };
    let full = names == BootOverride::Full;
    let mut boot = Map::new();
    boot.insert("BootSourceOverrideTarget".to_owned(), target.into());
    let differs = override_of(system, "Enabled") != Some(enabled);
    if differs || names != BootOverride::Changed {
        boot.insert("BootSourceOverrideEnabled".to_owned(), enabled.into());
    }
    if full && let Some(mode) = override_of(system, "Mode") {
        boot.insert("BootSourceOverrideMode".to_owned(), mode.into());
    }
    json!({ "Boot": boot })
}

impl Conversation<'_> {
    /// What the machine boots from, in which mode, and whether only signed code.
    pub(super) async fn read_boot(&mut self) -> Result<BootState, BmcError> {
        let system = self.read_system().await?;
        let mut state = state_of(&system);
        if let Some(path) = answer::link_at(&system, "/SecureBoot") {
            let answer = self.request(&Method::GET, &path, None).await?;
            if answer.status.is_success()
                && let Ok(secure) = answer::resource(&answer.body)
            {
                state.secure_boot = secure.get("SecureBootEnable").and_then(Value::as_bool);
            }
        }
        Ok(state)
    }

    /// Sets the boot device.
    pub(super) async fn boot_from(&mut self, order: BootOrder) -> Result<(), BmcError> {
        let (system, headers) = self.read_versioned_system().await?;
        let known = TARGETS.iter().find(|(device, _)| *device == order.device);
        let allowed: Vec<&str> = system
            .pointer("/Boot/BootSourceOverrideTarget@Redfish.AllowableValues")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let target = known
            .map(|(_, word)| *word)
            .filter(|word| allowed.is_empty() || allowed.contains(word))
            .ok_or_else(|| {
                self.unsupported(&format!(
                    "it boots from [{}] and not from {}",
                    allowed.join(", "),
                    order.device
                ))
            })?;
        let body = wish(&system, order, target, self.link.vendor.boot_override);
        self.change_system(&system, &headers, &body).await
    }

    /// Sets the boot mode.
    pub(super) async fn set_boot_mode(&mut self, mode: BootMode) -> Result<(), BmcError> {
        let (system, headers) = self.read_versioned_system().await?;
        if override_of(&system, "Mode").is_none() {
            return Err(self.unsupported("it names no BootSourceOverrideMode"));
        }
        let mut boot = Map::new();
        boot.insert("BootSourceOverrideMode".to_owned(), word_of(mode).into());
        if self.link.vendor.boot_override == BootOverride::Full {
            for field in ["Target", "Enabled"] {
                if let Some(value) = override_of(&system, field) {
                    boot.insert(format!("BootSourceOverride{field}"), value.into());
                }
            }
        }
        self.change_system(&system, &headers, &json!({ "Boot": boot }))
            .await
    }

    /// Switches secure boot on or off.
    pub(super) async fn set_secure_boot(&mut self, on: bool) -> Result<(), BmcError> {
        let system = self.read_system().await?;
        let path = answer::link_at(&system, "/SecureBoot")
            .ok_or_else(|| self.unsupported("its system has no SecureBoot"))?;
        let found = self.request(&Method::GET, &path, None).await?;
        if !found.status.is_success() {
            return Err(self.unexpected(&found));
        }
        let version = version_in(&found.headers);
        let answer = self
            .change(&path, version, &json!({ "SecureBootEnable": on }))
            .await?;
        self.judge_change(&answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vendor::Vendor;

    fn system(maker: &str, enabled: &str) -> Value {
        json!({"Manufacturer": maker, "Boot": {
            "BootSourceOverrideTarget": "Hdd",
            "BootSourceOverrideEnabled": enabled,
            "BootSourceOverrideMode": "Legacy",
        }})
    }

    fn order(persistent: bool) -> BootOrder {
        BootOrder {
            device: BootDevice::Pxe,
            persistent,
            mode: BootMode::Uefi,
        }
    }

    #[test]
    fn reads_what_the_override_says() {
        let state = state_of(&system("Dell Inc.", "Continuous"));
        assert_eq!(state.device, Some(BootDevice::Disk));
        assert_eq!(state.persistent, Some(true));
        assert_eq!(state.mode, Some(BootMode::Bios));
        assert_eq!(state_of(&system("x", "Disabled")).persistent, None);
        assert_eq!(state_of(&json!({})), BootState::default());
    }

    #[test]
    fn says_how_long_only_where_that_changes_or_the_maker_wants_it() {
        let told = |maker, enabled| {
            let vendor = Vendor::for_maker(maker).unwrap_or_else(Vendor::generic);
            wish(
                &system(maker, enabled),
                order(false),
                "Pxe",
                vendor.boot_override,
            )
        };
        let boot = json!({"Boot": {"BootSourceOverrideTarget": "Pxe"}});
        assert_eq!(told("Dell Inc.", "Once"), boot);
        let boot = json!({"Boot": {
            "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once",
        }});
        assert_eq!(told("Dell Inc.", "Disabled"), boot);
        assert_eq!(told("Supermicro", "Once"), boot);
        let boot = json!({"Boot": {
            "BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once", "BootSourceOverrideMode": "Legacy",
        }});
        assert_eq!(told("American Megatrends International LLC.", "Once"), boot);
        assert_eq!(told("AMI", "Once"), boot);
    }
}
