//! How long to wait for an answer before asking again: a round-trip estimate per BMC with exponential back-off,
//! after RFC 6298 §2.

use std::time::Duration;

/// Wait for the first answer of a BMC that was never heard. Slow BMCs need 200 to 400 ms for a key exchange.
pub(super) const FIRST: Duration = Duration::from_millis(600);
/// Never ask again sooner. A BMC that answers in 1 ms is still allowed a pause of its one small processor.
const MIN: Duration = Duration::from_millis(250);
/// Never wait longer between two sends; a call of a few seconds should still get several.
const MAX: Duration = Duration::from_secs(2);
/// Doublings after which [`MAX`] is reached from any start.
const DOUBLINGS_MAX: u32 = 4;

/// Smoothed round-trip time and its variation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Timing {
    estimate: Option<(Duration, Duration)>,
}

impl Timing {
    /// Takes note of a round trip. Only of exchanges that were sent once: otherwise it is unknown which send was
    /// answered (RFC 6298 §3).
    pub(super) fn observe(&mut self, round_trip: Duration) {
        self.estimate = Some(match self.estimate {
            None => (round_trip, round_trip / 2),
            Some((smoothed, variation)) => {
                let error = smoothed.abs_diff(round_trip);
                (
                    smoothed * 7 / 8 + round_trip / 8,
                    variation * 3 / 4 + error / 4,
                )
            }
        });
    }

    /// How long to wait after the `sent`-th send of one message (counted from 1).
    pub(super) fn wait(&self, sent: u32) -> Duration {
        let first = match self.estimate {
            None => FIRST,
            Some((smoothed, variation)) => (smoothed + variation * 4).clamp(MIN, MAX),
        };
        let doublings = sent.saturating_sub(1).min(DOUBLINGS_MAX);
        first.saturating_mul(1 << doublings).min(MAX)
    }

    /// The smoothed round trip, once one is known.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.estimate.map(|(smoothed, _)| smoothed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let mut timing = Timing::default();
        assert_eq!(timing.wait(1), FIRST);
        assert_eq!(timing.wait(2), FIRST * 2);
        assert_eq!(timing.wait(9), MAX);
        for _ in 0..50 {
            timing.observe(Duration::from_millis(2));
        }
        assert_eq!(timing.wait(1), MIN);
        for _ in 0..50 {
            timing.observe(Duration::from_secs(9));
        }
        assert_eq!(timing.wait(1), MAX);
    }
}
