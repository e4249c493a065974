//! What the log keeps of compute events: for each instance the newest one, and what became of it.
//!
//! There is one record for each instance, so the outbox, the dead letters and "last told compute" together are bounded by
//! the number of instances. A record goes when its instance leaves the node, once nothing of it is left to be sent.

use crate::command::Session;
use crate::ids::{NodeId, WallMs};
use crate::node::power::{PowerCause, PowerState};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Most events that wait at once: two for each machine of the largest fleet (100,000). One that finds no room is kept as
/// a dead letter of its instance, so nothing grows without bound and nothing is silent.
pub const WAITING_MAX: usize = 200_000;

/// Events named by one command: 32 bytes each keep the entry far below the 64 KiB that the store takes.
pub const NAMED_MAX: usize = 1000;

/// The newest power change of an instance, and what became of telling the compute service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutboxEvent {
    /// The change's place in the log; grows, so that a late acknowledgement never ends a newer event.
    pub seq: u64,
    /// The machine.
    pub node: NodeId,
    /// The instance on it.
    pub instance: Uuid,
    /// The state to tell: on or off.
    pub state: PowerState,
    /// Why it changed.
    pub cause: PowerCause,
    /// When it changed, by the owner's wall clock.
    pub at: WallMs,
    /// The life of a conductor that may have a request about this instance on its way. Another one has to claim the event
    /// first and to wait until such a request is over.
    pub sender: Session,
    /// What became of it.
    pub status: EventStatus,
}

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EventStatus {
    /// To be told.
    Waiting,
    /// The compute service was told.
    Told {
        /// When the log heard of it.
        at: WallMs,
        /// How sure it is.
        how: Told,
    },
    /// A dead letter: the compute service will never take it. An operator sends it again or drops it.
    Dead {
        /// When it was given up.
        at: WallMs,
        /// Why.
        why: DeadReason,
    },
}

/// How sure it is that the compute service knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Told {
    /// It took the event; nobody asked further.
    Accepted,
    /// It took the event, and its record of the server agreed afterwards.
    Confirmed,
    /// It took the event each time, and its record of the server still differed at the end.
    Unconfirmed,
}

impl Told {
    /// A word for operators.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed => "accepted, but the server's recorded state differs",
        }
    }
}

/// Why an event became a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DeadReason {
    /// The compute service's code for it, to the end.
    Code(u16),
    /// [`WAITING_MAX`] others were waiting.
    NoRoom,
}

impl fmt::Display for DeadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(400) => f.write_str("the compute service calls the event malformed (400)"),
            Self::Code(404) => f.write_str("the compute service knows no such server (404)"),
            Self::Code(422) => f.write_str("the server is on no host of the compute service (422)"),
            Self::Code(code) => write!(f, "the compute service failed on this event ({code})"),
            Self::NoRoom => write!(f, "{WAITING_MAX} events were waiting already"),
        }
    }
}

impl OutboxEvent {
    /// Whether it is still to be told.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status == EventStatus::Waiting
    }

    /// Whether an operator has to decide about it.
    #[must_use]
    pub const fn is_dead(&self) -> bool {
        matches!(self.status, EventStatus::Dead { .. })
    }
}
