//! Intents: the exclusive lock of a node *is* the work that holds it.
//!
//! An intent enters the log before its first effect and leaves it in the same entry that records the result. So
//! whoever owns the node next can see what was going on, for whom, and since when.

use super::boot::{BootDevice, BootMode};
use super::power::PowerRequest;
use super::provision::Verb;
use crate::command::Session;
use crate::ids::{ConductorId, Epoch, Incarnation, IntentId, RequestId, WallMs};
use crate::json::Json;
use crate::port::bmc::PowerAction;
use crate::port::chore::Chore;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Work that holds a node's lock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// Unique per node, growing.
    pub id: IntentId,
    /// What is being done.
    pub kind: IntentKind,
    /// Who does it.
    pub holder: ConductorId,
    /// In which life.
    pub incarnation: Incarnation,
    /// Under which tenure.
    pub epoch: Epoch,
    /// When it was opened, by the holder's wall clock; a label.
    pub since: WallMs,
    /// How long it may take, in seconds; after that it is failed by whoever owns the node.
    pub limit_s: u32,
    /// The API request that asked for it.
    pub request: Option<RequestId>,
    /// The last BMC write that was announced. None leaves before its announcement is in the log, so a successor knows
    /// which session to end, and what may have happened.
    pub write: Option<BmcWrite>,
}

impl Intent {
    /// The life of the conductor that holds it.
    #[must_use]
    pub const fn holder_session(&self) -> Session {
        Session {
            conductor: self.holder,
            incarnation: self.incarnation,
        }
    }
}

/// A BMC write that is about to leave, or has left.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BmcWrite {
    /// The session that it uses; it leaves in no other.
    pub session: BmcSession,
    /// The command.
    pub action: PowerAction,
    /// The BMC took it. Noted only where a repetition would do harm ([`PowerAction::is_repeatable`]).
    pub accepted: bool,
}

/// What an intent does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum IntentKind {
    /// A power change.
    Power {
        /// What was asked for.
        request: PowerRequest,
        /// The caller's timeout in seconds, if it gave one.
        timeout_s: Option<u32>,
    },
    /// A provision verb with a worker behind it.
    Provision {
        /// The verb.
        verb: Verb,
    },
    /// A diagnostic interrupt.
    InjectNmi,
    /// Another boot device.
    BootDevice {
        /// The device.
        device: BootDevice,
        /// Whether it stays.
        persistent: bool,
    },
    /// Another boot mode.
    BootMode(BootMode),
    /// Secure boot on or off.
    SecureBoot(bool),
    /// Something beside the machine's power.
    Chore {
        /// What.
        chore: Chore,
        /// What it carries.
        cargo: Json,
    },
}

impl IntentKind {
    /// Ironic's purpose string of the lock.
    #[must_use]
    pub const fn purpose(&self) -> &'static str {
        match self {
            Self::Power { .. } => "changing node power state",
            Self::Provision { verb } => match verb {
                Verb::Deploy | Verb::Rebuild => "node deployment",
                Verb::Delete => "node tear down",
                Verb::Clean => "node manual cleaning",
                Verb::Service => "node service",
                Verb::Rescue => "node rescue",
                Verb::Unrescue => "node unrescue",
                Verb::Inspect => "hardware inspection",
                Verb::Manage => "provision action manage",
                Verb::Provide => "provision action provide",
                Verb::Adopt => "provision action adopt",
                Verb::Abort => "provision action abort",
                Verb::Unhold => "provision action unhold",
                Verb::Done | Verb::Fail | Verb::Wait | Verb::Resume | Verb::Hold => {
                    "provision action"
                }
            },
            Self::InjectNmi => "inject nmi",
            Self::BootDevice { .. } => "setting boot device",
            Self::BootMode(_) => "changing node boot mode",
            Self::SecureBoot(_) => "changing node secure",
            Self::Chore {
                chore: Chore::Light,
                ..
            } => "indicator set",
            Self::Chore { .. } => "calling vendor passthru",
        }
    }
}

/// Names one session at a BMC, enough for another conductor to end it. Holds no secret.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BmcSession {
    /// The managed system's session id (IPMI 2.0 §22.19, Close Session).
    Ipmi(u32),
    /// The path of the Redfish session resource (DSP0266 §13.3.4.4).
    Redfish(Box<str>),
    /// The BMC is used without sessions (Redfish basic authentication), so nothing at the BMC stops a late write: a
    /// successor waits out the command's limit instead.
    Unbound,
}

impl fmt::Display for BmcSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipmi(id) => write!(f, "IPMI session {id:#010x}"),
            Self::Redfish(path) => write!(f, "Redfish session {path}"),
            Self::Unbound => f.write_str("no session"),
        }
    }
}
