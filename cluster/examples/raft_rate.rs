//! Prints latency and rate of proposals, three members in one process on this disk:
//! `cargo run --release -p baton-cluster --example raft_rate [directory]`.
#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use baton_cluster::bench::{self, BenchError, Plan};
use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::ids::WallMs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

struct Run {
    start: tokio::time::Instant,
    draws: AtomicU64,
}

impl Clock for Run {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> WallMs {
        WallMs(0)
    }
}

impl Entropy for Run {
    fn next_u64(&self) -> u64 {
        self.draws
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)
            .rotate_left(29)
    }
}

#[tokio::main]
async fn main() -> Result<(), BenchError> {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("target/bench-raft"), PathBuf::from);
    let run = Arc::new(Run {
        start: tokio::time::Instant::now(),
        draws: AtomicU64::new(7),
    });
    let env = Env {
        clock: run.clone(),
        entropy: run,
    };
    println!("through   single p50/p99 ms   64 writers /s   p50/p99 ms   disk KiB");
    for (name, through_follower) in [("leader", false), ("follower", true)] {
        let plan = Plan {
            single: 2000,
            writers: 64,
            together: 60_000,
            through_follower,
        };
        let figures = bench::run(&dir.join(name), &env, plan).await?;
        let millis = |span: std::time::Duration| span.as_secs_f64() * 1000.0;
        println!(
            "{name:9} {:8.2} / {:6.2} {:15.0} {:7.2} / {:5.2} {:8}",
            millis(figures.single_p50),
            millis(figures.single_p99),
            figures.rate,
            millis(figures.together_p50),
            millis(figures.together_p99),
            figures.disk_bytes / 1024,
        );
    }
    Ok(())
}
