//! `/v1/nodes/{node}/vifs`. With the `noop` network interface attaching and detaching succeed and nothing is kept, as in
//! Ironic; with others there is no port that a VIF could use.

use super::states::unsupported;
use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::record::NodeRecord;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET …/vifs`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    app.node(&call).await?;
    Ok(Reply::of(&json!({"vifs": []})))
}

fn no_port(node: &NodeRecord, vif: &str) -> ApiError {
    ApiError::bad(format!(
        "Unable to attach VIF {vif} to node {}: no free physical port is left.",
        node.id
    ))
}

/// `POST …/vifs`.
pub(crate) async fn attach(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Value::Object(body) = call.json()? else {
        return Err(ApiError::bad("The request body must be a JSON object."));
    };
    let vif = match body.get("id") {
        Some(Value::String(id)) if !id.is_empty() => id.as_str(),
        Some(_) => return Err(ApiError::bad("Expected a non-empty string for id.")),
        None => return Err(ApiError::bad("Missing mandatory parameter: id")),
    };
    let given = |key: &str| body.get(key).is_some_and(|value| !value.is_null());
    if given("port_uuid") || given("portgroup_uuid") {
        call.needs(67)?;
    }
    if given("port_uuid") && given("portgroup_uuid") {
        return Err(ApiError::bad(
            "Cannot specify both port_uuid and portgroup_uuid to attach VIF",
        ));
    }
    let node = app.node(&call).await?;
    match &*node.interfaces.network {
        "noop" => Ok(Reply::done(None)),
        "" => Err(unsupported(&node, "vif_attach")),
        _ => Err(no_port(&node, vif)),
    }
}

/// `DELETE …/vifs/{vif}`.
pub(crate) async fn detach(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    if &*node.interfaces.network == "noop" {
        return Ok(Reply::done(None));
    }
    Err(ApiError::bad(format!(
        "Unable to detach VIF {} from node {} because it is not attached to it.",
        call.segment(1),
        node.id
    )))
}
