//! Every decision of baton, and nothing else: ids, records, transition tables, the node core, replicated
//! commands and their `apply`, ownership, and the port traits through which the other crates meet.
//!
//! Nothing here starts a thread, awaits, logs, opens a file or reads a clock; whatever a decision needs
//! arrives as an argument. Two replicas that apply the same commands hold the same bytes.

pub mod apply;
pub mod command;
pub mod driver;
pub mod env;
pub mod error_code;
pub mod freshness;
pub mod hardware;
pub mod ids;
pub mod json;
pub mod mask;
pub mod node;
pub mod object;
pub mod outbox;
pub mod ownership;
pub mod pool;
pub mod port;
pub mod secret;
pub mod session;
pub mod state;
pub mod sync_failures;
