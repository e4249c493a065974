//! JSON patch (RFC 6902) with Ironic's rules: `add`, `replace` and `remove` only, in order, all or nothing.
//!
//! Paths are real RFC 6901 pointers of any depth; Ironic's own path pattern refuses `.`, `~0` and spaces although 1.98
//! promises them. The patched document is the unmasked one, so a client changes single secrets without knowing others.

use crate::error::ApiError;
use crate::query::{JSON_DEPTH_MAX, parse_json};
use baton_model::driver::python;
use baton_model::mask::{MASK, is_secret_key, mask_map};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Most operations of one patch. `nova` sends about 25; openstacksdk one for each changed key.
const OPERATIONS_MAX: usize = 1000;

/// Longest rendering of a patch in an error text.
const SHOWN_CHARS_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Add(Value),
    Replace(Value),
    Remove,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    op: Op,
    /// The path as it came.
    pub(crate) path: String,
    /// Its decoded parts; never empty.
    tokens: Vec<String>,
}

impl Operation {
    /// The field that it is about.
    pub(crate) fn root(&self) -> &str {
        self.tokens.first().map_or("", String::as_str)
    }
}

/// A list of operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Patch(Vec<Operation>);

impl Patch {
    /// Reads a patch.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let schema = |text: String| ApiError::bad(format!("Schema error for patch: {text}"));
        let items = match parse_json(body)? {
            Value::Array(items) => items,
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Object(_)) => {
                let shown = shown(&other);
                return Err(schema(format!("{shown} is not of type 'array'")));
            }
        };
        if items.len() > OPERATIONS_MAX {
            return Err(schema(format!("more than {OPERATIONS_MAX} operations")));
        }
        items
            .into_iter()
            .map(|item| parse_operation(item).map_err(schema))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The operations.
    pub(crate) fn operations(&self) -> &[Operation] {
        &self.0
    }

    /// The fields it is about.
    pub(crate) fn roots(&self) -> BTreeSet<&str> {
        self.0.iter().map(Operation::root).collect()
    }

    /// Applies it. On an error `document` is left half changed, for the caller to drop.
    pub(crate) fn apply(&self, document: &mut Map<String, Value>) -> Result<(), ApiError> {
        for operation in &self.0 {
            apply(operation, document).map_err(|reason| {
                let patch = self.shown();
                ApiError::bad(format!("Couldn't apply patch '{patch}'. Reason: {reason}"))
            })?;
        }
        Ok(())
    }

    /// The patch as error texts show it: Python's rendering, secrets masked, cut.
    fn shown(&self) -> String {
        let items = self
            .0
            .iter()
            .map(|operation| {
                let secret = operation.tokens.iter().any(|token| is_secret_key(token));
                let (op, value) = match &operation.op {
                    Op::Add(value) => ("add", Some(value)),
                    Op::Replace(value) => ("replace", Some(value)),
                    Op::Remove => ("remove", None),
                };
                let mut item = Map::new();
                item.insert("op".to_owned(), Value::from(op));
                item.insert("path".to_owned(), Value::from(operation.path.clone()));
                if let Some(value) = value {
                    let value = if secret {
                        Value::from(MASK)
                    } else {
                        value.clone()
                    };
                    item.insert("value".to_owned(), value);
                }
                mask_map(&mut item, &[]);
                Value::Object(item)
            })
            .collect();
        shown(&Value::Array(items))
    }
}

fn shown(value: &Value) -> String {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        mask_map(map, &[]);
    }
    python::display(&value)
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect()
}

fn parse_operation(item: Value) -> Result<Operation, String> {
    let Value::Object(mut item) = item else {
        return Err(format!("{} is not of type 'object'", shown(&item)));
    };
    let word = |value: Option<Value>, key: &str| match value {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("{} is not of type 'string'", shown(&other))),
        None => Err(format!("'{key}' is a required property")),
    };
    let op = word(item.remove("op"), "op")?;
    let path = word(item.remove("path"), "path")?;
    let value = item.remove("value");
    if let Some((key, _)) = item.into_iter().next() {
        return Err(format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        ));
    }
    let needed = || "The operation does not contain a 'value' member".to_owned();
    let op = match op.as_str() {
        "add" => Op::Add(value.ok_or_else(needed)?),
        "replace" => Op::Replace(value.ok_or_else(needed)?),
        "remove" => Op::Remove,
        other => {
            return Err(format!(
                "'{}' is not one of ['add', 'replace', 'remove']",
                other.chars().take(64).collect::<String>()
            ));
        }
    };
    let tokens = path
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty())
        .ok_or_else(|| format!("'{path}' is not a JSON pointer"))?
        .split('/')
        .map(decode)
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| format!("'{path}' is not a JSON pointer"))?;
    if tokens.len() > usize::try_from(JSON_DEPTH_MAX).unwrap_or(usize::MAX) {
        return Err(format!("a path is deeper than {JSON_DEPTH_MAX} levels"));
    }
    Ok(Operation { op, path, tokens })
}

