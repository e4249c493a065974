//! [`Cluster`]: a running member, as the rest of baton sees it.
//!
//! Any member takes proposals, read barriers and changes of membership; the leader is found and retried inside, with
//! the same proposal id, until the caller's patience ends. The one invariant: a failure is called `Unavailable` only
//! if nothing can have been applied, otherwise `Unknown`.

use crate::answers::{Answers, CallHandler, address_of};
use crate::barrier::{self, Reader};
use crate::codec::peer::{MembershipChange, NotDone, Purpose, Request, Response};
use crate::codec::state::encode_proposal;
use crate::error::ClusterError;
use crate::kv::Store;
use crate::kv::writer::{Fatal, FatalSender};
use crate::peer::Local;
use crate::peer::link::LinkError;
use crate::peer::transport::Transport;
use crate::proposals::{self, Waiting};
use crate::raft::network::Peers;
use crate::raft::types::{Member, Raft, RaftId};
use crate::sessions::{self, SessionBook};
use crate::storage::Held;
use crate::watch;
use crate::window::Window;
use baton_model::command::{Command, Proposal, ProposalId, Reply};
use baton_model::env::Env;
use baton_model::ids::{ConductorId, Incarnation};
use baton_model::port::BoxFuture;
use baton_model::port::cluster::{ProposeError, Proposer};
use baton_model::state::StateView;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::Fatal as CoreFatal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Largest encoded proposal. The largest sensible one carries a node with a config drive reference and its
/// `driver_info`, some tens of KiB.
pub const PROPOSAL_BYTES_MAX: usize = 1 << 20;

/// One attempt at one leader. Longer than an election, so that a slow disk is not taken for a dead leader.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(2);

/// Pause before the next attempt. A new leader needs some 5 to 13 ms until it accepts its first proposal.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// How long a stopping leader waits for its successor: a transfer takes some 16 ms.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(1);

/// Between two requests to hand over; a successor that lags needs a few round trips to catch up.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(200);

/// How long a change of membership is tried: a newcomer is caught up first, from a snapshot if need be.
const MEMBERSHIP_LIMIT: Duration = Duration::from_secs(180);

/// A running member. Clones are the same member.
#[derive(Clone)]
pub struct Cluster(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) raft: Raft,
    pub(crate) local: Local,
    pub(crate) host_name: String,
    pub(crate) member: Member,
    pub(crate) view: StateView,
    pub(crate) applied: watch::Receiver<u64>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) peers: Peers,
    pub(crate) store: Store,
    pub(crate) fatal: FatalSender,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) env: Env,
    pub(crate) patience: Duration,
    pub(crate) window: Window,
    pub(crate) readers: mpsc::Sender<Reader>,
    pub(crate) proposals: mpsc::Sender<Waiting>,
    pub(crate) held: Held,
}

/// What came of one attempt at the leader.
enum Attempt {
    Done(Response),
    /// Certainly not done; try again, with this leader if one is named.
    Retry(Option<RaftId>, String),
    /// It may have been done; try again.
    Maybe(String),
    /// Never.
    Refused(String),
}

fn retry_or_not(not_done: NotDone) -> Attempt {
    match not_done {
        NotDone::NotLeader(Some(leader)) => {
            Attempt::Retry(Some(leader), format!("conductor {leader} leads now"))
        }
        NotDone::NotLeader(None) => Attempt::Retry(None, "there is no leader".to_owned()),
        NotDone::Unknown(reason) => Attempt::Maybe(reason),
        NotDone::Refused(reason) => Attempt::Refused(reason),
        NotDone::Wait(reason) => Attempt::Retry(None, reason),
    }
}

