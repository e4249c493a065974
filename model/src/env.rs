//! Time and chance, as ports. The composition root hands out the real ones, a simulation its own.

use crate::ids::WallMs;
use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::time::Duration;

/// A monotonic instant: milliseconds since some fixed moment of this process. Only differences mean anything.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// How long after `earlier` this is; zero if it is not after.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(rhs.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

/// The two clocks: one that decides, one that labels.
pub trait Clock: Send + Sync {
    /// The monotonic clock. It never goes back and is unaffected by changes of the wall clock.
    fn now(&self) -> Mono;
    /// The wall clock, for labels in records only.
    fn wall(&self) -> WallMs;
}

/// A source of chance, seeded where it is made.
pub trait Entropy: Send + Sync {
    /// The next 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The environment that an actor or task is handed.
#[derive(Clone)]
pub struct Env {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Env {
    /// A uniformly drawn duration in `[0, span)`; zero for a zero span.
    #[must_use]
    pub fn draw(&self, span: Duration) -> Duration {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            Duration::ZERO
        } else {
            Duration::from_millis(self.entropy.next_u64() % millis)
        }
    }
}
