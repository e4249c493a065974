//! A conversation against a small BMC made of the same codecs, on a clock that only these tests move.

mod hour;

use super::*;
use crate::ipmi::wire::code::RmcpStatus;
use crate::ipmi::wire::command::{ControlAction, PrivilegeNumber};
use crate::ipmi::wire::crypto::{Exchange, SessionKeys, SuiteFacts};
use crate::ipmi::wire::message::Request;
use crate::ipmi::wire::packet::{PayloadType, decode, encode_setup};
use crate::ipmi::wire::rakp::{
    OpenGranted, OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp2Granted, Rakp3, Rakp4,
};
use crate::ipmi::wire::window::SequenceWindow;
use baton_model::driver::ipmi::{IPMI_PORT, IpmiProtocol, Privilege};
use baton_model::secret::Secret;
use proptest::prelude::*;
use rand::SeedableRng;

const BUDGET: Duration = Duration::from_secs(8);

fn target() -> IpmiTarget {
    IpmiTarget {
        address: "192.0.2.7".into(),
        port: IPMI_PORT,
        username: "admin".into(),
        password: Secret::new("secret".into()),
        privilege: Privilege::Administrator,
        protocol: IpmiProtocol::V2_0,
        cipher_suite: None,
        kg: None,
        keep_boot: None,
    }
}

/// One session at the BMC.
struct Held {
    console_id: u32,
    suite: CipherSuite,
    console_random: [u8; 16],
    role: u8,
    keys: Option<SessionKeys>,
    active: bool,
    sent: u32,
    window: SequenceWindow,
    privilege: Privilege,
}

/// A BMC with one user, and knobs for how it misbehaves.
struct FakeBmc {
    suites: Vec<CipherSuite>,
    username: &'static str,
    password: &'static str,
    kg: Option<&'static [u8]>,
    /// Drops proposals of unknown suites instead of refusing them.
    mute_about_suites: bool,
    power_on: bool,
    sessions: Vec<(u32, Held)>,
    next_id: u32,
    refuse_open: Option<RmcpStatus>,
    refuse_command: Option<CompletionCode>,
    needs_level_to_read: bool,
    resets: u32,
    opened: u32,
    closed: u32,
    /// Every datagram that reached it.
    heard: u32,
}

impl FakeBmc {
    fn new() -> Self {
        Self {
            suites: vec![CipherSuite::Three, CipherSuite::Seventeen],
            username: "admin",
            password: "secret",
            kg: None,
            mute_about_suites: false,
            power_on: true,
            sessions: Vec::new(),
            next_id: 100,
            refuse_open: None,
            refuse_command: None,
            needs_level_to_read: false,
            resets: 0,
            opened: 0,
            closed: 0,
            heard: 0,
        }
    }

