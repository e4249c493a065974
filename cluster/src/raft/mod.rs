//! openraft's ports: its types, its log, its state machine and its network. Nobody outside this crate sees openraft.

pub mod log_store;
pub mod network;
pub mod runtime;
pub mod snapshot;
pub mod state_machine;
pub mod types;