/// Why a call to a peer gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The peer has not seen the request: trying again is safe.
    #[error("the request was not sent: {reason}")]
    NotSent {
        /// Why.
        reason: String,
    },
    /// The peer may have acted on it.
    #[error("no answer came: {reason}")]
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Cluster {
    /// Starts the tasks that watch and serve a member.
    pub(crate) fn new(
        inner: Inner,
        readers: mpsc::Receiver<Reader>,
        proposals: mpsc::Receiver<Waiting>,
    ) -> Self {
        let inner = Arc::new(inner);
        let tasks = inner.tasks.clone();
        tasks.spawn(barrier::serve(
            Arc::downgrade(&inner),
            readers,
            inner.stop.clone(),
        ));
        tasks.spawn(proposals::serve(
            Arc::downgrade(&inner),
            proposals,
            inner.stop.clone(),
        ));
        tasks.spawn(sessions::watch(Arc::downgrade(&inner)));
        tasks.spawn(watch_core(
            inner.raft.clone(),
            inner.fatal.clone(),
            inner.stop.clone(),
        ));
        Self(inner)
    }

    pub(crate) fn session_book(&self) -> Arc<SessionBook> {
        self.0.answers.sessions.clone()
    }

    pub(crate) const fn from_inner(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    pub(crate) const fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    pub(crate) fn raft(&self) -> &Raft {
        &self.0.raft
    }

    pub(crate) fn local(&self) -> Local {
        self.0.local
    }

    pub(crate) fn transport(&self) -> Arc<dyn Transport> {
        self.0.peers.transport()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// This conductor.
    #[must_use]
    pub fn conductor(&self) -> ConductorId {
        ConductorId(self.0.local.id)
    }

    /// This life of it; each start draws a higher one.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.local.incarnation
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> Uuid {
        self.0.local.cluster
    }

    /// This conductor's host name.
    #[must_use]
    pub fn host_name(&self) -> &str {
        &self.0.host_name
    }

    /// `host:port` by which peers reach this member.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.member.address
    }

    /// The replicated state as applied here, possibly behind the leader's; see [`Cluster::linearizable`].
    #[must_use]
    pub fn state(&self) -> StateView {
        self.0.view.clone()
    }

    /// Follows the index of the last entry applied here.
    #[must_use]
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.0.applied.clone()
    }

    /// Becomes `Some` when storage or consensus has failed for good. The process must then exit.
    #[must_use]
    pub fn fatal(&self) -> watch::Receiver<Option<Fatal>> {
        self.0.fatal.subscribe()
    }

    /// Sets who answers [`Cluster::call`]s of peers. Later calls change nothing.
    pub fn on_call(&self, handler: Arc<dyn CallHandler>) {
        // Set once, by the composition root.
        self.0.answers.handler.set(handler).ok();
    }

    /// The leader, if this member knows one.
    #[must_use]
    pub fn leader(&self) -> Option<ConductorId> {
        self.leader_id().map(ConductorId)
    }

    fn leader_id(&self) -> Option<RaftId> {
        self.0.raft.metrics().borrow_watched().current_leader
    }

    // --- Asking the leader --------------------------------------------------------------------------

    /// Asks whoever leads, here or there, until it answers, refuses, or `patience` has passed.
    pub(crate) async fn ask_leader(
        &self,
        patience: Duration,
        request: &Request,
    ) -> Result<Response, Failure> {
        let deadline = Instant::now() + patience;
        let mut maybe = false;
        let mut last = "there is no leader".to_owned();
        let mut hint = None;
        loop {
            if let Some(leader) = hint.take().or_else(|| self.leader_id()) {
                let limit = ATTEMPT_LIMIT.max(patience / 2);
                let until = deadline.min(Instant::now() + limit);
                match self.ask_once(leader, until, request).await {
                    Attempt::Done(response) => return Ok(response),
                    Attempt::Retry(leader, reason) => {
                        hint = leader;
                        last = reason;
                    }
                    Attempt::Maybe(reason) => {
                        maybe = true;
                        last = reason;
                    }
                    Attempt::Refused(reason) => {
                        return Err(Failure {
                            maybe,
                            refused: true,
                            reason,
                        });
                    }
                }
            }
            let now = Instant::now();
            if now >= deadline || self.0.stop.is_cancelled() {
                return Err(Failure {
                    maybe,
                    refused: false,
                    reason: last,
                });
            }
            tokio::time::sleep_until(deadline.min(now + RETRY_PAUSE)).await;
        }
    }

    async fn ask_once(&self, leader: RaftId, until: Instant, request: &Request) -> Attempt {
        let inner = &*self.0;
        let response = if leader == inner.local.id {
            let answer = inner.answers.answer_self(request.clone());
            timeout_at(until, answer)
                .await
                .map_err(|_| Attempt::Maybe("the quorum did not confirm it in time".to_owned()))
        } else if let Some(address) = address_of(&inner.raft, leader) {
            let link = inner.peers.link(leader, &address, Purpose::Call);
            link.ask(request, until - Instant::now())
                .await
                .map_err(|error| {
                    let reason = error.to_string();
                    match error {
                        LinkError::Unreachable { .. } => Attempt::Retry(None, reason),
                        LinkError::Unanswered { .. } => Attempt::Maybe(reason),
                    }
                })
        } else {
            let reason = format!("conductor {leader} is not known here");
            Err(Attempt::Retry(None, reason))
        };
        match response {
            Ok(Response::NotDone(not_done)) => retry_or_not(not_done),
            Ok(Response::Failed(reason)) => Attempt::Maybe(reason),
            Ok(response) => Attempt::Done(response),
            Err(attempt) => attempt,
        }
    }

    // --- Proposals ----------------------------------------------------------------------------------

    /// Proposes `command` and waits until it is applied here.
    ///
    /// # Errors
    /// [`ProposeError::Unavailable`] if it was certainly not applied, [`ProposeError::Unknown`] otherwise.
    pub async fn propose(&self, command: Command) -> Result<Reply, ProposeError> {
        let inner = &*self.0;
        let deadline = Instant::now() + inner.patience;
        let unavailable = |reason: &str| ProposeError::Unavailable {
            reason: reason.into(),
        };
        let unknown = |reason: String| ProposeError::Unknown {
            reason: reason.into(),
        };
        let seat = timeout_at(deadline, inner.window.enter())
            .await
            .map_err(|_| unavailable("too many proposals in flight"))?;
        let proposal = Proposal {
            id: ProposalId {
                conductor: self.conductor(),
                incarnation: inner.local.incarnation,
                seq: seat.seq,
            },
            at: inner.env.clock.wall(),
            command,
        };
        let frame = encode_proposal(&proposal).map_err(|error| unavailable(&error.to_string()))?;
        if frame.len() > PROPOSAL_BYTES_MAX {
            return Err(unavailable(&format!(
                "the change takes {} bytes, at most {PROPOSAL_BYTES_MAX} are allowed",
                frame.len()
            )));
        }
        let stopping = "this conductor is stopping";
        let (outcome, answer) = oneshot::channel();
        let waiting = Waiting {
            frame,
            deadline,
            outcome,
        };
        inner
            .proposals
            .send(waiting)
            .await
            .map_err(|_| unavailable(stopping))?;
        let (index, reply) = answer.await.map_err(|_| unknown(stopping.to_owned()))??;
        let mut applied = inner.applied.clone();
        // Applied and acknowledged; only this member's copy may lag.
        timeout_at(
            deadline.max(Instant::now() + ATTEMPT_LIMIT),
            applied.wait_for(|applied| *applied >= index),
        )
        .await
        .map_err(|_| unknown("it was made, but has not reached this conductor".to_owned()))?
        .map_err(|_| unknown("it was made, but this conductor is stopping".to_owned()))?;
        Ok(reply)
    }

    // --- Reads --------------------------------------------------------------------------------------

    /// Waits until everything that was committed before this call is applied here.
    ///
    /// # Errors
    /// [`ProposeError::Unavailable`] if no leader confirmed it in time.
    pub async fn linearizable(&self) -> Result<(), ProposeError> {
        let (reader, outcome) = oneshot::channel();
        self.0
            .readers
            .try_send(reader)
            .map_err(|_| ProposeError::Unavailable {
                reason: "too many reads are waiting".into(),
            })?;
        outcome.await.unwrap_or_else(|_| {
            Err(ProposeError::Unavailable {
                reason: "this conductor is stopping".into(),
            })
        })
    }

    /// One round trip to the quorum, and the wait until what it names is applied here.
    pub(crate) async fn read_round(&self) -> Result<(), ProposeError> {
        let inner = &*self.0;
        let deadline = Instant::now() + inner.patience;
        let unavailable = |reason: String| ProposeError::Unavailable {
            reason: reason.into(),
        };
        let response = self
            .ask_leader(inner.patience, &Request::ReadIndex)
            .await
            // A read changes nothing, so nothing about it is unknown.
            .map_err(|failure| unavailable(failure.reason))?;
        let Response::ReadIndex(index) = response else {
            return Err(unavailable(format!(
                "the leader answered something else: {response:?}"
            )));
        };
        let mut applied = inner.applied.clone();
        match timeout_at(deadline, applied.wait_for(|applied| *applied >= index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(unavailable("this conductor is stopping".to_owned())),
            Err(_) => Err(unavailable(
                "this conductor lags behind the leader".to_owned(),
            )),
        }
    }

    // --- Membership ---------------------------------------------------------------------------------

    /// Makes a change of membership, from any member. Adding a learner waits until it has caught up.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] or [`ClusterError::Unconfirmed`].
    pub async fn change_membership(&self, change: MembershipChange) -> Result<(), ClusterError> {
        self.ask_leader(MEMBERSHIP_LIMIT, &Request::Membership(change))
            .await?;
        Ok(())
    }

    /// Moves the leadership to `to`, from any member, and waits until it has moved.
    ///
    /// # Errors
    /// [`ClusterError::Refused`] if `to` is no voter, [`ClusterError::Unconfirmed`] if it did not take over.
    pub async fn transfer_leader(&self, to: ConductorId) -> Result<(), ClusterError> {
        self.hand_over(to.0, self.0.patience).await
    }

    async fn hand_over(&self, to: RaftId, limit: Duration) -> Result<(), ClusterError> {
        let deadline = Instant::now() + limit;
        let mut metrics = self.0.raft.metrics();
        while self.leader_id() != Some(to) {
            // Asking is cheap and a request may come to nothing, so it is repeated until the office has moved.
            let left = deadline.saturating_duration_since(Instant::now());
            self.ask_leader(left, &Request::HandOver(to)).await?;
            let pause = deadline.min(Instant::now() + HAND_OVER_PAUSE);
            let moved = async {
                while metrics.borrow_watched().current_leader != Some(to) {
                    if metrics.changed().await.is_err() {
                        return;
                    }
                }
            };
            if timeout_at(pause, moved).await.is_err() && Instant::now() >= deadline {
                return Err(ClusterError::Unconfirmed {
                    detail: format!("conductor {to} did not take over in time"),
                });
            }
        }
        Ok(())
    }

    // --- Calls --------------------------------------------------------------------------------------

    /// Sends a request about a node to another conductor and waits for its answer.
    ///
    /// # Errors
    /// [`CallError::NotSent`] if trying again is safe, [`CallError::Unknown`] otherwise.
    pub async fn call(
        &self,
        to: ConductorId,
        request: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, CallError> {
        let address = address_of(&self.0.raft, to.0).ok_or_else(|| CallError::NotSent {
            reason: format!("conductor {to} is no member of the cluster"),
        })?;
        let link = self.0.peers.link(to.0, &address, Purpose::Call);
        match link.ask(&Request::Call(request.into()), limit).await {
            Ok(Response::Called(answer)) => Ok(answer.0.into()),
            Ok(Response::Failed(reason)) => Err(CallError::NotSent { reason }),
            Ok(other) => Err(CallError::Unknown {
                reason: format!("the peer answered something else: {other:?}"),
            }),
            Err(error @ LinkError::Unreachable { .. }) => Err(CallError::NotSent {
                reason: error.to_string(),
            }),
            Err(error @ LinkError::Unanswered { .. }) => Err(CallError::Unknown {
                reason: error.to_string(),
            }),
        }
    }

    // --- End ----------------------------------------------------------------------------------------

    /// Stops in order: hands the leadership over, stops the core, closes connections, makes everything durable.
    pub async fn shutdown(&self) {
        let inner = &*self.0;
        if self.leader_id() == Some(inner.local.id)
            && let Some(successor) = self.successor()
            && let Err(error) = self.hand_over(successor, HAND_OVER_LIMIT).await
        {
            tracing::info!(%error, "stopping as leader without a successor; the others will elect one");
        }
        // What is not on disk yet is in the log; this only spares the next start from applying it again.
        drop(
            inner
                .raft
                .with_state_machine(|machine| Box::pin(machine.persist()))
                .await,
        );
        inner.stop.cancel();
        // Its only error is a panic of the core, which the watch has published.
        drop(inner.raft.shutdown().await);
        inner.tasks.close();
        inner.tasks.wait().await;
        inner.store.close().await;
    }

    /// Another voter, the one that has most of the log.
    fn successor(&self) -> Option<RaftId> {
        let metrics = self.0.raft.metrics();
        let metrics = metrics.borrow_watched();
        let replication = metrics.replication.as_ref()?;
        metrics
            .membership_config
            .voter_ids()
            .filter(|id| *id != self.0.local.id)
            .max_by_key(|id| {
                let matched = replication.get(id).copied().flatten();
                matched.map(|log_id| log_id.index)
            })
    }
}

/// Why the leader's work was not done.
pub(crate) struct Failure {
    /// It may have been done all the same.
    pub(crate) maybe: bool,
    /// Trying again would not help.
    pub(crate) refused: bool,
    pub(crate) reason: String,
}

impl From<Failure> for ProposeError {
    fn from(failure: Failure) -> Self {
        let reason = failure.reason.into();
        if failure.maybe {
            Self::Unknown { reason }
        } else {
            Self::Unavailable { reason }
        }
    }
}

impl From<Failure> for ClusterError {
    fn from(failure: Failure) -> Self {
        let detail = failure.reason;
        if failure.refused {
            Self::Refused { detail }
        } else {
            Self::Unconfirmed { detail }
        }
    }
}

/// Publishes the end of the consensus core, unless it was asked to end.
async fn watch_core(raft: Raft, fatal: FatalSender, stop: CancellationToken) {
    let mut metrics = raft.metrics();
    loop {
        let state = metrics.borrow_watched().running_state.clone();
        if let Err(error) = state {
            if !(stop.is_cancelled() || matches!(error, CoreFatal::Stopped)) {
                fatal.report(format!("the consensus core stopped: {error}"));
            }
            return;
        }
        let changed = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            changed = metrics.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}

impl Proposer for Cluster {
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Reply, ProposeError>> {
        Box::pin(Self::propose(self, command))
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ProposeError>> {
        Box::pin(self.linearizable())
    }
}
