//! Measures proposals on three members in one process: three stores on the disk under test, real sockets between them.
//!
//! Each proposal edits one of [`NODES`] nodes, so it costs what a real one costs: a log entry of some 300 bytes, a
//! changed record of a kilobyte and a remembered reply, on each of the three members.

use crate::error::ClusterError;
use crate::handle::Cluster;
use crate::options::{Compaction, Founding, Listen, Options, Storage, Timing};
use crate::peer::transport::{Tcp, Transport};
use crate::raft::types::Member;
use baton_model::command::{Command, EditNode, Reply};
use baton_model::env::Env;
use baton_model::ids::{ConductorId, LogIndex, NodeId, WallMs};
use baton_model::node::edit::NodeEdit;
use baton_model::node::record::NodeRecord;
use baton_model::port::cluster::{ChangeSink, ProposeError};
use baton_model::session::SessionPeriods;
use baton_model::state::Change;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Nodes that are edited in turn.
const NODES: u64 = 1000;

/// Size of the edited text: with the rest, an entry of some 300 bytes.
const TEXT: usize = 200;

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Proposals one after another.
    pub single: usize,
    /// Writers at once.
    pub writers: usize,
    /// Proposals of all writers together.
    pub together: usize,
    /// Through a member that does not lead, instead of the leader.
    pub through_follower: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            single: 2000,
            writers: 64,
            together: 60_000,
            through_follower: false,
        }
    }
}

/// What a run found.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Median latency of a single writer.
    pub single_p50: Duration,
    /// 99th percentile of it.
    pub single_p99: Duration,
    /// Proposals a second of all writers together.
    pub rate: f64,
    /// Median latency of one of many writers.
    pub together_p50: Duration,
    /// 99th percentile of it.
    pub together_p99: Duration,
    /// Bytes that one member's store takes afterwards.
    pub disk_bytes: u64,
}

/// Why a run has no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// A member did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A proposal failed.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// A proposal was refused.
    #[error("a proposal was refused: {reply:?}")]
    Refused {
        /// By this reply.
        reply: Reply,
    },
    /// A writer's task failed.
    #[error("a writer failed")]
    Writer(#[from] tokio::task::JoinError),
}

struct Deaf;

impl ChangeSink for Deaf {
    fn applied(&self, _: LogIndex, _: &[Change]) {}
    fn reset(&self, _: LogIndex) {}
}

const fn node(n: u64) -> NodeId {
    NodeId(Uuid::from_u128(0xBE_0000 + (n % NODES) as u128))
}

fn edit(n: u64) -> Command {
    let text: String = format!("{n:08}").chars().cycle().take(TEXT).collect();
    Command::NodeEdit(EditNode {
        node: node(n),
        expect: None,
        edits: vec![NodeEdit::Description(Some(text.into()))],
    })
}

async fn propose(cluster: &Cluster, command: Command) -> Result<Duration, BenchError> {
    let begin = Instant::now();
    let reply = cluster.propose(command).await?;
    if let Reply::Refused(_) = reply {
        return Err(BenchError::Refused { reply });
    }
    Ok(begin.elapsed())
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .copied()
        .unwrap_or_default()
}

async fn members(dir: &Path, env: &Env) -> Result<Vec<Cluster>, BenchError> {
    let transport = Arc::new(Tcp::default());
    let mut doors = BTreeMap::new();
    for id in 1..=3 {
        let address = "127.0.0.1:0".to_owned();
        let failed = |source| ClusterError::Listen {
            address: address.clone(),
            source,
        };
        let listener = transport.listen(&address).await.map_err(failed)?;
        let address = listener.local_address().map_err(failed)?;
        let host = format!("c{id}");
        doors.insert(ConductorId(id), (listener, Member { host, address }));
    }
    let all: BTreeMap<_, _> = doors
        .iter()
        .map(|(id, (_, member))| (*id, member.clone()))
        .collect();
    let mut running = Vec::new();
    for (id, (listener, member)) in doors {
        let mut others = all.clone();
        others.remove(&id);
        let options = Options {
            storage: Storage::Directory(dir.join(&member.host)),
            host_name: member.host,
            transport: transport.clone(),
            listen: Listen::Open(listener),
            advertise: None,
            timing: Timing::default(),
            compaction: Compaction::default(),
            sessions: SessionPeriods {
                ttl: Duration::from_secs(3600),
            },
            patience: Duration::from_secs(10),
            founding: Some(Founding {
                cluster: Uuid::from_u128(0xBE),
                conductor: id,
                others,
            }),
        };
        running.push(Cluster::start(options, env.clone(), Arc::new(Deaf)).await?);
    }
    Ok(running)
}

/// Runs `plan` in `dir`, which should be empty and on the disk to be measured.
///
/// # Errors
/// [`BenchError`], if a member does not start or a proposal fails.
pub async fn run(dir: &Path, env: &Env, plan: Plan) -> Result<Figures, BenchError> {
    let running = members(dir, env).await?;
    let outcome = measure(&running, plan).await;
    for cluster in &running {
        cluster.shutdown().await;
    }
    outcome
}

async fn measure(running: &[Cluster], plan: Plan) -> Result<Figures, BenchError> {
    let Some(first) = running.first() else {
        unreachable!("three members were started")
    };
    for n in 0..NODES {
        let record = NodeRecord::new(node(n), "fake-hardware".into(), WallMs(0));
        propose(first, Command::NodeCreate(Box::new(record))).await?;
    }
    let leads = |cluster: &&Cluster| cluster.leader() == Some(cluster.conductor());
    let chosen = running
        .iter()
        .find(|cluster| leads(cluster) != plan.through_follower)
        .unwrap_or(first);

    let mut single = Vec::with_capacity(plan.single);
    for n in 0..plan.single as u64 {
        single.push(propose(chosen, edit(n)).await?);
    }
    single.sort_unstable();

    let next = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..plan.writers {
        let (cluster, next) = (chosen.clone(), next.clone());
        writers.spawn(async move {
            let mut took = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= plan.together as u64 {
                    return Ok::<_, BenchError>(took);
                }
                took.push(propose(&cluster, edit(n)).await?);
            }
        });
    }
    let mut together = Vec::with_capacity(plan.together);
    while let Some(took) = writers.join_next().await {
        together.extend(took??);
    }
    let elapsed = begin.elapsed();
    together.sort_unstable();
    chosen.store().drained().await;
    Ok(Figures {
        single_p50: percentile(&single, 50),
        single_p99: percentile(&single, 99),
        rate: together.len() as f64 / elapsed.as_secs_f64(),
        together_p50: percentile(&together, 50),
        together_p99: percentile(&together, 99),
        disk_bytes: chosen.store().disk_bytes(),
    })
}
