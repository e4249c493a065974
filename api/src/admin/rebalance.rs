//! What would move: ownership is a pure function, so it can be asked about conductors as they might be.

use super::Admin;
use super::conductors;
use super::error::AdminError;
use crate::reply::Reply;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use baton_model::ids::ConductorId;
use baton_model::ownership::owner_of;
use baton_model::state::ConductorStatus;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes looked at while the state is locked once; see the public list.
const SCAN_CHUNK: usize = 2048;

/// What to suppose: hosts, separated by commas.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// These drain or leave.
    without: Option<String>,
    /// These come back.
    with: Option<String>,
}

/// `GET /admin/v1/rebalance?without=host-1,host-2&with=host-3`.
pub(super) async fn preview(
    State(admin): State<Arc<Admin>>,
    Query(wish): Query<Wish>,
) -> Result<Reply, AdminError> {
    let mut supposed = admin.deps.state.read().conductors().clone();
    let changes = [
        (wish.without, ConductorStatus::Down),
        (wish.with, ConductorStatus::Up),
    ];
    for (hosts, status) in changes {
        for host in hosts.iter().flat_map(|hosts| hosts.split(',')) {
            let (id, ..) = conductors::find(&admin, host.trim())?;
            if let Some(record) = supposed.get_mut(&id) {
                record.status = status;
            }
        }
    }
    if supposed.is_empty() {
        let text = "No conductor has joined yet.";
        return Err(AdminError::new(StatusCode::CONFLICT, text));
    }
    let (mut nodes, mut busy) = (0_u64, 0_u64);
    let mut moves = BTreeMap::<(Option<ConductorId>, Option<ConductorId>), u64>::new();
    let mut shares = BTreeMap::<Option<ConductorId>, (u64, u64)>::new();
    let mut after = None;
    loop {
        let state = admin.deps.state.read();
        let mut seen = 0;
        for node in state.nodes_after(after).take(SCAN_CHUNK) {
            seen += 1;
            after = Some(node.serial);
            let (from, to) = (
                state.owner(node),
                owner_of(&supposed, node).map(|(owner, _)| owner),
            );
            nodes += 1;
            shares.entry(from).or_default().0 += 1;
            shares.entry(to).or_default().1 += 1;
            if from != to {
                *moves.entry((from, to)).or_default() += 1;
                busy += u64::from(node.is_locked());
            }
        }
        if seen < SCAN_CHUNK {
            break;
        }
    }
    let state = admin.deps.state.read();
    let host = |id: &Option<ConductorId>| id.map(|id| state.host_of(id));
    let shares: Vec<Value> = shares
        .iter()
        .map(|(id, (now, then))| json!({"conductor": host(id), "now": now, "then": then}))
        .collect();
    let moved: u64 = moves.values().sum();
    let moves: Vec<Value> = moves
        .iter()
        .map(|((from, to), nodes)| json!({"from": host(from), "to": host(to), "nodes": nodes}))
        .collect();
    let document = json!({
        "nodes": nodes,
        "moved": moved,
        "moved_with_running_work": busy,
        "moves": moves,
        "shares": shares,
    });
    drop(state);
    Ok(Reply::of(&document))
}
