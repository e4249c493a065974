//! The forms that values of fields have, with the complaints of Ironic's schema checks.

use crate::app::{is_name, parse_uuid};
use crate::call::Call;
use crate::fields::{show_value as show, wrong_type};
use crate::query::flag_of;
use crate::v1::nodes::provision::check_step;
use crate::v1::nodes::traits::is_trait;
use baton_model::driver::python;
use serde_json::{Map, Value};

/// Most steps of a template or runbook; the longest real firmware runs have some forty.
const STEPS_MAX: usize = 1000;

/// Most items of other lists: traits, candidate nodes, conditions and actions of a rule.
const ITEMS_MAX: usize = 1000;

/// What a value may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// Never set by clients.
    ReadOnly,
    /// A text of at most so many characters.
    Text(usize),
    /// A name of RFC 3986's unreserved characters.
    Name,
    /// A trait's name.
    TraitName,
    /// A trait's name up to 1.111, any name from then on.
    RunbookName,
    /// A boolean, also as a word.
    Flag,
    /// A whole number of at least this.
    Int(i64),
    /// A JSON object.
    Object,
    /// A MAC address with colons; kept in lower case.
    Mac,
    /// A uuid.
    Uuid,
    /// How a port is wired to its switch.
    LocalLink,
    /// A list of traits.
    Traits,
    /// A list of uuids or names.
    Texts,
    /// Steps with priorities.
    TemplateSteps,
    /// Steps with an order.
    RunbookSteps,
    /// What an inspection rule looks at.
    Conditions,
    /// What an inspection rule does.
    RuleActions,
}

impl Form {
    /// Checks a value that is not null and brings it into the form that is kept. `Err` completes `Schema error for …: `.
    pub(crate) fn take(self, call: &Call, name: &str, value: &Value) -> Result<Value, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => Err(wrong_type(name, value, "'string'")),
        };
        let fits = |fits: bool, what: &str| {
            if fits {
                Ok(value.clone())
            } else {
                Err(format!("{} is not {what} for {name}", show(value)))
            }
        };
        match self {
            Self::ReadOnly => Err(format!("{name} is read-only")),
            Self::Text(max) => {
                let text = text(value)?;
                fits(
                    text.chars().count() <= max,
                    &format!("at most {max} characters long"),
                )
            }
            Self::Name => {
                let text = text(value)?;
                fits(
                    is_name(&text) && parse_uuid(&text).is_none(),
                    "a valid name",
                )
            }
            Self::TraitName => fits(is_trait(&text(value)?), "a valid trait"),
            Self::RunbookName => {
                let text = text(value)?;
                let free = call.version.has(112) && is_name(&text) && parse_uuid(&text).is_none();
                fits(free || is_trait(&text), "a valid name")
            }
            Self::Flag => flag_of(name, value).map(Value::Bool),
            Self::Int(min) => fits(
                value.as_i64().is_some_and(|number| number >= min),
                &format!("a whole number of at least {min}"),
            ),
            Self::Object => match value {
                Value::Object(_) => Ok(value.clone()),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => Err(wrong_type(name, value, "'object', 'null'")),
            },
            Self::Mac => {
                let text = text(value)?;
                if is_mac(&text, &[':']) {
                    Ok(Value::from(text.to_ascii_lowercase()))
                } else {
                    Err(format!(
                        "Expected a MAC address for {name} but received {text}."
                    ))
                }
            }
            Self::Uuid => {
                let text = text(value)?;
                match parse_uuid(&text) {
                    Some(uuid) => Ok(Value::from(uuid.to_string())),
                    None => Err(format!("Expected UUID for {name}: {text}")),
                }
            }
            Self::LocalLink => local_link(call, value),
            Self::Traits => items(name, value, |item| {
                let text = item.as_str().unwrap_or_default();
                is_trait(text)
                    .then_some(())
                    .ok_or_else(|| format!("{} is not a valid trait", show(item)))
            }),
            Self::Texts => items(name, value, |item| text(item).map(drop)),
            Self::TemplateSteps => steps(name, value, |step| check_step("deploy_steps", step)),
            Self::RunbookSteps => steps(name, value, |step| {
                let order = step.get("order").and_then(Value::as_u64);
                order.ok_or("order is not a whole number of 0 or more")?;
                check_step("clean_steps", step)
            }),
            Self::Conditions => items(name, value, |item| rule_item(item, &CONDITIONS, true)),
            Self::RuleActions => {
                if value.as_array().is_some_and(Vec::is_empty) {
                    return Err(format!("{name} should be non-empty"));
                }
                items(name, value, |item| rule_item(item, &RULE_ACTIONS, false))
            }
        }
    }
}

/// Six pairs of hexadecimal digits.
pub(crate) fn is_mac(text: &str, separators: &[char]) -> bool {
    let parts: Vec<&str> = text.split(separators).collect();
    let pair = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    parts.len() == 6 && parts.iter().all(pair)
}

