//! Wiring: joins the siblings through the ports of `model`, in the order in which they can start.

use crate::clocks;
use crate::held_writes::HeldWrites;
use crate::power_desk::PowerDesk;
use crate::router::{Forwardee, Router};
use crate::runtimes::{Runtimes, node_threads};
use crate::sinks::Sinks;
use actix::{Actor, Addr};
use actix_rt::Arbiter;
use anyhow::Context as _;
use baton_actors::conductor::{
    ChangeFeed, ConductorActor, Drain, Placement, Profile, Registry, Reloaded, Stop,
};
use baton_actors::notifier::{ConfigureOutbox, IsIdle, NotifierActor, NotifierView, OutboxFeed};
use baton_actors::shared::{Lease, Shared};
use baton_actors::sync_pool::{Configure, PoolAddr, SyncPoolActor};
use baton_api::{
    AdminApi, AdminDeps, ApiOptions, Certificate, Changes, Deps, PublicApi, ServeOptions,
};
use baton_bmc::client::BmcClient;
use baton_bmc::ipmi::{IpmiClient, IpmiSettings};
use baton_bmc::redfish::RedfishConfig;
use baton_bmc::vendor::Vendor;
use baton_cluster::peer::tls::{Tls, TlsFiles};
use baton_cluster::peer::transport::Tcp;
use baton_cluster::{
    Cluster, Compaction, Entry, Fatal, FirstMembers, Listen, Options, Storage, Timing, Upkeep,
};
use baton_compute::{ComputeOptions, NovaClient};
use baton_config::Config;
use baton_model::env::Env;
use baton_model::ids::ConductorId;
use baton_model::port::bmc::Bmc;
use baton_model::port::cluster::{ChangeError, Departure};
use baton_model::port::compute::Compute;
use hyper::Request;
use hyper::body::Incoming;
use prometheus_client::registry::Registry as Metrics;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long a proposal or read barrier is tried: an election, and the entry itself.
const CLUSTER_PATIENCE: Duration = Duration::from_secs(5);

/// How long sessions with BMCs are ended politely at a stop.
const LOGOUT_BUDGET: Duration = Duration::from_secs(3);

/// How long compute events that are on their way may take to be answered and handed over at a stop. What takes longer is
/// waited out by the successor.
const EVENTS_WITHIN: Duration = Duration::from_secs(5);

/// How often to look whether they are.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a newcomer asks to be admitted: the session of a former process of its name is over in seconds.
const ENTRY_PATIENCE: Duration = Duration::from_secs(30);

/// A running conductor process.
pub(crate) struct Process {
    cluster: Cluster,
    conductor: Addr<ConductorActor>,
    shared: Arc<Shared>,
    pool: PoolAddr,
    router: Arc<Router>,
    notifier: Addr<NotifierActor>,
    bmc: Arc<dyn Bmc>,
    stop: watch::Sender<bool>,
    leaving: watch::Receiver<bool>,
    servers: Vec<JoinHandle<()>>,
    power: Arc<PowerDesk>,
    watching: JoinHandle<()>,
    arbiters: Vec<Arbiter>,
    /// Where the public API listens.
    pub(crate) api: SocketAddr,
    /// Where the admin endpoint listens.
    pub(crate) admin: SocketAddr,
}