    fn answer(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.heard += 1;
        let Packet::V20(packet) = decode(datagram).unwrap() else {
            panic!("not RMCP+");
        };
        let mut out = Vec::new();
        match packet.kind {
            PayloadType::OpenRequest => {
                let request = OpenRequest::decode(packet.payload).unwrap();
                let suite = CipherSuite::from_algorithms(request.algorithms).unwrap();
                let known = self.suites.contains(&suite);
                if !known && self.mute_about_suites {
                    return None;
                }
                let result = match self.refuse_open {
                    Some(status) => Err(status),
                    None if !known => Err(RmcpStatus::NO_CIPHER_SUITE),
                    None => {
                        self.next_id += 1;
                        self.sessions.push((
                            self.next_id,
                            Held {
                                console_id: request.console_id,
                                suite,
                                console_random: [0; 16],
                                role: 0,
                                keys: None,
                                active: false,
                                sent: 0,
                                window: SequenceWindow::new(),
                                privilege: Privilege::User,
                            },
                        ));
                        Ok(OpenGranted {
                            bmc_id: self.next_id,
                            privilege: 4,
                            algorithms: request.algorithms,
                        })
                    }
                };
                encode_setup(
                    &mut out,
                    PayloadType::OpenResponse,
                    &OpenResponse {
                        tag: request.tag,
                        console_id: request.console_id,
                        result,
                    },
                );
            }
            PayloadType::Rakp1 => {
                let rakp1 = Rakp1::decode(packet.payload).unwrap();
                let (password, kg, username) = (self.password, self.kg, self.username);
                let (_, held) = self
                    .sessions
                    .iter_mut()
                    .find(|(id, _)| *id == rakp1.bmc_id)?;
                held.console_random = rakp1.console_random;
                held.role = rakp1.role;
                let exchange = Exchange {
                    suite: held.suite,
                    console_id: held.console_id,
                    bmc_id: rakp1.bmc_id,
                    console_random: rakp1.console_random,
                    bmc_random: [7; 16],
                    guid: [8; 16],
                    role: rakp1.role,
                    username: rakp1.username,
                };
                held.keys = Some(exchange.session_keys(password.as_bytes(), kg));
                let code = exchange.rakp2_code(password.as_bytes());
                let result = if rakp1.username == username.as_bytes() {
                    Ok(Rakp2Granted {
                        bmc_random: [7; 16],
                        guid: [8; 16],
                        code: code.as_bytes(),
                    })
                } else {
                    Err(RmcpStatus::UNAUTHORIZED_NAME)
                };
                let rakp2 = Rakp2 {
                    tag: rakp1.tag,
                    console_id: held.console_id,
                    result,
                };
                encode_setup(&mut out, PayloadType::Rakp2, &rakp2);
            }
            PayloadType::Rakp3 => {
                let rakp3 = Rakp3::decode(packet.payload).unwrap();
                let at = self
                    .sessions
                    .iter()
                    .position(|(id, _)| *id == rakp3.bmc_id)?;
                let Ok(code) = rakp3.result else {
                    self.sessions.remove(at);
                    self.closed += 1;
                    return None;
                };
                let held = &mut self.sessions[at].1;
                let expected = Exchange {
                    suite: held.suite,
                    console_id: held.console_id,
                    bmc_id: rakp3.bmc_id,
                    console_random: held.console_random,
                    bmc_random: [7; 16],
                    guid: [8; 16],
                    role: held.role,
                    username: self.username.as_bytes(),
                }
                .rakp3_code(self.password.as_bytes());
                assert!(expected.matches(code), "the console proves the password");
                self.opened += u32::from(!held.active);
                held.active = true;
                let keys = held.keys.as_ref().unwrap();
                let rakp4 = Rakp4 {
                    tag: rakp3.tag,
                    console_id: held.console_id,
                    result: Ok(keys.check.as_bytes()),
                };
                encode_setup(&mut out, PayloadType::Rakp4, &rakp4);
            }
            PayloadType::Ipmi => return self.command(&packet),
            PayloadType::OpenResponse
            | PayloadType::Rakp2
            | PayloadType::Rakp4
            | PayloadType::Other(_) => panic!("a console does not send this"),
        }
        Some(out)
    }

    fn command(&mut self, packet: &Packet20<'_>) -> Option<Vec<u8>> {
        let at = self
            .sessions
            .iter()
            .position(|(id, held)| *id == packet.session && held.active)?;
        let held = &mut self.sessions[at].1;
        let mut clear = Vec::new();
        let keys = held.keys.as_ref().unwrap().traffic.clone();
        keys.open(packet, &mut clear).unwrap();
        if !held.window.accept(packet.sequence) {
            return None;
        }
        let request = Request::decode(&clear).unwrap();
        let command = Command::decode(request.netfn, request.command, request.data).unwrap();
        let mut data = Vec::new();
        let mut code = self.refuse_command.unwrap_or(CompletionCode::OK);
        let mut closes = None;
        match command {
            _ if code != CompletionCode::OK => {}
            Command::GetChassisStatus if self.needs_level_to_read => {
                if held.privilege < Privilege::Operator {
                    code = CompletionCode::INSUFFICIENT_PRIVILEGE;
                } else {
                    data = vec![u8::from(self.power_on), 0, 0];
                }
            }
            Command::GetChassisStatus => data = vec![u8::from(self.power_on), 0, 0],
            Command::SetPrivilege(level) => {
                held.privilege = level;
                data = vec![level.number()];
            }
            Command::ChassisControl(_) if held.privilege < Privilege::Operator => {
                code = CompletionCode::INSUFFICIENT_PRIVILEGE;
            }
            Command::ChassisControl(ControlAction::PowerUp) => self.power_on = true,
            Command::ChassisControl(ControlAction::PowerDown) => self.power_on = false,
            Command::ChassisControl(_) => self.resets += 1,
            Command::Raw(_) => {}
            Command::CloseSession(id) => {
                if self.sessions.iter().any(|(held, _)| *held == id) {
                    closes = Some(id);
                } else {
                    code = CompletionCode::INVALID_SESSION_ID;
                }
            }
            Command::GetDeviceId => data = vec![0x20, 1, 2, 0x50, 2, 0, 0xA2, 2, 0, 0, 1],
            Command::GetAuthCapabilities { .. }
            | Command::GetCipherSuites { .. }
            | Command::GetSessionChallenge { .. }
            | Command::ActivateSession { .. }
            | Command::GetPrivilege
            | Command::GetSystemGuid
            | Command::SetBootOption(_)
            | Command::GetBootFlags => panic!("unexpected {command:?}"),
        }
        let held = &mut self.sessions[at].1;
        held.sent += 1;
        let mut out = Vec::new();
        keys.seal(
            &mut out,
            PayloadType::Ipmi,
            held.console_id,
            held.sent,
            [9; 16],
            &request.respond(code, &data),
        );
        if let Some(id) = closes {
            self.sessions.retain(|(held, _)| *held != id);
            self.closed += 1;
        }
        Some(out)
    }
}

