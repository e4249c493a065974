//! What a simulated BMC answers to IPMI commands: the few that work outside of a session, and those inside one.

use super::SUITES;
use super::session::Active;
use crate::ipmi::wire::code::CompletionCode;
use crate::ipmi::wire::command::{
    AuthCapabilities, ChassisStatus, Command, ControlAction, DeviceId, PrivilegeNumber,
};
use crate::ipmi::wire::crypto::SuiteFacts;
use crate::ipmi::wire::message::{NetFn, Request};
use crate::sim::core::Core;
use crate::sim::journal::{Origin, Outcome, Via};
use baton_model::driver::ipmi::Privilege;
use baton_model::env::Mono;
use baton_model::port::bmc::{PowerAction, PowerReading};
use std::net::SocketAddr;
use std::sync::Arc;

/// The channel that answers: LAN is channel 1.
const CHANNEL: u8 = 0x01;
/// Set System Boot Options and Get System Boot Options (§28.12, §28.13).
const SET_BOOT_OPTIONS: u8 = 0x08;
const GET_BOOT_OPTIONS: u8 = 0x09;
/// Boot flags, parameter 5 (table 28-14).
const BOOT_FLAGS: u8 = 5;
/// The longest answer here, Get System GUID, is 16 bytes; a page of cipher suites is 17.
const DATA_MAX: usize = 24;

/// Cold and Warm Reset (IPMI 2.0 §20.2, §20.3).
const RESETS: [u8; 2] = [0x02, 0x03];

/// An answer in place, so that no command allocates.
#[derive(Clone, Copy)]
pub(super) struct Answer {
    pub(super) code: CompletionCode,
    bytes: [u8; DATA_MAX],
    length: usize,
    /// The session that ends once this answer is sent.
    pub(super) closes: Option<u32>,
}

impl Answer {
    pub(super) const fn code(code: CompletionCode) -> Self {
        Self {
            code,
            bytes: [0; DATA_MAX],
            length: 0,
            closes: None,
        }
    }

    fn data_of(data: &[u8]) -> Self {
        let mut answer = Self::code(CompletionCode::OK);
        if let Some(room) = answer.bytes.get_mut(..data.len()) {
            room.copy_from_slice(data);
            answer.length = data.len();
        }
        answer
    }