impl Process {
    /// Starts everything. Actors live on arbiters of the calling system; the rest on `runtimes`.
    pub(crate) async fn start(
        config: &Config,
        hold_writes: Option<PathBuf>,
        runtimes: &Runtimes,
    ) -> anyhow::Result<Self> {
        let runtime = runtimes.io();
        let env = clocks::env();
        // What is wrong with the configuration shows before anything is touched.
        let compute = compute_client(config, &env)?;
        let (public_tls, admin_tls) = certificates(config)?;
        let feed = Arc::new(ChangeFeed::default());
        let changes = Arc::new(Changes::default());
        let events = Arc::new(OutboxFeed::default());
        let sinks = Arc::new(Sinks(vec![feed.clone(), events.clone(), changes.clone()]));
        let start = start_cluster(options(config)?, entry(config), env.clone(), sinks);
        let cluster = on(runtime, start).await?;
        let upkeep = Upkeep {
            voter_lost_after: config.cluster.voter_lost_after_ms,
        };
        on(runtime, {
            let cluster = cluster.clone();
            async move {
                cluster.keep_members(upkeep);
                Ok(())
            }
        })
        .await?;
        let (leave, leaving) = watch::channel(false);
        let (me, state) = (cluster.conductor(), cluster.state());

        let registry = Arc::new(Registry::new(state.clone()));
        let desk = Arc::new(OnceLock::new());
        cluster.on_call(Arc::new(Forwardee {
            nodes: registry.clone(),
            desk: desk.clone(),
        }));
        let mut bmc = start_bmc(config, &env, runtimes.bmc()).await?;
        if let Some(file) = hold_writes {
            bmc = Arc::new(HeldWrites::new(bmc, file));
        }
        let lease = Arc::new(Lease::new(env.clone(), state.clone(), me));
        let pool = SyncPoolActor::new(
            config.pool_settings(),
            env.clone(),
            bmc.clone(),
            lease.clone(),
            runtimes.bmc().clone(),
        )
        .open();
        let shared = Arc::new(Shared::new(
            env.clone(),
            state.clone(),
            Arc::new(cluster.clone()),
            Arc::new(cluster.clone()),
            lease,
            config.host().into(),
            pool.clone(),
            config.block_prefix(),
            Arc::new(config.node_knobs()),
        ));
        let power = Arc::new(PowerDesk::new(
            cluster.clone(),
            shared.clone(),
            pool.clone(),
            config.stale_after(),
        ));
        desk.get_or_init(|| power.clone());
        let watching = runtime.spawn(power.clone().watch());
        let arbiters: Vec<Arbiter> = (0..node_threads()).map(|_| Arbiter::new()).collect();
        let placement = Placement::Arbiters(arbiters.iter().map(Arbiter::handle).collect());
        let conductor = ConductorActor::new(
            shared.clone(),
            profile(config),
            config.session_periods(),
            feed,
            registry.clone(),
            placement,
        )
        .start();

        // The outbox's seat; without a compute client it only watches.
        let window = config.notifier.race_window;
        let sending = compute.is_some();
        let told = NotifierView::new(env.clone(), state.clone(), window, sending);
        let told = Arc::new(told);
        let notifier = NotifierActor::new(
            shared.clone(),
            compute,
            events,
            told.clone(),
            config.outbox_settings(),
            runtime.clone(),
        )
        .start();

        let lock_wait = config.conductor.node_lock_wait;
        let nodes = Arc::new(Router::new(me, cluster.clone(), registry, lock_wait));
        shared.set_gateway(nodes.clone());
        let (stop, stopping) = watch::channel(false);
        let mut metrics = Metrics::default();
        let public = PublicApi::new(
            Deps {
                state: state.clone(),
                proposer: Arc::new(cluster.clone()),
                nodes: nodes.clone(),
                env: env.clone(),
                notifier: told.clone(),
                changes: changes.clone(),
            },
            ApiOptions::from(config),
        );
        public.register_metrics(&mut metrics);
        baton_api::register_notifier_metrics(&mut metrics, told.clone());
        baton_api::register_power_metrics(&mut metrics, power.clone());
        let operators = AdminApi::new(AdminDeps {
            state,
            proposer: Arc::new(cluster.clone()),
            nodes: nodes.clone(),
            cluster: Arc::new(cluster.clone()),
            lease: shared.lease.clone(),
            members: Arc::new(cluster.clone()),
            departure: Arc::new(Leave {
                cluster: cluster.clone(),
                asked: leave,
            }),
            token: config.admin.token.clone(),
            notifier: told,
            power: power.clone(),
            changes,
            env,
            registry: Arc::new(Mutex::new(metrics)),
        });
        let address = SocketAddr::new(config.api.host_ip, config.api.port);
        let answer = move |request| {
            let public = public.clone();
            async move { public.handle(request).await }
        };
        let (api, public_server) = listen(
            address,
            "[api] host_ip, port",
            answer,
            ServeOptions {
                tls: public_tls,
                ..ServeOptions::default()
            },
            stopping.clone(),
            runtime,
        )
        .await?;
        let answer = move |request| {
            let operators = operators.clone();
            async move { operators.handle(request).await }
        };
        let (admin, admin_server) = listen(
            config.admin.listen,
            "[admin] listen",
            answer,
            ServeOptions {
                tls: admin_tls,
                ..ServeOptions::default()
            },
            stopping,
            runtime,
        )
        .await?;
        Ok(Self {
            cluster,
            conductor,
            shared,
            pool,
            router: nodes,
            notifier,
            bmc,
            stop,
            leaving,
            servers: vec![public_server, admin_server],
            power,
            watching,
            arbiters,
            api,
            admin,
        })
    }

