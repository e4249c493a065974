//! Members on loopback, with real sockets and real or simulated disks.

pub(crate) mod samples;

use baton_cluster::kv::mem::MemDisk;
use baton_cluster::peer::transport::{Tcp, Transport};
use baton_cluster::{
    Cluster, ClusterError, Compaction, Founding, Listen, Member, Options, Storage, Timing,
};
use baton_model::command::{Command, ConductorUp, Session};
use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::ids::{ConductorId, Incarnation, LogIndex, NodeId, WallMs};
use baton_model::node::record::NodeRecord;
use baton_model::port::cluster::ChangeSink;
use baton_model::session::SessionPeriods;
use baton_model::state::Change;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use uuid::Uuid;

/// Longest wait of any test for a condition; a loaded machine needs a fraction of it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A session that no test outlasts.
pub(crate) const ENDLESS: Duration = Duration::from_secs(3600);

pub(crate) const CLUSTER: Uuid = Uuid::from_u128(0xBA70);

/// Time goes on; labels stay the same.
struct Ticking(tokio::time::Instant);

impl Clock for Ticking {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
    fn wall(&self) -> WallMs {
        WallMs(1_700_000_000_000)
    }
}

/// splitmix64.
struct Draws(AtomicU64);

impl Entropy for Draws {
    fn next_u64(&self) -> u64 {
        let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

pub(crate) fn env(seed: u64) -> Env {
    Env {
        clock: Arc::new(Ticking(tokio::time::Instant::now())),
        entropy: Arc::new(Draws(AtomicU64::new(seed))),
    }
}

/// Counts what it is told.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) changes: AtomicU64,
    pub(crate) resets: AtomicU64,
}

impl ChangeSink for Counts {
    fn applied(&self, _: LogIndex, changes: &[Change]) {
        self.changes
            .fetch_add(changes.len() as u64, Ordering::Relaxed);
    }
    fn reset(&self, _: LogIndex) {
        self.resets.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) async fn listener() -> (Listen, String) {
    let listener = Tcp::default().listen("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap();
    (Listen::Open(listener), address)
}

pub(crate) fn options(host: &str, storage: Storage, listen: Listen) -> Options {
    Options {
        host_name: host.to_owned(),
        storage,
        transport: Arc::new(Tcp::default()),
        listen,
        advertise: None,
        timing: Timing::default(),
        compaction: Compaction::default(),
        sessions: SessionPeriods { ttl: ENDLESS },
        patience: Duration::from_secs(20),
        founding: None,
    }
}

pub(crate) fn founding(me: u64, members: &BTreeMap<ConductorId, Member>) -> Option<Founding> {
    let mut others = members.clone();
    others.remove(&ConductorId(me));
    Some(Founding {
        cluster: CLUSTER,
        conductor: ConductorId(me),
        others,
    })
}

/// A cluster of one.
pub(crate) async fn single(storage: Storage) -> Result<Cluster, ClusterError> {
    let (listen, _) = listener().await;
    let mut options = options("c1", storage, listen);
    options.founding = founding(1, &BTreeMap::new());
    Cluster::start(options, env(1), Arc::new(Counts::default())).await
}

/// Founders 1 to `n`, each with the storage that `storage` names.
pub(crate) struct Founders {
    pub(crate) members: BTreeMap<ConductorId, Member>,
    pub(crate) running: BTreeMap<u64, Cluster>,
    pub(crate) sinks: BTreeMap<u64, Arc<Counts>>,
    pub(crate) storage: Box<dyn Fn(u64) -> Storage + Send + Sync>,
    pub(crate) compaction: Compaction,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) session_ttl: Duration,
    pub(crate) starts: u64,
}

impl Founders {
    /// Founders whose sessions outlast the test.
    pub(crate) async fn start(
        n: u64,
        storage: impl Fn(u64) -> Storage + Send + Sync + 'static,
        compaction: Compaction,
    ) -> Self {
        Self::start_with(n, storage, compaction, Arc::new(Tcp::default()), ENDLESS).await
    }

