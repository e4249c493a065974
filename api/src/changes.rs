//! `Changes`: tells waiting requests that the replicated state has moved, and watchers which nodes did.

use baton_model::ids::{LogIndex, NodeId};
use baton_model::port::cluster::ChangeSink;
use baton_model::state::Change;
use tokio::sync::{broadcast, watch};

/// Changes that a watcher may be behind before it is told to start over. At a thousand changes a second a reader has four
/// seconds.
const BEHIND_MAX: usize = 4096;

/// What watchers are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// This node was created, changed or deleted.
    Node(NodeId),
    /// Anything may have changed.
    Reset,
}

/// A bell that rings with every applied entry. Register it with the state machine and hand it to the API; a request
/// that waits for a lock looks again each time it rings.
#[derive(Debug)]
pub struct Changes {
    bell: watch::Sender<LogIndex>,
    told: broadcast::Sender<Told>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            bell: watch::channel(LogIndex(0)).0,
            told: broadcast::channel(BEHIND_MAX).0,
        }
    }
}

impl Changes {
    /// A receiver that rings for entries applied from now on.
    pub(crate) fn listen(&self) -> watch::Receiver<LogIndex> {
        self.bell.subscribe()
    }

    /// A receiver that names the nodes changed from now on.
    pub(crate) fn told(&self) -> broadcast::Receiver<Told> {
        self.told.subscribe()
    }
}

impl ChangeSink for Changes {
    fn applied(&self, index: LogIndex, changes: &[Change]) {
        // Nobody listens most of the time, and then these are two atomic loads.
        if self.bell.receiver_count() > 0 {
            self.bell.send_replace(index);
        }
        if self.told.receiver_count() > 0 {
            for change in changes {
                if let Change::Node(id) = change {
                    // The last watcher may just have gone.
                    drop(self.told.send(Told::Node(*id)));
                }
            }
        }
    }

    fn reset(&self, index: LogIndex) {
        self.bell.send_replace(index);
        drop(self.told.send(Told::Reset));
    }
}
