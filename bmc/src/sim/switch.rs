//! An optional shared bottleneck in front of all BMCs: a management switch that forwards so many packets a second and
//! holds so many in its queue. What does not fit is lost, as real switches do, so a client that finds the knee of its
//! throughput can be told from one that floods. Pure: time is microseconds on the farm's clock.

use serde::{Deserialize, Serialize};

/// What the switch can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchLimits {
    /// Packets forwarded a second; each question and each answer is one.
    pub packets_per_s: u32,
    /// Packets that may wait.
    pub queue: u32,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// It leaves the switch after so many microseconds.
    After(u64),
    /// The queue was full.
    Lost,
}

/// The switch: one queue with a fixed rate.
#[derive(Clone, Debug)]
pub struct Switch {
    limits: SwitchLimits,
    free_at_ns: u64,
    passed: u64,
    lost: u64,
}

const NS_PER_US: u64 = 1_000;
const NS_PER_S: u64 = 1_000_000_000;

impl Switch {
    /// An idle switch. A rate of zero counts as one packet a second.
    #[must_use]
    pub const fn new(limits: SwitchLimits) -> Self {
        Self {
            limits,
            free_at_ns: 0,
            passed: 0,
            lost: 0,
        }
    }

    /// A packet arrives.
    pub fn pass(&mut self, now_us: u64) -> Passage {
        let now = now_us.saturating_mul(NS_PER_US);
        let each = NS_PER_S / u64::from(self.limits.packets_per_s.max(1));
        let wait = self.free_at_ns.saturating_sub(now);
        if wait > each.saturating_mul(u64::from(self.limits.queue)) {
            self.lost += 1;
            return Passage::Lost;
        }
        self.passed += 1;
        self.free_at_ns = now.max(self.free_at_ns).saturating_add(each);
        Passage::After(wait / NS_PER_US)
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> SwitchLimits {
        self.limits
    }

    /// Packets forwarded.
    #[must_use]
    pub const fn passed(&self) -> u64 {
        self.passed
    }

    /// Packets lost.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_its_rate_and_loses_the_rest() {
        let mut switch = Switch::new(SwitchLimits {
            packets_per_s: 1000,
            queue: 10,
        });
        for us in 0..1_000_000_u64 {
            if us % 100 == 0 {
                switch.pass(us); // 10,000 a second offered
            }
        }
        assert!(
            (1000..=1012).contains(&switch.passed()),
            "{}",
            switch.passed()
        );
        assert_eq!(switch.passed() + switch.lost(), 10_000);
    }

    #[test]
    fn an_idle_switch_delays_nothing() {
        let mut switch = Switch::new(SwitchLimits {
            packets_per_s: 1000,
            queue: 2,
        });
        assert_eq!(switch.pass(5_000_000), Passage::After(0));
        assert_eq!(switch.pass(5_000_000), Passage::After(1000));
        assert_eq!(switch.pass(5_000_000), Passage::After(2000));
        assert_eq!(switch.pass(5_000_000), Passage::Lost);
    }
}
