//! `/v1/nodes/{node}/management`: boot device, indicators, diagnostic interrupt.

use super::states::unsupported;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::node::boot::{self, BootDevice};
use baton_model::node::record::NodeRecord;
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
        _ => match app.request(&call, node.id, NodeRequest::GetBoot).await? {
            NodeAnswer::Boot(state) => (state.device, state.persistent),
            NodeAnswer::Accepted | NodeAnswer::Done | NodeAnswer::Live(_) => {
                return Err(unexpected("The owner gave an answer to another question."));
            }
        },
    };
    Ok(Reply::of(&json!({
        "boot_device": device.map(BootDevice::as_str),
        "persistent": persistent,
    })))
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
        NodeAnswer::Live(_) | NodeAnswer::Boot(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
}

/// An indicator light.
struct Indicator {
    name: &'static str,
    component: &'static str,
    readonly: bool,
    states: &'static [&'static str],
}

/// Those of the fake interface (api-nodes.md §20); other interfaces have none that baton knows of.
const FAKE_INDICATORS: [Indicator; 2] = [
    Indicator {
        name: "led-0",
        component: "chassis",
        readonly: true,
        states: &["off", "on"],
    },
    Indicator {
        name: "led",
        component: "system",
        readonly: false,
        states: &["blinking", "off", "on"],
    },
];

fn indicators_of(node: &NodeRecord) -> &'static [Indicator] {
    if &*node.interfaces.management == "fake" {
        &FAKE_INDICATORS
    } else {
        &[]
    }
}

/// `GET …/indicators`.
pub(crate) async fn indicators(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let base = &call.base;
    let list: Vec<Value> = indicators_of(&node)
        .iter()
        .map(|indicator| {
            let name = format!("{}@{}", indicator.name, indicator.component);
            let tail = format!("nodes/{}/management/indicators/{name}", node.id);
            json!({
                "name": name,
                "component": indicator.component,
                "readonly": indicator.readonly,
                "states": indicator.states,
                "links": [
                    {"href": format!("{base}/v1/{tail}"), "rel": "self"},
                    {"href": format!("{base}/{tail}"), "rel": "bookmark"},
                ],
            })
        })
        .collect();
    Ok(Reply::of(&json!({"indicators": list})))
}

fn known_indicator(node: &NodeRecord, name: &str) -> Result<&'static Indicator, ApiError> {
    let (light, component) = name.split_once('@').unwrap_or((name, ""));
    indicators_of(node)
        .iter()
        .find(|known| known.name == light && known.component == component)
        .ok_or_else(|| {
            ApiError::not_found(format!(
                "Indicator {name} of node {} could not be found.",
                node.id
            ))
        })
}

/// `GET …/indicators/{indicator}`. The fake lights are always on.
pub(crate) async fn indicator(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    known_indicator(&node, call.segment(1))?;
    Ok(Reply::of(&json!({"state": "on"})))
}

/// `PUT …/indicators/{indicator}`: checked; no interface can set one.
pub(crate) async fn set_indicator(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["state"])?;
    let state = arguments.text("state")?;
    let node = app.node(&call).await?;
    let indicator = known_indicator(&node, call.segment(1))?;
    if !indicator
        .states
        .iter()
        .any(|known| known.eq_ignore_ascii_case(state))
    {
        return Err(ApiError::bad(format!(
            "Invalid indicator state {state}; it takes {}",
            indicator.states.join(", ")
        )));
    }
    Err(unsupported(&node, "set_indicator_state"))
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
        NodeAnswer::Live(_) | NodeAnswer::Boot(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
}