/// A conversation, its BMC, a clock, and what the network does to the `n`-th datagram.
struct World {
    conversation: Conversation,
    bmc: FakeBmc,
    now: Mono,
    rng: StdRng,
    /// Whether the next datagram, either way, is lost.
    lose: Box<dyn FnMut() -> bool>,
    answers: Vec<Vec<u8>>,
}

fn fresh<'a>(out: &'a mut Vec<u8>, clear: &'a mut Vec<u8>, rng: &'a mut StdRng) -> Io<'a> {
    out.clear();
    Io { out, clear, rng }
}

impl World {
    fn new(target: IpmiTarget) -> Self {
        Self {
            conversation: Conversation::new(Arc::new(target)),
            bmc: FakeBmc::new(),
            now: Mono(1_000),
            rng: StdRng::seed_from_u64(1),
            lose: Box::new(|| false),
            answers: Vec::new(),
        }
    }

    fn run(&mut self, job: Job) -> Result<Reply, BmcError> {
        self.run_within(job, BUDGET)
    }

    fn run_within(&mut self, job: Job, budget: Duration) -> Result<Reply, BmcError> {
        let deadline = self.now + budget;
        let (mut out, mut clear) = (Vec::new(), Vec::new());
        if self.conversation.is_stale(self.now) {
            self.conversation
                .farewell(&mut fresh(&mut out, &mut clear, &mut self.rng));
            self.bmc.answer(&out);
        }
        let mut progress = self.conversation.start(
            job,
            self.now,
            deadline,
            &mut fresh(&mut out, &mut clear, &mut self.rng),
        );
        loop {
            let mut answer = None;
            if !out.is_empty() && !(self.lose)() {
                answer = self.bmc.answer(&out).filter(|_| !(self.lose)());
            }
            match progress {
                Progress::Done(result) => return result,
                Progress::Waiting(at) => {
                    assert!(at <= deadline, "a job ends within its budget");
                    if let Some(answer) = answer {
                        self.now = self.now + Duration::from_millis(3);
                        let packet = decode(&answer).unwrap();
                        progress = self
                            .conversation
                            .datagram(
                                self.now,
                                &packet,
                                &mut fresh(&mut out, &mut clear, &mut self.rng),
                            )
                            .unwrap();
                        self.answers.push(answer);
                    } else {
                        self.now = self.now.max(at);
                        progress = self
                            .conversation
                            .timer(self.now, &mut fresh(&mut out, &mut clear, &mut self.rng));
                    }
                }
            }
        }
    }

    fn read(&mut self) -> Result<Reply, BmcError> {
        self.run(Job::PowerState)
    }
}

const ON: Result<Reply, BmcError> = Ok(Reply::Power(PowerReading::On));

