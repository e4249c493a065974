//! Sessions: who is alive, decided without a wall clock.
//!
//! A conductor renews its session with the leader, which times it on its own monotonic clock. Expiry is asymmetric: a
//! conductor that could not renew stops itself at `ttl - margin`, counted from when it *sent* its last good renewal; the
//! leader declares it dead at `ttl + margin`, counted from when it received it. Between the two nobody acts, so clocks
//! may run apart by `2 * margin` in one period (at the default, 40 %). A new leader knows no renewals and grants every
//! session one full period first.

use crate::command::Session;
use crate::env::Mono;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The periods of sessions; the same on every conductor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionPeriods {
    /// How long a renewal holds (`[cluster]session_ttl_ms`).
    pub ttl: Duration,
}

impl SessionPeriods {
    /// A fifth of the period: room for a garbage pause of the scheduler and for clocks that run apart.
    const MARGIN_PARTS: u32 = 5;

    /// The margin on either side.
    #[must_use]
    pub fn margin(self) -> Duration {
        self.ttl / Self::MARGIN_PARTS
    }

    /// Until when the holder may act after a renewal that it sent at `sent`.
    #[must_use]
    pub fn holder_until(self, sent: Mono) -> Mono {
        sent + self.ttl.saturating_sub(self.margin())
    }

    /// How often to renew: four tries fit into a period, so that one lost packet costs nothing.
    #[must_use]
    pub fn renew_every(self) -> Duration {
        self.ttl / 4
    }

    fn grace(self) -> Duration {
        self.ttl + self.margin()
    }
}

/// What the leader knows of everybody's renewals. Made anew with each term of leadership.
#[derive(Clone, Debug)]
pub struct SessionTracker {
    periods: SessionPeriods,
    renewed: BTreeMap<Session, Mono>,
    /// Found to be over. The entry that says so may be on its way for long, if there is no quorum, and takes effect
    /// whatever was renewed meanwhile; so nothing is renewed any more.
    over: BTreeSet<Session>,
}

impl SessionTracker {
    /// The tracker of a new leader: it has seen no renewals, so each session's period begins when it is first seen.
    #[must_use]
    pub const fn new(periods: SessionPeriods) -> Self {
        Self {
            periods,
            renewed: BTreeMap::new(),
            over: BTreeSet::new(),
        }
    }

    /// Notes a renewal that arrived at `now`, granted or not: who asks is alive, and no grant of it lasts longer than one
    /// that was sent at `now`. It comes too late for a session that has been found to be over.
    pub fn heard(&mut self, session: Session, now: Mono) {
        if !self.over.contains(&session) {
            let renewed = self.renewed.entry(session).or_insert(now);
            *renewed = now.max(*renewed);
        }
    }

    /// Whether the renewal that arrived at `arrived`, perhaps before this tracker began, may be granted; if so, the session
    /// lasts a full period from then. Not if the session has been found to be over.
    #[must_use]
    pub fn grant(&mut self, session: Session, arrived: Mono) -> bool {
        self.heard(session, arrived);
        !self.over.contains(&session)
    }

    /// For `span` until `now` the leader could not listen (it was paused or starved); that time counts against nobody.
    pub fn forgive(&mut self, span: Duration, now: Mono) {
        for renewed in self.renewed.values_mut() {
            *renewed = (*renewed + span).min(now);
        }
    }

