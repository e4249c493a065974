//! Tests of the simulated IPMI face, without sockets.

use crate::ipmi::wire::code::{CompletionCode, RmcpStatus};
use crate::ipmi::wire::command::{AuthCapabilities, ChassisStatus, Command, ControlAction};
use crate::ipmi::wire::crypto::{self, SuiteFacts, TrafficKeys};
use crate::ipmi::wire::message::{CONSOLE_ADDRESS, Request, Response};
use crate::ipmi::wire::packet::{self, AuthType, Packet, Packet20, PayloadType};
use crate::ipmi::wire::rakp::{OpenRequest, OpenResponse, Rakp1, Rakp2, Rakp3, Rakp4};
use crate::sim::Account;
use crate::sim::bmc::{Blueprint, Bmc, Reaction};
use crate::sim::core::Limits;
use crate::sim::fault::{Claim, Fault};
use crate::sim::journal::Via;
use crate::sim::machine::Timing;
use crate::sim::redfish::personality::IDRAC;
use baton_model::driver::ipmi::{CipherSuite, Privilege};
use baton_model::env::Mono;
use proptest::prelude::*;
use std::net::SocketAddr;
use std::time::Duration;

const AT: Mono = Mono(100);

fn bmc() -> Bmc {
    let operator = Account {
        privilege: Privilege::User,
        ..Account::administrator("reader", "reading")
    };
    Bmc::new(
        3,
        &Blueprint {
            accounts: [Account::administrator("admin", "secret"), operator].into(),
            kg: None,
            personality: &IDRAC,
            limits: Limits {
                ipmi_sessions_max: 2,
                ipmi_idle: Duration::from_millis(1000),
                ..Limits::default()
            },
            timing: Timing::INSTANT,
            on: true,
            journal_room: 16,
            seed: 1,
        },
    )
}

fn remote() -> SocketAddr {
    "127.0.0.1:4000".parse().unwrap()
}

fn send(bmc: &mut Bmc, now: Mono, datagram: &[u8]) -> Option<Vec<u8>> {
    let (mut clear, mut out) = (Vec::new(), Vec::new());
    let reaction = bmc.datagram(now, remote(), datagram, &mut clear, &mut out);
    matches!(reaction, Reaction::Answer(..)).then_some(out)
}

fn setup<'a>(answer: &'a [u8], kind: PayloadType) -> Packet20<'a> {
    let Ok(Packet::V20(packet)) = packet::decode(answer) else {
        panic!("not RMCP+ format");
    };
    assert_eq!(packet.kind, kind);
    packet
}

fn open(bmc: &mut Bmc, now: Mono, suite: CipherSuite, console_id: u32) -> Result<u32, RmcpStatus> {
    let request = OpenRequest {
        tag: 1,
        privilege: 0,
        console_id,
        algorithms: suite.algorithms(),
    };
    let mut datagram = Vec::new();
    packet::encode_setup(&mut datagram, PayloadType::OpenRequest, &request);
    let answer = send(bmc, now, &datagram).unwrap();
    let response = OpenResponse::decode(setup(&answer, PayloadType::OpenResponse).payload).unwrap();
    assert_eq!((response.tag, response.console_id), (1, console_id));
    response.result.map(|granted| granted.bmc_id)
}

/// A console with an open session.
struct Console {
    bmc_id: u32,
    console_id: u32,
    keys: TrafficKeys,
    sequence: u32,
}

enum Refusal {
    Open(RmcpStatus),
    Rakp2(RmcpStatus),
    Rakp2Code,
    Rakp4(RmcpStatus),
}

fn rakp1<'a>(bmc_id: u32, role: u8, user: &'a str) -> Rakp1<'a> {
    Rakp1 {
        tag: 2,
        bmc_id,
        console_random: [9; 16],
        role,
        username: user.as_bytes(),
    }
}

