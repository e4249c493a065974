//! HPE iLO. Sources: sushy `connector.py` (`InvalidOperationForSystemState` is retried); HPE iLO 5 Redfish reference,
//! `ComputerSystem.Reset`: a press of the power button is the documented way to a graceful shutdown where
//! `GracefulShutdown` is not among the allowed values.

use super::{Quirks, ResetChoices, generic};
use crate::redfish::ResetType::{GracefulShutdown, PushPowerButton};
use std::time::Duration;

/// HPE iLO 4 and later.
pub(super) const ILO: Quirks = Quirks {
    name: "ilo",
    manufacturers: &["hpe", "hewlett"],
    reset: ResetChoices {
        soft_off: &[GracefulShutdown, PushPowerButton],
        ..generic::RESET
    },
    settle: Duration::from_secs(15),
    sessions_max: None,
    busy: &[
        "InvalidOperationForSystemState",
        "UnableToModifyDuringSystemPOST",
    ],
    sessions_full: &[],
};
