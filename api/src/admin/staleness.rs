//! Staleness: how old the last confirmed read of each node's power state is. It is the promise that power sync makes.
//!
//! Every conductor counts its own nodes as they are read; here the counts are added up. Only the owners of the nodes shown
//! are asked for more, so a report costs the same in a fleet of a hundred and of a hundred thousand.

use super::Admin;
use crate::reply::Reply;
use axum::extract::{Query, State};
use baton_model::freshness::{Ages, FreshnessReport, StaleNode};
use baton_model::ids::ConductorId;
use baton_model::port::node::{NodeAnswer, NodeLive, NodeRequest};
use baton_model::port::power::Told;
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// Most nodes listed.
const WORST_MAX: usize = 200;
/// Nodes listed unless asked otherwise.
const WORST: usize = 20;
/// Owners asked at once for what they know of the nodes shown.
const IN_FLIGHT_MAX: usize = 32;
/// How long an owner is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a report serves later requests, so that many open dashboards cost one.
const CACHE_FOR: Duration = Duration::from_secs(2);
/// Upper edges of the shown histogram, in seconds.
const EDGES_S: [u64; 10] = [5, 15, 30, 60, 120, 240, 600, 1800, 3600, 86_400];

/// The last reports of all conductors.
#[derive(Default)]
pub(super) struct Cache(Mutex<Option<(Instant, Reports)>>);

/// What each conductor told.
pub(super) type Reports = Arc<Vec<(ConductorId, Told)>>;

impl Cache {
    /// The reports, at most [`CACHE_FOR`] old.
    pub(super) async fn get(&self, admin: &Admin) -> Reports {
        // Held while the conductors are asked: later requests wait for the answers instead of asking again.
        let mut cached = self.0.lock().await;
        if let Some((made, reports)) = &*cached
            && made.elapsed() < CACHE_FOR
        {
            return Arc::clone(reports);
        }
        let reports = Arc::new(admin.deps.power.everywhere(WORST_MAX).await);
        *cached = Some((Instant::now(), Arc::clone(&reports)));
        reports
    }
}

/// Parameters.
#[derive(Deserialize)]
pub(super) struct Wish {
    worst: Option<usize>,
}

/// `GET /admin/v1/staleness?worst=20`.
pub(super) async fn report(State(admin): State<Arc<Admin>>, Query(wish): Query<Wish>) -> Reply {
    let reports = admin.power.get(&admin).await;
    let told: Vec<(ConductorId, &FreshnessReport)> = reports
        .iter()
        .filter_map(|(id, told)| Some((*id, &told.as_ref().ok()?.freshness)))
        .collect();
    let mut ages = Ages::default();
    for (_, report) in &told {
        ages.merge(&report.ages);
    }
    let sum =
        |of: fn(&FreshnessReport) -> u64| told.iter().map(|(_, report)| of(report)).sum::<u64>();
    let oldest_ms = told.iter().filter_map(|(_, report)| report.oldest_ms).max();
    let mut rows: Vec<(ConductorId, StaleNode)> = told
        .iter()
        .flat_map(|(id, report)| report.worst.iter().map(|row| (*id, *row)))
        .collect();
    rows.sort_by_key(|(_, row)| (row.confirmed, std::cmp::Reverse(row.age_ms), row.node));
    rows.truncate(wish.worst.unwrap_or(WORST).min(WORST_MAX));
    let worst = shown(&admin, rows).await;
    let state = admin.deps.state.read();
    let conductors: Vec<Value> = reports
        .iter()
        .map(|(id, told)| {
            let host = state.host_of(*id);
            match told {
                Ok(report) => {
                    let fresh = &report.freshness;
                    json!({
                        "id": id, "host": host, "error": null, "stale": fresh.stale,
                        "synced": fresh.ages.count() + fresh.unconfirmed,
                        "never_confirmed": fresh.unconfirmed, "age_ms": of(&fresh.ages, fresh.oldest_ms),
                    })
                }
                Err(error) => json!({"id": id, "host": host, "error": error}),
            }
        })
        .collect();
    let stale = sum(|report| report.stale);
    let histogram: Vec<Value> = EDGES_S
        .iter()
        .map(|edge| json!({"within_s": edge, "nodes": ages.within(*edge)}))
        .collect();
    Reply::of(&json!({
        "nodes": state.nodes().len(),
        "synced": ages.count() + sum(|report| report.unconfirmed),
        "never_confirmed": sum(|report| report.unconfirmed),
        "recovering": sum(|report| report.recovering),
        "not_read": sum(|report| report.unwatched),
        "age_ms": of(&ages, oldest_ms),
        "histogram": histogram,
        "stale_after_ms": u64::try_from(admin.deps.power.stale_after().as_millis()).unwrap_or(u64::MAX),
        "stale": stale,
        "alarm": stale > 0,
        "conductors": conductors,
        "worst": worst,
    }))
}

fn of(ages: &Ages, oldest_ms: Option<u64>) -> Value {
    let at = |permille| ages.at(permille).map(|age_s| age_s.saturating_mul(1000));
    json!({"p50": at(500), "p90": at(900), "p99": at(990), "max": oldest_ms})
}

/// The rows with the nodes' records and what their owners know of them now.
async fn shown(admin: &Admin, rows: Vec<(ConductorId, StaleNode)>) -> Vec<Value> {
    let known: Vec<(ConductorId, StaleNode, Option<NodeLive>)> = stream::iter(rows)
        .map(|(owner, row)| async move { (owner, row, live(admin, &row).await) })
        .buffered(IN_FLIGHT_MAX)
        .collect()
        .await;
    let state = admin.deps.state.read();
    known
        .into_iter()
        .filter_map(|(owner, row, live)| {
            let node = state.node(row.node)?;
            Some(json!({
                "node": node.id,
                "name": node.name,
                "conductor": state.host_of(owner),
                "provision_state": node.provision_state,
                "power_state": node.power_state,
                "maintenance": node.maintenance,
                "confirmed": row.confirmed,
                "age_ms": row.age_ms,
                "live": live.as_ref().map(super::nodes::live),
            }))
        })
        .collect()
}

async fn live(admin: &Admin, row: &StaleNode) -> Option<NodeLive> {
    let question = admin
        .deps
        .nodes
        .request(row.node, admin.request_id(), NodeRequest::Inspect);
    match timeout(PATIENCE, question).await {
        Ok(Ok(NodeAnswer::Live(live))) => Some(live),
        Ok(Ok(NodeAnswer::Accepted | NodeAnswer::Done | NodeAnswer::Disclosed(_)) | Err(_))
        | Err(_) => None,
    }
}