/// `~1` is a slash, `~0` a tilde, and nothing else may follow a tilde (RFC 6901 §3).
fn decode(token: &str) -> Option<String> {
    let mut decoded = String::with_capacity(token.len());
    let mut rest = token.chars();
    while let Some(character) = rest.next() {
        decoded.push(match character {
            '~' => match rest.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(decoded)
}

fn apply(operation: &Operation, document: &mut Map<String, Value>) -> Result<(), String> {
    let Some((last, parents)) = operation.tokens.split_last() else {
        return Ok(());
    };
    let Some((root, parents)) = parents.split_first() else {
        return in_object(&operation.op, document, last);
    };
    let mut target = document
        .get_mut(root)
        .ok_or_else(|| format!("member '{root}' not found"))?;
    for token in parents {
        target = match target {
            Value::Object(map) => map.get_mut(token),
            Value::Array(items) => index(token).and_then(|at| items.get_mut(at)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
        .ok_or_else(|| format!("member '{token}' not found"))?;
    }
    match target {
        Value::Object(map) => in_object(&operation.op, map, last),
        Value::Array(items) => in_array(&operation.op, items, last),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err(format!("'{}' has no members", operation.path))
        }
    }
}

fn in_object(op: &Op, map: &mut Map<String, Value>, key: &str) -> Result<(), String> {
    match op {
        Op::Add(value) => {
            map.insert(key.to_owned(), value.clone());
        }
        Op::Replace(value) => {
            let slot = map
                .get_mut(key)
                .ok_or_else(|| format!("can't replace a non-existent object '{key}'"))?;
            *slot = value.clone();
        }
        Op::Remove => {
            map.remove(key)
                .ok_or_else(|| format!("can't remove a non-existent object '{key}'"))?;
        }
    }
    Ok(())
}

fn in_array(op: &Op, items: &mut Vec<Value>, token: &str) -> Result<(), String> {
    let at = if token == "-" && matches!(op, Op::Add(_)) {
        items.len()
    } else {
        index(token).ok_or_else(|| format!("'{token}' is not a valid sequence index"))?
    };
    match op {
        Op::Add(value) if at <= items.len() => items.insert(at, value.clone()),
        Op::Add(_) => return Err("can't insert outside of list".to_owned()),
        Op::Replace(value) => {
            let slot = items
                .get_mut(at)
                .ok_or_else(|| "can't replace outside of list".to_owned())?;
            *slot = value.clone();
        }
        Op::Remove if at < items.len() => {
            items.remove(at);
        }
        Op::Remove => return Err(format!("can't remove a non-existent object '{token}'")),
    }
    Ok(())
}

/// A list index: digits without leading zeros (RFC 6901 §4).
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || !token.starts_with('0');
    (plain && !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| token.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn run(document: Value, patch: Value) -> Result<Value, String> {
        let Value::Object(mut document) = document else {
            panic!("documents are objects");
        };
        Patch::parse(patch.to_string().as_bytes())
            .and_then(|patch| patch.apply(&mut document))
            .map(|()| Value::Object(document))
            .map_err(|error| error.text.into_owned())
    }

    #[test]
    fn applies_in_order_at_any_depth() {
        let patched = run(
            json!({"extra": {}, "name": null}),
            json!([
                {"op": "add", "path": "/extra/a", "value": [1, 2]},
                {"op": "add", "path": "/extra/a/-", "value": 3},
                {"op": "add", "path": "/extra/a/0", "value": 0},
                {"op": "remove", "path": "/extra/a/1"},
                {"op": "replace", "path": "/extra/a/0", "value": {"x": 1}},
                {"op": "add", "path": "/extra/a/0/y~1z~0", "value": 2},
                {"op": "replace", "path": "/name", "value": "n"},
                {"op": "add", "path": "/extra/with space.and dot", "value": true},
            ]),
        );
        assert_eq!(
            patched,
            Ok(json!({
                "extra": {"a": [{"x": 1, "y/z~": 2}, 2, 3], "with space.and dot": true},
                "name": "n"
            }))
        );
    }

    #[test]
    fn refuses_with_reasons() {
        let cases = [
            (
                json!({"op": "remove", "path": "/extra/b"}),
                "can't remove a non-existent object 'b'",
            ),
            (
                json!({"op": "replace", "path": "/extra/b", "value": 1}),
                "can't replace a non-existent object 'b'",
            ),
            (
                json!({"op": "add", "path": "/extra/a/9", "value": 1}),
                "can't insert outside of list",
            ),
            (
                json!({"op": "add", "path": "/extra/a/x", "value": 1}),
                "'x' is not a valid sequence index",
            ),
            (
                json!({"op": "add", "path": "/extra/c/d", "value": 1}),
                "member 'c' not found",
            ),
            (
                json!({"op": "test", "path": "/extra", "value": 1}),
                "'test' is not one of ['add', 'replace', 'remove']",
            ),
            (
                json!({"op": "add", "path": "/extra"}),
                "does not contain a 'value' member",
            ),
            (
                json!({"op": "add", "path": "extra", "value": 1}),
                "'extra' is not a JSON pointer",
            ),
            (
                json!({"op": "add", "path": "/a~2", "value": 1}),
                "'/a~2' is not a JSON pointer",
            ),
            (
                json!({"op": "add", "path": "/a", "value": 1, "x": 1}),
                "('x' was unexpected)",
            ),
            (json!({"path": "/a"}), "'op' is a required property"),
            (json!(5), "5 is not of type 'object'"),
        ];
        for (operation, reason) in cases {
            let text = run(json!({"extra": {"a": []}}), json!([operation])).expect_err("refused");
            assert!(text.contains(reason), "{text}");
        }
    }

    #[test]
    fn error_texts_hide_secrets() {
        let text = run(
            json!({"driver_info": {}}),
            json!([
                {"op": "replace", "path": "/driver_info/ipmi_password", "value": "hunter2"},
                {"op": "add", "path": "/driver_info", "value": {"redfish_password": "hunter2"}},
            ]),
        )
        .expect_err("nothing to replace");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains(MASK));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(body in any::<Vec<u8>>()) {
            drop(Patch::parse(&body));
        }
    }
}
