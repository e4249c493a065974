//! `/v1/nodes/{node}/bios` and `/v1/nodes/{node}/firmware`: what the BMC told of the machine's firmware.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::objects::allocations::of_kind;
use crate::out::time;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::record::NodeRecord;
use baton_model::object::{Kind, Object};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Fields of a setting besides its name and links, as a list shows them.
const SHORT: [&str; 3] = ["value", "created_at", "updated_at"];

/// Those that come from the attribute registry.
const REGISTRY: [&str; 9] = [
    "attribute_type",
    "allowable_values",
    "lower_bound",
    "max_length",
    "min_length",
    "read_only",
    "reset_required",
    "unique",
    "upper_bound",
];

/// What is kept of a node, by name.
fn kept(app: &App, node: &NodeRecord, kind: Kind) -> (Map<String, Value>, Option<Arc<Object>>) {
    let object = of_kind(app, kind, &node.id.to_string());
    let all = object.as_ref().map(|object| object.body.to_map());
    (all.unwrap_or_default(), object)
}

fn times(object: Option<&Arc<Object>>) -> (Value, Value) {
    let shown = |at| time(at).map_or(Value::Null, Value::String);
    let Some(object) = object else {
        return (Value::Null, Value::Null);
    };
    (
        shown(object.created_at),
        object.updated_at.map_or(Value::Null, shown),
    )
}

/// One setting with these fields.
fn setting(
    call: &Call,
    node: &NodeRecord,
    name: &str,
    known: &Value,
    object: Option<&Arc<Object>>,
    fields: &[&str],
) -> Value {
    let (created, updated) = times(object);
    let mut shown = Map::new();
    shown.insert("name".to_owned(), name.into());
    for field in fields {
        let value = match *field {
            "created_at" => created.clone(),
            "updated_at" => updated.clone(),
            other => known.get(other).cloned().unwrap_or(Value::Null),
        };
        shown.insert((*field).to_owned(), value);
    }
    let tail = format!("nodes/{}/bios/{name}", node.id);
    let base = &call.base;
    let links = json!([
        {"href": format!("{base}/v1/{tail}"), "rel": "self"},
        {"href": format!("{base}/{tail}"), "rel": "bookmark"},
    ]);
    shown.insert("links".to_owned(), links);
    Value::Object(shown)
}

/// The fields of a setting for this version.
fn all_fields(call: &Call) -> Vec<&'static str> {
    let mut fields = SHORT.to_vec();
    if call.version.has(74) {
        fields.extend(REGISTRY);
    }
    fields
}

/// `GET …/bios`.
pub(crate) async fn bios(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["detail", "fields"])?;
    let chosen = call.query.get("fields");
    if (call.query.get("detail").is_some() || chosen.is_some()) && !call.version.has(74) {
        return Err(ApiError::bad("Unexpected arguments: detail, fields"));
    }
    let detail = call.query.flag("detail")?.unwrap_or(false);
    if detail && chosen.is_some() {
        return Err(ApiError::bad(
            "Can't fetch a subset of fields with 'detail' set",
        ));
    }
    let all = all_fields(&call);
    let fields: Vec<&str> = match chosen {
        None if detail => all,
        None => SHORT.to_vec(),
        Some(list) => {
            let asked: Vec<&str> = list.split(',').map(str::trim).collect();
            let is_known = |name: &str| name == "name" || all.contains(&name);
            if let Some(unknown) = asked.iter().find(|name| !is_known(name)) {
                return Err(ApiError::bad(format!(
                    "Field(s) \"{unknown}\" are not valid"
                )));
            }
            all.into_iter()
                .filter(|name| asked.contains(name))
                .collect()
        }
    };
    let node = app.node(&call).await?;
    let (known, object) = kept(&app, &node, Kind::Bios);
    let list: Vec<Value> = known
        .iter()
        .map(|(name, known)| setting(&call, &node, name, known, object.as_ref(), &fields))
        .collect();
    Ok(Reply::of(&json!({ "bios": list })))
}

/// `GET …/bios/{setting}`.
pub(crate) async fn bios_setting(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let name = call.segment(1);
    let (known, object) = kept(&app, &node, Kind::Bios);
    let found = known.get(name).ok_or_else(|| {
        ApiError::not_found(format!(
            "Node {} doesn't have a BIOS setting '{name}'",
            node.id
        ))
    })?;
    let shown = setting(
        &call,
        &node,
        name,
        found,
        object.as_ref(),
        &all_fields(&call),
    );
    let mut document = Map::new();
    document.insert(name.to_owned(), shown);
    Ok(Reply::of(&document))
}

/// `GET …/firmware`.
pub(crate) async fn components(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let (known, object) = kept(&app, &node, Kind::Firmware);
    let (created, updated) = times(object.as_ref());
    let mut fields = vec!["initial_version", "current_version", "last_version_flashed"];
    if call.version.has(114) {
        fields.extend(["vendor", "model", "serial_number"]);
    }
    let list: Vec<Value> = known
        .iter()
        .map(|(name, known)| {
            let mut shown =
                json!({"component": name, "created_at": created, "updated_at": updated});
            for field in &fields {
                shown[*field] = known.get(*field).cloned().unwrap_or(Value::Null);
            }
            shown
        })
        .collect();
    Ok(Reply::of(&json!({ "firmware": list })))
}
