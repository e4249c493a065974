//! The power port: how operators learn how fresh and how sound the conductors' knowledge of the BMCs is. Implemented in
//! `src`, where a conductor can ask its own actors and its peers.

use super::BoxFuture;
use crate::freshness::FreshnessReport;
use crate::ids::{ConductorId, NodeId};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one conductor tells.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PowerReport {
    /// Its nodes.
    pub freshness: FreshnessReport,
    /// Its BMCs.
    pub pool: PoolReport,
}

/// A conductor's sync pool.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct PoolReport {
    /// Conversations that it allows in flight with healthy BMCs now.
    pub limit: u64,
    /// Conversations in flight, with healthy BMCs and with suspects.
    pub in_flight: [u64; 2],
    /// Jobs waiting, by priority: users, recovery, sync.
    pub waiting: [u64; 3],
    /// BMCs remembered.
    pub bmcs: u64,
    /// BMCs whose last call was silent.
    pub silent: u64,
    /// Of those, open circuit breakers.
    pub breakers_open: u64,
    /// Open auth breakers, all of them.
    pub auth_broken_total: u64,
    /// The first of them.
    pub auth_broken: Vec<RefusedBmc>,
    /// The slowest BMCs, slowest first.
    pub slowest: Vec<SlowNode>,
}

/// A BMC that refuses the login and is left alone.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedBmc {
    /// The node that asked last.
    pub node: NodeId,
    /// For how long.
    pub since_ms: u64,
    /// When one attempt will be made.
    pub retry_in_ms: u64,
    /// The BMC's refusal.
    pub error: Box<str>,
}

/// A slow BMC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SlowNode {
    /// The node that asked last.
    pub node: NodeId,
    /// The BMC's smoothed round trip in microseconds.
    pub rtt_us: u64,
}

/// What became of asking one conductor.
pub type Told = Result<PowerReport, Box<str>>;

/// Tells how fresh and sound the knowledge of power states is.
pub trait PowerReports: Send + Sync {
    /// Past this age a power state counts as stale.
    fn stale_after(&self) -> Duration;

    /// The freshness of the nodes owned here, with so many rows of the worst. Cheap; asks nobody.
    fn here(&self, worst: usize) -> FreshnessReport;

    /// The reports of all conductors that are not down, each with so many rows. One that does not answer within some seconds
    /// tells why.
    fn everywhere(&self, worst: usize) -> BoxFuture<'_, Vec<(ConductorId, Told)>>;
}
