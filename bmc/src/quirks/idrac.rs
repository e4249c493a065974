//! Dell iDRAC. Sources: check_redfish issue 89 (login answers 503 with `RAC0218`, "maximum number of user sessions");
//! sushy `connector.py` for `SYS518` (a job is running: retry); badfish issue 10 (`GracefulRestart` is often not allowed,
//! so nothing may stand on it); Redfish-Tacklebox pull request 39 (a button press is no restart).

use super::{Quirks, ResetChoices, generic};
use crate::redfish::ResetType::{ForceRestart, PowerCycle};
use std::time::Duration;

/// Dell iDRAC 7 and later.
pub(super) const IDRAC: Quirks = Quirks {
    name: "idrac",
    manufacturers: &["dell"],
    reset: ResetChoices {
        reset: &[ForceRestart, PowerCycle],
        ..generic::RESET
    },
    settle: Duration::from_secs(15),
    sessions_max: None,
    busy: &["SYS518"],
    sessions_full: &["RAC0218"],
};
