//! Work: what is done for an open intent, step by step, until the entry that closes it.

use super::fence::Fencing;
use super::goal::{Goal, goal_in};
use super::plan::{self, PowerDriver, Step};
use super::probe::{PROBE_LIMIT, Probe};
use super::{Asker, Context, Effect, NodeCore, Phase, Then, Urgency};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::{IntentId, Ticket};
use crate::node::boot::{self, BootOrder};
use crate::node::intent::IntentKind;
use crate::node::power::{PowerCause, PowerRequest, PowerState};
use crate::port::bmc::PowerAction;
use std::collections::VecDeque;
use std::time::Duration;

/// While waiting for a power state, the first poll comes this soon.
pub(super) const POLL_FIRST: Duration = Duration::from_millis(20);

/// The longest time between two polls.
const POLL_MAX: Duration = Duration::from_secs(2);

/// How long to wait until the next poll, when one that took `took` (the wait for its turn included) came back `waited`
/// after the command. An eightieth of the wait: an edge is seen at most 40 ms late if the machine took three seconds, and a
/// minute costs at most 370 polls. Twice the answer's own time: a slow BMC spends no more than a third of its time on polls, and
/// ten thousand machines that are switched at once are polled as often as there is room for.
pub(super) fn poll_again(waited: Duration, took: Duration) -> Duration {
    (waited / 80).max(took * 2).clamp(POLL_FIRST, POLL_MAX)
}

/// Where the work stands.
#[derive(Clone, Debug)]
pub(super) enum Doing {
    /// Ending the session that a former holder's write may still use.
    Fencing(Fencing),
    /// Reading before anything is changed.
    Reading(Ticket),
    /// The same, but the pool had no room; again at this time.
    ReadAt(Mono),
    /// Reading in order to have a session for a command.
    Warming { ticket: Ticket, action: PowerAction },
    /// A command is on its way.
    Acting { ticket: Ticket, action: PowerAction },
    /// The same, but it could not leave yet; again at this time.
    ActAt { at: Mono, action: PowerAction },
    /// The BMC took a command that must not be repeated, and that is being noted.
    Accepted,
    /// Polling for a state.
    Polling {
        state: PowerState,
        since: Mono,
        until: Mono,
        next: Poll,
    },
    /// Asking something besides the power state, until the answer is the right one.
    Probing {
        probe: Probe,
        since: Mono,
        until: Mono,
        next: Poll,
        /// What was wrong with the last answer.
        last: Box<str>,
    },
    /// A step of a flow is being written down; again at this time.
    Step(Mono),
    /// Waiting for the machines that share its power.
    Relatives(Ticket),
    /// Letting time pass.
    Settling(Mono),
    /// The outcome could not be stored; again at this time.
    Closing { at: Mono, changes: Vec<NodeChange> },
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Poll {
    At(Mono),
    Asked(Ticket, Mono),
}

/// Work for one intent.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) intent: IntentId,
    pub(super) goal: Goal,
    pub(super) cause: PowerCause,
    pub(super) steps: VecDeque<Step>,
    pub(super) deadline: Mono,
    pub(super) doing: Doing,
    /// How often it had to look for a session.
    pub(super) sessions: u8,
    /// How often the boot device was told.
    pub(super) boot_tries: u32,
    /// A command that the BMC did not answer has been repeated.
    pub(super) repeated: bool,
    /// Who waits for the end of it.
    pub(super) asker: Option<Asker>,
    /// The status of the answer if it fails.
    pub(super) status: u16,
    /// The BMC keeps the boot device for one boot only, so it is repeated before each.
    pub(super) by_us: bool,
}

impl Work {
    pub(super) const fn new(
        intent: IntentId,
        goal: Goal,
        cause: PowerCause,
        deadline: Mono,
    ) -> Self {
        Self {
            intent,
            goal,
            cause,
            steps: VecDeque::new(),
            deadline,
            doing: Doing::ReadAt(Mono(0)),
            sessions: 0,
            boot_tries: 0,
            repeated: false,
            asker: None,
            status: 500,
            by_us: false,
        }
    }

