//! Opening an RMCP+ session: Open Session, RAKP 1 and 2, RAKP 3 and 4 (§13.15, figure 13-…), and the search for a
//! cipher suite that the BMC speaks.
//!
//! The handshake knows its stage and how to say it again. When to do so, and when to start over, is decided by the
//! conversation above.

use super::refusal::{RAKP2_HMAC, RAKP4_CHECK, Refusal};
use super::{Ignored, Io};
use crate::ipmi::wire::code::RmcpStatus;
use crate::ipmi::wire::command::PrivilegeNumber;
use crate::ipmi::wire::crypto::{CipherSuite, Exchange, SessionKeys, SuiteFacts, TrafficKeys};
use crate::ipmi::wire::packet::{Packet20, PayloadType, encode_setup};
use crate::ipmi::wire::rakp::{
    OpenRequest, OpenResponse, ROLE_NAME_ONLY, Rakp1, Rakp2, Rakp3, Rakp4,
};
use baton_model::driver::ipmi::IpmiTarget;
use baton_model::port::bmc::BmcError;
use rand::RngCore;

/// Unanswered Open Session Requests after which the other suite is tried in turn: some old BMCs drop proposals that
/// they do not know instead of refusing them.
const SENDS_PER_SUITE: u32 = 2;

/// Offsets from a handshake's first message tag. The tag of an Open Session Request tells the suite, so that a late
/// refusal is held against the suite it was meant for.
const TAG_SUITE_17: u8 = 0;
const TAG_SUITE_3: u8 = 1;
const TAG_RAKP1: u8 = 2;
const TAG_RAKP3: u8 = 3;
/// Tags that one handshake uses up, a power of two.
const TAGS: u8 = 4;

/// What has been sent last.
enum Stage {
    Open,
    Rakp1,
    Rakp3(Box<SessionKeys>),
}

/// A session on its way to being open.
pub(super) struct Handshake {
    stage: Stage,
    suite: CipherSuite,
    /// No other suite than `suite` may be tried: configured, or learned.
    settled: bool,
    /// The other suite was refused already.
    refused: bool,
    tag: u8,
    console_id: u32,
    bmc_id: u32,
    console_random: [u8; 16],
    bmc_random: [u8; 16],
    guid: [u8; 16],
    /// Some message of this handshake was sent more than once, so the BMC may hold other randoms than we do.
    repeated: bool,
}

/// What an accepted answer leads to.
pub(super) enum Advance {
    /// The next message is in `Io::out`.
    Sent,
    /// The session is open.
    Open(Box<Opened>),
    /// Nothing is wrong with the credentials, but this handshake leads nowhere; start another one.
    StartOver(BmcError),
    /// It ends here.
    Failed(BmcError),
}

/// The outcome of a handshake.
pub(super) struct Opened {
    pub(super) keys: TrafficKeys,
    pub(super) console_id: u32,
    pub(super) bmc_id: u32,
}

impl Handshake {
    /// A new handshake; `learned` is the suite that worked before, `last_tag` belongs to the handshake before.
    pub(super) fn new(
        target: &IpmiTarget,
        learned: Option<CipherSuite>,
        last_tag: u8,
        io: &mut Io<'_>,
    ) -> Self {
        // Unpredictable to strangers, and never the last one again.
        let [drawn, ..] = io.rng.next_u32().to_le_bytes();
        let mut tag = drawn & !(TAGS - 1);
        if tag == last_tag {
            tag = tag.wrapping_add(TAGS);
        }
        let suite = target.cipher_suite.or(learned);
        let mut console_random = [0; 16];
        io.rng.fill_bytes(&mut console_random);
        Self {
            stage: Stage::Open,
            suite: suite.unwrap_or(CipherSuite::Seventeen),
            settled: suite.is_some(),
            refused: false,
            tag,
            // 0 means "no session" (§13.6).
            console_id: io.rng.next_u32().max(1),
            bmc_id: 0,
            console_random,
            bmc_random: [0; 16],
            guid: [0; 16],
            repeated: false,
        }
    }

    /// The first of its message tags.
    pub(super) const fn tag(&self) -> u8 {
        self.tag
    }

    /// The suite in use.
    pub(super) const fn suite(&self) -> CipherSuite {
        self.suite
    }

