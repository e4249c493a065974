//! What the machine boots from and how: changes, and what they leave in the record.

use super::end::Outcome;
use super::plan::{PowerDriver, Step};
use super::{Context, Effect, NodeCore, Note, Phase, ReadError};
use crate::command::NodeChange;
use crate::node::boot::{self, BootOrder, BootState};
use crate::node::edit::Refused;
use crate::port::bmc::{BmcError, PowerAction};
use crate::port::node::NodeAnswer;

impl NodeCore {
    /// Records how the machine boots, once nothing else goes on. What the BMC does not tell stays as it is known.
    pub(super) fn record_boots(&mut self, out: &mut Vec<Effect>) -> bool {
        let Some(state) = self.boots.take() else {
            return false;
        };
        let Some(change) = self.boots_change(state) else {
            return false;
        };
        self.propose(None, vec![change], super::Then::Rest, out);
        true
    }

    pub(super) fn boots_change(&self, state: BootState) -> Option<NodeChange> {
        let known = self
            .record
            .boot_mode
            .as_deref()
            .and_then(boot::BootMode::parse);
        let mode = state.mode.or(known);
        let secure = state.secure_boot.or(self.record.secure_boot);
        let news = mode != known || secure != self.record.secure_boot;
        news.then_some(NodeChange::Boots { mode, secure })
    }

    /// The machine took another boot device, mode or secure boot setting: what that changes in the record.
    pub(super) fn boot_changes(&self, action: PowerAction, by_us: bool) -> Vec<NodeChange> {
        match action {
            PowerAction::BootFrom(order) => boot::after_setting(&self.record, order, by_us)
                .map(NodeChange::InternalInfo)
                .into_iter()
                .collect(),
            PowerAction::BootMode(mode) => self
                .boots_change(BootState {
                    mode: Some(mode),
                    ..BootState::default()
                })
                .into_iter()
                .collect(),
            PowerAction::SecureBoot(on) => self
                .boots_change(BootState {
                    secure_boot: Some(on),
                    ..BootState::default()
                })
                .into_iter()
                .collect(),
            PowerAction::On
            | PowerAction::Off
            | PowerAction::SoftOff
            | PowerAction::Reset
            | PowerAction::Cycle
            | PowerAction::SoftReset
            | PowerAction::Nmi
            | PowerAction::Chore(_) => Vec::new(),
        }
    }

    /// A command about booting that the BMC declined need not be the end: a lasting device that it does not keep is told
    /// for one boot and repeated before each (Ironic `redfish/management.py`), and one that could not be repeated does not
    /// keep the machine from starting. Whether the work goes on.
    pub(super) fn goes_on_without(
        &mut self,
        context: Context<'_>,
        action: PowerAction,
        error: &ReadError,
        out: &mut Vec<Effect>,
    ) -> bool {
        let PowerAction::BootFrom(order) = action else {
            return false;
        };
        let is_redfish = PowerDriver::of(&self.record) == PowerDriver::Redfish;
        let Phase::Working(work) = &mut self.phase else {
            return false;
        };
        let is_wish = matches!(work.goal, super::goal::Goal::Command(_));
        if is_wish {
            let forgets = order.persistent
                && is_redfish
                && matches!(
                    error,
                    ReadError::Bmc(BmcError::Declined { .. } | BmcError::Unsupported { .. })
                );
            if !forgets {
                return false;
            }
            work.steps
                .push_front(Step::Act(PowerAction::BootFrom(BootOrder {
                    persistent: false,
                    ..order
                })));
            work.by_us = true;
        } else {
            let error = error.to_string().into();
            out.push(Effect::Note(Note::NotRestored { error }));
        }
        self.advance(context, out);
        true
    }

    /// Keeps what came of this work for whoever waits for its end; false if nobody does.
    pub(super) fn tell_end(&mut self, outcome: Outcome<'_>) -> bool {
        let Phase::Working(work) = &mut self.phase else {
            return false;
        };
        let Some(asker) = work.asker.take() else {
            return false;
        };
        let answer = match outcome {
            Outcome::Done => Ok(NodeAnswer::Done),
            Outcome::Failed(text) => Err(Refused::new(work.status, text).into()),
        };
        self.told = Some((asker, answer));
        true
    }

    /// The end of the work is in the log: whoever waited for it hears of it now.
    pub(super) fn pass_on_end(&mut self, out: &mut Vec<Effect>) {
        if let Some((asker, answer)) = self.told.take() {
            out.push(Effect::Answer { asker, answer });
        }
    }
}
