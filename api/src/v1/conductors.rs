//! `/v1/conductors`: read only, from the cluster's own membership.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::out::time;
use crate::paging::{PARAMETERS, Page};
use crate::reply::Reply;
use axum::extract::State;
use baton_model::state::{ClusterState, ConductorRecord, ConductorStatus};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// `draining` is baton's own: clients of Ironic ignore it.
const SUMMARY: [&str; 4] = ["hostname", "conductor_group", "alive", "draining"];
const ALL: [&str; 7] = [
    "hostname",
    "conductor_group",
    "alive",
    "draining",
    "created_at",
    "updated_at",
    "drivers",
];

fn write(conductor: &ConductorRecord, draining: bool, base: &str, fields: &[&str]) -> Value {
    let mut document = Map::new();
    for field in fields {
        let value = match *field {
            "hostname" => json!(conductor.host),
            "conductor_group" => json!(conductor.group),
            "alive" => json!(conductor.status != ConductorStatus::Down),
            "draining" => json!(draining),
            "created_at" => json!(time(conductor.created_at)),
            "updated_at" => json!(time(conductor.updated_at)),
            "drivers" => json!(conductor.drivers),
            _ => continue,
        };
        document.insert((*field).to_owned(), value);
    }
    let host = &conductor.host;
    document.insert(
        "links".to_owned(),
        json!([
            {"href": format!("{base}/v1/conductors/{host}"), "rel": "self"},
            {"href": format!("{base}/conductors/{host}"), "rel": "bookmark"},
        ]),
    );
    Value::Object(document)
}

/// Whether it hands its nodes over, or will own none when it comes back: an operator's order holds while it is down.
fn is_draining(state: &ClusterState, conductor: &ConductorRecord) -> bool {
    conductor.status == ConductorStatus::Draining || state.is_drained(&conductor.host)
}

/// What `fields=` and `detail=` ask for.
fn selection(
    call: &Call,
    otherwise: &'static [&'static str],
) -> Result<Vec<&'static str>, ApiError> {
    let wanted: Vec<&str> = call
        .query
        .all("fields")
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty())
        .collect();
    let detail = call.query.flag("detail")?.unwrap_or(false);
    if wanted.is_empty() {
        return Ok(if detail {
            ALL.to_vec()
        } else {
            otherwise.to_vec()
        });
    }
    if detail {
        return Err(ApiError::bad(
            "Can not specify ?detail=True and fields in the same request.",
        ));
    }
    wanted
        .iter()
        .map(|name| {
            ALL.into_iter()
                .find(|known| known == name)
                .ok_or_else(|| ApiError::bad(format!("Field(s) \"{name}\" are not valid")))
        })
        .collect()
}

/// `GET /v1/conductors`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let mut known = vec!["fields", "detail"];
    known.extend(PARAMETERS);
    call.query.only(&known)?;
    let page = Page::read(&call, app.options.max_limit)?;
    let fields = selection(&call, &SUMMARY)?;
    let sort_key = call.query.get("sort_key").unwrap_or("id");
    if ![
        "id",
        "hostname",
        "conductor_group",
        "created_at",
        "updated_at",
    ]
    .contains(&sort_key)
    {
        return Err(ApiError::bad(format!(
            "The sort_key value {sort_key} is an invalid field for sorting"
        )));
    }
    app.fresh(&call).await?;
    let mut all: Vec<(bool, ConductorRecord)> = {
        let state = app.deps.state.read();
        let known = state.conductors().values();
        known
            .map(|record| (is_draining(&state, record), record.clone()))
            .collect()
    };
    match sort_key {
        "hostname" => all.sort_by(|a, b| a.1.host.cmp(&b.1.host)),
        "conductor_group" => all.sort_by(|a, b| a.1.group.cmp(&b.1.group)),
        "created_at" => all.sort_by_key(|(_, record)| record.created_at),
        "updated_at" => all.sort_by_key(|(_, record)| record.updated_at),
        _ => {}
    }
    if page.descending {
        all.reverse();
    }
    let start = match &page.marker {
        None => 0,
        Some(marker) => {
            let found = all.iter().position(|(_, record)| *record.host == **marker);
            1 + found.ok_or_else(|| {
                ApiError::not_found(format!("Conductor {marker} could not be found."))
            })?
        }
    };
    let rows: Vec<_> = all.iter().skip(start).take(page.limit).collect();
    let last = rows.last().map_or("", |(_, record)| &*record.host);
    let next = page.next(&call, rows.len(), last);
    let conductors: Vec<Value> = rows
        .iter()
        .map(|(draining, record)| write(record, *draining, &call.base, &fields))
        .collect();
    let mut document = json!({"conductors": conductors});
    if let (Some(next), Some(map)) = (next, document.as_object_mut()) {
        map.insert("next".to_owned(), json!(next));
    }
    Ok(Reply::of(&document))
}

/// `GET /v1/conductors/{hostname}`.
pub(crate) async fn show(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["fields"])?;
    let fields = selection(&call, &ALL)?;
    app.fresh(&call).await?;
    let host = call.segment(0);
    let state = app.deps.state.read();
    let (_, record) = state
        .conductor_named(host)
        .ok_or_else(|| ApiError::not_found(format!("Conductor {host} could not be found.")))?;
    let draining = is_draining(&state, record);
    Ok(Reply::of(&write(record, draining, &call.base, &fields)))
}
