//! The notifier: the seat of the outbox in a conductor. Tells the compute service what changed, for the nodes owned here.
//!
//! All decisions are those of [`Outbox`]; this actor feeds it with what was applied and with answers, and carries out what
//! it says. It looks when an event came or went, when the core asked for it, and now and then at everything. Nobody waits
//! for it: a slow or dead compute service costs other actors nothing. Without a compute client it only watches, so that
//! an operator sees what is not being sent.

mod feed;
mod handle;

pub use feed::OutboxFeed;
pub use handle::NotifierView;

use crate::shared::Shared;
use actix::{Actor, AsyncContext, Context, Handler, Message, SpawnHandle};
use baton_model::command::{ClaimEvents, Command, ReleaseEvents, Session};
use baton_model::env::Mono;
use baton_model::outbox::{Batch, Outbox, OutboxSettings, may_send, seen};
use baton_model::port::compute::{Compute, ComputeError, ItemResult, ServerPower, Trouble};
use baton_model::state::ClusterState;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use uuid::Uuid;

/// Messages that may wait: answers to the requests and proposals under way, and the feed's wake-ups, one at a time.
const MAILBOX: usize = 64;
/// Least time between two looks that changes cause; with thousands of changes a second each look finds some dozens.
const LOOK_PACE: Duration = Duration::from_millis(10);
/// How often everything is looked at, for what no change of an event tells: a pin or a group moved a node.
const RESCAN_EVERY: Duration = Duration::from_secs(10);
/// How often statistics are published while nothing happens, and at most how often while much does.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// Tells the compute service about power changes.
pub struct NotifierActor {
    shared: Arc<Shared>,
    compute: Option<Arc<dyn Compute>>,
    feed: Arc<OutboxFeed>,
    view: Arc<NotifierView>,
    runtime: Handle,
    core: Outbox,
    /// How long the client may take in all before its request counts as failed.
    request_max: Duration,
    session: Session,
    rescan_at: Mono,
    published_at: Option<Mono>,
    claiming: bool,
    releasing: bool,
    reporting: bool,
    wake: Option<SpawnHandle>,
    watch: Option<tokio::task::JoinHandle<()>>,
}

