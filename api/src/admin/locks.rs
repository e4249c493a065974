//! Locks: who holds which node, what for, since when, until when; and taking one away.

use super::Admin;
use super::error::AdminError;
use super::nodes::find;
use crate::out::time;
use crate::reply::Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_model::command::{BreakLock, Command, Refusal, Reply as Applied};
use baton_model::ids::{IntentId, WallMs};
use baton_model::node::intent::{Intent, IntentKind};
use baton_model::node::record::NodeRecord;
use baton_model::state::ClusterState;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Longest list of locks. A conductor works on some hundred nodes at once; more than this says nothing more.
const LOCKS_MAX: usize = 1000;

/// A lock as operators see it.
pub(super) fn lock(state: &ClusterState, node: &NodeRecord, intent: &Intent, now: WallMs) -> Value {
    let age_ms = now.0.saturating_sub(intent.since.0);
    let limit_ms = u64::from(intent.limit_s).saturating_mul(1000);
    json!({
        "node": node.id,
        "name": node.name,
        "intent": intent.id,
        "purpose": intent.kind.purpose(),
        "action": match &intent.kind {
            IntentKind::Power { request, .. } => request.as_str(),
            IntentKind::Provision { verb } => verb.as_str(),
            IntentKind::InjectNmi => "inject nmi",
            IntentKind::BootDevice { .. } => "set boot device",
            IntentKind::BootMode(_) => "set boot mode",
            IntentKind::SecureBoot(_) => "set secure boot",
            IntentKind::Chore { chore, .. } => chore.operation(),
        },
        "holder": state.host_of(intent.holder),
        "epoch": intent.epoch,
        "request_id": intent.request,
        "age_ms": age_ms,
        "limit_s": intent.limit_s,
        "remaining_ms": limit_ms.saturating_sub(age_ms),
        "deadline": time(WallMs(intent.since.0.saturating_add(limit_ms))),
        "overdue": age_ms > limit_ms,
        "bmc_write": intent.write.as_ref().map(|write| {
            json!({
                "command": write.action.to_string(),
                "session": write.session.to_string(),
                "accepted": write.accepted,
            })
        }),
        "provision_state": node.provision_state,
    })
}

/// `GET /admin/v1/locks`, the oldest first.
pub(super) async fn list(State(admin): State<Arc<Admin>>) -> Reply {
    let now = admin.deps.env.clock.wall();
    let state = admin.deps.state.read();
    let mut held: Vec<_> = state
        .nodes()
        .filter_map(|node| {
            node.intent
                .as_ref()
                .map(|intent| (intent.since, node, intent))
        })
        .collect();
    let total = held.len();
    held.sort_by_key(|(since, node, _)| (*since, node.id));
    let locks: Vec<Value> = held
        .into_iter()
        .take(LOCKS_MAX)
        .map(|(_, node, intent)| lock(&state, node, intent, now))
        .collect();
    drop(state);
    Reply::of(&json!({"total": total, "locks": locks}))
}

/// The body of a break.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// The lock that was seen; a newer one is left alone. Without it, the lock that is held now.
    intent: Option<IntentId>,
    /// Kept in the node's `last_error`.
    reason: String,
}

/// `POST /admin/v1/nodes/{node}/lock/break`: ends the tenure of the holder, who is fenced from then on.
pub(super) async fn break_lock(
    State(admin): State<Arc<Admin>>,
    Path(ident): Path<String>,
    body: Bytes,
) -> Result<Reply, AdminError> {
    let bad = |text: String| AdminError::new(StatusCode::BAD_REQUEST, text);
    let wish: Wish = serde_json::from_slice(&body).map_err(|error| {
        bad(format!(
            "Send {{\"reason\": \"…\"}}, and \"intent\": <id as shown in /admin/v1/locks> to break that lock only: {error}"
        ))
    })?;
    if wish.reason.trim().is_empty() {
        return Err(bad(
            "Say why in \"reason\"; it is kept in the node's last_error.".to_owned(),
        ));
    }
    let node = find(&admin, &ident)?;
    let held = node.intent.as_ref().map(|intent| intent.id);
    let Some(intent) = wish.intent.or(held) else {
        let text = format!("Node {} is not locked.", node.id);
        return Err(AdminError::new(StatusCode::CONFLICT, text));
    };
    let command = Command::LockBreak(BreakLock {
        node: node.id,
        intent,
        reason: wish.reason.into(),
    });
    match admin.deps.proposer.propose(command).await? {
        Applied::Done { epoch, .. } => Ok(Reply::of(&json!({"node": node.id, "epoch": epoch}))),
        Applied::Refused(Refusal::Moved { .. }) => Err(AdminError::new(
            StatusCode::CONFLICT,
            format!(
                "Node {} is not locked by intent {intent} any more.",
                node.id
            ),
        )),
        Applied::Refused(other) => {
            let error = crate::app::refusal(node.id, other);
            Err(AdminError::new(error.status, error.text))
        }
    }
}
