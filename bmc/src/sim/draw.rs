//! Seeded chance for the simulator. Every simulated BMC has its own stream, split off by its number, so that a draw
//! of one never shifts the draws of another, and the same seed gives the same session ids, losses and delays.

/// A small seeded generator (SplitMix64). Good enough to spread and to lose packets; never for real secrets.
#[derive(Clone, Debug)]
pub struct Draw(u64);

/// The increment of SplitMix64: 2^64 divided by the golden ratio, odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Draw {
    /// The stream number `lane` of `seed`.
    #[must_use]
    pub const fn new(seed: u64, lane: u64) -> Self {
        Self(seed ^ lane.wrapping_add(1).wrapping_mul(GOLDEN))
    }

    /// The next 64 bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next 32 bits, never zero (session ids must not be).
    pub fn nonzero_u32(&mut self) -> u32 {
        loop {
            let high = u32::try_from(self.next_u64() >> 32).unwrap_or(1);
            if high != 0 {
                return high;
            }
        }
    }

    /// 16 fresh bytes.
    pub fn bytes16(&mut self) -> [u8; 16] {
        let mut out = [0; 16];
        let (low, high) = out.split_at_mut(8);
        low.copy_from_slice(&self.next_u64().to_le_bytes());
        high.copy_from_slice(&self.next_u64().to_le_bytes());
        out
    }

    /// Uniform in `[0, 1)`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether an event of probability `p` happens. Draws nothing for 0 and 1.
    pub fn happens(&mut self, p: f64) -> bool {
        if p <= 0.0 {
            false
        } else if p >= 1.0 {
            true
        } else {
            self.unit() < p
        }
    }

    /// Uniform in `[0, below)`; zero for zero.
    pub const fn below(&mut self, below: u64) -> u64 {
        if below == 0 {
            0
        } else {
            self.next_u64() % below
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_differ_and_repeat() {
        let mut a = Draw::new(7, 1);
        let mut b = Draw::new(7, 2);
        assert_ne!(a.next_u64(), b.next_u64());
        let mut again = Draw::new(7, 1);
        again.next_u64();
        assert_eq!(a.next_u64(), again.next_u64());
    }

    #[test]
    fn probability_is_about_right() {
        let mut draw = Draw::new(1, 1);
        let hits = (0..10_000).filter(|_| draw.happens(0.05)).count();
        assert!((350..650).contains(&hits), "{hits} of 10000 at 5 %");
        assert!(!draw.happens(0.0));
        assert!(draw.happens(1.0));
    }
}
