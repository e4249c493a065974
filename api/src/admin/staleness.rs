//! Staleness: how old the last confirmed read of each node's power state is. It is the promise that power sync makes.
//!
//! The owners are asked node by node. In a fleet larger than [`ASKED_MAX`] an even sample is asked and the answer says so.

use super::Admin;
use crate::reply::Reply;
use axum::extract::{Query, State};
use baton_model::node::record::NodeRecord;
use baton_model::port::node::{NodeAnswer, NodeLive, NodeRequest};
use futures_util::StreamExt;
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

/// Most nodes asked for one report; at some 20 µs each this takes 40 ms of one core.
const ASKED_MAX: usize = 2000;
/// Questions in flight.
const IN_FLIGHT_MAX: usize = 64;
/// A report is not waited for longer than this; what has answered by then is in it.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a report serves later requests, so that many open dashboards cost one.
const CACHE_FOR: Duration = Duration::from_secs(2);
/// Most nodes listed.
const WORST_MAX: usize = 200;
/// Nodes listed unless asked otherwise.
const WORST: usize = 20;

/// The last report.
#[derive(Default)]
pub(super) struct Cache(Mutex<Option<(Instant, Arc<Report>)>>);

struct Report {
    nodes: usize,
    asked: usize,
    /// The answers, the stalest first; never confirmed before all.
    answers: Vec<(Arc<NodeRecord>, Option<Box<str>>, NodeLive)>,
}

/// Parameters.
#[derive(Deserialize)]
pub(super) struct Wish {
    worst: Option<usize>,
}

/// `GET /admin/v1/staleness?worst=20`.
pub(super) async fn report(State(admin): State<Arc<Admin>>, Query(wish): Query<Wish>) -> Reply {
    let report = admin.staleness.get(&admin).await;
    let mut ages: Vec<u64> = report
        .answers
        .iter()
        .filter_map(|(_, _, live)| live.confirmed_age_ms)
        .collect();
    ages.sort_unstable();
    let at = |percent: usize| {
        ages.get((ages.len().saturating_sub(1)) * percent / 100)
            .copied()
    };
    let worst: Vec<Value> = report
        .answers
        .iter()
        .take(wish.worst.unwrap_or(WORST).min(WORST_MAX))
        .map(|(node, owner, live)| {
            json!({
                "node": node.id,
                "name": node.name,
                "conductor": owner,
                "provision_state": node.provision_state,
                "power_state": node.power_state,
                "maintenance": node.maintenance,
                "live": super::nodes::live(live),
            })
        })
        .collect();
    Reply::of(&json!({
        "nodes": report.nodes,
        "asked": report.asked,
        "answered": report.answers.len(),
        "sampled": report.asked < report.nodes,
        "never_confirmed": report.answers.len() - ages.len(),
        "age_ms": {"p50": at(50), "p99": at(99), "max": ages.last()},
        "worst": worst,
    }))
}

impl Cache {
    async fn get(&self, admin: &Admin) -> Arc<Report> {
        // Held while a report is made: later requests wait for it instead of making their own.
        let mut cached = self.0.lock().await;
        if let Some((made, report)) = &*cached
            && made.elapsed() < CACHE_FOR
        {
            return Arc::clone(report);
        }
        let report = Arc::new(make(admin).await);
        *cached = Some((Instant::now(), Arc::clone(&report)));
        report
    }
}

async fn make(admin: &Admin) -> Report {
    let (nodes, sample) = {
        let state = admin.deps.state.read();
        let nodes = state.nodes().len();
        let step = nodes.div_ceil(ASKED_MAX).max(1);
        let sample: Vec<_> = state
            .nodes()
            .step_by(step)
            .map(|node| {
                let owner = state.owner(node).map(|owner| state.host_of(owner));
                (Arc::clone(node), owner)
            })
            .collect();
        (nodes, sample)
    };
    let asked = sample.len();
    let deadline = Instant::now() + PATIENCE;
    let mut answers: Vec<_> = stream::iter(sample)
        .map(|(node, owner)| async move {
            let question =
                admin
                    .deps
                    .nodes
                    .request(node.id, admin.request_id(), NodeRequest::Inspect);
            match timeout_at(deadline, question).await {
                Ok(Ok(NodeAnswer::Live(live))) => Some((node, owner, live)),
                Ok(Ok(NodeAnswer::Accepted | NodeAnswer::Done) | Err(_)) | Err(_) => None,
            }
        })
        .buffer_unordered(IN_FLIGHT_MAX)
        .filter_map(async |answer| answer)
        .collect()
        .await;
    answers.sort_by_key(|(node, _, live)| {
        let age = live.confirmed_age_ms.map_or(u64::MAX, |age| age);
        (std::cmp::Reverse(age), node.serial)
    });
    Report {
        nodes,
        asked,
        answers,
    }
}