fn login(
    bmc: &mut Bmc,
    now: Mono,
    suite: CipherSuite,
    (user, password, role): (&str, &str, u8),
    check_rakp2: bool,
) -> Result<Console, Refusal> {
    let console_id = 0x0102_0304;
    let bmc_id = open(bmc, now, suite, console_id).map_err(Refusal::Open)?;
    let mut datagram = Vec::new();
    packet::encode_setup(
        &mut datagram,
        PayloadType::Rakp1,
        &rakp1(bmc_id, role, user),
    );
    let answer = send(bmc, now, &datagram).unwrap();
    let packet = setup(&answer, PayloadType::Rakp2);
    let granted = Rakp2::decode(packet.payload)
        .unwrap()
        .result
        .map_err(Refusal::Rakp2)?;
    let exchange = crypto::Exchange {
        suite,
        console_id,
        bmc_id,
        console_random: [9; 16],
        bmc_random: granted.bmc_random,
        guid: granted.guid,
        role,
        username: user.as_bytes(),
    };
    let right = exchange
        .rakp2_code(password.as_bytes())
        .matches(granted.code);
    let code = exchange.rakp3_code(password.as_bytes());
    let result = if check_rakp2 && !right {
        Err(RmcpStatus::INVALID_CHECK_VALUE)
    } else {
        Ok(code.as_bytes())
    };
    let mut datagram = Vec::new();
    let rakp3 = Rakp3 {
        tag: 3,
        bmc_id,
        result,
    };
    packet::encode_setup(&mut datagram, PayloadType::Rakp3, &rakp3);
    let Some(answer) = send(bmc, now, &datagram) else {
        return Err(Refusal::Rakp2Code);
    };
    let again = send(bmc, now, &datagram);
    let packet = setup(&answer, PayloadType::Rakp4);
    let check = Rakp4::decode(packet.payload)
        .unwrap()
        .result
        .map_err(Refusal::Rakp4)?;
    assert_eq!(
        again.as_deref(),
        Some(answer.as_slice()),
        "a repeated RAKP 3"
    );
    let keys = exchange.session_keys(password.as_bytes(), None);
    assert!(keys.check.matches(check));
    Ok(Console {
        bmc_id,
        console_id,
        keys: keys.traffic,
        sequence: 0,
    })
}

impl Console {
    fn admin(bmc: &mut Bmc, suite: CipherSuite) -> Self {
        match login(bmc, AT, suite, ("admin", "secret", 0x14), true) {
            Ok(console) => console,
            Err(Refusal::Open(status) | Refusal::Rakp2(status) | Refusal::Rakp4(status)) => {
                panic!("refused: {status}")
            }
            Err(Refusal::Rakp2Code) => panic!("RAKP 2 is wrong"),
        }
    }

    fn packet(&mut self, command: Command) -> Vec<u8> {
        self.sequence += 1;
        let data = command.data();
        let request = Request {
            netfn: command.netfn(),
            lun: 0,
            sequence: 5,
            requester: CONSOLE_ADDRESS,
            command: command.number(),
            data: data.as_bytes(),
        };
        let mut datagram = Vec::new();
        self.keys.seal(
            &mut datagram,
            PayloadType::Ipmi,
            self.bmc_id,
            self.sequence,
            [4; 16],
            &request,
        );
        datagram
    }

    fn ask(
        &mut self,
        bmc: &mut Bmc,
        now: Mono,
        command: Command,
    ) -> Option<(CompletionCode, Vec<u8>)> {
        let datagram = self.packet(command);
        let answer = send(bmc, now, &datagram)?;
        let packet = setup(&answer, PayloadType::Ipmi);
        assert_eq!(packet.session, self.console_id);
        let mut clear = Vec::new();
        self.keys.open(&packet, &mut clear).unwrap();
        let response = Response::decode(&clear).unwrap();
        assert_eq!(response.command, command.number());
        Some((response.code, response.data.to_vec()))
    }

    fn is_on(&mut self, bmc: &mut Bmc) -> bool {
        let (code, data) = self.ask(bmc, AT, Command::GetChassisStatus).unwrap();
        assert_eq!(code, CompletionCode::OK);
        ChassisStatus::decode(&data).unwrap().power_on
    }
}

