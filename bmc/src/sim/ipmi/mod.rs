//! The IPMI face of a simulated BMC, without sockets: a datagram comes in, at most one goes out, the core changes.
//!
//! Speaks RMCP+ with cipher suites 3 and 17 through the production codecs: discovery outside of a session, the
//! RMCP+ open and RAKP exchange with their refusals, and commands inside a session with integrity, confidentiality,
//! sequence window and privilege checked. Nothing is answered to a datagram that fails a check, as §13.28 asks;
//! it is counted as a stray. Sections are those of the IPMI 2.0 specification, revision 1.1.

mod commands;
mod open;
mod session;
#[cfg(test)]
mod tests;

use super::core::Core;
use crate::ipmi::wire::code::CompletionCode;
use crate::ipmi::wire::message::Request;
use crate::ipmi::wire::packet::{self, AuthType, Packet, Packet15, Packet20, PayloadType};
use baton_model::driver::ipmi::CipherSuite;
use baton_model::env::Mono;
use session::{Active, Phase, Session, Sessions};
use std::net::SocketAddr;

/// The suites a simulated BMC offers, best first.
const SUITES: [CipherSuite; 2] = [CipherSuite::Seventeen, CipherSuite::Three];

/// The IPMI service of one BMC.
#[derive(Default)]
pub struct IpmiFace {
    sessions: Sessions,
    boot_flags: [u8; 5],
}

/// What one datagram needs besides the BMC: who sent it, and buffers that many BMCs share.
pub struct Exchange<'a> {
    /// Now.
    pub now: Mono,
    /// Where the datagram came from.
    pub remote: SocketAddr,
    /// Room for a decrypted payload; its content means nothing between datagrams.
    pub clear: &'a mut Vec<u8>,
    /// The answer is appended here.
    pub out: &'a mut Vec<u8>,
}

impl IpmiFace {
    /// Takes one datagram. The answer, if there is one, is in `exchange.out`.
    pub fn receive(&mut self, core: &mut Core, datagram: &[u8], exchange: &mut Exchange<'_>) {
        let before = exchange.out.len();
        match packet::decode(datagram) {
            Ok(Packet::Asf(message)) => pong(message, exchange.out),
            Ok(Packet::V15(packet)) => self.outside_v15(core, &packet, exchange),
            Ok(Packet::V20(packet)) => match packet.kind {
                PayloadType::OpenRequest => self.open_request(core, packet.payload, exchange),
                PayloadType::Rakp1 => self.rakp1(core, packet.payload, exchange),
                PayloadType::Rakp3 => self.rakp3(core, packet.payload, exchange),
                PayloadType::Ipmi if packet.session == 0 => {
                    self.outside_v20(core, &packet, exchange);
                }
                PayloadType::Ipmi => self.inside(core, &packet, exchange),
                PayloadType::OpenResponse
                | PayloadType::Rakp2
                | PayloadType::Rakp4
                | PayloadType::Other(_) => {}
            },
            Err(_) => {}
        }
        if exchange.out.len() == before {
            core.counters.strays += 1;
        }
    }

    /// The boot flags, as the data of boot option parameter 5 (table 28-14).
    #[must_use]
    pub const fn boot_flags(&self) -> [u8; 5] {
        self.boot_flags
    }

    /// How many sessions are open, half-open ones included.
    #[must_use]
    pub const fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The open sessions: the BMC's id and the user, once it is known.
    pub fn each_session(&self) -> impl Iterator<Item = (u32, Option<&str>)> {
        self.sessions.iter().map(|session| {
            let user = match &session.phase {
                Phase::Opened { .. } => None,
                Phase::Proving(proof) => Some(&*proof.user),
                Phase::Active(active) => Some(&*active.user),
            };
            (session.id, user)
        })
    }

    /// Ends every session, as a restart of the BMC does.
    pub fn forget_sessions(&mut self) {
        self.sessions.clear();
    }

