//! Machines that share a power supply: a child node (a DPU, a blade) without one of its own cannot be on while its parent
//! is off. Before it is switched on its parent is; before the parent is switched off, hard, its children are.
//! Source: conductor.md §4 f. The relatives are asked through their own owners, each under its own lock.

use super::plan::{self, Step};
use super::work::Doing;
use super::{Context, Effect, NodeCore, Note, Phase};
use crate::driver::python::bool_from_str;
use crate::ids::{NodeId, RequestId, Ticket};
use crate::node::power::PowerRequest;
use crate::node::record::NodeRecord;
use crate::state::ClusterState;
use serde_json::Value;
use std::time::Duration;

/// `driver_info` key of a child that does not depend on its parent's power.
const OWN_SUPPLY: &str = "has_dedicated_power_supply";

/// Whether the machine has a power supply of its own.
#[must_use]
pub(crate) fn has_own_supply(node: &NodeRecord) -> bool {
    match node.driver_info.to_map().get(OWN_SUPPLY) {
        Some(Value::Bool(own)) => *own,
        Some(Value::Number(number)) => number.as_i64() == Some(1),
        Some(Value::String(word)) => bool_from_str(word) == Some(true),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => false,
    }
}

/// The children of a node that have no power when it has none.
pub fn dependents(state: &ClusterState, parent: NodeId) -> impl Iterator<Item = NodeId> {
    let children = state.children_of(parent);
    children
        .filter(|child| !has_own_supply(child))
        .map(|child| child.id)
}

/// How far a relative is that was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Under way.
    Waiting,
    /// It is where it was to be.
    There,
    /// It will not get there; why.
    Failed(Box<str>),
}

/// What became of the request `asked` at a relative, as far as its record tells.
#[must_use]
pub fn standing(relative: &NodeRecord, asked: &RequestId, request: PowerRequest) -> Standing {
    if !relative.requests.contains(asked) || relative.is_locked() {
        return Standing::Waiting;
    }
    if relative.power_state == Some(request.target()) {
        return Standing::There;
    }
    let why = relative.last_error.as_deref();
    Standing::Failed(why.unwrap_or("it was switched again meanwhile").into())
}

impl NodeCore {
    /// Whether other machines have to be switched first.
    pub(super) fn needs_relatives(&self, context: Context<'_>, request: PowerRequest) -> bool {
        match request {
            PowerRequest::On => self.record.parent_node.is_some() && !has_own_supply(&self.record),
            PowerRequest::Off => context.has_children,
            PowerRequest::Reboot | PowerRequest::SoftOff | PowerRequest::SoftReboot => false,
        }
    }

    /// How long that may take at most: as long as a request of theirs, and their wait for their locks.
    pub(super) fn relatives_limit(
        &self,
        context: Context<'_>,
        request: PowerRequest,
    ) -> Option<Duration> {
        self.needs_relatives(context, request)
            .then(|| plan::limit(request, None, context.knobs) + context.knobs.lock_wait)
    }

    /// The step that does it, if it is to be done.
    pub(super) fn relatives_first(
        &self,
        context: Context<'_>,
        request: PowerRequest,
    ) -> Option<Step> {
        let limit = self.relatives_limit(context, request)?;
        Some(Step::Relatives { request, limit })
    }

    pub(super) fn switch_relatives(
        &mut self,
        request: PowerRequest,
        limit: Duration,
        out: &mut Vec<Effect>,
    ) {
        let ticket = self.ticket();
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        work.doing = Doing::Relatives(ticket);
        // The same at whoever resumes this work, so that nobody is switched twice.
        let id = format!("req-{}-{}", self.record.id, work.intent).into();
        out.push(Effect::SwitchRelatives {
            ticket,
            id: RequestId(id),
            request,
            limit,
        });
    }

    pub(super) fn on_relatives(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<(), Box<str>>,
        out: &mut Vec<Effect>,
    ) {
        let waits = matches!(
            &self.phase,
            Phase::Working(work) if matches!(work.doing, Doing::Relatives(expected) if expected == ticket)
        );
        match result {
            _ if !waits => out.push(Effect::Note(Note::LateAnswer { ticket })),
            Ok(()) => self.advance(context, out),
            Err(error) => self.fail(&error, out),
        }
    }
}
