//! Golden sessions, round trips, and arbitrary bytes into every decoder.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may panic; that is how it fails"
)]

use super::code::{CompletionCode, RmcpStatus};
use super::command::{
    AuthCapabilities, ChassisStatus, Command, ControlAction, DeviceId, SessionActivated,
    SessionChallenge, decode_privilege,
};
use super::crypto::{CipherSuite, Exchange, SuiteFacts, fixed16, md5_code};
use super::message::{CONSOLE_ADDRESS, NetFn, Request, Response};
use super::packet::{AuthType, Packet, PayloadType, decode, encode_setup, encode_v15};
use super::rakp::{
    OpenGranted, OpenRequest, OpenResponse, ROLE_NAME_ONLY, Rakp1, Rakp2, Rakp2Granted, Rakp3,
    Rakp4,
};
use super::{Encode, WireError};
use baton_model::driver::ipmi::Privilege;
use proptest::prelude::*;

const CONSOLE_ID: u32 = 0xA4A3_A2A0;
const BMC_ID: u32 = 0x0200_1234;
const PASSWORD: &[u8] = b"secret";

fn exchange(suite: CipherSuite) -> Exchange<'static> {
    Exchange {
        suite,
        console_id: CONSOLE_ID,
        bmc_id: BMC_ID,
        console_random: [0x11; 16],
        bmc_random: [0x22; 16],
        guid: [0x33; 16],
        role: ROLE_NAME_ONLY | 4,
        username: b"admin",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn setup<B: Encode>(kind: PayloadType, body: &B) -> String {
    let mut out = Vec::new();
    encode_setup(&mut out, kind, body);
    hex(&out)
}

/// Every datagram of a session that reads the power state once, both directions, with fixed randoms.
fn whole_session(suite: CipherSuite) -> Vec<String> {
    let exchange = exchange(suite);
    let keys = exchange.session_keys(PASSWORD, None);
    let mut lines = vec![
        setup(
            PayloadType::OpenRequest,
            &OpenRequest {
                tag: 1,
                privilege: 0,
                console_id: CONSOLE_ID,
                algorithms: suite.algorithms(),
            },
        ),
        setup(
            PayloadType::OpenResponse,
            &OpenResponse {
                tag: 1,
                console_id: CONSOLE_ID,
                result: Ok(OpenGranted {
                    bmc_id: BMC_ID,
                    privilege: 4,
                    algorithms: suite.algorithms(),
                }),
            },
        ),
        setup(
            PayloadType::Rakp1,
            &Rakp1 {
                tag: 2,
                bmc_id: BMC_ID,
                console_random: exchange.console_random,
                role: exchange.role,
                username: exchange.username,
            },
        ),
        setup(
            PayloadType::Rakp2,
            &Rakp2 {
                tag: 2,
                console_id: CONSOLE_ID,
                result: Ok(Rakp2Granted {
                    bmc_random: exchange.bmc_random,
                    guid: exchange.guid,
                    code: exchange.rakp2_code(PASSWORD).as_bytes(),
                }),
            },
        ),
        setup(
            PayloadType::Rakp3,
            &Rakp3 {
                tag: 3,
                bmc_id: BMC_ID,
                result: Ok(exchange.rakp3_code(PASSWORD).as_bytes()),
            },
        ),
        setup(
            PayloadType::Rakp4,
            &Rakp4 {
                tag: 3,
                console_id: CONSOLE_ID,
                result: Ok(keys.check.as_bytes()),
            },
        ),
    ];
    let command = Command::GetChassisStatus;
    let data = command.data();
    let request = Request {
        netfn: command.netfn(),
        lun: 0,
        sequence: 1,
        requester: CONSOLE_ADDRESS,
        command: command.number(),
        data: data.as_bytes(),
    };
    let status = ChassisStatus {
        power_on: true,
        ..ChassisStatus::default()
    }
    .encode();
    let response = request.respond(CompletionCode::OK, &status);
    let mut out = Vec::new();
    keys.traffic
        .seal(&mut out, PayloadType::Ipmi, BMC_ID, 1, [0x44; 16], &request);
    lines.push(hex(&out));
    out.clear();
    keys.traffic.seal(
        &mut out,
        PayloadType::Ipmi,
        CONSOLE_ID,
        1,
        [0x55; 16],
        &response,
    );
    lines.push(hex(&out));
    lines
}

#[test]
fn a_whole_session_of_each_suite_keeps_its_bytes() {
    let golden = include_str!("golden_sessions.txt");
    let mut expected = golden
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        for line in whole_session(suite) {
            assert_eq!(Some(line.as_str()), expected.next());
        }
    }
    assert_eq!(None, expected.next());
}

