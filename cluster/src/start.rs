//! Puts a member together: storage, peers, consensus core, the answering side, and the tasks that watch them.

use crate::answers::Answers;
use crate::error::ClusterError;
use crate::handle::{Cluster, Inner};
use crate::kv::writer::FatalSender;
use crate::lease::LeaderLease;
use crate::options::{Compaction, FOUNDING_ID_MAX, Founding, Listen, Options, Timing};
use crate::peer::Local;
use crate::peer::link::Dialer;
use crate::peer::lives::Lives;
use crate::peer::server::Server;
use crate::peer::transport::{Listener, Transport};
use crate::raft::log_store::LogStore;
use crate::raft::network::{INSTALL_LIMIT, Peers};
use crate::raft::state_machine::StateMachine;
use crate::raft::types::{Member, Raft, RaftId, Runtime};
use crate::sessions::SessionBook;
use crate::storage::{Newcomer, Opened, Vault};
use baton_model::env::Env;
use baton_model::port::cluster::ChangeSink;
use openraft::error::{InitializeError, RaftError};
use openraft::{Config, SnapshotPolicy};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Entries in one message to a follower. 64 writers fill 64; a follower that catches up is served by the thousand.
const MESSAGE_ENTRIES_MAX: u64 = 1024;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn raft_config(
    cluster: Uuid,
    timing: Timing,
    compaction: Compaction,
) -> Result<Arc<Config>, ClusterError> {
    let config = Config {
        cluster_name: cluster.to_string(),
        heartbeat_interval: millis(timing.heartbeat),
        election_timeout_min: millis(timing.election_min),
        election_timeout_max: millis(timing.election_max),
        enable_pre_vote: Some(true),
        // A restarted leader stands for election: what it applied before may not have reached its disk.
        enable_leader_restore: Some(false),
        allow_log_reversion: Some(false),
        max_payload_entries: MESSAGE_ENTRIES_MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(compaction.snapshot_every),
        max_in_snapshot_log_to_keep: compaction.keep,
        // A member further behind than this gets a snapshot; the log reaches back that far only under load.
        replication_lag_threshold: compaction.snapshot_every + compaction.keep,
        install_snapshot_timeout: millis(INSTALL_LIMIT),
        // A restarted peer is found again within half a second.
        backoff: "50ms 100ms 200ms ...500ms".to_owned(),
        ..Config::default()
    };
    config
        .validate()
        .map(Arc::new)
        .map_err(|error| ClusterError::Options {
            detail: error.to_string(),
        })
}

/// Where peers come in.
pub(crate) struct Door {
    pub(crate) listener: Box<dyn Listener>,
    pub(crate) member: Member,
}

pub(crate) async fn open_door(
    transport: &dyn Transport,
    listen: Listen,
    advertise: Option<String>,
    host_name: &str,
) -> Result<Door, ClusterError> {
    let listener = match listen {
        Listen::Open(listener) => listener,
        Listen::Address(address) => transport
            .listen(&address)
            .await
            .map_err(|source| ClusterError::Listen { address, source })?,
    };
    let address = match advertise {
        Some(address) => address,
        None => listener
            .local_address()
            .map_err(|source| ClusterError::Listen {
                address: "an open socket".to_owned(),
                source,
            })?,
    };
    let everywhere = address
        .parse::<std::net::SocketAddr>()
        .is_ok_and(|address| address.ip().is_unspecified());
    if everywhere {
        return Err(ClusterError::Options {
            detail: format!("peers cannot reach {address}; name the address that they can reach"),
        });
    }
    let member = Member {
        host: host_name.to_owned(),
        address,
    };
    Ok(Door { listener, member })
}

impl Founding {
    fn check(&self, me: &Member) -> Result<(), ClusterError> {
        let wrong = |detail: String| Err(ClusterError::Options { detail });
        let ids = std::iter::once(&self.conductor).chain(self.others.keys());
        for id in ids {
            if !(1..=FOUNDING_ID_MAX).contains(&id.0) {
                return wrong(format!(
                    "a founding member's id must be from 1 to {FOUNDING_ID_MAX}, not {id}"
                ));
            }
        }
        if self.others.contains_key(&self.conductor) {
            return wrong(format!("conductor {} is listed twice", self.conductor));
        }
        let clash = self
            .others
            .values()
            .find(|other| other.host == me.host || other.address == me.address);
        if let Some(other) = clash {
            return wrong(format!(
                "{} at {} and {} at {} have the same host name or address",
                me.host, me.address, other.host, other.address
            ));
        }
        Ok(())
    }

    fn members(&self, me: &Member) -> BTreeMap<RaftId, Member> {
        let others = self
            .others
            .iter()
            .map(|(id, member)| (id.0, member.clone()));
        others.chain([(self.conductor.0, me.clone())]).collect()
    }
}

impl Cluster {
    /// Starts a member: one that has been before, or one of the founders of a new cluster. `sink` is told of every
    /// change of the replicated state.
    ///
    /// # Errors
    /// [`ClusterError`]; [`ClusterError::NotAMember`] if the storage is empty and no founding was given.
    pub async fn start(
        options: Options,
        env: Env,
        sink: Arc<dyn ChangeSink>,
    ) -> Result<Self, ClusterError> {
        let vault = Vault::lock(options.storage.clone()).await?;
        let newcomer = options.founding.as_ref().map(|founding| Newcomer {
            cluster: founding.cluster,
            conductor: founding.conductor,
            founders: BTreeMap::new(),
        });
        assemble(options, env, sink, vault, newcomer).await
    }
}