#[test]
fn a_session_of_each_suite_reads_and_commands() {
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let mut bmc = bmc();
        let mut console = Console::admin(&mut bmc, suite);
        assert!(console.is_on(&mut bmc));
        let off = Command::ChassisControl(ControlAction::PowerDown);
        assert_eq!(
            console.ask(&mut bmc, AT, off).unwrap().0,
            CompletionCode::INSUFFICIENT_PRIVILEGE,
            "a session starts as user"
        );
        let raise = Command::SetPrivilege(Privilege::Administrator);
        assert_eq!(console.ask(&mut bmc, AT, raise).unwrap().1, vec![4]);
        assert_eq!(
            console.ask(&mut bmc, AT, off).unwrap().0,
            CompletionCode::OK
        );
        assert!(!console.is_on(&mut bmc));
        let reset = Command::ChassisControl(ControlAction::HardReset);
        assert_eq!(
            console.ask(&mut bmc, AT, reset).unwrap().0,
            CompletionCode::WRONG_STATE
        );
        let journal = bmc.core.machine.journal(AT);
        let (entry, _) = journal.kept_edges().next().unwrap();
        assert_eq!(entry.origin.via, Via::Ipmi);
        assert_eq!(entry.origin.session, Some(console.bmc_id));
        assert_eq!(entry.origin.remote, Some(remote()));
        assert_eq!(journal.edges(), 1);
    }
}

#[test]
fn a_closed_session_is_silent() {
    let mut bmc = bmc();
    let mut console = Console::admin(&mut bmc, CipherSuite::Three);
    let close = Command::CloseSession(console.bmc_id);
    assert_eq!(
        console.ask(&mut bmc, AT, close).unwrap().0,
        CompletionCode::OK
    );
    assert!(
        console
            .ask(&mut bmc, AT, Command::GetChassisStatus)
            .is_none()
    );
    assert_eq!(bmc.core.counters.sessions_closed, 1);
}

#[test]
fn an_administrator_ends_the_session_of_another() {
    let mut bmc = bmc();
    let mut fenced = Console::admin(&mut bmc, CipherSuite::Three);
    let mut owner = Console::admin(&mut bmc, CipherSuite::Seventeen);
    let close = Command::CloseSession(fenced.bmc_id);
    assert_eq!(
        owner.ask(&mut bmc, AT, close).unwrap().0,
        CompletionCode::INSUFFICIENT_PRIVILEGE,
        "a session starts as user"
    );
    let raise = Command::SetPrivilege(Privilege::Administrator);
    owner.ask(&mut bmc, AT, raise).unwrap();
    fenced.ask(&mut bmc, AT, raise).unwrap();
    assert_eq!(
        owner.ask(&mut bmc, AT, close).unwrap().0,
        CompletionCode::OK
    );
    let off = Command::ChassisControl(ControlAction::PowerDown);
    assert!(fenced.ask(&mut bmc, AT, off).is_none(), "it is fenced");
    assert!(owner.is_on(&mut bmc));
    assert_eq!(
        owner.ask(&mut bmc, AT, close).unwrap().0,
        CompletionCode::INVALID_SESSION_ID,
        "it has ended already"
    );
    assert_eq!(bmc.core.counters.sessions_closed, 1);
}

#[test]
fn a_replayed_packet_is_dropped() {
    let mut bmc = bmc();
    let mut console = Console::admin(&mut bmc, CipherSuite::Seventeen);
    let datagram = console.packet(Command::GetDeviceId);
    assert!(send(&mut bmc, AT, &datagram).is_some());
    assert!(send(&mut bmc, AT, &datagram).is_none());
    let mut forged = console.packet(Command::GetDeviceId);
    *forged.last_mut().unwrap() ^= 1;
    assert!(send(&mut bmc, AT, &forged).is_none());
    assert_eq!(bmc.core.counters.strays, 2);
}

