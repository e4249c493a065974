//! Showing, creating, patching and deleting objects of any resource.

use super::show::{default_of, value_of};
use super::{Chosen, Field, Form, Ident, Place, Resource, allocations};
use crate::app::{App, find_node, is_name, parse_uuid};
use crate::call::Call;
use crate::error::ApiError;
use crate::patch::Patch;
use crate::reply::Reply;
use baton_model::command::{Command, Refusal, Reply as Applied};
use baton_model::ids::NodeId;
use baton_model::json::Json;
use baton_model::object::{Kind, Object, ObjectCommand};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Builder;

pub(crate) use super::list::list;

/// How often an edit starts over because the object moved under it.
pub(crate) const EDIT_ATTEMPTS_MAX: u32 = 16;

/// The object that a path segment names, in the local state.
pub(crate) fn find(
    app: &App,
    call: &Call,
    resource: &Resource,
    ident: &str,
) -> Result<Arc<Object>, ApiError> {
    let missing = || ApiError::not_found(format!("{} {ident} could not be found.", resource.kind));
    let state = app.deps.state.read();
    if let Some(id) = parse_uuid(ident) {
        let found = state.objects().get(resource.kind, id);
        return found.cloned().ok_or_else(missing);
    }
    match resource.ident {
        Ident::Uuid => Err(ApiError::bad(format!("Expected UUID for uuid: {ident}"))),
        Ident::Name(_) if !is_name(ident) => Err(ApiError::bad(format!(
            "Expected UUID or name for {}: {ident}",
            resource.word
        ))),
        Ident::Name(since) if !call.version.has(since) => Err(missing()),
        Ident::Name(_) => {
            let found = state.objects().by_name(resource.kind, ident);
            found.cloned().ok_or_else(missing)
        }
    }
}

/// `GET` of one.
pub(crate) async fn show(
    app: &App,
    call: &Call,
    resource: &'static Resource,
) -> Result<Reply, ApiError> {
    call.query.only(&["fields"])?;
    let chosen = Chosen::custom(resource, call)?;
    app.fresh(call).await?;
    let object = find(app, call, resource, call.segment(0))?;
    let chosen = chosen.unwrap_or_else(|| Chosen::full(resource, call));
    Ok(Reply::of(&chosen.document(resource, call, &object)))
}

/// `DELETE` of one.
pub(crate) async fn delete(
    app: &App,
    call: &Call,
    resource: &'static Resource,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    app.fresh(call).await?;
    let object = find(app, call, resource, call.segment(0))?;
    remove(app, &object).await
}

/// Deletes an object.
pub(crate) async fn remove(app: &App, object: &Object) -> Result<Reply, ApiError> {
    let command = ObjectCommand::Delete {
        kind: object.kind,
        id: object.id,
    };
    propose(app, object.node, command).await?;
    Ok(Reply::done(None))
}

/// `POST` to the collection.
pub(crate) async fn create(
    app: &App,
    call: &Call,
    resource: &'static Resource,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Value::Object(given) = call.json()? else {
        return Err(schema(resource, "the body is not of type 'object'"));
    };
    check_keys(call, resource, &given)?;
    app.fresh(call).await?;
    let mut object = build(app, call, resource, &given)?;
    if resource.kind == Kind::Allocation {
        let ident = given.get("node").and_then(Value::as_str);
        object = allocations::allocate(app, call, object, ident).await?;
    } else {
        let command = ObjectCommand::Create(Box::new(object.clone()));
        propose(app, object.node, command).await?;
        let state = app.deps.state.read();
        if let Some(stored) = state.objects().get(object.kind, object.id) {
            object = Object::clone(stored);
        }
    }
    let location = format!("{}/v1/{}/{}", call.base, resource.path, object.id);
    let document = Chosen::full(resource, call).document(resource, call, &object);
    Ok(Reply::created(&location, document.to_string().into_bytes()))
}

