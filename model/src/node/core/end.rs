//! The end of work: the one entry that closes its intent and records the result.

use super::goal::Goal;
use super::{Context, Effect, NodeCore, Note, Phase, Then};
use crate::command::NodeChange;
use crate::node::boot;
use crate::node::power::{PowerCause, PowerState};
use crate::node::provision::{ProvisionState, Verb};
use crate::port::bmc::PowerAction;

/// How work ended, for whoever waits for it.
pub(super) enum Outcome<'a> {
    Done,
    Failed(&'a str),
}

impl NodeCore {
    pub(super) fn close(&mut self, mut changes: Vec<NodeChange>, out: &mut Vec<Effect>) {
        changes.extend(self.fenced_now());
        if let Some(intent) = &self.record.intent {
            changes.push(NodeChange::CloseIntent(intent.id));
        }
        self.propose(None, changes.clone(), Then::Close { changes }, out);
    }

    pub(super) fn succeed(
        &mut self,
        context: Context<'_>,
        state: Option<PowerState>,
        out: &mut Vec<Effect>,
    ) {
        let Phase::Working(work) = &self.phase else {
            return;
        };
        let (goal, cause, by_us) = (work.goal, work.cause, work.by_us);
        let done = NodeChange::Provision {
            verb: Verb::Done,
            target: None,
        };
        let changes = match goal {
            Goal::Power { .. } | Goal::InterruptedReboot { .. } => {
                if let Some(target) = state {
                    out.push(Effect::Note(Note::PowerDone {
                        target,
                        purpose: "power",
                    }));
                }
                let mut changes = vec![
                    self.power(context, state, cause),
                    NodeChange::TargetPower(None),
                ];
                // What power sync does about a machine is no answer to why its node failed.
                if cause != PowerCause::Sync || !self.record.provision_state.is_failed() {
                    changes.push(NodeChange::LastError(None));
                }
                if state == Some(PowerState::On) {
                    changes.extend(boot::after_boot(&self.record).map(NodeChange::InternalInfo));
                }
                changes
            }
            Goal::Command(action) => {
                self.tell_end(Outcome::Done);
                self.boot_changes(action, by_us)
            }
            Goal::Nmi | Goal::TakeOver => Vec::new(),
            Goal::Verify => {
                self.learn(out);
                vec![
                    self.power(context, state, PowerCause::Verify),
                    NodeChange::SyncFailures(0),
                    done,
                ]
            }
            Goal::Adopt => {
                let known = self.record.power_state;
                vec![self.power(context, known, PowerCause::Adoption), done]
            }
            Goal::Inspect | Goal::Rescue | Goal::Unrescue => vec![done],
            Goal::Steps(_) => Vec::new(),
            Goal::Clean => {
                self.clean(context, Vec::new(), out);
                return;
            }
            Goal::TearDown => {
                let changes = vec![
                    self.power(context, state, PowerCause::Step),
                    NodeChange::ForgetInstance,
                    NodeChange::Provision {
                        verb: Verb::Clean,
                        target: None,
                    },
                ];
                self.clean(context, changes, out);
                return;
            }
        };
        self.close(changes, out);
    }

    pub(super) fn fail_read(&mut self, goal: Goal, error: &str, out: &mut Vec<Effect>) {
        match goal {
            // A reboot is not read first in Ironic, so its read fails as the reboot itself does.
            Goal::Power { request, .. } if !request.is_reboot() => {
                let text = format!("Failed to change power state to '{request}': {error}");
                self.fail_with(text, out);
            }
            Goal::Power { .. }
            | Goal::InterruptedReboot { .. }
            | Goal::Nmi
            | Goal::Command(_)
            | Goal::Verify
            | Goal::Adopt
            | Goal::Inspect
            | Goal::Clean
            | Goal::TearDown
            | Goal::Steps(_)
            | Goal::Rescue
            | Goal::Unrescue
            | Goal::TakeOver => self.fail(error, out),
        }
    }

    pub(super) fn fail(&mut self, error: &str, out: &mut Vec<Effect>) {
        let Some(goal) = self.goal() else { return };
        let node = self.record.id;
        let text = match goal {
            Goal::Power { request, .. } => {
                format!(
                    "Failed to change power state to '{}' by '{request}': {error}",
                    request.target()
                )
            }
            Goal::InterruptedReboot { .. } => {
                format!("Failed to change power state to 'power on' by 'rebooting': {error}")
            }
            Goal::Nmi => format!("Failed to inject NMI: {error}"),
            Goal::Command(PowerAction::BootMode(mode)) => {
                format!("Failed to change boot mode to '{mode}': {error}")
            }
            Goal::Command(PowerAction::SecureBoot(on)) => {
                format!("Failed to change secure boot state to '{on}': {error}")
            }
            Goal::Command(PowerAction::Chore(chore)) => {
                format!("Failed to {}: {error}", chore.operation())
            }
            Goal::Command(_) => error.to_owned(),
            Goal::Verify => format!("Failed to get power state for node {node}. Error: {error}"),
            Goal::Adopt => format!("Error while attempting to adopt node {node}: {error}."),
            Goal::Inspect => format!("Failed to inspect node {node}: {error}"),
            Goal::Clean => format!("Failed to clean node {node}: {error}"),
            Goal::TearDown => format!("Failed to tear down: {error}"),
            Goal::Steps(flow) => self.step_failure(flow, error),
            Goal::Rescue => format!("Failed to rescue: {error}"),
            Goal::Unrescue => format!("Failed to unrescue: {error}"),
            Goal::TakeOver => format!("Failed to take over: {error}"),
        };
        self.fail_with(text, out);
    }

    pub(super) fn fail_with(&mut self, text: String, out: &mut Vec<Effect>) {
        let text: Box<str> = text.into();
        let reason = text.clone();
        out.push(Effect::Note(Note::PowerFailed {
            error: text.clone(),
        }));
        // Whoever waits for the outcome needs no note of it.
        let mut changes = if self.tell_end(Outcome::Failed(&text)) {
            Vec::new()
        } else {
            vec![NodeChange::LastError(Some(text))]
        };
        if self.record.target_power_state.is_some() {
            changes.push(NodeChange::TargetPower(None));
        }
        match self.record.provision_state {
            // The instance is gone from here however its machine took it (Ironic clears it in a `finally`).
            ProvisionState::Deleting => changes.push(NodeChange::ForgetInstance),
            // Nothing is enforced on a machine that was not adopted (conductor.md §8).
            ProvisionState::Adopting => changes.push(NodeChange::Power {
                state: None,
                cause: PowerCause::Step,
                notify: false,
            }),
            _ => {}
        }
        if self.record.provision_state.is_working() {
            changes.extend(self.steps_failed(&reason));
            changes.push(NodeChange::Provision {
                verb: Verb::Fail,
                target: None,
            });
        }
        self.close(changes, out);
    }
}
