//! What a conversation can be asked to do, and what comes of it.

use crate::ipmi::wire::boot::BootOption;
use crate::ipmi::wire::command::{Command, ControlAction};
use crate::ipmi::wire::raw::RawCommand;
use baton_model::driver::ipmi::Privilege;
use baton_model::node::boot::BootState;
use baton_model::port::bmc::PowerReading;

/// One question or order for a BMC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Read the power state.
    PowerState,
    /// Change it.
    Control(ControlAction),
    /// Change it in the open session with this BMC-side id, and in no other: whoever ends that session has fenced the
    /// command off.
    ControlIn(ControlAction, u32),
    /// Ask who the BMC is.
    Identify,
    /// Read the boot flags.
    GetBoot,
    /// Set a boot option, in the open session with this BMC-side id if one is named.
    SetBoot(BootOption, Option<u32>),
    /// Send bytes as they are, in the open session with this BMC-side id if one is named.
    Raw(RawCommand, Option<u32>),
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
    /// Of [`Job::GetBoot`].
    Boot(BootState),
    /// Of [`Job::Open`].
    Session(SessionIds),
    /// Of everything else. For [`Job::CloseById`], `false` says that the BMC knew no such session.
    Done(bool),
}

impl Job {
    /// What operators call it; `ipmitool`'s words where it has some.
    #[must_use]
    pub const fn operation(self) -> &'static str {
        match self {
            Self::PowerState => "power status",
            Self::Control(action) | Self::ControlIn(action, _) => match action {
                ControlAction::PowerUp => "power on",
                ControlAction::PowerDown => "power off",
                ControlAction::SoftShutdown => "power soft",
                ControlAction::HardReset => "power reset",
                ControlAction::PowerCycle => "power cycle",
                ControlAction::PulseDiagnostic => "power diag",
            },
            Self::Identify => "mc info",
            Self::GetBoot => "get boot device",
            Self::SetBoot(..) => "set boot device",
            Self::Raw(RawCommand::COLD_RESET | RawCommand::WARM_RESET, _) => "mc reset",
            Self::Raw(..) => "raw",
            Self::Open => "open session",
            Self::CloseById(_) | Self::Close => "close session",
        }
    }

    /// Whether doing it twice differs from doing it once. Such a command is repeated bit for bit, so that the BMC's
    /// replay protection (§6.12.13) keeps it from running twice, and never again in a new session.
    #[must_use]
    pub const fn at_most_once(self) -> bool {
        match self {
            Self::Control(action) | Self::ControlIn(action, _) => matches!(
                action,
                ControlAction::HardReset
                    | ControlAction::PowerCycle
                    | ControlAction::PulseDiagnostic
            ),
            // What it does is not known.
            Self::Raw(..) => true,
            Self::PowerState
            | Self::Identify
            | Self::GetBoot
            | Self::SetBoot(..)
            | Self::Open
            | Self::CloseById(_)
            | Self::Close => false,
        }
    }

    /// The one session that may carry it.
    pub(super) const fn bound_to(self) -> Option<u32> {
        match self {
            Self::ControlIn(_, id) => Some(id),
            Self::SetBoot(_, session) | Self::Raw(_, session) => session,
            Self::PowerState
            | Self::Control(_)
            | Self::Identify
            | Self::GetBoot
            | Self::Open
            | Self::CloseById(_)
            | Self::Close => None,
        }
    }

    /// The privilege level its command needs (appendix G).
    pub(super) const fn privilege(self) -> Privilege {
        match self {
            Self::PowerState | Self::Identify => Privilege::User,
            Self::Control(_) | Self::ControlIn(..) | Self::GetBoot | Self::SetBoot(..) => {
                Privilege::Operator
            }
            Self::CloseById(_) | Self::Raw(..) => Privilege::Administrator,
            Self::Open | Self::Close => Privilege::Callback,
        }
    }

    /// The command that does it in session `own`; [`Job::Open`] needs none.
    pub(super) const fn command(self, own: u32) -> Option<Command> {
        match self {
            Self::PowerState => Some(Command::GetChassisStatus),
            Self::Control(action) | Self::ControlIn(action, _) => {
                Some(Command::ChassisControl(action))
            }
            Self::Identify => Some(Command::GetDeviceId),
            Self::GetBoot => Some(Command::GetBootFlags),
            Self::SetBoot(option, _) => Some(Command::SetBootOption(option)),
            Self::Raw(raw, _) => Some(Command::Raw(raw)),
            Self::Open => None,
            Self::CloseById(id) => Some(Command::CloseSession(id)),
            Self::Close => Some(Command::CloseSession(own)),
        }
    }
}