/// `PATCH` of one.
pub(crate) async fn update(
    app: &App,
    call: &Call,
    resource: &'static Resource,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let patch = Patch::parse(&call.body)?;
    for operation in patch.operations() {
        match resource.field(operation.root()).filter(|field| field.patch) {
            Some(field) if !call.version.has(field.since) => return Err(ApiError::not_acceptable()),
            Some(_) => {}
            None => return Err(unknown_root(call, resource, &operation.path)),
        }
    }
    app.fresh(call).await?;
    for _ in 0..EDIT_ATTEMPTS_MAX {
        let old = find(app, call, resource, call.segment(0))?;
        let new = patched(app, call, resource, &old, &patch)?;
        if new == *old || change(app, &old, new).await? {
            let object = find(app, call, resource, &old.id.to_string())?;
            let document = Chosen::full(resource, call).document(resource, call, &object);
            return Ok(Reply::of(&document));
        }
    }
    Err(ApiError::conflict(format!(
        "{} {} is changed by others all the time; {EDIT_ATTEMPTS_MAX} attempts to apply this request to its newest state \
         have failed. Please retry.",
        resource.kind,
        call.segment(0)
    )))
}

/// Replaces `old`; false if it has moved on meanwhile.
pub(crate) async fn change(app: &App, old: &Object, new: Object) -> Result<bool, ApiError> {
    let command = ObjectCommand::Replace {
        object: Box::new(new),
        expect: old.revision,
    };
    match propose(app, old.node, command).await {
        Ok(()) => Ok(true),
        Err(Failed::Moved) => Ok(false),
        Err(Failed::Api(error)) => Err(error),
    }
}

/// Why a proposal about an object did nothing.
pub(super) enum Failed {
    /// It was decided on an old state; decide again.
    Moved,
    /// For the client.
    Api(ApiError),
}

impl From<Failed> for ApiError {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Moved => {
                Self::conflict("The object was changed by someone else meanwhile; please retry.")
            }
            Failed::Api(error) => error,
        }
    }
}

/// Proposes a command; waits for the lock of the object's node as edits of nodes do.
pub(super) async fn propose(
    app: &App,
    node: Option<NodeId>,
    command: ObjectCommand,
) -> Result<(), Failed> {
    let failed = |error: ApiError| Failed::Api(error);
    let command = Command::Object(command);
    let mut wait = app.lock_wait();
    for _ in 0..EDIT_ATTEMPTS_MAX {
        let reply = app.deps.proposer.propose(command.clone()).await;
        match reply.map_err(|error| failed(error.into()))? {
            Applied::Done { .. } => return Ok(()),
            Applied::Refused(Refusal::Moved { .. }) => return Err(Failed::Moved),
            Applied::Refused(Refusal::Locked { host }) => {
                let found = node.and_then(|id| app.deps.state.read().node(id).cloned());
                let Some(found) = found else {
                    let text = format!("The node is locked by host {host}, please retry.");
                    return Err(failed(ApiError::conflict(text)));
                };
                wait.until_free(&found).await.map_err(failed)?;
            }
            Applied::Refused(other) => {
                let node = node.unwrap_or(NodeId(uuid::Uuid::nil()));
                return Err(failed(crate::app::refusal(node, other)));
            }
        }
    }
    let text = "The node is locked again each time its lock is free; please retry.";
    Err(failed(ApiError::conflict(text)))
}

fn schema(resource: &Resource, text: impl AsRef<str>) -> ApiError {
    let text = text.as_ref();
    if text.starts_with("Expected ") || text.starts_with("Schema error") {
        return ApiError::bad(text.to_owned());
    }
    ApiError::bad(format!("Schema error for {}: {text}", resource.word))
}

fn check_keys(
    call: &Call,
    resource: &'static Resource,
    given: &Map<String, Value>,
) -> Result<(), ApiError> {
    for key in given.keys() {
        match resource.field(key).filter(|field| field.create) {
            // Backfilling refuses with 400 below its version, as Ironic does.
            Some(field) if field.name == "node" && !call.version.has(field.since) => {
                return Err(ApiError::bad(
                    "Cannot set \"node\" with this API version: backfilling allocations needs 1.58",
                ));
            }
            Some(field) if !call.version.has(field.since) => return Err(ApiError::not_acceptable()),
            Some(_) => {}
            None => {
                let key: String = key.chars().take(255).collect();
                let text =
                    format!("Additional properties are not allowed ('{key}' was unexpected)");
                return Err(schema(resource, text));
            }
        }
    }
    Ok(())
}

