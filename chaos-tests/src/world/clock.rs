//! Time and chance of one simulated process: tokio's paused clock, and a stream of the world's random numbers.

use crate::rng::Rng;
use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::ids::WallMs;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;

/// The wall clock when a world begins: 2026-01-01, which labels records and decides nothing.
const EPOCH_MS: u64 = 1_767_225_600_000;

/// The clocks of one boot of one host.
struct SimClock {
    start: Instant,
    wall_at_start: u64,
}

impl Clock for SimClock {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> WallMs {
        WallMs(self.wall_at_start.saturating_add(self.now().0))
    }
}

struct SimEntropy(Mutex<Rng>);

impl Entropy for SimEntropy {
    fn next_u64(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bits()
    }
}

/// The environment of a process that starts now, `now_ms` after the world began. Its wall clock is `skew_ms` ahead. Must be
/// called within the process's runtime, whose clock it reads.
#[must_use]
pub fn env(now_ms: u64, skew_ms: u64, chance: Rng) -> Env {
    Env {
        clock: Arc::new(SimClock {
            start: Instant::now(),
            wall_at_start: EPOCH_MS + now_ms + skew_ms,
        }),
        entropy: Arc::new(SimEntropy(Mutex::new(chance))),
    }
}
