//! Power sync, fault and recovery: conductor.md §2 and §3, without its defects.

use super::plan::PowerDriver;
use super::write::Seen;
use super::{
    CONFIRM_AFTER, Context, Effect, Haste, Knobs, NodeCore, Note, Phase, ReadError, Then, Urgency,
    Why,
};
use crate::command::NodeChange;
use crate::env::Mono;
use crate::freshness::Watch;
use crate::ids::Ticket;
use crate::node::intent::{BmcSession, IntentKind};
use crate::node::power::{PowerCause, PowerRequest, PowerState, show};
use crate::node::provision::{Takeover, Verb};
use crate::node::record::{Fault, NodeRecord};
use crate::port::bmc::{BmcError, PowerReading};
use std::time::Duration;

/// After a transitional reading (`PoweringOn`), when to look again. Transitions take seconds to a minute.
const TRANSITION_AFTER: Duration = Duration::from_secs(5);

/// `driver_internal_info` key that says a firmware update runs; sync keeps its hands off meanwhile, and looks on.
const FIRMWARE_UPDATE_KEY: &str = "\"redfish_fw_updates\"";

/// Whether the node is in the automatic maintenance that recovery may end.
pub(super) fn needs_recovery(node: &NodeRecord) -> bool {
    node.maintenance && node.fault == Some(Fault::Power)
}

/// Whether power sync looks at the node at all. Child nodes are not forgotten (D20).
const fn wants_sync(node: &NodeRecord) -> bool {
    !node.maintenance && !node.provision_state.is_excluded_from_power_sync()
}

/// Whether something is under way at the machine that takes its power for itself.
fn is_only_observed(node: &NodeRecord) -> bool {
    node.driver_internal_info
        .as_str()
        .contains(FIRMWARE_UPDATE_KEY)
}

impl NodeCore {
    /// Who reads the power state, and when it was confirmed last: what the staleness SLO counts.
    #[must_use]
    pub fn freshness(&self, knobs: &Knobs) -> (Watch, Option<Mono>) {
        let watch = if needs_recovery(&self.record) {
            Watch::Recovery
        } else if wants_sync(&self.record)
            && knobs.sync_interval.is_some()
            && PowerDriver::of(&self.record) != PowerDriver::None
            && !is_only_observed(&self.record)
        {
            Watch::Sync
        } else {
            Watch::Nobody
        };
        (watch, self.confirmed.map(|(at, _)| at))
    }

    /// The schedule's turn.
    pub(super) fn scheduled_read(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        let why = if needs_recovery(&self.record) {
            context
                .knobs
                .recovery_interval
                .map(|_| (Why::Recovery, Urgency::Recovery))
        } else if wants_sync(&self.record) {
            let why = if is_only_observed(&self.record) {
                Why::Observe
            } else {
                Why::Sync
            };
            context.knobs.sync_interval.map(|_| (why, Urgency::Sync))
        } else {
            None
        };
        match (why, PowerDriver::of(&self.record)) {
            (Some((why, urgency)), PowerDriver::Ipmi | PowerDriver::Redfish) => {
                self.read(context, why, urgency, out);
            }
            // Without a machine the record is the truth.
            (Some(_), PowerDriver::Fake) => {
                self.confirmed = Some((context.now, context.wall));
                self.due = self.next_due(context);
            }
            (Some(_), PowerDriver::None) | (None, _) => self.due = self.next_due(context),
        }
    }

    pub(super) fn read(
        &mut self,
        context: Context<'_>,
        why: Why,
        urgency: Urgency,
        out: &mut Vec<Effect>,
    ) {
        let ticket = self.ticket();
        out.push(Effect::Read { ticket, urgency });
        self.phase = Phase::Reading {
            ticket,
            why,
            asked: context.now,
        };
    }

