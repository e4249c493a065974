//! Read-only sub-resources of a node: children, and those that no node has any of yet.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::objects::allocations::of_kind;
use crate::objects::{Chosen, HISTORY};
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::record::NodeRecord;
use baton_model::object::Kind;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET …/history/{event}`.
pub(crate) async fn history_event(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let event = call.segment(1);
    let found = of_kind(&app, Kind::History, event).filter(|row| row.node == Some(node.id));
    let row = found.ok_or_else(|| {
        ApiError::not_found(format!("Node history record {event} could not be found."))
    })?;
    let chosen = Chosen::full(&HISTORY, &call);
    Ok(Reply::of(&chosen.document(&HISTORY, &call, &row)))
}

/// `GET …/inventory`: without one a 404 that Metal3 takes as "inspect it".
pub(crate) async fn inventory(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let found = of_kind(&app, Kind::Inventory, &node.id.to_string());
    let found = found.ok_or_else(|| {
        ApiError::not_found(format!(
            "Node inventory record for node {} could not be found.",
            node.id
        ))
    })?;
    Ok(Reply::of(&found.body.to_map()))
}

/// `GET …/children`.
pub(crate) async fn children(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    let children: Vec<String> = {
        let state = app.deps.state.read();
        let found = state.children_of(node.id);
        found.map(|child| child.id.to_string()).collect()
    };
    let base = &call.base;
    let href = format!("{base}/v1/nodes?parent_node={}", node.id);
    Ok(Reply::of(&json!({
        "children": children,
        "links": {"href": href, "rel": "children"},
    })))
}

/// `GET …/vmedia`: no interface can list what is inserted.
pub(crate) async fn vmedia(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    Err(super::states::unsupported(&node, "get_virtual_media"))
}

/// `POST …/vmedia`. The fake interface accepts and forgets, as Ironic's does.
pub(crate) async fn insert_vmedia(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["device_type", "image_url", "image_download_source"])?;
    let device = arguments.text("device_type")?;
    if !MEDIA.contains(&device) {
        return Err(ApiError::bad(format!("'{device}' is not one of {MEDIA:?}")));
    }
    let url = arguments.text("image_url")?;
    if !url.contains("://") {
        return Err(ApiError::bad("image_url is not a URL"));
    }
    let node = app.node(&call).await?;
    accept_vmedia(&node)
}

/// Kinds of virtual media.
const MEDIA: [&str; 3] = ["cdrom", "disk", "floppy"];

/// `DELETE …/vmedia`; the devices are in the query or in a body.
pub(crate) async fn eject_vmedia(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["device_types"])?;
    let named: Vec<String> = match arguments.get("device_types") {
        None => Vec::new(),
        Some(Value::String(list)) => list.split(',').map(str::to_owned).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|item| item.as_str().unwrap_or_default().to_owned())
            .collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(ApiError::bad("device_types must be a list"));
        }
    };
    if let Some(wrong) = named.iter().find(|name| !MEDIA.contains(&name.as_str())) {
        return Err(ApiError::bad(format!("'{wrong}' is not one of {MEDIA:?}")));
    }
    let node = app.node(&call).await?;
    accept_vmedia(&node)
}

fn accept_vmedia(node: &NodeRecord) -> Result<Reply, ApiError> {
    if &*node.interfaces.management == "fake" {
        Ok(Reply::done(None))
    } else {
        Err(super::states::unsupported(node, "virtual media"))
    }
}

/// `GET …/volume`.
pub(crate) async fn volume(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let (base, id) = (&call.base, node.id);
    let links = |tail: &str| {
        json!([
            {"href": format!("{base}/v1/nodes/{id}/volume{tail}"), "rel": "self"},
            {"href": format!("{base}/nodes/{id}/volume{tail}"), "rel": "bookmark"},
        ])
    };
    Ok(Reply::of(&json!({
        "links": links(""),
        "connectors": links("/connectors"),
        "targets": links("/targets"),
    })))
}
