//! Changes of BIOS settings. Sources: DSP2046 Bios; DSP0266 §Settings resource; Ironic `redfish/bios.py`.
//!
//! A change goes to the resource that holds pending settings and takes effect at the next start. Users write values as the
//! table shows them, as text; they are sent in the type that the setting has.

use super::answer;
use super::conversation::Conversation;
use baton_model::json::Json;
use baton_model::port::bmc::BmcError;
use hyper::Uri;
use serde_json::{Map, Value, json};

/// Names in a message that lists settings.
const NAMES_MAX: usize = 8;

/// A wanted value in the type of the present one.
fn typed(wanted: &Value, present: &Value) -> Value {
    let read = match (wanted, present) {
        (Value::String(text), Value::Bool(_)) => match text.to_ascii_lowercase().as_str() {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            _ => None,
        },
        (Value::String(text), Value::Number(_)) => {
            let number = text.trim().parse::<i64>().ok();
            number.map(Value::from)
        }
        (Value::Number(_) | Value::Bool(_), Value::String(_)) => {
            baton_model::node::bios::as_text(wanted)
        }
        (_, _) => None,
    };
    read.unwrap_or_else(|| wanted.clone())
}

/// What a PATCH is to carry; an error names the settings that the machine does not have.
fn wish(bios: &Value, wanted: &Map<String, Value>) -> Result<Value, String> {
    let present = bios.get("Attributes").and_then(Value::as_object);
    let find = |name: &str| present.and_then(|all| all.get(name));
    let unknown: Vec<&str> = wanted
        .keys()
        .map(String::as_str)
        .filter(|name| find(name).is_none())
        .take(NAMES_MAX)
        .collect();
    if !unknown.is_empty() {
        return Err(format!("it has no BIOS setting {}", unknown.join(", ")));
    }
    let attributes: Map<String, Value> = wanted
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), typed(value, find(name)?))))
        .collect();
    let mut body = json!({ "Attributes": attributes });
    let times = bios.pointer("/@Redfish.Settings/SupportedApplyTimes");
    let on_reset = times
        .and_then(Value::as_array)
        .is_some_and(|times| times.iter().any(|time| time == "OnReset"));
    if on_reset {
        body["@Redfish.SettingsApplyTime"] = json!({
            "@odata.type": "#Settings.v1_0_0.PreferredApplyTime", "ApplyTime": "OnReset",
        });
    }
    Ok(body)
}

impl Conversation<'_> {
    /// The Bios resource and where it is.
    async fn bios(&mut self) -> Result<(Uri, Value), BmcError> {
        let system = self.read_system().await?;
        let path = answer::link_at(&system, "/Bios");
        let path = path.ok_or_else(|| self.unsupported("its system has no Bios"))?;
        let bios = self.resource(&path).await?;
        let bios = bios.ok_or_else(|| self.unsupported("its Bios is not there"))?;
        Ok((path, bios))
    }

    /// Has settings changed at the next start.
    pub(super) async fn apply_bios(&mut self, wanted: &Json) -> Result<(), BmcError> {
        let (path, bios) = self.bios().await?;
        let body = wish(&bios, &wanted.to_map()).map_err(|why| self.unsupported(&why))?;
        let pending = answer::link_at(&bios, "/@Redfish.Settings/SettingsObject");
        self.change_unread(&pending.unwrap_or(path), &body).await
    }

    /// Has all settings reset at the next start.
    pub(super) async fn reset_bios(&mut self) -> Result<(), BmcError> {
        let (_, bios) = self.bios().await?;
        let target = bios
            .pointer("/Actions/#Bios.ResetBios/target")
            .and_then(Value::as_str)
            .and_then(answer::link)
            .ok_or_else(|| self.unsupported("its Bios has no action #Bios.ResetBios"))?;
        self.invoke(&target, &json!({})).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(value: &Value) -> Map<String, Value> {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn values_are_sent_in_the_type_that_the_setting_has() {
        let bios = json!({
            "Attributes": {"Flag": false, "Number": 1, "Text": "a", "Null": null},
            "@Redfish.Settings": {"SupportedApplyTimes": ["Immediate", "OnReset"]},
        });
        let wanted = json!({"Flag": "True", "Number": "8", "Text": 3, "Null": "x"});
        let body = wish(&bios, &map(&wanted)).expect("all are known");
        assert_eq!(
            body["Attributes"],
            json!({"Flag": true, "Number": 8, "Text": "3", "Null": "x"})
        );
        assert_eq!(body["@Redfish.SettingsApplyTime"]["ApplyTime"], "OnReset");
        let plain = wish(
            &json!({"Attributes": {"Flag": false}}),
            &map(&json!({"Flag": "maybe"})),
        );
        assert_eq!(plain, Ok(json!({"Attributes": {"Flag": "maybe"}})));
    }

    #[test]
    fn a_setting_that_is_not_there_is_named() {
        let told = wish(
            &json!({"Attributes": {"A": 1}}),
            &map(&json!({"A": 2, "B": 2})),
        );
        assert_eq!(told, Err("it has no BIOS setting B".to_owned()));
    }
}
