//! Work: what is done for an open intent, step by step, until the entry that closes it.

use super::plan::{self, PowerDriver, Step};
use super::{Context, Effect, NodeCore, Note, Phase, RETRY_AFTER, ReadError, Then, Urgency};
use crate::apply::illegal;
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::{IntentId, Ticket};
use crate::node::edit::Refused;
use crate::node::intent::IntentKind;
use crate::node::power::{PowerCause, PowerRequest, PowerState};
use crate::node::provision::{ProvisionState, Takeover, Verb};
use crate::node::record::NodeRecord;
use crate::port::bmc::{ErrorClass, PowerAction, PowerReading};
use std::collections::VecDeque;
use std::time::Duration;

/// While waiting for a power state, the first poll comes this soon, and later ones after a tenth of the time already
/// waited: an edge is seen at most a tenth late, and a machine that takes a minute costs about 50 polls.
const POLL_FIRST: Duration = Duration::from_millis(20);

/// The longest time between two polls.
const POLL_MAX: Duration = Duration::from_secs(2);

/// What the work is to achieve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// A power request.
    Power {
        request: PowerRequest,
        timeout: Option<Duration>,
    },
    /// A reboot that a former owner began: read first, then finish it or say that nobody knows.
    InterruptedReboot,
    /// A diagnostic interrupt.
    Nmi,
    /// `enroll` to `manageable`: the BMC answers.
    Verify,
    /// `adopting` to `active`.
    Adopt,
    /// `inspecting` to `manageable`.
    Inspect,
    /// `cleaning` to `available`.
    Clean,
    /// `deleting` to `available`.
    TearDown,
    /// `deploying` to `active`.
    Deploy,
}

impl Goal {
    /// The work behind a verb; `None` when the move is all there is to it.
    pub(super) fn of(node: &NodeRecord, verb: Verb) -> Option<Self> {
        match verb {
            Verb::Manage => {
                (node.provision_state == ProvisionState::Enroll).then_some(Self::Verify)
            }
            Verb::Adopt => Some(Self::Adopt),
            Verb::Inspect => Some(Self::Inspect),
            Verb::Provide => Some(Self::Clean),
            Verb::Delete => Some(Self::TearDown),
            Verb::Deploy | Verb::Rebuild => Some(Self::Deploy),
            Verb::Clean
            | Verb::Abort
            | Verb::Rescue
            | Verb::Unrescue
            | Verb::Service
            | Verb::Unhold
            | Verb::Done
            | Verb::Fail
            | Verb::Wait
            | Verb::Resume
            | Verb::Hold => None,
        }
    }

    /// Whether the node's interfaces can do what the verb needs.
    pub(super) fn check(node: &NodeRecord, verb: Verb) -> Result<(), Refused> {
        let unsupported = |what: &str| {
            let text = format!(
                "Driver {} does not support {what} (disabled or not implemented).",
                node.driver
            );
            Err(Refused::new(400, text))
        };
        match verb {
            Verb::Manage | Verb::Provide | Verb::Adopt | Verb::Delete => Ok(()),
            Verb::Inspect if &*node.interfaces.inspect == "fake" => Ok(()),
            Verb::Deploy | Verb::Rebuild if &*node.interfaces.deploy == "fake" => Ok(()),
            Verb::Inspect => unsupported("inspect"),
            Verb::Deploy | Verb::Rebuild => unsupported("deploy"),
            Verb::Clean => unsupported("clean"),
            Verb::Rescue => unsupported("rescue"),
            Verb::Unrescue => unsupported("unrescue"),
            Verb::Service => unsupported("service"),
            Verb::Abort => unsupported("abort"),
            Verb::Unhold => unsupported("unhold"),
            Verb::Done | Verb::Fail | Verb::Wait | Verb::Resume | Verb::Hold => {
                Err(illegal(node, verb))
            }
        }
    }
}

