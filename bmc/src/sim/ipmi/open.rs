//! Opening a session as the BMC: Open Session, RAKP 1 to 4 (§13.17 to §13.24), with every refusal that clients
//! must be able to read. Repeated requests get the same answer, since datagrams get lost.

use super::session::{Active, Phase, Proof, Session};
use super::{Exchange, IpmiFace};
use crate::ipmi::wire::Encode;
use crate::ipmi::wire::code::RmcpStatus;
use crate::ipmi::wire::command::PrivilegeNumber;
use crate::ipmi::wire::crypto::{self, SuiteFacts};
use crate::ipmi::wire::packet::{PayloadType, encode_setup};
use crate::ipmi::wire::rakp::{
    OpenGranted, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp2Granted, Rakp3, Rakp4,
};
use crate::ipmi::wire::window::SequenceWindow;
use crate::sim::core::Core;
use crate::sim::fault::FaultKind;
use baton_model::driver::ipmi::{CipherSuite, Privilege};
use std::sync::Arc;

impl IpmiFace {
    // --- Open Session ---------------------------------------------------------------------------

    pub(super) fn open_request(
        &mut self,
        core: &mut Core,
        payload: &[u8],
        exchange: &mut Exchange<'_>,
    ) {
        let Ok(request) = OpenRequest::decode(payload) else {
            return;
        };
        let result = self.grant(core, &request, exchange);
        let response = OpenResponse {
            tag: request.tag,
            console_id: request.console_id,
            result,
        };
        encode_setup(exchange.out, PayloadType::OpenResponse, &response);
    }

    fn grant(
        &mut self,
        core: &mut Core,
        request: &OpenRequest,
        exchange: &Exchange<'_>,
    ) -> Result<OpenGranted, RmcpStatus> {
        let now = exchange.now;
        let suite =
            CipherSuite::from_algorithms(request.algorithms).ok_or(RmcpStatus::NO_CIPHER_SUITE)?;
        let privilege = match request.privilege {
            0 => Privilege::Administrator.number(),
            asked => Privilege::from_number(asked)
                .ok_or(RmcpStatus::INVALID_ROLE)?
                .number(),
        };
        let granted = |bmc_id| OpenGranted {
            bmc_id,
            privilege,
            algorithms: suite.algorithms(),
        };
        core.counters.sessions_expired += self.sessions.expire(now, core.limits.ipmi_idle);
        let repeated = self.sessions.iter().find(|session| {
            session.console_id == request.console_id
                && matches!(session.phase, Phase::Opened { suite: s, tag } if s == suite && tag == request.tag)
        });
        if let Some(session) = repeated {
            return Ok(granted(session.id));
        }
        if core.faults.has(FaultKind::SessionFull)
            || self.sessions.len() >= usize::from(core.limits.ipmi_sessions_max)
        {
            core.counters.sessions_refused += 1;
            return Err(RmcpStatus::NO_RESOURCES);
        }
        let id = loop {
            let id = core.draw.nonzero_u32();
            if self.sessions.find_mut(id).is_none() {
                break id;
            }
        };
        self.sessions.push(Session {
            id,
            console_id: request.console_id,
            last_seen: now,
            phase: Phase::Opened {
                suite,
                tag: request.tag,
            },
        });
        Ok(granted(id))
    }

    // --- RAKP 1 and 2 ---------------------------------------------------------------------------

    pub(super) fn rakp1(&mut self, core: &mut Core, payload: &[u8], exchange: &mut Exchange<'_>) {
        let Ok(message) = Rakp1::decode(payload) else {
            return;
        };
        let Some(session) = self.sessions.find_mut(message.bmc_id) else {
            // The console's id is not known, so the refusal names none (§13.24).
            refuse(
                exchange.out,
                PayloadType::Rakp2,
                message.tag,
                0,
                RmcpStatus::INVALID_SESSION_ID,
            );
            return;
        };
        let console_id = session.console_id;
        let (suite, bmc_random) = match &session.phase {
            Phase::Opened { suite, .. } => (*suite, core.draw.bytes16()),
            Phase::Proving(proof) if proof.console_random == message.console_random => {
                (proof.suite, proof.bmc_random)
            }
            Phase::Proving(_) | Phase::Active(_) => return,
        };
        session.last_seen = exchange.now;
        match prove(core, exchange, &message, console_id, suite, bmc_random) {
            Ok((code, proof)) => {
                session.phase = Phase::Proving(Box::new(proof));
                let answer = Rakp2 {
                    tag: message.tag,
                    console_id,
                    result: Ok(Rakp2Granted {
                        bmc_random,
                        guid: core.guid(),
                        code: code.as_bytes(),
                    }),
                };
                encode_setup(exchange.out, PayloadType::Rakp2, &answer);
            }
            Err(status) => {
                self.sessions.remove(message.bmc_id);
                refuse(
                    exchange.out,
                    PayloadType::Rakp2,
                    message.tag,
                    console_id,
                    status,
                );
            }
        }
    }

