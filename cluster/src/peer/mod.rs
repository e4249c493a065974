//! How conductors talk: one TCP (or mutual TLS) connection per peer and purpose, many requests at a time on each.
//!
//! [`transport`] opens and accepts streams, in production by TCP, in simulation by the simulator. [`frame`] cuts them
//! into bounded messages. [`link`] asks, [`server`] answers. A peer of another cluster, one that is not whom it was
//! taken for, and the second of two processes with one identity ([`lives`]) are refused in the first message.

pub mod frame;
pub mod link;
pub mod lives;
pub mod server;
pub mod tls;
pub mod transport;

use crate::raft::types::RaftId;
use baton_model::ids::Incarnation;
use uuid::Uuid;

/// Who we are, as said to every peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Local {
    /// The cluster; nil while joining.
    pub cluster: Uuid,
    /// This conductor; zero while joining.
    pub id: RaftId,
    /// Its life.
    pub incarnation: Incarnation,
    /// A number that this process drew.
    pub life: u64,
}
