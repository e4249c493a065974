//! Draining: every node goes to another conductor while this one lives.
//!
//! One entry moves them all. Work that is under way ends where it began: the new owner waits for a holder that lives.
//! What does not end soon is handed over when this conductor says that it is gone; its successor ends the BMC session and
//! carries on. Only work that a successor would have to fail or leave in doubt is waited for longer.

use super::ConductorActor;
use crate::shared::Shared;
use crate::unhurried::store_counts;
use actix::{Handler, Message, ResponseFuture};
use baton_model::command::{Command, Session};
use baton_model::node::core::can_be_handed_over;
use baton_model::state::StateView;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long work that could be handed over may take to end by itself. Most power changes of servers take less.
const END_BY_ITSELF: Duration = Duration::from_secs(5);

/// How long the cluster may take to store the entry. Without a majority there is nobody to hand anything to.
pub(super) const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// How long counts of failed power syncs may take to be stored: several entries' time in a cluster that works.
const COUNTED_WITHIN: Duration = Duration::from_millis(500);

/// How often to look whether all work has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Hands every node over; answered when no work is left that needs this conductor.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// How long work that nobody else can finish may take to end (`graceful_shutdown_timeout`).
    pub patience: Duration,
}

impl Handler<Drain> for ConductorActor {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Drain { patience }: Drain, _: &mut Self::Context) -> Self::Result {
        Box::pin(drain(self.shared.clone(), patience))
    }
}

async fn drain(shared: Arc<Shared>, patience: Duration) {
    let session = shared.lease.session();
    // Whoever owns the nodes next goes on counting; if it cannot, their faults come an interval later.
    drop(timeout(COUNTED_WITHIN, store_counts(&shared)).await);
    let command = Command::ConductorDraining(session);
    match timeout(TOLD_WITHIN, shared.proposer.propose(command)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not announce the drain; the nodes move when the session ends");
            return;
        }
        Err(_) => {
            tracing::warn!(
                "the drain was not announced in time; the nodes move when the session ends"
            );
            return;
        }
    }
    let began = Instant::now();
    loop {
        let held = Held::of(&shared.state, session);
        let waited = began.elapsed();
        let done = held.count == 0
            || (held.can_be_handed_over && waited >= END_BY_ITSELF.min(patience))
            || waited >= patience;
        if done {
            let elapsed_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(elapsed_ms, handed_over = held.count, "drained");
            return;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The work that is still under way here.
struct Held {
    count: usize,
    can_be_handed_over: bool,
}

impl Held {
    fn of(state: &StateView, session: Session) -> Self {
        let state = state.read();
        let mut held = Self {
            count: 0,
            can_be_handed_over: true,
        };
        for node in state.nodes() {
            let ours = node
                .intent
                .as_ref()
                .is_some_and(|intent| intent.holder_session() == session);
            if ours {
                held.count += 1;
                held.can_be_handed_over &= can_be_handed_over(node);
            }
        }
        held
    }
}