    pub(super) fn data(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// Who asks inside a session.
pub(super) struct Asker {
    pub(super) session: u32,
    pub(super) remote: SocketAddr,
}

/// Answers outside of a session (§22.13 to §22.15; table G-1 marks what works without one).
pub(super) fn outside(core: &Core, request: &Request<'_>) -> Answer {
    match Command::decode(request.netfn, request.command, request.data) {
        Ok(Command::GetAuthCapabilities { .. }) => {
            let null_user = core.accounts.iter().any(|one| one.name.is_empty());
            let named_user = core.accounts.iter().any(|one| !one.name.is_empty());
            let capabilities = AuthCapabilities {
                channel: CHANNEL,
                auth_types: 0,
                login: (u8::from(core.kg.is_some()) << 5)
                    | (u8::from(named_user) << 2)
                    | (u8::from(null_user) << 1),
                rmcp_plus: true,
                v15: false,
            };
            Answer::data_of(&capabilities.encode())
        }
        Ok(Command::GetCipherSuites { index, .. }) => cipher_suites(index),
        Ok(Command::GetSystemGuid) => Answer::data_of(&core.guid()),
        Ok(_needs_a_session) => Answer::code(CompletionCode::INSUFFICIENT_PRIVILEGE),
        Err(code) => Answer::code(code),
    }
}

/// Get Channel Cipher Suites, list by cipher suite (§22.15.1): records of start C0h, id, and the tagged algorithms
/// (table 22-18), 16 bytes a page.
fn cipher_suites(page: u8) -> Answer {
    const PAGE: usize = 16;
    let mut records = Vec::with_capacity(SUITES.len() * 5);
    for suite in SUITES {
        let algorithms = suite.algorithms();
        records.extend_from_slice(&[
            0xC0,
            suite.number(),
            algorithms.authentication,
            0x40 | algorithms.integrity,
            0x80 | algorithms.confidentiality,
        ]);
    }
    let mut data = vec![CHANNEL];
    data.extend(records.iter().skip(usize::from(page) * PAGE).take(PAGE));
    Answer::data_of(&data)
}

/// Answers inside a session.
pub(super) fn inside(
    core: &mut Core,
    now: Mono,
    request: &Request<'_>,
    active: &mut Active,
    asker: &Asker,
    boot_flags: &mut [u8; 5],
) -> Answer {
    if core.faults.busy().is_some() {
        return Answer::code(CompletionCode::NODE_BUSY);
    }
    if request.netfn == NetFn::CHASSIS {
        match (request.command, request.data) {
            (SET_BOOT_OPTIONS, _) => return set_boot_options(active, request.data, boot_flags),
            (GET_BOOT_OPTIONS, [BOOT_FLAGS, ..]) => {
                let [a, b, c, d, e] = *boot_flags;
                return Answer::data_of(&[0x01, BOOT_FLAGS, a, b, c, d, e]);
            }
            (GET_BOOT_OPTIONS, _) => return Answer::code(CompletionCode(0x80)), // no such parameter
            _other => {}
        }
    }
    if request.netfn == NetFn::APP && RESETS.contains(&request.command) {
        // It is back before anybody could notice, but for its sessions.
        return if allowed(active, Privilege::Administrator) {
            core.counters.bmc_restarts += 1;
            Answer::code(CompletionCode::OK)
        } else {
            Answer::code(CompletionCode::INSUFFICIENT_PRIVILEGE)
        };
    }
    let command = match Command::decode(request.netfn, request.command, request.data) {
        Ok(command) => command,
        Err(code) => return Answer::code(code),
    };
    match command {
        Command::GetChassisStatus => chassis_status(core, now),
        Command::ChassisControl(action) => {
            if !allowed(active, Privilege::Operator) {
                return Answer::code(CompletionCode::INSUFFICIENT_PRIVILEGE);
            }
            let origin = Origin {
                via: Via::Ipmi,
                user: Some(Arc::clone(&active.user)),
                session: Some(asker.session),
                remote: Some(asker.remote),
            };
            match core.command(now, power_action(action), origin) {
                Outcome::Started | Outcome::AlreadyThere | Outcome::Ignored => {
                    Answer::code(CompletionCode::OK)
                }
                Outcome::NeedsPower | Outcome::Refused => Answer::code(CompletionCode::WRONG_STATE),
            }
        }
        Command::SetPrivilege(asked) => {
            if asked.number() > active.privilege_max.number() {
                // §22.18: the requested level exceeds the channel's or the user's limit.
                return Answer::code(CompletionCode(0x81));
            }
            active.privilege = asked;
            Answer::data_of(&[asked.number()])
        }
        Command::GetPrivilege => Answer::data_of(&[active.privilege.number()]),
        // §22.19: only an administrator ends the sessions of others.
        Command::CloseSession(id)
            if id != asker.session && !allowed(active, Privilege::Administrator) =>
        {
            Answer::code(CompletionCode::INSUFFICIENT_PRIVILEGE)
        }
        Command::CloseSession(id) => Answer {
            closes: Some(id),
            ..Answer::code(CompletionCode::OK)
        },
        Command::GetDeviceId => {
            let device = DeviceId {
                device: 0x20,
                revision: 1,
                firmware_major: 2,
                firmware_minor: 0x10,
                updating: false,
                manufacturer: core.personality.iana,
                product: core.personality.product,
            };
            Answer::data_of(&device.encode())
        }
        Command::GetAuthCapabilities { .. }
        | Command::GetCipherSuites { .. }
        | Command::GetSystemGuid => outside(core, request),
        // Answered above, with parameters that baton itself never uses.
        Command::SetBootOption(_)
        | Command::GetBootFlags
        | Command::GetSessionChallenge { .. }
        | Command::ActivateSession { .. }
        | Command::Raw(_) => Answer::code(CompletionCode::INVALID_COMMAND),
    }
}

fn chassis_status(core: &mut Core, now: Mono) -> Answer {
    let power_on = match core.reported(now) {
        PowerReading::On | PowerReading::PoweringOff => true,
        PowerReading::Off | PowerReading::PoweringOn => false,
        PowerReading::Unknown => return Answer::code(CompletionCode::INITIALIZING),
    };
    let status = ChassisStatus {
        power_on,
        restore_policy: 1,
        ..ChassisStatus::default()
    };
    Answer::data_of(&status.encode())
}

fn set_boot_options(active: &Active, data: &[u8], boot_flags: &mut [u8; 5]) -> Answer {
    if !allowed(active, Privilege::Operator) {
        return Answer::code(CompletionCode::INSUFFICIENT_PRIVILEGE);
    }
    match *data {
        [parameter, a, b, c, d, e] if parameter & 0x7F == BOOT_FLAGS => {
            *boot_flags = [a, b, c, d, e];
            Answer::code(CompletionCode::OK)
        }
        [] => Answer::code(CompletionCode::LENGTH_INVALID),
        _ => Answer::code(CompletionCode::OK), // another parameter: accepted and of no effect here
    }
}

fn allowed(active: &Active, needed: Privilege) -> bool {
    active.privilege.number() >= needed.number()
}

const fn power_action(action: ControlAction) -> PowerAction {
    match action {
        ControlAction::PowerDown => PowerAction::Off,
        ControlAction::PowerUp => PowerAction::On,
        ControlAction::PowerCycle => PowerAction::Cycle,
        ControlAction::HardReset => PowerAction::Reset,
        ControlAction::PulseDiagnostic => PowerAction::Nmi,
        ControlAction::SoftShutdown => PowerAction::SoftOff,
    }
}