#[test]
fn a_sealed_message_opens_and_nothing_else_does() {
    for suite in [CipherSuite::Three, CipherSuite::Seventeen] {
        let keys = exchange(suite).session_keys(PASSWORD, None).traffic;
        for length in 0..64usize {
            let body: Vec<u8> = (0..length).map(|at| u8::try_from(at).unwrap()).collect();
            let mut datagram = Vec::new();
            keys.seal(
                &mut datagram,
                PayloadType::Ipmi,
                7,
                9,
                [3; 16],
                body.as_slice(),
            );
            let Packet::V20(packet) = decode(&datagram).unwrap() else {
                panic!("not RMCP+");
            };
            assert_eq!((packet.session, packet.sequence), (7, 9));
            let mut clear = Vec::new();
            keys.open(&packet, &mut clear).unwrap();
            assert_eq!(clear, body);
            // Every single-bit flip behind the RMCP header is noticed.
            for at in 4..datagram.len() {
                let mut bad = datagram.clone();
                bad[at] ^= 1 << (at % 8);
                if let Ok(Packet::V20(packet)) = decode(&bad) {
                    assert!(keys.open(&packet, &mut clear).is_err(), "flip at {at}");
                }
            }
            let other = exchange(suite).session_keys(b"other", None).traffic;
            assert_eq!(
                other.open(&packet, &mut clear),
                Err(WireError::Integrity),
                "a different password makes different keys"
            );
        }
    }
}

#[test]
fn the_bmc_key_changes_the_session_but_not_the_user_codes() {
    let exchange = exchange(CipherSuite::Seventeen);
    let plain = exchange.session_keys(PASSWORD, None);
    let zero = exchange.session_keys(PASSWORD, Some(&[0; 20]));
    let keyed = exchange.session_keys(PASSWORD, Some(b"bmc key"));
    assert!(plain.check.matches(zero.check.as_bytes()));
    assert!(!plain.check.matches(keyed.check.as_bytes()));
}

#[test]
fn passwords_count_to_twenty_bytes() {
    let exchange = exchange(CipherSuite::Three);
    let long = exchange.rakp2_code(b"12345678901234567890abc");
    assert!(long.matches(exchange.rakp2_code(b"12345678901234567890").as_bytes()));
}

#[test]
fn commands_survive_the_wire() {
    let commands = [
        Command::GetAuthCapabilities {
            channel: 0x0E,
            privilege: Privilege::Administrator,
            extended: true,
        },
        Command::GetCipherSuites {
            channel: 0x0E,
            index: 1,
        },
        Command::GetSessionChallenge {
            auth: AuthType::Md5,
            username: fixed16(b"admin"),
        },
        Command::ActivateSession {
            auth: AuthType::Md5,
            privilege: Privilege::Operator,
            challenge: [9; 16],
            first_sequence: 77,
        },
        Command::SetPrivilege(Privilege::Operator),
        Command::GetPrivilege,
        Command::CloseSession(0xDEAD_BEEF),
        Command::GetDeviceId,
        Command::GetSystemGuid,
        Command::GetChassisStatus,
        Command::ChassisControl(ControlAction::HardReset),
        Command::SetBootOption(super::boot::BootOption::Keep),
        Command::SetBootOption(super::boot::BootOption::Flags([0xE0, 0x04])),
        Command::GetBootFlags,
    ];
    for command in commands {
        let data = command.data();
        let request = Request {
            netfn: command.netfn(),
            lun: 0,
            sequence: 63,
            requester: CONSOLE_ADDRESS,
            command: command.number(),
            data: data.as_bytes(),
        };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        let read = Request::decode(&bytes).unwrap();
        assert_eq!(read, request);
        assert_eq!(
            Command::decode(read.netfn, read.command, read.data),
            Ok(command)
        );
        let response = read.respond(CompletionCode::NODE_BUSY, b"x");
        bytes.clear();
        response.encode(&mut bytes);
        assert_eq!(Response::decode(&bytes).unwrap(), response);
        assert!(Request::decode(&bytes).is_err());
    }
    assert_eq!(
        Command::decode(NetFn(0x0A), 1, &[]),
        Err(CompletionCode::INVALID_COMMAND)
    );
    assert_eq!(
        Command::decode(NetFn::CHASSIS, 2, &[]),
        Err(CompletionCode::LENGTH_INVALID)
    );
    assert_eq!(
        Command::decode(NetFn::CHASSIS, 2, &[9]),
        Err(CompletionCode::INVALID_FIELD)
    );
}

#[test]
fn responses_survive_the_wire() {
    let device = DeviceId {
        device: 0x20,
        revision: 1,
        firmware_major: 2,
        firmware_minor: 0x50,
        updating: false,
        manufacturer: 674,
        product: 256,
    };
    assert_eq!(DeviceId::decode(&device.encode()), Ok(device));
    let status = ChassisStatus {
        power_on: true,
        power_fault: true,
        restore_policy: 2,
        ..ChassisStatus::default()
    };
    assert_eq!(ChassisStatus::decode(&status.encode()), Ok(status));
    let capabilities = AuthCapabilities {
        channel: 1,
        auth_types: 0b1_0101,
        login: 4,
        rmcp_plus: true,
        v15: true,
    };
    assert_eq!(
        AuthCapabilities::decode(&capabilities.encode()),
        Ok(capabilities)
    );
    assert!(capabilities.offers(AuthType::Md5) && !capabilities.offers(AuthType::Md2));
    let challenge = SessionChallenge {
        session: 5,
        challenge: [6; 16],
    };
    assert_eq!(SessionChallenge::decode(&challenge.encode()), Ok(challenge));
    let activated = SessionActivated {
        auth: AuthType::Md5,
        session: 5,
        first_sequence: 6,
        privilege: Privilege::User,
    };
    assert_eq!(SessionActivated::decode(&activated.encode()), Ok(activated));
    assert_eq!(decode_privilege(&[4]), Ok(Privilege::Administrator));
}