    // --- Outside of a session -------------------------------------------------------------------

    fn outside_v15(&self, core: &Core, packet: &Packet15<'_>, exchange: &mut Exchange<'_>) {
        if packet.session != 0 || packet.auth != AuthType::None {
            return; // IPMI 1.5 sessions are not offered
        }
        let Ok(request) = Request::decode(packet.payload) else {
            return;
        };
        let answer = commands::outside(core, &request);
        let response = request.respond(answer.code, answer.data());
        packet::encode_v15(exchange.out, AuthType::None, 0, 0, |_| [0; 16], &response);
    }

    fn outside_v20(&self, core: &Core, packet: &Packet20<'_>, exchange: &mut Exchange<'_>) {
        if packet.encrypted || packet.authenticated {
            return;
        }
        let Ok(request) = Request::decode(packet.payload) else {
            return;
        };
        let answer = commands::outside(core, &request);
        let response = request.respond(answer.code, answer.data());
        packet::encode_setup(exchange.out, PayloadType::Ipmi, &response);
    }

    // --- Inside a session -----------------------------------------------------------------------

    fn inside(&mut self, core: &mut Core, packet: &Packet20<'_>, exchange: &mut Exchange<'_>) {
        let now = exchange.now;
        core.counters.sessions_expired += self.sessions.expire(now, core.limits.ipmi_idle);
        let Some(session) = self.sessions.find_mut(packet.session) else {
            return;
        };
        let Session {
            phase: Phase::Active(active),
            console_id,
            last_seen,
            id,
        } = session
        else {
            return;
        };
        if !active.window.is_fresh(packet.sequence)
            || active.keys.open(packet, exchange.clear).is_err()
            || !active.window.accept(packet.sequence)
        {
            return;
        }
        let Ok(request) = Request::decode(exchange.clear) else {
            return;
        };
        *last_seen = now;
        active.opening = None; // the console holds RAKP 4, so it will not ask for it again
        let (id, console_id) = (*id, *console_id);
        let asker = commands::Asker {
            session: id,
            remote: exchange.remote,
        };
        let mut answer =
            commands::inside(core, now, &request, active, &asker, &mut self.boot_flags);
        if let Some(closing) = answer.closes
            && self.sessions.find_mut(closing).is_none()
        {
            answer = commands::Answer::code(CompletionCode::INVALID_SESSION_ID);
        }
        if let Some(Session {
            phase: Phase::Active(active),
            ..
        }) = self.sessions.find_mut(id)
        {
            seal(core, active, console_id, &request, &answer, exchange.out);
        }
        if let Some(closing) = answer.closes {
            self.sessions.remove(closing);
            core.counters.sessions_closed += 1;
        }
    }
}

fn seal(
    core: &mut Core,
    active: &mut Active,
    console_id: u32,
    request: &Request<'_>,
    answer: &commands::Answer,
    out: &mut Vec<u8>,
) {
    active.sequence = active.sequence.wrapping_add(1).max(1);
    active.keys.seal(
        out,
        PayloadType::Ipmi,
        console_id,
        active.sequence,
        core.draw.bytes16(),
        &request.respond(answer.code, answer.data()),
    );
}

/// Answers an ASF presence ping with a pong (§13.2.3, §13.2.4): IPMI is supported.
fn pong(message: &[u8], out: &mut Vec<u8>) {
    const ASF_IANA: [u8; 4] = [0x00, 0x00, 0x11, 0xBE];
    if let [0x00, 0x00, 0x11, 0xBE, 0x80, tag, ..] = *message {
        out.extend_from_slice(&[0x06, 0x00, 0xFF, 0x06]);
        out.extend_from_slice(&ASF_IANA);
        out.extend_from_slice(&[0x40, tag, 0x00, 0x10]);
        out.extend_from_slice(&ASF_IANA);
        out.extend_from_slice(&[0, 0, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0]);
    }
}
