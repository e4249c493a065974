//! The lease port: asked right before a BMC write leaves. Implemented where the conductor's session lives.

use crate::ids::{Epoch, NodeId};

/// Tells whether this conductor may still write to a node's BMC.
///
/// It must answer from what is known here and now, without waiting: the caller stands between its decision and the
/// packet. `false` is always safe; `true` promises that the session is alive and that `epoch` is the node's tenure.
pub trait LeaseCheck: Send + Sync {
    /// Whether a write for `node` under `epoch` may leave now.
    fn may_write(&self, node: NodeId, epoch: Epoch) -> bool;
}
