//! What the machine boots from: reads that wait for no lock, and changes that hold it.

use super::end::Outcome;
use super::plan::{PowerDriver, Step};
use super::request::QUEUE_MAX;
use super::{Asker, Context, Effect, NodeCore, Note, Phase, ReadError};
use crate::command::NodeChange;
use crate::ids::Ticket;
use crate::node::boot::{self, BootOrder, BootState};
use crate::node::edit::Refused;
use crate::object::Kind;
use crate::port::bmc::{BmcError, Findings, PowerAction};
use crate::port::node::{NodeAnswer, NodeError};

/// A read of the boot device that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct BootRead {
    ticket: Ticket,
    /// Nobody: it is read for the record.
    asker: Option<Asker>,
}

/// The status of an answer to a caller who waits while a BMC call fails: 400 where the machine cannot do it, else 500 as in
/// Ironic.
const fn status_of(error: &ReadError) -> u16 {
    if matches!(error, ReadError::Bmc(BmcError::Unsupported { .. })) {
        400
    } else {
        500
    }
}

impl NodeCore {
    /// Asks the BMC on behalf of a user, whatever else goes on.
    pub(super) fn get_boot(&mut self, context: Context<'_>, asker: Asker, out: &mut Vec<Effect>) {
        let answer = if !context.is_owner {
            Err(NodeError::NotOwner(None))
        } else if self.boot_reads.len() >= QUEUE_MAX {
            Err(NodeError::Unavailable {
                reason: "too many callers wait for the boot device of this node".into(),
                retry_after_s: 1,
            })
        } else {
            match boot::manager(&self.record, "get_boot_device") {
                Ok(_) => {
                    self.read_boot(Some(asker), out);
                    return;
                }
                Err(refused) => Err(refused.into()),
            }
        };
        out.push(Effect::Answer { asker, answer });
    }

    /// Asks the BMC for the record, where it can tell more than the device.
    pub(super) fn learn_boots(&mut self, out: &mut Vec<Effect>) {
        if matches!(boot::manager(&self.record, ""), Ok(PowerDriver::Redfish))
            && self.boot_reads.len() < QUEUE_MAX
        {
            self.read_boot(None, out);
        }
    }

    fn read_boot(&mut self, asker: Option<Asker>, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        self.boot_reads.push(BootRead { ticket, asker });
        out.push(Effect::ReadBoot { ticket });
    }

    pub(super) fn on_boot_read(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<BootState, ReadError>,
        out: &mut Vec<Effect>,
    ) {
        let Some(at) = self
            .boot_reads
            .iter()
            .position(|read| read.ticket == ticket)
        else {
            out.push(Effect::Note(Note::LateAnswer { ticket }));
            return;
        };
        let read = self.boot_reads.remove(at);
        if let Ok(state) = &result
            && context.is_owner
        {
            self.boots = Some(*state);
        }
        let Some(asker) = read.asker else { return };
        let answer = match result {
            Ok(state) => Ok(NodeAnswer::Boot(state)),
            Err(ReadError::NoRoom(reason)) => Err(NodeError::Unavailable {
                reason,
                retry_after_s: 1,
            }),
            Err(error) => Err(Refused::new(status_of(&error), error.to_string()).into()),
        };
        out.push(Effect::Answer { asker, answer });
    }

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

    /// Asks for what the node's interfaces show of the machine's firmware.
    pub(super) fn learn_findings(&mut self, out: &mut Vec<Effect>) {
        let interfaces = &self.record.interfaces;
        let shows = &*interfaces.bios == "redfish" || &*interfaces.firmware == "redfish";
        if shows && PowerDriver::of(&self.record) == PowerDriver::Redfish {
            let ticket = self.ticket();
            out.push(Effect::ReadFindings { ticket });
        }
    }

    /// Keeps what the BMC told, once nothing else goes on.
    pub(super) fn record_findings(&mut self, out: &mut Vec<Effect>) -> bool {
        let Some(found) = self.found.take() else {
            return false;
        };
        let interfaces = &self.record.interfaces;
        let Findings { bios, firmware } = *found;
        let changes: Vec<NodeChange> = [
            (Kind::Bios, &interfaces.bios, bios),
            (Kind::Firmware, &interfaces.firmware, firmware),
        ]
        .into_iter()
        .filter(|(_, interface, _)| &***interface == "redfish")
        .filter_map(|(kind, _, body)| Some(NodeChange::Findings { kind, body: body? }))
        .collect();
        if changes.is_empty() {
            return false;
        }
        self.propose(None, changes, super::Then::Rest, out);
        true
    }

    fn boots_change(&self, state: BootState) -> Option<NodeChange> {
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
            | PowerAction::Nmi => Vec::new(),
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
        let is_wish = matches!(work.goal, super::goal::Goal::Boot(_));
        if is_wish {
            let forgets = order.persistent
                && is_redfish
                && matches!(
                    error,
                    ReadError::Bmc(BmcError::Declined { .. } | BmcError::Unsupported { .. })
                );
            if !forgets {
                work.status = status_of(error);
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
