//! Replay protection: which session sequence numbers are still acceptable (§6.12.13).

/// How far back a late packet may be. The specification asks for 16 below the highest number seen (§6.12.13).
pub const BEHIND_MAX: u32 = 16;

/// Remembers the highest sequence number seen and which of the [`BEHIND_MAX`] below it.
///
/// Jumps ahead are accepted without limit: the number is covered by the integrity code, and a limit would end a
/// session for good after a burst of lost packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SequenceWindow {
    highest: u32,
    /// Bit `n` set: `highest - n` was seen.
    seen: u32,
}

impl SequenceWindow {
    /// A window of a session that received nothing yet; sequence numbers start with 1 (§13.6: 0 is for no session).
    #[must_use]
    pub const fn new() -> Self {
        Self {
            highest: 0,
            seen: 0,
        }
    }

    /// Whether `sequence` is new. Call [`Self::accept`] only once the packet's integrity is proven.
    #[must_use]
    pub fn is_fresh(self, sequence: u32) -> bool {
        if sequence == 0 {
            return false;
        }
        match self.highest.checked_sub(sequence) {
            None => true,
            Some(behind) if behind > BEHIND_MAX => false,
            Some(behind) => self.seen & 1u32.wrapping_shl(behind) == 0,
        }
    }

    /// Takes note of `sequence`; returns whether it was fresh.
    pub fn accept(&mut self, sequence: u32) -> bool {
        if !self.is_fresh(sequence) {
            return false;
        }
        match sequence.checked_sub(self.highest) {
            Some(ahead) => {
                self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
                self.highest = sequence;
            }
            None => {
                let behind = self.highest.wrapping_sub(sequence);
                self.seen |= 1u32.wrapping_shl(behind);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_taken_once() {
        let mut window = SequenceWindow::new();
        assert!(window.accept(1));
        assert!(!window.accept(1));
        assert!(window.accept(3));
        assert!(window.accept(2));
        assert!(!window.accept(2));
        assert!(!window.accept(3));
        assert!(!window.accept(0));
    }

    #[test]
    fn the_past_ends_sixteen_back() {
        let mut window = SequenceWindow::new();
        assert!(window.accept(100));
        assert!(window.accept(84));
        assert!(!window.accept(83));
        assert!(window.accept(u32::MAX));
        assert!(!window.accept(100));
    }

    #[test]
    fn no_order_of_arrival_accepts_twice() {
        let mut window = SequenceWindow::new();
        let mut taken = std::collections::BTreeSet::new();
        let mut state = 1u32;
        for _ in 0..10_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let sequence = (state >> 20) & 0x7FF;
            if window.accept(sequence) {
                assert!(taken.insert(sequence), "{sequence} was accepted twice");
            }
        }
    }
}