    pub(super) fn on_read(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<PowerReading, ReadError>,
        (rtt, session): (Duration, Option<BmcSession>),
        out: &mut Vec<Effect>,
    ) {
        let asked = self.asked == Some(ticket);
        if asked {
            self.asked = None;
        }
        let why = match &self.phase {
            Phase::Reading {
                ticket: expected,
                why,
                ..
            } if *expected == ticket => *why,
            Phase::Working(work) if work.waits_for(ticket) => {
                self.note_answer(context, &result, rtt, session);
                self.on_work_read(context, result, out);
                return;
            }
            // Asked before its intent was opened, or for a schedule that gave way: it tells the state and the session.
            Phase::Idle | Phase::Looking { .. } | Phase::Proposing { .. } if asked => {
                self.note_answer(context, &result, rtt, session);
                if let Phase::Looking { until, .. } = &mut self.phase {
                    *until = context.now;
                }
                return;
            }
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Reading { .. }
            | Phase::Confirming { .. }
            | Phase::Proposing { .. }
            | Phase::Working(_) => {
                out.push(Effect::Note(Note::LateAnswer { ticket }));
                return;
            }
        };
        self.phase = Phase::Idle;
        self.note_answer(context, &result, rtt, session);
        match result {
            Err(ReadError::NoRoom(_)) => self.hold(context),
            // Something was done to the node while its BMC was asked, and the schedule has to say what that means.
            _ if !self.is_read_for(why) => self.due = context.now,
            _ if why == Why::Observe => self.observed(context, &result),
            Err(error) if self.is_not_yet_reachable(&error) => self.due = self.next_due(context),
            Err(error) => self.read_failed(context, why, &error.to_string(), out),
            Ok(reading) => match (why, PowerState::from_reading(reading)) {
                (Why::Recovery, Some(actual)) => self.recovered(context, actual, out),
                (Why::Sync | Why::Confirm(_) | Why::Observe, Some(actual)) => {
                    self.compare(context, why, actual, out)
                }
                (_, None) if reading == PowerReading::Unknown => {
                    self.read_failed(
                        context,
                        why,
                        "the BMC answers but does not know the power state",
                        out,
                    );
                }
                // The machine is on its way; that agrees and disagrees with nothing.
                (_, None) => self.due = context.now + TRANSITION_AFTER,
            },
        }
    }

    /// Whether an answer still means what the question was for: a node that was put into maintenance since, say, is
    /// nobody's to force.
    pub(super) fn is_read_for(&self, why: Why) -> bool {
        match why {
            Why::Sync | Why::Confirm(_) => {
                wants_sync(&self.record) && !is_only_observed(&self.record)
            }
            Why::Observe => wants_sync(&self.record),
            Why::Recovery => needs_recovery(&self.record),
        }
    }

    /// What a look at a machine that somebody else is at brought. Agreement confirms; nothing else means anything.
    fn observed(&mut self, context: Context<'_>, result: &Result<PowerReading, ReadError>) {
        let seen = result.as_ref().ok().copied();
        let seen = seen.and_then(PowerState::from_reading);
        if seen.is_some() && seen == self.record.power_state {
            self.confirmed = Some((context.now, context.wall));
        }
        self.due = self.next_due(context);
    }

    /// A node whose state was never known and whose `driver_info` cannot be used yet is being set up; Ironic passes it by.
    fn is_not_yet_reachable(&self, error: &ReadError) -> bool {
        self.record.power_state.is_none()
            && matches!(error.bmc(), Some(BmcError::Misconfigured { .. }))
    }

    fn note_answer(
        &mut self,
        context: Context<'_>,
        result: &Result<PowerReading, ReadError>,
        rtt: Duration,
        session: Option<BmcSession>,
    ) {
        self.note_login(result);
        match result {
            Ok(reading) => {
                self.rtt = Some(rtt);
                self.seen = Some(Seen {
                    at: context.now,
                    reading: Some(*reading),
                    session,
                });
                self.bmc_error = None;
            }
            Err(error) => self.bmc_error = Some(error.to_string().into()),
        }
    }

