//! What the pool counts and shows to operators: plain values, for the admin endpoint and the metrics.

use super::core::SyncPool;
use super::endpoint::BmcKey;
use super::histogram::Histogram;
use super::job::{PoolRefusal, Priority};
use crate::env::Mono;
use crate::ids::NodeId;
use crate::port::power::{PoolReport, RefusedBmc, SlowNode};
use std::time::Duration;

/// Rows of the table of slowest BMCs.
pub const SLOWEST_MAX: usize = 20;
/// Rows of the list of BMCs that refused their credentials. A rotation gone wrong breaks thousands alike; a hundred tell.
pub const AUTH_BROKEN_MAX: usize = 100;

/// Counts since the start of the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Jobs that came.
    pub submitted: u64,
    /// Jobs that left, by [`Priority::index`].
    pub started: [u64; Priority::COUNT],
    /// Calls that a BMC answered, refusals of the command included.
    pub answered: u64,
    /// Calls without an answer or connection.
    pub silent: u64,
    /// Calls that a BMC refused for their credentials.
    pub auth_refused: u64,
    /// Calls that failed otherwise.
    pub failed: u64,
    /// Jobs rejected by an open circuit breaker.
    pub refused_silent: u64,
    /// Jobs rejected by an open auth breaker.
    pub refused_auth: u64,
    /// Jobs rejected since the BMC had asked for patience.
    pub refused_busy: u64,
    /// Jobs whose deadline came first.
    pub refused_late: u64,
    /// Jobs that did not fit into a queue.
    pub refused_full: u64,
    /// Jobs of nodes that left.
    pub refused_forgotten: u64,
    /// Writes held back since the lease was over.
    pub refused_lease: u64,
    /// Jobs taken back by their asker.
    pub cancelled: u64,
    /// Calls that took so long that they gave up their place.
    pub moved_late: u64,
    /// Calls whose outcome was lost.
    pub lost: u64,
    /// Round trips of answered calls.
    pub rtt: Histogram,
    /// Waits from submission to start, by [`Priority::index`].
    pub waited: [Histogram; Priority::COUNT],
}

impl Counters {
    pub(super) fn left(&mut self, priority: Priority, waited: Duration) {
        self.started[priority.index()] += 1;
        self.waited[priority.index()].record(waited);
    }

    pub(super) const fn refused(&mut self, refusal: &PoolRefusal) {
        let count = match refusal {
            PoolRefusal::Silent { .. } => &mut self.refused_silent,
            PoolRefusal::AuthBroken { .. } => &mut self.refused_auth,
            PoolRefusal::Busy { .. } => &mut self.refused_busy,
            PoolRefusal::Late { .. } => &mut self.refused_late,
            PoolRefusal::PoolFull { .. } => &mut self.refused_full,
            PoolRefusal::LeaseOver { .. } => &mut self.refused_lease,
            PoolRefusal::Forgotten { .. } => &mut self.refused_forgotten,
        };
        *count += 1;
    }
}

/// The pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolStats {
    /// Conversations allowed in flight with healthy BMCs, as the search for the knee has it now.
    pub limit: usize,
    /// Conversations in flight with healthy BMCs.
    pub in_flight: usize,
    /// Conversations in flight with suspects.
    pub suspects_in_flight: usize,
    /// Jobs waiting, by [`Priority::index`].
    pub waiting: [usize; Priority::COUNT],
    /// BMCs remembered.
    pub bmcs: usize,
    /// BMCs whose last call was silent, the open breakers included.
    pub silent: usize,
    /// Open circuit breakers.
    pub breakers_open: usize,
    /// Open auth breakers, all of them.
    pub auth_broken_total: usize,
    /// Open auth breakers, the first [`AUTH_BROKEN_MAX`].
    pub auth_broken: Vec<AuthBroken>,
    /// The slowest BMCs, slowest first, at most [`SLOWEST_MAX`].
    pub slowest: Vec<SlowBmc>,
    /// Counts since the start.
    pub counters: Counters,
}

/// A BMC that refused its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthBroken {
    /// The BMC.
    pub bmc: BmcKey,
    /// The node that asked last.
    pub node: NodeId,
    /// For how long.
    pub since: Duration,
    /// When one attempt will be made.
    pub retry_in: Duration,
    /// The BMC's refusal.
    pub error: Box<str>,
}

/// A slow BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowBmc {
    /// The BMC.
    pub bmc: BmcKey,
    /// The node that asked last.
    pub node: NodeId,
    /// Its smoothed round trip.
    pub rtt: Duration,
}

impl<T> SyncPool<T> {
    /// Takes the pool's picture: one walk over all BMCs, about 10 ms for 100,000. For people and scrapers, not for decisions.
    #[must_use]
    pub fn stats(&self, now: Mono) -> PoolStats {
        let mut stats = PoolStats {
            limit: self.knee.limit(),
            in_flight: self.in_flight[0],
            suspects_in_flight: self.in_flight[1],
            waiting: self.waiting,
            bmcs: self.bmcs.len(),
            silent: 0,
            breakers_open: 0,
            auth_broken_total: 0,
            auth_broken: Vec::new(),
            slowest: Vec::with_capacity(SLOWEST_MAX + 1),
            counters: self.counters.clone(),
        };
        for (key, state) in &self.bmcs {
            if let Some((trouble, until)) = state.auth_broken() {
                stats.auth_broken_total += 1;
                if stats.auth_broken.len() < AUTH_BROKEN_MAX {
                    stats.auth_broken.push(AuthBroken {
                        bmc: *key,
                        node: state.node,
                        since: now.since(trouble.since),
                        retry_in: until.since(now),
                        error: trouble.last.to_string().into(),
                    });
                }
            } else if state.is_suspect() {
                stats.silent += 1;
                stats.breakers_open += usize::from(state.is_open(&self.settings));
            }
            let slow = SlowBmc {
                bmc: *key,
                node: state.node,
                rtt: Duration::from_micros(u64::from(state.srtt_us())),
            };
            insert_slow(&mut stats.slowest, slow);
        }
        stats
    }
}

impl From<PoolStats> for PoolReport {
    fn from(stats: PoolStats) -> Self {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self {
            limit: count(stats.limit),
            in_flight: [stats.in_flight, stats.suspects_in_flight].map(count),
            waiting: stats.waiting.map(count),
            bmcs: count(stats.bmcs),
            silent: count(stats.silent),
            breakers_open: count(stats.breakers_open),
            auth_broken_total: count(stats.auth_broken_total),
            auth_broken: stats
                .auth_broken
                .into_iter()
                .map(|broken| RefusedBmc {
                    node: broken.node,
                    since_ms: millis(broken.since),
                    retry_in_ms: millis(broken.retry_in),
                    error: broken.error,
                })
                .collect(),
            slowest: stats
                .slowest
                .into_iter()
                .map(|slow| SlowNode {
                    node: slow.node,
                    rtt_us: u64::try_from(slow.rtt.as_micros()).unwrap_or(u64::MAX),
                })
                .collect(),
        }
    }
}

fn insert_slow(slowest: &mut Vec<SlowBmc>, slow: SlowBmc) {
    let least = slowest.last().map_or(Duration::ZERO, |row| row.rtt);
    if slow.rtt.is_zero() || (slowest.len() >= SLOWEST_MAX && slow.rtt <= least) {
        return;
    }
    let at = slowest.partition_point(|row| row.rtt >= slow.rtt);
    slowest.insert(at, slow);
    slowest.truncate(SLOWEST_MAX);
}
