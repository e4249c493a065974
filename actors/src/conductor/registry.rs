//! The registry: where each owned node's actor is, for whoever has a request for it.

use crate::node::{Ask, NodeActor};
use actix::Addr;
use baton_model::ids::{NodeId, RequestId};
use baton_model::node::edit::Refused;
use baton_model::port::BoxFuture;
use baton_model::port::node::{NodeAnswer, NodeError, NodeGateway, NodeRequest};
use baton_model::state::StateView;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// The actors of the nodes owned here.
pub struct Registry {
    state: StateView,
    actors: RwLock<BTreeMap<NodeId, Addr<NodeActor>>>,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub const fn new(state: StateView) -> Self {
        Self {
            state,
            actors: RwLock::new(BTreeMap::new()),
        }
    }

    /// The actor of a node, if it is owned here.
    #[must_use]
    pub fn get(&self, node: NodeId) -> Option<Addr<NodeActor>> {
        self.actors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&node)
            .cloned()
    }

    /// How many nodes are owned here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.actors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether no node is owned here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn insert(&self, node: NodeId, actor: Addr<NodeActor>) {
        self.actors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node, actor);
    }

    pub(super) fn remove(&self, node: NodeId) -> Option<Addr<NodeActor>> {
        self.actors
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&node)
    }

    /// The nodes owned here.
    #[must_use]
    pub fn nodes(&self) -> Vec<NodeId> {
        self.actors
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }

    fn absent(&self, node: NodeId) -> NodeError {
        let state = self.state.read();
        match state.node(node) {
            None => NodeError::Refused(Refused::no_such_node(node)),
            Some(record) => NodeError::NotOwner(state.owner(record)),
        }
    }
}

impl NodeGateway for Registry {
    fn request(
        &self,
        node: NodeId,
        id: RequestId,
        request: NodeRequest,
    ) -> BoxFuture<'_, Result<NodeAnswer, NodeError>> {
        Box::pin(async move {
            let Some(actor) = self.get(node) else {
                return Err(self.absent(node));
            };
            match actor.send(Ask { id, request }).await {
                Ok(answer) => answer,
                // The actor has just retired or died; whoever asks again finds its successor.
                Err(_) => Err(NodeError::Unavailable {
                    reason: format!("node {node} is being handed over").into(),
                    retry_after_s: 1,
                }),
            }
        })
    }
}