    fn compare(
        &mut self,
        context: Context<'_>,
        why: Why,
        actual: PowerState,
        out: &mut Vec<Effect>,
    ) {
        match self.record.power_state {
            Some(recorded) if recorded == actual => self.agreed(context, out),
            Some(recorded) => {
                if why == Why::Confirm(actual) {
                    self.disagreed(context, actual, recorded, out);
                } else {
                    let at = context.now + CONFIRM_AFTER;
                    self.phase = Phase::Confirming { seen: actual, at };
                }
            }
            None => {
                self.confirmed = Some((context.now, context.wall));
                out.push(Effect::Note(Note::FirstState { actual }));
                let changes = vec![
                    self.power(context, Some(actual), PowerCause::Sync),
                    NodeChange::SyncFailures(0),
                ];
                self.propose(Some(self.record.revision), changes, Then::Rest, out);
            }
        }
    }

    fn agreed(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        self.confirmed = Some((context.now, context.wall));
        if context.failures > 0 {
            out.push(Effect::CountFailures(Some(0)));
        }
        let mut changes = Vec::new();
        // Ironic clears any `last_error` here. A failed state keeps the reason for its failure, and nobody could read one
        // that stood for a moment only: a power action often fails, or loses its lock, just before a scheduled read.
        let stale_error = self.record.last_error.is_some()
            && !self.record.provision_state.is_failed()
            && context.now.since(self.error_since)
                >= Self::interval_of(&self.record, context.knobs);
        if context.knobs.node_history && stale_error {
            changes.push(NodeChange::LastError(None));
        }
        if changes.is_empty() && self.login_news().is_none() {
            self.due = self.next_due(context);
            self.ask_for_maker(context, out);
        } else {
            self.propose(Some(self.record.revision), changes, Then::Rest, out);
        }
    }

    /// Two reads agreed with each other and not with the record.
    fn disagreed(
        &mut self,
        context: Context<'_>,
        actual: PowerState,
        recorded: PowerState,
        out: &mut Vec<Effect>,
    ) {
        self.confirmed = Some((context.now, context.wall));
        let failures = context.failures.saturating_add(1);
        if failures > context.knobs.sync_retries_max {
            self.fault(context, Some(actual), None, failures, out);
            return;
        }
        let revision = Some(self.record.revision);
        let can_force =
            context.knobs.force && !self.record.disable_power_off && recorded != PowerState::Error;
        if can_force {
            out.push(Effect::Note(Note::Forcing { actual, recorded }));
            let request = PowerRequest::from(recorded);
            let kind = IntentKind::Power {
                request,
                timeout_s: None,
            };
            let limit = super::plan::limit(request, None, context.knobs)
                + self.relatives_limit(context, request).unwrap_or_default();
            let write = self.first_write(context, request, None);
            let changes = vec![
                self.intent(context, kind, limit, None, write),
                NodeChange::TargetPower(Some(recorded)),
                NodeChange::SyncFailures(failures),
            ];
            let then = Then::Start {
                asker: None,
                cause: PowerCause::Sync,
                at_end: false,
            };
            self.propose(revision, changes, then, out);
        } else {
            out.push(Effect::Note(Note::Recorded { actual, recorded }));
            let changes = vec![
                self.power(context, Some(actual), PowerCause::Sync),
                NodeChange::SyncFailures(0),
            ];
            self.propose(revision, changes, Then::Rest, out);
        }
    }

