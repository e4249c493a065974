//! What the sync pool costs: time per job (submit, start, finish) and memory per BMC, with 100,000 BMCs.
//!
//! `cargo run --release -p baton-model --example pool_cost`

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a measurement reads the clock and prints"
)]

use baton_model::env::Mono;
use baton_model::ids::{Epoch, NodeId, Ticket};
use baton_model::pool::{
    BlockKey, BmcKey, Effect, Endpoint, Job, JobId, Outcome, PoolSettings, Priority, Protocol,
    SyncPool, Work,
};
use std::time::{Duration, Instant};
use uuid::Uuid;

const BMCS: u64 = 100_000;
const ROUNDS: u64 = 10;
/// Calls in flight at a time.
const DEPTH: usize = 256;

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    kib.unwrap_or(0)
}

fn job(now: Mono, n: u64) -> Job {
    Job {
        node: NodeId(Uuid::from_u128(u128::from(n))),
        endpoint: Endpoint {
            // Spread as hashes are.
            bmc: BmcKey(n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            block: BlockKey(n / 254),
            protocol: Protocol::Ipmi,
        },
        priority: Priority::Sync,
        work: Work::PowerQuery,
        deadline: now + Duration::from_secs(60),
        ticket: Ticket(n),
        epoch: Epoch(1),
    }
}

fn main() {
    let settings = PoolSettings {
        limit_initial: DEPTH * 2,
        limit_min: DEPTH * 2,
        packets_per_second: 1_000_000_000,
        packets_burst: 1_000_000_000,
        block_max: DEPTH,
        ..PoolSettings::default()
    };
    let before = resident_kib();
    let mut pool: SyncPool<u64> = SyncPool::new(settings, 1, Mono(1));
    let mut effects: Vec<Effect<u64>> = Vec::new();
    let mut flying: std::collections::VecDeque<JobId> = std::collections::VecDeque::new();
    let began = Instant::now();
    let mut jobs = 0u64;
    for round in 0..ROUNDS {
        for n in 0..BMCS {
            let now = Mono(1000 + round * 60_000 + n * 60_000 / BMCS);
            pool.submit(now, job(now, n), n, &mut effects);
            if flying.len() >= DEPTH
                && let Some(id) = flying.pop_front()
            {
                pool.finished(
                    now,
                    id,
                    Duration::from_millis(3),
                    Outcome::Answered,
                    &mut effects,
                );
            }
            for effect in effects.drain(..) {
                if let Effect::Start { id, .. } = effect {
                    flying.push_back(id);
                }
            }
            jobs += 1;
        }
    }
    let spent = began.elapsed();
    let grown = resident_kib().saturating_sub(before);
    let now = Mono(1000 + ROUNDS * 60_000);
    let stats_began = Instant::now();
    let stats = pool.stats(now);
    println!("jobs                {jobs}");
    println!(
        "started             {}",
        stats.counters.started.iter().sum::<u64>()
    );
    println!(
        "time per job        {:.2} us",
        spent.as_secs_f64() * 1e6 / jobs as f64
    );
    println!("memory per BMC      {} bytes", grown * 1024 / BMCS);
    println!(
        "picture of the pool {:.1} ms",
        stats_began.elapsed().as_secs_f64() * 1e3
    );
}
