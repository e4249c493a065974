//! The node core: decides everything that happens to one node at its owner.
//!
//! A synchronous machine: `step(context, input)` returns effects; the actor performs them and feeds the results back.
//! At any moment the core does one thing ([`Phase`]): it rests, reads, waits for the log, or works for an intent.
//! Every question it asks carries a ticket, and an answer with another ticket is late and is dropped. Whatever must
//! survive is proposed and used only after it was applied, so a core can be rebuilt from its record at any instant.

mod ask;
mod boot;
mod end;
mod fence;
mod goal;
mod interface;
mod login;
mod plan;
mod probe;
mod proposed;
mod reading;
pub mod relatives;
mod request;
mod steps;
mod sync;
mod takeover;
mod vendor;
mod waiting;
mod work;
mod write;

#[cfg(test)]
mod tests;

use super::boot::BootState;
use super::intent::BmcSession;
use super::power::{PowerCause, PowerState};
use super::record::NodeRecord;
use crate::command::NodeChange;
use crate::env::Mono;
use crate::ids::{Revision, Ticket, WallMs};
use crate::port::inquiry::Findings;
use crate::port::node::{NodeAnswer, NodeError, NodeLive};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ask::Asked;
pub use fence::COMMAND_LIMIT;
pub use interface::{
    Asker, BootTries, Context, Effect, Haste, Input, Knobs, Limits, Note, RandomDelay, ReadError,
    Urgency, WaitLimits,
};
use login::Login;
pub use plan::PowerDriver;
pub use request::QUEUE_MAX;
use request::Waiting;
pub use takeover::can_be_handed_over;
use vendor::Maker;
use waiting::is_sign_of_life;
use work::Work;
use write::Seen;

/// After a proposal could not be made or a pool refused to take a read, how long to rest before the next try. Long
/// enough not to hammer a cluster without a leader (an election takes about a second), short enough to go unnoticed.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long after a read that disagreed with the record the second one is made. Two reads of a flapping or lying BMC
/// that are this far apart and agree are believed; shorter would catch the same glitch twice.
pub const CONFIRM_AFTER: Duration = Duration::from_millis(500);

/// When nothing is to be done until somebody says so, how soon to look all the same.
const IDLE: Duration = Duration::from_secs(600);

/// A scheduled read that was not answered for so long will not be: its answer was lost between actors. The pool itself
/// answers every job within its deadline, which is at most half of this.
const READ_LOST_AFTER: Duration = Duration::from_secs(120);

/// What the core is doing.
#[derive(Clone, Debug, Default)]
enum Phase {
    /// Nothing; the schedule decides what comes next.
    #[default]
    Idle,
    /// Reading for power sync or recovery.
    Reading {
        ticket: Ticket,
        why: Why,
        asked: Mono,
    },
    /// Reading before the intent of this request is opened, but not for longer than until then.
    Looking { waiting: Waiting, until: Mono },
    /// A read disagreed; the second one is due.
    Confirming { seen: PowerState, at: Mono },
    /// Waiting for the log.
    Proposing { ticket: Ticket, then: Then },
    /// Working for the open intent.
    Working(Box<Work>),
}

/// Why a read is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Why {
    Sync,
    Confirm(PowerState),
    Recovery,
    /// Somebody else is at the machine: what it says is noted, and nothing follows from it.
    Observe,
}

/// What happens once the proposal was applied.
#[derive(Clone, Debug)]
enum Then {
    /// Back to the schedule.
    Rest,
    /// Start the work of the intent that was just opened, and tell who asked for it.
    Start {
        asker: Option<Asker>,
        cause: PowerCause,
        /// Tell at its end.
        at_end: bool,
    },
    /// Answer who asked; a pure move was made.
    Answer { asker: Asker },
    /// The work is over, this closes its intent; try again until it is closed.
    Close { changes: Vec<NodeChange> },
    /// Carry on with the intent that a former owner left open.
    Resume,
    /// Go on with the work: what it had to announce or to note is in the log.
    Work(Box<Work>),
}

