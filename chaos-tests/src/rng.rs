//! Chance, all of it from one seed: splitmix64 (Steele, Lea, Flood, 2014), split by name.
//!
//! Every part of the world draws from a stream of its own, so that one more draw in one part shifts nothing in another.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u64,
    state: u64,
}

const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream of a seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        let state = mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15));
        Self { seed: state, state }
    }

    /// The stream called `name` below this one, whatever was drawn from this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let named = name.bytes().fold(self.seed, |hash, byte| {
            mix(hash ^ u64::from(byte)).wrapping_add(0x9e37_79b9_7f4a_7c15)
        });
        Self::seeded(named)
    }

    /// The next 64 bits.
    pub const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `bound`; zero for a zero bound.
    pub const fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }

    /// A number from `low` to `high`, both included.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of a hundred cases.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these; `None` of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let index = self.below(from.len() as u64);
        usize::try_from(index)
            .ok()
            .and_then(|index| from.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_does_not_depend_on_what_its_parent_drew() {
        let mut parent = Rng::seeded(7);
        let mut before = parent.child("network");
        parent.bits();
        let mut after = parent.child("network");
        assert_eq!(before.bits(), after.bits());
        assert_ne!(parent.child("farm").bits(), parent.child("network").bits());
        assert_ne!(Rng::seeded(1).bits(), Rng::seeded(2).bits());
    }
}
