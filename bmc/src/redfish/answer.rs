//! Reads the JSON that a BMC sends. Every function here is total: whatever the bytes are, the outcome is a value or a
//! reason, and what comes out is bounded.
//!
//! The power state has a parser of its own that looks at one field and skips the rest without allocating, because it
//! runs for every machine every minute. Everything else is read once per machine and goes through `serde_json::Value`,
//! whose nesting is limited to 128.

use super::reset_type::{ResetSet, ResetType};
use baton_model::port::bmc::PowerReading;
use hyper::Uri;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;

/// Longest link that is followed; real ones stay under 100 bytes.
pub(super) const LINK_BYTES_MAX: usize = 1024;
/// Most systems that are looked at; the largest blade enclosures hold 64.
pub(super) const MEMBERS_MAX: usize = 1024;
/// Most characters of a BMC's own words that go into an error; a `last_error` should stay readable.
pub(super) const TEXT_CHARS_MAX: usize = 300;
/// Most extended messages of one error that are shown; the first names the cause, the others repeat it.
const MESSAGES_MAX: usize = 3;

/// The power state in a ComputerSystem.
///
/// # Errors
/// What is wrong with the text, if it is no JSON object.
pub(super) fn power_state(body: &[u8]) -> Result<PowerReading, String> {
    #[derive(serde::Deserialize)]
    struct System {
        #[serde(rename = "PowerState", default)]
        power_state: Reading,
    }
    require_object(body)?;
    serde_json::from_slice::<System>(body)
        .map(|system| system.power_state.0)
        .map_err(|error| format!("not a JSON object: {error}"))
}

/// A `PowerState` of any JSON type.
struct Reading(PowerReading);

impl Default for Reading {
    fn default() -> Self {
        Self(PowerReading::Unknown)
    }
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyType;
        /// Everything but a text is an unknown state; it is still read to its end.
        const UNKNOWN: Reading = Reading(PowerReading::Unknown);
        impl<'de> Visitor<'de> for AnyType {
            type Value = Reading;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a power state")
            }
            fn visit_str<E>(self, word: &str) -> Result<Reading, E> {
                Ok(Reading(reading_of(word)))
            }
            fn visit_unit<E>(self) -> Result<Reading, E> {
                Ok(UNKNOWN)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Reading, E> {
                Ok(UNKNOWN)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Reading, E> {
                Ok(UNKNOWN)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Reading, E> {
                Ok(UNKNOWN)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Reading, E> {
                Ok(UNKNOWN)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Reading, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(UNKNOWN)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Reading, A::Error> {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(UNKNOWN)
            }
        }
        deserializer.deserialize_any(AnyType)
    }
}

/// What a word of `PowerState` means (DSP2046, `Resource.PowerState`). `Paused` and words of the future mean nothing.
fn reading_of(word: &str) -> PowerReading {
    match word {
        "On" => PowerReading::On,
        "Off" => PowerReading::Off,
        "PoweringOn" => PowerReading::PoweringOn,
        "PoweringOff" => PowerReading::PoweringOff,
        _ => PowerReading::Unknown,
    }
}

/// Serde reads a struct from a list as well; a resource is an object.
fn require_object(body: &[u8]) -> Result<(), String> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Ok(()),
        Some(b'<') => Err("a page of HTML or XML instead of JSON".to_owned()),
        Some(_) => Err("not a JSON object".to_owned()),
        None => Err("an empty answer".to_owned()),
    }
}

/// Any resource.
///
/// # Errors
/// What is wrong with the text, if it is no JSON object.
pub(super) fn resource(body: &[u8]) -> Result<Value, String> {
    require_object(body)?;
    serde_json::from_slice(body).map_err(|error| format!("not a JSON object: {error}"))
}

/// A link as a path on the BMC that sent it. Hosts in links are dropped: behind a port forward they are wrong, and
/// following them would carry credentials elsewhere.
#[must_use]
pub(super) fn link(text: &str) -> Option<Uri> {
    let path = match text.split_once("://") {
        Some(("http" | "https", rest)) => rest.find('/').and_then(|at| rest.get(at..))?,
        Some(_) => return None,
        None => text,
    };
    let fits = path.len() <= LINK_BYTES_MAX
        && path.starts_with('/')
        && !path.starts_with("//")
        && path.bytes().all(|byte| byte.is_ascii_graphic())
        && !path.contains('#');
    if fits { path.parse().ok() } else { None }
}

/// The `@odata.id` at a pointer.
#[must_use]
pub(super) fn link_at(resource: &Value, pointer: &str) -> Option<Uri> {
    resource
        .pointer(pointer)?
        .get("@odata.id")?
        .as_str()
        .and_then(link)
}

/// The links in a collection's `Members`; odd entries are left out.
#[must_use]
pub(super) fn members(collection: &Value) -> Vec<Uri> {
    collection
        .get("Members")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .take(MEMBERS_MAX)
        .filter_map(|member| member.get("@odata.id")?.as_str().and_then(link))
        .collect()
}

/// What a ComputerSystem says about its resets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResetAction {
    /// Where to post.
    pub(super) target: Uri,
    /// The allowed values; `None` if the resource names none.
    pub(super) allowed: Option<ResetSet>,
    /// Where the allowed values are, if they are elsewhere.
    pub(super) action_info: Option<Uri>,
}

