//! When and how much is sent, and what is shown of it.

use std::collections::BTreeMap;
use std::time::Duration;

/// When and how much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxSettings {
    /// Events of one request. The service works through them one by one, about 10 ms each, so that two hundred take two
    /// seconds and stay far from any time-out; they are 17 KiB, and its default limit of a body is 112 KiB.
    pub batch_max: usize,
    /// How long an event waits for company. Short against the minutes after which the service would act on the old state.
    pub batch_wait: Duration,
    /// Requests under way at once, about different instances. Four of two hundred drain 100,000 events in 15 s against a
    /// service that takes 100 ms for a request.
    pub requests_max: usize,
    /// First pause after a failure; it doubles.
    pub backoff_min: Duration,
    /// Longest pause: a service that is back hears of everything within it.
    pub backoff_max: Duration,
    /// How long a request of another conductor, of which nobody knows whether it was sent, may still arrive: its time
    /// limit and the rest of its lease.
    pub handover_wait: Duration,
    /// How long after a 200 the server's power state is read back; `None` believes the 200.
    pub read_back: Option<Duration>,
    /// How often an event is sent again whose read-back differs.
    pub repeats_max: u32,
}

impl Default for OutboxSettings {
    fn default() -> Self {
        Self {
            batch_max: 200,
            batch_wait: Duration::from_millis(50),
            requests_max: 4,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            handover_wait: Duration::from_millis(32_500),
            read_back: None,
            repeats_max: 3,
        }
    }
}

/// What the notifier shows to operators, of the nodes owned here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// Untold events.
    pub depth: usize,
    /// How long the oldest of them has been known here.
    pub oldest: Duration,
    /// Events in requests that are under way.
    pub in_flight: usize,
    /// Requests sent.
    pub requests: u64,
    /// Events that the service took.
    pub accepted: u64,
    /// Events that it will never take.
    pub rejected: u64,
    /// Events that were sent in vain.
    pub failed: u64,
    /// Events that were sent again since the server's recorded state still differed.
    pub repeated: u64,
    /// Events by their code (`200`), and events of failed requests by the failure (`HTTP 503`, `timeout`).
    pub results: BTreeMap<Box<str>, u64>,
    /// Why the last request failed; kept until one succeeds.
    pub last_error: Option<Box<str>>,
    /// How long nothing is sent after that failure.
    pub pause: Duration,
    /// Events of one request now; lower than the option after a 413.
    pub batch_cap: usize,
}
