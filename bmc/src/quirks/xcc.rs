//! Lenovo XClarity Controller. Source: the standard's words only; nothing about its power commands is known to differ.

use super::{Quirks, generic};
use std::time::Duration;

/// Lenovo XCC.
pub(super) const XCC: Quirks = Quirks {
    name: "xcc",
    manufacturers: &["lenovo"],
    reset: generic::RESET,
    settle: Duration::from_secs(15),
    sessions_max: None,
    busy: &[],
    sessions_full: &[],
};
