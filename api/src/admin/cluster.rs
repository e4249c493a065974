//! The cluster, its members, and what the fleet looks like in numbers.

use super::Admin;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::ids::ConductorId;
use baton_model::state::{ConductorStatus, StateView};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Nodes looked at while the state is locked once; see the public list.
const SCAN_CHUNK: usize = 2048;

/// `GET /admin/v1/cluster`.
pub(super) async fn report(State(admin): State<Arc<Admin>>) -> Reply {
    Reply::of(&admin.deps.cluster.report())
}

/// The word of a conductor's status.
pub(super) const fn status(status: ConductorStatus) -> &'static str {
    match status {
        ConductorStatus::Up => "up",
        ConductorStatus::Draining => "draining",
        ConductorStatus::Down => "down",
    }
}

/// `GET /admin/v1/members`: Raft members and conductors, joined.
pub(super) async fn members(State(admin): State<Arc<Admin>>) -> Reply {
    let report = admin.deps.cluster.report();
    let owned = Counts::of(&admin.deps.state).owned;
    let state = admin.deps.state.read();
    let mut ids: Vec<ConductorId> = report.members.iter().map(|member| member.id).collect();
    ids.extend(state.conductors().keys().copied());
    ids.sort_unstable();
    ids.dedup();
    let members: Vec<Value> = ids
        .into_iter()
        .map(|id| {
            let member = report.members.iter().find(|member| member.id == id);
            let conductor = state.conductor(id);
            let behind = member
                .and_then(|member| member.matched)
                .map(|matched| report.last_log.0.saturating_sub(matched.0));
            json!({
                "id": id,
                "host": conductor
                    .map(|conductor| &conductor.host)
                    .or_else(|| member.map(|member| &member.host)),
                "address": member.map(|member| &member.address),
                "role": member.map(|member| member.role),
                "leader": report.leader == Some(id),
                "status": conductor.map(|conductor| status(conductor.status)),
                "drained": conductor.map(|conductor| state.is_drained(&conductor.host)),
                "incarnation": conductor.map(|conductor| conductor.incarnation),
                "conductor_group": conductor.map(|conductor| &conductor.group),
                "rack": conductor.map(|conductor| &conductor.rack),
                "drivers": conductor.map(|conductor| &conductor.drivers),
                "matched": member.and_then(|member| member.matched),
                "behind": behind,
                "heard_ms": member.and_then(|member| member.heard_ms),
                "nodes": owned.get(&Some(id)).copied().unwrap_or(0),
            })
        })
        .collect();
    Reply::of(&json!({
        "me": report.me,
        "leader": report.leader,
        "term": report.term,
        "members": members,
        "unowned_nodes": owned.get(&None).copied().unwrap_or(0),
    }))
}

/// The fleet, counted.
#[derive(Default)]
struct Counts {
    nodes: u64,
    owned: BTreeMap<Option<ConductorId>, u64>,
    power: BTreeMap<&'static str, u64>,
    provision: BTreeMap<&'static str, u64>,
    faults: BTreeMap<&'static str, u64>,
    maintenance: u64,
    locked: u64,
    busy_power: u64,
}

impl Counts {
    fn of(state: &StateView) -> Self {
        let mut counts = Self::default();
        let mut after = None;
        loop {
            let state = state.read();
            let mut seen = 0;
            for node in state.nodes_after(after).take(SCAN_CHUNK) {
                seen += 1;
                after = Some(node.serial);
                counts.nodes += 1;
                *counts.owned.entry(state.owner(node)).or_default() += 1;
                let power = node.power_state.map_or("unknown", |power| power.as_str());
                *counts.power.entry(power).or_default() += 1;
                *counts
                    .provision
                    .entry(node.provision_state.as_str())
                    .or_default() += 1;
                if let Some(fault) = node.fault {
                    *counts.faults.entry(fault.as_str()).or_default() += 1;
                }
                counts.maintenance += u64::from(node.maintenance);
                counts.locked += u64::from(node.is_locked());
                counts.busy_power += u64::from(node.target_power_state.is_some());
            }
            if seen < SCAN_CHUNK {
                return counts;
            }
        }
    }
}

/// `GET /admin/v1/summary`.
pub(super) async fn summary(State(admin): State<Arc<Admin>>) -> Reply {
    let counts = Counts::of(&admin.deps.state);
    let now = admin.deps.env.clock.wall();
    let state = admin.deps.state.read();
    let outbox = state.outbox_len();
    let oldest = state
        .outbox()
        .map(|event| event.at)
        .min()
        .map(|at| now.0.saturating_sub(at.0));
    drop(state);
    Reply::of(&json!({
        "nodes": counts.nodes,
        "power_state": counts.power,
        "provision_state": counts.provision,
        "fault": counts.faults,
        "maintenance": counts.maintenance,
        "locked": counts.locked,
        "changing_power": counts.busy_power,
        "unowned": counts.owned.get(&None).copied().unwrap_or(0),
        "outbox": {"depth": outbox, "oldest_age_ms": oldest},
    }))
}
