//! Writing: a power command leaves only in a session that the log names for it.

use super::ask::status_of;
use super::goal::Goal;
use super::work::Doing;
use super::{Context, Effect, NodeCore, Note, Phase, RETRY_AFTER, ReadError, Then, Urgency};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::Ticket;
use crate::json::Json;
use crate::node::bios;
use crate::node::intent::{BmcSession, BmcWrite, IntentKind};
use crate::node::steps::Progress;
use crate::port::bmc::{BmcError, PowerAction, PowerReading};
use std::time::Duration;

/// How long after a read its session is taken to be open still. BMCs end idle sessions after a minute at the earliest.
const SESSION_FRESH: Duration = Duration::from_secs(10);

/// How long after a read its answer may stand for the read that work begins with.
const READING_FRESH: Duration = Duration::from_secs(1);

/// How often one piece of work may look for another session when the one it wanted to use has ended. Once is common
/// (a BMC that restarted), three times in a row means that something ends sessions as fast as we open them.
const SESSIONS_MAX: u8 = 3;

/// What the last answered read told.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Mono,
    /// `None` once a command was sent since.
    pub(super) reading: Option<PowerReading>,
    pub(super) session: Option<BmcSession>,
}

impl NodeCore {
    /// The last reading, if it is as good as one made now.
    pub(super) fn fresh_reading(&self, now: Mono) -> Option<PowerReading> {
        let seen = self.seen.as_ref()?;
        seen.reading.filter(|_| now.since(seen.at) < READING_FRESH)
    }

    /// The session of the last read, if it is likely to be open.
    pub(super) fn fresh_session(&self, now: Mono) -> Option<BmcSession> {
        let seen = self.seen.as_ref()?;
        seen.session
            .clone()
            .filter(|_| now.since(seen.at) < SESSION_FRESH)
    }

    /// Lets a command leave: once the lease holds, a session is open, and the log names both.
    pub(super) fn send_action(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let session = self.fresh_session(context.now);
        let cargo = self.cargo();
        let ticket = self.next_ticket;
        let epoch = self.record.epoch;
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        let Doing::ActAt { at, action } = &mut work.doing else {
            return;
        };
        if context.now >= context.lease_until {
            *at = context.now + RETRY_AFTER;
            out.push(Effect::Note(Note::LeaseLost));
            return;
        }
        let action = *action;
        let Some(session) = session else {
            self.find_session(action, out);
            return;
        };
        let write = BmcWrite {
            session: session.clone(),
            action,
            accepted: false,
        };
        // A BMC may give a new session the id of the one that was just ended; the log must say that it is ours.
        let announced = self.record.unfenced.is_none()
            && self
                .record
                .intent
                .as_ref()
                .is_some_and(|intent| intent.write.as_ref() == Some(&write));
        if !announced {
            self.announce(write, out);
            return;
        }
        work.doing = Doing::Acting { ticket, action };
        self.next_ticket = ticket.next();
        if let Some(seen) = &mut self.seen {
            seen.reading = None;
        }
        // A read that was asked before tells of the machine as it was.
        self.asked = None;
        out.push(Effect::Act {
            ticket,
            action,
            cargo,
            session,
            epoch,
        });
    }

    /// What the next command carries, from the record: only chores carry anything.
    fn cargo(&self) -> Json {
        let Phase::Working(work) = &self.phase else {
            return Json::EMPTY;
        };
        let Doing::ActAt {
            action: PowerAction::Chore(_),
            ..
        } = work.doing
        else {
            return Json::EMPTY;
        };
        match (
            self.record.intent.as_ref().map(|intent| &intent.kind),
            work.goal,
        ) {
            (Some(IntentKind::Chore { cargo, .. }), _) => cargo.clone(),
            (_, Goal::Steps(flow)) => {
                let progress = Progress::of(&self.record, flow);
                let wanted = progress.running().and_then(|step| bios::wanted(step).ok());
                wanted.map_or(Json::EMPTY, |wanted| Json::from_map(&wanted))
            }
            (_, _) => Json::EMPTY,
        }
    }

