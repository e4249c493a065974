//! What goes into the node core and what comes out of it: options, context, inputs, effects, notes.

use crate::command::{NodeChange, Reply};
use crate::env::Mono;
use crate::ids::{Epoch, RequestId, Revision, Ticket, WallMs};
use crate::json::Json;
use crate::node::intent::BmcSession;
use crate::node::power::{PowerRequest, PowerState};
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use crate::port::bmc::{BmcError, PowerAction, PowerReading};
use crate::port::cluster::ProposeError;
use crate::port::inquiry::{Disclosure, Inquiry};
use crate::port::node::{NodeAnswer, NodeError, NodeRequest};
use std::sync::Arc;
use std::time::Duration;

/// The options that the core obeys; see `[conductor]` in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Knobs {
    /// `sync_power_state_interval`; `None` switches power sync off.
    pub sync_interval: Option<Duration>,
    /// `power_state_sync_max_retries`
    pub sync_retries_max: u32,
    /// `force_power_state_during_sync`
    pub force: bool,
    /// `power_failure_recovery_interval`; `None` switches recovery off.
    pub recovery_interval: Option<Duration>,
    /// `power_state_change_timeout`
    pub change_timeout: Duration,
    /// `soft_power_off_timeout`
    pub soft_timeout: Duration,
    /// `node_lock_wait`: how long a request waits for the lock before it gets Ironic's 409.
    pub lock_wait: Duration,
    /// `[nova]send_power_notifications` with a `[nova]` section present.
    pub notify: bool,
    /// `automated_clean`
    pub automated_clean: bool,
    /// `node_history`; gates the clearing of `last_error` by power sync, as in Ironic.
    pub node_history: bool,
    /// How long a node may wait for its ramdisk or for an asynchronous step.
    pub waits: WaitLimits,
    /// Delay of every call of the fake power interface (`[fake]power_delay`).
    pub fake_delay: RandomDelay,
    /// How often a change of the boot device is tried.
    pub boot_tries: BootTries,
    /// How much at once, and how long a `wait` step.
    pub limits: Limits,
}

/// A delay between two bounds, the shorter ones likelier: Ironic's `[fake]*_delay`, a triangle with its top at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RandomDelay {
    /// The shortest.
    pub shortest: Duration,
    /// The longest; the same where it is fixed.
    pub longest: Duration,
}

impl RandomDelay {
    /// The delay that this draw stands for.
    #[must_use]
    pub fn drawn(self, draw: u64) -> Duration {
        /// Two million steps are finer than any clock here.
        const STEPS: u32 = 1 << 21;
        let step = u32::try_from(draw % u64::from(STEPS)).unwrap_or(0);
        let left = f64::from(STEPS - step) / f64::from(STEPS);
        let width = self.longest.saturating_sub(self.shortest);
        self.longest - width.mul_f64(left.sqrt())
    }
}

/// How often a Redfish BMC that says "not now" is told its boot device; see `[redfish]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootTries {
    /// `post_boot_retry_attempts`
    pub max: u32,
    /// `post_boot_retry_delay`: the shortest pause, which grows up to sixfold.
    pub pause: Duration,
}

impl Default for BootTries {
    fn default() -> Self {
        Self {
            max: 6,
            pause: Duration::from_secs(5),
        }
    }
}

impl BootTries {
    /// The pause after so many tries; none after the last. It doubles from a second on, within its bounds.
    #[must_use]
    pub fn pause_after(self, tries: u32) -> Option<Duration> {
        let grown = Duration::from_secs(1 << tries.saturating_sub(1).min(16));
        (tries < self.max).then(|| grown.clamp(self.pause, self.pause * 6))
    }
}

/// Limits of work; see `[conductor]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `max_conductor_wait_step_seconds`
    pub wait_step_seconds: u32,
    /// `max_concurrent_deploy`
    pub concurrent_deploy: u32,
    /// `max_concurrent_clean`
    pub concurrent_clean: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wait_step_seconds: 30,
            concurrent_deploy: 250,
            concurrent_clean: 50,
        }
    }
}

/// The time limits of waiting states; `None` waits for ever. Holds wait for a user and have no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitLimits {
    /// `deploy_callback_timeout`
    pub deploy: Option<Duration>,
    /// `clean_callback_timeout`
    pub clean: Option<Duration>,
    /// `inspect_wait_timeout`
    pub inspect: Option<Duration>,
    /// `rescue_callback_timeout`
    pub rescue: Option<Duration>,
    /// `service_callback_timeout`
    pub service: Option<Duration>,
}

