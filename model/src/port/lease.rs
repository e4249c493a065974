//! The lease port: asked right before a BMC write leaves. Implemented where the conductor's session lives.

use crate::ids::{Epoch, NodeId};
use crate::node::intent::BmcSession;
use crate::port::bmc::PowerAction;
use std::time::Duration;

/// What is about to leave for a BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving<'a> {
    /// A power command in the session that was announced for it.
    Command {
        /// The command.
        action: PowerAction,
        /// The session.
        session: &'a BmcSession,
    },
    /// The end of a session that a former holder's write may still use.
    EndSession,
}

/// Tells operators how long this conductor may act without another renewal. Never used for a decision.
pub trait OwnLease: Send + Sync {
    /// What is left of the lease now; zero once it is over.
    fn remaining(&self) -> Duration;
}

/// Tells whether this conductor may still write to a node's BMC.
///
/// It must answer from what is known here and now, without waiting: the caller stands between its decision and the
/// packet. `false` is always safe; `true` promises that the conductor's session is alive, that
/// `epoch` is the node's tenure, that this conductor holds the node's intent, and that a command is the announced one.
pub trait LeaseCheck: Send + Sync {
    /// Whether `leaving` may leave for `node` under `epoch` now.
    fn may_write(&self, node: NodeId, epoch: Epoch, leaving: Leaving<'_>) -> bool;
}
