//! What users ask of steps: are they allowed, what do they change, and what does an abort do.

use super::catalog::{is_abortable, kind, name, wrong_arguments};
use super::progress::Progress;
use super::{Flow, Kind, list};
use crate::command::NodeChange;
use crate::json::Json;
use crate::node::core::PowerDriver;
use crate::node::edit::Refused;
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::NodeRecord;
use serde_json::{Map, Value};

/// The flow that a verb starts.
const fn flow_of(verb: Verb) -> Option<Flow> {
    match verb {
        Verb::Clean => Some(Flow::Clean),
        Verb::Service => Some(Flow::Service),
        Verb::Deploy | Verb::Rebuild => Some(Flow::Deploy),
        Verb::Manage
        | Verb::Provide
        | Verb::Inspect
        | Verb::Delete
        | Verb::Abort
        | Verb::Adopt
        | Verb::Rescue
        | Verb::Unrescue
        | Verb::Unhold
        | Verb::Done
        | Verb::Fail
        | Verb::Wait
        | Verb::Resume
        | Verb::Hold => None,
    }
}

fn given(flow: Flow, arguments: &Map<String, Value>) -> Vec<Value> {
    let key = format!("{}_steps", flow.as_str());
    let steps = arguments.get(&key).and_then(Value::as_array);
    steps.cloned().unwrap_or_default()
}

/// Whether the node can carry out the steps that come with a verb. `wait_max` bounds each `wait`, in seconds.
///
/// # Errors
/// 400, naming the step.
pub fn check(
    node: &NodeRecord,
    verb: Verb,
    arguments: &Map<String, Value>,
    wait_max: u32,
) -> Result<(), Refused> {
    let Some(flow) = flow_of(verb) else {
        return Ok(());
    };
    let refuse = |step: &Value, why: &str| {
        let text = format!(
            "Validation of node {} for {} failed: step {} {why}",
            node.id,
            match flow {
                Flow::Clean => "cleaning",
                Flow::Deploy => "deployment",
                Flow::Service => "service",
            },
            name(step)
        );
        Err(Refused::new(400, text))
    };
    let steps = match flow {
        Flow::Deploy => list::deploy(node, arguments),
        Flow::Clean | Flow::Service => given(flow, arguments),
    };
    for step in &steps {
        if let Some(why) = wrong_arguments(step) {
            return refuse(step, why);
        }
        match kind(node, flow, step) {
            None => {
                return refuse(
                    step,
                    "is not supported by the node's interfaces; steps inside the machine need the deploy agent, which \
                     this version of baton does not drive.",
                );
            }
            Some(Kind::Wait(0)) => {
                return refuse(
                    step,
                    "needs args.seconds: without them it would wait for the deploy agent.",
                );
            }
            Some(Kind::Wait(seconds)) if seconds > wait_max => {
                let why = format!("may wait at most {wait_max} seconds, not {seconds}.");
                return refuse(step, &why);
            }
            Some(Kind::Bios(_)) if PowerDriver::of(node) != PowerDriver::Redfish => {
                return refuse(
                    step,
                    "needs the power interface redfish, which reaches the same BMC.",
                );
            }
            Some(Kind::Power(_)) if !can_switch(node) => {
                return refuse(step, "needs a power interface that can change power.");
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn can_switch(node: &NodeRecord) -> bool {
    PowerDriver::of(node) != PowerDriver::None
}

/// What a verb that starts steps writes down besides its move.
#[must_use]
pub fn wanted(node: &NodeRecord, verb: Verb, arguments: &Map<String, Value>) -> Vec<NodeChange> {
    let Some(flow) = flow_of(verb) else {
        return Vec::new();
    };
    let steps = match flow {
        Flow::Deploy => list::deploy(node, arguments),
        Flow::Clean | Flow::Service => given(flow, arguments),
    };
    let mut changes = Progress::of(node, flow).begin(steps);
    if let (Flow::Deploy, Some(drive)) = (flow, arguments.get("configdrive")) {
        let mut info = node.instance_info.to_map();
        info.insert("configdrive".to_owned(), drive.clone());
        changes.push(NodeChange::InstanceInfo(Json::from_map(&info)));
    }
    changes
}

/// What an abort changes (conductor.md §9, §10). A step that cannot be aborted is only marked, and the flow stops after
/// it.
///
/// # Errors
/// 400 where an abort is refused.
pub fn abort(node: &NodeRecord) -> Result<Vec<NodeChange>, Refused> {
    let state = node.provision_state;
    let by = |verb| NodeChange::Provision { verb, target: None };
    let told = |text: String| NodeChange::LastError(Some(text.into()));
    if state == ProvisionState::ServiceFailed {
        if node.maintenance {
            let text = format!(
                "The aborting operation can't be performed on node {} because it's in maintenance mode.",
                node.id
            );
            return Err(Refused::new(400, text));
        }
        return Ok(vec![by(Verb::Abort)]);
    }
    let Some(flow) = Flow::of(state) else {
        let text = match state {
            ProvisionState::InspectWait => "Inspection was aborted by request.".to_owned(),
            _ => "By request, the rescue operation was aborted".to_owned(),
        };
        return Ok(vec![told(text), by(Verb::Abort)]);
    };
    let progress = Progress::of(node, flow);
    if let Some(Value::Object(mut step)) = progress.running().cloned()
        && !is_abortable(node, &Value::Object(step.clone()))
    {
        step.insert(ABORT_AFTER.to_owned(), Value::Bool(true));
        let step = Json::from_map(&step);
        return Ok(vec![NodeChange::Step { flow, step }]);
    }
    let verb = if flow == Flow::Service {
        Verb::Fail
    } else {
        Verb::Abort
    };
    Ok(ended(node, flow, verb))
}

/// The mark of a step after which its flow is to end.
const ABORT_AFTER: &str = "abort_after";

/// Whether a user wanted the flow to end after the step that has just run.
pub(crate) fn is_to_end(node: &NodeRecord, flow: Flow) -> bool {
    let step = match flow {
        Flow::Clean => &node.clean_step,
        Flow::Deploy => &node.deploy_step,
        Flow::Service => &node.service_step,
    };
    step.as_str().contains(ABORT_AFTER)
        && step.to_map().get(ABORT_AFTER) == Some(&Value::Bool(true))
}

/// What ends a flow whose step could not be aborted and has run to its end now.
pub(crate) fn ended_by_request(node: &NodeRecord, flow: Flow) -> Vec<NodeChange> {
    ended(node, flow, Verb::Fail)
}

/// What ends a flow because a user wanted it; `verb` leads out of the present state.
fn ended(node: &NodeRecord, flow: Flow, verb: Verb) -> Vec<NodeChange> {
    let by = |verb| NodeChange::Provision { verb, target: None };
    let progress = Progress::of(node, flow);
    let during = progress.running().map_or_else(String::new, |step| {
        format!(" during or after the completion of step \"{}\"", name(step))
    });
    let text = format!(
        "By request, the {} operation was aborted{during}",
        flow.as_str()
    );
    let mut changes = progress.end();
    changes.push(NodeChange::LastError(Some(text.into())));
    changes.push(by(verb));
    if flow == Flow::Service {
        // Ironic goes through the failed state and back to `active`.
        changes.push(by(Verb::Abort));
    }
    changes
}
