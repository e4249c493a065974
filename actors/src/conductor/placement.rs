//! Where node actors run, and what happens when one panics.

use super::{ConductorActor, NodeDied};
use crate::node::{MAILBOX, NodeActor};
use crate::shared::Shared;
use actix::dev::channel;
use actix::{Addr, Context, WeakRecipient};
use actix_rt::ArbiterHandle;
use baton_model::node::core::FirstRead;
use baton_model::node::record::NodeRecord;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// The threads that node actors live on.
#[derive(Clone)]
pub enum Placement {
    /// The thread of the conductor itself: tests and simulations.
    Here,
    /// These arbiters, by uuid.
    Arbiters(Vec<ArbiterHandle>),
}

impl Placement {
    /// Starts the actor of a node. Its end by a panic is reported to the conductor with `generation`.
    pub(super) fn start(
        &self,
        shared: Arc<Shared>,
        record: Arc<NodeRecord>,
        first: FirstRead,
        generation: u64,
        died: WeakRecipient<NodeDied>,
    ) -> Addr<NodeActor> {
        let (sender, receiver) = channel::channel(MAILBOX);
        let address = Addr::new(sender);
        let node = record.id;
        let run = move || {
            actix_rt::spawn(async move {
                // Made inside, so that a panic of the making is caught as well.
                let life = async {
                    let actor = NodeActor::new(shared, record, first);
                    Context::with_receiver(receiver).into_future(actor).await;
                };
                if AssertUnwindSafe(life).catch_unwind().await.is_err()
                    && let Some(conductor) = died.upgrade()
                    // `send` waits for room: a death is never lost, however busy the conductor is.
                    && conductor.send(NodeDied { node, generation }).await.is_err()
                {
                    tracing::debug!(%node, "a node actor died while its conductor stopped");
                }
            });
        };
        match self {
            Self::Arbiters(arbiters) if !arbiters.is_empty() => {
                let (_, low) = node.0.as_u64_pair();
                let count = u64::try_from(arbiters.len()).unwrap_or(1);
                let index = usize::try_from(low % count).unwrap_or(0);
                if let Some(arbiter) = arbiters.get(index)
                    && !arbiter.spawn_fn(run)
                {
                    tracing::error!(%node, "an arbiter has ended; its nodes stay without an actor");
                }
            }
            Self::Here | Self::Arbiters(_) => run(),
        }
        address
    }
}

impl ConductorActor {
    pub(super) const fn placement(&self) -> &Placement {
        &self.placement
    }
}
