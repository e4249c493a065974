//! `/v1/nodes/{node}/management`: boot device, indicators, diagnostic interrupt.

use super::states::unsupported;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::record::NodeRecord;
use baton_model::port::node::{NodeAnswer, NodeRequest};
use serde_json::{Value, json};
use std::sync::Arc;

/// Devices that a management interface can boot from.
fn devices(node: &NodeRecord) -> Result<&'static [&'static str], ApiError> {
    match &*node.interfaces.management {
        "fake" => Ok(&["pxe"]),
        "ipmitool" => Ok(&["pxe", "disk", "cdrom", "bios", "safe"]),
        "redfish" => Ok(&["pxe", "disk", "cdrom", "bios", "uefihttp"]),
        _ => Err(unsupported(node, "get_boot_device")),
    }
}

/// `GET …/boot_device`. Only the fake interface knows without asking the BMC; the others answer "unknown", as Ironic
/// does when the BMC does not tell.
pub(crate) async fn boot_device(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    devices(&node)?;
    Ok(Reply::of(&if &*node.interfaces.management == "fake" {
        json!({"boot_device": "pxe", "persistent": false})
    } else {
        json!({"boot_device": null, "persistent": null})
    }))
}

/// `GET …/boot_device/supported`.
pub(crate) async fn supported(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    Ok(Reply::of(
        &json!({"supported_boot_devices": devices(&node)?}),
    ))
}

/// `PUT …/boot_device`.
pub(crate) async fn set_boot_device(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["boot_device", "persistent"])?;
    let device = arguments.text("boot_device")?;
    arguments.flag("persistent")?;
    let node = app.node(&call).await?;
    if !devices(&node)?.contains(&device) {
        return Err(ApiError::bad(format!(
            "Invalid boot device {device} specified."
        )));
    }
    if &*node.interfaces.management == "fake" {
        return Ok(Reply::done(None));
    }
    Err(unsupported(&node, "set_boot_device"))
}

/// `GET …/indicators`.
pub(crate) async fn indicators(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    app.node(&call).await?;
    Ok(Reply::of(&json!({"indicators": []})))
}

/// One indicator: there is none.
pub(crate) async fn indicator(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let name = call.segment(1);
    Err(ApiError::not_found(format!(
        "Indicator {name} of node {} could not be found.",
        node.id
    )))
}

/// `PUT …/inject_nmi`.
pub(crate) async fn inject_nmi(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let empty = call.body.iter().all(u8::is_ascii_whitespace)
        || matches!(call.json()?, Value::Object(map) if map.is_empty());
    if !empty {
        return Err(ApiError::bad(
            "Unexpected arguments: inject_nmi takes an empty object",
        ));
    }
    let node = app.node(&call).await?;
    if !matches!(&*node.interfaces.management, "ipmitool" | "redfish") {
        return Err(unsupported(&node, "inject_nmi"));
    }
    match app.request(&call, node.id, NodeRequest::InjectNmi).await? {
        NodeAnswer::Accepted | NodeAnswer::Done => Ok(Reply::done(None)),
        NodeAnswer::Live(_) => Err(unexpected("The owner gave an answer to another question.")),
    }
}
