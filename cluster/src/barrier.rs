//! Read barriers, many at a time: whoever waits while a round trip to the quorum is under way shares the next one.

use crate::handle::Cluster;
use baton_model::port::cluster::ProposeError;
use std::sync::Weak;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Readers that may wait for the next round; more are told to come back.
pub(crate) const WAITING_MAX: usize = 16 << 10;

/// One reader.
pub(crate) type Reader = oneshot::Sender<Result<(), ProposeError>>;

/// Serves readers until the member stops.
pub(crate) async fn serve(
    cluster: Weak<crate::handle::Inner>,
    mut readers: mpsc::Receiver<Reader>,
    stop: CancellationToken,
) {
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = readers.recv() => next,
        };
        let Some(first) = next else {
            return;
        };
        let Some(cluster) = cluster.upgrade().map(Cluster::from_inner) else {
            return;
        };
        // Everybody who is waiting now asked before the round begins, so it serves them all.
        let mut waiting = vec![first];
        while let Ok(reader) = readers.try_recv() {
            waiting.push(reader);
        }
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => Err(ProposeError::Unavailable {
                reason: "this conductor is stopping".into(),
            }),
            outcome = cluster.read_round() => outcome,
        };
        for reader in waiting {
            // A reader may have given up.
            drop(reader.send(outcome.clone()));
        }
    }
}
