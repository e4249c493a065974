//! One conductor process: the production cluster member and actors, joined as the composition root joins them, on a
//! runtime of their own with paused time.
//!
//! A runtime for each process is what makes `kill -9` and `SIGSTOP` real: dropping it ends every task at whatever
//! await it stands, and not driving it stops every task between two polls while the clock of the others goes on.

use super::clock;
use super::gateway::{Forwardee, Gateway};
use super::net::{Host, Net, address_of};
use super::options::options;
use crate::compute::{Nova, NovaPort};
use crate::farm::{Asker, Farm, FarmPort};
use crate::oracle::{Oracle, Sink};
use crate::plant::Plant;
use crate::rng::Rng;
use crate::settings;
use crate::trace::Trace;
use actix::{Actor, Addr};
use baton_actors::conductor::{ChangeFeed, ConductorActor, Placement, Profile, Registry};
use baton_actors::notifier::{NotifierActor, NotifierView, OutboxFeed};
use baton_actors::shared::{Lease, Shared};
use baton_actors::sync_pool::SyncPoolActor;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::{Cluster, ClusterError, Entry, Upkeep};
use baton_model::command::Session;
use baton_model::ids::{Epoch, LogIndex, NodeId};
use baton_model::pool::BlockPrefix;
use baton_model::port::cluster::ChangeSink;
use baton_model::port::lease::{LeaseCheck, Leaving, OwnLease as _};
use baton_model::state::{Change, StateView};
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::LocalSet;
use tokio::time::Instant;
use uuid::Uuid;

/// How long a newcomer asks to be admitted.
const ENTRY_PATIENCE: Duration = Duration::from_secs(8);

/// No learner ever waits for a vote here, so nobody loses one for being away.
const VOTER_LOST_AFTER: Duration = Duration::from_secs(30);

/// What every process of a world shares.
#[derive(Clone)]
pub struct Surroundings {
    /// The network.
    pub net: Net,
    /// The machines.
    pub farm: Farm,
    /// The compute service.
    pub nova: Nova,
    /// Who watches what is committed.
    pub oracle: Oracle,
    /// What happened.
    pub trace: Trace,
    /// The bug that was planted, if any.
    pub plant: Plant,
    /// All hosts of the cluster.
    pub hosts: Vec<Host>,
    /// Hosts that have lost a disk.
    pub lost_disks: BTreeSet<Host>,
}

/// A conductor that runs, as its users see it.
#[derive(Clone)]
pub struct Conductor {
    /// Its cluster member.
    pub cluster: Cluster,
    /// The replicated state as it knows it.
    pub state: StateView,
    /// Takes requests for any node.
    pub gateway: Arc<Gateway>,
    /// Its right to act.
    pub lease: Arc<Lease>,
    /// The bug that was planted, if any.
    pub plant: Plant,
    /// Keeps the actor alive; its mailbox closes with the last address.
    _actor: Addr<ConductorActor>,
    _notifiers: Vec<Addr<NotifierActor>>,
}

/// The instance on a node; every node has one.
#[must_use]
pub const fn instance_of(node: NodeId) -> Uuid {
    node.0
}

type Started = Arc<Mutex<Option<Conductor>>>;

/// A process, from its start to its end.
pub struct Process {
    runtime: Runtime,
    local: Option<LocalSet>,
    started: Started,
    failed: Arc<AtomicBool>,
    begin: Instant,
    /// How much of its own time the process has lived through.
    lived_ms: u64,
}

impl Process {
    /// Starts conductor `host` for the `boot`-th time from its disk.
    #[must_use]
    pub fn start(around: &Surroundings, host: Host, boot: u64, disk: MemDisk, chance: Rng) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime without I/O needs nothing of the system");
        let local = LocalSet::new();
        let started = Started::default();
        let failed = Arc::new(AtomicBool::new(false));
        let (around, outcome, over) = (around.clone(), started.clone(), failed.clone());
        local.spawn_local(async move {
            let trace = around.trace.clone();
            match assemble(around, host, boot, disk, chance).await {
                Ok(conductor) => {
                    trace.note(format_args!("conductor {host} has started"));
                    *outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(conductor);
                }
                Err(error) => {
                    trace.note(format_args!("conductor {host} could not start: {error}"));
                    over.store(true, Ordering::Relaxed);
                }
            }
        });
        let begin = {
            let _entered = runtime.enter();
            Instant::now()
        };
        Self {
            runtime,
            local: Some(local),
            started,
            failed,
            begin,
            lived_ms: 0,
        }
    }

    /// The conductor, once it has started.
    #[must_use]
    pub fn conductor(&self) -> Option<Conductor> {
        self.started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether it has to end: it could not start, or its store has failed.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let fatal = |conductor: Conductor| conductor.cluster.fatal().borrow().is_some();
        self.failed.load(Ordering::Relaxed) || self.conductor().is_some_and(fatal)
    }

    /// Whether the cluster does not take it for a member.
    #[must_use]
    pub fn was_expelled(&self) -> bool {
        let fatal = self
            .conductor()
            .and_then(|conductor| conductor.cluster.fatal().borrow().clone());
        fatal.is_some_and(|fatal| fatal.expelled)
    }

    /// Its session and how much of its lease is left, on its own clock.
    #[must_use]
    pub fn lease(&self) -> Option<(Session, Duration)> {
        let lease = self.conductor()?.lease;
        let _entered = self.runtime.enter();
        Some((lease.session(), lease.remaining()))
    }

    /// Runs a task in the process.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(local) = &self.local {
            local.spawn_local(task);
        }
    }

    /// Lets the process live for `span_ms` of its own time.
    pub fn live(&mut self, span_ms: u64) {
        self.lived_ms += span_ms;
        let until = self.begin + Duration::from_millis(self.lived_ms);
        if let Some(local) = &self.local {
            let span = async { tokio::time::sleep_until(until).await };
            self.runtime.block_on(local.run_until(span));
        }
    }

    /// The process was stopped for `span_ms`: its clock has gone on, and it has noticed nothing.
    pub fn skip(&mut self, span_ms: u64) {
        self.lived_ms += span_ms;
        if let Some(local) = &self.local {
            let missed = async { tokio::time::advance(Duration::from_millis(span_ms)).await };
            self.runtime.block_on(local.run_until(missed));
        }
    }
}