    // --- RAKP 3 and 4 ---------------------------------------------------------------------------

    pub(super) fn rakp3(&mut self, core: &mut Core, payload: &[u8], exchange: &mut Exchange<'_>) {
        let Ok(message) = Rakp3::decode(payload) else {
            return;
        };
        let Some(session) = self.sessions.find_mut(message.bmc_id) else {
            refuse(
                exchange.out,
                PayloadType::Rakp4,
                message.tag,
                0,
                RmcpStatus::INVALID_SESSION_ID,
            );
            return;
        };
        let console_id = session.console_id;
        let proof = match &session.phase {
            Phase::Proving(proof) => proof.clone(),
            Phase::Active(active) => match &active.opening {
                Some(proof) => proof.clone(), // RAKP 4 was lost
                None => return,
            },
            Phase::Opened { .. } => return,
        };
        let status = match message.result {
            Ok(code) if proof.expected.matches(code) => RmcpStatus::OK,
            Ok(_) => RmcpStatus::INVALID_CHECK_VALUE,
            Err(_gave_up) => {
                // The console found RAKP 2 wrong, which is how a wrong password looks; no answer is due (§13.22).
                self.sessions.remove(message.bmc_id);
                core.bad_login(exchange.now);
                return;
            }
        };
        if status != RmcpStatus::OK {
            self.sessions.remove(message.bmc_id);
            core.bad_login(exchange.now);
            refuse(
                exchange.out,
                PayloadType::Rakp4,
                message.tag,
                console_id,
                status,
            );
            return;
        }
        let answer = Rakp4 {
            tag: message.tag,
            console_id,
            result: Ok(proof.keys.check.as_bytes()),
        };
        encode_setup(exchange.out, PayloadType::Rakp4, &answer);
        if matches!(session.phase, Phase::Proving(_)) {
            core.good_login();
            session.last_seen = exchange.now;
            session.phase = Phase::Active(Box::new(Active {
                user: Arc::clone(&proof.user),
                privilege: lower(proof.privilege, Privilege::User),
                privilege_max: proof.privilege,
                keys: proof.keys.traffic.clone(),
                window: SequenceWindow::new(),
                sequence: 0,
                opening: Some(proof),
            }));
        }
    }
}

/// Checks name, role and lockout, and computes everything that follows from the password.
fn prove(
    core: &mut Core,
    exchange: &Exchange<'_>,
    message: &Rakp1<'_>,
    console_id: u32,
    suite: CipherSuite,
    bmc_random: [u8; 16],
) -> Result<(crypto::Code, Proof), RmcpStatus> {
    if !core.admits(exchange.now) {
        return Err(RmcpStatus::UNAUTHORIZED_NAME);
    }
    let guid = core.guid();
    let account = std::str::from_utf8(message.username)
        .ok()
        .and_then(|name| core.account(name));
    let Some(account) = account else {
        core.bad_login(exchange.now);
        return Err(RmcpStatus::UNAUTHORIZED_NAME);
    };
    let asked = match message.role & 0x0F {
        0 => account.privilege,
        role => Privilege::from_number(role).ok_or(RmcpStatus::INVALID_ROLE)?,
    };
    if asked.number() > account.privilege.number() {
        return Err(RmcpStatus::UNAUTHORIZED_ROLE);
    }
    let password = account.password.expose().as_bytes();
    let exchange = crypto::Exchange {
        suite,
        console_id,
        bmc_id: message.bmc_id,
        console_random: message.console_random,
        bmc_random,
        guid,
        role: message.role,
        username: message.username,
    };
    let proof = Proof {
        suite,
        user: Arc::clone(&account.name),
        privilege: asked,
        console_random: message.console_random,
        bmc_random,
        expected: exchange.rakp3_code(password),
        keys: exchange.session_keys(password, core.kg.as_deref()),
    };
    Ok((exchange.rakp2_code(password), proof))
}

fn lower(a: Privilege, b: Privilege) -> Privilege {
    if a.number() < b.number() { a } else { b }
}

fn refuse(out: &mut Vec<u8>, kind: PayloadType, tag: u8, console_id: u32, status: RmcpStatus) {
    let rakp2;
    let rakp4;
    let body: &dyn Encode = if kind == PayloadType::Rakp2 {
        rakp2 = Rakp2 {
            tag,
            console_id,
            result: Err(status),
        };
        &rakp2
    } else {
        rakp4 = Rakp4 {
            tag,
            console_id,
            result: Err(status),
        };
        &rakp4
    };
    encode_setup(out, kind, body);
}
