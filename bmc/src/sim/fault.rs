//! The misbehaviours that can be injected into a simulated BMC, as data: set and cleared one by one or for ranges.
//!
//! The JSON shape is the one of the control endpoint: `{"kind": "slow", "min_ms": 50, "max_ms": 400}`. A BMC holds at
//! most one fault of each kind; setting a kind again replaces it. A healthy BMC carries no allocation for this.

use super::account::Lockout;
use super::draw::Draw;
use baton_model::env::Mono;
use baton_model::port::bmc::PowerReading;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A power state as a fault can claim it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Claim {
    /// On.
    On,
    /// Off.
    Off,
    /// On its way to on; IPMI cannot say that and reports off.
    PoweringOn,
    /// On its way to off; IPMI cannot say that and reports on.
    PoweringOff,
    /// Not known: Redfish says null, IPMI answers "BMC initialization in progress".
    Unknown,
}

impl From<Claim> for PowerReading {
    fn from(claim: Claim) -> Self {
        match claim {
            Claim::On => Self::On,
            Claim::Off => Self::Off,
            Claim::PoweringOn => Self::PoweringOn,
            Claim::PoweringOff => Self::PoweringOff,
            Claim::Unknown => Self::Unknown,
        }
    }
}

/// How answer delays are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spread {
    /// Every delay between the two is as likely.
    #[default]
    Uniform,
    /// Mostly near the lower end with a long tail, cut at the upper one; the mean lies a fifth of the way.
    LongTail,
}

/// One injected misbehaviour.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fault {
    /// Takes everything in and answers nothing.
    Silent,
    /// Answers late.
    Slow {
        /// Shortest delay.
        min_ms: u64,
        /// Longest delay.
        max_ms: u64,
        /// How the delays are spread.
        #[serde(default)]
        spread: Spread,
    },
    /// Reports this power state whatever the truth is.
    WrongState {
        /// What it claims.
        reports: Claim,
    },
    /// Says yes to every power command and does nothing.
    IgnoresCommands,
    /// Reports on and off in turns, whatever the truth is.
    Flapping {
        /// Length of one on and one off together.
        period_ms: u64,
    },
    /// Has no free session.
    SessionFull,
    /// Is busy: HTTP 503, IPMI completion code `C0h`.
    Busy {
        /// Seconds for the `Retry-After` header; none sends no such header.
        #[serde(default)]
        retry_after_s: Option<u32>,
    },
    /// Locks everybody out after bad logins; each try while locked starts the time anew.
    Lockout {
        /// Bad logins in a row until it locks.
        after: u32,
        /// How long.
        for_ms: u64,
    },
    /// The BMC restarts: unreachable for a while, its sessions are lost, then this fault is gone.
    Reboot {
        /// How long it is unreachable.
        for_ms: u64,
    },
    /// Loses datagrams, each way, with this probability. Redfish requests wait a retransmission instead.
    Loss {
        /// From 0 to 1.
        fraction: f64,
    },
    /// Answers with bytes that mean nothing, with this probability.
    Garbage {
        /// From 0 to 1.
        #[serde(default = "always")]
        fraction: f64,
    },
    /// Breaks the connection in the middle of a Redfish body, with this probability; cuts IPMI answers short.
    ResetMidBody {
        /// From 0 to 1.
        #[serde(default = "always")]
        fraction: f64,
    },
    /// Presents a certificate of another authority on new connections.
    ChangedCertificate,
    /// Speaks only TLS 1.0: refuses every modern handshake.
    OldTls,
}

const fn always() -> f64 {
    1.0
}

/// The kind of a fault, without its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    missing_docs,
    reason = "each is the kind of the fault of the same name"
)]
pub enum FaultKind {
    Silent,
    Slow,
    WrongState,
    IgnoresCommands,
    Flapping,
    SessionFull,
    Busy,
    Lockout,
    Reboot,
    Loss,
    Garbage,
    ResetMidBody,
    ChangedCertificate,
    OldTls,
}

/// Why a fault cannot be injected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// A probability that is none.
    #[error("fault `{kind}`: `fraction` must be between 0 and 1")]
    Fraction {
        /// The kind's name.
        kind: &'static str,
    },
    /// The bounds are the wrong way round.
    #[error("fault `slow`: `min_ms` {min_ms} is greater than `max_ms` {max_ms}")]
    Bounds {
        /// As given.
        min_ms: u64,
        /// As given.
        max_ms: u64,
    },
    /// A figure out of its range.
    #[error("fault `{kind}`: `{field}` must be between 1 and {max}")]
    Range {
        /// The kind's name.
        kind: &'static str,
        /// The field.
        field: &'static str,
        /// The largest value.
        max: u64,
    },
}

/// Longest time a fault may name: a day. Longer is `silent`.
const FAULT_MS_MAX: u64 = 86_400_000;