/// The core of one node at its owner.
#[derive(Clone, Debug)]
pub struct NodeCore {
    record: Arc<NodeRecord>,
    phase: Phase,
    next_ticket: Ticket,
    /// When the schedule wants to look at the node next.
    due: Mono,
    /// Before this nothing new is begun: the log or the pool had no room.
    hold_until: Mono,
    queue: VecDeque<Waiting>,
    confirmed: Option<(Mono, WallMs)>,
    rtt: Option<Duration>,
    bmc_error: Option<Box<str>>,
    /// Since when the record has its `last_error`, as far as this owner knows.
    error_since: Mono,
    /// What the last answered read told.
    seen: Option<Seen>,
    /// A read that is under way although nothing waits for it; whatever comes next may use its answer.
    asked: Option<Ticket>,
    /// Since when the node has been in its waiting state without a sign of life, as far as this owner knows.
    waiting_since: Mono,
    /// The session that this core has fenced off; see [`NodeRecord::unfenced`].
    fenced: Option<BmcSession>,
    /// What the BMC said to our credentials, as far as this core has heard.
    login: Login,
    /// Whether and when the BMC's maker is asked for.
    maker: Maker,
    /// Questions that are under way, and who wants to know.
    inquiries: Vec<Asked>,
    /// Who hears of the end of the work that is about to begin, and what is said once that end is in the log.
    at_end: Option<Asker>,
    told: Option<(Asker, Result<NodeAnswer, NodeError>)>,
    /// What the BMC told of its machine's firmware and is not recorded yet.
    found: Option<Box<Findings>>,
    /// How the machine boots, as it was read and is not recorded yet.
    boots: Option<BootState>,
}

/// When the first scheduled read of a new core is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstRead {
    /// Within one interval, so that a fleet's reads spread out: the conductor has just started, or the node has just been
    /// created.
    WithinInterval,
    /// At once: another conductor owned the node until now, nobody knows how long ago it read, and an operator wants to
    /// know that the machine can be reached from here. The sync pool paces what that makes together.
    Soon,
}

/// Over what time [`FirstRead::Soon`] spreads. Much less than a takeover may take, and enough that ten thousand actors do
/// not ask in the same millisecond.
const SOON: Duration = Duration::from_millis(100);

impl NodeCore {
    /// A core for a node that this conductor owns from now on. `draw` chooses the moment of the first read.
    #[must_use]
    pub fn new(record: Arc<NodeRecord>, context: Context<'_>, first: FirstRead, draw: u64) -> Self {
        let interval = Self::interval_of(&record, context.knobs);
        let within = match first {
            FirstRead::WithinInterval => interval,
            FirstRead::Soon => interval.min(SOON),
        };
        let millis = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
        let maker = Maker::of(&record, context.now);
        Self {
            record,
            phase: Phase::Idle,
            next_ticket: Ticket(1),
            due: Mono(context.now.0.saturating_add(draw % millis)),
            hold_until: Mono(0),
            queue: VecDeque::new(),
            confirmed: None,
            rtt: None,
            bmc_error: None,
            error_since: context.now,
            seen: None,
            asked: None,
            waiting_since: context.now,
            fenced: None,
            login: Login::default(),
            maker,
            inquiries: Vec::new(),
            at_end: None,
            told: None,
            found: None,
            boots: None,
        }
    }

    /// The record that the core last saw.
    #[must_use]
    pub const fn record(&self) -> &Arc<NodeRecord> {
        &self.record
    }

    /// When the recorded state was last confirmed by the BMC; the staleness SLO.
    #[must_use]
    pub fn confirmed_at(&self) -> Option<Mono> {
        self.confirmed.map(|(at, _)| at)
    }

