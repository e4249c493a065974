//! Routes that look: machines, journals, edges, counters, the authority's certificate.

use super::{Farm, Outcome, Problem, Query, number, ok, page, view, with};
use crate::sim::core::Contacts;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde_json::json;

pub(super) async fn list(State(farm): Farm, RawQuery(query): RawQuery) -> Outcome {
    let query = Query::parse(query.as_deref(), &["offset", "limit"])?;
    let (offset, limit) = query.page()?;
    let machines: Vec<_> = page(&farm, offset, limit)
        .filter_map(|machine| view::summary(&farm, machine))
        .collect();
    ok(&json!({"total": farm.total(), "offset": offset, "machines": machines}))
}

pub(super) async fn show(State(farm): Farm, Path(machine): Path<String>) -> Outcome {
    let machine = number(&farm, &machine)?;
    match view::details(&farm, machine) {
        Some(body) => ok(&body),
        None => Err(Problem::no_machine(&machine.to_string(), farm.total())),
    }
}

pub(super) async fn journal(
    State(farm): Farm,
    Path(machine): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let after = Query::parse(query.as_deref(), &["after"])?.number("after", 0)?;
    let body = with(&farm, machine, |bmc, now| {
        let journal = bmc.core.machine.journal(now);
        json!({
            "machine": machine, "now_ms": now.0, "written": journal.written(),
            "edges": journal.edges(), "commands": journal.commands(),
            "entries": journal.after(after).map(view::entry).collect::<Vec<_>>(),
        })
    })?;
    ok(&body)
}

pub(super) async fn edges(State(farm): Farm, RawQuery(query): RawQuery) -> Outcome {
    let query = Query::parse(query.as_deref(), &["offset", "limit"])?;
    let (offset, limit) = query.page()?;
    let mut all = Vec::new();
    let mut ever = 0;
    for machine in page(&farm, offset, limit) {
        with(&farm, machine, |bmc, now| {
            let journal = bmc.core.machine.journal(now);
            ever += journal.edges();
            all.extend(journal.kept_edges().map(|(entry, _)| {
                let mut edge = view::entry(entry);
                edge["machine"] = machine.into();
                edge
            }));
        })?;
    }
    ok(&json!({
        "total": farm.total(), "offset": offset, "now_ms": farm.now().0,
        "ever": ever, "edges": all,
    }))
}

pub(super) async fn counters(State(farm): Farm) -> Outcome {
    let (sum, edges, commands) = farm.totals();
    ok(&json!({"machines": farm.total(), "now_ms": farm.now().0,
        "edges": edges, "commands": commands, "counters": sum}))
}

pub(super) async fn reset_counters(State(farm): Farm) -> Outcome {
    let now = farm.now();
    for machine in 0..farm.total() {
        with(&farm, machine, |bmc, _| {
            bmc.core.counters = Default::default();
            bmc.core.contacts = Default::default();
        })?;
    }
    ok(&json!({"reset": farm.total(), "now_ms": now.0}))
}

/// One short row for each machine, since a bench asks for all of them at once.
pub(super) async fn contacts(State(farm): Farm, RawQuery(query): RawQuery) -> Outcome {
    let query = Query::parse(query.as_deref(), &["offset", "limit"])?;
    let (offset, limit) = query.page()?;
    let mut rows = Vec::new();
    for machine in page(&farm, offset, limit) {
        let Contacts { first, last } = with(&farm, machine, |bmc, _| bmc.core.contacts)?;
        rows.push(json!([machine, first.map(|at| at.0), last.map(|at| at.0)]));
    }
    ok(&json!({
        "total": farm.total(), "offset": offset, "now_ms": farm.now().0,
        "columns": ["machine", "first_ms", "last_ms"], "contacts": rows,
    }))
}

pub(super) async fn ca(State(farm): Farm) -> Outcome {
    match farm.ca_pem() {
        Some(pem) => Ok(pem.to_owned().into_response()),
        None => Err(Problem {
            status: StatusCode::NOT_FOUND,
            code: "no-tls",
            message: "this farm has no Redfish BMC that speaks TLS".into(),
        }),
    }
}
