//! What an operator can set about the Redfish client.

use baton_config::sections::RedfishSection;
use std::time::Duration;

/// Shortest idle life of a connection: an action is followed by reads some seconds apart.
const CONNECTION_IDLE_MIN: Duration = Duration::from_secs(30);
/// Longest idle life of a connection: after that a BMC has more use for the memory than we for the handshake.
const CONNECTION_IDLE_MAX: Duration = Duration::from_secs(3600);

/// What an operator can set. Option names in brackets are Ironic's.
#[derive(Clone, Debug)]
pub struct RedfishConfig {
    /// Longest time for one TCP connection (`[redfish]connect_timeout`); the call's budget may be shorter.
    pub connect_timeout: Duration,
    /// CA file or directory that `redfish_verify_ca: true` means (`[redfish]verify_ca`); `None` is the system's.
    pub verify_ca: Option<Box<str>>,
    /// Most open connections. Above it, the one longest unused is closed for each new one.
    pub connections_max: usize,
    /// A connection unused for this long is closed.
    pub connection_idle: Duration,
    /// Most BMCs about which anything is remembered.
    pub targets_max: usize,
    /// A BMC unused for this long is logged out of and forgotten.
    pub target_idle: Duration,
}

impl Default for RedfishConfig {
    /// 100,000 BMCs, each read once a minute, keep their connections; one forgotten read does not close one.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            verify_ca: None,
            connections_max: 100_000,
            connection_idle: Duration::from_secs(150),
            targets_max: 131_072,
            target_idle: Duration::from_secs(1800),
        }
    }
}

impl RedfishConfig {
    /// Connections outlive one missed read when every BMC is read once in `interval`.
    #[must_use]
    pub fn read_every(mut self, interval: Duration) -> Self {
        self.connection_idle =
            (interval.saturating_mul(5) / 2).clamp(CONNECTION_IDLE_MIN, CONNECTION_IDLE_MAX);
        self
    }
}

impl From<&RedfishSection> for RedfishConfig {
    fn from(section: &RedfishSection) -> Self {
        Self {
            connect_timeout: section.connect_timeout,
            verify_ca: section
                .verify_ca
                .as_ref()
                .map(|path| path.to_string_lossy().into()),
            connections_max: usize::try_from(section.connection_cache_size).unwrap_or(usize::MAX),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_outlive_a_missed_read_within_reason() {
        let idle = |seconds| {
            RedfishConfig::default()
                .read_every(Duration::from_secs(seconds))
                .connection_idle
        };
        assert_eq!(idle(60), Duration::from_secs(150));
        assert_eq!(idle(1), CONNECTION_IDLE_MIN);
        assert_eq!(idle(u64::MAX), CONNECTION_IDLE_MAX);
    }
}