impl Fault {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::Silent => FaultKind::Silent,
            Self::Slow { .. } => FaultKind::Slow,
            Self::WrongState { .. } => FaultKind::WrongState,
            Self::IgnoresCommands => FaultKind::IgnoresCommands,
            Self::Flapping { .. } => FaultKind::Flapping,
            Self::SessionFull => FaultKind::SessionFull,
            Self::Busy { .. } => FaultKind::Busy,
            Self::Lockout { .. } => FaultKind::Lockout,
            Self::Reboot { .. } => FaultKind::Reboot,
            Self::Loss { .. } => FaultKind::Loss,
            Self::Garbage { .. } => FaultKind::Garbage,
            Self::ResetMidBody { .. } => FaultKind::ResetMidBody,
            Self::ChangedCertificate => FaultKind::ChangedCertificate,
            Self::OldTls => FaultKind::OldTls,
        }
    }

    /// Refuses figures that mean nothing.
    ///
    /// # Errors
    /// Says which field of which kind, and its bounds.
    pub fn check(&self) -> Result<(), FaultError> {
        let fraction = |kind, fraction: f64| {
            if (0.0..=1.0).contains(&fraction) {
                Ok(())
            } else {
                Err(FaultError::Fraction { kind })
            }
        };
        let length = |kind, field, value: u64| {
            if (1..=FAULT_MS_MAX).contains(&value) {
                Ok(())
            } else {
                Err(FaultError::Range {
                    kind,
                    field,
                    max: FAULT_MS_MAX,
                })
            }
        };
        match *self {
            Self::Slow { min_ms, max_ms, .. } if min_ms > max_ms => {
                Err(FaultError::Bounds { min_ms, max_ms })
            }
            Self::Slow { max_ms, .. } => length("slow", "max_ms", max_ms),
            Self::Flapping { period_ms } => length("flapping", "period_ms", period_ms),
            Self::Reboot { for_ms } => length("reboot", "for_ms", for_ms),
            Self::Lockout { after: 0, .. } => Err(FaultError::Range {
                kind: "lockout",
                field: "after",
                max: u64::from(u32::MAX),
            }),
            Self::Lockout { for_ms, .. } => length("lockout", "for_ms", for_ms),
            Self::Loss { fraction: p } => fraction("loss", p),
            Self::Garbage { fraction: p } => fraction("garbage", p),
            Self::ResetMidBody { fraction: p } => fraction("reset-mid-body", p),
            Self::Silent
            | Self::WrongState { .. }
            | Self::IgnoresCommands
            | Self::SessionFull
            | Self::Busy { .. }
            | Self::ChangedCertificate
            | Self::OldTls => Ok(()),
        }
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_shape_is_the_documented_one() {
        let fault: Fault =
            serde_json::from_str(r#"{"kind":"slow","min_ms":5,"max_ms":9}"#).unwrap();
        assert_eq!(fault.kind(), FaultKind::Slow);
        let fault: Fault = serde_json::from_str(r#"{"kind":"garbage"}"#).unwrap();
        assert_eq!(fault, Fault::Garbage { fraction: 1.0 });
        let bad = serde_json::from_str::<Fault>(r#"{"kind":"loss","fraction":0.5,"x":1}"#);
        assert!(bad.is_err());
        assert!(Fault::Loss { fraction: 1.5 }.check().is_err());
        assert!(
            Fault::Slow {
                min_ms: 9,
                max_ms: 5,
                spread: Spread::Uniform
            }
            .check()
            .is_err()
        );
    }

    #[test]
    fn a_reboot_ends_by_itself() {
        let mut faults = Faults::default();
        faults.set(Mono(100), Fault::Reboot { for_ms: 50 });
        assert!(faults.unreachable(Mono(149)));
        assert!(!faults.unreachable(Mono(150)));
        assert!(faults.is_empty());
    }

    #[test]
    fn flapping_claims_both_in_turn() {
        let mut faults = Faults::default();
        faults.set(Mono(0), Fault::Flapping { period_ms: 10 });
        assert_eq!(faults.claim(Mono(4)), Some(PowerReading::On));
        assert_eq!(faults.claim(Mono(5)), Some(PowerReading::Off));
        assert_eq!(faults.claim(Mono(10)), Some(PowerReading::On));
    }

    #[test]
    fn delays_stay_within_their_bounds() {
        let mut draw = Draw::new(1, 1);
        for spread in [Spread::Uniform, Spread::LongTail] {
            let mut faults = Faults::default();
            faults.set(
                Mono(0),
                Fault::Slow {
                    min_ms: 10,
                    max_ms: 20,
                    spread,
                },
            );
            for _ in 0..1000 {
                let delay = faults.delay(&mut draw).as_millis();
                assert!((10..=20).contains(&delay), "{delay} ms of {spread:?}");
            }
        }
    }
}
