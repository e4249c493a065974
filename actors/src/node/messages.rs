//! What a node actor is told.

use actix::Message;
use baton_model::ids::RequestId;
use baton_model::port::node::{NodeAnswer, NodeError, NodeRequest};

/// The record may have changed. Carries nothing: the actor looks itself.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Poke;

/// The node is no longer owned here, or no more at all.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// A request for work.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<NodeAnswer, NodeError>")]
pub struct Ask {
    /// The API request's id.
    pub id: RequestId,
    /// What is wanted.
    pub request: NodeRequest,
}