fn build(
    app: &App,
    call: &Call,
    resource: &'static Resource,
    given: &Map<String, Value>,
) -> Result<Object, ApiError> {
    let entropy = &app.deps.env.entropy;
    let bits = u128::from(entropy.next_u64()) << 64 | u128::from(entropy.next_u64());
    let drawn = Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
    let mut object = Object::new(resource.kind, drawn, app.deps.env.clock.wall());
    let mut body = Map::new();
    for field in resource.fields {
        let value = match given.get(field.name) {
            None | Some(Value::Null) => {
                let named_otherwise = field.place == Place::Node
                    && given
                        .get("node_ident")
                        .is_some_and(|ident| !ident.is_null());
                if field.required && !named_otherwise {
                    let text = format!("'{}' is a required property", field.name);
                    return Err(schema(resource, text));
                }
                default_of(field)
            }
            Some(value) => field
                .form
                .take(call, field.name, value)
                .map_err(|text| schema(resource, text))?,
        };
        place(app, call, field, value, &mut object, &mut body)?;
    }
    if resource.kind == Kind::Port
        && ["node_uuid", "node_ident"]
            .iter()
            .all(|key| given.get(*key).is_some_and(|value| !value.is_null()))
    {
        return Err(ApiError::bad(
            "Only one of \"node_uuid\" and \"node_ident\" may be given.",
        ));
    }
    object.body = Json::from_map(&body);
    Ok(object)
}

/// Puts a checked value where it is kept.
fn place(
    app: &App,
    call: &Call,
    field: &Field,
    value: Value,
    object: &mut Object,
    body: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    match (field.place, value) {
        (Place::Body, Value::Null) => {
            body.remove(field.name);
        }
        (Place::Body, value) => {
            body.insert(field.name.to_owned(), value);
        }
        (Place::Id, Value::String(text)) => object.id = parse_uuid(&text).unwrap_or(object.id),
        (Place::Name, Value::String(text)) => object.name = Some(text.into()),
        (Place::Name, _) => object.name = None,
        (Place::Node, Value::String(text)) => {
            object.node = parse_uuid(&text).map(NodeId);
        }
        (Place::NodeIdent, Value::String(ident)) if object.kind != Kind::Allocation => {
            let state = app.deps.state.read();
            let node =
                find_node(&state, call, &ident).map_err(|error| ApiError::bad(error.text))?;
            object.node = Some(node.id);
        }
        (
            Place::Id
            | Place::Node
            | Place::NodeIdent
            | Place::Created
            | Place::Updated
            | Place::Links(_),
            _,
        ) => {}
    }
    Ok(())
}

fn unknown_root(call: &Call, resource: &'static Resource, path: &str) -> ApiError {
    let mut known: Vec<String> = resource
        .fields
        .iter()
        .filter(|field| field.patch && call.version.has(field.since))
        .map(|field| format!("/{}", field.name))
        .collect();
    known.sort_unstable();
    let path: String = path.chars().take(255).collect();
    ApiError::bad(format!(
        "Cannot patch {path}. Only the following can be updated: {}",
        known.join(", ")
    ))
}

/// The object that a patch makes of `old`.
fn patched(
    app: &App,
    call: &Call,
    resource: &'static Resource,
    old: &Object,
    patch: &Patch,
) -> Result<Object, ApiError> {
    let mut body = old.body.to_map();
    let mut before = Map::new();
    for name in patch.roots() {
        if let Some(field) = resource.field(name) {
            before.insert(name.to_owned(), value_of(field, old, &body));
        }
    }
    let mut after = before.clone();
    patch.apply(&mut after)?;
    let mut new = old.clone();
    for name in patch.roots() {
        let Some(field) = resource.field(name) else {
            continue;
        };
        let value = match after.get(name) {
            same if same == before.get(name) => continue,
            None | Some(Value::Null) => removed(field, after.contains_key(name))?,
            Some(value) => field
                .form
                .take(call, field.name, value)
                .map_err(|text| schema(resource, text))?,
        };
        place(app, call, field, value, &mut new, &mut body)?;
    }
    let hides_again = resource.kind == Kind::InspectionRule
        && old.body.to_map().get("sensitive") == Some(&Value::Bool(true))
        && body.get("sensitive") != Some(&Value::Bool(true));
    if hides_again {
        return Err(ApiError::bad(
            "The sensitive flag of an inspection rule can not be unset.",
        ));
    }
    new.body = Json::from_map(&body);
    Ok(new)
}

/// The value of a field after its removal, or after it was set to null.
fn removed(field: &Field, set_to_null: bool) -> Result<Value, ApiError> {
    let kept = matches!(field.name, "mode" | "standalone_ports_supported");
    if field.required || (kept && !set_to_null) {
        return Err(ApiError::bad(format!(
            "'/{}' is a mandatory field and can not be removed.",
            field.name
        )));
    }
    if set_to_null && field.form == Form::Name {
        return Ok(Value::Null);
    }
    Ok(default_of(field))
}