/// Where the work stands.
#[derive(Clone, Debug)]
enum Doing {
    /// Reading before anything is changed.
    Reading(Ticket),
    /// The same, but the pool had no room; again at this time.
    ReadAt(Mono),
    /// A command is on its way.
    Acting { ticket: Ticket, action: PowerAction },
    /// The same, but it could not leave yet; again at this time.
    ActAt { at: Mono, action: PowerAction },
    /// Polling for a state.
    Polling {
        state: PowerState,
        since: Mono,
        until: Mono,
        next: Poll,
    },
    /// Letting time pass.
    Settling(Mono),
    /// The outcome could not be stored; again at this time.
    Closing { at: Mono, changes: Vec<NodeChange> },
}

#[derive(Clone, Copy, Debug)]
enum Poll {
    At(Mono),
    Asked(Ticket),
}

/// Work for one intent.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub(super) intent: IntentId,
    goal: Goal,
    cause: PowerCause,
    steps: VecDeque<Step>,
    deadline: Mono,
    doing: Doing,
}

impl Work {
    /// Work that is done but for the entry that says so.
    pub(super) fn unclosed(intent: Option<IntentId>, changes: Vec<NodeChange>, at: Mono) -> Self {
        Self {
            intent: intent.unwrap_or_default(),
            goal: Goal::Verify,
            cause: PowerCause::Step,
            steps: VecDeque::new(),
            deadline: Mono(u64::MAX),
            doing: Doing::Closing { at, changes },
        }
    }

    pub(super) fn waits_for(&self, ticket: Ticket) -> bool {
        match &self.doing {
            Doing::Reading(expected)
            | Doing::Acting {
                ticket: expected, ..
            }
            | Doing::Polling {
                next: Poll::Asked(expected),
                ..
            } => *expected == ticket,
            Doing::ReadAt(_)
            | Doing::ActAt { .. }
            | Doing::Polling { .. }
            | Doing::Settling(_)
            | Doing::Closing { .. } => false,
        }
    }

