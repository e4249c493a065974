//! The notifier: the seat of the outbox in a conductor. Tells the compute service what changed, for the nodes owned here.
//!
//! It looks at the replicated outbox at a steady pace, since a look at an empty one costs a lock and a comparison and the
//! events wait for company anyway. Everything it does can be done twice: a takeover or a lost answer sends a state again.
//! Without a compute client it only counts, so that an operator sees what is not being sent.

use crate::shared::Shared;
use actix::{Actor, AsyncContext, Context, Handler, Message, MessageResult};
use baton_model::command::Command;
use baton_model::outbox::{Outbox, OutboxSettings, OutboxStats};
use baton_model::port::compute::{Compute, ComputeError, ItemResult};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// Messages that may wait: answers to the one request and the one proposal under way, and questions for statistics.
const MAILBOX: usize = 32;
/// Pace of the looks without a compute client: enough for a graph.
const IDLE_LOOK: Duration = Duration::from_secs(10);
/// How long one request may take beyond what the port promises, before it counts as failed.
const REQUEST_MAX: Duration = Duration::from_secs(120);
/// Events dropped by one log entry; 24 bytes each keep the entry far below the 64 KiB that the store takes.
const DONE_MAX: usize = 1000;

/// Tells the compute service about power changes.
pub struct NotifierActor {
    shared: Arc<Shared>,
    compute: Option<Arc<dyn Compute>>,
    runtime: Handle,
    core: Outbox,
    look: Duration,
    proposing: bool,
}

impl NotifierActor {
    /// A notifier that sends with `compute` on `runtime`.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        compute: Option<Arc<dyn Compute>>,
        settings: OutboxSettings,
        runtime: Handle,
    ) -> Self {
        let look = if compute.is_some() {
            (settings.batch_wait / 2).max(Duration::from_millis(10))
        } else {
            IDLE_LOOK
        };
        Self {
            shared,
            compute,
            runtime,
            core: Outbox::new(settings),
            look,
            proposing: false,
        }
    }

    fn look_later(&self, ctx: &mut Context<Self>) {
        ctx.run_later(self.look, |actor, ctx| {
            actor.look(ctx);
            actor.look_later(ctx);
        });
    }

    /// The one path: see what is untold, send what is due, have dropped what was told.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.env.clock.now();
        self.refresh();
        let may_send = now < self.shared.lease.until();
        if let Some(compute) = self.compute.clone().filter(|_| may_send)
            && let Some(batch) = self.core.next_batch(now)
        {
            // A task in a task, so that a panic in the client ends as an answer too.
            let request = self.runtime.spawn(async move {
                let request = compute.power_update(&batch);
                tokio::time::timeout(REQUEST_MAX, request).await
            });
            let home = ctx.address();
            drop(self.runtime.spawn(async move {
                let result = match request.await {
                    Ok(Ok(result)) => result,
                    Ok(Err(_)) => failed(format!("no answer within {} s", REQUEST_MAX.as_secs())),
                    Err(error) => failed(format!("the client failed: {error}")),
                };
                // Only this one request is under way, so its answer waits for room at most briefly.
                if home.send(Answered(result)).await.is_err() {
                    tracing::debug!(
                        "the notifier has stopped; its successor sends the events again"
                    );
                }
            }));
        }
        self.propose(ctx);
    }

    fn refresh(&mut self) {
        let now = self.shared.env.clock.now();
        let me = self.shared.lease.me();
        let state = self.shared.state.read();
        let owned = state.outbox().filter(|event| {
            state
                .node(event.node)
                .is_some_and(|node| state.owner(node) == Some(me))
        });
        self.core.refresh(now, owned);
    }

    fn propose(&mut self, ctx: &mut Context<Self>) {
        let mut told = self.core.told();
        told.truncate(DONE_MAX);
        if self.proposing || told.is_empty() {
            return;
        }
        self.proposing = true;
        let proposer = self.shared.proposer.clone();
        let proposal = self
            .runtime
            .spawn(async move { proposer.propose(Command::EventsDone(told)).await });
        let home = ctx.address();
        drop(self.runtime.spawn(async move {
            match proposal.await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "events that the compute service took could not be dropped yet");
                }
                Err(error) => tracing::error!(%error, "a proposal of the notifier failed; please report this as a bug"),
            }
            if home.send(Proposed).await.is_err() {
                tracing::debug!("the notifier has stopped");
            }
        }));
    }
}

fn failed(reason: String) -> Result<Vec<ItemResult>, ComputeError> {
    Err(ComputeError::Unavailable {
        reason: reason.into(),
        retry_after: None,
    })
}

impl Actor for NotifierActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.look_later(ctx);
    }
}

// --- Answered -----------------------------------------------------------------------------------

/// The request ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Answered(Result<Vec<ItemResult>, ComputeError>);

impl Handler<Answered> for NotifierActor {
    type Result = ();

    fn handle(&mut self, Answered(result): Answered, ctx: &mut Context<Self>) {
        match &result {
            Ok(results) => {
                let rejected = |result: &&ItemResult| matches!(result, ItemResult::Rejected { .. });
                let rejected = results.iter().filter(rejected).count();
                if rejected > 0 {
                    tracing::warn!(
                        rejected,
                        "the compute service has no use for some power events: it does not know the instance, or the instance is on no host"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "power events will be sent again"),
        }
        let env = &self.shared.env;
        let (now, spread) = (env.clock.now(), env.entropy.next_u64());
        self.core.answered(now, &result, spread);
        self.propose(ctx);
    }
}

// --- Proposed -----------------------------------------------------------------------------------

/// The proposal ended; the state tells how.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Proposed;

impl Handler<Proposed> for NotifierActor {
    type Result = ();

    fn handle(&mut self, _: Proposed, _: &mut Context<Self>) {
        self.proposing = false;
    }
}

// --- GetOutboxStats -----------------------------------------------------------------------------

/// Asks how the outbox of the nodes owned here stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "OutboxStats")]
pub struct GetOutboxStats;

impl Handler<GetOutboxStats> for NotifierActor {
    type Result = MessageResult<GetOutboxStats>;

    fn handle(&mut self, _: GetOutboxStats, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.core.stats(self.shared.env.clock.now()))
    }
}

#[cfg(test)]
mod tests;
