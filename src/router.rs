//! The router: takes a request for a node on any conductor and brings it to the owner.
//!
//! The owner is looked up in the replicated state. A request that reaches a conductor which no longer owns the node comes
//! back with the new owner and is sent on; when ownership is between two conductors, the router waits for it to settle,
//! within the time that a takeover takes.

use crate::power_desk::PowerDesk;
use baton_actors::conductor::Registry;
use baton_cluster::codec::peer::{decode_message, encode_message};
use baton_cluster::{CallError, CallHandler, Cluster};
use baton_model::ids::{ConductorId, NodeId, RequestId};
use baton_model::node::edit::Refused;
use baton_model::port::BoxFuture;
use baton_model::port::node::{NodeAnswer, NodeError, NodeGateway, NodeRequest};
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;

/// How long a request looks for an owner: a takeover takes two seconds, and one more for the new actor to answer.
/// The request keeps its id, and whoever has carried it out remembers that id, so sending it again does nothing twice.
const PATIENCE: Duration = Duration::from_secs(3);

/// Between two looks while nobody owns the node.
const PAUSE: Duration = Duration::from_millis(50);

/// Rows of a report that another conductor gets; some 10 KiB.
const ROWS_MAX: usize = 200;

/// How long one conductor may take to answer: the wait for the node's lock, and a second for the log.
const ANSWER_MARGIN: Duration = Duration::from_secs(5);

/// What one conductor asks of another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum PeerRequest {
    /// Work for a node that the asked one owns.
    Node(Forwarded),
    /// Its power report, with so many rows of the worst.
    Power {
        /// Rows.
        worst: u32,
    },
}

/// A request on its way to another conductor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Forwarded {
    node: NodeId,
    id: RequestId,
    request: NodeRequest,
}

/// See the module.
pub(crate) struct Router {
    me: ConductorId,
    cluster: Cluster,
    local: Arc<Registry>,
    lock_wait_ms: AtomicU64,
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl Router {
    pub(crate) fn new(
        me: ConductorId,
        cluster: Cluster,
        local: Arc<Registry>,
        lock_wait: Duration,
    ) -> Self {
        Self {
            me,
            cluster,
            local,
            lock_wait_ms: AtomicU64::new(millis(lock_wait)),
        }
    }

    async fn try_once(&self, request: &Forwarded) -> Result<NodeAnswer, NodeError> {
        let owner = {
            let state = self.cluster.state();
            let state = state.read();
            match state.node(request.node) {
                None => return Err(Refused::no_such_node(request.node).into()),
                Some(record) => state.owner(record),
            }
        };
        match owner {
            None => Err(NodeError::NotOwner(None)),
            Some(owner) if owner == self.me => {
                self.local
                    .request(request.node, request.id.clone(), request.request.clone())
                    .await
            }
            Some(owner) => self.forward(owner, request).await,
        }
    }

    async fn forward(
        &self,
        owner: ConductorId,
        request: &Forwarded,
    ) -> Result<NodeAnswer, NodeError> {
        let unavailable = |reason: String| NodeError::Unavailable {
            reason: reason.into(),
            retry_after_s: 1,
        };
        let bytes = encode_message(&PeerRequest::Node(request.clone()))
            .map_err(|error| unavailable(error.to_string()))?;
        let limit = self.lock_wait() + ANSWER_MARGIN;
        let answered = tokio::select! {
            biased;
            answered = self.cluster.call(owner, bytes, limit) => answered,
            // It may be stopped, or cut off: whoever owns the node now answers instead.
            () = self.moved_from(owner, request.node) => return Err(NodeError::NotOwner(None)),
        };
        match answered {
            Ok(bytes) => decode_message::<Result<NodeAnswer, NodeError>>(&bytes)
                .unwrap_or_else(|error| Err(unavailable(error.to_string()))),
            // Nothing was sent: the owner is starting, gone, or about to be replaced. Look again.
            Err(CallError::NotSent { reason }) => {
                tracing::debug!(conductor = %owner, reason, "the owner could not be reached");
                Err(NodeError::NotOwner(None))
            }
            Err(CallError::Unknown { reason }) => Err(unavailable(format!(
                "conductor {owner} did not say whether it took the request: {reason}"
            ))),
        }
    }

    /// Ends when `owner` owns the node no longer.
    async fn moved_from(&self, owner: ConductorId, node: NodeId) {
        loop {
            tokio::time::sleep(PAUSE).await;
            let state = self.cluster.state();
            let state = state.read();
            let still = state.node(node).and_then(|record| state.owner(record));
            if still != Some(owner) {
                return;
            }
        }
    }

    fn lock_wait(&self) -> Duration {
        Duration::from_millis(self.lock_wait_ms.load(Ordering::Relaxed))
    }

    /// A reloaded `node_lock_wait`.
    pub(crate) fn set_lock_wait(&self, lock_wait: Duration) {
        self.lock_wait_ms
            .store(millis(lock_wait), Ordering::Relaxed);
    }
}

impl NodeGateway for Router {
    fn request(
        &self,
        node: NodeId,
        id: RequestId,
        request: NodeRequest,
    ) -> BoxFuture<'_, Result<NodeAnswer, NodeError>> {
        let forwarded = Forwarded { node, id, request };
        Box::pin(async move {
            let last = Instant::now() + self.lock_wait() + ANSWER_MARGIN;
            let mut deadline = Instant::now() + PATIENCE;
            loop {
                let asked = Instant::now();
                let answer = self.try_once(&forwarded).await;
                if asked.elapsed() > PATIENCE {
                    // It waited long at an owner that then vanished; the search for the next one begins now.
                    deadline = (Instant::now() + PATIENCE).min(last);
                }
                match answer {
                    Err(NodeError::NotOwner(_) | NodeError::Unavailable { .. })
                        if Instant::now() < deadline =>
                    {
                        tokio::time::sleep(PAUSE).await;
                    }
                    Err(NodeError::NotOwner(_)) => {
                        return Err(NodeError::Unavailable {
                            reason: format!("no conductor owns node {node} at the moment").into(),
                            retry_after_s: 1,
                        });
                    }
                    answer => return answer,
                }
            }
        })
    }
}

/// The receiving side: hands requests of other conductors to the actors here.
pub(crate) struct Forwardee {
    pub(crate) nodes: Arc<Registry>,
    /// Set once there is a pool to ask.
    pub(crate) desk: Arc<OnceLock<Arc<PowerDesk>>>,
}

impl CallHandler for Forwardee {
    fn handle(&self, from: ConductorId, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let answer = match decode_message::<PeerRequest>(&request) {
                Ok(PeerRequest::Node(Forwarded { node, id, request })) => {
                    self.nodes.request(node, id, request).await
                }
                Ok(PeerRequest::Power { worst }) => {
                    let worst = usize::try_from(worst).unwrap_or(ROWS_MAX).min(ROWS_MAX);
                    let told = match self.desk.get() {
                        Some(desk) => desk.report(worst).await,
                        None => Err("it is starting".into()),
                    };
                    return encode_message(&told).unwrap_or_default();
                }
                Err(error) => {
                    tracing::warn!(conductor = %from, %error, "a forwarded request could not be read");
                    Err(NodeError::Unavailable {
                        reason: "the owner runs a version that cannot read the request".into(),
                        retry_after_s: 1,
                    })
                }
            };
            encode_message(&answer).unwrap_or_default()
        })
    }
}
