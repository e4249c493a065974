//! `PUT /v1/nodes/{node}/states/power`: checked here, done by the node's owner.

use super::states_location;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::hardware::supported_power_requests;
use baton_model::node::power::{PowerRequest, show};
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::NodeRecord;
use baton_model::port::node::{Caller, NodeAnswer, NodeRequest};
use serde_json::Value;
use std::sync::Arc;

/// Longest timeout of a soft request. A day is more than any operating system takes to shut down.
const TIMEOUT_S_MAX: u64 = 86_400;

/// What a request with an unknown word is told.
const KNOWN_REQUESTS: &str = "Power states that can be asked for: power on, power off, rebooting, soft power off, \
                              soft rebooting.";

/// Asks for a power state.
pub(crate) async fn set(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["target", "timeout"])?;
    let word = arguments.text("target")?;
    let node = app.node(&call).await?;
    // Ironic's order: the version, the timeout, the word, the node's state.
    let request = PowerRequest::parse(word);
    let given = arguments.get("timeout");
    if given.is_some() || request.is_some_and(PowerRequest::is_soft) {
        call.needs(27)?;
    }
    let timeout_s = timeout(given)?;
    let request = request.ok_or_else(|| {
        let state = show(node.power_state);
        let text = refused_in(&node, word, state);
        ApiError::bad(format!("{text} {KNOWN_REQUESTS}"))
    })?;
    check(&node, request)?;
    let caller = caller(&app, &call);
    if caller == Caller::Compute {
        check_race(&app, &node, request)?;
    }
    let work = NodeRequest::Power {
        request,
        timeout_s,
        caller,
    };
    match app.request(&call, node.id, work).await? {
        NodeAnswer::Accepted | NodeAnswer::Done => {
            Ok(Reply::accepted(Some(&states_location(&call))))
        }
        NodeAnswer::Live(_) | NodeAnswer::Disclosed(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
}

/// On whose behalf the request came.
fn caller(app: &App, call: &Call) -> Caller {
    match &app.options.compute_user {
        Some(user) if call.user.as_ref() == Some(user) => Caller::Compute,
        Some(_) | None => Caller::Operator,
    }
}

/// The compute service may not undo a change that it has not heard of: it would force its old view on the machine.
fn check_race(app: &App, node: &NodeRecord, request: PowerRequest) -> Result<(), ApiError> {
    let found = node
        .instance_uuid
        .and_then(|instance| app.deps.notifier.contradiction(instance, request));
    let Some(found) = found else {
        return Ok(());
    };
    Err(ApiError::conflict(format!(
        "The request \"{request}\" of the compute service for node {} contradicts a newer change that it has not taken \
         notice of: the machine went to \"{}\" by {} {} s ago. The power-update event for instance {} is on its way; ask \
         again when the compute service has recorded it.",
        node.id,
        found.state,
        found.cause.as_str(),
        found.age.as_secs(),
        node.instance_uuid.unwrap_or_default(),
    )))
}

/// Ironic's words for a state that can not be asked for (`InvalidStateRequested`).
fn refused_in(node: &NodeRecord, action: &str, state: &str) -> String {
    format!(
        "The requested action \"{action}\" can not be performed on node \"{}\" while it is in state \"{state}\".",
        node.id
    )
}

/// Rules that need no lock; the owner checks them again when it has it. Each text is Ironic's, and then what helps.
fn check(node: &NodeRecord, request: PowerRequest) -> Result<(), ApiError> {
    if matches!(
        node.provision_state,
        ProvisionState::Cleaning | ProvisionState::CleanWait
    ) {
        let state = node.provision_state.as_str();
        return Err(ApiError::bad(refused_in(node, request.as_str(), state)));
    }
    let supported = supported_power_requests(&node.interfaces.power);
    if !supported.contains(&request) {
        let list: Vec<String> = supported.iter().map(|one| format!("'{one}'")).collect();
        return Err(ApiError::bad(format!(
            "The driver {} does not support the power state, {request}. The power interface {} of node {} supports: [{}].",
            node.driver,
            node.interfaces.power,
            node.id,
            list.join(", ")
        )));
    }
    let switches_off = matches!(request, PowerRequest::Off | PowerRequest::SoftOff);
    if node.disable_power_off && switches_off {
        return Err(ApiError::conflict(format!(
            "Failed to set node power state to {request}. The flag disable_power_off is set on node {}.",
            node.id
        )));
    }
    Ok(())
}

fn timeout(value: Option<&Value>) -> Result<Option<u32>, ApiError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let seconds = match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    seconds
        .filter(|seconds| (1..=TIMEOUT_S_MAX).contains(seconds))
        .and_then(|seconds| u32::try_from(seconds).ok())
        .map(Some)
        .ok_or_else(|| {
            let shown: String = value.to_string().chars().take(64).collect();
            ApiError::bad(format!(
                "timeout has to be positive integer of seconds, at most {TIMEOUT_S_MAX}, not {shown}"
            ))
        })
}