    /// Ends with the reason once the store has failed; a process that cannot write must not go on.
    pub(crate) async fn fatal(&self) -> Fatal {
        let mut fatal = self.cluster.fatal();
        loop {
            if let Some(fatal) = fatal.borrow_and_update().clone() {
                return fatal;
            }
            if fatal.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes over reloaded options.
    pub(crate) fn reload(&self, config: &Config) {
        self.shared.set_knobs(Arc::new(config.node_knobs()));
        self.router.set_lock_wait(config.conductor.node_lock_wait);
        self.power.set_stale_after(config.stale_after());
        let pool = self.pool.try_send(Configure(config.pool_settings()));
        let outbox = ConfigureOutbox(config.outbox_settings());
        let outbox = self.notifier.try_send(outbox);
        if pool.is_err()
            || outbox.is_err()
            || self.conductor.try_send(Reloaded(profile(config))).is_err()
        {
            tracing::warn!("an actor was too busy to take over its new options; send SIGHUP again");
        }
    }

    /// Ends when an operator has asked this conductor to leave the cluster.
    pub(crate) async fn asked_to_leave(&self) {
        if self.leaving.clone().wait_for(|leave| *leave).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Stops as [`Process::stop`] does, and leaves the cluster for good.
    pub(crate) async fn leave(self, patience: Duration) -> anyhow::Result<()> {
        let cluster = self.cluster.clone();
        let arbiters = self.end_work(patience).await;
        let left = cluster.leave().await;
        for arbiter in arbiters {
            arbiter.stop();
        }
        let aside = left.context(
            "this conductor has stopped, and the others have not confirmed that it left; see `baton cluster status` there",
        )?;
        if let Some(aside) = aside {
            tracing::info!(data = %aside.display(), "this conductor has left the cluster; its data was moved aside");
        }
        Ok(())
    }

    /// Stops in order: nodes handed over live, no new requests, sessions ended, the log closed. `patience` bounds the wait
    /// for work that nobody else could finish.
    pub(crate) async fn stop(self, patience: Duration) {
        let cluster = self.cluster.clone();
        let arbiters = self.end_work(patience).await;
        cluster.shutdown().await;
        for arbiter in arbiters {
            arbiter.stop();
        }
    }

    async fn hand_events_over(&self) {
        let idle = async {
            while matches!(self.notifier.send(IsIdle).await, Ok(false)) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(EVENTS_WITHIN, idle).await.is_err() {
            tracing::warn!(
                "the compute service has not answered yet; the next owners tell it again later"
            );
        }
    }

    async fn end_work(self, patience: Duration) -> Vec<Arbiter> {
        if let Err(error) = self.conductor.send(Drain { patience }).await {
            tracing::error!(%error, "the conductor was gone before its stop");
        }
        self.hand_events_over().await;
        self.stop.send_replace(true);
        self.watching.abort();
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::error!(%error, "a listener ended badly");
            }
        }
        if let Err(error) = self.conductor.send(Stop).await {
            tracing::error!(%error, "the conductor was gone before its stop");
        }
        self.bmc.close(LOGOUT_BUDGET).await;
        self.arbiters
    }
}

/// Runs a future on another runtime and waits for it here.
async fn on<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    runtime
        .spawn(future)
        .await
        .context("a starting task panicked")?
}

async fn start_cluster(
    options: Options,
    entry: Entry,
    env: Env,
    sinks: Arc<Sinks>,
) -> anyhow::Result<Cluster> {
    Ok(Cluster::enter(options, env, sinks, entry).await?)
}

/// Passes an operator's wish to leave on to whoever runs the process.
struct Leave {
    cluster: Cluster,
    asked: watch::Sender<bool>,
}

impl Departure for Leave {
    fn leave(&self) -> Result<(), ChangeError> {
        self.cluster.may_leave()?;
        self.asked.send_replace(true);
        Ok(())
    }
}

async fn start_bmc(config: &Config, env: &Env, runtime: &Handle) -> anyhow::Result<Arc<dyn Bmc>> {
    Vendor::check().context("the vendor files of this build do not read")?;
    let mut redfish = RedfishConfig::from(&config.redfish);
    if let Some(interval) = config.conductor.sync_power_state_interval {
        redfish = redfish.read_every(interval);
    }
    let entropy = env.entropy.clone();
    let ipmi = IpmiSettings {
        keep_boot: config.ipmi.disable_boot_timeout,
        ..IpmiSettings::default()
    };
    on(runtime, async move {
        let ipmi =
            IpmiClient::start(&ipmi, &*entropy).context("could not open UDP sockets for BMCs")?;
        Ok(Arc::new(BmcClient::new(redfish, Arc::new(ipmi))) as Arc<dyn Bmc>)
    })
    .await
}

/// The client of the compute service; `None` without one, which is no reason for a word: baton stands alone.
fn compute_client(config: &Config, env: &Env) -> anyhow::Result<Option<Arc<dyn Compute>>> {
    let Some(options) = ComputeOptions::from_section(&config.nova)? else {
        return Ok(None);
    };
    let client = NovaClient::new(options, env.entropy.clone())?;
    Ok(Some(Arc::new(client)))
}

/// Serves `answer` on `address` until the process stops.
async fn listen<F, A>(
    address: SocketAddr,
    option: &'static str,
    answer: F,
    options: ServeOptions,
    mut stopping: watch::Receiver<bool>,
    runtime: &Handle,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = axum::response::Response> + Send + 'static,
{
    let listener = on(runtime, async move {
        TcpListener::bind(address)
            .await
            .with_context(|| format!("could not listen on {address} ({option})"))
    })
    .await?;
    let bound = listener.local_addr()?;
    let shutdown = async move {
        drop(stopping.wait_for(|stop| *stop).await);
    };
    let server = baton_api::serve(listener, answer, options, shutdown);
    Ok((bound, runtime.spawn(server)))
}

/// The certificate of one listener, where it has one.
type ListenerCertificate = Option<Arc<Certificate>>;

/// The certificates of the public and the operators' listener.
fn certificates(config: &Config) -> anyhow::Result<(ListenerCertificate, ListenerCertificate)> {
    let load = |chain: &Option<PathBuf>, key: &Option<PathBuf>, what: &'static str| {
        let (Some(chain), Some(key)) = (chain, key) else {
            return anyhow::Ok(None);
        };
        let certificate = Certificate::load(chain.clone(), key.clone()).context(what)?;
        Ok(Some(Arc::new(certificate)))
    };
    let (api, admin) = (&config.api, &config.admin);
    Ok((
        load(
            &api.cert_file,
            &api.key_file,
            "the API cannot speak TLS ([api] cert_file, key_file)",
        )?,
        load(
            &admin.cert_file,
            &admin.key_file,
            "the admin endpoint cannot speak TLS ([admin] cert_file, key_file)",
        )?,
    ))
}

fn profile(config: &Config) -> Profile {
    Profile {
        host: config.host().into(),
        group: config.conductor.conductor_group.as_str().into(),
        rack: config.conductor.rack.as_str().into(),
        drivers: config
            .default
            .enabled_hardware_types
            .iter()
            .map(|name| name.as_str().into())
            .collect(),
    }
}

/// How this conductor takes part in the cluster.
pub(crate) fn options(config: &Config) -> anyhow::Result<Options> {
    let cluster = &config.cluster;
    let address = cluster
        .advertise
        .as_ref()
        .map_or_else(|| cluster.listen.to_string(), ToString::to_string);
    let tls = match (&cluster.ca_file, &cluster.cert_file, &cluster.key_file) {
        (Some(authority), Some(certificate), Some(key)) => Some(Tls::load(&TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            authority: authority.clone(),
        })?),
        _ => None,
    };
    Ok(Options {
        host_name: config.host(),
        storage: Storage::Directory(cluster.data_dir.clone()),
        transport: Arc::new(Tcp::new(tls)),
        listen: Listen::Address(cluster.listen.to_string()),
        advertise: Some(address),
        timing: Timing {
            heartbeat: cluster.heartbeat_interval_ms,
            election_min: cluster.election_timeout_min_ms,
            election_max: cluster.election_timeout_max_ms,
        },
        compaction: Compaction {
            snapshot_every: cluster.snapshot_logs,
            keep: cluster.snapshot_logs_kept,
        },
        sessions: config.session_periods(),
        patience: CLUSTER_PATIENCE,
        founding: None,
    })
}

/// How this conductor comes to take part if its data directory is empty.
fn entry(config: &Config) -> Entry {
    let cluster = &config.cluster;
    let peers = || {
        cluster
            .peers
            .iter()
            .map(|peer| (peer.id, peer.address.clone()))
    };
    let founder = cluster.conductor_id.map(ConductorId);
    let first = founder
        .filter(|_| !cluster.peers.is_empty())
        .map(|conductor| FirstMembers {
            conductor,
            addresses: peers().collect(),
        });
    let mut via = cluster.join.clone();
    if first.is_none() {
        via.extend(peers().map(|(_, address)| address));
    }
    Entry {
        first,
        via,
        patience: ENTRY_PATIENCE,
    }
}