impl Default for WaitLimits {
    fn default() -> Self {
        let half_an_hour = Some(Duration::from_secs(1800));
        Self {
            deploy: half_an_hour,
            clean: half_an_hour,
            inspect: half_an_hour,
            rescue: half_an_hour,
            service: half_an_hour,
        }
    }
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            sync_interval: Some(Duration::from_secs(120)),
            sync_retries_max: 3,
            force: true,
            recovery_interval: Some(Duration::from_secs(300)),
            change_timeout: Duration::from_secs(60),
            soft_timeout: Duration::from_secs(600),
            lock_wait: Duration::from_secs(10),
            notify: false,
            automated_clean: true,
            node_history: true,
            waits: WaitLimits::default(),
            fake_delay: RandomDelay::default(),
            boot_tries: BootTries::default(),
            limits: Limits::default(),
        }
    }
}

/// What holds while one input is handled.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Monotonic now.
    pub now: Mono,
    /// Wall now, for labels.
    pub wall: WallMs,
    /// Until when this conductor may act on the node. Past it nothing is sent to a BMC.
    pub lease_until: Mono,
    /// Whether this conductor owns the node now. A holder that does not finishes its work and begins nothing new.
    pub is_owner: bool,
    /// Whether the node's open intent is held by another conductor that lives. It finishes its work; nobody claims it.
    pub other_holds: bool,
    /// Whether nodes without a power supply of their own have this one as their parent.
    pub has_children: bool,
    /// How often in a row power sync has failed, in the log or on the way there.
    pub failures: u32,
    /// The options.
    pub knobs: &'a Knobs,
    /// The name of this conductor, for texts.
    pub host: &'a str,
}

/// Who asked, so that the answer finds its way back. Chosen by the actor.
pub type Asker = u64;

/// What can happen to a node.
#[derive(Clone, Debug)]
pub enum Input {
    /// The timer fired, or somebody wants the schedule to be looked at.
    Wake,
    /// The record was changed by an applied entry.
    Record(Arc<NodeRecord>),
    /// The answer to [`Effect::Read`].
    Read {
        /// The question's ticket.
        ticket: Ticket,
        /// What the BMC said, or why it said nothing.
        result: Result<PowerReading, ReadError>,
        /// How long the BMC took.
        rtt: Duration,
        /// The session in which it was read, if that is known: the one that the next write will use.
        session: Option<BmcSession>,
    },
    /// The answer to [`Effect::Identify`].
    Identified {
        /// The question's ticket.
        ticket: Ticket,
        /// Who made the BMC or its machine, if it said so.
        vendor: Option<Box<str>>,
    },
    /// The answer to [`Effect::Act`].
    Acted {
        /// The command's ticket.
        ticket: Ticket,
        /// Whether the BMC took it.
        result: Result<(), ReadError>,
    },
    /// The answer to [`Effect::EndSession`].
    SessionEnded {
        /// The question's ticket.
        ticket: Ticket,
        /// `Ok` once the BMC knows no such session (any more).
        result: Result<(), ReadError>,
    },
    /// The answer to [`Effect::SwitchRelatives`].
    Relatives {
        /// The question's ticket.
        ticket: Ticket,
        /// `Ok` once all of them are where they were to be, or which is not and why.
        result: Result<(), Box<str>>,
    },
    /// The answer to [`Effect::Ask`].
    Told {
        /// The question's ticket.
        ticket: Ticket,
        /// What the BMC said, or why it said nothing.
        result: Result<Box<Disclosure>, ReadError>,
    },
    /// The answer to [`Effect::Propose`]. The actor hands in the record as applied first.
    Proposed {
        /// The proposal's ticket.
        ticket: Ticket,
        /// What came of it.
        result: Result<Reply, ProposeError>,
    },
    /// A request for work.
    Request {
        /// Who asked.
        asker: Asker,
        /// The API request's id.
        id: RequestId,
        /// What is wanted.
        request: NodeRequest,
    },
}

/// Why a question to a BMC got no answer. The text is for `last_error`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The BMC, or the way to it, failed.
    #[error(transparent)]
    Bmc(#[from] BmcError),
    /// A breaker answered from memory: nothing was sent this time.
    #[error("{words}")]
    Barred {
        /// What the BMC did when it was asked last.
        last: BmcError,
        /// The same, and when it is asked again.
        words: Box<str>,
    },
    /// The pool had no room; nothing was sent and nothing is known of the BMC.
    #[error("{0}")]
    NoRoom(Box<str>),
}

