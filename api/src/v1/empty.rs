//! Endpoints that need no state: link documents, events that are accepted and ignored, and the deploy agent's calls,
//! which nobody expects yet.

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use serde_json::{Value, json};

/// `GET /v1/volume`.
pub(crate) async fn volume(call: Call) -> Result<Reply, ApiError> {
    let base = &call.base;
    let links = |tail: &str| {
        json!([
            {"href": format!("{base}/v1/volume/{tail}"), "rel": "self"},
            {"href": format!("{base}/volume/{tail}"), "rel": "bookmark"},
        ])
    };
    Ok(Reply::of(&json!({
        "links": links(""),
        "connectors": links("connectors"),
        "targets": links("targets"),
    })))
}

/// Events that neutron sends (Ironic `api/controllers/v1/event.py`).
const EVENTS: [&str; 3] = [
    "network.bind_port",
    "network.unbind_port",
    "network.delete_port",
];

/// `POST /v1/events`: checked, then ignored, since there are no ports.
pub(crate) async fn events(call: Call) -> Result<Reply, ApiError> {
    let body = call.json()?;
    let events = body
        .get("events")
        .and_then(Value::as_array)
        .ok_or_else(|| ApiError::bad("Missing mandatory parameter: events"))?;
    for event in events {
        let name = event
            .get("event")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !EVENTS.contains(&name) {
            return Err(ApiError::bad(format!("Invalid event type: {name}")));
        }
    }
    Ok(Reply::done(None))
}

/// `GET /v1/lookup`: no node waits for a ramdisk, so none is found.
pub(crate) async fn lookup(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["addresses", "node_uuid"])?;
    Err(ApiError::not_found("Not Found"))
}

/// `POST /v1/heartbeat/{node}`.
pub(crate) async fn heartbeat(_call: Call) -> Result<Reply, ApiError> {
    Err(ApiError::bad(
        "This version of baton runs no deploy agents, so it expects no heartbeat.",
    ))
}

/// `POST /v1/continue_inspection`.
pub(crate) async fn continue_inspection(_call: Call) -> Result<Reply, ApiError> {
    Err(ApiError::not_found("Not Found"))
}
