//! The BMC port: what the sync pool asks of a machine's controller. Implemented by `baton-bmc` and by simulations.

use super::BoxFuture;
use super::chore::Chore;
use super::inquiry::{Disclosure, Inquiry};
use crate::driver::BmcTarget;
use crate::json::Json;
use crate::node::boot::{BootMode, BootOrder};
use crate::node::intent::BmcSession;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What a BMC reports about its machine's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PowerReading {
    /// On and settled.
    On,
    /// Off and settled.
    Off,
    /// On its way to on (Redfish `PoweringOn`); ends no wait and agrees with nothing.
    PoweringOn,
    /// On its way to off (Redfish `PoweringOff`).
    PoweringOff,
    /// The BMC answered but does not know (Redfish `Paused`, null or an unknown word).
    Unknown,
}

/// A single command to a machine, one BMC call each. Waiting for its effect is the caller's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PowerAction {
    /// IPMI power up; Redfish `On`.
    On,
    /// IPMI power down; Redfish `ForceOff`.
    Off,
    /// IPMI ACPI soft shutdown; Redfish `GracefulShutdown`.
    SoftOff,
    /// IPMI hard reset; Redfish `ForceRestart`.
    Reset,
    /// IPMI power cycle; Redfish `PowerCycle`, else `ForceRestart`.
    Cycle,
    /// Redfish `GracefulRestart`; IPMI has no such command.
    SoftReset,
    /// Diagnostic interrupt: IPMI pulse diagnostic; Redfish `Nmi`.
    Nmi,
    /// Boot from this: IPMI boot flags; Redfish boot override.
    BootFrom(BootOrder),
    /// Boot in this mode: Redfish `BootSourceOverrideMode`.
    BootMode(BootMode),
    /// Boot signed code only, or any: Redfish `SecureBootEnable`.
    SecureBoot(bool),
    /// Something beside the machine's power, which may carry more than its name.
    Chore(Chore),
}

impl PowerAction {
    /// Whether saying it twice does what saying it once does. The others restart or interrupt the machine each time.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        match self {
            Self::On
            | Self::Off
            | Self::SoftOff
            | Self::BootFrom(_)
            | Self::BootMode(_)
            | Self::SecureBoot(_) => true,
            Self::Reset | Self::Cycle | Self::SoftReset | Self::Nmi => false,
            Self::Chore(chore) => chore.is_repeatable(),
        }
    }

    /// The words of errors and logs, without what the command carries.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::On => "power on",
            Self::Off => "power off",
            Self::SoftOff => "power soft",
            Self::Reset => "power reset",
            Self::Cycle => "power cycle",
            Self::SoftReset => "power soft reset",
            Self::Nmi => "power diag",
            Self::BootFrom(_) => "set boot device",
            Self::BootMode(_) => "set boot mode",
            Self::SecureBoot(_) => "set secure boot",
            Self::Chore(chore) => chore.operation(),
        }
    }
}

impl fmt::Display for PowerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation())?;
        match self {
            Self::BootFrom(order) => write!(f, " {}", order.device),
            Self::BootMode(mode) => write!(f, " {mode}"),
            Self::SecureBoot(on) => write!(f, " {}", if *on { "on" } else { "off" }),
            Self::On
            | Self::Off
            | Self::SoftOff
            | Self::Reset
            | Self::Cycle
            | Self::SoftReset
            | Self::Nmi
            | Self::Chore(_) => Ok(()),
        }
    }
}

/// What a BMC says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BmcIdentity {
    /// Who made it, as Ironic records it: the name in ipmitool's table, or the system's `Manufacturer`.
    pub vendor: Option<Box<str>>,
    /// Model or device id.
    pub model: Option<Box<str>>,
    /// Firmware version.
    pub firmware: Option<Box<str>>,
}

/// What an answer to [`BmcError::class`] means for whoever called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// May go away by itself; retry later.
    Transient,
    /// Somebody has to act (credentials, address, certificate); retrying makes it worse.
    NeedsOperator,
    /// The BMC understood and declined; retrying the same is pointless.
    Declined,
}

