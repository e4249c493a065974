//! What work is for: the goal behind a power request or a verb.

use crate::apply::illegal;
use crate::node::edit::Refused;
use crate::node::power::PowerRequest;
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::NodeRecord;
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
    /// `enroll` to `manageable`: the BMC answers.
    Verify,
    /// `adopting` to `active`.
    Adopt,
    /// `inspecting` to `manageable`.
    Inspect,
    /// `cleaning` to `available`.
    Clean,
    /// `deleting` to `available`.
    TearDown,
    /// `deploying` to `active`.
    Deploy,
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
            Verb::Deploy | Verb::Rebuild => Some(Self::Deploy),
            Verb::Clean
            | Verb::Abort
            | Verb::Rescue
            | Verb::Unrescue
            | Verb::Service
            | Verb::Unhold
            | Verb::Done
            | Verb::Fail
            | Verb::Wait
            | Verb::Resume
            | Verb::Hold => None,
        }
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
            Verb::Manage | Verb::Provide | Verb::Adopt | Verb::Delete => Ok(()),
            Verb::Inspect if &*node.interfaces.inspect == "fake" => Ok(()),
            Verb::Deploy | Verb::Rebuild if &*node.interfaces.deploy == "fake" => Ok(()),
            Verb::Inspect => unsupported("inspect"),
            Verb::Deploy | Verb::Rebuild => unsupported("deploy"),
            Verb::Clean => unsupported("clean"),
            Verb::Rescue => unsupported("rescue"),
            Verb::Unrescue => unsupported("unrescue"),
            Verb::Service => unsupported("service"),
            Verb::Abort => unsupported("abort"),
            Verb::Unhold => unsupported("unhold"),
            Verb::Done | Verb::Fail | Verb::Wait | Verb::Resume | Verb::Hold => {
                Err(illegal(node, verb))
            }
        }
    }
}

/// The work of a verb once its move has been made.
pub(super) const fn goal_in(state: ProvisionState, verb: Verb) -> Option<Goal> {
    match (state, verb) {
        (ProvisionState::Verifying, _) => Some(Goal::Verify),
        (ProvisionState::Adopting, _) => Some(Goal::Adopt),
        (ProvisionState::Inspecting, _) => Some(Goal::Inspect),
        (ProvisionState::Cleaning, Verb::Provide) => Some(Goal::Clean),
        (ProvisionState::Deleting, _) => Some(Goal::TearDown),
        (ProvisionState::Deploying, _) => Some(Goal::Deploy),
        _ => None,
    }
}