    pub(crate) async fn start_with(
        n: u64,
        storage: impl Fn(u64) -> Storage + Send + Sync + 'static,
        compaction: Compaction,
        transport: Arc<dyn Transport>,
        session_ttl: Duration,
    ) -> Self {
        let mut listens = BTreeMap::new();
        let mut members = BTreeMap::new();
        for id in 1..=n {
            let (listen, address) = listener().await;
            listens.insert(id, listen);
            let member = Member {
                host: format!("c{id}"),
                address,
            };
            members.insert(ConductorId(id), member);
        }
        let mut founders = Self {
            members,
            running: BTreeMap::new(),
            sinks: BTreeMap::new(),
            storage: Box::new(storage),
            compaction,
            transport,
            session_ttl,
            starts: 0,
        };
        for (id, listen) in listens {
            founders.start_one(id, listen).await.unwrap();
        }
        founders
    }

    async fn start_one(&mut self, id: u64, listen: Listen) -> Result<(), ClusterError> {
        let mut options = options(&format!("c{id}"), (self.storage)(id), listen);
        options.founding = founding(id, &self.members);
        options.compaction = self.compaction;
        options.transport = self.transport.clone();
        options.sessions.ttl = self.session_ttl;
        self.starts += 1;
        let sink = self.sinks.entry(id).or_default().clone();
        let cluster = Cluster::start(options, env(100 * self.starts + id), sink).await?;
        self.running.insert(id, cluster);
        Ok(())
    }

    /// Starts a member that was stopped, at its old address.
    pub(crate) async fn restart(&mut self, id: u64) -> Result<(), ClusterError> {
        let address = self.members[&ConductorId(id)].address.clone();
        self.start_one(id, Listen::Address(address)).await
    }

    pub(crate) async fn stop(&mut self, id: u64) {
        self.running.remove(&id).unwrap().shutdown().await;
    }

    pub(crate) fn get(&self, id: u64) -> &Cluster {
        &self.running[&id]
    }

    /// Waits until all running members agree on a leader among them.
    pub(crate) async fn leader(&self) -> u64 {
        eventually("a leader that everybody knows", || {
            let mut seen = self.running.values().map(Cluster::leader);
            let first = seen.next().flatten()?;
            let known = self.running.contains_key(&first.0);
            (known && seen.all(|other| other == Some(first))).then_some(first.0)
        })
        .await
    }

    pub(crate) async fn stop_all(self) {
        for cluster in self.running.values() {
            cluster.shutdown().await;
        }
    }
}

/// Polls `probe` until it yields, or panics after [`DEADLINE`].
pub(crate) async fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(DEADLINE, async {
        loop {
            if let Some(found) = probe() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.unwrap_or_else(|_| panic!("never saw {what}"))
}

pub(crate) fn memory(disks: &[MemDisk]) -> impl Fn(u64) -> Storage + Send + Sync + use<> {
    let disks = disks.to_vec();
    move |id| Storage::Memory(disks[usize::try_from(id).unwrap() - 1].clone())
}

pub(crate) fn directories(root: &Path) -> impl Fn(u64) -> Storage + Send + Sync + use<> {
    let root = root.to_owned();
    move |id| Storage::Directory(root.join(format!("c{id}")))
}

/// A small change that can be told from every other: conductor `1000 + n` comes up.
pub(crate) fn change(n: u64) -> Command {
    Command::ConductorUp(ConductorUp {
        session: Session {
            conductor: ConductorId(1000 + n),
            incarnation: Incarnation(1),
        },
        host: format!("host-{n}").into(),
        group: "".into(),
        rack: "r1".into(),
        drivers: vec!["ipmi".into(), "redfish".into()],
    })
}

/// Whether that change is in the state.
pub(crate) fn has(cluster: &Cluster, n: u64) -> bool {
    let state = cluster.state();
    let state = state.read();
    state.conductor(ConductorId(1000 + n)).is_some()
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A node that is created.
pub(crate) fn node(n: u128) -> Command {
    let id = NodeId(Uuid::from_u128(n));
    let record = NodeRecord::new(id, "fake-hardware".into(), WallMs(1));
    Command::NodeCreate(Box::new(record))
}

/// Whether that node is in the state.
pub(crate) fn has_node(cluster: &Cluster, n: u128) -> bool {
    let state = cluster.state();
    let state = state.read();
    state.node(NodeId(Uuid::from_u128(n))).is_some()
}
