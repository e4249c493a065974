//! The compute port: how the compute service is told about power changes. The notifier is its only caller.

use super::BoxFuture;
use crate::node::power::PowerState;
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

/// What the compute service said to one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemResult {
    /// It took the event (200).
    Accepted,
    /// It will never take this event: it knows no such server (404), the server is on no host (422), or the event
    /// itself is wrong (400).
    Rejected {
        /// The item's code.
        code: u16,
    },
    /// It failed on this one; try again.
    Failed {
        /// The item's code.
        code: u16,
    },
}

/// Why a whole batch got no answer. Every event of it is sent again: the service may or may not have seen them, and
/// telling a state twice does no harm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// It could not be reached or was busy (connection, time-out, 429, 5xx).
    #[error("the compute service could not be told of power changes: {reason}")]
    Unavailable {
        /// The network's or service's words.
        reason: Box<str>,
        /// When to come back, if it said so (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// It refused the whole request, fresh token included; somebody has to look at `[nova]`.
    #[error("the compute service refused to be told of power changes, check [nova]: {reason}")]
    Refused {
        /// The service's words.
        reason: Box<str>,
    },
}

/// Access to the compute service.
pub trait Compute: Send + Sync {
    /// Sends a batch in one request and returns one result per event, in order. Ends within a bounded time.
    fn power_update<'a>(
        &'a self,
        batch: &'a [PowerUpdate],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ComputeError>>;
}
