//! Takeover: what a new holder does with an intent that a former one left open.
//!
//! The intent is claimed, which raises the epoch; the BMC session of its last announced write is ended; and only then
//! is the work resumed, finished by reading the machine, or parked as failed with the evidence.

use super::goal::Goal;
use super::work::Work;
use super::{Context, Effect, NodeCore, Note, Phase, Then};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::node::intent::{BmcWrite, IntentKind};
use crate::node::power::PowerCause;
use crate::node::provision::Takeover;
use crate::node::record::NodeRecord;
use crate::node::steps::{Flow, Resume, after_takeover};
use crate::port::bmc::PowerAction;

/// Whether another conductor could carry on with the node's open work and lose nothing. While a conductor drains, such
/// work is handed over; what could only be failed or left in doubt is finished first.
#[must_use]
pub fn can_be_handed_over(record: &NodeRecord) -> bool {
    let Some(intent) = &record.intent else {
        return true;
    };
    let write = intent.write.as_ref();
    let is_certain = write.is_none_or(|write| write.action.is_repeatable() || write.accepted);
    match intent.kind {
        IntentKind::Power { .. } => is_certain,
        IntentKind::InjectNmi => write.is_none(),
        IntentKind::Chore { .. } => is_certain,
        IntentKind::BootDevice { .. } | IntentKind::BootMode(_) | IntentKind::SecureBoot(_) => true,
        IntentKind::Provision { .. } => {
            is_certain && record.provision_state.at_takeover() != Takeover::Fail
        }
    }
}

impl NodeCore {
    /// The node has an open intent that this core does not work for: a former owner, or a former life of this one,
    /// left it. Claim it first, so that the former holder is fenced in the log.
    pub(super) fn take_over(&mut self, out: &mut Vec<Effect>) {
        let Some(intent) = &self.record.intent else {
            return;
        };
        out.push(Effect::Note(Note::TookOver {
            purpose: intent.kind.purpose(),
        }));
        let claim = NodeChange::ClaimIntent(intent.id);
        self.propose(Some(self.record.revision), vec![claim], Then::Resume, out);
    }

    /// The intent is ours. Whatever its former holder may have under way is fenced off at the BMC before anything else.
    pub(super) fn on_claimed(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Some(intent) = &self.record.intent else {
            self.hold(context);
            return;
        };
        // The former holder may have ended sessions before: only the one that the record names now counts.
        self.fenced = None;
        if self.must_fence() {
            let work = Work::new(intent.id, Goal::TakeOver, PowerCause::User, Mono(u64::MAX));
            self.phase = Phase::Working(Box::new(work));
            self.begin_to_fence(context, out);
        } else {
            self.resume_work(context, out);
        }
    }

    /// Carries on with the claimed intent: what is idempotent is done again, what is not is read back or failed.
    pub(super) fn resume_work(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Some(intent) = &self.record.intent else {
            self.hold(context);
            return;
        };
        let write = intent.write.clone();
        match &intent.kind {
            IntentKind::Power { request, .. } if request.is_reboot() => {
                match resume_reboot(write.as_ref()) {
                    Some(goal) => self.begin(context, goal, PowerCause::User, out),
                    None => self.start_work(context, PowerCause::User, out),
                }
            }
            IntentKind::Power { .. }
            | IntentKind::BootDevice { .. }
            | IntentKind::BootMode(_)
            | IntentKind::SecureBoot(_) => self.start_work(context, PowerCause::User, out),
            IntentKind::InjectNmi | IntentKind::Chore { .. } => match write {
                Some(write) if !write.action.is_repeatable() => {
                    let text = format!(
                        "`{}` was interrupted by the loss of a conductor after it was announced in {}; whether it was \
                         carried out is not known",
                        write.action, write.session
                    );
                    self.close(vec![NodeChange::LastError(Some(text.into()))], out);
                }
                Some(_) | None => self.start_work(context, PowerCause::User, out),
            },
            IntentKind::Provision { .. } => match self.record.provision_state.at_takeover() {
                Takeover::Resume => self.start_work(context, PowerCause::Step, out),
                Takeover::Keep | Takeover::KeepWaiting => self.close(Vec::new(), out),
                Takeover::Fail => {
                    let state = self.record.provision_state;
                    let why = match Flow::of(state).map(|flow| after_takeover(&self.record, flow)) {
                        Some(Resume::GoOn) => {
                            self.start_work(context, PowerCause::Step, out);
                            return;
                        }
                        Some(Resume::Fail(why)) => format!(": {why}"),
                        None => String::new(),
                    };
                    let text = format!(
                        "The {state} state can't be resumed by conductor {}{why}. Moving to fail state.",
                        context.host
                    );
                    self.fail_with(text, out);
                }
            },
        }
    }
}

/// How an interrupted reboot goes on after the last write that was announced; `None`: from its beginning.
fn resume_reboot(write: Option<&BmcWrite>) -> Option<Goal> {
    let write = write?;
    match write.action {
        // The machine was not yet told to come back, so the restart is not over: off again, then on.
        PowerAction::Off
        | PowerAction::SoftOff
        | PowerAction::BootFrom(_)
        | PowerAction::BootMode(_)
        | PowerAction::SecureBoot(_)
        | PowerAction::Chore(_) => None,
        // The last half: the machine was off before.
        PowerAction::On => Some(Goal::InterruptedReboot { certain: true }),
        PowerAction::Reset | PowerAction::Cycle | PowerAction::SoftReset | PowerAction::Nmi => {
            Some(Goal::InterruptedReboot {
                certain: write.accepted,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::provision::{ProvisionState, Verb};

    /// The page for operators says what the table does, state by state.
    #[test]
    fn the_page_says_what_the_table_does() {
        let page = include_str!("../../../../docs/takeover.md");
        for state in ProvisionState::ALL {
            let answer = match state.at_takeover() {
                Takeover::Keep => "nothing was going on".to_owned(),
                Takeover::KeepWaiting => "keeps waiting".to_owned(),
                Takeover::Resume => "resumed".to_owned(),
                Takeover::Fail => {
                    let failed = state.after(Verb::Fail).expect("working states can fail");
                    format!("`{failed}`")
                }
            };
            let row = page
                .lines()
                .find(|line| line.starts_with(&format!("| `{state}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/takeover.md has no row for {state}"));
            let last = row.trim_end_matches(" |").rsplit("| ").next();
            let told = last.unwrap_or_default();
            assert!(told.starts_with(&answer), "{state}: {told}, not {answer}");
            if state.is_working() {
                assert_ne!(state.at_takeover(), Takeover::Keep, "{state} has to end");
                assert!(state.after(Verb::Fail).is_some(), "{state} can fail");
            }
            if state.is_waiting() {
                assert_eq!(state.at_takeover(), Takeover::KeepWaiting);
            }
        }
    }

    /// Every command that can be left behind has an answer, and only what must not be repeated can leave a doubt.
    #[test]
    fn every_interrupted_reboot_has_an_answer() {
        use PowerAction::{Cycle, Nmi, Off, On, Reset, SoftOff, SoftReset};
        assert_eq!(resume_reboot(None), None, "nothing had left");
        for action in [On, Off, SoftOff, Reset, Cycle, SoftReset, Nmi] {
            for accepted in [false, true] {
                let write = BmcWrite {
                    session: crate::node::intent::BmcSession::Unbound,
                    action,
                    accepted,
                };
                let doubt = Some(Goal::InterruptedReboot { certain: false });
                let in_doubt = resume_reboot(Some(&write)) == doubt;
                assert_eq!(in_doubt, !action.is_repeatable() && !accepted, "{action}");
            }
        }
    }
}