impl NotifierActor {
    /// A notifier that sends with `compute` on `runtime`. `feed` has to be registered with the state machine.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        compute: Option<Arc<dyn Compute>>,
        feed: Arc<OutboxFeed>,
        view: Arc<NotifierView>,
        settings: OutboxSettings,
        runtime: Handle,
    ) -> Self {
        Self {
            session: shared.lease.session(),
            shared,
            compute,
            feed,
            view,
            runtime,
            core: Outbox::new(settings),
            // A request may ask for a token, be refused, ask again, and be sent again.
            request_max: settings.handover_wait * 5,
            rescan_at: Mono(0),
            published_at: None,
            claiming: false,
            releasing: false,
            reporting: false,
            wake: None,
            watch: None,
        }
    }

    /// The one path: see what changed, send what is due, tell the log.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let now = self.shared.env.clock.now();
        self.refresh(now);
        if let Some(compute) = self.compute.clone() {
            while now < self.shared.lease.until()
                && let Some(batch) = self.core.next_batch(now)
            {
                self.send(compute.clone(), batch, ctx);
            }
            if let Some(check) = self.core.next_check(now) {
                self.read_back(compute, check.servers, ctx);
            }
            self.claim(now, ctx);
            self.release(now, ctx);
            self.report(ctx);
        }
        self.publish(now);
        self.wake_later(now, ctx);
    }

    fn refresh(&mut self, now: Mono) {
        let mut touched = self.feed.take();
        let session = self.shared.lease.session();
        let new_life = std::mem::replace(&mut self.session, session) != session;
        let shared = self.shared.clone();
        let state = shared.state.read();
        if touched.everything || new_life || now >= self.rescan_at {
            self.rescan_at = now + RESCAN_EVERY;
            touched.instances.extend(self.core.known());
            touched
                .instances
                .extend(state.outbox().map(|event| event.instance));
        }
        self.update(now, &state, &touched.instances);
    }

    fn update(&mut self, now: Mono, state: &ClusterState, instances: &BTreeSet<Uuid>) {
        let core = &mut self.core;
        let session = self.session;
        self.view.guard(|guard| {
            for instance in instances {
                guard.update(now, *instance, state.event_of(*instance));
                core.update(now, *instance, seen(state, session, *instance));
            }
        });
    }

    fn send(&self, compute: Arc<dyn Compute>, batch: Batch, ctx: &Context<Self>) {
        let Batch { id, events } = batch;
        let (shared, session) = (self.shared.clone(), self.session);
        let request_max = self.request_max;
        // A task in a task, so that a panic in the client ends as an answer too.
        let request = self.runtime.spawn(async move {
            let may_send = || {
                shared.env.clock.now() < shared.lease.until()
                    && shared.lease.session() == session
                    && may_send(&shared.state.read(), session, &events)
            };
            let request = compute.power_update(&events, &may_send);
            tokio::time::timeout(request_max, request).await
        });
        let home = ctx.address();
        drop(self.runtime.spawn(async move {
            let result = flatten(request.await, request_max);
            if home.send(Answered { id, result }).await.is_err() {
                tracing::debug!("the notifier has stopped; its successor sends the events again");
            }
        }));
    }

    fn read_back(&self, compute: Arc<dyn Compute>, servers: Vec<Uuid>, ctx: &Context<Self>) {
        let request_max = self.request_max;
        let request = self.runtime.spawn(async move {
            let request = compute.server_power(&servers);
            tokio::time::timeout(request_max, request).await
        });
        let home = ctx.address();
        drop(self.runtime.spawn(async move {
            let result = flatten(request.await, request_max);
            if home.send(Checked(result)).await.is_err() {
                tracing::debug!("the notifier has stopped");
            }
        }));
    }

    fn claim(&mut self, now: Mono, ctx: &Context<Self>) {
        // Without a lease the claim would be refused, or be followed by one of the next life.
        if self.claiming || now >= self.shared.lease.until() {
            return;
        }
        let instances = self.core.claims(now);
        if instances.is_empty() {
            return;
        }
        self.claiming = true;
        let session = self.session;
        let claim = ClaimEvents { session, instances };
        self.propose(Command::EventsClaim(claim), Proposal::Claim, ctx);
    }

    fn release(&mut self, now: Mono, ctx: &Context<Self>) {
        if self.releasing {
            return;
        }
        let events = self.core.releases(now);
        if events.is_empty() {
            return;
        }
        self.releasing = true;
        let session = self.session;
        let release = ReleaseEvents { session, events };
        self.propose(Command::EventsRelease(release), Proposal::Release, ctx);
    }

    fn report(&mut self, ctx: &Context<Self>) {
        let done = self.core.done();
        if self.reporting || done.is_empty() {
            return;
        }
        self.reporting = true;
        self.propose(Command::EventsDone(done), Proposal::Report, ctx);
    }

    fn propose(&self, command: Command, which: Proposal, ctx: &Context<Self>) {
        let proposer = self.shared.proposer.clone();
        let proposal = self
            .runtime
            .spawn(async move { proposer.propose(command).await });
        let home = ctx.address();
        drop(self.runtime.spawn(async move {
            let applied = match proposal.await {
                Ok(Ok(_)) => true,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "what became of power events could not be stored yet");
                    false
                }
                Err(error) => {
                    tracing::error!(%error, "a proposal of the notifier failed; please report this as a bug");
                    false
                }
            };
            if home.send(Proposed { which, applied }).await.is_err() {
                tracing::debug!("the notifier has stopped");
            }
        }));
    }

    fn publish(&mut self, now: Mono) {
        if self
            .published_at
            .is_none_or(|at| now.since(at) >= PUBLISH_EVERY)
        {
            self.published_at = Some(now);
            self.view.publish(self.core.stats(now));
        }
    }

    /// One timer: for what the core waits for, and for fresh statistics.
    fn wake_later(&mut self, now: Mono, ctx: &mut Context<Self>) {
        let wanted = self.core.wake_at(now).filter(|_| self.compute.is_some());
        let wait = wanted.map_or(PUBLISH_EVERY, |at| at.since(now).min(PUBLISH_EVERY));
        if let Some(old) = self.wake.take() {
            ctx.cancel_future(old);
        }
        let timer = ctx.run_later(wait.max(LOOK_PACE), |actor, ctx| {
            actor.wake = None;
            actor.look(ctx);
        });
        self.wake = Some(timer);
    }
}

fn flatten<T>(
    ended: Result<
        Result<Result<T, ComputeError>, tokio::time::error::Elapsed>,
        tokio::task::JoinError,
    >,
    limit: Duration,
) -> Result<T, ComputeError> {
    let failed = |trouble, reason: String| ComputeError::Unavailable {
        trouble,
        reason: reason.into(),
        retry_after: None,
    };
    match ended {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            let reason = format!("no answer within {} s", limit.as_secs());
            Err(failed(Trouble::Timeout, reason))
        }
        Err(error) => Err(failed(
            Trouble::Garbled,
            format!("the client failed: {error}"),
        )),
    }
}