#[test]
fn wrong_credentials_are_refused_as_clients_expect() {
    let suite = CipherSuite::Three;
    let mut bmc = bmc();
    let unknown = login(&mut bmc, AT, suite, ("nobody", "secret", 0x14), true);
    assert!(matches!(
        unknown,
        Err(Refusal::Rakp2(RmcpStatus::UNAUTHORIZED_NAME))
    ));
    let wrong = login(&mut bmc, AT, suite, ("admin", "wrong", 0x14), true);
    assert!(matches!(wrong, Err(Refusal::Rakp2Code)));
    let too_high = login(&mut bmc, AT, suite, ("reader", "reading", 0x14), true);
    assert!(matches!(
        too_high,
        Err(Refusal::Rakp2(RmcpStatus::UNAUTHORIZED_ROLE))
    ));
    assert_eq!(bmc.core.counters.logins_refused, 2);
    assert_eq!(bmc.ipmi().sessions(), 0, "nothing stays behind");
    // A client that does not look at RAKP 2 finds out from RAKP 4; the repeated RAKP 3 finds no session.
    let mut raw = bmc;
    let bmc_id = open(&mut raw, AT, suite, 77).unwrap();
    let mut datagram = Vec::new();
    packet::encode_setup(
        &mut datagram,
        PayloadType::Rakp1,
        &rakp1(bmc_id, 0x14, "admin"),
    );
    send(&mut raw, AT, &datagram).unwrap();
    datagram.clear();
    let rakp3 = Rakp3 {
        tag: 3,
        bmc_id,
        result: Ok(&[0; 20]),
    };
    packet::encode_setup(&mut datagram, PayloadType::Rakp3, &rakp3);
    let answer = send(&mut raw, AT, &datagram).unwrap();
    let rakp4 = Rakp4::decode(setup(&answer, PayloadType::Rakp4).payload).unwrap();
    assert_eq!(rakp4.result, Err(RmcpStatus::INVALID_CHECK_VALUE));
}

#[test]
fn a_locked_bmc_refuses_the_right_password_too() {
    let mut bmc = bmc();
    bmc.inject(
        AT,
        Fault::Lockout {
            after: 1,
            for_ms: 50,
        },
    );
    let mut enter = |now, password: &str| {
        login(
            &mut bmc,
            Mono(now),
            CipherSuite::Three,
            ("admin", password, 0x14),
            true,
        )
        .is_ok()
    };
    assert!(!enter(100, "wrong"));
    assert!(!enter(120, "secret"));
    assert!(!enter(160, "secret"), "the try at 120 re-armed it");
    assert!(enter(211, "secret"));
}

#[test]
fn the_session_table_is_bounded_and_expires() {
    let mut bmc = bmc();
    let suite = CipherSuite::Three;
    let first = open(&mut bmc, AT, suite, 1).unwrap();
    assert_eq!(
        open(&mut bmc, AT, suite, 1),
        Ok(first),
        "a repeated request"
    );
    open(&mut bmc, AT, suite, 2).unwrap();
    assert_eq!(open(&mut bmc, AT, suite, 3), Err(RmcpStatus::NO_RESOURCES));
    assert!(open(&mut bmc, AT + Duration::from_millis(1000), suite, 3).is_ok());

    let mut bmc = self::bmc();
    let mut console = Console::admin(&mut bmc, suite);
    assert!(
        console
            .ask(
                &mut bmc,
                AT + Duration::from_millis(900),
                Command::GetDeviceId
            )
            .is_some()
    );
    assert!(
        console
            .ask(
                &mut bmc,
                AT + Duration::from_millis(1800),
                Command::GetDeviceId
            )
            .is_some()
    );
    assert!(
        console
            .ask(
                &mut bmc,
                AT + Duration::from_millis(2800),
                Command::GetDeviceId
            )
            .is_none()
    );
    assert_eq!(bmc.core.counters.sessions_expired, 1);
}

#[test]
fn unknown_suites_are_refused() {
    let mut bmc = bmc();
    let mut algorithms = CipherSuite::Three.algorithms();
    algorithms.confidentiality = 0;
    let request = OpenRequest {
        tag: 9,
        privilege: 4,
        console_id: 5,
        algorithms,
    };
    let mut datagram = Vec::new();
    packet::encode_setup(&mut datagram, PayloadType::OpenRequest, &request);
    let answer = send(&mut bmc, AT, &datagram).unwrap();
    let response = OpenResponse::decode(setup(&answer, PayloadType::OpenResponse).payload).unwrap();
    assert_eq!(response.result, Err(RmcpStatus::NO_CIPHER_SUITE));
}