impl ReadError {
    /// What the BMC did, now or when it was asked last; `None` if that is not what stood in the way.
    #[must_use]
    pub const fn bmc(&self) -> Option<&BmcError> {
        match self {
            Self::Bmc(error) | Self::Barred { last: error, .. } => Some(error),
            Self::NoRoom(_) => None,
        }
    }
}

/// How soon a change has to be in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Haste {
    /// Somebody waits for it, or for what follows.
    Now,
    /// It may wait half a second and share an entry with others like it: what an entry costs hardly depends on what it
    /// carries, and a rack that falls silent has one for each of its nodes in each interval.
    None,
}

/// What the actor is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Read the power state.
    Read {
        /// Comes back with the answer.
        ticket: Ticket,
        /// How urgent it is.
        urgency: Urgency,
    },
    /// Ask who made the BMC or its machine.
    Identify {
        /// Comes back with the answer.
        ticket: Ticket,
    },
    /// Ask something besides the power state.
    Ask {
        /// Comes back with the answer.
        ticket: Ticket,
        /// What.
        inquiry: Inquiry,
        /// How urgent it is.
        urgency: Urgency,
    },
    /// Send one command.
    Act {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The command.
        action: PowerAction,
        /// What it carries; empty for most.
        cargo: Json,
        /// The session that was announced for it. In any other it must not leave.
        session: BmcSession,
        /// The tenure under which it is valid.
        epoch: Epoch,
    },
    /// Ask the machines that share this one's power for the same, and wait until they are there: before switching on the
    /// parent, before switching off the children.
    SwitchRelatives {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The id of the request to each of them.
        id: RequestId,
        /// What.
        request: PowerRequest,
        /// How long it may take.
        limit: Duration,
    },
    /// End a session that a former holder's write may still use.
    EndSession {
        /// Comes back with the answer.
        ticket: Ticket,
        /// The session.
        session: BmcSession,
        /// The tenure under which it is valid.
        epoch: Epoch,
    },
    /// Propose changes of the record.
    Propose {
        /// Comes back with the reply.
        ticket: Ticket,
        /// The tenure.
        epoch: Epoch,
        /// Refuse if the record moved on.
        expect: Option<Revision>,
        /// The changes.
        changes: Vec<NodeChange>,
        /// Whether it may wait for others.
        haste: Haste,
    },
    /// Answer a request.
    Answer {
        /// Who asked.
        asker: Asker,
        /// The answer.
        answer: Result<NodeAnswer, NodeError>,
    },
    /// Be woken at this time, and forget any earlier wish. Emitted last.
    WakeAt(Mono),
    /// Have the log know, sooner or later, how often in a row power sync has failed; the newest count stands. `None`: the
    /// log's own count does, and what it does not have yet is void.
    CountFailures(Option<u32>),
    /// Forget what is remembered about the BMC: its address or credentials changed.
    ForgetBmc,
    /// Log this.
    Note(Note),
}

/// How urgent a read is; the sync pool's priorities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgency {
    /// A user waits.
    User,
    /// A node is in fault.
    Recovery,
    /// The schedule.
    Sync,
}

/// Something worth a line in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the log line's fields")]
pub enum Note {
    ReadFailed {
        attempt: u32,
        attempts_max: u32,
        error: Box<str>,
    },
    Forcing {
        actual: PowerState,
        recorded: PowerState,
    },
    Recorded {
        actual: PowerState,
        recorded: PowerState,
    },
    FirstState {
        actual: PowerState,
    },
    Faulted {
        reason: Box<str>,
    },
    Recovered {
        actual: PowerState,
    },
    PowerDone {
        target: PowerState,
        purpose: &'static str,
    },
    PowerFailed {
        error: Box<str>,
    },
    NotRestored {
        error: Box<str>,
    },
    Moved {
        from: ProvisionState,
        to: ProvisionState,
    },
    TookOver {
        purpose: &'static str,
    },
    Fenced {
        session: BmcSession,
    },
    NotFenced {
        session: BmcSession,
        error: Box<str>,
    },
    WaitedOut {
        session: BmcSession,
    },
    LateAnswer {
        ticket: Ticket,
    },
    LeaseLost,
}