    /// Handles one input.
    pub fn step(&mut self, context: Context<'_>, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        match input {
            Input::Wake => {}
            Input::Record(record) => self.on_record(context, record, &mut out),
            Input::Read {
                ticket,
                result,
                rtt,
                session,
            } => self.on_read(context, ticket, result, (rtt, session), &mut out),
            Input::Identified { ticket, vendor } => {
                self.on_identified(context, ticket, vendor.as_deref(), &mut out);
            }
            Input::Acted { ticket, result } => self.on_acted(context, ticket, result, &mut out),
            Input::SessionEnded { ticket, result } => {
                self.on_session_ended(context, ticket, result, &mut out);
            }
            Input::Relatives { ticket, result } => {
                self.on_relatives(context, ticket, result, &mut out);
            }
            Input::Told { ticket, result } => self.on_told(context, ticket, result, &mut out),
            Input::Proposed { ticket, result } => {
                self.on_proposed(context, ticket, result, &mut out)
            }
            Input::Request { asker, id, request } => {
                self.on_request(context, asker, id, request, &mut out);
            }
        }
        self.look(context, &mut out);
        out.push(Effect::WakeAt(self.next_wake(context)));
        out
    }

    /// What only the owner knows, for operators.
    #[must_use]
    pub fn live(&self, now: Mono) -> NodeLive {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        NodeLive {
            confirmed_at: self.confirmed.map(|(_, wall)| wall),
            confirmed_age_ms: self.confirmed.map(|(at, _)| millis(now.since(at))),
            next_sync_in_ms: Some(millis(self.due.since(now))),
            waiting_for: self.waiting_for(),
            queued: u32::try_from(self.queue.len()).unwrap_or(u32::MAX),
            bmc_error: self.bmc_error.clone(),
            rtt_us: self
                .rtt
                .map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        }
    }

    fn waiting_for(&self) -> Option<Box<str>> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Reading {
                why: Why::Recovery, ..
            } => Some("the BMC to answer again (power fault recovery)".into()),
            Phase::Reading { .. } => Some("the BMC's answer to a scheduled power read".into()),
            Phase::Looking { .. } => Some("the BMC's answer to the first read of a request".into()),
            Phase::Confirming { .. } => Some("a second read, since the first disagreed".into()),
            Phase::Proposing { .. } => {
                Some("a majority of the conductors to store a change".into())
            }
            Phase::Working(work) => Some(work.waiting_for().into()),
        }
    }

    // --- Shared by the parts of the core ----------------------------------------------------------

    fn ticket(&mut self) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket = ticket.next();
        ticket
    }

    fn propose(
        &mut self,
        expect: Option<Revision>,
        changes: Vec<NodeChange>,
        then: Then,
        out: &mut Vec<Effect>,
    ) {
        self.propose_with(Haste::Now, expect, changes, then, out);
    }

    fn propose_with(
        &mut self,
        haste: Haste,
        expect: Option<Revision>,
        mut changes: Vec<NodeChange>,
        then: Then,
        out: &mut Vec<Effect>,
    ) {
        changes.extend(self.login_news());
        if changes
            .iter()
            .any(|change| matches!(change, NodeChange::SyncFailures(_)))
        {
            // From here on the log's count is the one that counts, whatever becomes of the proposal.
            out.push(Effect::CountFailures(None));
        }
        let ticket = self.ticket();
        out.push(Effect::Propose {
            ticket,
            epoch: self.record.epoch,
            expect,
            changes,
            haste,
        });
        self.phase = Phase::Proposing { ticket, then };
    }

    fn rest(&mut self, until: Mono) {
        self.phase = Phase::Idle;
        self.due = until;
    }

    fn interval_of(record: &NodeRecord, knobs: &Knobs) -> Duration {
        /// Looked at once an hour although nothing is scheduled, so that a missed change of options or record heals.
        const IDLE: Duration = Duration::from_secs(3600);
        let wanted = if sync::needs_recovery(record) {
            knobs.recovery_interval
        } else {
            knobs.sync_interval
        };
        wanted.unwrap_or(IDLE)
    }

    /// The regular next due time: one interval after the last one, or after now when that is already past, so that a
    /// slow BMC never gathers a backlog of its own reads. Never more than one interval from now, however much work has
    /// ended since the last read.
    fn next_due(&self, context: Context<'_>) -> Mono {
        let interval = Self::interval_of(&self.record, context.knobs);
        let latest = context.now + interval;
        let regular = self.due + interval;
        if regular > context.now {
            regular.min(latest)
        } else {
            latest
        }
    }

    // --- Record -----------------------------------------------------------------------------------

    fn on_record(&mut self, context: Context<'_>, record: Arc<NodeRecord>, out: &mut Vec<Effect>) {
        if record.revision <= self.record.revision {
            return;
        }
        let old = std::mem::replace(&mut self.record, record);
        if old.last_error != self.record.last_error {
            self.error_since = context.now;
        }
        if is_sign_of_life(&old, &self.record) {
            self.waiting_since = context.now;
        }
        if old.maintenance && !self.record.maintenance {
            // The log has ended the count with it.
            out.push(Effect::CountFailures(None));
        }
        if old.properties != self.record.properties {
            self.maker = Maker::of(&self.record, context.now);
        }
        let (from, to) = (old.provision_state, self.record.provision_state);
        if from != to {
            out.push(Effect::Note(Note::Moved { from, to }));
        }
        let reconfigured = old.driver_info != self.record.driver_info
            || old.interfaces.power != self.record.interfaces.power;
        if reconfigured {
            // A rotated password or a corrected address is tried at once, not after an interval (issue of D13's kin).
            out.push(Effect::ForgetBmc);
            self.seen = None;
            self.bmc_error = None;
            self.login = Login::default();
            self.outdate_inquiries();
            if matches!(
                self.phase,
                Phase::Idle | Phase::Reading { .. } | Phase::Confirming { .. }
            ) {
                self.rest(context.now);
            }
        }
        let schedule_changed = sync::needs_recovery(&old) != sync::needs_recovery(&self.record)
            || old.maintenance != self.record.maintenance;
        if schedule_changed && matches!(self.phase, Phase::Idle) {
            let soonest = context.now + Self::interval_of(&self.record, context.knobs);
            self.due = if self.record.maintenance {
                soonest
            } else {
                self.due.min(soonest)
            };
        }
        if let Phase::Working(work) = &mut self.phase
            && (self.record.intent.as_ref().map(|intent| intent.id) != Some(work.intent)
                || self.record.epoch != old.epoch)
        {
            // The lock was broken or taken: whatever this work still waits for is late. Nothing has to settle first.
            if let Some(asker) = work.asker.take() {
                let reason = "the lock was taken away before the work had ended".into();
                let error = NodeError::Unavailable {
                    reason,
                    retry_after_s: 1,
                };
                out.push(Effect::Answer {
                    asker,
                    answer: Err(error),
                });
            }
            self.phase = Phase::Idle;
        }
    }

    // --- The schedule -----------------------------------------------------------------------------

    /// Looks at the node when nothing is under way: first what was left open, then who waits, then the schedule.
    fn look(&mut self, context: Context<'_>, out: &mut Vec<Effect>) {
        self.expire_waiting(context, out);
        if !context.is_owner {
            self.dismiss_waiting(out);
        }
        match &self.phase {
            Phase::Idle => {}
            Phase::Confirming { seen, at } if *at <= context.now => {
                let why = Why::Confirm(*seen);
                let is_free = self.record.intent.is_none() && self.queue.is_empty();
                if is_free && self.is_read_for(why) {
                    self.read(context, why, Urgency::Sync, out);
                    return;
                }
                self.phase = Phase::Idle;
            }
            Phase::Confirming { .. } if !self.queue.is_empty() => self.phase = Phase::Idle,
            Phase::Looking { until, .. } if *until <= context.now => {
                self.end_of_look(context, out);
                return;
            }
            Phase::Reading { asked, .. } if context.now.since(*asked) >= READ_LOST_AFTER => {
                self.phase = Phase::Idle;
            }
            Phase::Looking { .. }
            | Phase::Confirming { .. }
            | Phase::Reading { .. }
            | Phase::Proposing { .. } => return,
            Phase::Working(_) => {
                self.drive_work(context, out);
                return;
            }
        }
        if self.is_held(context.now) {
            return;
        }
        if self.record.intent.is_some() {
            if !context.other_holds {
                self.take_over(out);
            }
            return;
        }
        if !context.is_owner {
            return;
        }
        if self.left_over(context, out)
            || self.end_of_patience(context, out)
            || self.serve_waiting(context, out)
            || self.record_login(out)
            || self.record_boots(out)
            || self.record_findings(out)
        {
            return;
        }
        if self.due <= context.now {
            self.scheduled_read(context, out);
        }
    }

    /// When the actor's one timer should fire next.
    fn next_wake(&self, context: Context<'_>) -> Mono {
        let phase = match &self.phase {
            Phase::Idle if self.is_held(context.now) => self.hold_until,
            Phase::Idle if !context.is_owner || self.record.intent.is_some() => context.now + IDLE,
            Phase::Idle => match self.patience_ends(context.knobs) {
                Some((at, _)) => self.due.min(at),
                None => self.due,
            },
            Phase::Confirming { at, .. } | Phase::Looking { until: at, .. } => *at,
            // The answer wakes the core; the timer only guards against an answer that never comes.
            Phase::Reading { .. } | Phase::Proposing { .. } => context.now + IDLE,
            Phase::Working(work) => work.wake_at(context.now),
        };
        self.queue
            .iter()
            .map(|waiting| waiting.until)
            .fold(phase, Mono::min)
    }
}
