//! Pins: an operator's word on which conductor owns a node, by host name. A pin holds while that conductor is up and serves
//! the group, under whatever id it comes back.

use super::Admin;
use super::conductors;
use super::error::AdminError;
use super::nodes::{find, word};
use crate::reply::Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_model::command::{Command, EditNode, Reply as Applied};
use baton_model::ids::NodeId;
use baton_model::node::edit::NodeEdit;
use baton_model::ownership::owner_of;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest list of pins. Pins are exceptions; whoever has more of them wants conductor groups.
const PINS_MAX: usize = 1000;

/// The body of a pin.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    conductor: String,
}

/// `GET /admin/v1/pins`.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Reply {
    let state = admin.deps.state.read();
    let pinned = state
        .nodes()
        .filter_map(|node| node.pin.as_ref().map(|pin| (node, pin)));
    let mut total = 0;
    let mut pins: Vec<Value> = Vec::new();
    for (node, pin) in pinned {
        total += 1;
        if pins.len() < PINS_MAX {
            let owner = owner_of(state.conductors(), node);
            pins.push(json!({
                "node": node.id,
                "name": node.name,
                "conductor": pin,
                "owner": owner.map(|(owner, _)| state.host_of(owner)),
                "owned_by": owner.map(|(_, why)| word(why)),
            }));
        }
    }
    drop(state);
    Reply::of(&json!({"total": total, "pins": pins}))
}

/// `PUT /admin/v1/nodes/{node}/pin`.
pub(super) async fn set(
    State(admin): State<Arc<Admin>>,
    Path(ident): Path<String>,
    body: Bytes,
) -> Result<Reply, AdminError> {
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| {
        let text = format!("Send {{\"conductor\": \"<host>\"}}: {error}");
        AdminError::new(StatusCode::BAD_REQUEST, text)
    })?;
    let node = find(&admin, &ident)?;
    let (conductor, ..) = conductors::find(&admin, &wish.conductor)?;
    let group = admin
        .deps
        .state
        .read()
        .conductor(conductor)
        .map(|record| record.group.clone())
        .unwrap_or_default();
    if group != node.conductor_group {
        let text = format!(
            "Conductor {} serves the group '{group}' and node {} is in '{}'.",
            wish.conductor, node.id, node.conductor_group
        );
        return Err(AdminError::new(StatusCode::CONFLICT, text));
    }
    edit(&admin, node.id, Some(wish.conductor.into())).await
}

/// `DELETE /admin/v1/nodes/{node}/pin`.
pub(super) async fn clear(
    State(admin): State<Arc<Admin>>,
    Path(ident): Path<String>,
) -> Result<Reply, AdminError> {
    let node = find(&admin, &ident)?;
    edit(&admin, node.id, None).await
}

async fn edit(admin: &Admin, node: NodeId, pin: Option<Box<str>>) -> Result<Reply, AdminError> {
    let command = Command::NodeEdit(EditNode {
        node,
        expect: None,
        edits: vec![NodeEdit::Pin(pin.clone())],
    });
    match admin.deps.proposer.propose(command).await? {
        Applied::Done { .. } => {
            let state = admin.deps.state.read();
            let owner = state
                .node(node)
                .and_then(|record| owner_of(state.conductors(), record));
            let document = json!({
                "node": node,
                "pin": pin,
                "owner": owner.map(|(owner, _)| state.host_of(owner)),
                "owned_by": owner.map(|(_, why)| word(why)),
            });
            drop(state);
            Ok(Reply::of(&document))
        }
        Applied::Refused(other) => {
            let error = crate::app::refusal(node, other);
            Err(AdminError::new(error.status, error.text))
        }
    }
}
