//! BMC protocols: native IPMI 2.0 RMCP+, Redfish, and a simulator that speaks both. Wire formats, sessions and vendor
//! quirks live here; when to ask, how often to retry and what an answer means for a node do not.

pub mod ipmi;
