//! Conductors as owners: their leases, and taking one out of service without stopping it.

use super::Admin;
use super::cluster::status;
use super::error::AdminError;
use crate::out::time;
use crate::reply::Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_model::command::{Command, DrainOrder, Refusal, Reply as Applied, Session};
use baton_model::ids::ConductorId;
use baton_model::state::ConductorStatus;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET /admin/v1/leases`: the life of every conductor, and what hangs on it. How long a lease holds is known to its holder
/// (and to the leader) only, so `remaining_ms` is given for the conductor that was asked.
pub(super) async fn leases(State(admin): State<Arc<Admin>>) -> Reply {
    let me = admin.deps.cluster.report().me;
    let remaining = admin.deps.lease.remaining();
    let state = admin.deps.state.read();
    let mut locks = BTreeMap::<Session, u64>::new();
    for intent in state.nodes().filter_map(|node| node.intent.as_ref()) {
        *locks.entry(intent.holder_session()).or_default() += 1;
    }
    let leases: Vec<Value> = state
        .conductors()
        .iter()
        .map(|(id, conductor)| {
            let session = Session {
                conductor: *id,
                incarnation: conductor.incarnation,
            };
            json!({
                "id": id,
                "host": conductor.host,
                "incarnation": conductor.incarnation,
                "status": status(conductor.status),
                "status_since": time(conductor.updated_at),
                "drained_since": state.drained().get(&conductor.host).copied().map(time),
                "locks": locks.get(&session).copied().unwrap_or(0),
                "remaining_ms": (*id == me).then(|| u64::try_from(remaining.as_millis()).unwrap_or(u64::MAX)),
            })
        })
        .collect();
    Reply::of(&json!({"me": me, "leases": leases}))
}

/// The conductor of this host name, its present life and status.
pub(super) fn find(
    admin: &Admin,
    host: &str,
) -> Result<(ConductorId, Session, ConductorStatus), AdminError> {
    let state = admin.deps.state.read();
    let Some((id, conductor)) = state.conductor_named(host) else {
        let known: Vec<&str> = state
            .conductors()
            .values()
            .map(|conductor| &*conductor.host)
            .collect();
        let text = format!(
            "There is no conductor {host}. Known are: {}.",
            known.join(", ")
        );
        return Err(AdminError::new(StatusCode::NOT_FOUND, text));
    };
    let session = Session {
        conductor: id,
        incarnation: conductor.incarnation,
    };
    Ok((id, session, conductor.status))
}

/// `GET /admin/v1/drains`: the host names that an operator has drained, also of conductors that are down or gone.
pub(super) async fn drains(State(admin): State<Arc<Admin>>) -> Reply {
    let state = admin.deps.state.read();
    let drains: Vec<Value> = state
        .drained()
        .iter()
        .map(|(host, since)| {
            let named = state.conductor_named(host);
            json!({
                "host": host,
                "since": time(*since),
                "status": named.map(|(_, conductor)| status(conductor.status)),
            })
        })
        .collect();
    drop(state);
    Reply::of(&json!({"drains": drains}))
}

/// `POST /admin/v1/conductors/{host}/drain`: hands all its nodes over, live, and gives it none until it is undrained, in
/// whatever life. Running work ends where it is.
pub(super) async fn drain(
    State(admin): State<Arc<Admin>>,
    Path(host): Path<String>,
) -> Result<Reply, AdminError> {
    find(&admin, &host)?;
    order(&admin, host, true).await
}

/// `POST /admin/v1/conductors/{host}/undrain`: it takes its share again.
pub(super) async fn undrain(
    State(admin): State<Arc<Admin>>,
    Path(host): Path<String>,
) -> Result<Reply, AdminError> {
    // A host that is gone for good has no record any more, only the order.
    if !admin.deps.state.read().is_drained(&host) {
        find(&admin, &host)?;
    }
    order(&admin, host, false).await
}

async fn order(admin: &Admin, host: String, drained: bool) -> Result<Reply, AdminError> {
    let command = Command::DrainOrder(DrainOrder {
        host: host.as_str().into(),
        drained,
    });
    match admin.deps.proposer.propose(command).await? {
        Applied::Done { .. } => {
            let state = admin.deps.state.read();
            let named = state.conductor_named(&host);
            let running = state
                .nodes()
                .filter_map(|node| node.intent.as_ref())
                .filter(|intent| named.is_some_and(|(id, _)| intent.holder == id))
                .count();
            let document = json!({
                "host": host,
                "status": named.map(|(_, conductor)| status(conductor.status)),
                "drained_since": state.drained().get(&*host).copied().map(time),
                "running_work": running,
            });
            drop(state);
            Ok(Reply::of(&document))
        }
        Applied::Refused(Refusal::Rule(refused)) => Err(AdminError::new(
            StatusCode::from_u16(refused.status).unwrap_or(StatusCode::CONFLICT),
            refused.text.to_string(),
        )),
        Applied::Refused(other) => Err(AdminError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The cluster refused the change: {other:?}."),
        )),
    }
}