fn items(
    name: &str,
    value: &Value,
    check: impl Fn(&Value) -> Result<(), String>,
) -> Result<Value, String> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong_type(name, value, "'array'"))?;
    if list.len() > ITEMS_MAX {
        return Err(format!("{name} has more than {ITEMS_MAX} items"));
    }
    list.iter().try_for_each(check)?;
    Ok(value.clone())
}

fn steps(
    name: &str,
    value: &Value,
    check: impl Fn(&Map<String, Value>) -> Result<(), String>,
) -> Result<Value, String> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong_type(name, value, "'array'"))?;
    if list.is_empty() {
        return Err("No deploy steps specified. [] should be non-empty".to_owned());
    }
    if list.len() > STEPS_MAX {
        return Err(format!("{name} has more than {STEPS_MAX} steps"));
    }
    let mut seen = Vec::with_capacity(list.len());
    for step in list {
        let step = step
            .as_object()
            .ok_or_else(|| wrong_type(name, step, "'object'"))?;
        check(step)?;
        let key = (step.get("interface"), step.get("step"));
        if seen.contains(&key) && name == "steps" && step.contains_key("priority") {
            let shown = |value: Option<&Value>| value.map(python::display).unwrap_or_default();
            return Err(format!(
                "Duplicate deploy steps for {}.{}",
                shown(key.0),
                shown(key.1)
            ));
        }
        seen.push(key);
    }
    Ok(value.clone())
}

/// Keys of `local_link_connection`; `switch_id` and `port_id`, or `port_id` and `hostname`, or an unmanaged network.
fn local_link(call: &Call, value: &Value) -> Result<Value, String> {
    const KNOWN: [&str; 8] = [
        "switch_id",
        "port_id",
        "switch_info",
        "hostname",
        "network_type",
        "vtep-logical-switch",
        "vtep-physical-switch",
        "port_name",
    ];
    let wrong = |why: &str| Err(format!("Schema error for local_link_connection: {why}"));
    let Value::Object(link) = value else {
        return wrong(&wrong_type("local_link_connection", value, "'object'"));
    };
    if link.is_empty() {
        return Ok(value.clone());
    }
    if let Some(key) = link.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return wrong(&format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        ));
    }
    let text = |key: &str| link.get(key).and_then(Value::as_str);
    if let Some(kind) = link.get("network_type") {
        if !call.version.has(64) {
            return wrong("network_type needs the API version 1.64");
        }
        if kind != "unmanaged" && kind != "managed" {
            return wrong("'network_type' is not one of ['managed', 'unmanaged']");
        }
        if kind == "unmanaged" {
            return Ok(value.clone());
        }
    }
    let pairs = [("switch_id", "port_id"), ("hostname", "port_id")];
    if !pairs
        .iter()
        .any(|(one, two)| text(one).is_some() && text(two).is_some())
    {
        return wrong(
            "'switch_id' and 'port_id', or 'port_id' and 'hostname', are required properties",
        );
    }
    if let Some(switch) = text("switch_id") {
        // A MAC address, or an OpenFlow datapath id of 16 digits.
        let datapath = switch.strip_prefix("0x").unwrap_or(switch);
        let is_datapath =
            datapath.len() == 16 && datapath.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_mac(switch, &[':', '-']) && !is_datapath {
            return wrong("'switch_id' is neither a MAC address nor an OpenFlow datapath id");
        }
    }
    Ok(value.clone())
}

const CONDITIONS: [&str; 11] = [
    "eq", "lt", "gt", "is-empty", "in-net", "matches", "contains", "one-of", "is-none", "is-true",
    "is-false",
];
const RULE_ACTIONS: [&str; 16] = [
    "fail",
    "log",
    "set-attribute",
    "extend-attribute",
    "del-attribute",
    "set-capability",
    "unset-capability",
    "add-trait",
    "remove-trait",
    "set-plugin-data",
    "extend-plugin-data",
    "unset-plugin-data",
    "set-port-attribute",
    "extend-port-attribute",
    "del-port-attribute",
    "api-call",
];

fn rule_item(item: &Value, known: &[&str], negatable: bool) -> Result<(), String> {
    let item = item
        .as_object()
        .ok_or_else(|| format!("{} is not of type 'object'", show(item)))?;
    let op = item.get("op").and_then(Value::as_str).unwrap_or_default();
    let bare = if negatable {
        op.strip_prefix('!').unwrap_or(op).trim()
    } else {
        op
    };
    if !known.contains(&bare) {
        return Err(format!("'{op}' is not one of {known:?}"));
    }
    match item.get("args") {
        Some(Value::Object(_) | Value::Array(_)) => {}
        Some(_) | None => return Err("'args' is a required property".to_owned()),
    }
    let unknown = item
        .keys()
        .find(|key| !["op", "args", "loop", "multiple"].contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| {
        Err(format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        ))
    })
}
