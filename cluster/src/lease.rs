//! The leader's lease, as voters keep it: for an election timeout after it heard from a leader, a voter elects nobody else.
//!
//! A new leader builds on that: its majority heard nothing from the leader before for a whole lease, so that leader has
//! proved nothing to anybody since (`crate::sessions`). Two kinds of voter cannot vouch for it: one that was asked to
//! elect the leader's own choice, which openraft lets it do at once, and one that has just started and does not know whom
//! the process before it heard. Each answer to a candidate says whether its voter kept the lease.

use baton_model::env::{Env, Mono};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What this member knows of its own promises as a voter, and of those of the voters that elected it.
pub(crate) struct LeaderLease {
    period: Duration,
    env: Env,
    /// When a promise was last known not to have been kept.
    waived: AtomicU64,
}

impl LeaderLease {
    /// The lease of a process that starts now, and so has waived whatever the one before it promised.
    pub(crate) fn new(period: Duration, env: Env) -> Self {
        let waived = AtomicU64::new(env.clock.now().0);
        Self {
            period,
            env,
            waived,
        }
    }

    /// How long a voter refuses other candidates after it heard from a leader.
    pub(crate) const fn period(&self) -> Duration {
        self.period
    }

    /// Somebody elects, or helps to elect, without waiting for the lease to end.
    pub(crate) fn waive(&self) {
        let now = self.env.clock.now().0;
        self.waived.fetch_max(now, Ordering::AcqRel);
    }

    /// Whether the leader before can have proved nothing with this voter's help for a whole lease, if this voter has voted
    /// for another. Who waived its lease longer ago than that stopped to answer that leader longer ago than that.
    pub(crate) fn kept(&self) -> bool {
        let waived = Mono(self.waived.load(Ordering::Acquire));
        self.env.clock.now().since(waived) >= self.period
    }
}