#[test]
fn a_cold_read_takes_four_round_trips_and_a_warm_one_takes_one() {
    let mut world = World::new(target());
    assert_eq!(world.read(), ON);
    assert_eq!(world.bmc.heard, 4);
    assert_eq!(
        world.conversation.cipher_suite(),
        Some(CipherSuite::Seventeen)
    );
    assert_eq!(world.read(), ON);
    assert_eq!((world.bmc.heard, world.bmc.opened), (5, 1));
}

#[test]
fn a_power_change_raises_the_level_once() {
    let mut world = World::new(target());
    let off = Job::Control(ControlAction::PowerDown);
    assert_eq!(world.run(off), Ok(Reply::Done(true)));
    assert!(!world.bmc.power_on);
    assert_eq!(world.bmc.heard, 5);
    assert_eq!(
        world.run(Job::Control(ControlAction::PowerUp)),
        Ok(Reply::Done(true))
    );
    assert_eq!(world.bmc.heard, 6);
}

#[test]
fn a_bmc_that_wants_a_higher_level_for_reading_gets_it() {
    let mut world = World::new(target());
    world.bmc.needs_level_to_read = true;
    assert_eq!(world.read(), ON);
    let mut low = target();
    low.privilege = Privilege::User;
    let mut world = World::new(low);
    world.bmc.needs_level_to_read = true;
    let error = world.read().unwrap_err();
    assert!(
        matches!(&error, BmcError::Declined { reason, .. } if reason.contains("Insufficient privilege")),
        "{error}"
    );
}

#[test]
fn an_old_bmc_is_asked_for_suite_three_and_that_is_remembered() {
    for mute in [false, true] {
        let mut world = World::new(target());
        world.bmc.suites = vec![CipherSuite::Three];
        world.bmc.mute_about_suites = mute;
        assert_eq!(world.read(), ON);
        assert_eq!(world.conversation.cipher_suite(), Some(CipherSuite::Three));
        assert_eq!(world.run(Job::Close), Ok(Reply::Done(true)));
        let before = world.bmc.heard;
        assert_eq!(world.read(), ON);
        assert_eq!(world.bmc.heard, before + 4, "no second search");
    }
}

#[test]
fn a_configured_suite_is_the_only_one_tried() {
    let mut fixed = target();
    fixed.cipher_suite = Some(CipherSuite::Seventeen);
    let mut world = World::new(fixed);
    world.bmc.suites = vec![CipherSuite::Three];
    let error = world.read().unwrap_err();
    assert_eq!(world.bmc.heard, 1);
    assert!(
        error.to_string().contains("no matching cipher suite")
            && error.to_string().contains("ipmi_cipher_suite"),
        "{error}"
    );
    let mut world = World::new(target());
    world.bmc.suites = Vec::new();
    assert!(matches!(world.read(), Err(BmcError::Misconfigured { .. })));
    assert_eq!(world.bmc.heard, 2);
}

#[test]
fn wrong_credentials_are_refused_at_once_and_named() {
    let mut world = World::new(target());
    world.bmc.password = "other";
    let error = world.read().unwrap_err();
    assert!(
        matches!(&error, BmcError::Refused { reason, .. } if &**reason == "RAKP 2 HMAC is invalid"),
        "{error}"
    );
    assert_eq!(world.bmc.closed, 1, "the half-open session is given back");
    assert_eq!(world.bmc.heard, 3);

    let mut world = World::new(target());
    world.bmc.username = "root";
    let error = world.read().unwrap_err();
    assert!(
        matches!(&error, BmcError::Refused { reason, username, .. }
            if reason.contains("unauthorized name") && &**username == "admin"),
        "{error}"
    );

    let mut world = World::new(target());
    world.bmc.kg = Some(b"a bmc key");
    let error = world.read().unwrap_err();
    assert!(
        matches!(&error, BmcError::Refused { reason, .. } if reason.contains("ipmi_hex_kg_key")),
        "{error}"
    );
    let mut keyed = target();
    keyed.kg = Some(Secret::new(b"a bmc key".as_slice().into()));
    let mut world = World::new(keyed);
    world.bmc.kg = Some(b"a bmc key");
    assert_eq!(world.read(), ON);
}

