//! The sync pool: decides when a BMC query or command may leave.
//!
//! Owns priorities, limits, pacing, learned timeouts, circuit and auth breakers, and the search for the knee of the
//! management network. It owns no socket, no timer and no clock: the actor around it hands in `now` and carries the
//! effects out. The one invariant to know: **at most one conversation per BMC is in flight**, and every job that was
//! submitted ends in exactly one of started, rejected or cancelled.

mod bmc_state;
mod core;
mod endpoint;
mod histogram;
mod job;
mod knee;
mod pace;
mod settings;
mod stats;

use self::core::{Class, Lane};
pub use self::core::{Effect, Ended, JobId, Outcome, SyncPool};
pub use endpoint::{BlockKey, BlockPrefix, BmcKey, Endpoint, MachineKey, Protocol};
pub use histogram::Histogram;
pub use job::{Answer, Failure, Job, PoolRefusal, Priority, Report, Work};
pub use settings::PoolSettings;
pub use stats::{AUTH_BROKEN_MAX, AuthBroken, Counters, PoolStats, SLOWEST_MAX, SlowBmc};

#[cfg(test)]
mod tests;
