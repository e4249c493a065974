//! The BMCs as the conductors' sync pools see them: the slowest, those that refuse the login, and what the pools do.

use super::Admin;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::ids::{ConductorId, NodeId};
use baton_model::port::power::{PoolReport, RefusedBmc, SlowNode};
use serde_json::{Value, json};
use std::sync::Arc;

/// Rows of each table.
const ROWS_MAX: usize = 100;

/// `GET /admin/v1/bmcs`.
pub(super) async fn report(State(admin): State<Arc<Admin>>) -> Reply {
    let reports = admin.power.get(&admin).await;
    let told: Vec<(ConductorId, &PoolReport)> = reports
        .iter()
        .filter_map(|(id, told)| Some((*id, &told.as_ref().ok()?.pool)))
        .collect();
    let mut slowest: Vec<(ConductorId, SlowNode)> = told
        .iter()
        .flat_map(|(id, pool)| pool.slowest.iter().map(|slow| (*id, *slow)))
        .collect();
    slowest.sort_by_key(|(_, slow)| (std::cmp::Reverse(slow.rtt_us), slow.node));
    slowest.truncate(ROWS_MAX);
    let mut refused: Vec<(ConductorId, &RefusedBmc)> = told
        .iter()
        .flat_map(|(id, pool)| pool.auth_broken.iter().map(|broken| (*id, broken)))
        .collect();
    refused.sort_by_key(|(_, broken)| (std::cmp::Reverse(broken.since_ms), broken.node));
    refused.truncate(ROWS_MAX);

    let state = admin.deps.state.read();
    let name = |node: NodeId| state.node(node).and_then(|node| node.name.clone());
    let pools: Vec<Value> = reports
        .iter()
        .map(|(id, told)| match told {
            Ok(report) => {
                let pool = &report.pool;
                json!({
                    "id": id, "host": state.host_of(*id), "error": null,
                    "limit": pool.limit, "in_flight": pool.in_flight[0], "suspects_in_flight": pool.in_flight[1],
                    "waiting": {"user": pool.waiting[0], "recovery": pool.waiting[1], "sync": pool.waiting[2]},
                    "bmcs": pool.bmcs, "silent": pool.silent, "breakers_open": pool.breakers_open,
                    "refusing_login": pool.auth_broken_total,
                })
            }
            Err(error) => json!({"id": id, "host": state.host_of(*id), "error": error}),
        })
        .collect();
    let slowest: Vec<Value> = slowest
        .into_iter()
        .map(|(id, slow)| {
            json!({
                "node": slow.node, "name": name(slow.node), "conductor": state.host_of(id), "rtt_us": slow.rtt_us,
            })
        })
        .collect();
    let refusing: Vec<Value> = refused
        .into_iter()
        .map(|(id, broken)| {
            json!({
                "node": broken.node, "name": name(broken.node), "conductor": state.host_of(id), "error": broken.error,
                "since_ms": broken.since_ms, "retry_in_ms": broken.retry_in_ms,
            })
        })
        .collect();
    Reply::of(&json!({"pools": pools, "slowest": slowest, "refusing_login": refusing}))
}
