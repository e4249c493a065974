//! What the sync pool is told and what it sends back.

use super::ReplyTo;
use actix::Message;
use baton_model::driver::BmcTarget;
use baton_model::hardware;
use baton_model::ids::{NodeId, Ticket};
use baton_model::json::Json;
use baton_model::node::intent::BmcSession;
use baton_model::node::record::NodeRecord;
use baton_model::pool::{BlockPrefix, BmcKey, Endpoint, Job, PoolSettings, PoolStats, Report};
use baton_model::port::bmc::BmcError;

// --- Submit -------------------------------------------------------------------------------------

/// Asks for one conversation with a BMC. Exactly one [`BmcReport`] follows, unless the asker cancels or its mailbox
/// is closed. See [`super::PoolAddr::submit`].
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// What to do, for whom, until when.
    pub job: Job,
    /// How to reach the BMC.
    pub target: BmcTarget,
    /// What a command carries.
    pub cargo: Json,
    /// The session that a power command must leave in, or that is to be ended.
    pub session: Option<BmcSession>,
    /// Who gets the report.
    pub reply_to: ReplyTo,
}

/// The end of one submitted job.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct BmcReport(pub Report);

// --- Cancel -------------------------------------------------------------------------------------

/// Takes a job back. One that has left is not stopped (a half-done conversation helps nobody), but its report is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Cancel {
    /// The BMC that the job is for.
    pub bmc: BmcKey,
    /// The node that asked.
    pub node: NodeId,
    /// Its name for the question.
    pub ticket: Ticket,
}

// --- Forget -------------------------------------------------------------------------------------

/// A node was deleted, handed over, or has another BMC now: its waiting jobs are refused and what was learned about the
/// BMC is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Forget {
    /// The BMC.
    pub bmc: BmcKey,
    /// The node that leaves it.
    pub node: NodeId,
    /// The target whose warm session ends.
    pub target: BmcTarget,
}

// --- CredentialsChanged -------------------------------------------------------------------------

/// An operator changed `driver_info`: the auth breaker closes, the next job of any priority is let through, and what
/// waits to leave will leave with the new credentials: the old ones, refused, would open the breaker again.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct CredentialsChanged {
    /// The BMC.
    pub bmc: BmcKey,
    /// The node.
    pub node: NodeId,
    /// How the BMC is reached from now on.
    pub new: BmcTarget,
    /// The old target, whose warm session ends; `None` if it is not known.
    pub old: Option<BmcTarget>,
}

// --- Bar ----------------------------------------------------------------------------------------

/// The record of a node says that its BMC refused the login: another conductor was told so, or this one in a former life.
/// The pool does not try again before it would have after a refusal of its own.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Bar {
    /// The node.
    pub node: NodeId,
    /// Its BMC.
    pub endpoint: Endpoint,
    /// The refusal.
    pub refusal: BmcError,
}

impl Bar {
    /// What a node's record tells the pool, if it tells anything.
    #[must_use]
    pub fn of(record: &NodeRecord, prefix: BlockPrefix) -> Option<Self> {
        let refused = record.login_refused.as_ref()?;
        let target = hardware::bmc_target(record).ok()?;
        Some(Self {
            node: record.id,
            endpoint: Endpoint::of(record.id, &target, prefix),
            refusal: BmcError::Refused {
                bmc: refused.bmc.clone(),
                username: refused.username.clone(),
                reason: refused.reason.clone(),
            },
        })
    }
}

// --- GetStats -----------------------------------------------------------------------------------

/// Asks for the pool's picture. It walks over all BMCs: for people and scrapers, not for every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "PoolStats")]
pub struct GetStats;

// --- Configure ----------------------------------------------------------------------------------

/// New numbers, from a reload of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Configure(pub PoolSettings);
