//! Reading the machine for the sake of work: before it begins, between its steps, and what each answer leads to.

use super::goal::Goal;
use super::plan::Step;
use super::work::{Doing, Poll, poll_again};
use super::{Context, Effect, NodeCore, Phase, RETRY_AFTER, ReadError, Urgency};
use crate::env::Mono;
use crate::node::power::PowerState;
use crate::port::bmc::{BmcError, ErrorClass, PowerAction, PowerReading};
use std::time::Duration;

impl NodeCore {
    /// The read that a power request begins with. One that was made just before the intent was opened serves as well, and
    /// so does one that is under way.
    pub(super) fn first_read(&mut self, context: Context<'_>, goal: Goal, out: &mut Vec<Effect>) {
        if let Some(reading) = self.fresh_reading(context.now) {
            let seen = PowerState::from_reading(reading);
            self.on_first_read(context, goal, seen, out);
        } else if let (Some(ticket), Phase::Working(work)) = (self.asked.take(), &mut self.phase) {
            work.doing = Doing::Reading(ticket);
        } else {
            self.ask(context.now, Urgency::User, out);
        }
    }

    pub(super) fn ask(&mut self, now: Mono, urgency: Urgency, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        out.push(Effect::Read { ticket, urgency });
        if let Phase::Working(work) = &mut self.phase {
            match &mut work.doing {
                Doing::Polling { next, .. } => *next = Poll::Asked(ticket, now),
                doing => *doing = Doing::Reading(ticket),
            }
        }
    }

    pub(super) fn on_work_read(
        &mut self,
        context: Context<'_>,
        result: Result<PowerReading, ReadError>,
        out: &mut Vec<Effect>,
    ) {
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        if let Doing::Polling {
            state, since, next, ..
        } = &mut work.doing
        {
            let waited = context.now.since(*since);
            let took = match next {
                Poll::Asked(_, at) => context.now.since(*at),
                Poll::At(_) => Duration::ZERO,
            };
            let again = context.now + poll_again(waited, took);
            match result {
                Ok(reading) if PowerState::from_reading(reading) == Some(*state) => {
                    self.confirmed = Some((context.now, context.wall));
                    self.advance(context, out);
                }
                // A BMC may stumble while its machine changes state; only what cannot heal ends the wait.
                Err(error)
                    if error.bmc().map(BmcError::class) == Some(ErrorClass::NeedsOperator) =>
                {
                    self.fail(&error.to_string(), out);
                }
                Ok(_) | Err(_) => *next = Poll::At(again),
            }
            return;
        }
        let goal = work.goal;
        if let Doing::Warming { action, .. } = work.doing {
            match result {
                Ok(_) => {
                    let at = context.now;
                    work.doing = Doing::ActAt { at, action };
                    self.send_action(context, out);
                }
                Err(ReadError::NoRoom(_)) => {
                    let at = context.now + RETRY_AFTER;
                    work.sessions = work.sessions.saturating_sub(1);
                    work.doing = Doing::ActAt { at, action };
                }
                Err(error) => self.fail_read(goal, &error.to_string(), out),
            }
            return;
        }
        match result {
            Err(ReadError::NoRoom(_)) => work.doing = Doing::ReadAt(context.now + RETRY_AFTER),
            Err(error) => self.fail_read(goal, &error.to_string(), out),
            Ok(PowerReading::PoweringOn | PowerReading::PoweringOff) if goal == Goal::Verify => {
                work.doing = Doing::ReadAt(context.now + RETRY_AFTER);
            }
            Ok(reading) => {
                self.on_first_read(context, goal, PowerState::from_reading(reading), out)
            }
        }
    }

    fn on_first_read(
        &mut self,
        context: Context<'_>,
        goal: Goal,
        seen: Option<PowerState>,
        out: &mut Vec<Effect>,
    ) {
        if seen.is_some() {
            self.confirmed = Some((context.now, context.wall));
        }
        match goal {
            Goal::Power { request, .. }
                if !request.is_reboot() && seen == Some(request.target()) =>
            {
                self.succeed(context, seen, out);
            }
            Goal::Power { .. } => self.make_plan(context, seen, out),
            Goal::InterruptedReboot { .. } if seen == Some(PowerState::Off) => {
                let limit = context.knobs.change_timeout;
                self.push_steps([
                    Step::Act(PowerAction::On),
                    Step::Await {
                        state: PowerState::On,
                        limit,
                    },
                ]);
                self.advance(context, out);
            }
            Goal::InterruptedReboot { certain } if certain && seen == Some(PowerState::On) => {
                self.succeed(context, seen, out);
            }
            Goal::InterruptedReboot { .. } => {
                let write = self
                    .record
                    .intent
                    .as_ref()
                    .and_then(|intent| intent.write.as_ref());
                let told = write.map_or_else(String::new, |write| {
                    format!(
                        " after it had announced `{}` in {}",
                        write.action, write.session
                    )
                });
                let text = format!(
                    "the conductor that ran it was lost{told}; the machine is {}, but whether it was restarted is not \
                     known. Repeat the request if it is still wanted",
                    seen.map_or_else(
                        || "in an unknown power state".to_owned(),
                        |seen| seen.to_string()
                    )
                );
                self.fail(&text, out);
            }
            Goal::TearDown if seen != Some(PowerState::Off) => {
                let limit = context.knobs.change_timeout;
                self.push_steps([
                    Step::Act(PowerAction::Off),
                    Step::Await {
                        state: PowerState::Off,
                        limit,
                    },
                ]);
                self.advance(context, out);
            }
            Goal::TearDown
            | Goal::Verify
            | Goal::Nmi
            | Goal::Command(_)
            | Goal::Adopt
            | Goal::Inspect
            | Goal::Clean
            | Goal::Steps(_)
            | Goal::Rescue
            | Goal::Unrescue
            | Goal::TakeOver => self.succeed(context, seen, out),
        }
    }
}