/// The reset action of a ComputerSystem (DSP0266 §Actions).
#[must_use]
pub(super) fn reset_action(system: &Value) -> Option<ResetAction> {
    let action = system.get("Actions")?.get("#ComputerSystem.Reset")?;
    Some(ResetAction {
        target: action.get("target")?.as_str().and_then(link)?,
        allowed: action
            .get("ResetType@Redfish.AllowableValues")
            .and_then(reset_set),
        action_info: action
            .get("@Redfish.ActionInfo")
            .and_then(Value::as_str)
            .and_then(link),
    })
}

/// The allowed values of `ResetType` in an ActionInfo (DSP0266 §ActionInfo).
#[must_use]
pub(super) fn action_info(info: &Value) -> Option<ResetSet> {
    info.get("Parameters")?
        .as_array()?
        .iter()
        .find(|parameter| parameter.get("Name").and_then(Value::as_str) == Some("ResetType"))?
        .get("AllowableValues")
        .and_then(reset_set)
}

/// A list of reset words as a set; an empty list names nothing.
fn reset_set(values: &Value) -> Option<ResetSet> {
    let values = values.as_array().filter(|values| !values.is_empty())?;
    Some(
        values
            .iter()
            .filter_map(Value::as_str)
            .filter_map(ResetType::from_word)
            .collect(),
    )
}

/// A text field, trimmed and cut; `None` if it is absent, empty or no text.
#[must_use]
pub(super) fn text(resource: &Value, key: &str) -> Option<Box<str>> {
    let text = printable(resource.get(key)?.as_str()?.trim());
    (!text.is_empty()).then(|| text.into_boxed_str())
}

/// The words of an error answer: code, message and the extended messages. Empty if the body is no Redfish error.
#[must_use]
pub(super) fn error_words(body: &[u8]) -> String {
    let Ok(answer) = resource(body) else {
        return String::new();
    };
    // DSP0266 wraps the error; some BMCs answer with the bare list.
    let error = answer.get("error").unwrap_or(&answer);
    let mut words = Vec::new();
    for key in ["code", "message"] {
        if let Some(text) = error.get(key).and_then(Value::as_str) {
            words.push(text);
        }
    }
    let extended = error
        .get("@Message.ExtendedInfo")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .take(MESSAGES_MAX);
    for message in extended {
        for key in ["MessageId", "Message"] {
            if let Some(text) = message.get(key).and_then(Value::as_str)
                && !words.contains(&text)
            {
                words.push(text);
            }
        }
    }
    words.join(": ")
}

/// A text of unknown origin on one line, without control characters, cut to [`TEXT_CHARS_MAX`].
#[must_use]
pub(super) fn printable(text: &str) -> String {
    let mut out: String = text
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(TEXT_CHARS_MAX)
        .collect();
    if text.chars().nth(TEXT_CHARS_MAX).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests;