#[test]
fn a_full_bmc_is_busy() {
    let mut world = World::new(target());
    world.bmc.refuse_open = Some(RmcpStatus::NO_RESOURCES);
    let error = world.read().unwrap_err();
    assert!(
        matches!(&error, BmcError::Busy { reason, .. }
            if reason.contains("insufficient resources for session")),
        "{error}"
    );
    let mut world = World::new(target());
    world.bmc.refuse_command = Some(CompletionCode::NODE_BUSY);
    assert!(matches!(world.read(), Err(BmcError::Busy { .. })));
    world.bmc.refuse_command = Some(CompletionCode::INVALID_COMMAND);
    assert!(matches!(world.read(), Err(BmcError::Unsupported { .. })));
}

#[test]
fn a_bmc_that_forgot_the_session_is_asked_in_a_new_one() {
    let mut world = World::new(target());
    assert_eq!(world.read(), ON);
    world.bmc.sessions.clear();
    assert_eq!(world.read(), ON);
    assert_eq!(world.bmc.opened, 2);
    world.now = world.now + Duration::from_secs(30);
    world.bmc.sessions.clear();
    assert_eq!(
        world.run(Job::Control(ControlAction::HardReset)),
        Ok(Reply::Done(true))
    );
    assert_eq!(world.bmc.resets, 1);
}

#[test]
fn a_silent_bmc_costs_the_budget_and_no_more() {
    let mut world = World::new(target());
    world.lose = Box::new(|| true);
    let begin = world.now;
    let error = world.read().unwrap_err();
    assert_eq!(world.now.since(begin), BUDGET);
    assert!(
        matches!(&error, BmcError::Silent { within, attempts, .. } if *within == BUDGET && *attempts >= 4),
        "{error}"
    );
}

#[test]
fn an_idle_session_is_not_trusted() {
    let mut world = World::new(target());
    assert_eq!(world.read(), ON);
    world.now = world.now + IDLE_MAX;
    assert!(world.conversation.is_stale(world.now));
    assert_eq!(world.read(), ON);
    assert_eq!((world.bmc.opened, world.bmc.closed), (2, 1));
}

#[test]
fn a_reset_whose_answers_are_lost_runs_once_and_is_reported_unknown() {
    let mut world = World::new(target());
    assert_eq!(world.run(Job::Open).map(drop), Ok(()));
    assert_eq!(
        world.run(Job::Control(ControlAction::PowerUp)),
        Ok(Reply::Done(true))
    );
    // From here on the BMC hears us and we do not hear the BMC.
    let mut towards = false;
    world.lose = Box::new(move || {
        towards = !towards;
        !towards
    });
    let result = world.run(Job::Control(ControlAction::HardReset));
    assert!(matches!(result, Err(BmcError::Silent { .. })), "{result:?}");
    assert_eq!(world.bmc.resets, 1);
    assert!(world.bmc.heard > 8, "it was said more than once");
}

#[test]
fn another_session_can_be_ended_by_its_id() {
    let mut world = World::new(target());
    let Ok(Reply::Session(ids)) = world.run(Job::Open) else {
        panic!("no session");
    };
    assert_eq!(world.conversation.session_ids(), Some(ids));
    let mut successor = World::new(target());
    successor.rng = StdRng::seed_from_u64(2);
    std::mem::swap(&mut successor.bmc, &mut world.bmc);
    assert_eq!(
        successor.run(Job::CloseById(ids.bmc)),
        Ok(Reply::Done(true))
    );
    assert_eq!(
        successor.run(Job::CloseById(ids.bmc)),
        Ok(Reply::Done(false))
    );
    assert!(successor.bmc.sessions.iter().all(|(id, _)| *id != ids.bmc));
}

#[test]
fn a_command_bound_to_a_session_leaves_in_no_other() {
    let mut world = World::new(target());
    let Ok(Reply::Session(ids)) = world.run(Job::Open) else {
        panic!("no session");
    };
    let off = Job::ControlIn(ControlAction::PowerDown, ids.bmc);
    assert_eq!(world.run(off), Ok(Reply::Done(true)));
    assert!(!world.bmc.power_on);
    // A successor ends the session; the late command is not heard, and no new session is opened for it.
    world.bmc.sessions.clear();
    let on = Job::ControlIn(ControlAction::PowerUp, ids.bmc);
    assert!(matches!(world.run(on), Err(BmcError::Silent { .. })));
    assert!(matches!(world.run(on), Err(BmcError::SessionOver { .. })));
    assert_eq!((world.bmc.opened, world.bmc.power_on), (1, false));
}

