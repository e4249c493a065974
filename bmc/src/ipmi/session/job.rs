//! What a conversation can be asked to do, and what comes of it.

use crate::ipmi::wire::command::{Command, ControlAction};
use baton_model::driver::ipmi::Privilege;
use baton_model::port::bmc::{PowerAction, PowerReading};

/// One question or order for a BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Read the power state.
    PowerState,
    /// Change it.
    Control(ControlAction),
    /// Ask who the BMC is.
    Identify,
    /// Make sure that a session is open.
    Open,
    /// End another session of this BMC by its BMC-side id.
    CloseById(u32),
    /// End our own session.
    Close,
}

/// The two ids of an open session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionIds {
    /// The id that the BMC puts into packets to us.
    pub console: u32,
    /// The id that we put into packets to the BMC; Close Session takes this one.
    pub bmc: u32,
}

/// The good end of a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Of [`Job::PowerState`].
    Power(PowerReading),
    /// Of [`Job::Identify`].
    Device(crate::ipmi::wire::command::DeviceId),
    /// Of [`Job::Open`].
    Session(SessionIds),
    /// Of everything else. For [`Job::CloseById`], `false` says that the BMC knew no such session.
    Done(bool),
}

impl Job {
    /// The chassis command of a power action; `None` where IPMI has none.
    #[must_use]
    pub const fn of_action(action: PowerAction) -> Option<Self> {
        Some(Self::Control(match action {
            PowerAction::On => ControlAction::PowerUp,
            PowerAction::Off => ControlAction::PowerDown,
            PowerAction::SoftOff => ControlAction::SoftShutdown,
            PowerAction::Reset => ControlAction::HardReset,
            PowerAction::Cycle => ControlAction::PowerCycle,
            PowerAction::Nmi => ControlAction::PulseDiagnostic,
            PowerAction::SoftReset => return None,
        }))
    }

    /// What operators call it; `ipmitool`'s words where it has some.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::PowerState => "power status",
            Self::Control(ControlAction::PowerUp) => "power on",
            Self::Control(ControlAction::PowerDown) => "power off",
            Self::Control(ControlAction::SoftShutdown) => "power soft",
            Self::Control(ControlAction::HardReset) => "power reset",
            Self::Control(ControlAction::PowerCycle) => "power cycle",
            Self::Control(ControlAction::PulseDiagnostic) => "power diag",
            Self::Identify => "mc info",
            Self::Open => "open session",
            Self::CloseById(_) | Self::Close => "close session",
        }
    }

    /// Whether doing it twice differs from doing it once. Such a command is repeated bit for bit, so that the BMC's
    /// replay protection (§6.12.13) keeps it from running twice, and never again in a new session.
    #[must_use]
    pub const fn at_most_once(self) -> bool {
        matches!(
            self,
            Self::Control(
                ControlAction::HardReset
                    | ControlAction::PowerCycle
                    | ControlAction::PulseDiagnostic
            )
        )
    }

    /// The privilege level its command needs (appendix G).
    pub(super) const fn privilege(self) -> Privilege {
        match self {
            Self::PowerState | Self::Identify => Privilege::User,
            Self::Control(_) => Privilege::Operator,
            Self::CloseById(_) => Privilege::Administrator,
            Self::Open | Self::Close => Privilege::Callback,
        }
    }

    /// The command that does it in session `own`; [`Job::Open`] needs none.
    pub(super) const fn command(self, own: u32) -> Option<Command> {
        match self {
            Self::PowerState => Some(Command::GetChassisStatus),
            Self::Control(action) => Some(Command::ChassisControl(action)),
            Self::Identify => Some(Command::GetDeviceId),
            Self::Open => None,
            Self::CloseById(id) => Some(Command::CloseSession(id)),
            Self::Close => Some(Command::CloseSession(own)),
        }
    }
}
