//! Supermicro. Source: the standard's words only; the boot override differences that Ironic knows (`redfish/management.py`)
//! concern no power command.

use super::{Quirks, generic};
use std::time::Duration;

/// Supermicro X10 and later.
pub(super) const SUPERMICRO: Quirks = Quirks {
    name: "supermicro",
    manufacturers: &["supermicro", "super micro"],
    reset: generic::RESET,
    settle: Duration::from_secs(15),
    sessions_max: None,
    busy: &[],
    sessions_full: &[],
};
