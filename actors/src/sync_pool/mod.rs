//! The actor around [`baton_model::pool`]: hands it jobs, outcomes and the time, and makes the calls that it lets leave.
//!
//! One pool serves a whole conductor process, because its limits are about what the conductor does to one network: a pool
//! per arbiter or per rack would have to divide limits that only hold in sum, and two nodes with the same BMC could talk
//! to it at once. One is enough: a decision costs a few microseconds and a conductor needs some thousands a second. The
//! calls themselves run elsewhere, on the runtime of the given handle, and come back through bounded channels with
//! a place for each of them, so an outcome is never lost, a panicking call included.
//!
//! The invariant: a write leaves only if the lease holds at that moment; the check is the last thing before the call.

mod address;
mod call;
mod delivery;
mod messages;

pub use address::{PoolAddr, PoolBusy};
pub use delivery::ReplyTo;
pub use messages::{
    Bar, BmcReport, Cancel, Configure, CredentialsChanged, Forget, GetStats, Submit,
};

use actix::{Actor, AsyncContext, Context, Handler, MessageResult, SpawnHandle, StreamHandler};
use address::{Gathered, Gathering, is_periodic};
use baton_model::driver::BmcTarget;
use baton_model::env::{Env, Mono};
use baton_model::ids::NodeId;
use baton_model::json::Json;
use baton_model::node::intent::BmcSession;
use baton_model::pool::{
    Effect, Failure, Job, JobId, MachineKey, PoolRefusal, PoolSettings, Report, SyncPool,
};
use baton_model::port::bmc::Bmc;
use baton_model::port::lease::LeaseCheck;
use call::{Call, End, Landed};
use delivery::Outgoing;
use futures_util::stream::{self, Stream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc};

/// Messages that may wait for the pool. A third of 100,000 node actors may wake in the same instant after a long pause
/// of the process and all fit; the rest are told to come back. 5 MiB when full.
pub const MAILBOX: usize = 32_768;
/// Outcomes, or gathered questions, handled in one go, between which other messages get their turn.
const BATCH: usize = 256;
/// How long the outcome of a read that nobody waits for is held for others like it. Reads leave several at a time and
/// are answered within some milliseconds of each other: waking the pool and the node actors for each of them is a good
/// part of what a read costs. It holds their places in flight as long, so it is not done while many wait for places.
const GATHER: Duration = Duration::from_millis(8);
/// The same for questions that nobody waits for. Those of one beat are asked within this.
const GATHER_ASKED: Duration = Duration::from_millis(2);
/// Sessions that are being ended at once. A politeness to BMCs whose node left; beyond this they expire by themselves.
const FORGETS_MAX: usize = 128;
/// How long ending a session may take.
const FORGET_BUDGET: Duration = Duration::from_secs(5);

/// What the pool keeps with each job.
struct Errand {
    target: BmcTarget,
    cargo: Json,
    session: Option<BmcSession>,
    reply_to: ReplyTo,
}

/// One for each of the two ways in which outcomes come home.
#[derive(Clone)]
struct Ways<T> {
    /// Of what somebody waits for: handled at once.
    awaited: T,
    /// Of periodic reads: handled several at a time.
    periodic: T,
}

/// Decides when a BMC is asked, and has it asked.
pub struct SyncPoolActor {
    core: SyncPool<Errand>,
    env: Env,
    bmc: Arc<dyn Bmc>,
    lease: Arc<dyn LeaseCheck>,
    runtime: Handle,
    landing: Ways<mpsc::Sender<Landed>>,
    landed: Option<Ways<mpsc::Receiver<Landed>>>,
    /// Periodic reads that node actors have asked for.
    gathering: Arc<Gathering>,
    /// Whether places in flight are scarce, for those who bring outcomes home.
    pressed: Arc<AtomicBool>,
    in_flight_max: usize,
    forgets: Arc<Semaphore>,
    effects: Vec<Effect<Errand>>,
    timer: Option<(Mono, SpawnHandle)>,
    /// Reports that leave when the present handler ends.
    outgoing: Outgoing,
}

