//! What a node's `driver_info` means: parsed once, checked with Ironic's texts, never touching the network.

pub mod ipmi;
pub mod python;
pub mod redfish;

use std::sync::Arc;

/// How to reach the BMC of one node. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BmcTarget {
    /// IPMI over LAN.
    Ipmi(Arc<ipmi::IpmiTarget>),
    /// Redfish over HTTP.
    Redfish(Arc<redfish::RedfishTarget>),
    /// `fake-hardware`: no BMC at all.
    Fake,
}

/// Why a `driver_info` cannot be used. The text is Ironic's, to the letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverInfoError {
    /// A required key is absent (Ironic's `MissingParameterValue`, HTTP 400).
    #[error("{0}")]
    Missing(String),
    /// A key has an unusable value (Ironic's `InvalidParameterValue`, HTTP 400).
    #[error("{0}")]
    Invalid(String),
    /// baton cannot do what the key asks for.
    #[error("{0}")]
    Unsupported(String),
}
