//! Routes that set and clear faults, for one machine and for many.

use super::{Farm, Outcome, Problem, Query, each, number, ok, parse, view, with};
use crate::sim::fault::{Fault, FaultKind};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};

/// One fault or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFaultsBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    faults: OneOrMany,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearFaultsBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    #[serde(default)]
    kinds: Option<Vec<FaultKind>>,
}

/// Reads faults one by one, so that an error names the one it is in.
fn read_faults(faults: OneOrMany) -> Result<Vec<Fault>, Problem> {
    let values = match faults {
        OneOrMany::Many(values) => values,
        OneOrMany::One(value) => vec![value],
    };
    values
        .into_iter()
        .map(|value| {
            let shown = value.to_string();
            let fault: Fault = serde_json::from_value(value)
                .map_err(|error| Problem::bad(format!("fault {shown}: {error}")))?;
            fault
                .check()
                .map_err(|error| Problem::bad(error.to_string()))?;
            Ok(fault)
        })
        .collect()
}

pub(super) async fn set_faults(
    State(farm): Farm,
    Path(machine): Path<String>,
    body: Bytes,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let faults = read_faults(parse(&body)?)?;
    let shown = with(&farm, machine, |bmc, now| {
        for fault in faults {
            bmc.inject(now, fault);
        }
        view::faults(bmc)
    })?;
    ok(&json!({"machine": machine, "faults": shown}))
}

pub(super) async fn set_faults_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: SetFaultsBody = parse(&body)?;
    let faults = read_faults(body.faults)?;
    each(&farm, &body.machines, body.fraction, |machine| {
        with(&farm, machine, |bmc, now| {
            for fault in &faults {
                bmc.inject(now, *fault);
            }
        })
    })
}

pub(super) async fn clear_faults(
    State(farm): Farm,
    Path(machine): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let query = Query::parse(query.as_deref(), &["kind"])?;
    let kind = match query.get("kind") {
        Some(kind) => Some(
            serde_json::from_value::<FaultKind>(json!(kind))
                .map_err(|error| Problem::bad(format!("`kind`: {error}")))?,
        ),
        None => None,
    };
    let shown = with(&farm, machine, |bmc, _| {
        match kind {
            Some(kind) => {
                bmc.core.faults.clear(kind);
            }
            None => bmc.core.faults.clear_all(),
        }
        view::faults(bmc)
    })?;
    ok(&json!({"machine": machine, "faults": shown}))
}

pub(super) async fn clear_faults_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: ClearFaultsBody = if body.is_empty() {
        ClearFaultsBody {
            machines: "all".into(),
            fraction: None,
            kinds: None,
        }
    } else {
        parse(&body)?
    };
    each(&farm, &body.machines, body.fraction, |machine| {
        with(&farm, machine, |bmc, _| match &body.kinds {
            Some(kinds) => {
                for kind in kinds {
                    bmc.core.faults.clear(*kind);
                }
            }
            None => bmc.core.faults.clear_all(),
        })
    })
}
