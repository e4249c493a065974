//! Collections inside objects: ports of a port group, nodes of a chassis, traits of a runbook, all inspection rules.

use super::nodes::list::page;
use super::nodes::traits::check;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::Selection;
use crate::objects::{CHASSIS, PORTGROUPS, PORTS, RULES, RUNBOOKS, crud};
use crate::reply::Reply;
use axum::extract::State;
use baton_model::json::Json;
use baton_model::object::Object;
use serde_json::{Value, json};
use std::sync::Arc;

async fn ports_of(app: &App, call: &Call, detailed: bool) -> Result<Reply, ApiError> {
    app.fresh(call).await?;
    let group = crud::find(app, call, &PORTGROUPS, call.segment(0))?;
    let forced = ("portgroup_uuid", group.id.to_string());
    crud::list(app, call, &PORTS, group.node, detailed, Some(forced)).await
}

/// `GET /v1/portgroups/{group}/ports`.
pub(crate) async fn ports(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    ports_of(&app, &call, false).await
}

/// `GET /v1/portgroups/{group}/ports/detail`.
pub(crate) async fn ports_detail(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    ports_of(&app, &call, true).await
}

/// `GET /v1/chassis/{chassis}/nodes`.
pub(crate) async fn nodes(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    app.fresh(&call).await?;
    let chassis = crud::find(&app, &call, &CHASSIS, call.segment(0))?;
    let what = if call.query.get("fields").is_some() {
        call.needs(8)?;
        Selection::custom(call.version, call.query.all("fields"))?
    } else {
        Selection::summary(call.version)
    };
    page(&app, &call, &what, Some(chassis.id)).await
}

/// `GET /v1/chassis/{chassis}/nodes/detail`.
pub(crate) async fn nodes_detail(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    app.fresh(&call).await?;
    let chassis = crud::find(&app, &call, &CHASSIS, call.segment(0))?;
    page(
        &app,
        &call,
        &Selection::full(call.version),
        Some(chassis.id),
    )
    .await
}

// --- Runbook traits -------------------------------------------------------------------------------

fn traits_of(runbook: &Object) -> Vec<String> {
    let body = runbook.body.to_map();
    let list = body.get("traits").and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// `GET /v1/runbooks/{runbook}/traits`.
pub(crate) async fn runbook_traits(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    app.fresh(&call).await?;
    let runbook = crud::find(&app, &call, &RUNBOOKS, call.segment(0))?;
    Ok(Reply::of(&json!({"traits": traits_of(&runbook)})))
}

/// Changes the traits of a runbook, on what it really has.
async fn store<F>(app: &App, call: &Call, decide: F) -> Result<Reply, ApiError>
where
    F: Fn(Vec<String>) -> Result<Vec<String>, ApiError> + Send + Sync,
{
    app.fresh(call).await?;
    for _ in 0..crud::EDIT_ATTEMPTS_MAX {
        let old = crud::find(app, call, &RUNBOOKS, call.segment(0))?;
        let mut traits = decide(traits_of(&old))?;
        traits.sort_unstable();
        traits.dedup();
        let mut body = old.body.to_map();
        body.insert("traits".to_owned(), Value::from(traits));
        let mut new = Object::clone(&old);
        new.body = Json::from_map(&body);
        if new == *old || crud::change(app, &old, new).await? {
            return Ok(Reply::done(None));
        }
    }
    Err(ApiError::conflict(
        "The runbook is changed by others all the time; please retry.",
    ))
}

/// `PUT /v1/runbooks/{runbook}/traits`.
pub(crate) async fn set_runbook_traits(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["traits"])?;
    let list = arguments
        .get("traits")
        .and_then(Value::as_array)
        .ok_or_else(|| ApiError::bad("traits must be a list"))?;
    let mut wanted = Vec::new();
    for name in list {
        let name = name
            .as_str()
            .ok_or_else(|| ApiError::bad("traits must be a list of strings"))?;
        check(name)?;
        wanted.push(name.to_owned());
    }
    store(&app, &call, |_| Ok(wanted.clone())).await
}

/// `DELETE /v1/runbooks/{runbook}/traits`.
pub(crate) async fn clear_runbook_traits(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    store(&app, &call, |_| Ok(Vec::new())).await
}

/// `PUT /v1/runbooks/{runbook}/traits/{trait}`.
pub(crate) async fn add_runbook_trait(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let name = call.segment(1);
    check(name)?;
    store(&app, &call, |mut traits| {
        traits.push(name.to_owned());
        Ok(traits)
    })
    .await
}

/// `DELETE /v1/runbooks/{runbook}/traits/{trait}`.
pub(crate) async fn remove_runbook_trait(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let name = call.segment(1);
    store(&app, &call, |mut traits| {
        let before = traits.len();
        traits.retain(|known| known != name);
        if traits.len() == before {
            return Err(ApiError::not_found(format!(
                "Runbook {} doesn't have a trait '{name}'",
                call.segment(0)
            )));
        }
        Ok(traits)
    })
    .await
}

// --- Inspection rules -----------------------------------------------------------------------------

/// `DELETE /v1/inspection_rules`: all of them, one entry each.
pub(crate) async fn delete_rules(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    app.fresh(&call).await?;
    let all: Vec<Arc<Object>> = {
        let state = app.deps.state.read();
        state.objects().after(RULES.kind, None).cloned().collect()
    };
    for rule in all {
        match crud::remove(&app, &rule).await {
            // Somebody else deleted it meanwhile.
            Err(error) if error.status.as_u16() == 404 => {}
            other => drop(other?),
        }
    }
    Ok(Reply::done(None))
}
