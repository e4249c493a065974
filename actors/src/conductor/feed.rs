//! The change feed: what applied entries touched, coalesced until the conductor looks.
//!
//! It holds each touched key once, so it is bounded by the number of records however far the conductor lags.

use baton_model::ids::{LogIndex, NodeId};
use baton_model::port::cluster::ChangeSink;
use baton_model::state::Change;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// What has changed since the last look.
#[derive(Debug, Default)]
pub struct Touched {
    /// Nodes that were created, changed or deleted.
    pub nodes: BTreeSet<NodeId>,
    /// Whether ownership of anything may have moved.
    pub everything: bool,
}

/// Collects changes; see the module.
#[derive(Default)]
pub struct ChangeFeed {
    touched: Mutex<Touched>,
    notify: Notify,
}

impl ChangeFeed {
    /// Waits until something has changed.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Takes what has changed.
    pub fn take(&self) -> Touched {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts nodes back that could not be told yet.
    pub fn put_back(&self, nodes: impl IntoIterator<Item = NodeId>) {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .nodes
            .extend(nodes);
    }
}

impl ChangeSink for ChangeFeed {
    fn applied(&self, _: LogIndex, changes: &[Change]) {
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        let mut any = false;
        for change in changes {
            match change {
                Change::Node(node) => any |= touched.nodes.insert(*node),
                Change::Conductor(_) => {
                    touched.everything = true;
                    any = true;
                }
                Change::Outbox(_)
                | Change::Reply(..)
                | Change::Object(..)
                | Change::Drained
                | Change::SyncFailures(_) => {}
            }
        }
        drop(touched);
        if any {
            self.notify.notify_one();
        }
    }

    fn reset(&self, _: LogIndex) {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .everything = true;
        self.notify.notify_one();
    }
}