impl SyncPoolActor {
    /// A pool that makes its calls with `bmc` on `runtime`.
    #[must_use]
    pub fn new(
        settings: PoolSettings,
        env: Env,
        bmc: Arc<dyn Bmc>,
        lease: Arc<dyn LeaseCheck>,
        runtime: Handle,
    ) -> Self {
        let settings = settings.clamped();
        let in_flight_max = settings.in_flight_max();
        // Every call in flight may come home by the same way, so each has a place for all of them.
        let (awaited, awaited_landed) = mpsc::channel(in_flight_max);
        let (periodic, periodic_landed) = mpsc::channel(in_flight_max);
        let core = SyncPool::new(settings, env.entropy.next_u64(), env.clock.now());
        Self {
            core,
            env,
            bmc,
            lease,
            runtime,
            landing: Ways { awaited, periodic },
            landed: Some(Ways {
                awaited: awaited_landed,
                periodic: periodic_landed,
            }),
            gathering: Arc::default(),
            pressed: Arc::default(),
            in_flight_max,
            forgets: Arc::new(Semaphore::new(FORGETS_MAX)),
            effects: Vec::new(),
            timer: None,
            outgoing: Outgoing::default(),
        }
    }

    /// Starts the pool on the current arbiter, with its mailbox at full size before the first message: an actor that is
    /// merely started takes 16 until it has run for the first time.
    #[must_use]
    pub fn open(self) -> PoolAddr {
        let gathering = self.gathering.clone();
        let actor = Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            self
        });
        PoolAddr::new(actor, gathering)
    }

    fn take_in(&mut self, submit: Submit) {
        let Submit {
            job,
            target,
            cargo,
            session,
            reply_to,
        } = submit;
        let errand = Errand {
            target,
            cargo,
            session,
            reply_to,
        };
        self.core
            .submit(self.env.clock.now(), job, errand, &mut self.effects);
    }

    fn fetch_gathered(&mut self, ctx: &mut Context<Self>) {
        for submit in self.gathering.take(BATCH) {
            self.take_in(submit);
        }
        if self.gathering.len() > 0 {
            ctx.notify(Gathered);
        }
        self.settle(ctx);
    }

    /// Takes in what a node asked for before it said what is now heard, but for those reads that `withdraws` names.
    fn catch_up(&mut self, node: NodeId, withdraws: impl Fn(&Job) -> bool) -> Vec<Submit> {
        let gathered = self.gathering.take_of(node).into_iter();
        let (withdrawn, others) = gathered.partition::<Vec<_>, _>(|submit| withdraws(&submit.job));
        for submit in others {
            self.take_in(submit);
        }
        withdrawn
    }

    /// Carries out what the core decided and arms the timer anew. Every handler ends here.
    fn settle(&mut self, ctx: &mut Context<Self>) {
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Start { id, budget } => self.launch(id, budget),
                Effect::Reject {
                    job,
                    payload,
                    refusal,
                } => {
                    let report = self.report(&job, None, None, Err(Failure::Refused(refusal)));
                    self.outgoing.add(payload.reply_to, report);
                }
            }
        }
        self.effects = effects;
        self.outgoing.leave();
        self.pressed
            .store(self.core.is_pressed(), Ordering::Relaxed);
        self.arm(ctx);
    }

    fn launch(&self, id: JobId, budget: Duration) {
        let Some((job, errand)) = self.core.job(id) else {
            return;
        };
        let call = Call {
            id,
            job: *job,
            target: errand.target.clone(),
            cargo: errand.cargo.clone(),
            session: errand.session.clone(),
            budget,
            bmc: self.bmc.clone(),
            lease: self.lease.clone(),
        };
        // Its end is the message in the landing channel; the pool counts it as in flight until then.
        let home = if is_periodic(job) {
            &self.landing.periodic
        } else {
            &self.landing.awaited
        };
        drop(self.runtime.spawn(call.run(home.clone())));
    }

    fn arm(&mut self, ctx: &mut Context<Self>) {
        let Some(wanted) = self.core.wake_at() else {
            return;
        };
        if let Some((at, handle)) = self.timer {
            // An earlier alarm only costs one idle tick; a later one is replaced.
            if at <= wanted {
                return;
            }
            ctx.cancel_future(handle);
        }
        let delay = wanted.since(self.env.clock.now());
        let handle = ctx.run_later(delay, |actor, ctx| {
            actor.timer = None;
            actor.core.tick(actor.env.clock.now(), &mut actor.effects);
            actor.settle(ctx);
        });
        self.timer = Some((wanted, handle));
    }

    fn report(
        &self,
        job: &Job,
        started: Option<Mono>,
        rtt: Option<Duration>,
        outcome: Result<baton_model::pool::Answer, Failure>,
    ) -> Report {
        Report {
            node: job.node,
            ticket: job.ticket,
            epoch: job.epoch,
            work: job.work,
            started,
            finished: self.env.clock.now(),
            rtt,
            session: None,
            outcome,
        }
    }

    fn land(&mut self, landed: Landed) {
        let Landed { id, rtt, end } = landed;
        let now = self.env.clock.now();
        let Some(ended) = self
            .core
            .finished(now, id, rtt, end.outcome(), &mut self.effects)
        else {
            return;
        };
        if ended.cancelled {
            return;
        }
        let (job, work) = (ended.job, ended.job.work);
        let (started, rtt) = (Some(ended.started), Some(rtt));
        let report = match end {
            End::Called(result, session) => Report {
                session,
                ..self.report(&job, started, rtt, result.map_err(Failure::Bmc))
            },
            End::NotMade => {
                let refusal = PoolRefusal::LeaseOver { work };
                self.report(&job, None, None, Err(Failure::Refused(refusal)))
            }
            End::Lost => self.report(&job, started, rtt, Err(Failure::Lost { work })),
        };
        self.outgoing.add(ended.payload.reply_to, report);
    }

    /// Ends the warm session with a BMC, in the background.
    fn end_session(&self, target: BmcTarget) {
        let Ok(permit) = self.forgets.clone().try_acquire_owned() else {
            return;
        };
        let bmc = self.bmc.clone();
        drop(self.runtime.spawn(async move {
            let forgotten = tokio::time::timeout(FORGET_BUDGET, bmc.forget(&target)).await;
            if forgotten.is_err() {
                tracing::debug!("a BMC session could not be ended in time; it will expire");
            }
            drop(permit);
        }));
    }
}

