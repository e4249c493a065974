//! Resources that baton does not keep yet. Their lists are empty and their members unknown, as in an Ironic that has
//! none of them; making one is refused with a text that says so. Clients that only read them (nova, Metal3, the command
//! line) work unchanged.

use crate::app::{App, parse_uuid};
use crate::call::Call;
use crate::error::ApiError;
use crate::paging::{PARAMETERS, Page};
use crate::reply::Reply;
use axum::extract::State;
use serde_json::{Value, json};
use std::sync::Arc;

/// Answers an empty list, after the checks that a full one would make.
async fn none(app: &App, call: &Call, key: &str, filters: &[&str]) -> Result<Reply, ApiError> {
    let mut known = filters.to_vec();
    known.extend(["fields", "detail"]);
    known.extend(PARAMETERS);
    call.query.only(&known)?;
    let page = Page::read(call, app.options.max_limit)?;
    let detail = call.query.flag("detail")?.unwrap_or(false);
    if detail && call.query.get("fields").is_some() {
        return Err(ApiError::bad(
            "Can not specify ?detail=True and fields in the same request.",
        ));
    }
    if let Some(marker) = &page.marker {
        return Err(if parse_uuid(marker).is_some() {
            ApiError::not_found(format!("Marker {marker} could not be found."))
        } else {
            ApiError::bad(format!("Expected UUID for marker: {marker}"))
        });
    }
    for key in ["node", "node_uuid"] {
        if let Some(ident) = call.query.get(key) {
            app.fresh(call).await?;
            app.find(call, ident)?;
        }
    }
    if let Some(address) = call.query.get("address") {
        check_mac(address)?;
    }
    Ok(Reply::of(&json!({key: []})))
}

/// Six pairs of hexadecimal digits with colons or dashes between.
fn check_mac(text: &str) -> Result<(), ApiError> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    let pair = |part: &&str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    if parts.len() == 6 && parts.iter().all(pair) {
        Ok(())
    } else {
        Err(ApiError::bad(format!(
            "Expected valid MAC address for address: {text}"
        )))
    }
}

fn missing(kind: &str, ident: &str) -> Result<Reply, ApiError> {
    Err(ApiError::not_found(format!(
        "{kind} {ident} could not be found."
    )))
}

fn refused(what: &str) -> Result<Reply, ApiError> {
    Err(ApiError::bad(format!(
        "This version of baton does not keep {what}. Nothing was created."
    )))
}

macro_rules! resource {
    ($list:ident, $one:ident, $create:ident, $key:literal, $kind:literal, $what:literal, $filters:expr) => {
        #[doc = concat!("The empty list of ", $what, ".")]
        pub(crate) async fn $list(
            State(app): State<Arc<App>>,
            call: Call,
        ) -> Result<Reply, ApiError> {
            none(&app, &call, $key, &$filters).await
        }

        #[doc = concat!("One of ", $what, ": there is none.")]
        pub(crate) async fn $one(call: Call) -> Result<Reply, ApiError> {
            missing($kind, call.segment(0))
        }

        #[doc = concat!("Creating one of ", $what, ".")]
        pub(crate) async fn $create(call: Call) -> Result<Reply, ApiError> {
            call.json()?;
            refused($what)
        }
    };
}

resource!(
    ports,
    port,
    no_ports,
    "ports",
    "Port",
    "ports",
    [
        "node",
        "node_uuid",
        "address",
        "portgroup",
        "shard",
        "conductor_groups",
        "description_contains"
    ]
);
resource!(
    portgroups,
    portgroup,
    no_portgroups,
    "portgroups",
    "Portgroup",
    "port groups",
    ["node", "address", "shard", "conductor_groups"]
);
resource!(
    chassis,
    one_chassis,
    no_chassis,
    "chassis",
    "Chassis",
    "chassis",
    []
);
resource!(
    connectors,
    connector,
    no_connectors,
    "connectors",
    "Volume connector",
    "volume connectors",
    ["node"]
);
resource!(
    targets,
    target,
    no_targets,
    "targets",
    "Volume target",
    "volume targets",
    ["node"]
);
resource!(
    allocations,
    allocation,
    no_allocations,
    "allocations",
    "Allocation",
    "allocations",
    ["node", "resource_class", "state", "owner"]
);
resource!(
    templates,
    template,
    no_templates,
    "deploy_templates",
    "Deploy template",
    "deploy templates",
    []
);
resource!(
    runbooks,
    runbook,
    no_runbooks,
    "runbooks",
    "Runbook",
    "runbooks",
    ["project"]
);
resource!(
    rules,
    rule,
    no_rules,
    "inspection_rules",
    "Inspection rule",
    "inspection rules",
    ["phase"]
);

/// `DELETE /v1/inspection_rules`: all of none.
pub(crate) async fn delete_rules(_call: Call) -> Result<Reply, ApiError> {
    Ok(Reply::done(None))
}

/// `GET /v1/volume`.
pub(crate) async fn volume(call: Call) -> Result<Reply, ApiError> {
    let base = &call.base;
    let links = |tail: &str| {
        json!([
            {"href": format!("{base}/v1/volume/{tail}"), "rel": "self"},
            {"href": format!("{base}/volume/{tail}"), "rel": "bookmark"},
        ])
    };
    Ok(Reply::of(&json!({
        "links": links(""),
        "connectors": links("connectors"),
        "targets": links("targets"),
    })))
}

/// Events that neutron sends (Ironic `api/controllers/v1/event.py`).
const EVENTS: [&str; 3] = [
    "network.bind_port",
    "network.unbind_port",
    "network.delete_port",
];

/// `POST /v1/events`: checked, then ignored, since there are no ports.
pub(crate) async fn events(call: Call) -> Result<Reply, ApiError> {
    let body = call.json()?;
    let events = body
        .get("events")
        .and_then(Value::as_array)
        .ok_or_else(|| ApiError::bad("Missing mandatory parameter: events"))?;
    for event in events {
        let name = event
            .get("event")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !EVENTS.contains(&name) {
            return Err(ApiError::bad(format!("Invalid event type: {name}")));
        }
    }
    Ok(Reply::done(None))
}

/// `GET /v1/lookup`: no node waits for a ramdisk, so none is found.
pub(crate) async fn lookup(call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["addresses", "node_uuid"])?;
    Err(ApiError::not_found("Not Found"))
}

/// `POST /v1/heartbeat/{node}`.
pub(crate) async fn heartbeat(_call: Call) -> Result<Reply, ApiError> {
    Err(ApiError::bad(
        "This version of baton runs no deploy agents, so it expects no heartbeat.",
    ))
}

/// `POST /v1/continue_inspection`.
pub(crate) async fn continue_inspection(_call: Call) -> Result<Reply, ApiError> {
    Err(ApiError::not_found("Not Found"))
}
