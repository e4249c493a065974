//! The options of simulated conductors: the defaults, with waits so short that a run of half a minute sees many of them.

use crate::plant::Plant;
use baton_model::node::core::Knobs;
use baton_model::outbox::OutboxSettings;
use baton_model::pool::PoolSettings;
use baton_model::session::SessionPeriods;
use std::time::Duration;

/// The production default.
pub const SESSIONS: SessionPeriods = SessionPeriods {
    ttl: Duration::from_millis(500),
};

/// Entries between two snapshots: a run writes some hundreds, so members that were away get snapshots.
pub const SNAPSHOT_EVERY: u64 = 60;

/// Entries kept behind a snapshot.
pub const LOGS_KEPT: u64 = 20;

/// Between two reads of a machine.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(3);

/// How long a request to the compute service may take.
pub const COMPUTE_LIMIT: Duration = Duration::from_secs(2);

/// The options of notifiers: a predecessor's request may arrive until its time limit and its lease are over.
#[must_use]
pub fn outbox() -> OutboxSettings {
    OutboxSettings {
        backoff_max: Duration::from_secs(2),
        handover_wait: COMPUTE_LIMIT + SESSIONS.ttl + Duration::from_millis(500),
        ..OutboxSettings::default()
    }
}

/// The options of node cores.
#[must_use]
pub fn knobs(plant: Plant) -> Knobs {
    Knobs {
        sync_interval: Some(SYNC_INTERVAL).filter(|_| plant != Plant::NoSync),
        recovery_interval: Some(Duration::from_secs(4)),
        change_timeout: Duration::from_secs(12),
        soft_timeout: Duration::from_secs(15),
        lock_wait: Duration::from_secs(3),
        notify: true,
        ..Knobs::default()
    }
}

/// The options of sync pools. Two seconds between power commands keep a reboot open long enough for a takeover in it.
#[must_use]
pub fn pool() -> PoolSettings {
    PoolSettings {
        write_interval: Duration::from_secs(2),
        read_timeout_initial: Duration::from_secs(2),
        read_timeout_min: Duration::from_secs(1),
        read_timeout_max: Duration::from_secs(3),
        write_timeout_min: Duration::from_secs(2),
        write_timeout_max: Duration::from_secs(4),
        probe_timeout: Duration::from_secs(1),
        probe_backoff_min: Duration::from_secs(1),
        probe_backoff_max: Duration::from_secs(4),
        user_probe_interval: Duration::from_secs(1),
        ..PoolSettings::default()
    }
    .clamped()
}
