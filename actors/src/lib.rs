//! Mailboxes, timers and supervision. Decisions live in `baton-model`; here they are carried out.
//!
//! One conductor actor per process supervises one node actor per owned node; the sync pool actor lets BMC conversations
//! leave, and the notifier actor tells the compute service what changed.

pub mod conductor;
pub mod node;
pub mod notifier;
pub mod shared;
pub mod sync_pool;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
mod unhurried;
