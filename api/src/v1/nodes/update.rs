//! `PATCH /v1/nodes/{node}`: from a patch to the edits that bring the record there.
//!
//! The patch is applied to the unmasked document of the fields it names; every field that changed becomes one edit, and
//! all edits travel in one command, guarded by the revision that was read. So a patch is atomic and never lost to
//! another one.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has no more types, and edits without a rule of their own need no arm"
)]

use super::create::{check_name, display_name};
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{Input, Look, NODE_FIELDS, NodeField, Selection, Shown, document};
use crate::out::Out;
use crate::patch::{Operation, Patch};
use crate::reply::Reply;
use axum::extract::State;
use baton_model::hardware::{Slot, compose};
use baton_model::node::edit::NodeEdit;
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::{Interfaces, NodeRecord};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Patches a node.
pub(crate) async fn update(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["reset_interfaces"])?;
    let reset = call.query.flag("reset_interfaces")?;
    if reset.is_some() {
        call.needs(45)?;
    }
    let patch = Patch::parse(&call.body)?;
    check_roots(&call, &patch)?;
    let changes_driver = patch.roots().contains("driver");
    if reset.is_some() && !changes_driver {
        return Err(ApiError::bad(
            "The reset_interfaces parameter can only be used when changing the node's driver.",
        ));
    }
    let node = app
        .edit(&call, |node| {
            edits(&app, &call, node, &patch, reset.unwrap_or(false))
        })
        .await?;
    let shown = app.shown(node);
    let what = Selection::full(call.version);
    Ok(Reply::json(document(
        &shown,
        call.version,
        &call.base,
        &what,
    )))
}

fn check_roots(call: &Call, patch: &Patch) -> Result<(), ApiError> {
    for operation in patch.operations() {
        match NodeField::find(operation.root()).filter(|field| field.patch) {
            Some(field) if !call.version.has(field.since) => return Err(ApiError::not_acceptable()),
            Some(_) => {}
            None => return Err(unknown_root(call, operation)),
        }
    }
    Ok(())
}

fn unknown_root(call: &Call, operation: &Operation) -> ApiError {
    let mut known: Vec<String> = NODE_FIELDS
        .iter()
        .filter(|field| field.patch && call.version.has(field.since))
        .map(|field| format!("/{}", field.name))
        .collect();
    known.sort_unstable();
    let path: String = operation.path.chars().take(255).collect();
    ApiError::bad(format!(
        "Cannot patch {path}. Only the following can be updated: {}",
        known.join(", ")
    ))
}

fn schema(text: impl AsRef<str>) -> ApiError {
    ApiError::bad(format!("Schema error for node: {}", text.as_ref()))
}

/// The edits that take `node` where the patch wants it.
fn edits(
    app: &App,
    call: &Call,
    node: &Arc<NodeRecord>,
    patch: &Patch,
    reset: bool,
) -> Result<Vec<NodeEdit>, ApiError> {
    if patch.operations().is_empty() {
        return Ok(Vec::new());
    }
    // Clients from 1.39 on know `inspect wait`, so for them `inspecting` is busy.
    if call.version.has(39)
        && node.provision_state == ProvisionState::Inspecting
        && !node.maintenance
    {
        return Err(ApiError::conflict(format!(
            "Node {} can not be updated while a state transition is in progress.",
            node.id
        )));
    }
    let before = unmasked(node, patch);
    let mut after = before.clone();
    patch.apply(&mut after)?;
    let mut edits = Vec::new();
    let mut hardware = Hardware::of(node);
    for name in patch.roots() {
        let Some(field) = NodeField::find(name) else {
            continue;
        };
        let value = after.get(name).unwrap_or(&Value::Null);
        if before.get(name) == Some(value) {
            continue;
        }
        match field.input {
            Input::Edit(parse) => {
                check_value(call, field, after.get(name))?;
                edits.push(parse(field.name, value).map_err(schema)?);
            }
            Input::Driver => match value {
                Value::String(driver) => hardware.driver = Some(driver.as_str().into()),
                Value::Null => {
                    return Err(ApiError::bad(
                        "'/driver' is a mandatory field and can not be removed.",
                    ));
                }
                _ => return Err(schema("driver is not of type 'string'")),
            },
            Input::Interface(slot) => match value {
                Value::String(name) => hardware.slots.push((slot, name.as_str().into())),
                Value::Null => hardware.slots.push((slot, Box::from(""))),
                _ => return Err(schema(format!("{name} is not of type 'string', 'null'"))),
            },
            Input::Uuid | Input::ReadOnly => {}
        }
    }
    hardware.edits(app, node, reset, &mut edits)?;
    finish(node, &mut edits)?;
    if let Some(NodeEdit::ConductorGroup(group)) = edits
        .iter()
        .find(|edit| matches!(edit, NodeEdit::ConductorGroup(_)))
    {
        let driver = hardware.driver.as_deref().unwrap_or(&node.driver);
        app.check_driver(driver, group)?;
    }
    Ok(edits)
}

