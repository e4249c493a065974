//! Requests for nodes, at any conductor: to its own actor if it owns the node, otherwise to the owner over the cluster's
//! own connections. What the public router does, without its waiting: a request meets the cluster as it is.

use baton_actors::conductor::Registry;
use baton_cluster::codec::peer::{decode_message, encode_message};
use baton_cluster::{CallError, CallHandler, Cluster};
use baton_model::ids::{ConductorId, NodeId, RequestId};
use baton_model::node::edit::Refused;
use baton_model::port::BoxFuture;
use baton_model::port::node::{NodeAnswer, NodeError, NodeGateway, NodeRequest};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long another conductor may take to answer: the wait for the lock, and the log.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Serialize, Deserialize)]
struct Forwarded {
    node: NodeId,
    id: RequestId,
    request: NodeRequest,
}

/// What came of a request.
#[derive(Debug)]
pub enum Answered {
    /// The owner answered.
    Answer(Result<NodeAnswer, NodeError>),
    /// The request certainly reached nobody.
    NotSent(String),
    /// No answer came; it may have been taken.
    Unknown(String),
}

/// See the module.
pub struct Gateway {
    me: ConductorId,
    cluster: Cluster,
    local: Arc<Registry>,
}

impl Gateway {
    /// The gateway of conductor `me`.
    #[must_use]
    pub const fn new(me: ConductorId, cluster: Cluster, local: Arc<Registry>) -> Self {
        Self { me, cluster, local }
    }

    /// Whether this conductor has an actor for `node`.
    #[must_use]
    pub fn has_actor(&self, node: NodeId) -> bool {
        self.local.get(node).is_some()
    }

    /// Asks the owner.
    pub async fn ask(&self, node: NodeId, id: RequestId, request: NodeRequest) -> Answered {
        let owner = {
            let state = self.cluster.state();
            let state = state.read();
            match state.node(node) {
                None => return Answered::Answer(Err(Refused::no_such_node(node).into())),
                Some(record) => state.owner(record),
            }
        };
        match owner {
            None => Answered::NotSent("nobody owns the node".to_owned()),
            Some(owner) if owner == self.me => {
                Answered::Answer(self.local.request(node, id, request).await)
            }
            Some(owner) => {
                let forwarded = Forwarded { node, id, request };
                let Ok(bytes) = encode_message(&forwarded) else {
                    return Answered::NotSent("it cannot be encoded".to_owned());
                };
                match self.cluster.call(owner, bytes, ANSWER_LIMIT).await {
                    Ok(bytes) => match decode_message(&bytes) {
                        Ok(answer) => Answered::Answer(answer),
                        Err(error) => Answered::Unknown(error.to_string()),
                    },
                    Err(CallError::NotSent { reason }) => Answered::NotSent(reason),
                    Err(CallError::Unknown { reason }) => Answered::Unknown(reason),
                }
            }
        }
    }
}

/// The receiving side.
pub struct Forwardee(pub Arc<Registry>);

impl CallHandler for Forwardee {
    fn handle(&self, _: ConductorId, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let answer = match decode_message::<Forwarded>(&request) {
                Ok(Forwarded { node, id, request }) => self.0.request(node, id, request).await,
                Err(error) => Err(NodeError::Unavailable {
                    reason: error.to_string().into(),
                    retry_after_s: 1,
                }),
            };
            encode_message(&answer).unwrap_or_default()
        })
    }
}
