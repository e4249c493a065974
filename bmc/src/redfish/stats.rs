//! What the Redfish client counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counted since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RedfishStats {
    /// Requests sent.
    pub requests: u64,
    /// Connections made.
    pub connections: u64,
    /// TLS handshakes in full.
    pub handshakes_full: u64,
    /// TLS handshakes that resumed an earlier session.
    pub handshakes_resumed: u64,
    /// Sessions opened.
    pub logins: u64,
    /// Sessions ended by us.
    pub logouts: u64,
    /// Connections open now.
    pub connections_open: u64,
    /// BMCs remembered now.
    pub targets: u64,
}

/// The running counts behind [`RedfishStats`].
#[derive(Default)]
pub(super) struct Counters {
    pub(super) requests: AtomicU64,
    pub(super) connections: AtomicU64,
    pub(super) handshakes_full: AtomicU64,
    pub(super) handshakes_resumed: AtomicU64,
    pub(super) logins: AtomicU64,
    pub(super) logouts: AtomicU64,
}

impl Counters {
    /// One more.
    pub(super) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
