//! The boot override of a simulated system: what `PATCH` may set and `GET` shows.

use super::message::Answer;
use serde_json::Value;

pub(super) const TARGETS: &[&str] = &["None", "Pxe", "Hdd", "Cd", "Usb", "BiosSetup", "UefiHttp"];
const ENABLED: &[&str] = &["Disabled", "Once", "Continuous"];
const LEDS: &[&str] = &["Off", "Lit", "Blinking"];
const MODES: &[&str] = &["UEFI", "Legacy"];

/// The override, and the light. Each value is one of a fixed list, so it costs no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// `BootSourceOverrideTarget`.
    pub target: &'static str,
    /// `BootSourceOverrideEnabled`.
    pub enabled: &'static str,
    /// `BootSourceOverrideMode`.
    pub mode: &'static str,
    /// `IndicatorLED` of the system, which is changed with it.
    pub led: &'static str,
}

impl Default for Boot {
    fn default() -> Self {
        Self {
            target: "None",
            enabled: "Disabled",
            mode: "UEFI",
            led: "Off",
        }
    }
}

impl Boot {
    /// Applies a `PATCH` body, all of it or nothing.
    pub(super) fn patched(self, body: &[u8]) -> Result<Self, Box<Answer>> {
        let Ok(Value::Object(patch)) = serde_json::from_slice::<Value>(body) else {
            return Err(Box::new(Answer::complain(
                400,
                "Base.1.8.MalformedJSON",
                "The request body was not a JSON object.",
            )));
        };
        let mut boot = self;
        for (key, value) in &patch {
            match (key.as_str(), value) {
                ("Boot", Value::Object(fields)) => {
                    for (field, value) in fields {
                        boot.set(field, value)?;
                    }
                }
                ("IndicatorLED", value) => boot.set(key, value)?,
                _other => return Err(unknown(key).into()),
            }
        }
        Ok(boot)
    }

    fn set(&mut self, field: &str, value: &Value) -> Result<(), Box<Answer>> {
        let (slot, list) = match field {
            "BootSourceOverrideTarget" => (&mut self.target, TARGETS),
            "BootSourceOverrideEnabled" => (&mut self.enabled, ENABLED),
            "BootSourceOverrideMode" => (&mut self.mode, MODES),
            "IndicatorLED" => (&mut self.led, LEDS),
            _other => return Err(unknown(field).into()),
        };
        match list.iter().find(|one| value.as_str() == Some(one)) {
            Some(one) => *slot = one,
            None => {
                return Err(Box::new(Answer::complain(
                    400,
                    "Base.1.8.PropertyValueNotInList",
                    &format!(
                        "The value {value} for the property {field} is not in the list of acceptable values."
                    ),
                )));
            }
        }
        Ok(())
    }
}

fn unknown(property: &str) -> Answer {
    Answer::complain(
        400,
        "Base.1.8.PropertyUnknown",
        &format!(
            "The property {property} is not in the list of valid properties for the resource."
        ),
    )
}
