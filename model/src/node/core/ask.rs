//! Questions to the BMC besides the power state: a user's, which wait for no lock, and those that the record asks.

use super::plan::PowerDriver;
use super::request::QUEUE_MAX;
use super::{Asker, Context, Effect, NodeCore, Note, ReadError, Urgency};
use crate::command::NodeChange;
use crate::ids::Ticket;
use crate::node::boot;
use crate::node::edit::Refused;
use crate::node::record::NodeRecord;
use crate::object::Kind;
use crate::port::bmc::BmcError;
use crate::port::inquiry::{Disclosure, Findings, Inquiry};
use crate::port::node::{NodeAnswer, NodeError};

/// A question that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    ticket: Ticket,
    /// Nobody: it is asked for the record.
    asker: Option<Asker>,
    /// It went out with the present credentials.
    current: bool,
}

/// The status of an answer to a caller who waits while a BMC call fails: 400 where the machine cannot do it, else 500 as in
/// Ironic.
pub(super) const fn status_of(error: &ReadError) -> u16 {
    if matches!(error, ReadError::Bmc(BmcError::Unsupported { .. })) {
        400
    } else {
        500
    }
}

/// Whether the node's interfaces can answer.
fn check(node: &NodeRecord, inquiry: Inquiry) -> Result<(), Refused> {
    let only_redfish = |what| match PowerDriver::of(node) {
        PowerDriver::Redfish => Ok(()),
        PowerDriver::Ipmi | PowerDriver::Fake | PowerDriver::None => {
            Err(boot::unsupported(node, what))
        }
    };
    match inquiry {
        Inquiry::Boot => boot::manager(node, "get_boot_device").map(drop),
        Inquiry::Lights => {
            boot::manager(node, "get_supported_indicators")?;
            only_redfish("get_supported_indicators")
        }
        Inquiry::Findings => only_redfish("bios"),
        Inquiry::Inventory => only_redfish("inspect"),
        Inquiry::Subscriptions => only_redfish("get_all_subscriptions"),
    }
}

impl NodeCore {
    /// Asks the BMC on behalf of a user, whatever else goes on.
    pub(super) fn ask_for(
        &mut self,
        context: Context<'_>,
        asker: Asker,
        inquiry: Inquiry,
        out: &mut Vec<Effect>,
    ) {
        let answer = if !context.is_owner {
            Err(NodeError::NotOwner(None))
        } else if self.inquiries.len() >= QUEUE_MAX {
            Err(NodeError::Unavailable {
                reason: "too many callers wait for answers of this node's BMC".into(),
                retry_after_s: 1,
            })
        } else {
            match check(&self.record, inquiry) {
                Ok(()) => {
                    self.inquire(Some(asker), inquiry, Urgency::User, out);
                    return;
                }
                Err(refused) => Err(refused.into()),
            }
        };
        out.push(Effect::Answer { asker, answer });
    }

    /// Asks the BMC for the record: how the machine boots, and what the node's interfaces show of its firmware.
    pub(super) fn learn(&mut self, out: &mut Vec<Effect>) {
        if matches!(boot::manager(&self.record, ""), Ok(PowerDriver::Redfish)) {
            self.inquire(None, Inquiry::Boot, Urgency::Recovery, out);
        }
        let interfaces = &self.record.interfaces;
        let shows = &*interfaces.bios == "redfish" || &*interfaces.firmware == "redfish";
        if shows && PowerDriver::of(&self.record) == PowerDriver::Redfish {
            self.inquire(None, Inquiry::Findings, Urgency::Recovery, out);
        }
    }

    fn inquire(
        &mut self,
        asker: Option<Asker>,
        inquiry: Inquiry,
        urgency: Urgency,
        out: &mut Vec<Effect>,
    ) {
        if self.inquiries.len() >= QUEUE_MAX {
            return;
        }
        let ticket = self.ticket();
        self.inquiries.push(Asked {
            ticket,
            asker,
            current: true,
        });
        out.push(Effect::Ask {
            ticket,
            inquiry,
            urgency,
        });
    }

    pub(super) fn on_told(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<Box<Disclosure>, ReadError>,
        out: &mut Vec<Effect>,
    ) {
        if self.probes_with(ticket) {
            self.note_login(&result);
            self.on_probed(context, result, out);
            return;
        }
        let found = self.inquiries.iter().position(|one| one.ticket == ticket);
        let Some(asked) = found.map(|at| self.inquiries.remove(at)) else {
            out.push(Effect::Note(Note::LateAnswer { ticket }));
            return;
        };
        if asked.current && context.is_owner {
            self.note_login(&result);
            if let Ok(told) = &result {
                self.keep(told);
            }
        }
        let Some(asker) = asked.asker else { return };
        let answer = match result {
            Ok(told) => Ok(NodeAnswer::Disclosed(told)),
            Err(ReadError::NoRoom(reason)) => Err(NodeError::Unavailable {
                reason,
                retry_after_s: 1,
            }),
            Err(error) => Err(Refused::new(status_of(&error), error.to_string()).into()),
        };
        out.push(Effect::Answer { asker, answer });
    }

    /// Keeps what belongs into the record until nothing else goes on.
    fn keep(&mut self, told: &Disclosure) {
        match told {
            Disclosure::Boot(state) => self.boots = Some(*state),
            Disclosure::Findings(found) => self.found = Some(Box::new(found.clone())),
            Disclosure::Inventory(_) | Disclosure::Lights(_) | Disclosure::Subscriptions(_) => {}
        }
    }

    /// The BMC is reached in another way now: what it said to the old credentials says nothing about the new.
    pub(super) fn outdate_inquiries(&mut self) {
        for asked in &mut self.inquiries {
            asked.current = false;
        }
    }

    /// Records what was found, once nothing else goes on.
    pub(super) fn record_findings(&mut self, out: &mut Vec<Effect>) -> bool {
        let changes = self.findings_changes();
        if changes.is_empty() {
            return false;
        }
        self.propose(None, changes, super::Then::Rest, out);
        true
    }

    /// What was found, as far as the node's interfaces show it. It is taken.
    pub(super) fn findings_changes(&mut self) -> Vec<NodeChange> {
        let Some(found) = self.found.take() else {
            return Vec::new();
        };
        let interfaces = &self.record.interfaces;
        let Findings { bios, firmware, .. } = *found;
        [
            (Kind::Bios, &interfaces.bios, bios),
            (Kind::Firmware, &interfaces.firmware, firmware),
        ]
        .into_iter()
        .filter(|(_, interface, _)| &***interface == "redfish")
        .filter_map(|(kind, _, body)| Some(NodeChange::Findings { kind, body: body? }))
        .collect()
    }
}
