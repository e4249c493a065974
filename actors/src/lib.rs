//! Mailboxes, timers and supervision. Decisions live in `baton-model`; here they are carried out.

pub mod sync_pool;
