//! When calls that nobody answers are given up: many of them at the same time.
//!
//! A BMC that falls silent costs little but the wake-ups of threads: for the end of its call, for its outcome, for its
//! node. Calls that end together share them.

use std::sync::OnceLock;
use std::time::Duration;
use tokio::time::Instant;

/// Long calls end in whole beats since [`epoch`]: eight times a second.
const BEAT_MS: u64 = 128;
/// Calls with less time than this use all of it; the others lose an eighth of theirs at most.
const LONG: Duration = Duration::from_millis(8 * BEAT_MS);

/// The time from which beats are counted, the same for every client of the process.
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

/// Milliseconds since [`epoch`].
pub(crate) fn millis(at: Instant) -> u64 {
    let since = at.saturating_duration_since(epoch()).as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}

/// When a call ends, in milliseconds since [`epoch`], that has this budget and may take until `latest_ms`.
pub(crate) fn end(latest_ms: u64, budget: Duration) -> u64 {
    if budget < LONG {
        latest_ms
    } else {
        latest_ms - latest_ms % BEAT_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_calls_end_together_and_none_too_late() {
        for (begin, budget, ends) in [
            (0, 2_000, 1_920),
            (47, 2_000, 1_920),
            (48, 2_000, 2_048),
            (175, 2_000, 2_048),
            (3, 1_023, 1_026),
            (3, 200, 203),
        ] {
            let given = end(begin + budget, Duration::from_millis(budget));
            assert_eq!(given, ends, "{begin} ms, {budget} ms");
        }
    }
}
