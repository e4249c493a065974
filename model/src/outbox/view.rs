//! How one conductor looks at the replicated outbox: which events are its own to send, and whether they still are.

use crate::command::Session;
use crate::outbox::OutboxEvent;
use crate::port::compute::PowerUpdate;
use crate::state::ClusterState;
use uuid::Uuid;

/// A waiting event that is this conductor's affair.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The event.
    pub event: &'a OutboxEvent,
    /// What is to be done about it here.
    pub part: Part,
}

/// What one conductor has to do with an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// To send it: the node is owned here, and the log names this very life.
    Send,
    /// To hand it over: the log names this life, and another conductor owns the node.
    HandOver,
    /// To wait until its sender, which lives, hands it over.
    Await,
    /// To claim it: its sender's life is over.
    Claim,
}

/// The waiting event of `instance`, if its node is owned by this conductor, or it is this life that may be sending it.
#[must_use]
pub fn seen(state: &ClusterState, me: Session, instance: Uuid) -> Option<Seen<'_>> {
    let event = state.outbox_of(instance)?;
    let owner = state.owner(state.node(event.node)?);
    let is_mine = event.sender == me;
    let part = match owner {
        Some(owner) if owner == me.conductor && is_mine => Part::Send,
        Some(owner) if owner == me.conductor && state.is_live(event.sender) => Part::Await,
        Some(owner) if owner == me.conductor => Part::Claim,
        Some(_) if is_mine => Part::HandOver,
        // Nobody could take it.
        Some(_) | None => return None,
    };
    Some(Seen { event, part })
}

/// Whether every event of the batch is still this life's to send. A stale owner finds another sender, or none.
#[must_use]
pub fn may_send(state: &ClusterState, me: Session, batch: &[PowerUpdate]) -> bool {
    let is_mine = |update: &PowerUpdate| {
        state
            .outbox_of(update.instance)
            .is_some_and(|event| event.sender == me)
    };
    state.is_live(me) && batch.iter().all(is_mine)
}
