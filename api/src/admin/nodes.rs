//! One node, with everything that Ironic's API does not say: owner and reason, tenure, lock, freshness.

use super::Admin;
use super::error::AdminError;
use super::locks::lock;
use crate::app::parse_uuid;
use crate::out::time;
use crate::reply::Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_model::ids::NodeId;
use baton_model::node::record::NodeRecord;
use baton_model::ownership::{OwnedBy, owner_of};
use baton_model::port::node::{NodeAnswer, NodeLive, NodeRequest};
use serde_json::{Value, json};
use std::sync::Arc;

/// The node of this uuid or name.
pub(super) fn find(admin: &Admin, ident: &str) -> Result<Arc<NodeRecord>, AdminError> {
    let state = admin.deps.state.read();
    parse_uuid(ident)
        .map_or_else(
            || state.node_by_name(ident),
            |uuid| state.node(NodeId(uuid)),
        )
        .cloned()
        .ok_or_else(|| {
            AdminError::new(
                StatusCode::NOT_FOUND,
                format!("Node {ident} could not be found."),
            )
        })
}

/// What the owner knows.
pub(super) fn live(known: &NodeLive) -> Value {
    json!({
        "confirmed_at": known.confirmed_at.and_then(time),
        "confirmed_age_ms": known.confirmed_age_ms,
        "next_sync_in_ms": known.next_sync_in_ms,
        "waiting_for": known.waiting_for,
        "queued": known.queued,
        "bmc_error": known.bmc_error,
        "rtt_us": known.rtt_us,
    })
}

/// Why a conductor owns a node.
pub(super) const fn word(why: OwnedBy) -> &'static str {
    match why {
        OwnedBy::Pin => "pin",
        OwnedBy::Hash => "hash",
    }
}

/// `GET /admin/v1/nodes/{node}`.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(ident): Path<String>,
) -> Result<Reply, AdminError> {
    let node = find(&admin, &ident)?;
    let asked = admin
        .deps
        .nodes
        .request(node.id, admin.request_id(), NodeRequest::Inspect)
        .await;
    let (known, unknown_because) = match asked {
        Ok(NodeAnswer::Live(known)) => (Some(live(&known)), None),
        Ok(NodeAnswer::Accepted | NodeAnswer::Done | NodeAnswer::Disclosed(_)) => {
            (None, Some("no answer".to_owned()))
        }
        Err(error) => (None, Some(error.to_string())),
    };
    let now = admin.deps.env.clock.wall();
    let state = admin.deps.state.read();
    let owner = owner_of(state.conductors(), &node);
    let document = json!({
        "uuid": node.id,
        "name": node.name,
        "driver": node.driver,
        "provision_state": node.provision_state,
        "power_state": node.power_state,
        "power_state_from": node.power_source.map(|source| {
            json!({
                "cause": source.cause.as_str(), "conductor": state.host_of(source.conductor), "at": time(source.at),
            })
        }),
        "maintenance": node.maintenance,
        "fault": node.fault,
        "last_error": node.last_error,
        "owner": owner.map(|(owner, _)| state.host_of(owner)),
        "owned_by": owner.map(|(_, why)| word(why)),
        "pin": node.pin,
        "epoch": node.epoch,
        "revision": node.revision,
        "acted": node.acted.map(|(conductor, incarnation)| {
            json!({"host": state.host_of(conductor), "incarnation": incarnation})
        }),
        "sync_failures": state.sync_failures(node.id),
        "login_refused": node.login_refused.as_ref().map(|refused| {
            json!({"bmc": refused.bmc, "username": refused.username, "reason": refused.reason})
        }),
        "unfenced_session": node.unfenced.as_ref().map(ToString::to_string),
        "lock": node.intent.as_ref().map(|intent| lock(&state, &node, intent, now)),
        "compute": node.instance_uuid.map(|instance| super::compute::told(&state, instance)),
        "live": known,
        "live_unknown_because": unknown_because,
    });
    drop(state);
    Ok(Reply::of(&document))
}

/// `POST /admin/v1/nodes/{node}/sync`: read the power state now.
pub(super) async fn sync(
    State(admin): State<Arc<Admin>>,
    Path(ident): Path<String>,
) -> Result<Reply, AdminError> {
    let node = find(&admin, &ident)?;
    admin
        .deps
        .nodes
        .request(node.id, admin.request_id(), NodeRequest::SyncNow)
        .await?;
    Ok(Reply::accepted(None))
}
