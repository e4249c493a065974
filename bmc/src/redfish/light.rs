//! The lights that help to find a machine. Sources: DSP2046 ComputerSystem and Chassis, `IndicatorLED` and its successor
//! `LocationIndicatorActive`; Ironic `redfish/management.py` for the names.

use super::answer;
use super::conversation::Conversation;
use super::resource::links;
use baton_model::json::Json;
use baton_model::port::bmc::BmcError;
use baton_model::port::inquiry::{Glow, Light, Part};
use hyper::Uri;
use serde_json::{Value, json};

/// Most boxes that are looked at; a blade stands in its own and in an enclosure.
const CHASSIS_MAX: usize = 4;

const LED: &str = "IndicatorLED";
const LOCATION: &str = "LocationIndicatorActive";

/// The light of a part, if it has one.
fn light(part: Part, resource: &Value) -> Option<Light> {
    let glow = match (resource.get(LED), resource.get(LOCATION)) {
        (Some(Value::String(word)), _) => match word.as_str() {
            "Lit" => Glow::On,
            "Blinking" => Glow::Blinking,
            "Off" => Glow::Off,
            _ => Glow::Unknown,
        },
        // It says that the light is there to be found, whatever it does for that.
        (_, Some(Value::Bool(true))) => Glow::On,
        (_, Some(Value::Bool(false))) => Glow::Off,
        (_, _) => return None,
    };
    let id = answer::text(resource, "UUID").or_else(|| answer::text(resource, "Id"))?;
    Some(Light { part, id, glow })
}

/// The change that makes a light glow so.
fn wish(resource: &Value, glow: Glow) -> Value {
    if resource.get(LED).is_some_and(Value::is_string) {
        let word = match glow {
            Glow::On => "Lit",
            Glow::Blinking => "Blinking",
            Glow::Off | Glow::Unknown => "Off",
        };
        json!({ LED: word })
    } else {
        json!({ LOCATION: matches!(glow, Glow::On | Glow::Blinking) })
    }
}

impl Conversation<'_> {
    /// The parts that may have a light, with where they are.
    async fn parts(&mut self) -> Result<Vec<(Part, Uri, Value)>, BmcError> {
        let system = self.read_system().await?;
        let boxes = links(&system, "/Links/Chassis");
        let mut parts = vec![(Part::System, self.system_path().await?, system)];
        for path in boxes.into_iter().take(CHASSIS_MAX) {
            if let Some(chassis) = self.resource(&path).await? {
                parts.push((Part::Chassis, path, chassis));
            }
        }
        Ok(parts)
    }

    /// All lights and what they do.
    pub(super) async fn read_lights(&mut self) -> Result<Vec<Light>, BmcError> {
        let parts = self.parts().await?;
        let lights = parts
            .iter()
            .filter_map(|(part, _, resource)| light(*part, resource));
        Ok(lights.collect())
    }

    /// Switches a light.
    pub(super) async fn set_light(&mut self, cargo: &Json) -> Result<(), BmcError> {
        let cargo = cargo.to_map();
        let word = |key: &str| cargo.get(key).and_then(Value::as_str).unwrap_or_default();
        let glow = Glow::parse(word("glow"))
            .ok_or_else(|| self.unsupported("a light is on, off or blinking"))?;
        let parts = self.parts().await?;
        let (_, path, resource) = parts
            .iter()
            .find(|(part, _, resource)| {
                light(*part, resource)
                    .is_some_and(|light| part.as_str() == word("part") && *light.id == *word("id"))
            })
            .ok_or_else(|| self.unsupported(&format!("it has no light {}", word("id"))))?;
        self.change_unread(path, &wish(resource, glow)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_read_and_told_in_the_words_that_its_part_knows() {
        let old = json!({"UUID": "u", "Id": "1", "IndicatorLED": "Blinking"});
        let found = light(Part::System, &old).expect("a light");
        assert_eq!((&*found.id, found.glow), ("u", Glow::Blinking));
        assert_eq!(wish(&old, Glow::On), json!({"IndicatorLED": "Lit"}));
        let new = json!({"Id": "1", "IndicatorLED": null, "LocationIndicatorActive": false});
        let found = light(Part::Chassis, &new).expect("a light");
        assert_eq!((&*found.id, found.glow), ("1", Glow::Off));
        assert_eq!(
            wish(&new, Glow::Blinking),
            json!({"LocationIndicatorActive": true})
        );
        assert_eq!(light(Part::System, &json!({"Id": "1"})), None);
    }
}