impl Actor for NotifierActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let feed = self.feed.clone();
        let me = ctx.address().downgrade();
        self.watch = Some(actix_rt::spawn(async move {
            loop {
                feed.changed().await;
                let Some(notifier) = me.upgrade() else {
                    return;
                };
                if notifier.send(Changed).await.is_err() {
                    return;
                }
                tokio::time::sleep(LOOK_PACE).await;
            }
        }));
        self.look(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(watch) = self.watch.take() {
            watch.abort();
        }
    }
}

// --- Changed ------------------------------------------------------------------------------------

/// Something was applied.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Changed;

impl Handler<Changed> for NotifierActor {
    type Result = ();

    fn handle(&mut self, _: Changed, ctx: &mut Context<Self>) {
        self.look(ctx);
    }
}

// --- Answered -----------------------------------------------------------------------------------

/// A request ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Answered {
    id: u64,
    result: Result<Vec<ItemResult>, ComputeError>,
}

impl Handler<Answered> for NotifierActor {
    type Result = ();

    fn handle(&mut self, Answered { id, result }: Answered, ctx: &mut Context<Self>) {
        match &result {
            Ok(results) => {
                let refused = |result: &&ItemResult| !(200..300).contains(&result.0);
                let refused = results.iter().filter(refused).count();
                if refused > 0 {
                    tracing::warn!(
                        refused,
                        "the compute service did not take some power events; see /admin/v1/compute"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "power events will be sent again"),
        }
        let env = &self.shared.env;
        let (now, spread) = (env.clock.now(), env.entropy.next_u64());
        self.core.answered(now, id, &result, spread);
        self.look(ctx);
    }
}

// --- Checked ------------------------------------------------------------------------------------

/// A read-back ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Checked(Result<Vec<ServerPower>, ComputeError>);

impl Handler<Checked> for NotifierActor {
    type Result = ();

    fn handle(&mut self, Checked(result): Checked, ctx: &mut Context<Self>) {
        if let Err(error) = &result {
            tracing::warn!(%error, "the power states that the compute service records could not be read back");
        }
        let env = &self.shared.env;
        let (now, spread) = (env.clock.now(), env.entropy.next_u64());
        self.core.checked(now, &result, spread);
        self.look(ctx);
    }
}

// --- Proposed -----------------------------------------------------------------------------------

#[derive(Clone, Copy, Debug)]
enum Proposal {
    Claim,
    Release,
    Report,
}

/// A proposal ended; the state tells how.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Proposed {
    which: Proposal,
    applied: bool,
}

impl Handler<Proposed> for NotifierActor {
    type Result = ();

    fn handle(&mut self, Proposed { which, applied }: Proposed, ctx: &mut Context<Self>) {
        match which {
            Proposal::Claim => self.claiming = false,
            Proposal::Report => self.reporting = false,
            Proposal::Release => {
                self.releasing = false;
                if applied {
                    self.core.released();
                    // What came back meanwhile is sent here after all.
                    self.rescan_at = Mono(0);
                }
            }
        }
        // What was applied is in the feed already. What was not is proposed again with the next look, a second later at
        // most: the proposer has tried for long enough.
        if applied {
            self.look(ctx);
        }
    }
}

// --- Configure ----------------------------------------------------------------------------------

/// New settings, from a reload.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ConfigureOutbox(pub OutboxSettings);

impl Handler<ConfigureOutbox> for NotifierActor {
    type Result = ();

    fn handle(&mut self, ConfigureOutbox(settings): ConfigureOutbox, ctx: &mut Context<Self>) {
        self.core.configure(settings);
        self.look(ctx);
    }
}

// --- Idle ---------------------------------------------------------------------------------------

/// Whether nothing of this notifier's is under way and all its events are told or handed over: a conductor that drains may
/// end then, and its successors need not wait for requests of its own.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct IsIdle;

impl Handler<IsIdle> for NotifierActor {
    type Result = bool;

    fn handle(&mut self, _: IsIdle, ctx: &mut Context<Self>) -> bool {
        self.look(ctx);
        self.compute.is_none() || self.core.is_idle()
    }
}

#[cfg(test)]
mod tests;
