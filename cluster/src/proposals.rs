//! Proposals, many in one entry: whoever proposes while others are on their way to the disk shares the next entry.
//!
//! An entry costs the same whatever it carries (a round trip, a sync on each member, the core's bookkeeping), so this
//! is what lets many writers be faster than one. A lone proposal leaves at once.

use crate::codec::peer::{Request, Response};
use crate::codec::raft::Blob;
use crate::codec::state::decode_replies_of;
use crate::handle::{Cluster, Failure, Inner};
use baton_model::command::Reply;
use baton_model::ids::Position;
use baton_model::port::cluster::ProposeError;
use std::sync::{Arc, Weak};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Proposals that may wait for the next entry: as many as the window lets one conductor have in flight.
pub(crate) const WAITING_MAX: usize = 4096;

/// Entries of one member on their way at once: one is written by the disk while the next is carried to it.
const ENTRIES_IN_FLIGHT: usize = 2;

/// Bytes of proposals in one entry, unless a single one is larger: some hundred usual ones. A follower takes about a
/// millisecond to store that much, so a small proposal behind a large one does not wait long.
const ENTRY_BYTES: usize = 64 << 10;

/// One encoded proposal and who waits for it.
pub(crate) struct Waiting {
    pub(crate) frame: Vec<u8>,
    pub(crate) deadline: Instant,
    pub(crate) outcome: oneshot::Sender<Outcome>,
}

/// The entry's index and the reply to this proposal.
pub(crate) type Outcome = Result<(u64, Reply), ProposeError>;

/// Proposals that become one entry.
struct Batch {
    bytes: Vec<u8>,
    deadline: Instant,
    outcomes: Vec<oneshot::Sender<Outcome>>,
}

impl Batch {
    fn new(first: Waiting) -> Self {
        Self {
            bytes: first.frame,
            deadline: first.deadline,
            outcomes: vec![first.outcome],
        }
    }

    /// Takes `next` in, or gives it back if it does not fit.
    fn add(&mut self, next: Waiting) -> Result<(), Waiting> {
        if self.outcomes.len() >= Position::PLACES
            || self.bytes.len() + next.frame.len() > ENTRY_BYTES
        {
            return Err(next);
        }
        self.bytes.extend(next.frame);
        self.deadline = self.deadline.max(next.deadline);
        self.outcomes.push(next.outcome);
        Ok(())
    }

    async fn send(self, cluster: &Cluster) {
        let patience = self.deadline.saturating_duration_since(Instant::now());
        let request = Request::Propose(Blob::from(self.bytes));
        let response = cluster.ask_leader(patience, &request).await;
        match replies(response, self.outcomes.len()) {
            Ok((index, replies)) => {
                for (outcome, reply) in self.outcomes.into_iter().zip(replies) {
                    // Whoever proposed it may have given up.
                    drop(outcome.send(Ok((index, reply))));
                }
            }
            Err(error) => {
                for outcome in self.outcomes {
                    drop(outcome.send(Err(error.clone())));
                }
            }
        }
    }
}

fn replies(
    response: Result<Response, Failure>,
    expected: usize,
) -> Result<(u64, Vec<Reply>), ProposeError> {
    let unknown = |reason: String| ProposeError::Unknown {
        reason: reason.into(),
    };
    let response = response?;
    let Response::Proposed { index, replies } = response else {
        return Err(unknown(format!(
            "the leader answered something else: {response:?}"
        )));
    };
    let replies = decode_replies_of(&replies.0).map_err(|error| unknown(error.to_string()))?;
    if replies.len() != expected {
        return Err(unknown(format!(
            "the leader answered {} of {expected} proposals",
            replies.len()
        )));
    }
    Ok((index, replies))
}

/// Carries proposals to the leader until the member stops.
pub(crate) async fn serve(
    cluster: Weak<Inner>,
    mut waiting: mpsc::Receiver<Waiting>,
    stop: CancellationToken,
) {
    let seats = Arc::new(Semaphore::new(ENTRIES_IN_FLIGHT));
    let mut left_over = None;
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = next_of(&mut left_over, &mut waiting) => next,
        };
        let Some(first) = next else {
            return;
        };
        // While all seats are taken others arrive, and go along.
        let seat = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            seat = seats.clone().acquire_owned() => seat,
        };
        let (Ok(seat), Some(cluster)) = (seat, cluster.upgrade().map(Cluster::from_inner)) else {
            return;
        };
        let Some(first) = in_time(first) else {
            continue;
        };
        let mut batch = Batch::new(first);
        while let Ok(next) = waiting.try_recv() {
            if let Some(Err(too_much)) = in_time(next).map(|next| batch.add(next)) {
                left_over = Some(too_much);
                break;
            }
        }
        tokio::spawn(async move {
            batch.send(&cluster).await;
            drop(seat);
        });
    }
}

/// Answers for a proposal that has waited in vain; it was never sent.
fn in_time(waiting: Waiting) -> Option<Waiting> {
    if Instant::now() < waiting.deadline {
        return Some(waiting);
    }
    drop(waiting.outcome.send(Err(ProposeError::Unavailable {
        reason: "no leader took the proposals before it in time".into(),
    })));
    None
}

async fn next_of(
    left_over: &mut Option<Waiting>,
    waiting: &mut mpsc::Receiver<Waiting>,
) -> Option<Waiting> {
    match left_over.take() {
        Some(waiting) => Some(waiting),
        None => waiting.recv().await,
    }
}
