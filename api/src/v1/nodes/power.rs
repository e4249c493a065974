//! `PUT /v1/nodes/{node}/states/power`: checked here, done by the node's owner.

use super::states_location;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::hardware::supported_power_requests;
use baton_model::node::power::PowerRequest;
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::NodeRecord;
use baton_model::port::node::{Caller, NodeAnswer, NodeRequest};
use serde_json::Value;
use std::sync::Arc;

/// Longest timeout of a soft request. A day is more than any operating system takes to shut down.
const TIMEOUT_S_MAX: u64 = 86_400;

/// Asks for a power state.
pub(crate) async fn set(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["target", "timeout"])?;
    let word = arguments.text("target")?;
    let timeout_s = timeout(arguments.get("timeout"))?;
    if timeout_s.is_some() {
        call.needs(27)?;
    }
    let node = app.node(&call).await?;
    let request = PowerRequest::parse(word).ok_or_else(|| {
        ApiError::bad(format!("Invalid state or transition: power state \"{word}\" of node {} is not one of power on, \
             power off, rebooting, soft power off, soft rebooting.", node.id))
    })?;
    if request.is_soft() {
        call.needs(27)?;
    }
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

/// Rules that need no lock; the owner checks them again when it has it.
fn check(node: &NodeRecord, request: PowerRequest) -> Result<(), ApiError> {
    if matches!(
        node.provision_state,
        ProvisionState::Cleaning | ProvisionState::CleanWait
    ) {
        return Err(ApiError::bad(format!(
            "The requested action \"{request}\" can not be performed on node \"{}\" while it is in state \"{}\".",
            node.id, node.provision_state
        )));
    }
    let supported = supported_power_requests(&node.interfaces.power);
    if !supported.contains(&request) {
        let list: Vec<String> = supported.iter().map(|one| format!("'{one}'")).collect();
        return Err(ApiError::bad(format!(
            "The power interface {} of node {} does not support the power state {request}. Supported: [{}].",
            node.interfaces.power,
            node.id,
            list.join(", ")
        )));
    }
    let switches_off = matches!(request, PowerRequest::Off | PowerRequest::SoftOff);
    if node.disable_power_off && switches_off {
        return Err(ApiError::conflict(format!(
            "Node {} can not be powered off: disable_power_off is set on it.",
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
                "Timeout must be a whole number of seconds between 1 and {TIMEOUT_S_MAX}, not {shown}"
            ))
        })
}