pub(crate) async fn assemble(
    options: Options,
    env: Env,
    sink: Arc<dyn ChangeSink>,
    vault: Vault,
    newcomer: Option<Newcomer>,
) -> Result<Cluster, ClusterError> {
    let Options {
        host_name,
        storage: _,
        transport,
        listen,
        advertise,
        timing,
        compaction,
        sessions,
        patience,
        founding,
    } = options;
    let door = open_door(transport.as_ref(), listen, advertise, &host_name).await?;
    if let Some(founding) = &founding {
        founding.check(&door.member)?;
    }
    let opened = vault.open(newcomer, host_name.clone(), env.clone()).await?;
    let identity = opened.identity.clone();
    if let Some(founding) = &founding
        && founding.cluster != identity.cluster
    {
        return Err(ClusterError::OtherCluster {
            found: identity.cluster,
            wanted: founding.cluster,
        });
    }
    let config = raft_config(identity.cluster, timing, compaction)?;
    let fatal = FatalSender::new();
    let (store, log, state, held) = Opened::start(opened, fatal.clone())?;
    let state_machine = StateMachine::new(state, store.clone(), sink);
    let (view, applied) = (state_machine.view(), state_machine.applied());

    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let local = Local {
        cluster: identity.cluster,
        id: identity.conductor.0,
        incarnation: identity.incarnation,
        life: env.entropy.next_u64(),
    };
    let lives = Arc::new(Lives::default());
    let dialer = Arc::new(Dialer {
        transport: transport.clone(),
        local,
        host: host_name.clone(),
        lives: lives.clone(),
        known: OnceLock::new(),
        fatal: Some(fatal.clone()),
        tasks: tasks.clone(),
        stop: stop.clone(),
    });
    // Transfers of an earlier life had other numbers.
    let first_transfer = identity.incarnation.0 << 32;
    let lease = Arc::new(LeaderLease::new(timing.election_max, env.clone()));
    let peers = Peers::new(dialer.clone(), first_transfer, lease.clone());
    let book = SessionBook::new(
        sessions,
        lease.clone(),
        env.clone(),
        view.clone(),
        applied.clone(),
    );
    let answers = Arc::new(Answers::new(
        (local, host_name.clone()),
        identity.founders.clone(),
        peers.clone(),
        Arc::new(book),
        lease,
        lives,
    ));
    let server = Server {
        transport,
        answer: answers.clone(),
        tasks: tasks.clone(),
        stop: stop.clone(),
    };
    let log_store = LogStore::new(log, store.clone());
    let core = Raft::new(local.id, config, peers.clone(), log_store, state_machine);
    // Every random draw of the core comes from this seed.
    let started = Runtime::scope(env.entropy.next_u64(), core).await;
    let raft = match started {
        Ok(raft) => raft,
        Err(error) => {
            store.close().await;
            return Err(ClusterError::Core {
                attempt: "start",
                detail: error.to_string(),
            });
        }
    };
    answers.raft.set(raft.clone()).ok();
    let (readers, waiting_readers) = mpsc::channel(crate::barrier::WAITING_MAX);
    let (proposals, waiting_proposals) = mpsc::channel(crate::proposals::WAITING_MAX);
    let core = raft.clone();
    let known = move |id: RaftId| {
        let metrics = core.metrics();
        let metrics = metrics.borrow();
        metrics.membership_config.get_node(&id).cloned()
    };
    dialer.known.set(Box::new(known)).ok();
    tasks.spawn(async move { drop(server.run(door.listener).await) });
    let cluster = Cluster::new(
        Inner {
            raft,
            local,
            host_name,
            member: door.member.clone(),
            view,
            applied,
            answers,
            peers,
            store,
            fatal,
            tasks,
            stop,
            env,
            patience,
            window: crate::window::Window::default(),
            readers,
            proposals,
            held,
        },
        waiting_readers,
        waiting_proposals,
    );
    let first = match founding {
        Some(founding) => Some(founding.members(&door.member)),
        None if identity.founders.is_empty() => None,
        None => {
            let founders = identity.founders.iter();
            Some(
                founders
                    .map(|(id, one)| (*id, one.member.clone()))
                    .collect(),
            )
        }
    };
    if let Err(error) = cluster.found(first).await {
        cluster.shutdown().await;
        return Err(error);
    }
    Ok(cluster)
}

impl Cluster {
    /// Writes the first membership, unless that has been done; then, if this is the only voter, begins at once.
    async fn found(&self, first: Option<BTreeMap<RaftId, Member>>) -> Result<(), ClusterError> {
        let raft = self.raft();
        let core = |attempt: &'static str, detail: String| ClusterError::Core { attempt, detail };
        if let Some(members) = first {
            match raft.initialize(members).await {
                // `NotAllowed`: it has been done in an earlier life, or a fellow founder was faster.
                Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
                Err(error) => return Err(core("write the first membership", error.to_string())),
            }
        }
        let initialized = raft
            .is_initialized()
            .await
            .map_err(|error| core("start", error.to_string()))?;
        if !initialized {
            // A newcomer learns of everybody, itself included, from the leader.
            return Ok(());
        }
        // The figures follow the core's state; whoever gets this member may rely on its knowing its peers.
        let mut metrics = raft.metrics();
        let alone = loop {
            let voters: Vec<RaftId> = {
                let metrics = metrics.borrow_and_update();
                metrics.membership_config.voter_ids().collect()
            };
            if !voters.is_empty() {
                break voters == [self.local().id];
            }
            if metrics.changed().await.is_err() {
                return Err(core("start", "it stopped at once".to_owned()));
            }
        };
        if alone {
            raft.trigger()
                .elect(false)
                .await
                .map_err(|error| core("stand for election", error.to_string()))?;
        }
        Ok(())
    }
}
