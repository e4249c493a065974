//! The lists of steps that nobody wrote out: automated cleaning and deployment.

use super::Flow;
use super::catalog::{ALL, interface_of, word};
use crate::node::record::NodeRecord;
use serde_json::{Map, Value, json};

/// Interfaces in the order in which equal priorities run (conductor.md §10).
const ORDER: [&str; 7] = [
    "vendor",
    "power",
    "management",
    "firmware",
    "deploy",
    "bios",
    "raid",
];

/// The node's own steps of a flow that run without being asked for.
fn own(node: &NodeRecord, flow: Flow) -> Vec<Value> {
    ALL.iter()
        .filter(|known| known.flows.contains(&flow) && known.priority > 0)
        .filter(|known| interface_of(node, known.interface) == known.of)
        .map(|known| {
            json!({
                "interface": known.interface,
                "step": known.step,
                "args": {},
                "priority": known.priority,
                "abortable": known.abortable,
            })
        })
        .collect()
}

fn priority(step: &Value) -> u64 {
    step.get("priority").and_then(Value::as_u64).unwrap_or(0)
}

fn sort(steps: &mut [Value]) {
    let place = |step: &Value| {
        let interface = word(step, "interface");
        ORDER.iter().position(|known| *known == interface)
    };
    steps.sort_by_key(|step| (std::cmp::Reverse(priority(step)), place(step)));
}

/// The steps of automated cleaning, in order.
#[must_use]
pub fn automated(node: &NodeRecord) -> Vec<Value> {
    let mut steps = own(node, Flow::Clean);
    sort(&mut steps);
    steps
}

/// The steps of a deployment, in order: the node's own, changed by templates and then by what the user asked for.
/// A priority of 0 leaves a step out.
#[must_use]
pub fn deploy(node: &NodeRecord, arguments: &Map<String, Value>) -> Vec<Value> {
    let mut steps = own(node, Flow::Deploy);
    for key in ["template_steps", "deploy_steps"] {
        let given = arguments.get(key).and_then(Value::as_array);
        for step in given.into_iter().flatten() {
            let same = |other: &Value| {
                ["interface", "step"]
                    .iter()
                    .all(|key| word(other, key) == word(step, key))
            };
            steps.retain(|other| !same(other));
            steps.push(step.clone());
        }
    }
    steps.retain(|step| priority(step) > 0);
    sort(&mut steps);
    steps
}
