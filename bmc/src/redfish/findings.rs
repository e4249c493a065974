//! What the BMC shows of the machine's firmware: BIOS settings, and the versions of BIOS and BMC. Sources: DSP2046 Bios and
//! Manager; Ironic `redfish/bios.py` and `redfish/firmware.py` for the fields and the names of the components.
//!
//! What each setting may be is in an attribute registry, which is not read: names and values are.

use super::answer;
use super::conversation::Conversation;
use baton_model::json::Json;
use baton_model::node::bios::as_text;
use baton_model::port::bmc::BmcError;
use baton_model::port::inquiry::Findings;
use serde_json::{Map, Value, json};

/// Most settings that are kept. The largest BIOS we know of shows some 1200.
const SETTINGS_MAX: usize = 2000;

/// Longest name or value of a setting that is kept; what is longer is left out. With [`SETTINGS_MAX`] of them at a usual
/// length this stays below what one object may hold.
const TEXT_BYTES_MAX: usize = 512;

/// How much all settings may take together; half of what an object may hold.
const ALL_BYTES_MAX: usize = 128 << 10;

/// The settings in a Bios resource, each as `{"value": text}`: Ironic keeps every value as text.
fn settings(bios: &Value) -> Option<Json> {
    let attributes = bios.get("Attributes")?.as_object()?;
    let mut room = ALL_BYTES_MAX;
    let mut all = Map::new();
    for (name, value) in attributes.iter().take(SETTINGS_MAX) {
        let Some(text) = as_text(value) else {
            continue;
        };
        let bytes = name.len() + text.as_str().map_or(0, str::len);
        // Quotes, braces and the word around them.
        let taken = bytes + 32;
        if bytes > TEXT_BYTES_MAX || taken > room {
            continue;
        }
        room -= taken;
        all.insert(name.clone(), json!({ "value": text }));
    }
    Some(Json::from_map(&all))
}

impl Conversation<'_> {
    /// BIOS settings, and the versions of BIOS and BMC.
    pub(super) async fn read_findings(&mut self) -> Result<Findings, BmcError> {
        let system = self.read_system().await?;
        let bios = self.linked(&system, "/Bios").await?;
        let pending = bios
            .as_ref()
            .and_then(|bios| bios.get("ResetBiosToDefaultsPending"));
        let reset_pending = pending == Some(&Value::Bool(true));
        let bios = bios.as_ref().and_then(settings);
        let mut components = Map::new();
        let mut add = |name: &str, version: Option<Box<str>>| {
            if let Some(version) = version {
                let component = json!({"initial_version": version, "current_version": version});
                components.insert(name.to_owned(), component);
            }
        };
        add("bios", answer::text(&system, "BiosVersion"));
        add("bmc", self.identify().await?.firmware);
        Ok(Findings {
            bios,
            reset_pending,
            firmware: (!components.is_empty()).then(|| Json::from_map(&components)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_as_text_and_what_is_no_value_is_left_out() {
        let bios = json!({"Attributes": {
            "BootMode": "Uefi", "Cores": 8, "Virtualization": true, "AssetTag": null, "Odd": [1],
            "Long": "x".repeat(TEXT_BYTES_MAX + 1),
        }});
        let kept = settings(&bios).expect("settings").to_map();
        let kept = Value::Object(kept);
        assert_eq!(
            kept,
            json!({
                "AssetTag": {"value": null}, "BootMode": {"value": "Uefi"}, "Cores": {"value": "8"},
                "Virtualization": {"value": "True"},
            })
        );
        assert_eq!(settings(&json!({})), None);
    }

    #[test]
    fn however_many_there_are_they_fit_into_one_object() {
        let many: Map<String, Value> = (0..SETTINGS_MAX * 2)
            .map(|n| (format!("{n:0>200}"), json!("y".repeat(200))))
            .collect();
        let kept = settings(&json!({ "Attributes": many })).expect("settings");
        assert!(kept.as_str().len() <= baton_model::object::BODY_BYTES_MAX);
    }
}
