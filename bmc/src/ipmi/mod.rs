//! Native IPMI over LAN: IPMI 2.0 RMCP+ with cipher suites 3 and 17.
//!
//! [`wire`] knows bytes and no sockets, [`session`] knows a conversation and no clock, [`client`] has the sockets and
//! the clock and decides nothing.

pub mod client;
pub mod session;
mod vendor;
pub mod wire;

pub use client::{IpmiClient, IpmiSettings, IpmiStats};
pub use session::SessionIds;
