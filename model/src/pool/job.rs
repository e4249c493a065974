//! What the pool is asked, and what it answers.

use super::endpoint::Endpoint;
use crate::env::Mono;
use crate::ids::{Epoch, NodeId, Ticket};
use crate::node::intent::BmcSession;
use crate::port::bmc::{BmcError, BmcIdentity, ErrorClass, PowerAction, PowerReading};
use crate::port::inquiry::{Disclosure, Inquiry};
use std::fmt;
use std::time::Duration;

/// Who is waiting for a job; the order in which jobs leave.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Priority {
    /// A person or service waits for it.
    User,
    /// A node with a power fault is looked at again.
    Recovery,
    /// The regular read of the power state.
    Sync,
}

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 3;
    /// All of them, most urgent first.
    pub const ALL: [Self; Self::COUNT] = [Self::User, Self::Recovery, Self::Sync];

    /// Its place in [`Priority::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::User => 0,
            Self::Recovery => 1,
            Self::Sync => 2,
        }
    }
}

/// What to do at the BMC: one call of [`crate::port::bmc::Bmc`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Work {
    /// Read the power state.
    PowerQuery,
    /// Send a power command. The only work that changes a machine.
    PowerCommand(PowerAction),
    /// Ask who the BMC is.
    Identify,
    /// End a session that a fenced conductor's write may still use. Changes no machine, but needs the lease.
    EndSession,
    /// Ask something besides the power state.
    Ask(Inquiry),
}

impl Work {
    /// Whether it changes the machine.
    #[must_use]
    pub const fn is_write(self) -> bool {
        match self {
            Self::PowerCommand(_) => true,
            Self::PowerQuery | Self::Identify | Self::EndSession | Self::Ask(_) => false,
        }
    }

    /// Whether its time says nothing about the network, and it is given as much as a command: it may wait for the machine,
    /// or takes many requests.
    #[must_use]
    pub const fn is_long(self) -> bool {
        match self {
            Self::PowerCommand(_) => true,
            Self::Ask(inquiry) => inquiry.is_long(),
            Self::PowerQuery | Self::Identify | Self::EndSession => false,
        }
    }

    /// Whether it may leave only while the lease on the node holds.
    #[must_use]
    pub const fn needs_lease(self) -> bool {
        match self {
            Self::PowerCommand(_) | Self::EndSession => true,
            Self::PowerQuery | Self::Identify | Self::Ask(_) => false,
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerQuery => f.write_str("power status"),
            Self::PowerCommand(action) => action.fmt(f),
            Self::Identify => f.write_str("identify"),
            Self::EndSession => f.write_str("end session"),
            Self::Ask(inquiry) => inquiry.fmt(f),
        }
    }
}

/// One wish to talk to a BMC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Job {
    /// The node it is for.
    pub node: NodeId,
    /// The BMC, by [`Endpoint::of`].
    pub endpoint: Endpoint,
    /// Who waits for it.
    pub priority: Priority,
    /// What to do.
    pub work: Work,
    /// When the answer stops being of use. The pool rejects the job when too little is left, and never gives the BMC
    /// call a budget that reaches beyond.
    pub deadline: Mono,
    /// The asker's name for this question; comes back in the [`Report`].
    pub ticket: Ticket,
    /// The tenure under which it was asked; comes back in the [`Report`] and is checked before a write leaves.
    pub epoch: Epoch,
}

/// What a BMC call brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To [`Work::PowerQuery`].
    Power(PowerReading),
    /// To [`Work::PowerCommand`]: the BMC accepted it. Its effect is still to be read.
    Accepted,
    /// To [`Work::EndSession`]: the BMC knows no such session (any more).
    Ended,
    /// To [`Work::Identify`].
    Identity(Box<BmcIdentity>),
    /// To [`Work::Ask`].
    Disclosed(Box<Disclosure>),
}

/// Why a job brought no answer. The text reaches `last_error`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Failure {
    /// The BMC call was made and failed.
    #[error(transparent)]
    Bmc(#[from] BmcError),
    /// The call was never made: nothing left for the BMC.
    #[error(transparent)]
    Refused(#[from] PoolRefusal),
    /// The call was made and its outcome was lost by a fault of baton's own; a write may or may not have taken effect.
    #[error("the outcome of `{work}` was lost inside the conductor; see its log")]
    Lost {
        /// What had been started.
        work: Work,
    },
}

impl Failure {
    /// Whether anything may have reached the BMC. Decides if a write is unknown or certainly did not happen.
    #[must_use]
    pub const fn may_have_left(&self) -> bool {
        match self {
            Self::Bmc(_) | Self::Lost { .. } => true,
            Self::Refused(_) => false,
        }
    }

    /// Decides retry and who is told.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Bmc(error) => error.class(),
            Self::Refused(refusal) => refusal.class(),
            Self::Lost { .. } => ErrorClass::Transient,
        }
    }
}