    /// What had to be stored could not be; it is tried again at this time.
    pub(super) fn try_again_at(&mut self, later: Mono) {
        match &mut self.doing {
            Doing::ActAt { at, .. } | Doing::Step(at) => *at = later,
            // A note that is lost costs a later takeover some certainty, and nothing else.
            Doing::Accepted => self.doing = Doing::Settling(later),
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

    /// Work that is done but for the entry that says so.
    pub(super) fn unclosed(intent: Option<IntentId>, changes: Vec<NodeChange>, at: Mono) -> Self {
        let (goal, cause) = (Goal::Verify, PowerCause::Step);
        let work = Self::new(intent.unwrap_or_default(), goal, cause, Mono(u64::MAX));
        Self {
            doing: Doing::Closing { at, changes },
            ..work
        }
    }

    pub(super) fn waits_for(&self, ticket: Ticket) -> bool {
        match &self.doing {
            Doing::Reading(expected)
            | Doing::Warming {
                ticket: expected, ..
            }
            | Doing::Acting {
                ticket: expected, ..
            }
            | Doing::Polling {
                next: Poll::Asked(expected, _),
                ..
            } => *expected == ticket,
            Doing::Fencing(_)
            | Doing::ReadAt(_)
            | Doing::ActAt { .. }
            | Doing::Accepted
            | Doing::Step(_)
            | Doing::Polling { .. }
            | Doing::Probing { .. }
            | Doing::Relatives(_)
            | Doing::Settling(_)
            | Doing::Closing { .. } => false,
        }
    }

    pub(super) const fn waiting_for(&self) -> &'static str {
        match &self.doing {
            Doing::Fencing(Fencing::Asked { .. } | Fencing::Again { .. }) => {
                "the BMC to end the session of the conductor that had the node before"
            }
            Doing::Fencing(Fencing::Waiting { .. }) => {
                "a command of the conductor that had the node before to be too old to have an effect"
            }
            Doing::Reading(_) | Doing::ReadAt(_) | Doing::Warming { .. } => {
                "the BMC's answer to a power read"
            }
            Doing::Acting { .. } | Doing::ActAt { .. } | Doing::Accepted => {
                "the BMC to accept a power command"
            }
            Doing::Polling {
                state: PowerState::On,
                ..
            } => "the machine to be on",
            Doing::Polling { .. } => "the machine to be off",
            Doing::Probing {
                probe: Probe::Inventory,
                ..
            } => "the BMC to tell what the machine is made of",
            Doing::Probing { .. } => "the BMC to tell BIOS settings as they should be",
            Doing::Relatives(_) => "the machines that share its power to be switched",
            Doing::Settling(_) => "the machine to settle",
            Doing::Step(_) => "a majority of the conductors to store the next step",
            Doing::Closing { .. } => "a majority of the conductors to store the outcome",
        }
    }

    pub(super) fn wake_at(&self, now: Mono) -> Mono {
        let at = match &self.doing {
            Doing::Fencing(Fencing::Asked { until: at, .. } | Fencing::Waiting { until: at }) => {
                *at
            }
            Doing::Fencing(Fencing::Again { at, until }) => (*at).min(*until),
            Doing::Reading(_)
            | Doing::Warming { .. }
            | Doing::Acting { .. }
            | Doing::Accepted
            | Doing::Relatives(_) => self.deadline,
            Doing::ReadAt(at)
            | Doing::ActAt { at, .. }
            | Doing::Step(at)
            | Doing::Settling(at)
            | Doing::Closing { at, .. } => *at,
            Doing::Polling {
                until,
                next: Poll::Asked(..),
                ..
            }
            | Doing::Probing {
                until,
                next: Poll::Asked(..),
                ..
            } => *until,
            Doing::Polling {
                until,
                next: Poll::At(at),
                ..
            }
            | Doing::Probing {
                until,
                next: Poll::At(at),
                ..
            } => (*at).min(*until),
        };
        at.min(self.deadline).max(now)
    }
}

impl NodeCore {
    /// Begins the work of the record's open intent, which this conductor holds.
    pub(super) fn start_work(
        &mut self,
        context: Context<'_>,
        cause: PowerCause,
        out: &mut Vec<Effect>,
    ) {
        let Some(intent) = &self.record.intent else {
            self.hold(context);
            return;
        };
        let goal = match &intent.kind {
            IntentKind::Power { request, timeout_s } => Goal::Power {
                request: *request,
                timeout: timeout_s.map(|s| Duration::from_secs(u64::from(s))),
            },
            IntentKind::InjectNmi => Goal::Nmi,
            IntentKind::BootDevice { device, persistent } => {
                Goal::Command(PowerAction::BootFrom(BootOrder {
                    device: *device,
                    persistent: *persistent,
                    mode: boot::wanted_mode(&self.record),
                }))
            }
            IntentKind::BootMode(mode) => Goal::Command(PowerAction::BootMode(*mode)),
            IntentKind::SecureBoot(on) => Goal::Command(PowerAction::SecureBoot(*on)),
            IntentKind::Chore { chore, .. } => Goal::Command(PowerAction::Chore(*chore)),
            IntentKind::Provision { verb } => match goal_in(&self.record, *verb) {
                Some(goal) => goal,
                None => {
                    self.close(Vec::new(), out);
                    return;
                }
            },
        };
        self.begin(context, goal, cause, out);
    }