    pub(super) const fn waiting_for(&self) -> &'static str {
        match &self.doing {
            Doing::Reading(_) | Doing::ReadAt(_) => "the BMC's answer to a power read",
            Doing::Acting { .. } | Doing::ActAt { .. } => "the BMC to accept a power command",
            Doing::Polling {
                state: PowerState::On,
                ..
            } => "the machine to be on",
            Doing::Polling { .. } => "the machine to be off",
            Doing::Settling(_) => "the machine to settle",
            Doing::Closing { .. } => "a majority of the conductors to store the outcome",
        }
    }

    pub(super) fn wake_at(&self, now: Mono) -> Mono {
        let at = match &self.doing {
            Doing::Reading(_) | Doing::Acting { .. } => self.deadline,
            Doing::ReadAt(at)
            | Doing::ActAt { at, .. }
            | Doing::Settling(at)
            | Doing::Closing { at, .. } => *at,
            Doing::Polling {
                until,
                next: Poll::Asked(_),
                ..
            } => *until,
            Doing::Polling {
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
            IntentKind::Provision { verb } => match goal_in(self.record.provision_state, *verb) {
                Some(goal) => goal,
                None => {
                    self.close(Vec::new(), out);
                    return;
                }
            },
        };
        self.begin(context, goal, cause, out);
    }

    fn begin(
        &mut self,
        context: Context<'_>,
        goal: Goal,
        cause: PowerCause,
        out: &mut Vec<Effect>,
    ) {
        let Some(intent) = &self.record.intent else {
            return;
        };
        let work = Work {
            intent: intent.id,
            goal,
            cause,
            steps: VecDeque::new(),
            deadline: context.now + Duration::from_secs(u64::from(intent.limit_s)),
            doing: Doing::ReadAt(context.now),
        };
        self.phase = Phase::Working(Box::new(work));
        let driver = PowerDriver::of(&self.record);
        let has_bmc = matches!(driver, PowerDriver::Ipmi | PowerDriver::Redfish);
        match goal {
            Goal::Power { request, .. } => {
                let blind = request == PowerRequest::Reboot && self.record.disable_power_off;
                if has_bmc && !blind {
                    self.ask(Urgency::User, out);
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
            Goal::InterruptedReboot | Goal::Verify | Goal::TearDown if has_bmc => {
                self.ask(Urgency::User, out)
            }
            Goal::Nmi => {
                self.push_steps([Step::Act(PowerAction::Nmi)]);
                self.advance(context, out);
            }
            Goal::InterruptedReboot
            | Goal::Verify
            | Goal::Adopt
            | Goal::Inspect
            | Goal::Clean
            | Goal::TearDown
            | Goal::Deploy => self.succeed(context, self.record.power_state, out),
        }
    }

    fn ask(&mut self, urgency: Urgency, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
        out.push(Effect::Read { ticket, urgency });
        if let Phase::Working(work) = &mut self.phase {
            match &mut work.doing {
                Doing::Polling { next, .. } => *next = Poll::Asked(ticket),
                doing => *doing = Doing::Reading(ticket),
            }
        }
    }

    fn push_steps(&mut self, steps: impl IntoIterator<Item = Step>) {
        if let Phase::Working(work) = &mut self.phase {
            work.steps = steps.into_iter().collect();
        }
    }

    fn make_plan(&mut self, context: Context<'_>, seen: Option<PowerState>, out: &mut Vec<Effect>) {
        let Some(Goal::Power { request, timeout }) = self.goal() else {
            return;
        };
        match plan::plan(&self.record, request, timeout, seen, context.knobs) {
            Ok(steps) => {
                self.push_steps(steps);
                self.advance(context, out);
            }
            Err(refused) => self.fail(&refused.text, out),
        }
    }

    fn goal(&self) -> Option<Goal> {
        match &self.phase {
            Phase::Working(work) => Some(work.goal),
            Phase::Idle
            | Phase::Reading { .. }
            | Phase::Confirming { .. }
            | Phase::Proposing { .. } => None,
        }
    }

    /// Takes the next step of the plan.
    fn advance(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
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
            Some(Step::Settle(span)) => work.doing = Doing::Settling(now + span),
            None => {
                let state = match work.goal {
                    Goal::Power { request, .. } => Some(request.target()),
                    Goal::InterruptedReboot => Some(PowerState::On),
                    Goal::TearDown => Some(PowerState::Off),
                    Goal::Nmi
                    | Goal::Verify
                    | Goal::Adopt
                    | Goal::Inspect
                    | Goal::Clean
                    | Goal::Deploy => self.record.power_state,
                };
                self.succeed(context, state, out);
            }
        }
    }

    /// Lets a command leave, if the lease still holds.
    fn send_action(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let ticket = self.ticket();
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
        out.push(Effect::Act {
            ticket,
            action,
            epoch,
        });
        work.doing = Doing::Acting { ticket, action };
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
            } if *at <= now => self.ask(Urgency::User, out),
            Doing::ReadAt(at) if *at <= now => self.ask(Urgency::User, out),
            Doing::ActAt { at, .. } if *at <= now => self.send_action(context, out),
            Doing::Settling(at) if *at <= now => self.advance(context, out),
            Doing::Polling { .. }
            | Doing::ReadAt(_)
            | Doing::ActAt { .. }
            | Doing::Settling(_)
            | Doing::Reading(_)
            | Doing::Acting { .. }
            | Doing::Closing { .. } => {}
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
        let Doing::Acting {
            ticket: expected,
            action,
        } = work.doing
        else {
            return;
        };
        if expected != ticket {
            out.push(Effect::Note(Note::LateAnswer { ticket }));
            return;
        }
        match result {
            Ok(()) => self.advance(context, out),
            Err(ReadError::NoRoom) => {
                work.doing = Doing::ActAt {
                    at: context.now + RETRY_AFTER,
                    action,
                };
            }
            Err(ReadError::Bmc(error)) => self.fail(&error.to_string(), out),
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
            let again = context.now + (waited / 10).clamp(POLL_FIRST, POLL_MAX);
            match result {
                Ok(reading) if PowerState::from_reading(reading) == Some(*state) => {
                    self.confirmed = Some((context.now, context.wall));
                    self.advance(context, out);
                }
                // A BMC may stumble while its machine changes state; only what cannot heal ends the wait.
                Err(ReadError::Bmc(error)) if error.class() == ErrorClass::NeedsOperator => {
                    self.fail(&error.to_string(), out);
                }
                Ok(_) | Err(_) => *next = Poll::At(again),
            }
            return;
        }
        let goal = work.goal;
        match result {
            Err(ReadError::NoRoom) => work.doing = Doing::ReadAt(context.now + RETRY_AFTER),
            Err(ReadError::Bmc(error)) => self.fail_read(goal, &error.to_string(), out),
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
            Goal::InterruptedReboot if seen == Some(PowerState::Off) => {
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
            Goal::InterruptedReboot => {
                let text = "the conductor that ran it was lost; the machine is on, but whether it was restarted is \
                            not known. Repeat the request if it is still wanted";
                self.fail(text, out);
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
            | Goal::Adopt
            | Goal::Inspect
            | Goal::Clean
            | Goal::Deploy => self.succeed(context, seen, out),
        }
    }

    // --- The end ----------------------------------------------------------------------------------

    fn close(&mut self, mut changes: Vec<NodeChange>, out: &mut Vec<Effect>) {
        if let Some(intent) = &self.record.intent {
            changes.push(NodeChange::CloseIntent(intent.id));
        }
        self.propose(None, changes.clone(), Then::Close { changes }, out);
    }

    fn succeed(&mut self, context: Context<'_>, state: Option<PowerState>, out: &mut Vec<Effect>) {
        let Phase::Working(work) = &self.phase else {
            return;
        };
        let (goal, cause) = (work.goal, work.cause);
        let done = NodeChange::Provision {
            verb: Verb::Done,
            target: None,
        };
        let changes = match goal {
            Goal::Power { .. } | Goal::InterruptedReboot => {
                if let Some(target) = state {
                    out.push(Effect::Note(Note::PowerDone {
                        target,
                        purpose: "power",
                    }));
                }
                vec![
                    self.power(context, state, cause),
                    NodeChange::TargetPower(None),
                    NodeChange::LastError(None),
                ]
            }
            Goal::Nmi => Vec::new(),
            Goal::Verify => vec![
                self.power(context, state, PowerCause::Verify),
                NodeChange::SyncFailures(0),
                done,
            ],
            Goal::Adopt | Goal::Inspect | Goal::Deploy => vec![done],
            Goal::Clean => self.cleaned(context),
            Goal::TearDown => {
                let mut changes = vec![
                    self.power(context, state, PowerCause::Step),
                    NodeChange::ForgetInstance,
                    NodeChange::Provision {
                        verb: Verb::Clean,
                        target: None,
                    },
                ];
                changes.extend(self.cleaned(context));
                changes
            }
        };
        self.close(changes, out);
    }

    /// How automated cleaning ends. Cleaning a real machine takes the deploy agent; until it is there, baton says so
    /// rather than calling a machine clean that nobody has cleaned.
    fn cleaned(&self, context: Context<'_>) -> Vec<NodeChange> {
        let wanted = self
            .record
            .automated_clean
            .unwrap_or(context.knobs.automated_clean);
        let is_fake = &*self.record.interfaces.deploy == "fake";
        if !wanted || is_fake {
            return vec![NodeChange::Provision {
                verb: Verb::Done,
                target: None,
            }];
        }
        let text = format!(
            "Automated cleaning of node {} needs the deploy agent, which this version of baton does not drive. Set \
             automated_clean to false on the node or in [conductor], then manage and provide it again.",
            self.record.id
        );
        vec![
            NodeChange::LastError(Some(text.into())),
            NodeChange::Provision {
                verb: Verb::Fail,
                target: None,
            },
        ]
    }

    fn fail_read(&mut self, goal: Goal, error: &str, out: &mut Vec<Effect>) {
        match goal {
            Goal::Power { request, .. } => {
                let text = format!(
                    "Failed to change power state to '{}': {error}",
                    request.target()
                );
                self.fail_with(text, out);
            }
            Goal::InterruptedReboot
            | Goal::Nmi
            | Goal::Verify
            | Goal::Adopt
            | Goal::Inspect
            | Goal::Clean
            | Goal::TearDown
            | Goal::Deploy => self.fail(error, out),
        }
    }

    fn fail(&mut self, error: &str, out: &mut Vec<Effect>) {
        let Some(goal) = self.goal() else { return };
        let node = self.record.id;
        let text = match goal {
            Goal::Power { request, .. } => {
                format!(
                    "Failed to change power state to '{}' by '{request}': {error}",
                    request.target()
                )
            }
            Goal::InterruptedReboot => {
                format!("Failed to change power state to 'power on' by 'rebooting': {error}")
            }
            Goal::Nmi => format!("Failed to inject NMI: {error}"),
            Goal::Verify => format!("Failed to get power state for node {node}. Error: {error}"),
            Goal::Adopt => format!("Error while attempting to adopt node {node}: {error}."),
            Goal::Inspect => format!("Failed to inspect node {node}: {error}"),
            Goal::Clean => format!("Failed to clean node {node}: {error}"),
            Goal::TearDown => format!("Failed to tear down: {error}"),
            Goal::Deploy => format!("Failed to deploy: {error}"),
        };
        self.fail_with(text, out);
    }

    fn fail_with(&mut self, text: String, out: &mut Vec<Effect>) {
        let text: Box<str> = text.into();
        out.push(Effect::Note(Note::PowerFailed {
            error: text.clone(),
        }));
        let mut changes = vec![NodeChange::LastError(Some(text))];
        if self.record.target_power_state.is_some() {
            changes.push(NodeChange::TargetPower(None));
        }
        if self.record.provision_state.is_working() {
            changes.push(NodeChange::Provision {
                verb: Verb::Fail,
                target: None,
            });
        }
        self.close(changes, out);
    }

    // --- Takeover ---------------------------------------------------------------------------------

    /// The node has an open intent that this core does not work for: a former owner, or a former life of this one,
    /// left it. Claim it first, so that the former holder is fenced.
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

    /// Carries on with the claimed intent: what is idempotent is done again, what is not is read back or failed.
    pub(super) fn resume_work(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Some(intent) = &self.record.intent else {
            self.hold(context);
            return;
        };
        match &intent.kind {
            IntentKind::Power { request, .. } if request.is_reboot() => {
                self.begin(context, Goal::InterruptedReboot, PowerCause::User, out);
            }
            IntentKind::Power { .. } => self.start_work(context, PowerCause::User, out),
            IntentKind::InjectNmi => {
                let text = "the NMI was interrupted by the loss of a conductor; whether it was delivered is not known";
                self.close(vec![NodeChange::LastError(Some(text.into()))], out);
            }
            IntentKind::Provision { .. } => match self.record.provision_state.at_takeover() {
                Takeover::Resume => self.start_work(context, PowerCause::Step, out),
                Takeover::Keep | Takeover::KeepWaiting => self.close(Vec::new(), out),
                Takeover::Fail => {
                    let text = format!(
                        "The {} state can't be resumed by conductor {}. Moving to fail state.",
                        self.record.provision_state, context.host
                    );
                    self.fail_with(text, out);
                }
            },
        }
    }
}

/// The work of a verb once its move has been made.
const fn goal_in(state: ProvisionState, verb: Verb) -> Option<Goal> {
    match (state, verb) {
        (ProvisionState::Verifying, _) => Some(Goal::Verify),
        (ProvisionState::Adopting, _) => Some(Goal::Adopt),
        (ProvisionState::Inspecting, _) => Some(Goal::Inspect),
        (ProvisionState::Cleaning, Verb::Provide) => Some(Goal::Clean),
        (ProvisionState::Deleting, _) => Some(Goal::TearDown),
        (ProvisionState::Deploying, _) => Some(Goal::Deploy),
        _ => None,
    }
}
