//! What is known about one BMC: its round trip, its breaker, and the jobs that wait for it.
//!
//! A hundred thousand of these live in memory, so a healthy idle one is one flat struct without allocations; only a
//! BMC in trouble has a box. The invariant: `flying` is the only conversation with this BMC.

use super::endpoint::{BlockKey, Endpoint, Protocol};
use super::job::{Job, PoolRefusal, Priority};
use super::knee::QUICK;
use super::settings::PoolSettings;
use super::{Class, JobId, Lane};
use crate::env::Mono;
use crate::ids::NodeId;
use crate::port::bmc::BmcError;
use std::time::Duration;

/// One BMC.
#[derive(Clone, Debug)]
pub(super) struct BmcState {
    /// The node that asked last; for operators.
    pub(super) node: NodeId,
    pub(super) block: BlockKey,
    protocol: Protocol,
    /// Smoothed round trip and its mean deviation in microseconds (RFC 6298); 0: never answered.
    srtt_us: u32,
    deviation_us: u32,
    /// The best round trip, drifting towards the smoothed one.
    best_us: u32,
    answered_at: Mono,
    /// End of the last read and of the last write; 0 if there was none.
    read_at: Mono,
    write_at: Mono,
    pub(super) touched_at: Mono,
    /// Its credentials have changed since it was first asked.
    credentials_changed: bool,
    pub(super) flying: Option<JobId>,
    /// The job that stands in its block's ready set, and where.
    pub(super) offer: Option<(Class, JobId)>,
    /// When the waiting jobs may be looked at again; it stands in the pool's set of holds.
    pub(super) hold: Option<Mono>,
    /// Waiting jobs, most urgent first, in order of arrival.
    pub(super) queue: Vec<(Priority, JobId)>,
    /// Starts of more urgent jobs while a less urgent one waited here.
    passed_over: u8,
    pub(super) trouble: Option<Box<Trouble>>,
}

/// Why a BMC is not simply asked.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) kind: TroubleKind,
    /// The error that says so.
    pub(super) last: BmcError,
    pub(super) since: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TroubleKind {
    /// Silent so many times in a row. The times matter once the breaker is open.
    Silent {
        failures: u32,
        probe_at: Mono,
        user_at: Mono,
    },
    /// Refused the credentials.
    Auth { until: Mono },
    /// Asked for patience.
    Busy { until: Mono },
}

/// Whether a job may leave for this BMC.
#[derive(Debug)]
pub(super) enum Gate {
    Open(Lane),
    Later(Mono),
    Shut(PoolRefusal),
}

/// Starts of more urgent jobs at one BMC before a less urgent one is let through; the per-BMC half of the guard.
const PASSED_OVER_MAX: u8 = 7;
/// A call is late, and yields its place to others, this long after its usual time; below it, scheduling noise of a
/// busy conductor counts.
const LATE_MIN: Duration = Duration::from_millis(100);
/// The same for a BMC that never answered.
const LATE_UNKNOWN: Duration = Duration::from_millis(500);

impl BmcState {
    pub(super) const fn new(node: NodeId, endpoint: Endpoint, now: Mono) -> Self {
        Self {
            node,
            block: endpoint.block,
            protocol: endpoint.protocol,
            srtt_us: 0,
            deviation_us: 0,
            best_us: 0,
            answered_at: Mono(0),
            read_at: Mono(0),
            write_at: Mono(0),
            touched_at: now,
            credentials_changed: false,
            flying: None,
            offer: None,
            hold: None,
            queue: Vec::new(),
            passed_over: 0,
            trouble: None,
        }
    }

    // --- Waiting jobs -----------------------------------------------------------------------------

    pub(super) fn enqueue(&mut self, priority: Priority, id: JobId) {
        let at = self
            .queue
            .partition_point(|(waiting, _)| *waiting <= priority);
        self.queue.insert(at, (priority, id));
    }

    pub(super) fn dequeue(&mut self, id: JobId) {
        self.queue.retain(|(_, waiting)| *waiting != id);
        if self.queue.is_empty() {
            self.queue = Vec::new();
        }
    }

