//! OpenBMC's `bmcweb`. Sources: openbmc-test-automation issue 1916 (the allowed values; newer builds name them in an
//! ActionInfo only); ibm-openbmc/bmcweb pull request 157 (IBM's hosts refuse `ForceRestart` with
//! `ActionParameterUnknown`, so a power cycle stands in).

use super::{Quirks, ResetChoices, generic};
use crate::redfish::ResetType::{ForceRestart, PowerCycle};
use std::time::Duration;

/// OpenBMC and what vendors build of it.
pub(super) const OPENBMC: Quirks = Quirks {
    name: "openbmc",
    manufacturers: &["openbmc", "ibm"],
    reset: ResetChoices {
        reset: &[ForceRestart, PowerCycle],
        ..generic::RESET
    },
    settle: Duration::from_secs(15),
    sessions_max: None,
    busy: &[],
    sessions_full: &[],
};
