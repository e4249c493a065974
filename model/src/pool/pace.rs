//! Packets per second: a token bucket on the pool's own clock.

use crate::env::Mono;
use std::time::Duration;

/// A bucket of packets that fills steadily up to its burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    per_second: u64,
    /// In thousandths of a packet, so that a millisecond adds a whole number.
    burst: u64,
    level: u64,
    filled: Mono,
}

impl TokenBucket {
    pub(super) const fn new(per_second: u64, burst: u64, now: Mono) -> Self {
        let burst = burst.saturating_mul(1000);
        Self {
            per_second,
            burst,
            level: burst,
            filled: now,
        }
    }

    fn fill(&mut self, now: Mono) {
        let passed = now.0.saturating_sub(self.filled.0);
        self.filled = self.filled.max(now);
        let added = passed.saturating_mul(self.per_second);
        self.level = self.level.saturating_add(added).min(self.burst);
    }

    /// Takes `packets`, or says when they will be there.
    pub(super) fn take(&mut self, now: Mono, packets: u64) -> Result<(), Mono> {
        self.fill(now);
        let cost = packets.saturating_mul(1000).min(self.burst);
        if let Some(left) = self.level.checked_sub(cost) {
            self.level = left;
            Ok(())
        } else {
            let wait = (cost - self.level).div_ceil(self.per_second);
            Err(now + Duration::from_millis(wait))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_holds_over_a_second() {
        let mut bucket = TokenBucket::new(1000, 100, Mono(0));
        let taken = (0..1000)
            .filter(|ms| bucket.take(Mono(*ms), 2).is_ok())
            .count();
        assert!((500..=550).contains(&taken), "{taken}");
    }

    #[test]
    fn a_refusal_names_the_moment_at_which_it_works() {
        let mut bucket = TokenBucket::new(10, 2, Mono(0));
        bucket.take(Mono(0), 2).unwrap();
        let when = bucket.take(Mono(0), 2).unwrap_err();
        assert_eq!(when, Mono(200));
        assert!(bucket.take(Mono(199), 2).is_err());
        bucket.take(when, 2).unwrap();
    }
}
