//! Native IPMI over LAN: IPMI 2.0 RMCP+ with cipher suites 3 and 17.
//!
//! [`wire`] knows bytes and no sockets.

pub mod wire;