impl Drop for Process {
    /// Everything ends where it stands.
    fn drop(&mut self) {
        let _entered = self.runtime.enter();
        drop(
            self.started
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        drop(self.local.take());
    }
}

/// The last check of the lease, which also tells the farm's ledger under which tenure a command leaves.
struct Watched {
    lease: Arc<Lease>,
    port: Arc<FarmPort>,
    plant: Plant,
}

impl LeaseCheck for Watched {
    fn may_write(&self, node: NodeId, epoch: Epoch, leaving: Leaving<'_>) -> bool {
        self.port.about_to_write(node, epoch);
        self.plant == Plant::SkipLeaseCheck || self.lease.may_write(node, epoch, leaving)
    }
}

/// All who hear of changes in a conductor.
struct Feeds(Vec<Arc<dyn ChangeSink>>);

impl ChangeSink for Feeds {
    fn applied(&self, index: LogIndex, changes: &[Change]) {
        for feed in &self.0 {
            feed.applied(index, changes);
        }
    }

    fn reset(&self, index: LogIndex) {
        for feed in &self.0 {
            feed.reset(index);
        }
    }
}

async fn assemble(
    around: Surroundings,
    host: Host,
    boot: u64,
    disk: MemDisk,
    mut chance: Rng,
) -> Result<Conductor, ClusterError> {
    let skew_ms = chance.below(5000);
    let env = clock::env(around.trace.now(), skew_ms, chance.child("entropy"));
    let feed = Arc::new(ChangeFeed::default());
    let events = Arc::new(OutboxFeed::default());
    let second = Arc::new(OutboxFeed::default());
    let all = Feeds(vec![feed.clone(), events.clone(), second.clone()]);
    let oracle = around.oracle.clone();
    let sink = Arc::new(Sink::new(host, oracle, Arc::new(all), around.plant));
    let name = format!("conductor-{host}");
    let others = around.hosts.iter().filter(|other| **other != host);
    let entry = Entry {
        first: None,
        via: others.map(|other| address_of(*other)).collect(),
        patience: ENTRY_PATIENCE,
    };
    let options = options(&around, host, &name, disk);
    // A disk that was lost founds nothing: its host joins as a new member.
    let joins = options.founding.is_none();
    let cluster = if joins {
        Box::pin(Cluster::enter(options, env.clone(), sink.clone(), entry)).await?
    } else {
        Cluster::start(options, env.clone(), sink.clone()).await?
    };
    cluster.keep_members(Upkeep {
        voter_lost_after: VOTER_LOST_AFTER,
    });
    around.oracle.note_member(cluster.conductor(), host);
    let (me, state) = (cluster.conductor(), cluster.state());
    sink.attach(state.clone());

    let registry = Arc::new(Registry::new(state.clone()));
    cluster.on_call(Arc::new(Forwardee(registry.clone())));
    let port = Arc::new(FarmPort::new(around.farm.clone(), host, boot, around.plant));
    let lease = Arc::new(Lease::new(env.clone(), state.clone(), me));
    let watched = Arc::new(Watched {
        lease: lease.clone(),
        port: port.clone(),
        plant: around.plant,
    });
    let runtime = Handle::current();
    let pool = SyncPoolActor::new(
        settings::pool(),
        env.clone(),
        port,
        watched,
        runtime.clone(),
    )
    .open();
    let shared = Arc::new(Shared::new(
        env,
        state.clone(),
        Arc::new(cluster.clone()),
        Arc::new(cluster.clone()),
        lease.clone(),
        name.as_str().into(),
        pool,
        BlockPrefix::default(),
        Arc::new(settings::knobs(around.plant)),
    ));
    let actor = ConductorActor::new(
        shared.clone(),
        Profile {
            host: name.as_str().into(),
            group: "".into(),
            rack: format!("rack-{host}").into(),
            drivers: vec!["ipmi".into()],
        },
        settings::SESSIONS,
        feed,
        registry.clone(),
        Placement::Here,
    )
    .start();
    let nova = NovaPort::new(
        around.nova.clone(),
        Asker { host, boot },
        state.clone(),
        around.plant,
    );
    let nova = Arc::new(nova);
    let mut notifiers = Vec::new();
    let feeds = [events, second];
    let count = if around.plant == Plant::TwoNotifiers {
        2
    } else {
        1
    };
    for events in feeds.into_iter().take(count) {
        let told = NotifierView::new(shared.env.clone(), state.clone(), Duration::ZERO, true);
        let notifier = NotifierActor::new(
            shared.clone(),
            Some(nova.clone()),
            events,
            Arc::new(told),
            settings::outbox(),
            runtime.clone(),
        );
        notifiers.push(notifier.start());
    }
    if around.plant == Plant::SkipLeaseCheck {
        let lease = lease.clone();
        tokio::task::spawn_local(async move {
            loop {
                lease.extend(baton_model::env::Mono(u64::MAX));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }
    Ok(Conductor {
        gateway: Arc::new(Gateway::new(me, cluster.clone(), registry)),
        cluster,
        state,
        lease,
        plant: around.plant,
        _actor: actor,
        _notifiers: notifiers,
    })
}