    pub(super) fn begin(
        &mut self,
        context: Context<'_>,
        goal: Goal,
        cause: PowerCause,
        out: &mut Vec<Effect>,
    ) {
        let Some(intent) = &self.record.intent else {
            return;
        };
        let deadline = context.now + Duration::from_secs(u64::from(intent.limit_s));
        let asker = self.at_end.take();
        self.phase = Phase::Working(Box::new(Work {
            asker,
            ..Work::new(intent.id, goal, cause, deadline)
        }));
        if self.must_fence() {
            self.begin_to_fence(context, out);
            return;
        }
        if let Some(error) = goal.fake_failure(&self.record) {
            self.fail(&error, out);
            return;
        }
        let driver = PowerDriver::of(&self.record);
        let has_bmc = matches!(driver, PowerDriver::Ipmi | PowerDriver::Redfish);
        match goal {
            Goal::Power { request, .. } => {
                let blind = request == PowerRequest::Reboot && self.record.disable_power_off;
                if has_bmc && !blind {
                    self.first_read(context, goal, out);
                } else {
                    self.make_plan(context, None, out);
                }
            }
            Goal::Verify if driver == PowerDriver::None => {
                let error = format!(
                    "the power interface '{}' can not read power",
                    self.record.interfaces.power
                );
                self.fail(&error, out);
            }
            Goal::InterruptedReboot { .. } | Goal::Verify | Goal::TearDown if has_bmc => {
                self.ask(context.now, Urgency::User, out)
            }
            Goal::Nmi => {
                self.push_steps([Step::Act(PowerAction::Nmi)]);
                self.advance(context, out);
            }
            Goal::Command(action) => {
                self.push_steps([Step::Act(action)]);
                self.advance(context, out);
            }
            Goal::Steps(flow) => self.run_steps(context, flow, out),
            Goal::Inspect if &*self.record.interfaces.inspect == "redfish" => {
                self.begin_to_probe(context.now, Probe::Inventory, PROBE_LIMIT, out);
            }
            Goal::InterruptedReboot { .. }
            | Goal::Verify
            | Goal::Adopt
            | Goal::Inspect
            | Goal::Clean
            | Goal::TearDown
            | Goal::Rescue
            | Goal::Unrescue
            | Goal::TakeOver => self.succeed(context, self.record.power_state, out),
        }
    }

    pub(super) fn push_steps(&mut self, steps: impl IntoIterator<Item = Step>) {
        if let Phase::Working(work) = &mut self.phase {
            work.steps = steps.into_iter().collect();
        }
    }

    pub(super) fn make_plan(
        &mut self,
        context: Context<'_>,
        seen: Option<PowerState>,
        out: &mut Vec<Effect>,
    ) {
        let Some(Goal::Power { request, timeout }) = self.goal() else {
            return;
        };
        match plan::plan(&self.record, request, timeout, seen, context.knobs) {
            Ok(mut steps) => {
                if let Some(first) = self.relatives_first(context, request) {
                    steps.push_front(first);
                }
                self.push_steps(steps);
                self.advance(context, out);
            }
            Err(refused) => self.fail(&refused.text, out),
        }
    }

