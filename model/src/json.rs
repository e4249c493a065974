//! [`Json`]: a free-form JSON object kept as text.
//!
//! `driver_info`, `properties`, `extra` and their like are stored as they came, compact and canonical (keys sorted),
//! which costs a tenth of a parsed tree in memory and survives bincode, which cannot carry `serde_json::Value`.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};
use serde_json::{Map, Value, value::RawValue};
use std::fmt;

/// The text of an empty object, shared by all the many empty fields.
const EMPTY: &str = "{}";

/// A JSON object. `None` inside stands for `{}`, so the many empty fields of a node cost eight bytes each.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Json(Option<Box<str>>);

impl Json {
    /// The empty object.
    pub const EMPTY: Self = Self(None);

    /// Wraps a parsed object; keys come out sorted.
    #[must_use]
    pub fn from_map(map: &Map<String, Value>) -> Self {
        if map.is_empty() {
            return Self(None);
        }
        // Serialising a tree of JSON values cannot fail: every key is a string.
        Self(serde_json::to_string(map).ok().map(String::into_boxed_str))
    }

    /// Wraps a text that must be a JSON object.
    ///
    /// # Errors
    /// The parser's complaint, if the text is no JSON object.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str::<Map<String, Value>>(text).map(|map| Self::from_map(&map))
    }

    /// The compact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(EMPTY)
    }

    /// The parsed object.
    #[must_use]
    pub fn to_map(&self) -> Map<String, Value> {
        // Every constructor checked that the text is an object.
        self.0
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    }

    /// Whether the object has no keys.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl From<Map<String, Value>> for Json {
    fn from(map: Map<String, Value>) -> Self {
        Self::from_map(&map)
    }
}

/// The content may hold credentials, so only its size is shown.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let raw: &RawValue = serde_json::from_str(self.as_str()).map_err(S::Error::custom)?;
            raw.serialize(serializer)
        } else {
            self.as_str().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Map::<String, Value>::deserialize(deserializer).map(|map| Self::from_map(&map))
        } else {
            let text = <Box<str>>::deserialize(deserializer)?;
            Self::parse(&text).map_err(D::Error::custom)
        }
    }
}
