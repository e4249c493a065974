//! The compute port: how the compute service is told about power changes, and asked what it knows. The notifier is its
//! only caller.

use super::BoxFuture;
use crate::node::power::{PowerRequest, PowerState};
use crate::outbox::{Contradiction, OutboxStats};
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;
use uuid::Uuid;

/// One `power-update` event (Nova `os-server-external-events`, microversion 2.76).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerUpdate {
    /// The server.
    pub instance: Uuid,
    /// Its machine's state: on or off.
    pub state: PowerState,
}

/// What the compute service said to one event of a batch, with its codes: 200 it took it, 400 the event is wrong, 404 it
/// knows no such server, 422 the server is on no host. A batch that it took whole has a 200 for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemResult(pub u16);

/// What the compute service records of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPower {
    /// The power state, and whether a task is running, during which the service drops power events.
    Known {
        /// The state; `None` for those that are neither on nor off.
        state: Option<PowerState>,
        /// A task state is set.
        busy: bool,
    },
    /// It knows no such server.
    Gone,
}

/// What kept the service from answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection.
    Unreachable,
    /// No answer in time.
    Timeout,
    /// The connection broke while the answer was awaited.
    Reset,
    /// Something else than an answer to the question came.
    Garbled,
    /// The identity service gave no token or no endpoint.
    Identity,
    /// A status that says "not now".
    Status(u16),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("unreachable"),
            Self::Timeout => f.write_str("timeout"),
            Self::Reset => f.write_str("reset"),
            Self::Garbled => f.write_str("garbled"),
            Self::Identity => f.write_str("identity"),
            Self::Status(code) => write!(f, "HTTP {code}"),
        }
    }
}

/// Why a whole batch got no answer. Every event of it is sent again: the service may or may not have seen them, and
/// telling a state twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// It could not be reached or was busy (connection, time-out, 409, 429, 502, 503, 504).
    #[error("the compute service could not be told of power changes: {reason}")]
    Unavailable {
        /// What kind of trouble.
        trouble: Trouble,
        /// The network's or service's words.
        reason: Box<str>,
        /// When to come back, if it said so (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// It failed on the request as a whole in a way that one of the events may have caused (400, 404, 413, 500).
    #[error("the compute service could not take a batch of power changes (HTTP {code}): {reason}")]
    Batch {
        /// The status.
        code: u16,
        /// The service's words.
        reason: Box<str>,
    },
    /// It refused the caller, fresh token included, or no token could be had; somebody has to look at `[nova]`.
    #[error("the compute service refused to be told of power changes, check [nova]: {reason}")]
    Refused {
        /// The status, if one came.
        code: u16,
        /// The service's words.
        reason: Box<str>,
    },
    /// Nothing was sent: the right to send ended before the request could leave.
    #[error("power changes were not sent: this conductor may not act for their nodes any more")]
    Withheld,
}

impl ComputeError {
    /// A word for statistics.
    #[must_use]
    pub fn label(&self) -> Cow<'static, str> {
        match self {
            Self::Unavailable { trouble, .. } => trouble.to_string().into(),
            Self::Batch { code, .. } | Self::Refused { code, .. } => format!("HTTP {code}").into(),
            Self::Withheld => "withheld".into(),
        }
    }
}

/// Whether the sender may still send; asked again right before a request leaves, after whatever was waited for.
pub type MaySend<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// Access to the compute service.
pub trait Compute: Send + Sync {
    /// Sends a batch in one request and returns one result per event, in order. Ends within a bounded time.
    fn power_update<'a>(
        &'a self,
        batch: &'a [PowerUpdate],
        may_send: MaySend<'a>,
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ComputeError>>;

    /// Asks what the service records of these servers; one answer each, in order. Ends within a bounded time.
    fn server_power<'a>(
        &'a self,
        servers: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<ServerPower>, ComputeError>>;
}

/// What the rest of the process asks the notifier. Answers come from memory.
pub trait Notifier: Send + Sync {
    /// Whether `wish`, of the compute service, contradicts a change that it has not heard of.
    fn contradiction(&self, instance: Uuid, wish: PowerRequest) -> Option<Contradiction>;

    /// How sending goes, for operators; at most a second old.
    fn stats(&self) -> OutboxStats;

    /// Whether a compute service is configured at all.
    fn is_sending(&self) -> bool;
}

/// A notifier that tells nobody: of a baton that stands alone, and of tests.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standalone;

impl Notifier for Standalone {
    fn contradiction(&self, _: Uuid, _: PowerRequest) -> Option<Contradiction> {
        None
    }

    fn stats(&self) -> OutboxStats {
        OutboxStats::default()
    }

    fn is_sending(&self) -> bool {
        false
    }
}