impl Actor for SyncPoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(landed) = self.landed.take() {
            ctx.add_stream(batches(landed.awaited, || Duration::ZERO));
            let pressed = self.pressed.clone();
            ctx.add_stream(batches(landed.periodic, move || {
                if pressed.load(Ordering::Relaxed) {
                    Duration::ZERO
                } else {
                    GATHER
                }
            }));
        }
    }
}

// --- Calls that ended ---------------------------------------------------------------------------

/// Calls that ended since the last look.
struct Batch(Vec<Landed>);

/// What comes home on one way, each batch after so long a wait for more of it.
fn batches(
    landed: mpsc::Receiver<Landed>,
    gather: impl Fn() -> Duration,
) -> impl Stream<Item = Batch> {
    stream::unfold((landed, gather), |(mut landed, gather)| async move {
        let mut batch = Vec::new();
        let count = landed.recv_many(&mut batch, BATCH).await;
        let pause = gather();
        if (1..BATCH).contains(&count) && !pause.is_zero() {
            tokio::time::sleep(pause).await;
            while batch.len() < BATCH
                && let Ok(more) = landed.try_recv()
            {
                batch.push(more);
            }
        }
        (count > 0).then_some((Batch(batch), (landed, gather)))
    })
}

impl StreamHandler<Batch> for SyncPoolActor {
    fn handle(&mut self, Batch(batch): Batch, ctx: &mut Context<Self>) {
        for landed in batch {
            self.land(landed);
        }
        self.settle(ctx);
    }
}

// --- Submit -------------------------------------------------------------------------------------