    /// The waiting jobs in the order in which they are to be tried.
    pub(super) fn candidates(&self) -> impl Iterator<Item = (Priority, JobId)> + '_ {
        let first = self.queue.first().map(|(priority, _)| *priority);
        let overdue = self.passed_over >= PASSED_OVER_MAX;
        let favoured = self
            .queue
            .iter()
            .find(|(priority, _)| overdue && Some(*priority) != first);
        favoured.into_iter().chain(self.queue.iter()).copied()
    }

    /// `id` leaves the queue for the BMC.
    pub(super) fn launch(&mut self, priority: Priority, id: JobId, now: Mono) {
        self.dequeue(id);
        let passes = self.queue.last().is_some_and(|(last, _)| *last > priority);
        self.passed_over = if passes {
            self.passed_over.saturating_add(1)
        } else {
            0
        };
        self.flying = Some(id);
        self.touched_at = now;
    }

    // --- Breakers and pacing ----------------------------------------------------------------------

    pub(super) fn gate(&self, job: &Job, submitted: Mono, now: Mono, told: &PoolSettings) -> Gate {
        let mut lane = Lane::Healthy;
        match self.trouble.as_deref() {
            None => {}
            Some(Trouble { kind, last, .. }) => match *kind {
                TroubleKind::Auth { until } if now < until => {
                    return Gate::Shut(PoolRefusal::AuthBroken {
                        last: Box::new(last.clone()),
                        retry_in: until.since(now),
                    });
                }
                TroubleKind::Auth { .. } => lane = Lane::Suspect,
                TroubleKind::Silent {
                    failures,
                    probe_at,
                    user_at,
                } => {
                    lane = Lane::Suspect;
                    let opens = if job.priority == Priority::User {
                        user_at
                    } else {
                        probe_at
                    };
                    if failures >= told.open_after && now < opens {
                        return Gate::Shut(PoolRefusal::Silent {
                            last: Box::new(last.clone()),
                            failures,
                            retry_in: opens.since(now),
                        });
                    }
                }
                TroubleKind::Busy { until } if now < until => {
                    if until + told.left_min > job.deadline {
                        return Gate::Shut(PoolRefusal::Busy {
                            last: Box::new(last.clone()),
                            retry_in: until.since(now),
                        });
                    }
                    return Gate::Later(until);
                }
                TroubleKind::Busy { .. } => {}
            },
        }
        let free_at = self.free_at(job, told);
        if free_at <= now {
            Gate::Open(lane)
        } else if free_at + told.left_min > job.deadline {
            Gate::Shut(PoolRefusal::Late {
                work: job.work,
                waited: now.since(submitted),
                reason: "the BMC is given [ipmi]min_command_interval between two commands",
            })
        } else {
            Gate::Later(free_at)
        }
    }

    /// When the pause between two conversations is over.
    fn free_at(&self, job: &Job, told: &PoolSettings) -> Mono {
        if self.protocol != Protocol::Ipmi {
            return Mono(0);
        }
        let after = |ended: Mono, pause: Duration| {
            if ended == Mono(0) {
                ended
            } else {
                ended + pause
            }
        };
        let after_read = after(self.read_at, told.read_interval);
        if job.work.is_write() {
            after_read.max(after(self.write_at, told.write_interval))
        } else {
            after_read
        }
    }

    pub(super) fn is_open(&self, told: &PoolSettings) -> bool {
        matches!(self.trouble.as_deref(), Some(Trouble { kind: TroubleKind::Silent { failures, .. }, .. })
            if *failures >= told.open_after)
    }

    pub(super) fn is_suspect(&self) -> bool {
        match self.trouble.as_deref() {
            Some(trouble) => !matches!(trouble.kind, TroubleKind::Busy { .. }),
            None => false,
        }
    }

    pub(super) fn auth_broken(&self) -> Option<(&Trouble, Mono)> {
        match self.trouble.as_deref() {
            Some(trouble) => match trouble.kind {
                TroubleKind::Auth { until } => Some((trouble, until)),
                TroubleKind::Silent { .. } | TroubleKind::Busy { .. } => None,
            },
            None => None,
        }
    }

    // --- Learning ---------------------------------------------------------------------------------

    /// Notes the end of a conversation, whatever came of it.
    pub(super) fn land(&mut self, write: bool, now: Mono) {
        self.flying = None;
        self.touched_at = now;
        if write {
            self.write_at = stamp(now);
        } else {
            self.read_at = stamp(now);
        }
    }

    /// The BMC said something. Returns the round trip over its best one in thousandths, if one is known, both as if nothing
    /// came sooner than [`QUICK`].
    pub(super) fn answered(&mut self, rtt: Option<Duration>, now: Mono) -> Option<u64> {
        self.trouble = None;
        self.answered_at = stamp(now);
        let sample = u32::try_from(rtt?.as_micros()).unwrap_or(u32::MAX).max(1);
        if self.srtt_us == 0 {
            self.srtt_us = sample;
            self.deviation_us = sample / 2;
            self.best_us = sample;
            return None;
        }
        let slow = |us: u32| Duration::from_micros(us.into()).max(QUICK).as_micros();
        let inflation = slow(sample) * 1000 / slow(self.best_us);
        let error = sample.abs_diff(self.srtt_us);
        self.deviation_us = self.deviation_us - self.deviation_us / 4 + error / 4;
        self.srtt_us = (self.srtt_us - self.srtt_us / 8)
            .saturating_add(sample / 8)
            .max(1);
        let drift = self.srtt_us.saturating_sub(self.best_us) / 64;
        self.best_us = self.best_us.saturating_add(drift).min(sample);
        u64::try_from(inflation).ok()
    }

    /// The BMC was silent. `spread` is a random number for the jitter.
    pub(super) fn silent(&mut self, last: BmcError, now: Mono, spread: u64, told: &PoolSettings) {
        let (failures, since) = match self.trouble.as_deref() {
            Some(Trouble {
                kind: TroubleKind::Silent { failures, .. },
                since,
                ..
            }) => (failures.saturating_add(1), *since),
            Some(_) | None => (1, now),
        };
        let doublings = failures.saturating_sub(told.open_after).min(16);
        let pause = told
            .probe_backoff_min
            .saturating_mul(1 << doublings)
            .min(told.probe_backoff_max);
        self.trouble = Some(Box::new(Trouble {
            kind: TroubleKind::Silent {
                failures,
                probe_at: now + jittered(pause, spread),
                user_at: now + told.user_probe_interval,
            },
            last,
            since,
        }));
    }

    /// New credentials: whatever barred the BMC is over.
    pub(super) fn credentials_changed(&mut self) {
        self.trouble = None;
        self.answered_at = Mono(0);
        self.credentials_changed = true;
    }

    pub(super) fn refused(&mut self, last: BmcError, now: Mono, told: &PoolSettings) {
        let since = self.auth_broken().map_or(now, |(trouble, _)| trouble.since);
        self.answered_at = Mono(0);
        self.trouble = Some(Box::new(Trouble {
            kind: TroubleKind::Auth {
                until: now + told.auth_backoff,
            },
            last,
            since,
        }));
    }

    /// Another conductor, or this one in a former life, was refused. What the BMC told us ourselves counts for more.
    pub(super) fn bar(&mut self, last: BmcError, now: Mono, told: &PoolSettings) -> bool {
        let knows_better = self.answered_at != Mono(0) || self.credentials_changed;
        if knows_better || self.auth_broken().is_some() {
            return false;
        }
        self.refused(last, now, told);
        true
    }

    pub(super) fn busy(
        &mut self,
        last: BmcError,
        wish: Option<Duration>,
        now: Mono,
        told: &PoolSettings,
    ) {
        let pause = wish.unwrap_or(told.busy_pause).min(told.busy_pause_max);
        self.answered_at = stamp(now);
        self.trouble = Some(Box::new(Trouble {
            kind: TroubleKind::Busy { until: now + pause },
            last,
            since: now,
        }));
    }

    // --- Learned numbers --------------------------------------------------------------------------

    pub(super) const fn srtt_us(&self) -> u32 {
        self.srtt_us
    }

    /// What the BMC may take for this job, all retransmissions and logins included.
    pub(super) fn timeout(&self, job: &Job, told: &PoolSettings) -> Duration {
        let failures = match self.trouble.as_deref() {
            Some(Trouble {
                kind: TroubleKind::Silent { failures, .. },
                ..
            }) => *failures,
            Some(_) | None => 0,
        };
        let learned = if self.srtt_us == 0 {
            told.read_timeout_initial
        } else {
            let us = u64::from(self.srtt_us) * 2 + u64::from(self.deviation_us) * 8;
            Duration::from_micros(us).max(told.read_timeout_min)
        };
        // Twice the patience after each silence, lest a BMC that became slow be taken for dead.
        let patient = learned
            .saturating_mul(1 << failures.min(3))
            .min(told.read_timeout_max);
        if job.work.is_long() {
            let slow = patient.saturating_mul(2);
            slow.clamp(told.write_timeout_min, told.write_timeout_max)
        } else if failures >= told.open_after {
            patient.min(told.probe_timeout)
        } else {
            patient
        }
    }

    /// After this long the call is no longer a normal one.
    pub(super) fn late_after(&self) -> Duration {
        if self.srtt_us == 0 {
            return LATE_UNKNOWN;
        }
        let us = u64::from(self.srtt_us) * 2 + u64::from(self.deviation_us) * 4;
        Duration::from_micros(us).max(LATE_MIN)
    }

    /// The estimated packets of one conversation now.
    pub(super) fn packets(&self, now: Mono, told: &PoolSettings) -> u64 {
        let warm = self.answered_at != Mono(0)
            && now.since(self.answered_at) <= told.warm_for
            && self.trouble.is_none();
        if warm {
            told.packets_warm
        } else {
            told.packets_cold
        }
    }
}

/// Half to all of a pause, so that BMCs that fell silent together are not probed together.
fn jittered(pause: Duration, spread: u64) -> Duration {
    let half = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 2;
    Duration::from_millis(half + spread % half.max(1))
}

/// A moment as it is stored where 0 stands for never; a millisecond does not matter.
const fn stamp(now: Mono) -> Mono {
    if now.0 == 0 { Mono(1) } else { now }
}
