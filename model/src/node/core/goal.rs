//! What work is for: the goal behind a power request or a verb.

use super::plan::PowerDriver;
use crate::apply::illegal;
use crate::hardware::fake;
use crate::node::edit::Refused;
use crate::node::power::PowerRequest;
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::NodeRecord;
use crate::node::steps::{Flow, Progress};
use crate::port::bmc::PowerAction;
use std::time::Duration;

/// What the work is to achieve.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    /// A power request.
    Power {
        request: PowerRequest,
        timeout: Option<Duration>,
    },
    /// A reboot that a former owner began. Read first: a machine that is off is switched on. If it is on and `certain`,
    /// that is the end of it; else nobody can know whether it was restarted.
    InterruptedReboot { certain: bool },
    /// A diagnostic interrupt.
    Nmi,
    /// One command that is no power change: how the machine boots, or a chore.
    Command(PowerAction),
    /// `enroll` to `manageable`: the BMC answers.
    Verify,
    /// `adopting` to `active`.
    Adopt,
    /// `inspecting` to `manageable`.
    Inspect,
    /// `cleaning` to `available`, without a list of steps so far.
    Clean,
    /// `deleting` to `available`.
    TearDown,
    /// To go through the steps of a flow.
    Steps(Flow),
    /// `rescuing` to `rescue`.
    Rescue,
    /// `unrescuing` to `active`.
    Unrescue,
    /// To fence a former holder off first, and then to see.
    TakeOver,
}

impl Goal {
    /// The work behind a verb; `None` when the move is all there is to it.
    pub(super) fn of(node: &NodeRecord, verb: Verb) -> Option<Self> {
        match verb {
            Verb::Manage => {
                (node.provision_state == ProvisionState::Enroll).then_some(Self::Verify)
            }
            Verb::Adopt => Some(Self::Adopt),
            Verb::Inspect => Some(Self::Inspect),
            Verb::Provide => Some(Self::Clean),
            Verb::Delete => Some(Self::TearDown),
            Verb::Deploy | Verb::Rebuild => Some(Self::Steps(Flow::Deploy)),
            Verb::Clean => Some(Self::Steps(Flow::Clean)),
            Verb::Service => Some(Self::Steps(Flow::Service)),
            Verb::Unhold => Flow::of(node.provision_state).map(Self::Steps),
            Verb::Rescue => Some(Self::Rescue),
            Verb::Unrescue => Some(Self::Unrescue),
            Verb::Abort | Verb::Done | Verb::Fail | Verb::Wait | Verb::Resume | Verb::Hold => None,
        }
    }

    /// Why the fake interface that is to do this fails at it, if it was told to.
    pub(super) fn fake_failure(self, node: &NodeRecord) -> Option<String> {
        let interfaces = &node.interfaces;
        let (interface, what) = match self {
            Self::Power { .. } | Self::Verify => (&interfaces.power, "power"),
            Self::Adopt => (&interfaces.deploy, "adopt"),
            Self::Inspect => (&interfaces.inspect, "inspect"),
            Self::TearDown => (&interfaces.deploy, "tear_down"),
            Self::Rescue => (&interfaces.rescue, "rescue"),
            Self::Unrescue => (&interfaces.rescue, "unrescue"),
            // Steps have names of their own; the rest is no fake interface's work.
            Self::Steps(_)
            | Self::Clean
            | Self::InterruptedReboot { .. }
            | Self::Nmi
            | Self::Command(_)
            | Self::TakeOver => return None,
        };
        fake::failure(node, interface, what)
    }

    /// Whether the node's interfaces can do what the verb needs.
    pub(super) fn check(node: &NodeRecord, verb: Verb) -> Result<(), Refused> {
        let unsupported = |what: &str| {
            let text = format!(
                "Driver {} does not support {what} (disabled or not implemented).",
                node.driver
            );
            Err(Refused::new(400, text))
        };
        match verb {
            Verb::Manage
            | Verb::Provide
            | Verb::Adopt
            | Verb::Delete
            | Verb::Clean
            | Verb::Service
            | Verb::Abort
            | Verb::Unhold => Ok(()),
            Verb::Rescue | Verb::Unrescue if &*node.interfaces.rescue == "fake" => Ok(()),
            Verb::Inspect if can_inspect(node) => Ok(()),
            Verb::Deploy | Verb::Rebuild if &*node.interfaces.deploy == "fake" => Ok(()),
            Verb::Inspect => unsupported("inspect"),
            Verb::Deploy | Verb::Rebuild => unsupported("deploy"),
            Verb::Rescue => unsupported("rescue"),
            Verb::Unrescue => unsupported("unrescue"),
            Verb::Done | Verb::Fail | Verb::Wait | Verb::Resume | Verb::Hold => {
                Err(illegal(node, verb))
            }
        }
    }
}

fn can_inspect(node: &NodeRecord) -> bool {
    match &*node.interfaces.inspect {
        "fake" => true,
        // The machine is reached as its power interface reaches it.
        "redfish" => PowerDriver::of(node) == PowerDriver::Redfish,
        _ => false,
    }
}

/// The work of a verb once its move has been made.
pub(super) fn goal_in(node: &NodeRecord, verb: Verb) -> Option<Goal> {
    match node.provision_state {
        ProvisionState::Verifying => Some(Goal::Verify),
        ProvisionState::Adopting => Some(Goal::Adopt),
        ProvisionState::Inspecting => Some(Goal::Inspect),
        ProvisionState::Cleaning
            if verb == Verb::Provide && !Progress::of(node, Flow::Clean).is_known() =>
        {
            Some(Goal::Clean)
        }
        ProvisionState::Deleting => Some(Goal::TearDown),
        ProvisionState::Rescuing => Some(Goal::Rescue),
        ProvisionState::Unrescuing => Some(Goal::Unrescue),
        state => Flow::of(state)
            .filter(|_| state.is_working())
            .map(Goal::Steps),
    }
}