#[test]
fn old_sessions_carry_their_code() {
    let body: &[u8] = b"message";
    let mut out = Vec::new();
    encode_v15(
        &mut out,
        AuthType::Md5,
        5,
        6,
        |message| md5_code(PASSWORD, 6, 5, message),
        body,
    );
    let Packet::V15(packet) = decode(&out).unwrap() else {
        panic!("not IPMI 1.5");
    };
    assert_eq!(packet.payload, body);
    assert_eq!(packet.code, Some(md5_code(PASSWORD, 6, 5, body)));
    assert_eq!((packet.sequence, packet.session), (5, 6));
    out.clear();
    encode_v15(&mut out, AuthType::None, 0, 0, |_| [0; 16], body);
    let Packet::V15(packet) = decode(&out).unwrap() else {
        panic!("not IPMI 1.5");
    };
    assert_eq!((packet.payload, packet.code), (body, None));
}

#[test]
fn refusals_are_eight_bytes() {
    let refusal = OpenResponse {
        tag: 4,
        console_id: 5,
        result: Err(RmcpStatus::NO_CIPHER_SUITE),
    };
    let mut bytes = Vec::new();
    refusal.encode(&mut bytes);
    assert_eq!(bytes.len(), 8);
    assert_eq!(OpenResponse::decode(&bytes), Ok(refusal));
    let terse = OpenResponse {
        console_id: 0,
        ..refusal
    };
    assert_eq!(OpenResponse::decode(&bytes[..2]), Ok(terse));
    assert_eq!(
        RmcpStatus::NO_CIPHER_SUITE.to_string(),
        "no matching cipher suite"
    );
    assert_eq!(CompletionCode::NODE_BUSY.to_string(), "Node busy (C0h)");
    assert_eq!(CompletionCode(0x90).to_string(), "completion code 90h");
}

proptest! {
    /// No bytes, however shaped, make a decoder do anything but answer.
    #[test]
    fn decoders_are_total(bytes in proptest::collection::vec(any::<u8>(), 0..200), kind in 0u8..0xFF) {
        exercise(&bytes);
        // The same bytes behind a valid RMCP and session header reach deeper.
        let mut framed = vec![0x06, 0x00, 0xFF, 0x07, 0x06, kind, 0, 0, 0, 0, 1, 0, 0, 0];
        framed.extend_from_slice(&u16::try_from(bytes.len()).unwrap().to_le_bytes());
        framed.extend_from_slice(&bytes);
        exercise(&framed);
    }

    #[test]
    fn requests_round_trip(netfn in 0u8..32, lun in 0u8..4, sequence in 0u8..64, command: u8,
                           data in proptest::collection::vec(any::<u8>(), 0..64)) {
        let request = Request { netfn: NetFn(netfn * 2), lun, sequence, requester: CONSOLE_ADDRESS, command, data: &data };
        let mut bytes = Vec::new();
        request.encode(&mut bytes);
        prop_assert_eq!(Request::decode(&bytes), Ok(request));
    }
}

/// Whatever a decoder answered, it answered.
fn look<T>(_answer: T) {}

fn exercise(bytes: &[u8]) {
    let keys = exchange(CipherSuite::Three)
        .session_keys(PASSWORD, None)
        .traffic;
    let mut clear = Vec::new();
    match decode(bytes) {
        Ok(Packet::V20(packet)) => {
            assert!(keys.open(&packet, &mut clear).is_err());
        }
        Ok(Packet::V15(_) | Packet::Asf(_)) | Err(_) => {}
    }
    look(OpenRequest::decode(bytes));
    look(OpenResponse::decode(bytes));
    look(Rakp1::decode(bytes));
    look(Rakp2::decode(bytes));
    look(Rakp3::decode(bytes));
    look(Rakp4::decode(bytes));
    look(Response::decode(bytes));
    if let Ok(request) = Request::decode(bytes) {
        look(Command::decode(
            request.netfn,
            request.command,
            request.data,
        ));
    }
    for (netfn, number) in [
        (6, 0x38),
        (6, 0x39),
        (6, 0x3A),
        (6, 0x3B),
        (6, 0x3C),
        (0, 2),
    ] {
        look(Command::decode(NetFn(netfn), number, bytes));
    }
    look(AuthCapabilities::decode(bytes));
    look(SessionChallenge::decode(bytes));
    look(SessionActivated::decode(bytes));
    look(ChassisStatus::decode(bytes));
    look(DeviceId::decode(bytes));
    look(decode_privilege(bytes));
}
