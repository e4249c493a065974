//! What the end of a call teaches: about the BMC, about the network, and how much room suspects deserve.

use super::{BmcError, BmcKey, Flight, Job, Lane, Mono, Outcome, SyncPool};
use std::time::Duration;

/// Conversations in the suspect lane that are always allowed.
const SUSPECT_QUOTA_MIN: usize = 32;
/// Idle BMCs looked at for forgetting with each job that ends, so all are seen within half as many jobs.
const SWEEP_STEP: usize = 2;

impl<T> SyncPool<T> {
    pub(super) fn learn(
        &mut self,
        now: Mono,
        job: &Job,
        flight: Flight,
        rtt: Duration,
        outcome: Outcome<'_>,
    ) {
        let spread = self.draw();
        let Some(state) = self.bmcs.get_mut(&job.endpoint.bmc) else {
            return;
        };
        let was_suspect = state.is_suspect();
        if matches!(outcome, Outcome::NotMade) {
            self.counters.refused_lease += 1;
            state.flying = None;
            return;
        }
        state.land(job.work.is_write(), now);
        let mut answered = false;
        match outcome {
            Outcome::NotMade => {}
            Outcome::Lost => self.counters.lost += 1,
            Outcome::Failed(BmcError::Refused { .. }) if flight.outdated => {
                self.counters.auth_refused += 1;
            }
            Outcome::Answered
            | Outcome::Failed(BmcError::Declined { .. } | BmcError::Unsupported { .. }) => {
                answered = true;
                let inflation = state.answered(Some(rtt), now);
                self.counters.answered += 1;
                self.counters.rtt.record(rtt);
                // Only short reads tell about the network.
                self.knee.answered(
                    now,
                    flight.started,
                    inflation.filter(|_| !job.work.is_long()),
                );
            }
            Outcome::Failed(error @ (BmcError::Silent { .. } | BmcError::Unreachable { .. })) => {
                self.counters.silent += 1;
                if flight.telling {
                    state.silent(error.clone(), now, spread, &self.settings);
                    let silent = matches!(error, BmcError::Silent { .. });
                    if silent && !was_suspect {
                        self.knee.silent(flight.started);
                    }
                }
            }
            Outcome::Failed(error @ BmcError::Refused { .. }) => {
                self.counters.auth_refused += 1;
                state.refused(error.clone(), now, &self.settings);
            }
            Outcome::Failed(error @ BmcError::Busy { retry_after, .. }) => {
                self.counters.failed += 1;
                state.busy(error.clone(), *retry_after, now, &self.settings);
            }
            Outcome::Failed(BmcError::Garbled { .. } | BmcError::Tls { .. }) => {
                // It is there, and that is all: a round trip of half a conversation teaches nothing.
                self.counters.failed += 1;
                state.answered(None, now);
            }
            // Nothing was asked, or of nobody: neither tells about the BMC.
            Outcome::Failed(BmcError::Misconfigured { .. } | BmcError::SessionOver { .. }) => {
                self.counters.failed += 1;
            }
        }
        if flight.lane == Lane::Suspect {
            self.adapt_suspects(answered);
        }
    }

    /// Suspects that stay silent are dead and load nothing, so more of them may be waited for at once; suspects that
    /// answer are alive, so it is the network that is slow, and this lane has to shrink with the other. One answer
    /// outweighs four silences: in an overloaded network most calls may fail, at dead BMCs all do.
    pub(super) fn adapt_suspects(&mut self, answered: bool) {
        let least = SUSPECT_QUOTA_MIN.max(self.knee.limit() / 4);
        let quota = if answered {
            self.suspect_quota.saturating_sub(4)
        } else {
            self.suspect_quota.saturating_add(1)
        };
        self.suspect_quota = quota.max(least).min(self.settings.suspects_max);
    }

    /// Drops what was learned about BMCs that nobody has asked about for long.
    pub(super) fn sweep(&mut self, now: Mono) {
        for _ in 0..SWEEP_STEP {
            let Some((key, state)) = self.bmcs.range(self.sweep_from..).next() else {
                self.sweep_from = BmcKey(0);
                return;
            };
            let key = *key;
            let idle = state.flying.is_none() && state.queue.is_empty();
            // An auth breaker outlives its BMC's silence: forgetting it would spend a login.
            let barred = state.auth_broken().is_some_and(|(_, until)| now < until);
            let old = now.since(state.touched_at) >= self.settings.forget_after;
            if idle && old && !barred {
                self.bmcs.remove(&key);
            }
            self.sweep_from = BmcKey(key.0.saturating_add(1));
        }
    }

    /// splitmix64, for the jitter only.
    pub(super) const fn draw(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
