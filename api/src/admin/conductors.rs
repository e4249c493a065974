//! Conductors as owners: their leases, and taking one out of service without stopping it.

use super::Admin;
use super::cluster::status;
use super::error::AdminError;
use crate::out::time;
use crate::reply::Reply;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use baton_model::command::{Command, Refusal, Reply as Applied, Session};
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
    let found = state
        .conductors()
        .iter()
        .find(|(_, conductor)| &*conductor.host == host);
    let Some((id, conductor)) = found else {
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
        conductor: *id,
        incarnation: conductor.incarnation,
    };
    Ok((*id, session, conductor.status))
}

/// `POST /admin/v1/conductors/{host}/drain`: hands all its nodes over, live, and gives it none until it is undrained or
/// starts again. Running work ends where it is.
pub(super) async fn drain(
    State(admin): State<Arc<Admin>>,
    Path(host): Path<String>,
) -> Result<Reply, AdminError> {
    change(&admin, &host, Command::ConductorDraining).await
}

/// `POST /admin/v1/conductors/{host}/undrain`: it takes its share again.
pub(super) async fn undrain(
    State(admin): State<Arc<Admin>>,
    Path(host): Path<String>,
) -> Result<Reply, AdminError> {
    change(&admin, &host, Command::ConductorServing).await
}

async fn change(
    admin: &Admin,
    host: &str,
    command: fn(Session) -> Command,
) -> Result<Reply, AdminError> {
    let (id, session, _) = find(admin, host)?;
    match admin.deps.proposer.propose(command(session)).await? {
        Applied::Done { .. } => {
            let state = admin.deps.state.read();
            let now = state.conductor(id).map(|record| status(record.status));
            let running = state
                .nodes()
                .filter_map(|node| node.intent.as_ref())
                .filter(|intent| intent.holder_session() == session)
                .count();
            drop(state);
            Ok(Reply::of(
                &json!({"host": host, "status": now, "running_work": running}),
            ))
        }
        Applied::Refused(Refusal::SessionOver) => Err(AdminError::new(
            StatusCode::CONFLICT,
            format!("Conductor {host} is down or has just started anew; look again."),
        )),
        Applied::Refused(other) => Err(AdminError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The cluster refused the change: {other:?}."),
        )),
    }
}
