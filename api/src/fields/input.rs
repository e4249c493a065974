//! Turning the values that clients send into edits, with the complaints of Ironic's schema check.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has no more types, and edits without a rule of their own need no arm"
)]

use crate::app::parse_uuid;
use crate::query::flag_of;
use baton_model::driver::python;
use baton_model::ids::NodeId;
use baton_model::json::Json;
use baton_model::mask::{MASK, is_secret_key, mask_text};
use baton_model::node::edit::NodeEdit;
use serde_json::Value;
use uuid::Uuid;

type Parsed = Result<NodeEdit, String>;

/// Longest part of a wrong value that an error text repeats.
const SHOWN_MAX: usize = 255;

/// A wrong value in an error text: cut, and without anything that may be secret.
pub(crate) fn show(value: &Value) -> String {
    let mut value = value.clone();
    match &mut value {
        Value::Object(map) => baton_model::mask::mask_map(map, &[]),
        Value::String(text) => {
            if let Some(masked) = mask_text(text) {
                *text = masked;
            }
        }
        Value::Array(items) => {
            for item in items {
                if let Value::Object(map) = item {
                    baton_model::mask::mask_map(map, &[]);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    let shown = match &value {
        Value::String(text) => format!("'{text}'"),
        other => python::display(other),
    };
    shown.chars().take(SHOWN_MAX).collect()
}

/// The complaint about a value of the wrong type.
pub(crate) fn wrong_type(name: &str, value: &Value, types: &str) -> String {
    let shown = if is_secret_key(name) {
        MASK.to_owned()
    } else {
        show(value)
    };
    format!("{shown} is not of type {types}")
}

/// A text of at most `max` characters, or nothing.
fn text(name: &'static str, value: &Value, max: usize) -> Result<Option<Box<str>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() > max => Err(format!(
            "{} is too long (at most {max} characters) for {name}",
            show(value)
        )),
        Value::String(text) => Ok(Some(text.as_str().into())),
        other => Err(wrong_type(name, other, "'string', 'null'")),
    }
}

fn object(name: &'static str, value: &Value) -> Result<Json, String> {
    match value {
        Value::Null => Ok(Json::EMPTY),
        Value::Object(map) => Ok(Json::from_map(map)),
        other => Err(wrong_type(name, other, "'object', 'null'")),
    }
}

fn flag(name: &'static str, value: &Value) -> Result<bool, String> {
    match value {
        Value::Null => Ok(false),
        other => flag_of(name, other),
    }
}

fn uuid(name: &'static str, value: &Value) -> Result<Option<Uuid>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => parse_uuid(text).map(Some).ok_or_else(|| {
            format!(
                "Expected UUID for {name}: {}",
                show(value).trim_matches('\'')
            )
        }),
        other => Err(wrong_type(name, other, "'string', 'null'")),
    }
}

pub(super) fn name(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 255).map(NodeEdit::Name)
}

pub(super) fn driver_info(name: &'static str, value: &Value) -> Parsed {
    object(name, value).map(NodeEdit::DriverInfo)
}

pub(super) fn properties(name: &'static str, value: &Value) -> Parsed {
    object(name, value).map(NodeEdit::Properties)
}

pub(super) fn extra(name: &'static str, value: &Value) -> Parsed {
    object(name, value).map(NodeEdit::Extra)
}

pub(super) fn instance_info(name: &'static str, value: &Value) -> Parsed {
    object(name, value).map(NodeEdit::InstanceInfo)
}

/// OpenStack's `network_data.json` has three mandatory lists; an empty object means "none".
pub(super) fn network_data(name: &'static str, value: &Value) -> Parsed {
    let json = object(name, value)?;
    if !json.is_empty() {
        for key in ["links", "networks", "services"] {
            match value.get(key) {
                None => return Err(format!("'{key}' is a required property")),
                Some(Value::Array(_)) => {}
                Some(other) => return Err(wrong_type(key, other, "'array'")),
            }
        }
    }
    Ok(NodeEdit::NetworkData(json))
}

pub(super) fn instance_uuid(name: &'static str, value: &Value) -> Parsed {
    uuid(name, value).map(NodeEdit::InstanceUuid)
}

pub(super) fn instance_name(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 255).map(NodeEdit::InstanceName)
}

pub(super) fn chassis_uuid(name: &'static str, value: &Value) -> Parsed {
    uuid(name, value).map(NodeEdit::ChassisUuid)
}

pub(super) fn parent_node(name: &'static str, value: &Value) -> Parsed {
    uuid(name, value).map(|parent| NodeEdit::ParentNode(parent.map(NodeId)))
}

pub(super) fn conductor_group(name: &'static str, value: &Value) -> Parsed {
    let group = text(name, value, 255)?.unwrap_or_default();
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if group.bytes().all(known) {
        Ok(NodeEdit::ConductorGroup(group.to_lowercase().into()))
    } else {
        Err(format!(
            "{} does not match '^[a-zA-Z0-9_\\\\-\\\\.]*$'",
            show(value)
        ))
    }
}

pub(super) fn resource_class(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 80).map(NodeEdit::ResourceClass)
}

pub(super) fn owner(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 255).map(NodeEdit::Owner)
}

pub(super) fn lessee(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 255).map(NodeEdit::Lessee)
}

pub(super) fn shard(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 255).map(NodeEdit::Shard)
}

pub(super) fn description(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 4096).map(NodeEdit::Description)
}

pub(super) fn maintenance(name: &'static str, value: &Value) -> Parsed {
    flag(name, value).map(|on| NodeEdit::Maintenance { on, reason: None })
}

pub(super) fn automated_clean(name: &'static str, value: &Value) -> Parsed {
    let wish = match value {
        Value::Null => None,
        other => Some(flag_of(name, other)?),
    };
    Ok(NodeEdit::AutomatedClean(wish))
}

pub(super) fn protected(name: &'static str, value: &Value) -> Parsed {
    flag(name, value).map(NodeEdit::Protected)
}

pub(super) fn protected_reason(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 4096).map(NodeEdit::ProtectedReason)
}

pub(super) fn retired(name: &'static str, value: &Value) -> Parsed {
    flag(name, value).map(NodeEdit::Retired)
}

pub(super) fn retired_reason(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 4096).map(NodeEdit::RetiredReason)
}

pub(super) fn disable_power_off(name: &'static str, value: &Value) -> Parsed {
    flag(name, value).map(NodeEdit::DisablePowerOff)
}

pub(super) fn console_enabled(name: &'static str, value: &Value) -> Parsed {
    flag(name, value).map(NodeEdit::ConsoleEnabled)
}

pub(super) fn boot_mode(name: &'static str, value: &Value) -> Parsed {
    text(name, value, 16).map(NodeEdit::BootMode)
}

pub(super) fn secure_boot(name: &'static str, value: &Value) -> Parsed {
    let wish = match value {
        Value::Null => None,
        other => Some(flag_of(name, other)?),
    };
    Ok(NodeEdit::SecureBoot(wish))
}
