//! Waiting states have a time limit at whoever owns the node.
//!
//! The limit counts from the last sign of life that this owner saw, or from when it became the owner: no wall clock takes
//! part, and a takeover grants the full time once more. Sources of limits and texts: conductor.md §11.

use super::{Context, Effect, Knobs, NodeCore, Then};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::NodeRecord;
use std::time::Duration;

/// Whether somebody has heard of the waiting machine: it moved on, or its agent's notes changed.
pub(super) fn is_sign_of_life(old: &NodeRecord, new: &NodeRecord) -> bool {
    old.provision_state != new.provision_state
        || old.provision_updated_at != new.provision_updated_at
        || old.driver_internal_info != new.driver_internal_info
        // Maintenance stops the clock.
        || old.maintenance != new.maintenance
}

/// The limit of a state, and what is said when it has passed.
fn limit(node: &NodeRecord, knobs: &Knobs) -> Option<(Duration, String)> {
    let waits = &knobs.waits;
    let ramdisk = |work: &str, of: &str| {
        format!(
            "Timeout reached while {work} the node. Please check if the ramdisk responsible for the {of} is running on \
             the node."
        )
    };
    match node.provision_state {
        ProvisionState::WaitCallBack => Some((
            waits.deploy?,
            format!(
                "Timeout reached while waiting for callback for node {}",
                node.id
            ),
        )),
        ProvisionState::CleanWait => Some((waits.clean?, ramdisk("cleaning", "cleaning"))),
        ProvisionState::InspectWait => Some((waits.inspect?, ramdisk("inspecting", "inspection"))),
        ProvisionState::RescueWait => Some((
            waits.rescue?,
            "Timeout reached while waiting for rescue ramdisk callback for node".to_owned(),
        )),
        ProvisionState::ServiceWait => Some((waits.service?, ramdisk("servicing", "servicing"))),
        _ => None,
    }
}

impl NodeCore {
    /// When the patience with a waiting node ends, and what is said then.
    pub(super) fn patience_ends(&self, knobs: &Knobs) -> Option<(Mono, String)> {
        if self.record.maintenance {
            return None;
        }
        let (span, text) = limit(&self.record, knobs)?;
        Some((self.waiting_since + span, text))
    }

    /// Fails a node that has waited for too long.
    pub(super) fn end_of_patience(&mut self, context: Context<'_>, out: &mut Vec<Effect>) -> bool {
        let Some((_, text)) = self
            .patience_ends(context.knobs)
            .filter(|(at, _)| *at <= context.now)
        else {
            return false;
        };
        let text = text + &self.waits_on();
        let mut changes = self.steps_failed(&text);
        changes.extend([
            NodeChange::LastError(Some(text.into())),
            NodeChange::Provision {
                verb: Verb::Fail,
                target: None,
            },
        ]);
        self.propose(Some(self.record.revision), changes, Then::Rest, out);
        true
    }
}