/// Why the pool let nothing leave.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PoolRefusal {
    /// The circuit breaker of this BMC is open: it was silent several times in a row.
    #[error("{last} ({failures} times in a row; baton asks it again in at most {} s)", ceil_secs(.retry_in))]
    Silent {
        /// The last error of a real call.
        last: Box<BmcError>,
        /// Consecutive silences.
        failures: u32,
        /// When a job of the same priority will be let through as a probe.
        retry_in: Duration,
    },
    /// The auth breaker of this BMC is open: it refused the credentials, and BMCs lock accounts that keep trying.
    #[error(
        "{last}; baton asks no more until driver_info has new credentials (or for {} s, lest the account be locked)",
        ceil_secs(.retry_in)
    )]
    AuthBroken {
        /// The refusal of the BMC.
        last: Box<BmcError>,
        /// When one attempt is made even without new credentials.
        retry_in: Duration,
    },
    /// The BMC asked for patience that lasts longer than the job.
    #[error("{last}; it asked to be left alone for {} s", ceil_secs(.retry_in))]
    Busy {
        /// What the BMC said.
        last: Box<BmcError>,
        /// When it may be asked again.
        retry_in: Duration,
    },
    /// The job's deadline came before its turn.
    #[error("`{work}` waited {} ms for its turn and then had no time left: {reason}", waited.as_millis())]
    Late {
        /// What was to be done.
        work: Work,
        /// How long it had waited.
        waited: Duration,
        /// What it waited for.
        reason: &'static str,
    },
    /// Too many jobs wait, at this BMC or in all.
    #[error("`{work}` was not queued: {waiting} jobs wait {scope}, the most that baton lets wait")]
    PoolFull {
        /// What was to be done.
        work: Work,
        /// How many wait.
        waiting: usize,
        /// `for this BMC` or `in this conductor`.
        scope: &'static str,
    },
    /// The conductor may not write to this node (any more): its session ended or the node's tenure moved on.
    #[error("`{work}` was held back: this conductor's lease on the node is over")]
    LeaseOver {
        /// What was to be done.
        work: Work,
    },
    /// The node was deleted or has moved to another BMC.
    #[error("`{work}` was dropped: the node has left this BMC")]
    Forgotten {
        /// What was to be done.
        work: Work,
    },
}

impl PoolRefusal {
    /// Decides retry and who is told.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::AuthBroken { .. } => ErrorClass::NeedsOperator,
            Self::Silent { .. }
            | Self::Busy { .. }
            | Self::Late { .. }
            | Self::PoolFull { .. }
            | Self::LeaseOver { .. }
            | Self::Forgotten { .. } => ErrorClass::Transient,
        }
    }

    /// When asking again may bring more than this refusal did; `None` where time alone changes nothing.
    #[must_use]
    pub const fn retry_in(&self) -> Option<Duration> {
        match self {
            Self::Silent { retry_in, .. }
            | Self::AuthBroken { retry_in, .. }
            | Self::Busy { retry_in, .. } => Some(*retry_in),
            Self::Late { .. }
            | Self::PoolFull { .. }
            | Self::LeaseOver { .. }
            | Self::Forgotten { .. } => None,
        }
    }

    /// The BMC's own last error, where the refusal stands for one. A breaker that answers from memory counts for the
    /// asker as the failure that it remembers; queueing refusals say nothing about the BMC.
    #[must_use]
    pub const fn last_error(&self) -> Option<&BmcError> {
        match self {
            Self::Silent { last, .. } | Self::AuthBroken { last, .. } | Self::Busy { last, .. } => {
                Some(last)
            }
            Self::Late { .. }
            | Self::PoolFull { .. }
            | Self::LeaseOver { .. }
            | Self::Forgotten { .. } => None,
        }
    }
}

/// Whole seconds, rounded up, for texts: "in 0 s" would be a lie.
const fn ceil_secs(span: &Duration) -> u64 {
    span.as_secs() + if span.subsec_nanos() > 0 { 1 } else { 0 }
}

/// The end of one job, for whoever submitted it. Exactly one comes per job, unless the asker cancelled it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The node.
    pub node: NodeId,
    /// The asker's name for the question.
    pub ticket: Ticket,
    /// The tenure under which it was asked.
    pub epoch: Epoch,
    /// What had been asked.
    pub work: Work,
    /// When the call left; `None` if it never did. A read that left before a power action ended proves nothing about it.
    pub started: Option<Mono>,
    /// When the outcome was known.
    pub finished: Mono,
    /// How long the call took, if one was made.
    pub rtt: Option<Duration>,
    /// The session that is open with the BMC after the call, if that is known.
    pub session: Option<BmcSession>,
    /// What came of it.
    pub outcome: Result<Answer, Failure>,
}