    /// Any read opens a session and tells which.
    fn find_session(&mut self, action: PowerAction, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        work.sessions = work.sessions.saturating_add(1);
        if work.sessions > SESSIONS_MAX {
            self.fail(
                "no session with the BMC stayed open for as long as a command takes",
                out,
            );
            return;
        }
        work.doing = Doing::Warming { ticket, action };
        let urgency = Urgency::User;
        out.push(Effect::Read { ticket, urgency });
    }

    fn announce(&mut self, write: BmcWrite, out: &mut Vec<Effect>) {
        let Some(intent) = self.record.intent.as_ref().map(|intent| intent.id) else {
            return;
        };
        let mut changes: Vec<NodeChange> = self.fenced_now().into_iter().collect();
        changes.push(NodeChange::AnnounceWrite { intent, write });
        if let Phase::Working(work) = std::mem::take(&mut self.phase) {
            self.propose(None, changes, Then::Work(work), out);
        }
    }

    pub(super) fn on_acted(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<(), ReadError>,
        out: &mut Vec<Effect>,
    ) {
        let Phase::Working(work) = &mut self.phase else {
            out.push(Effect::Note(Note::LateAnswer { ticket }));
            return;
        };
        let action = match work.doing {
            Doing::Acting {
                ticket: expected,
                action,
            } if expected == ticket => action,
            _ => {
                out.push(Effect::Note(Note::LateAnswer { ticket }));
                return;
            }
        };
        match result {
            Ok(()) if action.is_repeatable() || work.steps.is_empty() => self.advance(context, out),
            Ok(()) => self.note_acceptance(out),
            Err(ReadError::NoRoom(_)) => {
                work.doing = Doing::ActAt {
                    at: context.now + RETRY_AFTER,
                    action,
                };
            }
            // It had no effect; another session will carry it.
            Err(ReadError::Bmc(BmcError::SessionOver { .. })) => {
                self.seen = None;
                work.doing = Doing::ActAt {
                    at: context.now,
                    action,
                };
                self.send_action(context, out);
            }
            // A BMC that restarted has forgotten the session and says nothing. What may be said twice is said again.
            Err(ReadError::Bmc(BmcError::Silent { .. }))
                if action.is_repeatable() && !work.repeated =>
            {
                work.repeated = true;
                self.seen = None;
                work.doing = Doing::ActAt {
                    at: context.now + RETRY_AFTER,
                    action,
                };
            }
            Err(error)
                if matches!(action, PowerAction::BootFrom(_))
                    && matches!(error.bmc(), Some(BmcError::Busy { .. }))
                    && let Some(pause) =
                        context.knobs.boot_tries.pause_after(work.boot_tries + 1) =>
            {
                work.boot_tries += 1;
                work.doing = Doing::ActAt {
                    at: context.now + pause,
                    action,
                };
            }
            Err(error) => {
                work.status = match (&error, action) {
                    // The caller chose what a chore carries, and the BMC understood it.
                    (ReadError::Bmc(BmcError::Declined { .. }), PowerAction::Chore(_)) => 400,
                    (error, _) => status_of(error),
                };
                if !self.goes_on_without(context, action, &error, out) {
                    self.fail(&error.to_string(), out);
                }
            }
        }
    }

    /// The BMC took a command that must not be repeated: whoever resumes the work has to know.
    fn note_acceptance(&mut self, out: &mut Vec<Effect>) {
        let Some(intent) = self.record.intent.as_ref().map(|intent| intent.id) else {
            return;
        };
        if let Phase::Working(mut work) = std::mem::take(&mut self.phase) {
            work.doing = Doing::Accepted;
            let changes = vec![NodeChange::WriteAccepted(intent)];
            self.propose(None, changes, Then::Work(work), out);
        }
    }

    /// Goes on with work whose announcement or note is in the log.
    pub(super) fn go_on(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Phase::Working(work) = &self.phase else {
            return;
        };
        match work.doing {
            Doing::ActAt { .. } => self.send_action(context, out),
            Doing::Accepted => self.advance(context, out),
            Doing::Step(_) => self.step_noted(context, out),
            Doing::Fencing(_)
            | Doing::Reading(_)
            | Doing::ReadAt(_)
            | Doing::Warming { .. }
            | Doing::Acting { .. }
            | Doing::Polling { .. }
            | Doing::Probing { .. }
            | Doing::Relatives(_)
            | Doing::Settling(_)
            | Doing::Closing { .. } => {}
        }
    }
}
