//! What the compute service was told, what waits, and what it will never take.

use super::Admin;
use super::error::AdminError;
use crate::out::time;
use crate::reply::Reply;
use axum::extract::State;
use axum::http::StatusCode;
use baton_model::command::{Command, DecideDeadLetters, Decision, Refusal, Reply as Applied};
use baton_model::ids::WallMs;
use baton_model::outbox::{EventStatus, NAMED_MAX, OutboxEvent};
use baton_model::state::ClusterState;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use uuid::Uuid;

/// Longest list of events; the oldest come first, and more than this says nothing more.
const EVENTS_MAX: usize = 1000;

fn event(event: &OutboxEvent, now: WallMs) -> Value {
    let (status, at, why) = match event.status {
        EventStatus::Waiting => ("waiting", None, None),
        EventStatus::Told { at, how } => ("told", Some(at), Some(how.as_str().to_owned())),
        EventStatus::Dead { at, why } => ("dead", Some(at), Some(why.to_string())),
    };
    json!({
        "instance": event.instance,
        "node": event.node,
        "power_state": event.state,
        "cause": event.cause.as_str(),
        "changed_at": time(event.at),
        "age_ms": now.0.saturating_sub(event.at.0),
        "status": status,
        "status_at": at.and_then(time),
        "status_reason": why,
    })
}

/// "Last told compute" of an instance.
pub(super) fn told(state: &ClusterState, instance: Uuid) -> Value {
    match state.event_of(instance) {
        Some(known) => event(known, known.at),
        None => json!({"instance": instance, "status": "nothing to tell yet"}),
    }
}

/// `GET /admin/v1/compute`: the outbox of the whole cluster, and how this conductor does with its part.
pub(super) async fn report(State(admin): State<Arc<Admin>>) -> Reply {
    let now = admin.deps.env.clock.wall();
    let here = admin.deps.notifier.stats();
    let state = admin.deps.state.read();
    let waiting = state.outbox_len();
    let oldest = state.outbox().map(|event| event.at).min();
    let dead = state.events().filter(|event| event.is_dead()).count();
    drop(state);
    Reply::of(&json!({
        "sending": admin.deps.notifier.is_sending(),
        "waiting": waiting,
        "oldest_age_ms": oldest.map(|at| now.0.saturating_sub(at.0)),
        "dead": dead,
        "here": {
            "waiting": here.depth,
            "oldest_age_ms": here.oldest.as_millis(),
            "in_flight": here.in_flight,
            "requests": here.requests,
            "accepted": here.accepted,
            "rejected": here.rejected,
            "failed": here.failed,
            "repeated": here.repeated,
            "results": here.results,
            "last_error": here.last_error,
            "pause_ms": here.pause.as_millis(),
            "batch_max": here.batch_cap,
        },
    }))
}

fn list<'a>(events: impl Iterator<Item = &'a OutboxEvent>, now: WallMs) -> Reply {
    let mut events: Vec<&OutboxEvent> = events.collect();
    let total = events.len();
    events.sort_by_key(|event| event.seq);
    events.truncate(EVENTS_MAX);
    let events: Vec<Value> = events.into_iter().map(|one| event(one, now)).collect();
    Reply::of(&json!({"total": total, "events": events}))
}

/// `GET /admin/v1/compute/waiting`, the oldest first.
pub(super) async fn waiting(State(admin): State<Arc<Admin>>) -> Reply {
    let now = admin.deps.env.clock.wall();
    list(admin.deps.state.read().outbox(), now)
}

/// `GET /admin/v1/compute/dead`, the oldest first.
pub(super) async fn dead(State(admin): State<Arc<Admin>>) -> Reply {
    let now = admin.deps.env.clock.wall();
    let state = admin.deps.state.read();
    list(state.events().filter(|event| event.is_dead()), now)
}

/// The body of a decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    /// These, or the string `all`.
    instances: Instances,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Instances {
    These(Vec<Uuid>),
    All(All),
}

#[derive(Deserialize)]
enum All {
    #[serde(rename = "all")]
    All,
}

/// `POST /admin/v1/compute/dead/resend`.
pub(super) async fn resend(
    State(admin): State<Arc<Admin>>,
    body: Bytes,
) -> Result<Reply, AdminError> {
    decide(&admin, &body, Decision::Resend).await
}

/// `POST /admin/v1/compute/dead/drop`.
pub(super) async fn forget(
    State(admin): State<Arc<Admin>>,
    body: Bytes,
) -> Result<Reply, AdminError> {
    decide(&admin, &body, Decision::Drop).await
}

async fn decide(admin: &Admin, body: &Bytes, decision: Decision) -> Result<Reply, AdminError> {
    let wish: Wish = serde_json::from_slice(body).map_err(|error| {
        let text = format!(
            "Send {{\"instances\": [<instance>, …]}} or {{\"instances\": \"all\"}}: {error}"
        );
        AdminError::new(StatusCode::BAD_REQUEST, text)
    })?;
    let dead: Vec<Uuid> = {
        let state = admin.deps.state.read();
        let is_meant = |event: &&OutboxEvent| {
            event.is_dead()
                && match &wish.instances {
                    Instances::All(All::All) => true,
                    Instances::These(these) => these.contains(&event.instance),
                }
        };
        let meant = state.events().filter(is_meant);
        meant.map(|event| event.instance).collect()
    };
    for instances in dead.chunks(NAMED_MAX) {
        let command = Command::DeadLetters(DecideDeadLetters {
            instances: instances.to_vec(),
            decision,
        });
        if let Applied::Refused(refusal) = admin.deps.proposer.propose(command).await? {
            let text = format!("The dead letters could not be changed: {refusal:?}");
            debug_assert!(matches!(refusal, Refusal::SessionOver), "{text}");
            return Err(AdminError::new(StatusCode::CONFLICT, text));
        }
    }
    Ok(Reply::of(&json!({"instances": dead})))
}