#[test]
fn faults_show_on_the_wire() {
    let mut bmc = bmc();
    let mut console = Console::admin(&mut bmc, CipherSuite::Three);
    bmc.inject(
        AT,
        Fault::WrongState {
            reports: Claim::Off,
        },
    );
    assert!(!console.is_on(&mut bmc));
    bmc.inject(
        AT,
        Fault::WrongState {
            reports: Claim::Unknown,
        },
    );
    let (code, _) = console
        .ask(&mut bmc, AT, Command::GetChassisStatus)
        .unwrap();
    assert_eq!(code, CompletionCode::INITIALIZING);
    bmc.core.faults.clear_all();

    bmc.inject(AT, Fault::IgnoresCommands);
    console
        .ask(
            &mut bmc,
            AT,
            Command::SetPrivilege(Privilege::Administrator),
        )
        .unwrap();
    let off = Command::ChassisControl(ControlAction::PowerDown);
    assert_eq!(
        console.ask(&mut bmc, AT, off).unwrap().0,
        CompletionCode::OK
    );
    assert!(console.is_on(&mut bmc));
    bmc.core.faults.clear_all();

    bmc.inject(
        AT,
        Fault::Busy {
            retry_after_s: None,
        },
    );
    assert_eq!(
        console.ask(&mut bmc, AT, off).unwrap().0,
        CompletionCode::NODE_BUSY
    );
    bmc.core.faults.clear_all();

    bmc.inject(AT, Fault::SessionFull);
    assert_eq!(
        open(&mut bmc, AT, CipherSuite::Three, 9),
        Err(RmcpStatus::NO_RESOURCES)
    );
    bmc.core.faults.clear_all();

    bmc.inject(AT, Fault::Silent);
    assert!(console.ask(&mut bmc, AT, off).is_none());
    bmc.core.faults.clear_all();

    bmc.inject(AT, Fault::Reboot { for_ms: 10 });
    assert!(console.ask(&mut bmc, AT, off).is_none());
    let later = AT + Duration::from_millis(10);
    assert!(
        console.ask(&mut bmc, later, off).is_none(),
        "the session is lost"
    );
    assert!(open(&mut bmc, later, CipherSuite::Three, 9).is_ok());
    assert_eq!(bmc.core.machine.journal(later).edges(), 0);
}

#[test]
fn discovery_needs_no_session() {
    let mut bmc = bmc();
    let command = Command::GetAuthCapabilities {
        channel: 0x0E,
        privilege: Privilege::Administrator,
        extended: true,
    };
    let data = command.data();
    let request = Request {
        netfn: command.netfn(),
        lun: 0,
        sequence: 1,
        requester: CONSOLE_ADDRESS,
        command: command.number(),
        data: data.as_bytes(),
    };
    let mut datagram = Vec::new();
    packet::encode_v15(&mut datagram, AuthType::None, 0, 0, |_| [0; 16], &request);
    let answer = send(&mut bmc, AT, &datagram).unwrap();
    let Ok(Packet::V15(packet)) = packet::decode(&answer) else {
        panic!("not IPMI 1.5 format");
    };
    let response = Response::decode(packet.payload).unwrap();
    let capabilities = AuthCapabilities::decode(response.data).unwrap();
    assert!(capabilities.rmcp_plus);

    let ping = [0x06, 0, 0xFF, 0x06, 0, 0, 0x11, 0xBE, 0x80, 7, 0, 0];
    let pong = send(&mut bmc, AT, &ping).unwrap();
    assert_eq!(pong.get(8..10), Some([0x40, 7].as_slice()));
}

proptest! {
    /// Whatever arrives, the BMC neither panics nor changes the machine.
    #[test]
    fn noise_does_nothing(noise in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..100, flip in 0_usize..100) {
        let mut bmc = bmc();
        let mut console = Console::admin(&mut bmc, CipherSuite::Three);
        send(&mut bmc, AT, &noise);
        let mut rmcp = vec![0x06, 0, 0xFF, 0x07];
        rmcp.extend_from_slice(&noise);
        send(&mut bmc, AT, &rmcp);
        let mut real = console.packet(Command::ChassisControl(ControlAction::PowerDown));
        let at = flip % real.len();
        real[at] ^= 0x55;
        real.truncate(cut % real.len());
        send(&mut bmc, AT, &real);
        prop_assert!(console.is_on(&mut bmc));
        prop_assert_eq!(bmc.core.machine.journal(AT).edges(), 0);
    }
}
