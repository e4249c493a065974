//! The faults that one BMC carries, and what they make of its answers.

use super::{FAULT_MS_MAX, Fault, FaultKind, Spread};
use crate::sim::account::Lockout;
use crate::sim::draw::Draw;
use baton_model::env::Mono;
use baton_model::port::bmc::PowerReading;
use std::time::Duration;

/// The faults of one BMC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    set: Vec<(Fault, Mono)>,
}

impl Faults {
    /// Sets a fault, in the place of one of the same kind.
    pub fn set(&mut self, now: Mono, fault: Fault) {
        self.clear(fault.kind());
        self.set.push((fault, now));
    }

    /// Clears one kind; true if it was set.
    pub fn clear(&mut self, kind: FaultKind) -> bool {
        let before = self.set.len();
        self.set.retain(|(fault, _)| fault.kind() != kind);
        self.set.len() != before
    }

    /// Clears all.
    pub fn clear_all(&mut self) {
        self.set = Vec::new();
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set.is_empty()
    }

    /// All of them, in the order they were set, with the time of it.
    pub fn iter(&self) -> impl Iterator<Item = (Fault, Mono)> + '_ {
        self.set.iter().copied()
    }

    /// Whether a fault of this kind is set.
    #[must_use]
    pub fn has(&self, kind: FaultKind) -> bool {
        self.set.iter().any(|(fault, _)| fault.kind() == kind)
    }

    /// Whether the BMC cannot be reached; a reboot that is over is forgotten here.
    pub fn unreachable(&mut self, now: Mono) -> bool {
        if self.set.is_empty() {
            return false;
        }
        self.set.retain(|(fault, since)| {
            !matches!(*fault, Fault::Reboot { for_ms } if now >= *since + Duration::from_millis(for_ms))
        });
        self.has(FaultKind::Silent) || self.has(FaultKind::Reboot)
    }

    /// What the BMC claims instead of the truth.
    #[must_use]
    pub fn claim(&self, now: Mono) -> Option<PowerReading> {
        self.set.iter().find_map(|(fault, since)| {
            if let Fault::WrongState { reports } = *fault {
                return Some(reports.into());
            }
            if let Fault::Flapping { period_ms } = *fault {
                let elapsed = u64::try_from(now.since(*since).as_millis()).unwrap_or(0);
                Some(if elapsed % period_ms < period_ms.div_ceil(2) {
                    PowerReading::On
                } else {
                    PowerReading::Off
                })
            } else {
                None
            }
        })
    }

    /// How late the next answer is.
    pub fn delay(&self, draw: &mut Draw) -> Duration {
        for (fault, _) in &self.set {
            if let Fault::Slow {
                min_ms,
                max_ms,
                spread,
            } = *fault
            {
                let span = max_ms.saturating_sub(min_ms);
                let extra = match spread {
                    Spread::Uniform => draw.below(span.saturating_add(1)),
                    Spread::LongTail => long_tail(draw, span),
                };
                return Duration::from_millis(min_ms.saturating_add(extra));
            }
        }
        Duration::ZERO
    }

    /// The probability of a loss, of garbage, of a cut.
    #[must_use]
    pub fn fraction(&self, kind: FaultKind) -> f64 {
        self.set
            .iter()
            .filter(|(fault, _)| fault.kind() == kind)
            .find_map(|(fault, _)| {
                if let Fault::Loss { fraction }
                | Fault::Garbage { fraction }
                | Fault::ResetMidBody { fraction } = *fault
                {
                    Some(fraction)
                } else {
                    None
                }
            })
            .unwrap_or(0.0)
    }

    /// Whether the BMC is busy, and the seconds of its `Retry-After`.
    #[must_use]
    pub fn busy(&self) -> Option<Option<u32>> {
        self.set.iter().find_map(|(fault, _)| {
            if let Fault::Busy { retry_after_s } = *fault {
                Some(retry_after_s)
            } else {
                None
            }
        })
    }

    /// The lockout rule, if one is set.
    #[must_use]
    pub fn lockout(&self) -> Option<Lockout> {
        self.set.iter().find_map(|(fault, _)| {
            if let Fault::Lockout { after, for_ms } = *fault {
                let length = Duration::from_millis(for_ms);
                Some(Lockout { after, length })
            } else {
                None
            }
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a delay of at most a day in milliseconds is exact in an f64 and never negative"
)]
fn long_tail(draw: &mut Draw, span_ms: u64) -> u64 {
    let span = span_ms.min(FAULT_MS_MAX) as f64;
    let exponential = -(1.0 - draw.unit()).ln();
    (exponential * span / 5.0).min(span) as u64
}
