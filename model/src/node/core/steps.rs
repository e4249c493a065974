//! Running a flow: each step is written down, carried out, and followed by the next, until the entry that ends the flow.

use super::goal::Goal;
use super::plan::{self, Step};
use super::probe::{BIOS_LIMIT, PROBE_LIMIT, Probe};
use super::work::Doing;
use super::{Context, Effect, NodeCore, Phase, Then};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::node::power::{PowerCause, PowerRequest, PowerState};
use crate::node::provision::Verb;
use crate::node::record::Fault;
use crate::node::steps::{self, BiosChange, Flow, Kind, Progress};
use crate::port::bmc::PowerAction;
use crate::port::chore::Chore;
use std::collections::VecDeque;
use std::time::Duration;

/// A change of BIOS settings: unless they are as wanted already, it is told, the machine restarts, and they are read back.
fn bios_plan(change: BiosChange, restart: VecDeque<Step>) -> VecDeque<Step> {
    let probe = |probe, limit| Step::Probe { probe, limit };
    let mut plan = VecDeque::with_capacity(restart.len() + 3);
    let chore = match change {
        BiosChange::Apply => {
            plan.push_back(probe(Probe::BiosBefore, PROBE_LIMIT));
            Chore::ApplyBios
        }
        BiosChange::Reset => Chore::ResetBios,
    };
    plan.push_back(Step::Act(PowerAction::Chore(chore)));
    plan.extend(restart);
    plan.push_back(probe(Probe::BiosAfter, BIOS_LIMIT));
    plan
}

const fn by(verb: Verb) -> NodeChange {
    NodeChange::Provision { verb, target: None }
}

impl NodeCore {
    /// Goes on with a flow: with the step that was begun, or with the next.
    pub(super) fn run_steps(&mut self, context: Context<'_>, flow: Flow, out: &mut Vec<Effect>) {
        let progress = Progress::of(&self.record, flow);
        let Some(step) = progress.running().cloned() else {
            self.next_step(context, flow, Vec::new(), out);
            return;
        };
        if let Some(error) = steps::fake_failure(&self.record, &step) {
            self.fail(&error, out);
            return;
        }
        let plan: VecDeque<Step> = match steps::kind(&self.record, flow, &step) {
            None => {
                self.fail("the node's interfaces have no such step", out);
                return;
            }
            Some(Kind::Hold) => {
                let mut changes = progress.pause();
                changes.push(by(Verb::Hold));
                self.close(changes, out);
                return;
            }
            Some(Kind::Asynchronous) => {
                self.close(vec![by(Verb::Wait)], out);
                return;
            }
            Some(Kind::Instant) => [plan::fake_call(&self.record, context.knobs)].into(),
            Some(Kind::Wait(seconds)) => {
                [Step::Settle(Duration::from_secs(u64::from(seconds)))].into()
            }
            Some(Kind::Power(request)) => match self.step_plan(context, request, out) {
                Some(plan) => plan,
                None => return,
            },
            Some(Kind::Bios(change)) => {
                let Some(restart) = self.step_plan(context, PowerRequest::Reboot, out) else {
                    return;
                };
                bios_plan(change, restart)
            }
        };
        if let Phase::Working(work) = &mut self.phase {
            work.steps = plan;
        }
        self.advance(context, out);
    }

    /// The commands of a power change; `None` if the node cannot do it, and then the step has failed.
    fn step_plan(
        &mut self,
        context: Context<'_>,
        request: PowerRequest,
        out: &mut Vec<Effect>,
    ) -> Option<VecDeque<Step>> {
        let seen = self.record.power_state;
        match plan::plan(&self.record, request, None, seen, context.knobs) {
            Ok(plan) => Some(plan),
            Err(refused) => {
                self.fail(&refused.text, out);
                None
            }
        }
    }

    /// The running step has done its part.
    pub(super) fn step_over(&mut self, context: Context<'_>, flow: Flow, out: &mut Vec<Effect>) {
        let progress = Progress::of(&self.record, flow);
        let kind = progress
            .running()
            .and_then(|step| steps::kind(&self.record, flow, step));
        let learnt = match kind {
            Some(Kind::Power(request)) => {
                vec![self.power(context, Some(request.target()), PowerCause::Step)]
            }
            Some(Kind::Bios(_)) => {
                let mut changes = self.findings_changes();
                if self.restarted() {
                    changes.push(self.power(context, Some(PowerState::On), PowerCause::Step));
                }
                changes
            }
            Some(Kind::Instant) => progress
                .running()
                .and_then(|step| steps::fake_findings(&self.record, step))
                .into_iter()
                .collect(),
            Some(Kind::Hold | Kind::Wait(_) | Kind::Asynchronous) | None => Vec::new(),
        };
        self.next_step(context, flow, learnt, out);
    }

    /// Whether this work has sent the machine anything.
    fn restarted(&self) -> bool {
        let intent = self.record.intent.as_ref();
        intent.is_some_and(|intent| intent.write.is_some())
    }

