//! Allocations: the search for nodes that fit, and the routes that reach an allocation through its node.

use super::crud::{Failed, propose, remove};
use super::{ALLOCATIONS, Chosen};
use crate::app::{App, find_node, parse_uuid};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::v1::nodes::list::SCAN_CHUNK;
use axum::extract::State;
use baton_model::ids::NodeId;
use baton_model::json::Json;
use baton_model::node::record::NodeRecord;
use baton_model::object::allocation::{Allocate, CHOICES_MAX, Wish};
use baton_model::object::{Kind, Object, ObjectCommand};
use serde_json::{Map, Value};
use std::sync::Arc;

/// How often a search starts over because others took all that it had found.
const SEARCHES_MAX: u32 = 16;

/// Creates an allocation. The answer shows it undecided, as Ironic's does; the next read shows what it got.
pub(super) async fn allocate(
    app: &App,
    call: &Call,
    mut object: Object,
    node: Option<&str>,
) -> Result<Object, ApiError> {
    let mut body = object.body.to_map();
    let backfill = node.map(|ident| known(app, call, ident)).transpose()?;
    if body.get("resource_class").is_none_or(Value::is_null) && backfill.is_none() {
        return Err(ApiError::bad(
            "The resource_class field is mandatory when not backfilling",
        ));
    }
    resolve_candidates(app, call, &mut body)?;
    object.node = None;
    object.body = Json::from_map(&body);
    let wish = Wish::of(&body);
    for _ in 0..SEARCHES_MAX {
        let (choices, failure) = match backfill {
            Some(_) => (Vec::new(), Box::from("")),
            None => search(app, call, &object, &wish),
        };
        let command = ObjectCommand::Allocate(Box::new(Allocate {
            object: object.clone(),
            choices,
            backfill,
            failure,
        }));
        match propose(app, None, command).await {
            Ok(()) => return Ok(object),
            Err(Failed::Moved) => {}
            Err(Failed::Api(error)) => return Err(error),
        }
    }
    Err(ApiError::conflict(format!(
        "Others took every node that fitted allocation {}, {SEARCHES_MAX} times in a row; please retry.",
        object.id
    )))
}

fn known(app: &App, call: &Call, ident: &str) -> Result<NodeId, ApiError> {
    let state = app.deps.state.read();
    find_node(&state, call, ident)
        .map(|node| node.id)
        .map_err(|error| ApiError::bad(error.text))
}

/// Names of candidates become uuids.
fn resolve_candidates(
    app: &App,
    call: &Call,
    body: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    let Some(Value::Array(candidates)) = body.get_mut("candidate_nodes") else {
        return Ok(());
    };
    let state = app.deps.state.read();
    let mut unknown = Vec::new();
    for candidate in candidates.iter_mut() {
        let ident = candidate.as_str().unwrap_or_default();
        match find_node(&state, call, ident) {
            Ok(node) => *candidate = Value::from(node.id.to_string()),
            Err(_) => unknown.push(ident.to_owned()),
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    Err(ApiError::bad(format!(
        "Nodes cannot be found: {}",
        unknown.join(", ")
    )))
}

/// Nodes that fit, in a drawn order, and why there are none.
fn search(app: &App, call: &Call, object: &Object, wish: &Wish) -> (Vec<NodeId>, Box<str>) {
    let (mut of_class, mut fitting) = (0_usize, Vec::<NodeId>::new());
    let mut namesake = None;
    let mut look = |node: &NodeRecord| {
        if !wish.fits_class(node) {
            return;
        }
        of_class += 1;
        if wish.fits_traits(node) {
            if node.name.is_some() && node.name == object.name {
                namesake = Some(node.id);
            }
            fitting.push(node.id);
        }
    };
    if wish.candidates.is_empty() {
        let mut after = None;
        loop {
            let state = app.deps.state.read();
            let mut seen = 0;
            for node in state.nodes_after(after).take(SCAN_CHUNK) {
                seen += 1;
                after = Some(node.serial);
                look(node);
            }
            if seen < SCAN_CHUNK {
                break;
            }
        }
    } else {
        let state = app.deps.state.read();
        for id in &wish.candidates {
            if let Some(node) = state.node(*id) {
                look(node);
            }
        }
    }
    let entropy = &app.deps.env.entropy;
    let wanted = fitting.len().min(CHOICES_MAX);
    for at in 0..wanted {
        let span = u64::try_from(fitting.len() - at).unwrap_or(1).max(1);
        let step = usize::try_from(entropy.next_u64() % span).unwrap_or(0);
        fitting.swap(at, at + step);
    }
    fitting.truncate(CHOICES_MAX);
    if let Some(id) = namesake.filter(|_| call.version.has(79)) {
        fitting.retain(|other| *other != id);
        fitting.insert(0, id);
    }
    let class = wish.resource_class.as_deref().unwrap_or_default();
    let why = if of_class > 0 {
        format!(
            "no suitable nodes have the requested traits {}",
            wish.traits.join(", ")
        )
    } else if wish.candidates.is_empty() {
        format!("no available nodes match the resource class {class}")
    } else {
        format!("none of the requested nodes are available and match the resource class {class}")
    };
    let failure = format!("Failed to process allocation {}: {why}.", object.id);
    (fitting, failure.into())
}

async fn of_node(app: &App, call: &Call) -> Result<Arc<Object>, ApiError> {
    let node = app.node(call).await?;
    let state = app.deps.state.read();
    node.allocation_uuid
        .and_then(|id| state.objects().get(Kind::Allocation, id).cloned())
        .ok_or_else(|| {
            ApiError::not_found(format!("Allocation for node {} was not found", node.id))
        })
}

/// `GET /v1/nodes/{node}/allocation`.
pub(crate) async fn show(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["fields"])?;
    let object = of_node(&app, &call).await?;
    let chosen =
        Chosen::custom(&ALLOCATIONS, &call)?.unwrap_or_else(|| Chosen::full(&ALLOCATIONS, &call));
    Ok(Reply::of(&chosen.document(&ALLOCATIONS, &call, &object)))
}

/// `DELETE /v1/nodes/{node}/allocation`.
pub(crate) async fn delete(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let object = of_node(&app, &call).await?;
    remove(&app, &object).await
}

/// `GET /v1/nodes/{node}/history/{event}` and `GET …/inventory` find their object by id.
pub(crate) fn of_kind(app: &App, kind: Kind, ident: &str) -> Option<Arc<Object>> {
    let state = app.deps.state.read();
    state.objects().get(kind, parse_uuid(ident)?).cloned()
}
