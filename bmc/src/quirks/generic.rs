//! Any BMC that follows the standard. Sources: DSP2046 `Resource.ResetType`; Ironic `redfish/power.py` for the 15 s after
//! a restart and for `ActionParameterValueConflict`; DSP0268 Base message registry for the message ids.

use super::{Quirks, ResetChoices};
use crate::redfish::ResetType::{
    ForceOff, ForceOn, ForceRestart, GracefulRestart, GracefulShutdown, Nmi, On, PowerCycle,
    PushPowerButton,
};
use std::time::Duration;

/// The choices that the standard's words allow.
pub(super) const RESET: ResetChoices = ResetChoices {
    on: &[On, ForceOn, PushPowerButton],
    off: &[ForceOff],
    soft_off: &[GracefulShutdown],
    reset: &[ForceRestart, PowerCycle],
    cycle: &[PowerCycle, ForceRestart],
    soft_reset: &[GracefulRestart],
    nmi: &[Nmi],
};

/// A BMC of no known vendor.
pub const GENERIC: Quirks = Quirks {
    name: "generic",
    manufacturers: &[],
    reset: RESET,
    settle: Duration::from_secs(15),
    sessions_max: None,
    busy: &[
        "ActionParameterValueConflict",
        "ResourceInStandby",
        "ResourceInUse",
        "ServiceTemporarilyUnavailable",
        "ServiceInUnknownState",
        "ServiceShuttingDown",
    ],
    sessions_full: &["SessionLimitExceeded", "CreateLimitReachedForResource"],
};
