//! The outbox feed: which instances' events the applied entries touched, coalesced until the notifier looks.
//!
//! It holds each instance once, so it is bounded by the number of instances however far the notifier lags.

use baton_model::ids::LogIndex;
use baton_model::port::cluster::ChangeSink;
use baton_model::state::Change;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;
use uuid::Uuid;

/// What has changed since the last look.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Instances whose event came, changed or went.
    pub(super) instances: BTreeSet<Uuid>,
    /// Whether ownership of anything may have moved.
    pub(super) everything: bool,
}

/// Collects changes; see the module.
#[derive(Default)]
pub struct OutboxFeed {
    touched: Mutex<Touched>,
    notify: Notify,
}

impl OutboxFeed {
    /// Waits until something has changed.
    pub(super) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Takes what has changed.
    pub(super) fn take(&self) -> Touched {
        std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ChangeSink for OutboxFeed {
    fn applied(&self, _: LogIndex, changes: &[Change]) {
        let is_news = |change: &Change| matches!(change, Change::Outbox(_) | Change::Conductor(_));
        if !changes.iter().any(is_news) {
            return;
        }
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Outbox(instance) => {
                    touched.instances.insert(*instance);
                }
                Change::Conductor(_) => touched.everything = true,
                _ => {}
            }
        }
        drop(touched);
        self.notify.notify_one();
    }

    fn reset(&self, _: LogIndex) {
        self.touched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .everything = true;
        self.notify.notify_one();
    }
}
