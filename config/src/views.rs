//! The configuration as `model` takes it: one function for each of its settings types.
//!
//! They stand here because both ends are known here, and so that every process and every simulation reads an option the
//! same way.

use crate::config::Config;
use crate::option::raw::Raw;
use baton_model::hardware::{Enabled, Slot};
use baton_model::node::core::{BootTries, Knobs, Limits, RandomDelay, WaitLimits};
use baton_model::outbox::OutboxSettings;
use baton_model::pool::{BlockPrefix, PoolSettings};
use baton_model::session::SessionPeriods;
use std::time::Duration;

impl Config {
    /// The hardware types and interfaces that nodes may use.
    #[must_use]
    pub fn enabled(&self) -> Enabled {
        let mut enabled = Enabled {
            types: self
                .default
                .enabled_hardware_types
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            interfaces: [].into(),
            defaults: [].into(),
        };
        for slot in Slot::ALL {
            let name = slot.as_str();
            if let Raw::List(names) = self.get("DEFAULT", &format!("enabled_{name}_interfaces")) {
                enabled
                    .interfaces
                    .insert(slot, names.iter().filter_map(boxed).collect());
            }
            if let Some(name) = boxed(&self.get("DEFAULT", &format!("default_{name}_interface"))) {
                enabled.defaults.insert(slot, name);
            }
        }
        enabled
    }

    /// What the node core obeys.
    #[must_use]
    pub fn node_knobs(&self) -> Knobs {
        let (conductor, nova) = (&self.conductor, &self.nova);
        let compute_is_known = nova.auth_url.is_some() || nova.endpoint_override.is_some();
        Knobs {
            sync_interval: conductor.sync_power_state_interval,
            sync_retries_max: conductor.power_state_sync_max_retries,
            force: conductor.force_power_state_during_sync,
            recovery_interval: conductor.power_failure_recovery_interval,
            change_timeout: conductor.power_state_change_timeout,
            soft_timeout: conductor.soft_power_off_timeout,
            lock_wait: conductor.node_lock_wait,
            notify: nova.send_power_notifications && compute_is_known,
            automated_clean: conductor.automated_clean,
            node_history: conductor.node_history,
            waits: WaitLimits {
                deploy: conductor.deploy_callback_timeout,
                clean: conductor.clean_callback_timeout,
                inspect: conductor.inspect_wait_timeout,
                rescue: conductor.rescue_callback_timeout,
                service: conductor.service_callback_timeout,
            },
            fake_delay: RandomDelay {
                shortest: self.fake.power_delay.shortest,
                longest: self.fake.power_delay.longest,
            },
            boot_tries: BootTries {
                max: self.redfish.post_boot_retry_attempts,
                pause: self.redfish.post_boot_retry_delay,
            },
            limits: Limits {
                wait_step_seconds: u32::try_from(
                    conductor.max_conductor_wait_step_seconds.as_secs(),
                )
                .unwrap_or(u32::MAX),
                concurrent_deploy: conductor.max_concurrent_deploy,
                concurrent_clean: conductor.max_concurrent_clean,
            },
        }
    }

    /// Past this age a power state counts as stale.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        let conductor = &self.conductor;
        if !conductor.power_state_stale_after.is_zero() {
            return conductor.power_state_stale_after;
        }
        let intervals = 3;
        conductor
            .sync_power_state_interval
            .map_or(Duration::MAX, |interval| interval * intervals)
    }

    /// How events leave the outbox. The wait before another conductor's event is sent covers what that one may still have
    /// on its way: a request's time limit, and its lease with some room for a replica that lags.
    #[must_use]
    pub fn outbox_settings(&self) -> OutboxSettings {
        let notifier = &self.notifier;
        let lag = Duration::from_secs(2);
        OutboxSettings {
            batch_max: count(notifier.batch_max),
            batch_wait: notifier.batch_wait_ms,
            requests_max: count(notifier.requests_max),
            handover_wait: self.nova.timeout + self.cluster.session_ttl_ms + lag,
            read_back: Some(notifier.read_back_after).filter(|after| !after.is_zero()),
            repeats_max: notifier.read_back_repeats,
            ..OutboxSettings::default()
        }
    }

    /// The periods of sessions.
    #[must_use]
    pub const fn session_periods(&self) -> SessionPeriods {
        SessionPeriods {
            ttl: self.cluster.session_ttl_ms,
        }
    }

    /// How the sync pool paces. What has no option keeps the pool's own number.
    #[must_use]
    pub fn pool_settings(&self) -> PoolSettings {
        let pool = &self.sync_pool;
        let per_worker = 16;
        let packets = u64::from(pool.packets_per_second);
        PoolSettings {
            limit_initial: count(self.conductor.sync_power_state_workers) * per_worker,
            limit_min: count(pool.in_flight_min),
            limit_max: count(pool.in_flight_max),
            user_reserve: count(pool.user_reserve),
            suspects_max: count(pool.suspects_max),
            block_max: count(pool.in_flight_per_block),
            block_suspects_max: count(pool.suspects_per_block),
            queue_max: count(pool.queue_max),
            packets_per_second: packets,
            packets_burst: packets,
            write_interval: self.ipmi.min_command_interval,
            read_timeout_initial: pool.read_timeout,
            read_timeout_min: pool.read_timeout_min,
            read_timeout_max: pool.read_timeout_max,
            open_after: pool.breaker_failures,
            probe_backoff_min: pool.breaker_open,
            probe_backoff_max: pool.breaker_open_max,
            auth_backoff: pool.auth_breaker_open,
            ..PoolSettings::default()
        }
        .clamped()
    }

    /// What counts as one address block.
    #[must_use]
    pub const fn block_prefix(&self) -> BlockPrefix {
        BlockPrefix {
            v4: self.sync_pool.block_prefix_ipv4,
            v6: self.sync_pool.block_prefix_ipv6,
        }
    }
}

fn count(option: u32) -> usize {
    usize::try_from(option).unwrap_or(usize::MAX)
}

fn boxed(raw: &Raw) -> Option<Box<str>> {
    if let Raw::Text(text) = raw {
        Some(text.as_str().into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_of_the_table_are_those_of_model() {
        let config = Config::default();
        assert_eq!(config.enabled(), Enabled::default());
        assert_eq!(config.node_knobs(), Knobs::default());
        assert_eq!(config.block_prefix(), BlockPrefix::default());
        assert_eq!(config.pool_settings(), PoolSettings::default());
        assert_eq!(config.outbox_settings(), OutboxSettings::default());
    }
}
