//! How one conductor looks at the replicated outbox: which events are its own to send, and whether they still are.

use crate::command::Session;
use crate::outbox::OutboxEvent;
use crate::port::compute::PowerUpdate;
use crate::state::ClusterState;
use uuid::Uuid;

/// A waiting event of a node that this conductor owns.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The event.
    pub event: &'a OutboxEvent,
    /// It was claimed by, or made in, this very life; otherwise it has to be claimed first.
    pub mine: bool,
}

/// The waiting event of `instance`, if its node is owned by this conductor.
#[must_use]
pub fn seen(state: &ClusterState, me: Session, instance: Uuid) -> Option<Seen<'_>> {
    let event = state.outbox_of(instance)?;
    let node = state.node(event.node)?;
    (state.owner(node) == Some(me.conductor)).then_some(Seen {
        event,
        mine: event.sender == me,
    })
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
