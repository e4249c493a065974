//! What a Redfish power read costs the client: CPU seconds of this process alone, per 1000 reads, while the simulated
//! BMCs run in a process of their own on the same machine.
//!
//! ```text
//! cargo run --release -p baton-bmc --features sim --example redfish_cost -- [BMCS] [READS] [IN_FLIGHT]
//! ```
//! Prints one line per way of reading: kept-alive TLS, kept-alive plain, a resumed handshake per read, a full handshake
//! per read, and the memory that a kept connection costs.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a measuring tool: it prints, reads a clock, and stops at the first surprise"
)]

use baton_bmc::redfish::{RedfishClient, RedfishConfig};
use baton_bmc::sim::{Farm, FarmConfig};
use baton_model::driver::redfish::{RedfishTarget, parse};
use baton_model::ids::NodeId;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const BUDGET: Duration = Duration::from_secs(30);

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: usize| {
        args.get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    if args.first().is_some_and(|first| first == "serve") {
        serve(u32::try_from(number(1, 1)).unwrap(), args.get(2).is_some());
        return;
    }
    let (bmcs, reads, in_flight) = (number(0, 1000), number(1, 100_000), number(2, 64));
    println!("{bmcs} BMCs, {in_flight} reads in flight; CPU is this process, user + system");
    for tls in [true, false] {
        let farm = RunningFarm::start(bmcs, tls);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(measure(&farm, tls, reads, in_flight));
    }
}

/// The BMCs, in a process of their own, which ends when its standard input closes.
fn serve(bmcs: u32, tls: bool) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let farm = Farm::start(FarmConfig {
            redfish: bmcs,
            tls,
            ..FarmConfig::default()
        })
        .await
        .unwrap();
        for machine in farm.machines() {
            println!(
                "{} {}",
                machine.redfish.unwrap(),
                machine.redfish_system_id.unwrap()
            );
        }
        println!("end");
        std::io::stdout().flush().unwrap();
        tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()))
            .await
            .unwrap()
            .unwrap();
        farm.stop().await;
    });
}

struct RunningFarm {
    process: Child,
    targets: Vec<Arc<RedfishTarget>>,
}

impl RunningFarm {
    fn start(bmcs: usize, tls: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.arg("serve").arg(bmcs.to_string());
        if tls {
            command.arg("tls");
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let targets = lines
            .map(Result::unwrap)
            .take_while(|line| line != "end")
            .map(|line| {
                let (address, system) = line.split_once(' ').unwrap();
                let info = json!({
                    "redfish_address": address, "redfish_system_id": system,
                    "redfish_username": "admin", "redfish_password": "password",
                    "redfish_verify_ca": false,
                });
                Arc::new(parse(NodeId(uuid::Uuid::nil()), info.as_object().unwrap()).unwrap())
            })
            .collect();
        Self { process, targets }
    }
}

impl Drop for RunningFarm {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        drop(self.process.wait());
    }
}

async fn measure(farm: &RunningFarm, tls: bool, reads: usize, in_flight: usize) {
    let kind = if tls { "TLS" } else { "plain" };
    let targets: Arc<[Arc<RedfishTarget>]> = farm.targets.clone().into();
    let few = (reads / 10).max(targets.len());

    let before = resident_kib();
    let client = RedfishClient::new(RedfishConfig::default());
    run(
        "cold (login, connection)",
        kind,
        &client,
        &targets,
        targets.len(),
        in_flight,
    )
    .await;
    let grown = resident_kib().saturating_sub(before);
    println!(
        "{kind:5}  memory per BMC with its kept connection: {:.1} KiB",
        grown as f64 / targets.len() as f64
    );
    run("kept alive", kind, &client, &targets, reads, in_flight).await;
    client.close(BUDGET).await;

    let closing = RedfishClient::new(RedfishConfig {
        connections_max: 1,
        ..RedfishConfig::default()
    });
    run(
        "warm-up of the next",
        kind,
        &closing,
        &targets,
        targets.len(),
        in_flight,
    )
    .await;
    run(
        "a new connection each",
        kind,
        &closing,
        &targets,
        few,
        in_flight,
    )
    .await;
    println!("{kind:5}  {:?}", closing.stats());
    closing.close(BUDGET).await;
}

async fn run(
    what: &str,
    kind: &str,
    client: &RedfishClient,
    targets: &Arc<[Arc<RedfishTarget>]>,
    reads: usize,
    in_flight: usize,
) {
    let next = Arc::new(AtomicUsize::new(0));
    let (cpu, clock) = (cpu_seconds(), Instant::now());
    let workers: Vec<_> = (0..in_flight)
        .map(|_| {
            let (client, targets, next) = (client.clone(), Arc::clone(targets), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= reads {
                        return;
                    }
                    let target = &targets[at % targets.len()];
                    client.power_state(target, BUDGET).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let (cpu, elapsed) = (cpu_seconds() - cpu, clock.elapsed().as_secs_f64());
    let reads = reads as f64;
    println!(
        "{kind:5}  {what:26} {:8.0} reads/s  {:.4} CPU-s per 1000",
        reads / elapsed,
        cpu / reads * 1000.0
    );
}

/// User and system time of this process, from `/proc/self/stat` (proc(5): fields 14 and 15, in ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

/// Resident memory of this process (proc(5): `VmRSS`).
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