#[test]
fn identity_is_read() {
    let mut world = World::new(target());
    let Ok(Reply::Device(device)) = world.run(Job::Identify) else {
        panic!("no identity");
    };
    assert_eq!((device.manufacturer, device.product), (674, 256));
}

#[test]
fn foreign_datagrams_change_nothing() {
    let mut world = World::new(target());
    assert_eq!(world.read(), ON);
    let old = world.answers.clone();
    let (mut out, mut clear) = (Vec::new(), Vec::new());
    let deadline = world.now + BUDGET;
    let mut io = Io {
        out: &mut out,
        clear: &mut clear,
        rng: &mut world.rng,
    };
    world
        .conversation
        .start(Job::PowerState, world.now, deadline, &mut io);
    let mut seen = std::collections::BTreeSet::new();
    for answer in old {
        let packet = decode(&answer).unwrap();
        let mut forged = answer.clone();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        seen.extend(
            world
                .conversation
                .datagram(world.now, &packet, &mut io)
                .err(),
        );
        // A fresh sequence number does not help whoever lacks the key.
        if packet_sequence(&packet) > 0 {
            forged[10] = 200;
            let packet = decode(&forged).unwrap();
            seen.extend(
                world
                    .conversation
                    .datagram(world.now, &packet, &mut io)
                    .err(),
            );
        }
    }
    assert_eq!(
        seen.into_iter().collect::<Vec<_>>(),
        [Ignored::Unexpected, Ignored::Replayed, Ignored::Forged]
    );
    let deadline_kept = matches!(
        world.conversation.timer(world.now, &mut io),
        Progress::Waiting(_)
    );
    assert!(deadline_kept);
}

fn packet_sequence(packet: &Packet<'_>) -> u32 {
    match packet {
        Packet::V20(packet) => packet.sequence,
        Packet::V15(_) | Packet::Asf(_) => 0,
    }
}

proptest! {
    /// Whatever is lost: the job ends in time, a reset never runs twice, and once the network heals all is well.
    #[test]
    fn loss_never_doubles_a_reset(losses in proptest::collection::vec(any::<bool>(), 0..40), jobs in 1usize..6) {
        let mut world = World::new(target());
        let mut at = 0;
        world.lose = Box::new(move || {
            at += 1;
            losses.get(at - 1).copied().unwrap_or(false)
        });
        for job in 0..jobs {
            let before = world.bmc.resets;
            let result = world.run(Job::Control(ControlAction::HardReset));
            let ran = world.bmc.resets - before;
            prop_assert!(ran <= 1, "job {job} ran {ran} times");
            if result.is_ok() {
                prop_assert_eq!(ran, 1);
            }
        }
        world.lose = Box::new(|| false);
        prop_assert_eq!(world.read(), ON);
    }

    /// A BMC that sends anything at all at any stage gets a conversation that ends in time.
    #[test]
    fn arbitrary_answers_end_in_time(payloads in proptest::collection::vec(
        (0u8..0x40, proptest::collection::vec(any::<u8>(), 0..64)), 0..30)) {
        let mut conversation = Conversation::new(Arc::new(target()));
        let (mut out, mut clear) = (Vec::new(), Vec::new());
        let mut rng = StdRng::seed_from_u64(3);
        let mut now = Mono(0);
        let deadline = now + BUDGET;
        let mut io = Io { out: &mut out, clear: &mut clear, rng: &mut rng };
        let mut progress = conversation.start(Job::PowerState, now, deadline, &mut io);
        for (kind, payload) in payloads {
            let mut bytes = vec![6, 0, 0xFF, 7, 6, kind, 0, 0, 0, 0, 0, 0, 0, 0];
            bytes.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_le_bytes());
            bytes.extend_from_slice(&payload);
            let packet = decode(&bytes);
            if let Ok(packet) = packet && let Ok(next) = conversation.datagram(now, &packet, &mut io) {
                progress = next;
            }
        }
        while let Progress::Waiting(at) = progress {
            prop_assert!(at <= deadline);
            now = now.max(at);
            progress = conversation.timer(now, &mut io);
        }
    }
}
