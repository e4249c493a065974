//! The steps engine: what a node's clean, deploy and service steps are, in which order they run, and what is known about
//! them after a takeover.
//!
//! The list of a flow and the place in it are kept in `driver_internal_info`, the running step in `clean_step`,
//! `deploy_step` or `service_step`, as Ironic does. Each step is written there before it begins, so whoever owns the
//! node next knows which one was running ([`after_takeover`]).

mod catalog;
mod list;
mod progress;
mod request;

#[cfg(test)]
mod tests;

use super::power::PowerRequest;
use super::provision::ProvisionState;
use serde::{Deserialize, Serialize};

pub(crate) use catalog::{fake_failure, fake_findings, kind, name};
pub use list::{automated, deploy};
pub(crate) use progress::is_manual;
pub use progress::{Progress, Resume, after_takeover};
pub use request::{abort, check, wanted};
pub(crate) use request::{ended_by_request, is_to_end};

/// A sequence of steps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Flow {
    /// Clean steps, manual or automated.
    Clean,
    /// Deploy steps.
    Deploy,
    /// Service steps.
    Service,
}

impl Flow {
    /// Every flow.
    pub const ALL: [Self; 3] = [Self::Clean, Self::Deploy, Self::Service];

    /// The word in field names and messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Service => "service",
        }
    }

    /// The flow whose steps a state runs, waits for or holds.
    #[must_use]
    pub const fn of(state: ProvisionState) -> Option<Self> {
        match state {
            ProvisionState::Cleaning | ProvisionState::CleanWait | ProvisionState::CleanHold => {
                Some(Self::Clean)
            }
            ProvisionState::Deploying
            | ProvisionState::WaitCallBack
            | ProvisionState::DeployHold => Some(Self::Deploy),
            ProvisionState::Servicing
            | ProvisionState::ServiceWait
            | ProvisionState::ServiceHold => Some(Self::Service),
            _ => None,
        }
    }
}

/// What is done to BIOS settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BiosChange {
    /// Some get other values.
    Apply,
    /// All get those of the factory.
    Reset,
}

/// What a step does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Brings the machine into a power state.
    Power(PowerRequest),
    /// Stops until a user says `unhold`.
    Hold,
    /// Lets so many seconds pass.
    Wait(u32),
    /// Changes BIOS settings, which takes a restart.
    Bios(BiosChange),
    /// Something that a fake interface does at once.
    Instant,
    /// Something that goes on after the conductor has let go of the node; its end is reported later.
    Asynchronous,
}

impl Kind {
    /// Whether a step that was interrupted may simply be run again. A machine that was being restarted may have come
    /// back already; restarting it once more is not what was asked for.
    #[must_use]
    pub const fn is_repeatable(self) -> bool {
        match self {
            Self::Power(PowerRequest::On | PowerRequest::Off | PowerRequest::SoftOff)
            | Self::Hold
            | Self::Wait(_)
            // Settings that are there already are not told again, and a reset changes nothing the second time.
            | Self::Bios(_)
            | Self::Instant => true,
            Self::Power(PowerRequest::Reboot | PowerRequest::SoftReboot) | Self::Asynchronous => {
                false
            }
        }
    }
}
