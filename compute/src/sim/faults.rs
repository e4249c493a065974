//! What goes wrong, as told through the control endpoint.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// The faults that are on. All off by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Connections are closed without an answer.
    pub down: bool,
    /// Time before each answer of the compute service, in milliseconds.
    pub latency_ms: u64,
    /// Requests out of a hundred that get `fail_status`.
    pub fail_percent: u8,
    /// Their status.
    pub fail_status: u16,
    /// `Retry-After` of those, in seconds.
    pub retry_after_s: Option<u32>,
    /// Requests out of a hundred that are taken and never answered.
    pub lose_answers_percent: u8,
    /// Events out of a hundred that are answered with 200 and have no effect, as if a task was running.
    pub drop_percent: u8,
    /// Servers that fail every request with them (500).
    pub poison: BTreeSet<Uuid>,
    /// Servers that it does not know (404).
    pub unknown: BTreeSet<Uuid>,
    /// Servers on no host (422).
    pub hostless: BTreeSet<Uuid>,
    /// Only announced servers are known.
    pub strict: bool,
    /// Most events of a request; more are 413. 0: no limit.
    pub events_max: usize,
    /// How long tokens live, in seconds; 0 is an hour.
    pub token_life_s: u32,
    /// The identity service answers 503.
    pub identity_down: bool,
}