/// The fields that the patch names, as they are, secrets included.
fn unmasked(node: &Arc<NodeRecord>, patch: &Patch) -> Map<String, Value> {
    let shown = Shown {
        node: Arc::clone(node),
        conductor: None,
        reservation: None,
    };
    let look = Look {
        version: crate::version::Version(crate::version::MAX),
        base: "",
        masked: false,
    };
    let mut document = Map::new();
    for name in patch.roots() {
        if let Some(field) = NodeField::find(name) {
            let mut out = Out::with_capacity(256);
            (field.write)(&mut out, &shown, &look);
            // Every writer makes valid JSON; null would read as "unset".
            let value = serde_json::from_slice(&out.into_bytes()).unwrap_or(Value::Null);
            document.insert(name.to_owned(), value);
        }
    }
    document
}

/// Rules on single values that the schema does not know. `None`: the field was removed.
fn check_value(call: &Call, field: &NodeField, value: Option<&Value>) -> Result<(), ApiError> {
    match (field.name, value) {
        ("name", Some(Value::Null)) => {
            Err(ApiError::bad("Cannot change name to invalid name 'None'"))
        }
        ("name", Some(Value::String(name))) => check_name(name).map_err(|()| {
            let name: String = name.chars().take(255).collect();
            ApiError::bad(format!("Cannot change name to invalid name '{name}'"))
        }),
        ("chassis_uuid", None | Some(Value::Null)) => call.needs(25),
        _ => Ok(()),
    }
}

/// What the patch does to driver and interfaces.
struct Hardware {
    driver: Option<Box<str>>,
    /// Changed slots; an empty name wants the default.
    slots: Vec<(Slot, Box<str>)>,
    current: Interfaces,
}

impl Hardware {
    fn of(node: &NodeRecord) -> Self {
        Self {
            driver: None,
            slots: Vec::new(),
            current: node.interfaces.clone(),
        }
    }

    fn edits(
        &self,
        app: &App,
        node: &NodeRecord,
        reset: bool,
        edits: &mut Vec<NodeEdit>,
    ) -> Result<(), ApiError> {
        if self.driver.is_none() && self.slots.is_empty() {
            return Ok(());
        }
        let driver = self.driver.as_deref().unwrap_or(&node.driver);
        let enabled = &app.options.enabled;
        let mut wanted = Interfaces::default();
        if self.driver.is_some() {
            if node.console_enabled {
                return Err(ApiError::conflict(format!(
                    "Node {} can not have its driver changed while its console is enabled.",
                    node.id
                )));
            }
            app.check_driver(driver, &node.conductor_group)?;
            if !reset {
                wanted = self.current.clone();
            }
        }
        for (slot, name) in &self.slots {
            slot.set(&mut wanted, name.clone());
        }
        let composed = compose(driver, Some(node.id), &wanted, enabled)?;
        let interfaces = if self.driver.is_some() {
            composed
        } else {
            // Slots that the patch does not name stay, even where they are no longer enabled.
            let mut kept = self.current.clone();
            for (slot, _) in &self.slots {
                slot.set(&mut kept, slot.of(&composed).into());
            }
            kept
        };
        if let Some(driver) = &self.driver {
            edits.push(NodeEdit::Driver(driver.clone()));
        }
        if interfaces != node.interfaces {
            edits.push(NodeEdit::Interfaces(Box::new(interfaces)));
        }
        Ok(())
    }
}

/// Rules that look at several fields of the result.
fn finish(node: &NodeRecord, edits: &mut Vec<NodeEdit>) -> Result<(), ApiError> {
    let mut result = node.clone();
    for edit in edits.iter() {
        edit.clone().apply(&mut result);
    }
    if result.protected_reason.is_some() && !result.protected {
        return Err(ApiError::bad(
            "The protected_reason field can only be set when protected is True.",
        ));
    }
    if result.retired_reason.is_some() && !result.retired {
        return Err(ApiError::bad(
            "The retired_reason field can only be set when retired is True.",
        ));
    }
    let named = result.instance_name.is_some()
        || edits
            .iter()
            .any(|edit| matches!(edit, NodeEdit::InstanceName(_)));
    if !named
        && result.instance_info != node.instance_info
        && let Some(name) = display_name(&result.instance_info.to_map())
    {
        edits.push(NodeEdit::InstanceName(Some(name)));
    }
    Ok(())
}
