//! `Changes`: tells waiting requests that the replicated state has moved.

use baton_model::ids::LogIndex;
use baton_model::port::cluster::ChangeSink;
use baton_model::state::Change;
use tokio::sync::watch;

/// A bell that rings with every applied entry. Register it with the state machine and hand it to the API; a request
/// that waits for a lock looks again each time it rings.
#[derive(Debug)]
pub struct Changes(watch::Sender<LogIndex>);

impl Default for Changes {
    fn default() -> Self {
        Self(watch::channel(LogIndex(0)).0)
    }
}

impl Changes {
    /// A receiver that rings for entries applied from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<LogIndex> {
        self.0.subscribe()
    }
}

impl ChangeSink for Changes {
    fn applied(&self, index: LogIndex, _changes: &[Change]) {
        // Nobody listens most of the time, and then this is one atomic load.
        if self.0.receiver_count() > 0 {
            self.0.send_replace(index);
        }
    }

    fn reset(&self, index: LogIndex) {
        self.0.send_replace(index);
    }
}
