//! Fencing: before anything is written, the BMC session that a former holder's write may still use is ended.
//!
//! A conductor that was paused between its decision and the packet wakes up with a command in a session that no longer
//! exists, and the BMC itself drops it. Where a BMC cannot or will not end the session, the new holder waits until
//! the command's own time limit has passed.

use super::goal::Goal;
use super::plan::PowerDriver;
use super::work::Doing;
use super::{Context, Effect, NodeCore, Note, Phase, ReadError};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::Ticket;
use crate::node::intent::BmcSession;
use crate::port::bmc::{BmcError, ErrorClass};
use std::time::Duration;

/// How long a power command may take from its submission to the BMC's word. Nothing of it leaves later, so this is also
/// how long a session that cannot be ended is waited out.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// On top of [`COMMAND_LIMIT`], for what was on its way when the limit came, and for clocks that run apart.
const WAIT_OUT_MARGIN: Duration = Duration::from_secs(5);

/// When a BMC did not answer the end of a session, how soon it is asked again.
const FENCE_AGAIN: Duration = Duration::from_secs(2);

/// Where fencing stands.
#[derive(Clone, Debug)]
pub(super) enum Fencing {
    /// The BMC was asked to end the session.
    Asked { ticket: Ticket, until: Mono },
    /// It could not be asked, or did not do it; again at this time.
    Again { at: Mono, until: Mono },
    /// It will not do it. Only time helps.
    Waiting { until: Mono },
}

impl NodeCore {
    pub(super) fn has_bmc(&self) -> bool {
        matches!(
            PowerDriver::of(&self.record),
            PowerDriver::Ipmi | PowerDriver::Redfish
        )
    }

    /// Whether a session has to be ended before anything is written.
    pub(super) fn must_fence(&self) -> bool {
        self.record.unfenced.is_some() && self.record.unfenced != self.fenced && self.has_bmc()
    }

    /// Notes in the log that the session was fenced off, where that is still to be noted.
    pub(super) fn fenced_now(&self) -> Option<NodeChange> {
        let open = self.record.unfenced.is_some() && !self.must_fence();
        open.then_some(NodeChange::Fenced)
    }

    /// Begins to fence; the work goes on when that is done.
    pub(super) fn begin_to_fence(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let until = context.now + COMMAND_LIMIT + WAIT_OUT_MARGIN;
        if let Phase::Working(work) = &mut self.phase {
            // The time limit of the work does not count the wait.
            work.deadline = work.deadline + until.since(context.now);
            work.doing = Doing::Fencing(Fencing::Again {
                at: context.now,
                until,
            });
        }
        self.fence(context, out);
    }

    /// What time brings to fencing.
    pub(super) fn fence(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Some(session) = self.record.unfenced.clone() else {
            self.after_fencing(context, out);
            return;
        };
        let ticket = self.next_ticket;
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        let Doing::Fencing(fencing) = &mut work.doing else {
            return;
        };
        match *fencing {
            Fencing::Asked { until, .. }
            | Fencing::Again { until, .. }
            | Fencing::Waiting { until }
                if until <= context.now =>
            {
                out.push(Effect::Note(Note::WaitedOut { session }));
                self.after_fencing(context, out);
            }
            Fencing::Again { until, .. } if session == BmcSession::Unbound => {
                *fencing = Fencing::Waiting { until };
            }
            Fencing::Again { at, until } if at <= context.now => {
                if context.now >= context.lease_until {
                    *fencing = Fencing::Again {
                        at: context.now + FENCE_AGAIN,
                        until,
                    };
                    out.push(Effect::Note(Note::LeaseLost));
                    return;
                }
                *fencing = Fencing::Asked { ticket, until };
                self.next_ticket = ticket.next();
                let epoch = self.record.epoch;
                out.push(Effect::EndSession {
                    ticket,
                    session,
                    epoch,
                });
            }
            Fencing::Asked { .. } | Fencing::Again { .. } | Fencing::Waiting { .. } => {}
        }
    }

    pub(super) fn on_session_ended(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<(), ReadError>,
        out: &mut Vec<Effect>,
    ) {
        let until = match &self.phase {
            Phase::Working(work) => match work.doing {
                Doing::Fencing(Fencing::Asked {
                    ticket: expected,
                    until,
                }) if expected == ticket => until,
                _ => {
                    out.push(Effect::Note(Note::LateAnswer { ticket }));
                    return;
                }
            },
            Phase::Idle
            | Phase::Reading { .. }
            | Phase::Looking { .. }
            | Phase::Confirming { .. }
            | Phase::Proposing { .. } => {
                out.push(Effect::Note(Note::LateAnswer { ticket }));
                return;
            }
        };
        let Some(session) = self.record.unfenced.clone() else {
            self.after_fencing(context, out);
            return;
        };
        let again = Fencing::Again {
            at: context.now + FENCE_AGAIN,
            until,
        };
        let next = match result {
            Ok(()) => {
                out.push(Effect::Note(Note::Fenced { session }));
                self.after_fencing(context, out);
                return;
            }
            Err(error) => {
                let Some(class) = error.bmc().map(BmcError::class) else {
                    self.fence_later(again);
                    return;
                };
                let error = error.to_string().into();
                out.push(Effect::Note(Note::NotFenced { session, error }));
                match class {
                    ErrorClass::Transient => again,
                    ErrorClass::NeedsOperator | ErrorClass::Declined => Fencing::Waiting { until },
                }
            }
        };
        self.fence_later(next);
    }

    fn fence_later(&mut self, next: Fencing) {
        if let Phase::Working(work) = &mut self.phase {
            work.doing = Doing::Fencing(next);
        }
    }

    /// The former holder can do nothing more: go on with what was to be done.
    fn after_fencing(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        self.fenced.clone_from(&self.record.unfenced);
        let Phase::Working(work) = &self.phase else {
            return;
        };
        match work.goal {
            Goal::TakeOver => self.resume_work(context, out),
            goal => {
                let cause = work.cause;
                self.begin(context, goal, cause, out);
            }
        }
    }
}
