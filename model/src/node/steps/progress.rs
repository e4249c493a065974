//! Where a flow stands, read from the record and written back into it.

use super::catalog::{kind, name};
use super::{Flow, Kind};
use crate::command::NodeChange;
use crate::json::Json;
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use serde_json::{Map, Value};

/// The place of a node in one of its flows.
#[derive(Clone, PartialEq, Debug)]
pub struct Progress {
    flow: Flow,
    info: Map<String, Value>,
}

impl Progress {
    /// As the record has it.
    #[must_use]
    pub fn of(node: &NodeRecord, flow: Flow) -> Self {
        Self {
            flow,
            info: node.driver_internal_info.to_map(),
        }
    }

    fn key(&self, what: &str) -> String {
        format!("{}_{what}", self.flow.as_str())
    }

    fn steps(&self) -> &[Value] {
        self.info
            .get(&self.key("steps"))
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The index of the step that was begun last.
    fn index(&self) -> Option<usize> {
        let index = self.info.get(&self.key("step_index"))?.as_u64()?;
        usize::try_from(index).ok()
    }

    fn is_done(&self) -> bool {
        self.info.get(&self.key("step_done")) == Some(&Value::Bool(true))
    }

    /// Whether the flow has a list of steps, empty or not.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.info.contains_key(&self.key("steps"))
    }

    /// The step that was begun and of which no end is known.
    #[must_use]
    pub fn running(&self) -> Option<&Value> {
        let index = self.index().filter(|_| !self.is_done())?;
        self.steps().get(index)
    }

    /// The step that comes next, with its index.
    #[must_use]
    pub fn next(&self) -> Option<(usize, &Value)> {
        let index = self.index().map_or(0, |index| index + 1);
        Some((index, self.steps().get(index)?))
    }

    /// What begins a flow: the list is written down, nothing of it has run.
    #[must_use]
    pub fn begin(mut self, steps: Vec<Value>) -> Vec<NodeChange> {
        self.forget();
        self.info.insert(self.key("steps"), Value::Array(steps));
        self.write(Json::EMPTY)
    }

    /// What is written before the step at `index` begins.
    #[must_use]
    pub fn enter(mut self, index: usize) -> Vec<NodeChange> {
        let step = match self.steps().get(index) {
            Some(Value::Object(step)) => Json::from_map(step),
            Some(_) | None => Json::EMPTY,
        };
        self.info.insert(self.key("step_index"), Value::from(index));
        let done = self.key("step_done");
        self.info.remove(&done);
        self.write(step)
    }

    /// What is written when the running step is over although the flow pauses: a hold is reached, or its end was reported.
    #[must_use]
    pub fn pause(mut self) -> Vec<NodeChange> {
        self.info.insert(self.key("step_done"), Value::Bool(true));
        vec![NodeChange::InternalInfo(Json::from_map(&self.info))]
    }

    /// What ends a flow.
    #[must_use]
    pub fn end(mut self) -> Vec<NodeChange> {
        self.forget();
        self.write(Json::EMPTY)
    }

    fn forget(&mut self) {
        for what in ["steps", "step_index", "step_done"] {
            let key = self.key(what);
            self.info.remove(&key);
        }
    }

    fn write(self, step: Json) -> Vec<NodeChange> {
        vec![
            NodeChange::InternalInfo(Json::from_map(&self.info)),
            NodeChange::Step {
                flow: self.flow,
                step,
            },
        ]
    }
}

/// What a new owner does with a flow that it finds running.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resume {
    /// Go on: with the step that was running, which may be repeated, or with the first.
    GoOn,
    /// Nobody knows what the running step has done. The text says so.
    Fail(String),
}

/// The table of takeover for steps: what may be repeated is, what may not fails with its reason.
#[must_use]
pub fn after_takeover(node: &NodeRecord, flow: Flow) -> Resume {
    let progress = Progress::of(node, flow);
    let Some(step) = progress.running() else {
        let known = progress.is_known();
        // Automated cleaning makes its list itself.
        return if known || (flow == Flow::Clean && !is_manual(node)) {
            Resume::GoOn
        } else {
            Resume::Fail("the list of its steps is not known".to_owned())
        };
    };
    match kind(node, flow, step) {
        Some(kind) if kind.is_repeatable() => Resume::GoOn,
        Some(
            Kind::Power(_)
            | Kind::Bios(_)
            | Kind::Asynchronous
            | Kind::Hold
            | Kind::Wait(_)
            | Kind::Instant,
        )
        | None => Resume::Fail(format!(
            "the conductor that ran step {} was lost, and whether the step has had its effect is not known",
            name(step)
        )),
    }
}

/// Whether manual cleaning is under way: it ends in `manageable`.
pub(crate) fn is_manual(node: &NodeRecord) -> bool {
    node.target_provision_state == Some(ProvisionState::Manageable)
}