    fn next_step(
        &mut self,
        context: Context<'_>,
        flow: Flow,
        mut changes: Vec<NodeChange>,
        out: &mut Vec<Effect>,
    ) {
        if steps::is_to_end(&self.record, flow) {
            changes.extend(steps::ended_by_request(&self.record, flow));
            self.close(changes, out);
            return;
        }
        let progress = Progress::of(&self.record, flow);
        let next = progress.next().map(|(index, _)| index);
        match next {
            Some(index) => {
                changes.extend(progress.enter(index));
                self.note_step(context.now, changes, out);
            }
            None => {
                changes.extend(progress.end());
                let manual = steps::is_manual(&self.record) || self.record.retired;
                let verb = if flow == Flow::Clean && manual {
                    Verb::Manage
                } else {
                    Verb::Done
                };
                changes.push(by(verb));
                self.close(changes, out);
            }
        }
    }

    /// Writes down what is about to happen; the work goes on once it is in the log.
    fn note_step(&mut self, now: Mono, changes: Vec<NodeChange>, out: &mut Vec<Effect>) {
        if let Phase::Working(mut work) = std::mem::take(&mut self.phase) {
            work.doing = Doing::Step(now);
            self.propose(None, changes, Then::Work(work), out);
        }
    }

    /// A step, or the list of steps, is in the log.
    pub(super) fn step_noted(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let Phase::Working(work) = &mut self.phase else {
            return;
        };
        if matches!(work.goal, Goal::Clean | Goal::TearDown) {
            work.goal = Goal::Steps(Flow::Clean);
        }
        if let Goal::Steps(flow) = work.goal {
            self.run_steps(context, flow, out);
        }
    }

    /// What could not be written down is tried again.
    pub(super) fn note_again(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        match self.goal() {
            Some(Goal::Steps(flow)) => self.run_steps(context, flow, out),
            Some(_) => self.succeed(context, self.record.power_state, out),
            None => {}
        }
    }

    /// Automated cleaning, in the state that `changes` leads to. Cleaning a real machine takes the deploy agent; until it
    /// is there, baton says so rather than calling a machine clean that nobody has cleaned.
    pub(super) fn clean(
        &mut self,
        context: Context<'_>,
        mut changes: Vec<NodeChange>,
        out: &mut Vec<Effect>,
    ) {
        let wanted = self
            .record
            .automated_clean
            .unwrap_or(context.knobs.automated_clean);
        if !wanted {
            changes.push(by(if self.record.retired {
                Verb::Manage
            } else {
                Verb::Done
            }));
            self.close(changes, out);
        } else if &*self.record.interfaces.deploy == "fake" {
            let list = steps::automated(&self.record);
            changes.extend(Progress::of(&self.record, Flow::Clean).begin(list));
            self.note_step(context.now, changes, out);
        } else {
            let text = format!(
                "Automated cleaning of node {} needs the deploy agent, which this version of baton does not drive. Set \
                 automated_clean to false on the node or in [conductor], then manage and provide it again.",
                self.record.id
            );
            changes.push(NodeChange::LastError(Some(text.into())));
            changes.push(by(Verb::Fail));
            self.close(changes, out);
        }
    }

    /// The running step, for the text of a wait that took too long.
    pub(super) fn waits_on(&self) -> String {
        Flow::of(self.record.provision_state)
            .and_then(|flow| {
                let progress = Progress::of(&self.record, flow);
                let step = steps::name(progress.running()?);
                Some(format!(" Failed on step {step}."))
            })
            .unwrap_or_default()
    }

    /// What the failure of a flow changes besides the state: the machine may be left half done, so cleaning and service
    /// put it into maintenance when a step was running (conductor.md §10).
    pub(super) fn steps_failed(&self, reason: &str) -> Vec<NodeChange> {
        let Some(flow) = Flow::of(self.record.provision_state) else {
            return Vec::new();
        };
        let progress = Progress::of(&self.record, flow);
        let fault = match flow {
            Flow::Clean => Some(Fault::Clean),
            Flow::Service => Some(Fault::Service),
            Flow::Deploy => None,
        };
        let mut changes = Vec::new();
        if let Some(fault) = fault.filter(|_| progress.running().is_some()) {
            let reason = reason.into();
            changes.push(NodeChange::EnterMaintenance { fault, reason });
        }
        changes.extend(progress.end());
        changes
    }

    /// How a failure of a flow reads.
    pub(super) fn step_failure(&self, flow: Flow, error: &str) -> String {
        let progress = Progress::of(&self.record, flow);
        let step = progress
            .running()
            .map_or_else(|| "(none)".to_owned(), steps::name);
        match flow {
            Flow::Deploy => format!("Deploy step {step} failed: {error}."),
            Flow::Clean | Flow::Service => {
                format!("Node {} failed step {step}: {error}", self.record.id)
            }
        }
    }
}
