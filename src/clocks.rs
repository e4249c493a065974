//! Time and chance of a real process: the ports that every crate is handed.

use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::ids::WallMs;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The process's clocks. The monotonic one is tokio's, so that it follows paused time in tests.
struct RealClock {
    start: tokio::time::Instant,
}

impl Clock for RealClock {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the wall clock"
    )]
    fn wall(&self) -> WallMs {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

struct RealEntropy(Mutex<StdRng>);

impl Entropy for RealEntropy {
    fn next_u64(&self) -> u64 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u64()
    }
}

/// The environment of this process, seeded by the system.
pub(crate) fn env() -> Env {
    Env {
        clock: Arc::new(RealClock {
            start: tokio::time::Instant::now(),
        }),
        entropy: Arc::new(RealEntropy(Mutex::new(StdRng::from_os_rng()))),
    }
}
