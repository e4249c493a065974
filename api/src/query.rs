//! Query strings, and the scalar arguments that Ironic takes from the query or the body alike.

use crate::error::ApiError;
use baton_model::driver::python;
use serde_json::{Map, Value};

/// Deepest JSON nesting accepted; Ironic's guard has the same number.
pub(crate) const JSON_DEPTH_MAX: u32 = 25;

/// A decoded query string, in its order.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes `a=b&c=d`. Bytes that are no UTF-8 become replacement characters, which no valid value holds.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let pairs = text
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(key), decode(value))
            })
            .collect();
        Self(pairs)
    }

    /// The first value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(name, _)| name == key)?;
        Some(value)
    }

    /// Every value of a key that may repeat.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// A boolean.
    pub(crate) fn flag(&self, key: &'static str) -> Result<Option<bool>, ApiError> {
        self.get(key).map(|text| parse_flag(key, text)).transpose()
    }

    /// Refuses keys that the endpoint does not know.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let unknown = self
            .0
            .iter()
            .map(|(key, _)| key.as_str())
            .filter(|key| !known.contains(key));
        refuse_unexpected(unknown)
    }

    /// The pairs except these keys, for a `next` link.
    pub(crate) fn without(&self, keys: &[&str]) -> impl Iterator<Item = &(String, String)> {
        self.0
            .iter()
            .filter(move |(key, _)| !keys.contains(&key.as_str()))
    }
}

/// The arguments of a PUT: the members of the JSON body, and whatever the query adds.
#[derive(Debug)]
pub(crate) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Collects `known` arguments; anything else is refused.
    pub(crate) fn collect(query: &Query, body: &[u8], known: &[&str]) -> Result<Self, ApiError> {
        let mut map = if body.iter().all(u8::is_ascii_whitespace) {
            Map::new()
        } else {
            match parse_json(body)? {
                Value::Object(map) => map,
                Value::Null => Map::new(),
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    return Err(ApiError::bad("The request body must be a JSON object."));
                }
            }
        };
        for (key, value) in &query.0 {
            map.entry(key.as_str())
                .or_insert_with(|| Value::String(value.clone()));
        }
        refuse_unexpected(
            map.keys()
                .map(String::as_str)
                .filter(|key| !known.contains(key)),
        )?;
        Ok(Self(map))
    }

    /// An argument that is there and not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// Takes an argument out.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }

    /// What is left.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }

    /// A text that has to be there.
    pub(crate) fn text(&self, key: &'static str) -> Result<&str, ApiError> {
        self.opt_text(key)?
            .ok_or_else(|| ApiError::bad(format!("Missing mandatory parameter: {key}")))
    }

    /// A text.
    pub(crate) fn opt_text(&self, key: &'static str) -> Result<Option<&str>, ApiError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::Array(_)
                | Value::Object(_),
            ) => Err(ApiError::bad(format!("Expected string for {key}."))),
        }
    }

    /// A boolean.
    pub(crate) fn flag(&self, key: &'static str) -> Result<Option<bool>, ApiError> {
        self.get(key)
            .map(|value| flag_of(key, value).map_err(ApiError::bad))
            .transpose()
    }
}

fn refuse_unexpected<'a>(keys: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let mut unknown: Vec<&str> = keys.collect();
    if unknown.is_empty() {
        return Ok(());
    }
    unknown.sort_unstable();
    unknown.dedup();
    Err(ApiError::bad(format!(
        "Unexpected arguments: {}",
        unknown.join(", ")
    )))
}

/// Parses a body, after the depth guard.
pub(crate) fn parse_json(body: &[u8]) -> Result<Value, ApiError> {
    guard_depth(body)?;
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad(format!("The request body is not valid JSON: {error}")))
}

fn guard_depth(body: &[u8]) -> Result<(), ApiError> {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_u32, 0_u32, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > JSON_DEPTH_MAX {
        return Err(ApiError::guard(
            axum::http::StatusCode::BAD_REQUEST,
            format!("The request body nests JSON deeper than {JSON_DEPTH_MAX} levels."),
        ));
    }
    Ok(())
}

/// A boolean as clients spell it in queries.
pub(crate) fn parse_flag(name: &str, text: &str) -> Result<bool, ApiError> {
    flag_of(name, &Value::String(text.to_owned())).map_err(ApiError::bad)
}

/// A boolean as clients spell it in bodies: real ones, 0 and 1, and the words. `Err` is Ironic's text.
pub(crate) fn flag_of(name: &str, value: &Value) -> Result<bool, String> {
    let found = match value {
        Value::Bool(flag) => Some(*flag),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            python::bool_from_str(&python::display(value))
        }
    };
    found.ok_or_else(|| {
        let shown: String = python::display(value).chars().take(SHOWN_MAX).collect();
        format!(
            "Invalid {name}: Unrecognized value '{shown}', acceptable values are: '0', '1', 'f', 'false', 'n', 'no', \
             'off', 'on', 't', 'true', 'y', 'yes'"
        )
    })
}

/// Longest part of a wrong value that an error text repeats.
const SHOWN_MAX: usize = 255;

fn decode(text: &str) -> String {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = match (first, after) {
            (b'%', [high, low, ..]) => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or(&[]);
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}

/// Encodes a value for a query string.
pub(crate) fn encode_into(text: &str, out: &mut String) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b',' | b':') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_and_refuses_what_it_does_not_know() {
        let query = Query::parse(Some("target=power%20on&a=1+2&flag&x=%zz"));
        assert_eq!(query.get("target"), Some("power on"));
        assert_eq!(query.get("a"), Some("1 2"));
        assert_eq!(query.get("flag"), Some(""));
        assert_eq!(query.get("x"), Some("%zz"));
        let error = query.only(&["target"]).expect_err("three are unknown");
        assert_eq!(error.text, "Unexpected arguments: a, flag, x");
    }

    #[test]
    fn arguments_come_from_body_or_query() {
        let query = Query::parse(Some("target=off"));
        let found = Arguments::collect(&query, b"{\"target\":\"on\"}", &["target"]).expect("fine");
        assert_eq!(found.text("target"), Ok("on"));
        let found = Arguments::collect(&query, b"", &["target"]).expect("fine");
        assert_eq!(found.text("target"), Ok("off"));
        assert_eq!(
            found.text("timeout").expect_err("missing").text,
            "Missing mandatory parameter: timeout"
        );
        for body in ["[]", "5", "{", "\"x\""] {
            let error = Arguments::collect(&query, body.as_bytes(), &["target"]);
            assert_eq!(error.expect_err("refused").status.as_u16(), 400, "{body}");
        }
    }

    #[test]
    fn depth_is_guarded_outside_strings() {
        let deep = format!("{}1{}", "[".repeat(26), "]".repeat(26));
        assert!(parse_json(deep.as_bytes()).is_err());
        let flat = format!("{{\"a\":\"{}\"}}", "[".repeat(100));
        assert!(parse_json(flat.as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn values_survive_a_link(text in any::<String>()) {
            let mut encoded = String::from("k=");
            encode_into(&text, &mut encoded);
            let query = Query::parse(Some(&encoded));
            prop_assert_eq!(query.get("k"), Some(text.as_str()));
        }
    }
}
