//! The provision state machine: every state, every verb, one table.
//!
//! Source of the rows: Ironic `ironic/common/states.py` (the machine's `add_transition` calls), in its order. A move
//! that is not in [`MOVES`] does not exist; nothing outside this module decides whether a move is legal.

use serde::{Deserialize, Serialize};
use std::fmt;

use ProvisionState::{
    Active, AdoptFailed, Adopting, Available, CleanFailed, CleanHold, CleanWait, Cleaning,
    Deleting, DeployFailed, DeployHold, Deploying, Enroll, Error, InspectFailed, InspectWait,
    Inspecting, Manageable, Rescue, RescueFailed, RescueWait, Rescuing, ServiceFailed, ServiceHold,
    ServiceWait, Servicing, UnrescueFailed, Unrescuing, Verifying, WaitCallBack,
};

/// A provision state, with Ironic's word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ProvisionState {
    /// `enroll`
    #[serde(rename = "enroll")]
    Enroll,
    /// `verifying`
    #[serde(rename = "verifying")]
    Verifying,
    /// `manageable`
    #[serde(rename = "manageable")]
    Manageable,
    /// `available`
    #[serde(rename = "available")]
    Available,
    /// `inspecting`
    #[serde(rename = "inspecting")]
    Inspecting,
    /// `inspect wait`
    #[serde(rename = "inspect wait")]
    InspectWait,
    /// `inspect failed`
    #[serde(rename = "inspect failed")]
    InspectFailed,
    /// `adopting`
    #[serde(rename = "adopting")]
    Adopting,
    /// `adopt failed`
    #[serde(rename = "adopt failed")]
    AdoptFailed,
    /// `cleaning`
    #[serde(rename = "cleaning")]
    Cleaning,
    /// `clean wait`
    #[serde(rename = "clean wait")]
    CleanWait,
    /// `clean failed`
    #[serde(rename = "clean failed")]
    CleanFailed,
    /// `clean hold`
    #[serde(rename = "clean hold")]
    CleanHold,
    /// `deploying`
    #[serde(rename = "deploying")]
    Deploying,
    /// `wait call-back`
    #[serde(rename = "wait call-back")]
    WaitCallBack,
    /// `deploy failed`
    #[serde(rename = "deploy failed")]
    DeployFailed,
    /// `deploy hold`
    #[serde(rename = "deploy hold")]
    DeployHold,
    /// `active`
    #[serde(rename = "active")]
    Active,
    /// `deleting`
    #[serde(rename = "deleting")]
    Deleting,
    /// `error`
    #[serde(rename = "error")]
    Error,
    /// `rescuing`
    #[serde(rename = "rescuing")]
    Rescuing,
    /// `rescue wait`
    #[serde(rename = "rescue wait")]
    RescueWait,
    /// `rescue failed`
    #[serde(rename = "rescue failed")]
    RescueFailed,
    /// `rescue`
    #[serde(rename = "rescue")]
    Rescue,
    /// `unrescuing`
    #[serde(rename = "unrescuing")]
    Unrescuing,
    /// `unrescue failed`
    #[serde(rename = "unrescue failed")]
    UnrescueFailed,
    /// `servicing`
    #[serde(rename = "servicing")]
    Servicing,
    /// `service wait`
    #[serde(rename = "service wait")]
    ServiceWait,
    /// `service failed`
    #[serde(rename = "service failed")]
    ServiceFailed,
    /// `service hold`
    #[serde(rename = "service hold")]
    ServiceHold,
}

/// What moves a node from state to state: a user's verb, or an event of its own work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Verb {
    /// User: check that the BMC answers, or return to `manageable`.
    Manage,
    /// User: make available.
    Provide,
    /// User: look at the hardware.
    Inspect,
    /// User: manual cleaning. Event: the tear-down is done and automated cleaning starts.
    Clean,
    /// User (`active` or `deploy`): deploy an instance.
    Deploy,
    /// User: deploy again.
    Rebuild,
    /// User (`deleted` or `undeploy`): tear the instance down.
    Delete,
    /// User: stop waiting, give up.
    Abort,
    /// User: take an already running machine as active.
    Adopt,
    /// User: boot the rescue ramdisk.
    Rescue,
    /// User: leave rescue.
    Unrescue,
    /// User: run service steps on an active machine.
    Service,
    /// User: leave a hold.
    Unhold,
    /// Event: the work is done.
    Done,
    /// Event: the work failed.
    Fail,
    /// Event: the work waits for the ramdisk or an asynchronous step.
    Wait,
    /// Event: the wait is over.
    Resume,
    /// Event: a `hold` step was reached.
    Hold,
}

