//! The misbehaviours that can be injected into a simulated BMC, as data: set and cleared one by one or for ranges.
//!
//! The JSON shape is the one of the control endpoint: `{"kind": "slow", "min_ms": 50, "max_ms": 400}`. A BMC holds at
//! most one fault of each kind; setting a kind again replaces it. A healthy BMC carries no allocation for this.

mod set;
#[cfg(test)]
mod tests;

use baton_model::port::bmc::PowerReading;
use serde::{Deserialize, Serialize};
pub use set::Faults;

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
