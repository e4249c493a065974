//! The compute service and its identity service, seen from baton: who to ask, with which token, and what an answer means.
//!
//! Implements `model::port::compute::Compute`. Retry policy is not here but in `model::outbox`: this crate answers each
//! call once, within a bounded time, with a typed result. The one exception is a 401, after which it gets a fresh token
//! and asks once more, since only it knows tokens. Secrets never reach an error, a log line or a `Debug` text.

mod answer;
mod auth;
mod catalog;
mod client;
mod http;
mod identity;
mod options;
#[cfg(feature = "sim")]
pub mod sim;
mod tls;

pub use client::NovaClient;
pub use options::{ComputeOptions, OptionsError};