/// Every provision move baton allows.
pub const MOVES: &[(ProvisionState, Verb, ProvisionState)] = &[
    (Available, Verb::Deploy, Deploying),
    (Deploying, Verb::Fail, DeployFailed),
    (DeployFailed, Verb::Rebuild, Deploying),
    (DeployFailed, Verb::Deploy, Deploying),
    (Deploying, Verb::Wait, WaitCallBack),
    (Deploying, Verb::Hold, DeployHold),
    (WaitCallBack, Verb::Hold, DeployHold),
    (WaitCallBack, Verb::Resume, Deploying),
    (WaitCallBack, Verb::Fail, DeployFailed),
    (DeployHold, Verb::Unhold, WaitCallBack),
    (DeployHold, Verb::Abort, DeployFailed),
    (WaitCallBack, Verb::Abort, DeployFailed),
    (Deploying, Verb::Done, Active),
    (Active, Verb::Rebuild, Deploying),
    (Active, Verb::Delete, Deleting),
    (WaitCallBack, Verb::Delete, Deleting),
    (DeployFailed, Verb::Delete, Deleting),
    (Deleting, Verb::Fail, Error),
    (Deleting, Verb::Clean, Cleaning),
    (Cleaning, Verb::Done, Available),
    (Cleaning, Verb::Fail, CleanFailed),
    (CleanWait, Verb::Fail, CleanFailed),
    (CleanWait, Verb::Abort, CleanFailed),
    (Cleaning, Verb::Wait, CleanWait),
    (Cleaning, Verb::Hold, CleanHold),
    (CleanWait, Verb::Hold, CleanHold),
    (CleanWait, Verb::Resume, Cleaning),
    (CleanHold, Verb::Abort, CleanFailed),
    (CleanHold, Verb::Unhold, CleanWait),
    (CleanFailed, Verb::Manage, Manageable),
    (Manageable, Verb::Provide, Cleaning),
    (Manageable, Verb::Clean, Cleaning),
    (Cleaning, Verb::Manage, Manageable),
    (Available, Verb::Manage, Manageable),
    (Error, Verb::Rebuild, Deploying),
    (Error, Verb::Delete, Deleting),
    (Manageable, Verb::Inspect, Inspecting),
    (Inspecting, Verb::Done, Manageable),
    (Inspecting, Verb::Fail, InspectFailed),
    (Inspecting, Verb::Wait, InspectWait),
    (InspectWait, Verb::Done, Manageable),
    (InspectWait, Verb::Fail, InspectFailed),
    (InspectWait, Verb::Abort, InspectFailed),
    (InspectWait, Verb::Resume, Inspecting),
    (InspectFailed, Verb::Manage, Manageable),
    (InspectFailed, Verb::Inspect, Inspecting),
    (Active, Verb::Rescue, Rescuing),
    (Rescuing, Verb::Done, Rescue),
    (Rescuing, Verb::Wait, RescueWait),
    (RescueWait, Verb::Resume, Rescuing),
    (Rescue, Verb::Rescue, Rescuing),
    (Rescue, Verb::Delete, Deleting),
    (RescueWait, Verb::Fail, RescueFailed),
    (Rescuing, Verb::Fail, RescueFailed),
    (RescueWait, Verb::Abort, RescueFailed),
    (RescueFailed, Verb::Rescue, Rescuing),
    (RescueFailed, Verb::Unrescue, Unrescuing),
    (RescueFailed, Verb::Delete, Deleting),
    (RescueWait, Verb::Delete, Deleting),
    (Rescue, Verb::Unrescue, Unrescuing),
    (Unrescuing, Verb::Done, Active),
    (Unrescuing, Verb::Fail, UnrescueFailed),
    (UnrescueFailed, Verb::Rescue, Rescuing),
    (UnrescueFailed, Verb::Unrescue, Unrescuing),
    (UnrescueFailed, Verb::Delete, Deleting),
    (Enroll, Verb::Manage, Verifying),
    (Verifying, Verb::Done, Manageable),
    (Verifying, Verb::Fail, Enroll),
    (Manageable, Verb::Adopt, Adopting),
    (Adopting, Verb::Done, Active),
    (Adopting, Verb::Fail, AdoptFailed),
    (AdoptFailed, Verb::Adopt, Adopting),
    (AdoptFailed, Verb::Manage, Manageable),
    (Servicing, Verb::Done, Active),
    (Active, Verb::Service, Servicing),
    (Servicing, Verb::Fail, ServiceFailed),
    (Servicing, Verb::Wait, ServiceWait),
    (Servicing, Verb::Hold, ServiceHold),
    (ServiceWait, Verb::Hold, ServiceHold),
    (ServiceHold, Verb::Service, Servicing),
    (ServiceHold, Verb::Unhold, ServiceWait),
    (ServiceWait, Verb::Resume, Servicing),
    (ServiceWait, Verb::Fail, ServiceFailed),
    (ServiceHold, Verb::Fail, ServiceFailed),
    (ServiceFailed, Verb::Service, Servicing),
    (ServiceFailed, Verb::Rescue, Rescuing),
    (ServiceFailed, Verb::Wait, ServiceWait),
    (ServiceFailed, Verb::Hold, ServiceHold),
    (ServiceFailed, Verb::Delete, Deleting),
    (ServiceFailed, Verb::Abort, Active),
    (ServiceWait, Verb::Delete, Deleting),
    (ServiceWait, Verb::Abort, ServiceFailed),
    (ServiceHold, Verb::Abort, ServiceFailed),
];