impl Handler<Submit> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, message: Submit, ctx: &mut Context<Self>) {
        self.take_in(message);
        self.settle(ctx);
    }
}

impl Handler<Gathered> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, _: Gathered, ctx: &mut Context<Self>) {
        if self.gathering.len() >= BATCH {
            self.fetch_gathered(ctx);
        } else {
            ctx.run_later(GATHER_ASKED, Self::fetch_gathered);
        }
    }
}

// --- Cancel -------------------------------------------------------------------------------------

impl Handler<Cancel> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, message: Cancel, ctx: &mut Context<Self>) {
        let Cancel { bmc, node, ticket } = message;
        self.catch_up(node, |job| job.ticket == ticket);
        self.core
            .cancel(self.env.clock.now(), bmc, node, ticket, &mut self.effects);
        self.settle(ctx);
    }
}

// --- Forget -------------------------------------------------------------------------------------

impl Handler<Forget> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, message: Forget, ctx: &mut Context<Self>) {
        let Forget { bmc, node, target } = message;
        for Submit { job, reply_to, .. } in self.catch_up(node, |job| job.endpoint.bmc == bmc) {
            let refusal = PoolRefusal::Forgotten { work: job.work };
            let report = self.report(&job, None, None, Err(Failure::Refused(refusal)));
            self.outgoing.add(reply_to, report);
        }
        self.core
            .forget(self.env.clock.now(), bmc, node, &mut self.effects);
        self.end_session(target);
        self.settle(ctx);
    }
}

// --- CredentialsChanged -------------------------------------------------------------------------

impl Handler<CredentialsChanged> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, message: CredentialsChanged, ctx: &mut Context<Self>) {
        let CredentialsChanged {
            bmc,
            node,
            new,
            old,
        } = message;
        // What was meant for another machine is never sent to this one.
        let machine = MachineKey::of(node, &new);
        let amend = |target: &mut BmcTarget| {
            if MachineKey::of(node, target) == machine {
                *target = new.clone();
            }
        };
        self.core
            .amend(bmc, node, |errand| amend(&mut errand.target));
        self.core
            .credentials_changed(self.env.clock.now(), bmc, &mut self.effects);
        for mut submit in self.gathering.take_of(node) {
            amend(&mut submit.target);
            self.take_in(submit);
        }
        if let Some(old) = old {
            self.end_session(old);
        }
        self.settle(ctx);
    }
}

// --- Bar ----------------------------------------------------------------------------------------

impl Handler<Bar> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, message: Bar, ctx: &mut Context<Self>) {
        let Bar {
            node,
            endpoint,
            refusal,
        } = message;
        let now = self.env.clock.now();
        self.core
            .bar(now, node, endpoint, refusal, &mut self.effects);
        self.settle(ctx);
    }
}

// --- GetStats -----------------------------------------------------------------------------------

impl Handler<GetStats> for SyncPoolActor {
    type Result = MessageResult<GetStats>;

    fn handle(&mut self, _: GetStats, _: &mut Context<Self>) -> Self::Result {
        MessageResult(self.core.stats(self.env.clock.now()))
    }
}

// --- Configure ----------------------------------------------------------------------------------

impl Handler<Configure> for SyncPoolActor {
    type Result = ();

    fn handle(&mut self, Configure(settings): Configure, ctx: &mut Context<Self>) {
        let mut settings = settings.clamped();
        let beside = settings.in_flight_max() - settings.limit_max;
        let most = self.in_flight_max.saturating_sub(beside);
        if settings.limit_max > most {
            tracing::warn!(
                limit = settings.limit_max,
                used = most,
                "sync_pool.in_flight_max grows beyond its value at start only with the next start"
            );
            settings.limit_max = most.max(1);
            settings.suspects_max = settings.suspects_max.min(self.in_flight_max / 2);
        }
        let settings = settings.clamped();
        self.core
            .configure(self.env.clock.now(), settings, &mut self.effects);
        self.settle(ctx);
    }
}

#[cfg(test)]
mod tests;