    pub(super) fn goal(&self) -> Option<Goal> {
        match &self.phase {
            Phase::Working(work) => Some(work.goal),
            Phase::Idle
            | Phase::Reading { .. }
            | Phase::Looking { .. }
            | Phase::Confirming { .. }
            | Phase::Proposing { .. } => None,
        }
    }

    /// Takes the next step of the plan.
    pub(super) fn advance(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        let now = context.now;
        match work.steps.pop_front() {
            Some(Step::Act(action)) => {
                work.doing = Doing::ActAt { at: now, action };
                self.send_action(context, out);
            }
            Some(Step::Await { state, limit }) => {
                let next = Poll::At(now + POLL_FIRST);
                work.doing = Doing::Polling {
                    state,
                    since: now,
                    until: now + limit,
                    next,
                };
            }
            Some(Step::Settle(span)) if span.is_zero() => self.advance(context, out),
            Some(Step::Relatives { request, limit }) => self.switch_relatives(request, limit, out),
            Some(Step::Settle(span)) => work.doing = Doing::Settling(now + span),
            Some(Step::Probe { probe, limit }) => self.begin_to_probe(now, probe, limit, out),
            None => {
                if let Goal::Steps(flow) = work.goal {
                    self.step_over(context, flow, out);
                    return;
                }
                let state = match work.goal {
                    Goal::Power { request, .. } => Some(request.target()),
                    Goal::InterruptedReboot { .. } => Some(PowerState::On),
                    Goal::TearDown => Some(PowerState::Off),
                    Goal::Nmi
                    | Goal::Command(_)
                    | Goal::Verify
                    | Goal::Adopt
                    | Goal::Inspect
                    | Goal::Clean
                    | Goal::Steps(_)
                    | Goal::Rescue
                    | Goal::Unrescue
                    | Goal::TakeOver => self.record.power_state,
                };
                self.succeed(context, state, out);
            }
        }
    }

    /// What time brings: polls, settling, retries, the deadline.
    pub(super) fn drive_work(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let now = context.now;
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        if let Doing::Closing { at, changes } = &work.doing {
            if *at <= now {
                let changes = changes.clone();
                self.propose(None, changes.clone(), Then::Close { changes }, out);
            }
            return;
        }
        if now >= work.deadline {
            let text = "the operation took longer than its limit";
            self.fail(text, out);
            return;
        }
        match &work.doing {
            Doing::Polling { state, until, .. } if now >= *until => {
                let text = format!("Failed to set node power state to {state}.");
                self.fail(&text, out);
            }
            Doing::Polling {
                next: Poll::At(at), ..
            } if *at <= now => self.ask(now, Urgency::User, out),
            Doing::ReadAt(at) if *at <= now => self.ask(now, Urgency::User, out),
            Doing::Probing { until, .. } if now >= *until => self.end_of_probe(out),
            Doing::Probing {
                next: Poll::At(at), ..
            } if *at <= now => self.probe(now, out),
            Doing::ActAt { at, .. } if *at <= now => self.send_action(context, out),
            Doing::Fencing(_) => self.fence(context, out),
            Doing::Settling(at) if *at <= now => self.advance(context, out),
            Doing::Step(at) if *at <= now => self.note_again(context, out),
            Doing::Polling { .. }
            | Doing::Probing { .. }
            | Doing::ReadAt(_)
            | Doing::ActAt { .. }
            | Doing::Step(_)
            | Doing::Settling(_)
            | Doing::Reading(_)
            | Doing::Warming { .. }
            | Doing::Acting { .. }
            | Doing::Accepted
            | Doing::Relatives(_)
            | Doing::Closing { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_are_close_for_a_quick_bmc_and_leave_a_slow_one_in_peace() {
        let ms = Duration::from_millis;
        assert_eq!(poll_again(ms(20), ms(3)), ms(20));
        assert_eq!(poll_again(ms(3200), ms(3)), ms(40));
        assert_eq!(poll_again(ms(3000), ms(400)), ms(800));
        assert_eq!(poll_again(ms(60_000), ms(3)), ms(750));
        assert_eq!(poll_again(ms(600_000), ms(9000)), ms(2000));
    }
}
