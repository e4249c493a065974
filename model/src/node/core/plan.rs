//! How each power interface does each request: a list of steps. Source: Ironic `ipmitool.py`, `redfish/power.py`,
//! `fake.py` (power-interfaces.md §3.5, §4.5, §5).

use super::Knobs;
use super::probe::Probe;
use crate::node::boot::{self, BootOrder};
use crate::node::edit::Refused;
use crate::node::power::{PowerRequest, PowerState};
use crate::node::record::NodeRecord;
use crate::port::bmc::PowerAction;
use std::collections::VecDeque;
use std::time::Duration;

/// After a hard reset a machine reports `on` all along; Ironic waits this long before it believes that.
const RESET_SETTLE: Duration = Duration::from_secs(15);

/// The ways baton can reach a machine's power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerDriver {
    /// IPMI over LAN.
    Ipmi,
    /// Redfish.
    Redfish,
    /// No machine: the recorded state is the state.
    Fake,
    /// An interface that cannot read or change power (disabled, unknown, `agent`).
    None,
}

impl PowerDriver {
    /// The driver behind the node's `power_interface`.
    #[must_use]
    pub fn of(node: &NodeRecord) -> Self {
        match &*node.interfaces.power {
            "ipmitool" => Self::Ipmi,
            "redfish" | "idrac-redfish" => Self::Redfish,
            "fake" => Self::Fake,
            _ => Self::None,
        }
    }
}

/// One step of power work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Send a command.
    Act(PowerAction),
    /// Poll until the machine is in this state, at most so long.
    Await { state: PowerState, limit: Duration },
    /// Let time pass.
    Settle(Duration),
    /// Switch the machines that share its power, at most so long.
    Relatives {
        request: PowerRequest,
        limit: Duration,
    },
    /// Ask the machine something, at most so long.
    Probe { probe: Probe, limit: Duration },
}

/// The steps that fulfil `request`. `seen` is the state just read, where the plan depends on it.
pub(super) fn plan(
    node: &NodeRecord,
    request: PowerRequest,
    timeout: Option<Duration>,
    seen: Option<PowerState>,
    knobs: &Knobs,
) -> Result<VecDeque<Step>, Refused> {
    let hard = timeout.unwrap_or(knobs.change_timeout);
    let soft = timeout.unwrap_or(knobs.soft_timeout);
    let wait = |state, limit| Step::Await { state, limit };
    let (on, off) = (wait(PowerState::On, hard), wait(PowerState::Off, hard));
    let driver = PowerDriver::of(node);
    let steps = match (driver, request) {
        (PowerDriver::None, _) => {
            let text = format!(
                "Node {} has the power interface '{}', which can not change power. Set power_interface to one that \
                 is enabled.",
                node.id, node.interfaces.power
            );
            return Err(Refused::new(400, text));
        }
        (PowerDriver::Fake, _) => vec![fake_call(node, knobs)],
        (_, PowerRequest::On) => vec![Step::Act(PowerAction::On), on],
        (_, PowerRequest::Off) => vec![Step::Act(PowerAction::Off), off],
        (_, PowerRequest::SoftOff) => {
            vec![Step::Act(PowerAction::SoftOff), wait(PowerState::Off, soft)]
        }
        (_, PowerRequest::Reboot) if node.disable_power_off => {
            vec![
                Step::Act(PowerAction::Reset),
                Step::Settle(RESET_SETTLE),
                on,
            ]
        }
        (_, PowerRequest::Reboot) if seen == Some(PowerState::Off) => {
            vec![Step::Act(PowerAction::On), on]
        }
        (_, PowerRequest::Reboot) => {
            vec![
                Step::Act(PowerAction::Off),
                off,
                Step::Act(PowerAction::On),
                on,
            ]
        }
        (PowerDriver::Ipmi, PowerRequest::SoftReboot) if node.disable_power_off => {
            let text = format!(
                "Node {} hardware does not support feature soft power off, which is required based upon the \
                 requested configuration.",
                node.id
            );
            return Err(Refused::new(400, text));
        }
        (PowerDriver::Ipmi, PowerRequest::SoftReboot) => vec![
            Step::Act(PowerAction::SoftOff),
            wait(PowerState::Off, soft),
            Step::Act(PowerAction::On),
            wait(PowerState::On, soft),
        ],
        (PowerDriver::Redfish, PowerRequest::SoftReboot) => {
            vec![
                Step::Act(PowerAction::SoftReset),
                wait(PowerState::On, soft),
            ]
        }
    };
    Ok(restoring_boot_device(node, steps))
}

/// A machine whose BMC forgets its boot device after one boot is told it again before each.
fn restoring_boot_device(node: &NodeRecord, steps: Vec<Step>) -> VecDeque<Step> {
    let Some(device) = boot::remembered(node) else {
        return steps.into();
    };
    let order = BootOrder {
        device,
        // IPMI keeps what it is told; it is repeated in case something else changed it.
        persistent: PowerDriver::of(node) == PowerDriver::Ipmi,
        mode: boot::wanted_mode(node),
    };
    let starts = |step: &Step| {
        matches!(
            step,
            Step::Act(PowerAction::On | PowerAction::Reset | PowerAction::SoftReset)
        )
    };
    let mut all = VecDeque::with_capacity(steps.len() + 1);
    for step in steps {
        if starts(&step) {
            all.push_back(Step::Act(PowerAction::BootFrom(order)));
        }
        all.push_back(step);
    }
    all
}

/// One call of an interface without a machine. Each change of the record draws anew, and every replica draws the same.
pub(super) fn fake_call(node: &NodeRecord, knobs: &Knobs) -> Step {
    let (high, low) = node.id.0.as_u64_pair();
    let mixed = (high ^ low ^ node.revision.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Step::Settle(knobs.fake_delay.drawn(mixed >> 32))
}

/// An upper bound of the time that a request may take, for its intent's limit.
pub(super) fn limit(request: PowerRequest, timeout: Option<Duration>, knobs: &Knobs) -> Duration {
    /// Reads before and after, and the commands themselves.
    const MARGIN: Duration = Duration::from_secs(60);
    let one = timeout.unwrap_or(if request.is_soft() {
        knobs.soft_timeout
    } else {
        knobs.change_timeout
    });
    let halves = if request.is_reboot() { 2 } else { 1 };
    one * halves + MARGIN
}
