//! `PUT /v1/nodes/{node}/states/provision`: every verb of the table, checked here and carried out by the owner.

use super::states_location;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::objects::{RUNBOOKS, crud};
use crate::query::{Arguments, flag_of};
use crate::reply::Reply;
use axum::extract::State;
use baton_model::ids::NodeId;
use baton_model::json::Json;
use baton_model::node::provision::{ProvisionState, Verb};
use baton_model::node::record::NodeRecord;
use baton_model::object::Kind;
use baton_model::port::node::{NodeAnswer, NodeRequest};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Every argument of the endpoint.
const KNOWN: [&str; 8] = [
    "target",
    "configdrive",
    "clean_steps",
    "service_steps",
    "deploy_steps",
    "rescue_password",
    "disable_ramdisk",
    "runbook",
];

/// Asks for a provision verb.
pub(crate) async fn set(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let mut arguments = call.arguments(&KNOWN)?;
    let Some(Value::String(word)) = arguments.take("target") else {
        return Err(ApiError::bad("Missing mandatory parameter: target"));
    };
    let node = app.node(&call).await?;
    let verb =
        Verb::parse_target(&word).ok_or_else(|| illegal(node.id, &word, node.provision_state))?;
    call.needs(since(verb, &word))?;
    let mut wait = app.lock_wait();
    let mut node = node;
    loop {
        check_maintenance(&node, verb)?;
        match check_move(&call, &node, verb, &word) {
            Ok(()) => break,
            // The state may become right when the running work ends; if it does not in time, the lock is the reason.
            Err(_) if node.is_locked() => {
                wait.until_free(&node).await?;
                node = app.find(&call, &node.id.to_string())?;
            }
            Err(error) => return Err(error),
        }
    }
    check_arguments(&call, verb, &arguments)?;
    let mut arguments = arguments.into_map();
    expand(&app, &call, &node, verb, &mut arguments)?;
    let work = NodeRequest::Provision {
        verb,
        arguments: Json::from_map(&arguments),
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

/// Puts the steps that runbooks and deploy templates stand for into the arguments.
fn expand(
    app: &App,
    call: &Call,
    node: &NodeRecord,
    verb: Verb,
    arguments: &mut Map<String, Value>,
) -> Result<(), ApiError> {
    if let Some(Value::String(ident)) = arguments.remove("runbook") {
        let runbook = crud::find(app, call, &RUNBOOKS, &ident)?;
        let body = runbook.body.to_map();
        let traits = body.get("traits").and_then(Value::as_array);
        let mut names = traits.into_iter().flatten().filter_map(Value::as_str);
        let has = |name: &str| node.traits.iter().any(|known| **known == *name);
        if !runbook.name.as_deref().is_some_and(has) && !names.any(has) {
            return Err(ApiError::bad(format!(
                "Runbook {ident} has not been approved for use on node {}: the node has neither the runbook's name nor one \
                 of its traits among its own traits.",
                node.id
            )));
        }
        let steps = body.get("steps").and_then(Value::as_array);
        let mut steps = steps.cloned().unwrap_or_default();
        steps.sort_by_key(|step| step.get("order").and_then(Value::as_u64));
        let key = if verb == Verb::Clean {
            "clean_steps"
        } else {
            "service_steps"
        };
        arguments.insert(key.to_owned(), Value::Array(steps));
    }
    if matches!(verb, Verb::Deploy | Verb::Rebuild) {
        let info = node.instance_info.to_map();
        let traits = info.get("traits").and_then(Value::as_array);
        let state = app.deps.state.read();
        let steps: Vec<Value> = traits
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter_map(|name| state.objects().by_name(Kind::DeployTemplate, name))
            .filter_map(|template| template.body.to_map().remove("steps"))
            .filter_map(|steps| steps.as_array().cloned())
            .flatten()
            .collect();
        if !steps.is_empty() {
            arguments.insert("template_steps".to_owned(), Value::Array(steps));
        }
    }
    Ok(())
}

/// The version that a verb came with. `deploy` and `undeploy` are newer words for older verbs.
fn since(verb: Verb, word: &str) -> u16 {
    match verb {
        Verb::Deploy if word == "deploy" => 73,
        Verb::Delete if word == "undeploy" => 73,
        Verb::Manage | Verb::Provide => 4,
        Verb::Inspect => 6,
        Verb::Abort => 13,
        Verb::Clean => 15,
        Verb::Adopt => 17,
        Verb::Rescue | Verb::Unrescue => 38,
        Verb::Unhold => 85,
        Verb::Service => 87,
        Verb::Deploy
        | Verb::Delete
        | Verb::Rebuild
        | Verb::Done
        | Verb::Fail
        | Verb::Wait
        | Verb::Resume
        | Verb::Hold => 1,
    }
}

fn illegal(node: NodeId, word: &str, state: ProvisionState) -> ApiError {
    let word: String = word.chars().take(255).collect();
    ApiError::bad(format!(
        "The requested action \"{word}\" can not be performed on node \"{node}\" while it is in state \"{state}\"."
    ))
}

fn check_maintenance(node: &NodeRecord, verb: Verb) -> Result<(), ApiError> {
    if node.maintenance && matches!(verb, Verb::Deploy | Verb::Rebuild) {
        return Err(ApiError::bad(format!(
            "The provisioning operation can't be performed on node {} because it's in maintenance mode.",
            node.id
        )));
    }
    Ok(())
}

fn check_move(call: &Call, node: &NodeRecord, verb: Verb, word: &str) -> Result<(), ApiError> {
    let state = node.provision_state;
    if verb == Verb::Abort {
        if state == ProvisionState::InspectWait {
            call.needs(41)?;
        } else if state == ProvisionState::WaitCallBack {
            call.needs(110)?;
        }
    }
    if state.after(verb).is_some() && verb.is_for_users(state) {
        Ok(())
    } else {
        Err(illegal(node.id, word, state))
    }
}

/// Which argument goes with which verb, from which version.
fn check_arguments(call: &Call, verb: Verb, arguments: &Arguments) -> Result<(), ApiError> {
    let deploys = matches!(verb, Verb::Deploy | Verb::Rebuild);
    let only = |key: &str, fits: bool, verbs: &str, since: u16| -> Result<bool, ApiError> {
        if arguments.get(key).is_none() {
            return Ok(false);
        }
        if !fits {
            return Err(ApiError::bad(format!(
                "\"{key}\" is only valid when setting the target provision state to {verbs}"
            )));
        }
        call.needs(since).map(|()| true)
    };
    let rebuild_since = if verb == Verb::Rebuild { 35 } else { 1 };
    if only("configdrive", deploys, "active or rebuild", rebuild_since)? {
        check_configdrive(call, arguments)?;
    }
    let runbook = only(
        "runbook",
        matches!(verb, Verb::Clean | Verb::Service),
        "clean or service",
        92,
    )?;
    for (key, fits, verbs, since) in [
        ("clean_steps", verb == Verb::Clean, "clean", 15),
        ("service_steps", verb == Verb::Service, "service", 87),
        ("deploy_steps", deploys, "active or rebuild", 69),
    ] {
        if only(key, fits, verbs, since)? {
            if runbook {
                return Err(ApiError::bad(format!(
                    "Only one of \"runbook\" and \"{key}\" may be given"
                )));
            }
            check_steps(key, arguments)?;
        } else if fits && !deploys && !runbook {
            return Err(ApiError::bad(format!(
                "\"{key}\" is required when setting target provision state to {verbs}"
            )));
        }
    }
    let ramdisk_since = if verb == Verb::Service { 108 } else { 70 };
    let fits = matches!(verb, Verb::Clean | Verb::Service);
    if only("disable_ramdisk", fits, "clean or service", ramdisk_since)? {
        let value = arguments.get("disable_ramdisk").unwrap_or(&Value::Null);
        flag_of("disable_ramdisk", value).map_err(ApiError::bad)?;
    }
    let password = only("rescue_password", verb == Verb::Rescue, "rescue", 38)?;
    if verb == Verb::Rescue {
        let given = arguments.opt_text("rescue_password")?.unwrap_or_default();
        if !password || given.trim().is_empty() {
            return Err(ApiError::bad(
                "A non-empty \"rescue_password\" is required when setting target provision state to rescue",
            ));
        }
    }
    Ok(())
}

fn check_configdrive(call: &Call, arguments: &Arguments) -> Result<(), ApiError> {
    match arguments.get("configdrive") {
        Some(Value::Object(parts)) => {
            call.needs(56)?;
            let known = ["meta_data", "network_data", "user_data", "vendor_data"];
            if let Some(key) = parts.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(ApiError::bad(format!(
                    "Unexpected key \"{key}\" in configdrive; it holds {}",
                    known.join(", ")
                )));
            }
            if parts.contains_key("vendor_data") {
                call.needs(59)?;
            }
            Ok(())
        }
        Some(Value::String(_)) | None => Ok(()),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => Err(
            ApiError::bad("configdrive must be an object, a base64 string or a URL"),
        ),
    }
}

/// Most steps in one request; the longest real firmware runs have some forty.
const STEPS_MAX: usize = 1000;

/// Interfaces that have steps.
const STEP_INTERFACES: [&str; 7] = [
    "vendor",
    "power",
    "management",
    "firmware",
    "deploy",
    "bios",
    "raid",
];

fn check_steps(key: &str, arguments: &Arguments) -> Result<(), ApiError> {
    let bad = |text: String| ApiError::bad(format!("Invalid {key}: {text}"));
    let steps = arguments
        .get(key)
        .and_then(Value::as_array)
        .ok_or_else(|| bad("not a list".to_owned()))?;
    if steps.is_empty() && key != "deploy_steps" {
        return Err(bad("[] should be non-empty".to_owned()));
    }
    if steps.len() > STEPS_MAX {
        return Err(bad(format!("more than {STEPS_MAX} steps")));
    }
    for step in steps {
        let step = step
            .as_object()
            .ok_or_else(|| bad("a step is not an object".to_owned()))?;
        check_step(key, step).map_err(bad)?;
    }
    Ok(())
}

pub(crate) fn check_step(key: &str, step: &Map<String, Value>) -> Result<(), String> {
    let is_deploy = key == "deploy_steps";
    let known: &[&str] = if is_deploy {
        &["interface", "step", "args", "priority"]
    } else {
        &[
            "interface",
            "step",
            "args",
            "order",
            "execute_on_child_nodes",
            "limit_child_node_execution",
        ]
    };
    if let Some(unknown) = step.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!(
            "Additional properties are not allowed ('{unknown}' was unexpected)"
        ));
    }
    let text = |name: &str| step.get(name).and_then(Value::as_str).unwrap_or_default();
    if text("step").is_empty() {
        return Err("'step' is a required property".to_owned());
    }
    let interface = text("interface");
    // The steps that the conductor carries out itself need no interface.
    let reserved = matches!(
        text("step"),
        "power_on" | "power_off" | "reboot" | "hold" | "wait"
    );
    let known_interface =
        STEP_INTERFACES.contains(&interface) || (reserved && interface.is_empty());
    if !known_interface {
        return Err(format!("'{interface}' is not one of {STEP_INTERFACES:?}"));
    }
    if interface == "vendor" && text("step") == "send_raw" {
        return Err("the step vendor.send_raw is not allowed".to_owned());
    }
    if step.get("args").is_some_and(|args| !args.is_object()) {
        return Err("args is not of type 'object'".to_owned());
    }
    if is_deploy {
        for name in ["args", "priority"] {
            if !step.contains_key(name) {
                return Err(format!("'{name}' is a required property"));
            }
        }
        if step.get("priority").and_then(Value::as_u64).is_none() {
            return Err("priority is not a whole number of 0 or more".to_owned());
        }
    }
    Ok(())
}
