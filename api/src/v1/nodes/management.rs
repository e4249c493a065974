//! `/v1/nodes/{node}/management`: boot device, diagnostic interrupt.

use super::states::unsupported;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::boot::{self, BootDevice};
use baton_model::node::record::NodeRecord;
use baton_model::port::inquiry::{Disclosure, Inquiry};
use baton_model::port::node::{NodeAnswer, NodeRequest};
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET …/boot_device`: what the BMC says, without waiting for the node's lock. The fake interface always says the same, and
/// one without a say says nothing.
pub(crate) async fn boot_device(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    let (device, persistent) = match &*node.interfaces.management {
        "fake" => (Some(BootDevice::Pxe), Some(false)),
        "noop" => (None, None),
        _ => match boot_state(&app, &call, &node).await? {
            Disclosure::Boot(state) => (state.device, state.persistent),
            _ => return Err(unexpected("The owner gave an answer to another question.")),
        },
    };
    Ok(Reply::of(&json!({
        "boot_device": device.map(BootDevice::as_str),
        "persistent": persistent,
    })))
}

async fn boot_state(app: &App, call: &Call, node: &NodeRecord) -> Result<Disclosure, ApiError> {
    let inquiry = NodeRequest::Ask(Inquiry::Boot);
    match app.request(call, node.id, inquiry).await? {
        NodeAnswer::Disclosed(told) => Ok(*told),
        NodeAnswer::Accepted | NodeAnswer::Done | NodeAnswer::Live(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
}

/// `GET …/boot_device/supported`.
pub(crate) async fn supported(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    let devices = boot::devices_of(&node.interfaces.management)
        .ok_or_else(|| unsupported(&node, "get_supported_boot_devices"))?;
    let words: Vec<&str> = devices.iter().map(|device| device.as_str()).collect();
    Ok(Reply::of(&json!({ "supported_boot_devices": words })))
}

/// `PUT …/boot_device`: answered once the BMC has taken it.
pub(crate) async fn set_boot_device(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["boot_device", "persistent"])?;
    let word = arguments.text("boot_device")?;
    let persistent = arguments.flag("persistent")?.unwrap_or(false);
    let node = app.node(&call).await?;
    if &*node.interfaces.management == "noop" {
        return Ok(Reply::done(None));
    }
    let device = BootDevice::parse(word)
        .ok_or_else(|| ApiError::bad(format!("Invalid boot device {word} specified.")))?;
    boot::check_device(&node, device)?;
    if &*node.interfaces.management == "fake" {
        return Ok(Reply::done(None));
    }
    let work = NodeRequest::SetBootDevice { device, persistent };
    match app.request(&call, node.id, work).await? {
        NodeAnswer::Accepted | NodeAnswer::Done => Ok(Reply::done(None)),
        NodeAnswer::Live(_) | NodeAnswer::Disclosed(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
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
        NodeAnswer::Live(_) | NodeAnswer::Disclosed(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
}
