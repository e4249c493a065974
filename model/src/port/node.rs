//! The node port: requests for work that the owner of a node does. Implemented by the node actors for nodes owned
//! here, and by the router in `src` that forwards to the owner.

use super::BoxFuture;
use super::chore::Chore;
use super::inquiry::{Disclosure, Inquiry};
use crate::ids::{ConductorId, NodeId, RequestId, WallMs};
use crate::json::Json;
use crate::node::boot::{BootDevice, BootMode};
use crate::node::edit::Refused;
use crate::node::power::PowerRequest;
use crate::node::provision::Verb;
use serde::{Deserialize, Serialize};

/// Work that is asked of a node's owner. Travels between conductors; append variants only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NodeRequest {
    /// `PUT …/states/power`; checked by the API for everything that needs no lock.
    Power {
        /// What is wanted.
        request: PowerRequest,
        /// Caller's timeout in seconds.
        timeout_s: Option<u32>,
        /// Who wants it.
        caller: Caller,
    },
    /// `PUT …/states/provision`.
    Provision {
        /// The verb.
        verb: Verb,
        /// The rest of the body (`clean_steps`, `configdrive`, …).
        arguments: Json,
    },
    /// `PUT …/management/inject_nmi`.
    InjectNmi,
    /// Read the power state now, outside the schedule (admin endpoint).
    SyncNow,
    /// What the owner knows beyond the record.
    Inspect,
    /// Ask the BMC something; waits for no lock.
    Ask(Inquiry),
    /// `PUT …/management/boot_device`
    SetBootDevice {
        /// The device.
        device: BootDevice,
        /// Whether it stays.
        persistent: bool,
    },
    /// `PUT …/states/boot_mode`
    SetBootMode(BootMode),
    /// `PUT …/states/secure_boot`
    SetSecureBoot(bool),
    /// Something beside the machine's power.
    Chore {
        /// What.
        chore: Chore,
        /// What it carries.
        cargo: Json,
        /// Answer once it is done, not when it has begun.
        at_end: bool,
    },
}

/// On whose behalf a power request came.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Caller {
    /// A person or a tool.
    Operator,
    /// The compute service, which need not be kept from undoing what it asked for itself.
    Compute,
}

/// The owner's answer to a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NodeAnswer {
    /// The intent is in the log (or nothing had to be done): 202.
    Accepted,
    /// The work is done: 204.
    Done,
    /// Answer to [`NodeRequest::Inspect`].
    Live(NodeLive),
    /// Answer to [`NodeRequest::Ask`].
    Disclosed(Box<Disclosure>),
}

/// What only the owner knows: the freshness of the record.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct NodeLive {
    /// When the recorded power state was last confirmed by the BMC.
    pub confirmed_at: Option<WallMs>,
    /// Age of that read in milliseconds, by the owner's monotonic clock.
    pub confirmed_age_ms: Option<u64>,
    /// Milliseconds until the next read is due.
    pub next_sync_in_ms: Option<u64>,
    /// What the node waits for, if for anything.
    pub waiting_for: Option<Box<str>>,
    /// Requests waiting for the lock.
    pub queued: u32,
    /// The last error of a BMC call.
    pub bmc_error: Option<Box<str>>,
    /// Round-trip time of the last read, in microseconds.
    pub rtt_us: Option<u64>,
}

/// Why a request was not taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
pub enum NodeError {
    /// A rule of the API.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// This conductor does not own the node (any more); ask this one, if it is known.
    #[error("the node is owned by another conductor")]
    NotOwner(Option<ConductorId>),
    /// Nobody can take it now; come back. 503 with `Retry-After`.
    #[error("{reason}")]
    Unavailable {
        /// What is missing.
        reason: Box<str>,
        /// Seconds to wait.
        retry_after_s: u32,
    },
}

/// Takes requests for nodes.
pub trait NodeGateway: Send + Sync {
    /// Hands `request` to the owner of `node` and waits for its answer.
    fn request(
        &self,
        node: NodeId,
        id: RequestId,
        request: NodeRequest,
    ) -> BoxFuture<'_, Result<NodeAnswer, NodeError>>;
}
