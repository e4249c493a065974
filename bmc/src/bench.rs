//! Measurements of the clients against the simulator, for `scripts/bench`. Simulator and client run in one process on
//! runtimes of their own, so that the client's share of processor time can be told from its threads.

use crate::ipmi::{IpmiClient, IpmiSettings};
use crate::sim::{Farm, FarmConfig, FarmError};
use baton_model::driver::ipmi::{CipherSuite, IpmiProtocol, IpmiTarget, Privilege};
use baton_model::env::Entropy;
use baton_model::port::bmc::BmcError;
use baton_model::secret::Secret;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Budget of one call: far more than any takes, so that a lost datagram slows a run and does not fail it.
const BUDGET: Duration = Duration::from_secs(20);
/// Names of the client's threads. The kernel shows 15 bytes of it.
const CLIENT: &str = "bench-client";

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct IpmiBench {
    /// Simulated BMCs.
    pub bmcs: u32,
    /// Power reads in all.
    pub reads: usize,
    /// Reads under way at once.
    pub in_flight: usize,
    /// Cipher suite.
    pub suite: CipherSuite,
    /// A session for each read, opened and closed; otherwise sessions are open before the clock starts.
    pub cold: bool,
    /// Threads of the client's runtime.
    pub client_threads: usize,
    /// Threads of the simulator's runtime.
    pub sim_threads: usize,
}

/// What came out.
#[derive(Clone, Copy, Debug)]
pub struct IpmiReport {
    /// Power reads a second.
    pub reads_per_s: f64,
    /// Processor seconds of the client for a thousand reads.
    pub client_cpu_s_per_1000: f64,
    /// Processor seconds of everything for a thousand reads.
    pub all_cpu_s_per_1000: f64,
    /// Reads that failed.
    pub failed: usize,
    /// Datagrams that the client sent per read; repetitions show here.
    pub datagrams_per_read: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The simulator did not start.
    #[error("the simulator did not start")]
    Farm(#[from] FarmError),
    /// A runtime or a socket could not be made.
    #[error("the bench could not be set up")]
    Io(#[from] std::io::Error),
    /// A session could not be opened before a warm run.
    #[error("a session could not be opened")]
    Bmc(#[from] BmcError),
}

/// Chance for a measurement: all it takes is that draws differ.
struct Weyl(AtomicU64);

impl Entropy for Weyl {
    fn next_u64(&self) -> u64 {
        self.0
            .fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed)
            .rotate_left(31)
    }
}

/// Nanoseconds on a processor so far: of the threads whose name starts with `prefix`, from `/proc`.
fn cpu_ns(prefix: &str) -> u64 {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    tasks
        .flatten()
        .filter(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with(prefix))
        })
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// Runs one measurement. Blocks; call it outside of any runtime.
///
/// # Errors
/// The simulator, a runtime or a socket could not be had, or the sessions of a warm run did not open.
pub fn ipmi(bench: IpmiBench) -> Result<IpmiReport, BenchError> {
    let runtime = |name: &str, threads: usize| {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name(name)
            .enable_all()
            .build()
    };
    let sim = runtime("bench-sim", bench.sim_threads)?;
    let farm = sim.block_on(Farm::start(FarmConfig {
        ipmi: bench.bmcs,
        ..FarmConfig::default()
    }))?;
    let targets: Arc<[Arc<IpmiTarget>]> = farm
        .machines()
        .filter_map(|machine| machine.ipmi)
        .map(|at| {
            Arc::new(IpmiTarget {
                address: at.ip().to_string().into(),
                port: at.port(),
                username: "admin".into(),
                password: Secret::new("password".into()),
                privilege: Privilege::Administrator,
                protocol: IpmiProtocol::V2_0,
                cipher_suite: Some(bench.suite),
                kg: None,
                keep_boot: None,
            })
        })
        .collect();
    let client = runtime(CLIENT, bench.client_threads)?;
    let report = client.block_on(async { tokio::spawn(measure(bench, targets)).await });
    drop(client);
    sim.block_on(farm.stop());
    report.map_err(std::io::Error::other)?
}

async fn measure(
    bench: IpmiBench,
    targets: Arc<[Arc<IpmiTarget>]>,
) -> Result<IpmiReport, BenchError> {
    let settings = IpmiSettings {
        warm_sessions_max: targets.len().max(1) * 2,
        ..IpmiSettings::default()
    };
    let client = Arc::new(IpmiClient::start(&settings, &Weyl(AtomicU64::new(1)))?);
    if !bench.cold {
        run(&client, &targets, targets.len(), bench.in_flight, false).await;
    }
    let sent = client.stats().sent;
    let (ours, all) = (cpu_ns(CLIENT), cpu_ns("bench-"));
    let began = Instant::now();
    let failed = run(&client, &targets, bench.reads, bench.in_flight, bench.cold).await;
    let elapsed = began.elapsed().as_secs_f64();
    let per_read = |ns: u64| count(ns) / 1e9 / count(bench.reads as u64) * 1000.0;
    let report = IpmiReport {
        reads_per_s: count(bench.reads as u64) / elapsed,
        client_cpu_s_per_1000: per_read(cpu_ns(CLIENT) - ours),
        all_cpu_s_per_1000: per_read(cpu_ns("bench-") - all),
        failed,
        datagrams_per_read: count(client.stats().sent - sent) / count(bench.reads as u64),
    };
    client.close(BUDGET).await;
    Ok(report)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a measurement is not exact to 53 bits"
)]
const fn count(value: u64) -> f64 {
    value as f64
}

/// Does `reads` reads with so many workers; returns how many failed.
async fn run(
    client: &Arc<IpmiClient>,
    targets: &Arc<[Arc<IpmiTarget>]>,
    reads: usize,
    in_flight: usize,
    cold: bool,
) -> usize {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..in_flight {
        let (client, targets, next) = (Arc::clone(client), Arc::clone(targets), Arc::clone(&next));
        workers.spawn(async move {
            let mut failed = 0;
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= reads {
                    return failed;
                }
                let target = &targets[at % targets.len()];
                if client.power_state(target, BUDGET).await.is_err() {
                    failed += 1;
                }
                if cold {
                    client.forget(target).await;
                }
            }
        });
    }
    let mut failed = 0;
    while let Some(worker) = workers.join_next().await {
        failed += worker.unwrap_or(1);
    }
    failed
}
