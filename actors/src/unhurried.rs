//! Changes that nobody waits for: they leave at common beats, and counts of failed power syncs as one proposal for all nodes.

use crate::shared::Shared;
use baton_model::command::{Command, CountedFailures, Reply};
use baton_model::ids::{NodeId, WallMs};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Counts in one proposal: 28 KiB of them, so that two fit into an entry of the log.
const COUNTS_MAX: usize = 1024;

/// How long a change without haste waits: those of all conductors leave at the same beats of the wall clock, and so in the
/// same entries. A conductor whose clock is off only travels alone.
pub(crate) fn until_departure(wall: WallMs) -> Duration {
    /// Two seconds: a thirtieth of the interval of a sync. While a tenth of 100,000 machines falls silent, 190 such changes
    /// a second are one entry every two seconds; what an entry costs, its disk writes above all, is most of what they cost.
    const BEAT_MS: u64 = 2048;
    Duration::from_millis(BEAT_MS - wall.0 % BEAT_MS)
}

/// Counts of failed power syncs that the log does not have yet, the newest of each node. It holds each node once, so it is
/// bounded by the number of nodes owned here.
pub(crate) struct FailureCounts {
    wanted: Mutex<BTreeMap<NodeId, u32>>,
    news: Notify,
}

impl FailureCounts {
    /// None.
    pub(crate) const fn new() -> Self {
        Self {
            wanted: Mutex::new(BTreeMap::new()),
            news: Notify::const_new(),
        }
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<NodeId, u32>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a count, to be in the log some two seconds later; `None`: what was noted is void.
    pub(crate) fn note(&self, node: NodeId, count: Option<u32>) {
        let mut wanted = self.wanted();
        let Some(count) = count else {
            wanted.remove(&node);
            return;
        };
        let is_first = wanted.is_empty();
        wanted.insert(node, count);
        drop(wanted);
        if is_first {
            self.news.notify_one();
        }
    }

    /// The count that was noted last, while the log may not have it.
    pub(crate) fn noted(&self, node: NodeId) -> Option<u32> {
        self.wanted().get(&node).copied()
    }

    /// A new life begins: what the former one counted may be long out of date.
    pub(crate) fn clear(&self) {
        self.wanted().clear();
    }

    /// Forgets what the log has and what is another conductor's to count, and returns the rest.
    fn missing(&self, shared: &Shared) -> Vec<(NodeId, u32)> {
        let me = shared.lease.me();
        let state = shared.state.read();
        let mut wanted = self.wanted();
        wanted.retain(|node, count| {
            let owner = state.node(*node).and_then(|record| state.owner(record));
            owner == Some(me) && state.sync_failures(*node) != *count
        });
        wanted.iter().map(|(node, count)| (*node, *count)).collect()
    }
}

/// Brings noted counts into the log, for as long as it is polled. What could not be stored is found missing at the next beat.
pub(crate) async fn count_failures(shared: &Shared) {
    loop {
        shared.failures.news.notified().await;
        while !shared.failures.wanted().is_empty() {
            tokio::time::sleep(until_departure(shared.env.clock.wall())).await;
            store_counts(shared).await;
        }
    }
}

/// Brings what is noted now into the log, as far as the log takes it.
pub(crate) async fn store_counts(shared: &Shared) {
    let session = shared.lease.session();
    for counts in shared.failures.missing(shared).chunks(COUNTS_MAX) {
        let command = Command::FailuresCounted(CountedFailures {
            session,
            counts: counts.to_vec(),
        });
        match shared.proposer.propose(command).await {
            Ok(Reply::Done { .. }) => {}
            Ok(Reply::Refused(refusal)) => {
                tracing::debug!(?refusal, "counts of failed power syncs were refused");
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "counts of failed power syncs were not stored");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_without_haste_leave_together() {
        let departure =
            |at: u64| at + u64::try_from(until_departure(WallMs(at)).as_millis()).unwrap();
        assert_eq!(departure(10_300), departure(12_200));
        assert_eq!(departure(10_240), 12_288, "never at once");
    }
}