impl ProvisionState {
    /// Every state.
    pub const ALL: [Self; 30] = [
        Self::Enroll,
        Self::Verifying,
        Self::Manageable,
        Self::Available,
        Self::Inspecting,
        Self::InspectWait,
        Self::InspectFailed,
        Self::Adopting,
        Self::AdoptFailed,
        Self::Cleaning,
        Self::CleanWait,
        Self::CleanFailed,
        Self::CleanHold,
        Self::Deploying,
        Self::WaitCallBack,
        Self::DeployFailed,
        Self::DeployHold,
        Self::Active,
        Self::Deleting,
        Self::Error,
        Self::Rescuing,
        Self::RescueWait,
        Self::RescueFailed,
        Self::Rescue,
        Self::Unrescuing,
        Self::UnrescueFailed,
        Self::Servicing,
        Self::ServiceWait,
        Self::ServiceFailed,
        Self::ServiceHold,
    ];

    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enroll => "enroll",
            Self::Verifying => "verifying",
            Self::Manageable => "manageable",
            Self::Available => "available",
            Self::Inspecting => "inspecting",
            Self::InspectWait => "inspect wait",
            Self::InspectFailed => "inspect failed",
            Self::Adopting => "adopting",
            Self::AdoptFailed => "adopt failed",
            Self::Cleaning => "cleaning",
            Self::CleanWait => "clean wait",
            Self::CleanFailed => "clean failed",
            Self::CleanHold => "clean hold",
            Self::Deploying => "deploying",
            Self::WaitCallBack => "wait call-back",
            Self::DeployFailed => "deploy failed",
            Self::DeployHold => "deploy hold",
            Self::Active => "active",
            Self::Deleting => "deleting",
            Self::Error => "error",
            Self::Rescuing => "rescuing",
            Self::RescueWait => "rescue wait",
            Self::RescueFailed => "rescue failed",
            Self::Rescue => "rescue",
            Self::Unrescuing => "unrescuing",
            Self::UnrescueFailed => "unrescue failed",
            Self::Servicing => "servicing",
            Self::ServiceWait => "service wait",
            Self::ServiceFailed => "service failed",
            Self::ServiceHold => "service hold",
        }
    }

    /// The state that a word names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Where `verb` leads from here; `None` if it leads nowhere.
    #[must_use]
    pub fn after(self, verb: Verb) -> Option<Self> {
        MOVES
            .iter()
            .find(|(from, by, _)| *from == self && *by == verb)
            .map(|(_, _, to)| *to)
    }

    /// Stable states rest until a user acts.
    #[must_use]
    pub const fn is_stable(self) -> bool {
        matches!(
            self,
            Enroll | Manageable | Available | Active | Error | Rescue
        )
    }

    /// States in which the work waits for something outside: a ramdisk, an asynchronous step, a user.
    #[must_use]
    pub const fn is_waiting(self) -> bool {
        matches!(
            self,
            WaitCallBack
                | CleanWait
                | InspectWait
                | RescueWait
                | ServiceWait
                | DeployHold
                | CleanHold
                | ServiceHold
        )
    }

    /// States in which a conductor works on the node; each holds an open intent.
    #[must_use]
    pub const fn is_working(self) -> bool {
        matches!(
            self,
            Deploying
                | Cleaning
                | Verifying
                | Deleting
                | Inspecting
                | Adopting
                | Rescuing
                | Unrescuing
                | Servicing
        )
    }

    /// States in which the last work failed.
    #[must_use]
    pub const fn is_failed(self) -> bool {
        matches!(
            self,
            DeployFailed
                | CleanFailed
                | InspectFailed
                | RescueFailed
                | UnrescueFailed
                | AdoptFailed
                | ServiceFailed
                | Error
        )
    }

    /// The target state that entering this state sets; `None` for stable states.
    #[must_use]
    pub const fn default_target(self) -> Option<Self> {
        match self {
            Deploying | WaitCallBack | DeployFailed | DeployHold | Adopting | AdoptFailed
            | Unrescuing | UnrescueFailed | Servicing | ServiceWait | ServiceFailed
            | ServiceHold => Some(Active),
            Cleaning | CleanWait | CleanFailed | CleanHold | Deleting => Some(Available),
            Verifying | Inspecting | InspectWait | InspectFailed => Some(Manageable),
            Rescuing | RescueWait | RescueFailed => Some(Rescue),
            Enroll | Manageable | Available | Active | Error | Rescue => None,
        }
    }

    /// What a new owner does with a node that it finds in this state (Ironic's answers: conductor.md §7.3).
    #[must_use]
    pub const fn at_takeover(self) -> Takeover {
        match self {
            Enroll | Manageable | Available | Active | Error | Rescue | DeployFailed
            | CleanFailed | InspectFailed | RescueFailed | UnrescueFailed | AdoptFailed
            | ServiceFailed => Takeover::Keep,
            WaitCallBack | CleanWait | InspectWait | RescueWait | ServiceWait | DeployHold
            | CleanHold | ServiceHold => Takeover::KeepWaiting,
            // Reading a BMC again harms nobody, nor does switching off what is to be torn down.
            Verifying | Inspecting | Adopting | Deleting => Takeover::Resume,
            Deploying | Cleaning | Rescuing | Unrescuing | Servicing => Takeover::Fail,
        }
    }

    /// Whether power sync passes over a node in this state (Ironic `manager.py`, `SYNC_EXCLUDED_STATES`).
    #[must_use]
    pub const fn is_excluded_from_power_sync(self) -> bool {
        matches!(self, WaitCallBack | CleanWait | Enroll | AdoptFailed)
    }

    /// Whether a user may edit the node although it is on its way (Ironic `UPDATE_ALLOWED_STATES`).
    #[must_use]
    pub const fn allows_edit_in_transition(self) -> bool {
        matches!(
            self,
            DeployFailed
                | Inspecting
                | InspectFailed
                | InspectWait
                | CleanFailed
                | Error
                | Verifying
                | AdoptFailed
                | RescueFailed
                | UnrescueFailed
                | ServiceHold
                | ServiceFailed
        )
    }
}

