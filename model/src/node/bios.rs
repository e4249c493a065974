//! BIOS settings: what a step wants of them, and whether a machine has it.
//!
//! Values are kept and compared as text, as Ironic's table of settings has them; a BMC is sent what the user wrote.

use crate::json::Json;
use serde_json::{Map, Value, json};

/// A value as the table of settings keeps it; `None` for what is no value.
#[must_use]
pub fn as_text(value: &Value) -> Option<Value> {
    match value {
        Value::Null => Some(Value::Null),
        Value::String(text) => Some(text.as_str().into()),
        Value::Bool(true) => Some("True".into()),
        Value::Bool(false) => Some("False".into()),
        Value::Number(number) => Some(number.to_string().into()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// The settings that a step carries, by name; an error tells what is wrong with them.
pub(crate) fn wanted(step: &Value) -> Result<Map<String, Value>, &'static str> {
    const SHAPE: &str =
        "needs args.settings, a list of objects with name and value of BIOS settings.";
    let settings = step.pointer("/args/settings").and_then(Value::as_array);
    let settings = settings.filter(|list| !list.is_empty()).ok_or(SHAPE)?;
    let mut wanted = Map::new();
    for setting in settings {
        let name = setting.get("name").and_then(Value::as_str);
        let name = name.filter(|name| !name.is_empty()).ok_or(SHAPE)?;
        let value = setting.get("value").ok_or(SHAPE)?;
        as_text(value).ok_or(SHAPE)?;
        wanted.insert(name.to_owned(), value.clone());
    }
    Ok(wanted)
}

/// The settings that a machine does not have as wanted, each with what it has.
pub(crate) fn unapplied(wanted: &Map<String, Value>, known: Option<&Json>) -> Vec<String> {
    let known = known.map(Json::to_map).unwrap_or_default();
    wanted
        .iter()
        .filter_map(|(name, value)| {
            let has = known.get(name).and_then(|setting| setting.get("value"));
            // Clients write booleans in either case.
            let same = match (has, as_text(value)) {
                (Some(Value::String(has)), Some(Value::String(wants))) => {
                    *has == wants || (is_flag(has) && has.eq_ignore_ascii_case(&wants))
                }
                (has, wants) => has == wants.as_ref(),
            };
            let shown = has.map_or_else(|| "not there".to_owned(), Value::to_string);
            (!same).then(|| format!("{name} is {shown}"))
        })
        .collect()
}

fn is_flag(text: &str) -> bool {
    matches!(text, "True" | "False")
}

/// The table that a fake BIOS has after a step: what it was told and nothing else (Ironic `drivers/modules/fake.py`).
pub(crate) fn fake_table(wanted: &Map<String, Value>) -> Json {
    let rows = wanted
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), json!({"value": as_text(value)?}))));
    Json::from_map(&rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(settings: &Value) -> Value {
        json!({"interface": "bios", "step": "apply_configuration", "args": {"settings": settings}})
    }

    #[test]
    fn a_step_without_settings_is_told_what_it_needs() {
        for wrong in [
            json!(null),
            json!([]),
            json!([1]),
            json!([{"name": "A"}]),
            json!([{"name": "", "value": 1}]),
            json!([{"name": "A", "value": [1]}]),
        ] {
            assert!(wanted(&step(&wrong)).is_err(), "{wrong}");
        }
        let right = wanted(&step(&json!([{"name": "A", "value": true}]))).expect("fine");
        assert_eq!(right["A"], true);
    }

    #[test]
    fn values_are_compared_as_the_table_shows_them() {
        let settings = json!([
            {"name": "Same", "value": "x"}, {"name": "Flag", "value": "true"}, {"name": "Number", "value": 8},
            {"name": "Other", "value": "y"}, {"name": "Missing", "value": false},
        ]);
        let wanted = wanted(&step(&settings)).expect("fine");
        let known = json!({
            "Same": {"value": "x"}, "Flag": {"value": "True"}, "Number": {"value": "8"}, "Other": {"value": "z"},
        });
        let known = Json::from_map(known.as_object().expect("an object"));
        assert_eq!(
            unapplied(&wanted, Some(&known)),
            ["Missing is not there", "Other is \"z\""]
        );
        assert_eq!(unapplied(&wanted, None).len(), 5);
        assert!(unapplied(&wanted, Some(&fake_table(&wanted))).is_empty());
    }
}