    /// Whether the BMC has answered this handshake at all.
    pub(super) const fn is_answered(&self) -> bool {
        !matches!(self.stage, Stage::Open)
    }

    fn role(target: &IpmiTarget) -> u8 {
        ROLE_NAME_ONLY | target.privilege.number()
    }

    fn exchange<'a>(&self, target: &'a IpmiTarget) -> Exchange<'a> {
        Exchange {
            suite: self.suite,
            console_id: self.console_id,
            bmc_id: self.bmc_id,
            console_random: self.console_random,
            bmc_random: self.bmc_random,
            guid: self.guid,
            role: Self::role(target),
            username: target.username.as_bytes(),
        }
    }

    const fn open_tag(&self) -> u8 {
        self.tag.wrapping_add(match self.suite {
            CipherSuite::Seventeen => TAG_SUITE_17,
            CipherSuite::Three => TAG_SUITE_3,
        })
    }

    /// Puts the current stage's message into `io.out`; `sent` counts earlier sends of it.
    pub(super) fn send(&mut self, target: &IpmiTarget, sent: u32, io: &mut Io<'_>) {
        self.repeated |= sent > 0;
        match &self.stage {
            Stage::Open => {
                if !self.settled
                    && !self.refused
                    && sent > 0
                    && sent.is_multiple_of(SENDS_PER_SUITE)
                {
                    self.suite = other(self.suite);
                }
                encode_setup(
                    io.out,
                    PayloadType::OpenRequest,
                    &OpenRequest {
                        tag: self.open_tag(),
                        // 0: as high as the algorithms permit (§13.17); RAKP 1 names the level we want.
                        privilege: 0,
                        console_id: self.console_id,
                        algorithms: self.suite.algorithms(),
                    },
                );
            }
            Stage::Rakp1 => encode_setup(
                io.out,
                PayloadType::Rakp1,
                &Rakp1 {
                    tag: self.tag.wrapping_add(TAG_RAKP1),
                    bmc_id: self.bmc_id,
                    console_random: self.console_random,
                    role: Self::role(target),
                    username: target.username.as_bytes(),
                },
            ),
            Stage::Rakp3(_) => {
                let code = self
                    .exchange(target)
                    .rakp3_code(target.password.expose().as_bytes());
                self.send_rakp3(Ok(code.as_bytes()), io);
            }
        }
    }

    fn send_rakp3(&self, result: Result<&[u8], RmcpStatus>, io: &mut Io<'_>) {
        encode_setup(
            io.out,
            PayloadType::Rakp3,
            &Rakp3 {
                tag: self.tag.wrapping_add(TAG_RAKP3),
                bmc_id: self.bmc_id,
                result,
            },
        );
    }

    /// Takes an answer that came outside of any session.
    pub(super) fn answer(
        &mut self,
        target: &IpmiTarget,
        packet: &Packet20<'_>,
        refusal: Refusal<'_>,
        io: &mut Io<'_>,
    ) -> Result<Advance, Ignored> {
        if packet.session != 0 || packet.encrypted || packet.authenticated {
            return Err(Ignored::Unexpected);
        }
        match (&self.stage, packet.kind) {
            (Stage::Open, PayloadType::OpenResponse) => self.opened(target, packet, refusal, io),
            (Stage::Rakp1, PayloadType::Rakp2) => self.rakp2(target, packet, refusal, io),
            (Stage::Rakp3(_), PayloadType::Rakp4) => self.rakp4(packet, refusal),
            (Stage::Open | Stage::Rakp1 | Stage::Rakp3(_), _) => Err(Ignored::Unexpected),
        }
    }

    fn opened(
        &mut self,
        target: &IpmiTarget,
        packet: &Packet20<'_>,
        refusal: Refusal<'_>,
        io: &mut Io<'_>,
    ) -> Result<Advance, Ignored> {
        let response = OpenResponse::decode(packet.payload)?;
        let untold = response.console_id == 0 && response.result.is_err();
        if response.console_id != self.console_id && !untold {
            return Err(Ignored::Unexpected);
        }
        let suite = match response.tag.wrapping_sub(self.tag) {
            TAG_SUITE_17 => CipherSuite::Seventeen,
            TAG_SUITE_3 => CipherSuite::Three,
            _ => return Err(Ignored::Unexpected),
        };
        match response.result {
            Ok(granted) if granted.bmc_id == 0 => Err(Ignored::Unexpected),
            Ok(granted) if granted.algorithms == suite.algorithms() => {
                self.suite = suite;
                self.bmc_id = granted.bmc_id;
                self.stage = Stage::Rakp1;
                self.send(target, 0, io);
                Ok(Advance::Sent)
            }
            Ok(_) => Ok(Advance::Failed(refusal.garbled(
                "the BMC granted other algorithms than the cipher suite it was asked for",
            ))),
            Err(status) if status.is_cipher_refusal() && !self.settled && !self.refused => {
                self.refused = true;
                self.suite = other(suite);
                self.send(target, 0, io);
                Ok(Advance::Sent)
            }
            // The refusal of the suite that was given up already, said twice.
            Err(status) if status.is_cipher_refusal() && self.refused && suite != self.suite => {
                Err(Ignored::Unexpected)
            }
            Err(status) => Ok(Advance::Failed(
                refusal.status("open session response", status),
            )),
        }
    }

    fn rakp2(
        &mut self,
        target: &IpmiTarget,
        packet: &Packet20<'_>,
        refusal: Refusal<'_>,
        io: &mut Io<'_>,
    ) -> Result<Advance, Ignored> {
        let response = Rakp2::decode(packet.payload)?;
        if response.console_id != self.console_id
            || response.tag != self.tag.wrapping_add(TAG_RAKP1)
        {
            return Err(Ignored::Unexpected);
        }
        let granted = match response.result {
            Ok(granted) => granted,
            Err(status) => return Ok(self.turned_down("RAKP 2", status, refusal)),
        };
        self.bmc_random = granted.bmc_random;
        self.guid = granted.guid;
        let password = target.password.expose().as_bytes();
        let exchange = self.exchange(target);
        if !exchange.rakp2_code(password).matches(granted.code) {
            // Frees the half-open session at the BMC (§13.22: a status other than 0 ends it).
            self.send_rakp3(Err(RmcpStatus::INVALID_CHECK_VALUE), io);
            return Ok(Advance::Failed(refusal.refused(RAKP2_HMAC)));
        }
        let kg = target.kg.as_ref().map(|kg| &**kg.expose());
        self.stage = Stage::Rakp3(Box::new(exchange.session_keys(password, kg)));
        self.send(target, 0, io);
        Ok(Advance::Sent)
    }

    fn rakp4(&mut self, packet: &Packet20<'_>, refusal: Refusal<'_>) -> Result<Advance, Ignored> {
        let response = Rakp4::decode(packet.payload)?;
        if response.console_id != self.console_id
            || response.tag != self.tag.wrapping_add(TAG_RAKP3)
        {
            return Err(Ignored::Unexpected);
        }
        let Stage::Rakp3(keys) = &self.stage else {
            return Err(Ignored::Unexpected);
        };
        match response.result {
            Ok(code) if keys.check.matches(code) => Ok(Advance::Open(Box::new(Opened {
                keys: keys.traffic.clone(),
                console_id: self.console_id,
                bmc_id: self.bmc_id,
            }))),
            Ok(_) if self.repeated => Ok(Advance::StartOver(refusal.refused(RAKP4_CHECK))),
            Ok(_) => Ok(Advance::Failed(refusal.refused(RAKP4_CHECK))),
            Err(status) => Ok(self.turned_down("RAKP 4", status, refusal)),
        }
    }

    /// A BMC that says no in the middle may only have lost track of us, if messages were repeated.
    fn turned_down(
        &self,
        message: &'static str,
        status: RmcpStatus,
        refusal: Refusal<'_>,
    ) -> Advance {
        let error = refusal.status(message, status);
        match status {
            RmcpStatus::INVALID_SESSION_ID | RmcpStatus::INACTIVE_SESSION_ID => {
                Advance::StartOver(error)
            }
            RmcpStatus::INVALID_CHECK_VALUE if self.repeated => Advance::StartOver(error),
            _ => Advance::Failed(error),
        }
    }
}

const fn other(suite: CipherSuite) -> CipherSuite {
    match suite {
        CipherSuite::Three => CipherSuite::Seventeen,
        CipherSuite::Seventeen => CipherSuite::Three,
    }
}