/// The answer of [`ProvisionState::at_takeover`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takeover {
    /// Nothing was going on.
    Keep,
    /// Keep waiting; the deadline counts on at the new owner.
    KeepWaiting,
    /// Do the work again from its start: it is idempotent.
    Resume,
    /// The work cannot be known to be whole: event `fail`, with the reason in `last_error`.
    Fail,
}

impl fmt::Display for ProvisionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Verb {
    /// Every verb and event.
    pub const ALL: [Self; 18] = [
        Self::Manage,
        Self::Provide,
        Self::Inspect,
        Self::Clean,
        Self::Deploy,
        Self::Rebuild,
        Self::Delete,
        Self::Abort,
        Self::Adopt,
        Self::Rescue,
        Self::Unrescue,
        Self::Service,
        Self::Unhold,
        Self::Done,
        Self::Fail,
        Self::Wait,
        Self::Resume,
        Self::Hold,
    ];

    /// Ironic's word for the event.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Manage => "manage",
            Self::Provide => "provide",
            Self::Inspect => "inspect",
            Self::Clean => "clean",
            Self::Deploy => "deploy",
            Self::Rebuild => "rebuild",
            Self::Delete => "delete",
            Self::Abort => "abort",
            Self::Adopt => "adopt",
            Self::Rescue => "rescue",
            Self::Unrescue => "unrescue",
            Self::Service => "service",
            Self::Unhold => "unhold",
            Self::Done => "done",
            Self::Fail => "fail",
            Self::Wait => "wait",
            Self::Resume => "resume",
            Self::Hold => "hold",
        }
    }

    /// The verb that the API's `target` word names; events of baton's own work have none.
    #[must_use]
    pub fn parse_target(word: &str) -> Option<Self> {
        Some(match word {
            "active" | "deploy" => Self::Deploy,
            "deleted" | "undeploy" => Self::Delete,
            "manage" => Self::Manage,
            "provide" => Self::Provide,
            "inspect" => Self::Inspect,
            "clean" => Self::Clean,
            "rebuild" => Self::Rebuild,
            "abort" => Self::Abort,
            "adopt" => Self::Adopt,
            "rescue" => Self::Rescue,
            "unrescue" => Self::Unrescue,
            "service" => Self::Service,
            "unhold" => Self::Unhold,
            _ => return None,
        })
    }

    /// Whether a user may ask for this move in `state`. The table holds events and verbs alike; `manage` in `cleaning`
    /// and `clean` in `deleting` are baton's own.
    #[must_use]
    pub fn is_for_users(self, state: ProvisionState) -> bool {
        match self {
            Self::Done | Self::Fail | Self::Wait | Self::Resume | Self::Hold => false,
            Self::Manage => state != Cleaning,
            Self::Clean => state != Deleting,
            Self::Provide
            | Self::Inspect
            | Self::Deploy
            | Self::Rebuild
            | Self::Delete
            | Self::Abort
            | Self::Adopt
            | Self::Rescue
            | Self::Unrescue
            | Self::Service
            | Self::Unhold => true,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_a_function_and_reaches_every_state() {
        let keys: BTreeSet<_> = MOVES.iter().map(|(from, by, _)| (*from, *by)).collect();
        assert_eq!(keys.len(), MOVES.len(), "two rows share a state and a verb");
        let mut reached = BTreeSet::from([Enroll]);
        loop {
            let more: BTreeSet<_> = MOVES
                .iter()
                .filter(|(from, _, _)| reached.contains(from))
                .map(|(_, _, to)| *to)
                .collect();
            let before = reached.len();
            reached.extend(more);
            if reached.len() == before {
                break;
            }
        }
        assert_eq!(reached.len(), ProvisionState::ALL.len());
    }

    #[test]
    fn every_working_state_can_fail_and_finish() {
        for state in ProvisionState::ALL
            .into_iter()
            .filter(|state| state.is_working())
        {
            assert!(state.after(Verb::Fail).is_some(), "{state} cannot fail");
            let ends = [Verb::Done, Verb::Clean]
                .into_iter()
                .any(|verb| state.after(verb).is_some());
            assert!(ends, "{state} cannot finish");
        }
    }

    #[test]
    fn the_whole_grid_is_in_the_table_or_refused() {
        let mut moves = 0;
        for state in ProvisionState::ALL {
            for verb in Verb::ALL {
                moves += usize::from(state.after(verb).is_some());
            }
        }
        assert_eq!(moves, MOVES.len());
    }

    #[test]
    fn words_round_trip() {
        for state in ProvisionState::ALL {
            assert_eq!(ProvisionState::parse(state.as_str()), Some(state));
            assert_eq!(
                serde_json::to_value(state).expect("serialises"),
                state.as_str()
            );
        }
    }
}
