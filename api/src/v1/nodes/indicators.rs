//! `/v1/nodes/{node}/management/indicators`: the lights that help to find a machine.

use super::states::unsupported;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::json::Json;
use baton_model::node::record::NodeRecord;
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Glow, Inquiry, Light};
use baton_model::port::node::{NodeAnswer, NodeRequest};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A light as the API names it.
struct Indicator {
    /// `id@component`
    name: String,
    component: &'static str,
    readonly: bool,
    states: Vec<&'static str>,
    state: &'static str,
}

fn fake(name: &str, component: &'static str, readonly: bool, states: &[&'static str]) -> Indicator {
    Indicator {
        name: format!("{name}@{component}"),
        component,
        readonly,
        states: states.to_vec(),
        // The fake lights are always on (api-nodes.md §20).
        state: "on",
    }
}

impl From<Light> for Indicator {
    fn from(light: Light) -> Self {
        Self {
            name: format!("{}@{}", light.id, light.part.as_str()),
            component: light.part.as_str(),
            readonly: false,
            states: Glow::TOLD.map(Glow::as_str).to_vec(),
            state: light.glow.as_str(),
        }
    }
}

/// The lights of a node. Those of a real one are asked for, since nobody tells when one is switched at the machine.
async fn lights(app: &App, call: &Call, node: &NodeRecord) -> Result<Vec<Indicator>, ApiError> {
    match &*node.interfaces.management {
        "fake" => Ok(vec![
            fake("led-0", "chassis", true, &["off", "on"]),
            fake("led", "system", false, &["blinking", "off", "on"]),
        ]),
        "redfish" => {
            let inquiry = NodeRequest::Ask(Inquiry::Lights);
            match app.request(call, node.id, inquiry).await? {
                NodeAnswer::Disclosed(told) => match *told {
                    Disclosure::Lights(lights) => {
                        Ok(lights.into_iter().map(Indicator::from).collect())
                    }
                    _ => Err(other_question()),
                },
                NodeAnswer::Accepted | NodeAnswer::Done | NodeAnswer::Live(_) => {
                    Err(other_question())
                }
            }
        }
        _ => Err(unsupported(node, "get_supported_indicators")),
    }
}

fn other_question() -> ApiError {
    unexpected("The owner gave an answer to another question.")
}

async fn known(
    app: &App,
    call: &Call,
    node: &NodeRecord,
    name: &str,
) -> Result<Indicator, ApiError> {
    let lights = lights(app, call, node).await?;
    lights
        .into_iter()
        .find(|light| light.name == name)
        .ok_or_else(|| {
            ApiError::not_found(format!(
                "Indicator {name} of node {} could not be found.",
                node.id
            ))
        })
}

/// `GET …/indicators`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let base = &call.base;
    let list: Vec<Value> = lights(&app, &call, &node)
        .await?
        .iter()
        .map(|light| {
            let tail = format!("nodes/{}/management/indicators/{}", node.id, light.name);
            json!({
                "name": light.name,
                "component": light.component,
                "readonly": light.readonly,
                "states": light.states,
                "links": [
                    {"href": format!("{base}/v1/{tail}"), "rel": "self"},
                    {"href": format!("{base}/{tail}"), "rel": "bookmark"},
                ],
            })
        })
        .collect();
    Ok(Reply::of(&json!({ "indicators": list })))
}

/// `GET …/indicators/{indicator}`.
pub(crate) async fn show(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let node = app.node(&call).await?;
    let light = known(&app, &call, &node, call.segment(1)).await?;
    Ok(Reply::of(&json!({ "state": light.state })))
}

/// `PUT …/indicators/{indicator}`: answered once the BMC has taken it.
pub(crate) async fn set(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["state"])?;
    let state = arguments.text("state")?;
    let node = app.node(&call).await?;
    let light = known(&app, &call, &node, call.segment(1)).await?;
    let wanted = light
        .states
        .iter()
        .find(|known| known.eq_ignore_ascii_case(state))
        .ok_or_else(|| {
            let states = light.states.join(", ");
            ApiError::bad(format!(
                "Invalid indicator state {state}; it takes {states}"
            ))
        })?;
    if &*node.interfaces.management != "redfish" {
        return Err(unsupported(&node, "set_indicator_state"));
    }
    let id = light.name.rsplit_once('@').map_or("", |(id, _)| id);
    let cargo = Map::from_iter([
        ("part".to_owned(), Value::from(light.component)),
        ("id".to_owned(), Value::from(id)),
        ("glow".to_owned(), Value::from(*wanted)),
    ]);
    let work = NodeRequest::Chore {
        chore: Chore::Light,
        cargo: Json::from_map(&cargo),
        at_end: true,
    };
    match app.request(&call, node.id, work).await? {
        NodeAnswer::Accepted | NodeAnswer::Done => Ok(Reply::done(None)),
        NodeAnswer::Live(_) | NodeAnswer::Disclosed(_) => Err(other_question()),
    }
}