    /// Those of `live` whose period is over at `now`, and when the next of the others ends.
    #[must_use]
    pub fn expired(
        &mut self,
        live: impl IntoIterator<Item = Session>,
        now: Mono,
    ) -> (Vec<Session>, Option<Mono>) {
        let mut over = Vec::new();
        let mut next = None;
        let mut known = BTreeMap::new();
        for session in live {
            let renewed = self.renewed.get(&session).copied().unwrap_or(now);
            known.insert(session, renewed);
            let ends = renewed + self.periods.grace();
            if ends <= now || self.over.contains(&session) {
                over.push(session);
            } else {
                next = Some(next.map_or(ends, |at: Mono| at.min(ends)));
            }
        }
        self.renewed = known;
        self.over = over.iter().copied().collect();
        (over, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ConductorId, Incarnation};

    const PERIODS: SessionPeriods = SessionPeriods {
        ttl: Duration::from_millis(1000),
    };

    fn session(conductor: u64) -> Session {
        Session {
            conductor: ConductorId(conductor),
            incarnation: Incarnation(1),
        }
    }

    #[test]
    fn the_holder_stops_before_the_leader_declares_it_dead() {
        let mut leader = SessionTracker::new(PERIODS);
        leader.heard(session(1), Mono(5000));
        let stops = PERIODS.holder_until(Mono(5000));
        assert_eq!(leader.expired([session(1)], stops).0, Vec::new());
        let (over, next) = leader.expired([session(1)], Mono(6199));
        assert_eq!((over, next), (Vec::new(), Some(Mono(6200))));
        assert_eq!(leader.expired([session(1)], Mono(6200)).0, vec![session(1)]);
        assert!(stops + PERIODS.margin() * 2 <= Mono(6200));
    }

    #[test]
    fn a_new_leader_grants_everybody_one_period() {
        let mut leader = SessionTracker::new(PERIODS);
        let all = [session(1), session(2)];
        assert_eq!(leader.expired(all, Mono(9000)).0, Vec::new());
        assert_eq!(leader.expired(all, Mono(10_199)).0, Vec::new());
        leader.heard(session(2), Mono(10_000));
        assert_eq!(leader.expired(all, Mono(10_200)).0, vec![session(1)]);
    }

    #[test]
    fn time_in_which_the_leader_was_deaf_counts_against_nobody() {
        let mut leader = SessionTracker::new(PERIODS);
        leader.heard(session(1), Mono(1000));
        leader.forgive(Duration::from_millis(5000), Mono(6500));
        assert_eq!(leader.expired([session(1)], Mono(7199)).0, Vec::new());
        assert_eq!(leader.expired([session(1)], Mono(7200)).0, vec![session(1)]);
        let mut leader = SessionTracker::new(PERIODS);
        leader.heard(session(1), Mono(8000));
        leader.forgive(Duration::from_millis(5000), Mono(8100));
        assert_eq!(leader.expired([session(1)], Mono(9299)).0, Vec::new());
        assert_eq!(leader.expired([session(1)], Mono(9300)).0, vec![session(1)]);
    }

    #[test]
    fn who_was_found_to_be_over_is_not_renewed_while_the_entry_is_on_its_way() {
        let mut leader = SessionTracker::new(PERIODS);
        leader.heard(session(1), Mono(1000));
        assert!(leader.grant(session(1), Mono(1000)));
        assert_eq!(leader.expired([session(1)], Mono(2200)).0, vec![session(1)]);
        leader.heard(session(1), Mono(2300));
        assert!(!leader.grant(session(1), Mono(2300)));
        // The entry is proposed again until it is applied.
        assert_eq!(leader.expired([session(1)], Mono(2400)).0, vec![session(1)]);
        let reborn = Session {
            incarnation: Incarnation(2),
            ..session(1)
        };
        assert_eq!(leader.expired([reborn], Mono(2500)).0, Vec::new());
        assert!(leader.grant(reborn, Mono(2600)));
    }

    #[test]
    fn a_renewal_that_came_before_the_office_and_is_granted_in_it_lasts_a_full_period() {
        // The leader before last proved something at 4700, and what it then asked of this one arrived at 4990.
        let mut leader = SessionTracker::new(PERIODS);
        leader.heard(session(1), Mono(4700));
        assert_eq!(leader.expired([session(1)], Mono(5000)).0, Vec::new());
        assert!(leader.grant(session(1), Mono(4990)));
        assert!(PERIODS.holder_until(Mono(4990)) < Mono(6189));
        assert_eq!(leader.expired([session(1)], Mono(6189)).0, Vec::new());
        assert_eq!(leader.expired([session(1)], Mono(6190)).0, vec![session(1)]);
    }

    #[test]
    fn a_renewal_that_was_long_under_way_takes_no_time_from_a_newer_one() {
        let mut leader = SessionTracker::new(PERIODS);
        leader.heard(session(1), Mono(2000));
        assert!(leader.grant(session(1), Mono(1500)));
        assert_eq!(leader.expired([session(1)], Mono(3199)).0, Vec::new());
    }

    #[test]
    fn a_new_life_is_not_kept_alive_by_renewals_of_the_old_one() {
        let mut leader = SessionTracker::new(PERIODS);
        assert_eq!(leader.expired([session(1)], Mono(4000)).0, Vec::new());
        let reborn = Session {
            incarnation: Incarnation(2),
            ..session(1)
        };
        leader.heard(session(1), Mono(5000));
        assert_eq!(leader.expired([reborn], Mono(5100)).0, Vec::new());
        leader.heard(session(1), Mono(6000));
        assert_eq!(leader.expired([reborn], Mono(6300)).0, vec![reborn]);
    }
}