/// Why a BMC call failed. The texts reach `last_error`, so they name the BMC, what was attempted and the limit hit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BmcError {
    /// No answer within the budget.
    #[error("BMC {bmc} did not answer `{operation}` within {} ms ({attempts} attempts)", within.as_millis())]
    Silent {
        /// Address and port.
        bmc: Box<str>,
        /// What was attempted.
        operation: &'static str,
        /// The whole budget.
        within: Duration,
        /// Datagrams or connections tried.
        attempts: u32,
    },
    /// The connection could not be made.
    #[error("BMC {bmc} is unreachable: {reason}")]
    Unreachable {
        /// Address and port.
        bmc: Box<str>,
        /// The system's words.
        reason: Box<str>,
    },
    /// The credentials were refused. Trips the auth breaker.
    #[error("BMC {bmc} refused user `{username}` ({reason})")]
    Refused {
        /// Address and port.
        bmc: Box<str>,
        /// The user name that was tried.
        username: Box<str>,
        /// The protocol's words, such as `RAKP 2 HMAC is invalid` or `HTTP 401`.
        reason: Box<str>,
    },
    /// The BMC has no free session or asks for patience.
    #[error("BMC {bmc} is busy: {reason}")]
    Busy {
        /// Address and port.
        bmc: Box<str>,
        /// The protocol's words, such as `insufficient resources for session`.
        reason: Box<str>,
        /// When to come back, if it said so (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The TLS handshake failed or the certificate was not accepted.
    #[error("BMC {bmc} failed the TLS check: {reason}")]
    Tls {
        /// Address and port.
        bmc: Box<str>,
        /// What rustls says.
        reason: Box<str>,
    },
    /// The answer could not be understood.
    #[error("could not read the answer of BMC {bmc} to `{operation}`: {reason}")]
    Garbled {
        /// Address and port.
        bmc: Box<str>,
        /// What was attempted.
        operation: &'static str,
        /// What was wrong with the answer.
        reason: Box<str>,
    },
    /// The BMC declined the command.
    #[error("BMC {bmc} declined `{operation}`: {reason}")]
    Declined {
        /// Address and port.
        bmc: Box<str>,
        /// What was attempted.
        operation: &'static str,
        /// Completion code or HTTP status with its message.
        reason: Box<str>,
    },
    /// The BMC or protocol has no such operation.
    #[error("BMC {bmc} does not support `{operation}`: {reason}")]
    Unsupported {
        /// Address and port.
        bmc: Box<str>,
        /// What was attempted.
        operation: &'static str,
        /// Why, with the values that are allowed.
        reason: Box<str>,
    },
    /// The session that a command belongs to has ended; the command had no effect.
    #[error("`{operation}` was not sent to BMC {bmc}: the session that it belongs to has ended")]
    SessionOver {
        /// Address and port.
        bmc: Box<str>,
        /// What was attempted.
        operation: &'static str,
    },
    /// The configuration names no such resource or host.
    #[error("BMC {bmc} cannot be used as configured: {reason}")]
    Misconfigured {
        /// Address and port.
        bmc: Box<str>,
        /// What does not fit, and which key to change.
        reason: Box<str>,
    },
}

impl BmcError {
    /// Decides retry and who is told.
    #[must_use]
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Silent { .. }
            | Self::Unreachable { .. }
            | Self::Busy { .. }
            | Self::Garbled { .. }
            | Self::SessionOver { .. } => ErrorClass::Transient,
            Self::Refused { .. } | Self::Tls { .. } | Self::Misconfigured { .. } => {
                ErrorClass::NeedsOperator
            }
            Self::Declined { .. } | Self::Unsupported { .. } => ErrorClass::Declined,
        }
    }
}

/// What an implementation without this operation answers.
fn not_simulated(operation: &'static str) -> BmcError {
    BmcError::Unsupported {
        bmc: "in simulation".into(),
        operation,
        reason: "it has nothing of the kind".into(),
    }
}

/// What a read of the power state tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PowerRead {
    /// The power state.
    pub power: PowerReading,
    /// The session that is open with the BMC after the read, if it is known: the one that a write would leave in.
    pub session: Option<BmcSession>,
}

/// Access to all BMCs. Implementations keep sessions and connections warm per target (a bounded number, for a bounded
/// life) and never run more than one conversation with a BMC for one call. Each call ends within `budget`, all its
/// retransmissions, handshakes and re-logins included; dropping the future abandons the call.
pub trait Bmc: Send + Sync {
    /// Reads the power state; opens a session where there is none.
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<PowerRead, BmcError>>;

    /// Sends one power command in `session` and in no other, and returns once the BMC accepted it. Whoever ends that
    /// session has fenced the command off. [`BmcSession::Unbound`] is for BMCs that are used without sessions.
    ///
    /// Ends with [`BmcError::SessionOver`] if the session is known to be over; then the command had no effect.
    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>>;

    /// Ends a session, whoever opened it, from a session of our own. `Ok` once the BMC knows no such session (any more).
    fn end_session<'a>(
        &'a self,
        target: &'a BmcTarget,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>>;

    /// Sends one command that carries something, under the rules of [`Self::power_action`].
    fn chore<'a>(
        &'a self,
        target: &'a BmcTarget,
        chore: Chore,
        cargo: &'a Json,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        let _does_nothing = (target, cargo, session, budget);
        Box::pin(async move { Err(not_simulated(chore.operation())) })
    }

    /// Asks something besides the power state.
    fn ask<'a>(
        &'a self,
        target: &'a BmcTarget,
        inquiry: Inquiry,
        budget: Duration,
    ) -> BoxFuture<'a, Result<Disclosure, BmcError>> {
        let _asks_nobody = (target, budget);
        Box::pin(async move { Err(not_simulated(inquiry.operation())) })
    }

    /// Asks who the BMC is (IPMI Get Device ID; Redfish system and manager).
    fn identify<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<BmcIdentity, BmcError>>;

    /// Ends the warm session with this BMC, if there is one, and forgets what was learned about it.
    fn forget<'a>(&'a self, target: &'a BmcTarget) -> BoxFuture<'a, ()>;

    /// Ends every session, politely, within `budget`. For a graceful stop.
    fn close<'a>(&'a self, budget: Duration) -> BoxFuture<'a, ()>;
}
