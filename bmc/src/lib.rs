//! BMC protocols: native IPMI 2.0 RMCP+, Redfish, and a simulator that speaks both.
//!
//! Owns wire formats, sessions, connections and what is known about vendors. Implements `model::port::bmc` once, as
//! [`client::BmcClient`]. Decides nothing about nodes: when to ask, how often to try again and what an answer means for
//! a machine's record is not known here. Every call ends within the budget it was given, every cache is bounded, and
//! whatever a BMC sends is a value or a typed error.

mod beat;
#[cfg(feature = "sim")]
pub mod bench;
pub mod client;
pub mod ipmi;
pub mod redfish;
#[cfg(feature = "sim")]
pub mod sim;
pub mod vendor;
