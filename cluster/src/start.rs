//! Puts a member together: storage, peers, consensus core, the answering side, and the tasks that watch them.

use crate::answers::Answers;
use crate::codec::peer::{NotDone, Purpose, Request, Response};
use crate::error::ClusterError;
use crate::handle::{Cluster, Inner};
use crate::kv::writer::FatalSender;
use crate::options::{Compaction, FOUNDING_ID_MAX, Founding, Listen, Options, Timing};
use crate::peer::Local;
use crate::peer::link::{Dialer, Link};
use crate::peer::server::Server;
use crate::peer::transport::{Listener, Transport};
use crate::raft::log_store::LogStore;
use crate::raft::network::{INSTALL_LIMIT, Peers};
use crate::raft::state_machine::StateMachine;
use crate::raft::types::{Member, Raft, RaftId, Runtime};
use crate::sessions::SessionBook;
use crate::storage::{Opened, Vault};
use baton_model::env::Env;
use baton_model::ids::{ConductorId, Incarnation};
use baton_model::port::cluster::ChangeSink;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{InitializeError, RaftError};
use openraft::{Config, SnapshotPolicy};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Entries in one message to a follower. 64 writers fill 64; a follower that catches up is served by the thousand.
const MESSAGE_ENTRIES_MAX: u64 = 1024;

/// How long one member of a cluster may take to answer a stranger who wants to join.
const JOIN_LIMIT: Duration = Duration::from_secs(15);

/// Rounds over all given addresses before joining is given up.
const JOIN_ATTEMPTS: u32 = 20;

/// Pause between two such rounds; an election takes about a second.
const JOIN_PAUSE: Duration = Duration::from_millis(500);

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

struct Door {
    listener: Box<dyn Listener>,
    member: Member,
}

async fn open_door(
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
        let newcomer = options
            .founding
            .as_ref()
            .map(|founding| (founding.cluster, founding.conductor));
        assemble(options, env, sink, vault, newcomer).await
    }

    /// Enters the cluster of which one of the conductors at `via` is a member, as a learner under a new id, and
    /// starts. A storage that has an identity already is started as it is.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if the cluster refuses, [`ClusterError::Unconfirmed`] if nobody answers.
    pub async fn join(
        mut options: Options,
        env: Env,
        sink: Arc<dyn ChangeSink>,
        via: &[String],
    ) -> Result<Self, ClusterError> {
        let vault = Vault::lock(options.storage.clone()).await?;
        if vault.identity()?.is_some() {
            return assemble(options, env, sink, vault, None).await;
        }
        let listen = std::mem::replace(&mut options.listen, Listen::Address(String::new()));
        let door = open_door(
            options.transport.as_ref(),
            listen,
            options.advertise.clone(),
            &options.host_name,
        )
        .await?;
        let newcomer = ask_to_join(&options, &door.member, via).await?;
        options.advertise = Some(door.member.address);
        options.listen = Listen::Open(door.listener);
        assemble(options, env, sink, vault, Some(newcomer)).await
    }
}

async fn ask_to_join(
    options: &Options,
    member: &Member,
    via: &[String],
) -> Result<(Uuid, ConductorId), ClusterError> {
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let dialer = Arc::new(Dialer {
        transport: options.transport.clone(),
        local: Local {
            cluster: Uuid::nil(),
            id: 0,
            incarnation: Incarnation(0),
        },
        tasks: tasks.clone(),
        stop: stop.clone(),
    });
    let mut last = "no address was given".to_owned();
    let mut outcome = None;
    'rounds: for round in 0..JOIN_ATTEMPTS {
        if round > 0 {
            tokio::time::sleep(JOIN_PAUSE).await;
        }
        for address in via {
            let link = Link::new(dialer.clone(), 0, address.clone(), Purpose::Join);
            match link.ask(&Request::Join(member.clone()), JOIN_LIMIT).await {
                Ok(Response::Joined { cluster, id }) => {
                    outcome = Some(Ok((cluster, ConductorId(id))));
                    break 'rounds;
                }
                Ok(Response::NotDone(NotDone::Refused(detail))) => {
                    outcome = Some(Err(ClusterError::Refused { detail }));
                    break 'rounds;
                }
                Ok(other) => last = format!("{address}: {other:?}"),
                Err(error) => last = error.to_string(),
            }
        }
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    outcome.unwrap_or(Err(ClusterError::Unconfirmed { detail: last }))
}

async fn assemble(
    options: Options,
    env: Env,
    sink: Arc<dyn ChangeSink>,
    vault: Vault,
    newcomer: Option<(Uuid, ConductorId)>,
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
    };
    let dialer = Arc::new(Dialer {
        transport: transport.clone(),
        local,
        tasks: tasks.clone(),
        stop: stop.clone(),
    });
    // Transfers of an earlier life had other numbers.
    let peers = Peers::new(dialer, identity.incarnation.0 << 32);
    let book = SessionBook::new(sessions, timing.election_max, env.clone(), view.clone());
    let answers = Arc::new(Answers::new(local, peers.clone(), Arc::new(book)));
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
    tasks.spawn(server.run(door.listener));
    let (readers, waiting_readers) = mpsc::channel(crate::barrier::WAITING_MAX);
    let (proposals, waiting_proposals) = mpsc::channel(crate::proposals::WAITING_MAX);
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
            _held: held,
        },
        waiting_readers,
        waiting_proposals,
    );
    cluster.found(founding, &door.member).await?;
    Ok(cluster)
}

impl Cluster {
    /// Writes the first membership, unless that has been done; then, if this is the only voter, begins at once.
    async fn found(&self, founding: Option<Founding>, me: &Member) -> Result<(), ClusterError> {
        let raft = self.raft();
        let core = |attempt: &'static str, detail: String| ClusterError::Core { attempt, detail };
        if let Some(founding) = founding {
            match raft.initialize(founding.members(me)).await {
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
