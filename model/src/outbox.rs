//! The outbox: how the compute service learns of power changes, once, in order, whatever breaks.
//!
//! [`record`] is what the log keeps. [`Outbox`] is what one conductor does about the events of its own nodes: which leave
//! when, in which company, and what becomes of them. It holds nothing that a takeover would miss. [`RaceGuard`] keeps the
//! compute service from undoing what it has not heard of. The invariants: an event ends only after the service took it or
//! will never take it; no instance ever has two requests on their way, not even after a takeover; what one instance does
//! never holds up the others for long.

mod core;
mod guard;
pub mod record;
mod settings;
mod stage;
mod view;

pub use self::core::{Batch, Outbox, ReadBack};
pub use guard::{Contradiction, RaceGuard, SETTLING};
pub use record::{DeadReason, EventStatus, NAMED_MAX, OutboxEvent, Told, WAITING_MAX};
pub use settings::{OutboxSettings, OutboxStats};
pub use view::{Part, Seen, may_send, seen};

#[cfg(test)]
mod tests;
