//! `POST /v1/nodes`.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "JSON has no more types, and edits without a rule of their own need no arm"
)]

use crate::app::{App, is_name, parse_uuid, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{Input, NODE_FIELDS, NodeField, Selection, document};
use crate::reply::Reply;
use axum::extract::State;
use axum::http::StatusCode;
use baton_model::command::{Command, Reply as Applied};
use baton_model::hardware::compose;
use baton_model::ids::NodeId;
use baton_model::node::edit::NodeEdit;
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::{Interfaces, NodeRecord};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Builder;

/// Creates a node.
pub(crate) async fn create(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Value::Object(body) = call.json()? else {
        return Err(schema("the body is not of type 'object'"));
    };
    check_keys(&call, &body)?;
    let record = build(&app, &call, &body)?;
    let id = record.id;
    let reply = app
        .deps
        .proposer
        .propose(Command::NodeCreate(Box::new(record)))
        .await?;
    match reply {
        Applied::Done { .. } => {}
        Applied::Refused(refusal) => return Err(crate::app::refusal(id, refusal)),
    }
    // A client that deletes its node at once gets the 404 it asked for.
    let node = app.find(&call, &id.to_string())?;
    let shown = app.shown(node);
    let what = Selection::full(call.version);
    let location = format!("{}/v1/nodes/{id}", call.base);
    Ok(Reply::created(
        &location,
        document(&shown, call.version, &call.base, &what),
    ))
}

fn schema(text: impl AsRef<str>) -> ApiError {
    ApiError::bad(format!("Schema error for node: {}", text.as_ref()))
}

fn check_keys(call: &Call, body: &Map<String, Value>) -> Result<(), ApiError> {
    let mut too_new = false;
    for key in body.keys() {
        match NodeField::find(key).filter(|field| field.create) {
            Some(field) => too_new |= !call.version.has(field.since),
            None => {
                let key: String = key.chars().take(255).collect();
                return Err(schema(format!(
                    "Additional properties are not allowed ('{key}' was unexpected)"
                )));
            }
        }
    }
    if too_new {
        return Err(ApiError::not_acceptable());
    }
    Ok(())
}

fn build(app: &App, call: &Call, body: &Map<String, Value>) -> Result<NodeRecord, ApiError> {
    let driver: Box<str> = match body.get("driver") {
        None => return Err(schema("'driver' is a required property")),
        Some(Value::String(driver)) => driver.as_str().into(),
        Some(_) => return Err(schema("driver is not of type 'string'")),
    };
    let id = match body.get("uuid") {
        None | Some(Value::Null) => {
            let entropy = &app.deps.env.entropy;
            let bits = u128::from(entropy.next_u64()) << 64 | u128::from(entropy.next_u64());
            NodeId(Builder::from_random_bytes(bits.to_be_bytes()).into_uuid())
        }
        Some(Value::String(text)) => NodeId(
            parse_uuid(text)
                .ok_or_else(|| ApiError::bad(format!("Expected UUID for uuid: {text}")))?,
        ),
        Some(_) => return Err(schema("uuid is not of type 'string'")),
    };
    let mut record = NodeRecord::new(id, driver, app.deps.env.clock.wall());
    if !call.version.has(11) {
        record.provision_state = ProvisionState::Available;
    }
    record
        .resource_class
        .clone_from(&app.options.default_resource_class);
    let mut wanted = Interfaces::default();
    for field in NODE_FIELDS {
        let Some(value) = body.get(field.name) else {
            continue;
        };
        match field.input {
            Input::Edit(parse) => set(
                &mut record,
                field,
                parse(field.name, value).map_err(schema)?,
            )?,
            Input::Interface(slot) => match value {
                Value::Null => {}
                Value::String(name) => slot.set(&mut wanted, name.as_str().into()),
                _ => {
                    return Err(schema(format!(
                        "{} is not of type 'string', 'null'",
                        field.name
                    )));
                }
            },
            Input::Uuid | Input::Driver => {}
            Input::ReadOnly => return Err(unexpected("A field that cannot be set was accepted.")),
        }
    }
    if record.instance_name.is_none() {
        record.instance_name = display_name(&record.instance_info.to_map());
    }
    app.check_driver(&record.driver, &record.conductor_group)?;
    record.interfaces = compose(&record.driver, Some(id), &wanted, &app.options.enabled)?;
    Ok(record)
}

fn set(record: &mut NodeRecord, field: &NodeField, edit: NodeEdit) -> Result<(), ApiError> {
    match &edit {
        NodeEdit::Name(Some(name)) => check_name(name).map_err(|()| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                format!("Cannot create node with invalid name '{name}'"),
            )
        })?,
        NodeEdit::ResourceClass(None) => return Ok(()),
        _ => {}
    }
    debug_assert!(field.create, "{} is not for creation", field.name);
    edit.apply(record);
    Ok(())
}

/// Names that are paths of the collection.
const RESERVED_NAMES: [&str; 6] = [
    "maintenance",
    "management",
    "states",
    "vendor_passthru",
    "detail",
    "validate",
];

/// Whether a node may be called so.
pub(super) fn check_name(name: &str) -> Result<(), ()> {
    if is_name(name) && parse_uuid(name).is_none() && !RESERVED_NAMES.contains(&name) {
        Ok(())
    } else {
        Err(())
    }
}

/// The name that the compute service gave the instance.
pub(super) fn display_name(instance_info: &Map<String, Value>) -> Option<Box<str>> {
    let name = instance_info.get("display_name")?.as_str()?;
    (!name.is_empty() && name.chars().count() <= 255).then(|| name.into())
}