    fn read_failed(&mut self, context: Context<'_>, why: Why, error: &str, out: &mut Vec<Effect>) {
        if why == Why::Recovery {
            if self.login_news().is_some() {
                self.propose(Some(self.record.revision), Vec::new(), Then::Rest, out);
            } else {
                self.due = self.next_due(context);
            }
            return;
        }
        // Without its lease a conductor counts for nobody: the cluster may have given the node to one that reads it.
        if context.now >= context.lease_until {
            self.due = self.next_due(context);
            return;
        }
        let failures = context.failures.saturating_add(1);
        let attempts_max = context.knobs.sync_retries_max;
        if failures > attempts_max {
            self.fault(context, None, Some(error), failures, out);
        } else {
            out.push(Effect::Note(Note::ReadFailed {
                attempt: failures,
                attempts_max,
                error: error.into(),
            }));
            // Nobody waits for it to be in the log, where a successor finds it (D13).
            out.push(Effect::CountFailures(Some(failures)));
            self.due = self.next_due(context);
        }
    }

    /// Retries are spent: automatic maintenance. The text is Ironic's.
    fn fault(
        &mut self,
        context: Context<'_>,
        actual: Option<PowerState>,
        error: Option<&str>,
        failures: u32,
        out: &mut Vec<Effect>,
    ) {
        let seen = show(actual);
        let mut reason = format!(
            "During sync_power_state, max retries exceeded for node {}, node state {seen} does not match expected \
             state '{}'. Updating DB state to '{seen}' Switching node to maintenance mode.",
            self.record.id,
            show(self.record.power_state),
        );
        if let Some(error) = error {
            reason.push_str(" Error: ");
            reason.push_str(error);
        }
        let reason: Box<str> = reason.into();
        out.push(Effect::Note(Note::Faulted {
            reason: reason.clone(),
        }));
        let changes = vec![
            self.power(context, actual, PowerCause::Sync),
            NodeChange::LastError(Some(reason.clone())),
            NodeChange::EnterMaintenance {
                fault: Fault::Power,
                reason,
            },
            NodeChange::SyncFailures(failures),
        ];
        let revision = Some(self.record.revision);
        self.propose_with(Haste::None, revision, changes, Then::Rest, out);
    }

    fn recovered(&mut self, context: Context<'_>, actual: PowerState, out: &mut Vec<Effect>) {
        self.confirmed = Some((context.now, context.wall));
        out.push(Effect::Note(Note::Recovered { actual }));
        let changes = vec![
            self.power(context, Some(actual), PowerCause::Recovery),
            NodeChange::LeaveMaintenance(Fault::Power),
            // One blip after the recovery must not fault the node again (D13).
            NodeChange::SyncFailures(0),
        ];
        self.propose(Some(self.record.revision), changes, Then::Rest, out);
    }

    /// Repairs what a crash between two entries may have left: work without its intent (D3, D4, D5).
    pub(super) fn left_over(&mut self, context: Context<'_>, out: &mut Vec<Effect>) -> bool {
        let state = self.record.provision_state;
        let mut changes = Vec::new();
        if self.record.target_power_state.is_some() {
            changes.push(NodeChange::TargetPower(None));
            let text = "Pending power operation was aborted due to conductor take over";
            changes.push(NodeChange::LastError(Some(text.into())));
        }
        if matches!(state.at_takeover(), Takeover::Resume | Takeover::Fail) {
            let text = format!(
                "The {state} state can't be resumed by conductor {}. Moving to fail state.",
                context.host
            );
            changes.push(NodeChange::LastError(Some(text.into())));
            changes.push(NodeChange::Provision {
                verb: Verb::Fail,
                target: None,
            });
        }
        if changes.is_empty() {
            return false;
        }
        self.propose(Some(self.record.revision), changes, Then::Rest, out);
        true
    }

    pub(super) fn power(
        &self,
        context: Context<'_>,
        state: Option<PowerState>,
        cause: PowerCause,
    ) -> NodeChange {
        NodeChange::Power {
            state,
            cause,
            notify: context.knobs.notify,
        }
    }

    /// Nothing more is tried for a moment: the log or the pool had no room.
    pub(super) fn hold(&mut self, context: Context<'_>) {
        self.phase = Phase::Idle;
        self.hold_until = context.now + super::RETRY_AFTER;
    }

    pub(super) fn is_held(&self, now: Mono) -> bool {
        now < self.hold_until
    }
}
