//! What the machine boots from: the boot override and secure boot. Sources: DSP2046 ComputerSystem `Boot` and SecureBoot;
//! DSP0266 §ETags; Ironic `redfish/management.py` and sushy `resources/system/system.py` for what vendors want.
//!
//! Changes go out as one PATCH that names the version it was meant for. Some BMCs send versions that they do not accept
//! back: a weak one is tried as a strong one, and then none is named at all (sushy `connector.py`).

use super::answer;
use super::conversation::Conversation;
use super::exchange::Answer;
use crate::vendor::Vendor;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};
use baton_model::port::bmc::BmcError;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde_json::{Map, Value, json};

/// `BootSourceOverrideTarget` of each device.
const TARGETS: [(BootDevice, &str); 5] = [
    (BootDevice::Pxe, "Pxe"),
    (BootDevice::Disk, "Hdd"),
    (BootDevice::Cdrom, "Cd"),
    (BootDevice::Bios, "BiosSetup"),
    (BootDevice::UefiHttp, "UefiHttp"),
];

/// Makers, in lower case, whose BMCs want `BootSourceOverrideEnabled` also where it does not change.
const ALWAYS_ENABLED: &[&str] = &["supermicro", "super micro"];

/// Makers, in lower case, whose BMCs want the mode beside it.
const FULL_SET: &[&str] = &["american megatrends", "ami", "asrockrack", "asrock rack"];

fn is_by(system: &Value, makers: &[&str]) -> bool {
    let maker = answer::text(system, "Manufacturer").unwrap_or_default();
    let maker = maker.to_ascii_lowercase();
    makers
        .iter()
        .any(|known| maker == *known || maker.starts_with(&format!("{known} ")))
}

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
fn wish(system: &Value, order: BootOrder, target: &str) -> Value {
    let enabled = if order.persistent {
        "Continuous"
    } else {
        "Once"
    };
    let full = is_by(system, FULL_SET);
    let mut boot = Map::new();
    boot.insert("BootSourceOverrideTarget".to_owned(), target.into());
    let differs = override_of(system, "Enabled") != Some(enabled);
    if differs || full || is_by(system, ALWAYS_ENABLED) {
        boot.insert("BootSourceOverrideEnabled".to_owned(), enabled.into());
    }
    if full && let Some(mode) = override_of(system, "Mode") {
        boot.insert("BootSourceOverrideMode".to_owned(), mode.into());
    }
    json!({ "Boot": boot })
}

/// A strong version made of a weak one (RFC 9110 §8.8.1).
fn strengthened(version: &HeaderValue) -> Option<HeaderValue> {
    let strong = version.to_str().ok()?.strip_prefix("W/")?;
    HeaderValue::from_str(strong).ok()
}

fn version_in(headers: &HeaderMap) -> Option<HeaderValue> {
    headers
        .get(header::ETAG)
        .filter(|version| !version.is_empty())
        .cloned()
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
        let body = wish(&system, order, target);
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
        if is_by(&system, FULL_SET) {
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

    /// PATCHes the system, or where it cannot be changed itself, the resource that holds its pending settings.
    async fn change_system(
        &mut self,
        system: &Value,
        headers: &HeaderMap,
        body: &Value,
    ) -> Result<(), BmcError> {
        let path = self.system_path().await?;
        let answer = self.change(&path, version_in(headers), body).await?;
        let elsewhere = answer::link_at(system, "/@Redfish.Settings/SettingsObject");
        if answer.status == StatusCode::METHOD_NOT_ALLOWED
            && let Some(settings) = elsewhere
        {
            let found = self.request(&Method::GET, &settings, None).await?;
            let version = version_in(&found.headers);
            let answer = self.change(&settings, version, body).await?;
            return self.judge_change(&answer);
        }
        self.judge_change(&answer)
    }

    /// One change, meant for a version of the resource.
    async fn change(
        &mut self,
        path: &Uri,
        version: Option<HeaderValue>,
        body: &Value,
    ) -> Result<Answer, BmcError> {
        let strong = version.as_ref().and_then(strengthened);
        let mut tries = vec![version];
        if let [Some(_)] = tries.as_slice() {
            tries.extend(strong.map(Some));
            tries.push(None);
        }
        let body = Bytes::from(body.to_string());
        let last = tries.len().saturating_sub(1);
        for (at, version) in tries.into_iter().enumerate() {
            self.if_match = version;
            let answer = self.request(&Method::PATCH, path, Some(body.clone())).await;
            self.if_match = None;
            let answer = answer?;
            if answer.status != StatusCode::PRECONDITION_FAILED || at == last {
                return Ok(answer);
            }
        }
        Err(self.garbled("it was asked nothing"))
    }

    fn judge_change(&self, answer: &Answer) -> Result<(), BmcError> {
        match answer.status {
            status if status.is_success() => Ok(()),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                Err(BmcError::Unsupported {
                    bmc: self.name(),
                    operation: self.operation,
                    reason: self.words(answer),
                })
            }
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT | StatusCode::PRECONDITION_FAILED => {
                let words = answer::error_words(&answer.body);
                if Vendor::means_busy(&words) {
                    Err(self.busy(answer))
                } else {
                    Err(self.declined(answer))
                }
            }
            _ => Err(self.unexpected(answer)),
        }
    }

    fn unsupported(&self, reason: &str) -> BmcError {
        BmcError::Unsupported {
            bmc: self.name(),
            operation: self.operation,
            reason: self.clean(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let told = |maker, enabled| wish(&system(maker, enabled), order(false), "Pxe");
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

    #[test]
    fn a_weak_version_becomes_a_strong_one() {
        let weak = HeaderValue::from_static("W/\"1-2\"");
        assert_eq!(
            strengthened(&weak),
            Some(HeaderValue::from_static("\"1-2\""))
        );
        assert_eq!(strengthened(&HeaderValue::from_static("\"1-2\"")), None);
    }
}
