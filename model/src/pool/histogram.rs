//! Durations counted in log-linear buckets: four per doubling, so a percentile is at most 19 % off, in 1 KiB.

use std::time::Duration;

/// Four buckets for each of the 30 doublings from 1 µs up; the last holds everything from 9 minutes on.
const BUCKETS: usize = 120;

/// A histogram of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u64; BUCKETS]>,
    total: u64,
    sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: Box::new([0; BUCKETS]),
            total: 0,
            sum_us: 0,
        }
    }
}

impl Histogram {
    /// Counts one duration.
    pub fn record(&mut self, span: Duration) {
        let us = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let bucket = bucket_of(us);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count = count.saturating_add(1);
        }
        self.total = self.total.saturating_add(1);
        self.sum_us = self.sum_us.saturating_add(us);
    }

    /// How many were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.total
    }

    /// The sum of all, in microseconds.
    #[must_use]
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The duration that `permille` thousandths of all do not exceed (upper edge of its bucket); zero if none was counted.
    #[must_use]
    pub fn at(&self, permille: u64) -> Duration {
        let rank = self.total.saturating_mul(permille.min(1000)).div_ceil(1000);
        let mut seen = 0u64;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen = seen.saturating_add(*count);
            if *count > 0 && seen >= rank {
                return Duration::from_micros(upper_us(bucket));
            }
        }
        Duration::ZERO
    }

    /// Every bucket that counted anything: its upper edge and its count, in order.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let filled = |(_, count): &(usize, &u64)| **count > 0;
        let show =
            |(bucket, count): (usize, &u64)| (Duration::from_micros(upper_us(bucket)), *count);
        self.counts.iter().enumerate().filter(filled).map(show)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "below 4")]
const fn bucket_of(us: u64) -> usize {
    if us < 4 {
        return us as usize;
    }
    let octave = us.ilog2();
    let quarter = (us >> (octave - 2)) & 3;
    let bucket = (octave as usize - 1) * 4 + quarter as usize;
    if bucket < BUCKETS {
        bucket
    } else {
        BUCKETS - 1
    }
}

#[expect(clippy::cast_possible_truncation, reason = "there are 120 buckets")]
const fn upper_us(bucket: usize) -> u64 {
    if bucket < 4 {
        return bucket as u64;
    }
    let octave = (bucket / 4 + 1) as u32;
    let quarter = (bucket % 4) as u64;
    ((5 + quarter) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_lies_between_its_edges() {
        for us in (0..5000).chain([70_000, 1_000_000, 59_999_999]) {
            let bucket = bucket_of(us);
            assert!(us <= upper_us(bucket), "{us}");
            assert!(bucket == 0 || us > upper_us(bucket - 1), "{us}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_within_a_bucket() {
        let mut all = Histogram::default();
        assert_eq!(all.at(500), Duration::ZERO);
        for ms in 1..=1000 {
            all.record(Duration::from_millis(ms));
        }
        let median = all.at(500).as_millis();
        assert!((500..=600).contains(&median), "{median}");
        assert_eq!(all.count(), 1000);
        assert_eq!(all.buckets().map(|(_, count)| count).sum::<u64>(), 1000);
    }
}
