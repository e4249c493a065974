//! The IPMI client against our own simulator, for what `ipmi_sim` cannot do: cipher suite 17, faults, and many BMCs at
//! once.

use crate::ipmi_sim::client;
use baton_bmc::ipmi::IpmiClient;
use baton_bmc::sim::{Farm, FarmConfig, Fault, Initial, Layout};
use baton_model::driver::ipmi::{CipherSuite, IpmiProtocol, IpmiTarget, Privilege};
use baton_model::json::Json;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};
use baton_model::port::bmc::{BmcError, PowerAction, PowerReading};
use baton_model::port::chore::Chore;
use baton_model::secret::Secret;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Budget of one call. Everything is local; the rest is for a machine that runs other tests too.
const BUDGET: Duration = Duration::from_secs(10);
/// Budget of a call that must fail.
const SHORT: Duration = Duration::from_millis(900);

async fn farm(machines: u32) -> Farm {
    Farm::start(FarmConfig {
        ipmi: machines,
        ipmi_layout: Layout::Addresses {
            first: Ipv4Addr::new(127, 1, 0, 1),
            port: 0,
        },
        initial: Initial::Alternate,
        ..FarmConfig::default()
    })
    .await
    .unwrap()
}

fn target_of(farm: &Farm, machine: u32, suite: Option<CipherSuite>) -> Arc<IpmiTarget> {
    let at = farm.machine(machine).unwrap().ipmi.unwrap();
    Arc::new(IpmiTarget {
        address: at.ip().to_string().into(),
        port: at.port(),
        username: "admin".into(),
        password: Secret::new("password".into()),
        privilege: Privilege::Administrator,
        protocol: IpmiProtocol::V2_0,
        cipher_suite: suite,
        kg: None,
        keep_boot: None,
    })
}

async fn read(client: &IpmiClient, target: &Arc<IpmiTarget>) -> Result<PowerReading, BmcError> {
    client.power_state(target, BUDGET).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_suites_read_and_act() {
    let farm = farm(2).await;
    let client = client();
    for suite in [None, Some(CipherSuite::Three), Some(CipherSuite::Seventeen)] {
        let target = target_of(&farm, 0, suite);
        client
            .power_action(&target, PowerAction::On, BUDGET)
            .await
            .unwrap();
        assert_eq!(read(&client, &target).await, Ok(PowerReading::On));
        for action in [PowerAction::Reset, PowerAction::Cycle, PowerAction::Nmi] {
            assert_eq!(client.power_action(&target, action, BUDGET).await, Ok(()));
        }
        client
            .power_action(&target, PowerAction::Off, BUDGET)
            .await
            .unwrap();
        assert_eq!(read(&client, &target).await, Ok(PowerReading::Off));
        assert!(client.identify(&target, BUDGET).await.is_ok());
        let error = client
            .power_action(&target, PowerAction::SoftReset, BUDGET)
            .await
            .unwrap_err();
        assert!(matches!(error, BmcError::Unsupported { .. }), "{error}");
    }
    // One target after the other on one BMC: each left politely, so the BMC holds one session.
    assert_eq!(client.stats().warm_sessions, 1);
    client.close(BUDGET).await;
    let totals = farm.totals();
    assert_eq!(totals.logins, totals.sessions_closed, "{totals:?}");
    assert!(matches!(
        client.power_state(&target_of(&farm, 0, None), BUDGET).await,
        Err(BmcError::Unreachable { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_machines_answer_through_loss_each_with_its_own_state() {
    const MACHINES: u32 = 1_000;
    let farm = farm(MACHINES).await;
    for machine in 0..MACHINES / 10 {
        farm.inject(machine, Fault::Loss { fraction: 0.05 })
            .unwrap();
    }
    let client = client();
    for _ in 0..2 {
        let reads = (0..MACHINES).map(|machine| {
            let (client, target) = (&client, target_of(&farm, machine, None));
            async move { (machine, client.power_state(&target, BUDGET * 2).await) }
        });
        for (machine, result) in futures_util::future::join_all(reads).await {
            let expected = if machine % 2 == 0 {
                PowerReading::On
            } else {
                PowerReading::Off
            };
            assert_eq!(result, Ok(expected), "machine {machine}");
        }
    }
    client.close(BUDGET).await;
    assert_eq!(client.stats().warm_sessions, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_have_their_errors() {
    let farm = farm(5).await;
    let client = client();
    let faults = [
        Fault::SessionFull,
        Fault::Busy {
            retry_after_s: None,
        },
        Fault::Silent,
        Fault::Garbage { fraction: 1.0 },
        Fault::ResetMidBody { fraction: 1.0 },
    ];
    for (machine, fault) in (0u32..).zip(faults) {
        farm.inject(machine, fault).unwrap();
        let target = target_of(&farm, machine, None);
        let began = Instant::now();
        let error = client.power_state(&target, SHORT).await.unwrap_err();
        match machine {
            0 => assert!(
                matches!(&error, BmcError::Busy { reason, .. }
                    if reason.contains("insufficient resources for session")),
                "{error}"
            ),
            1 => assert!(matches!(&error, BmcError::Busy { .. }), "{error}"),
            _ => {
                assert!(matches!(&error, BmcError::Silent { .. }), "{error}");
                // Its timers are coarse, but it does not give up before it has to.
                assert!(began.elapsed() >= SHORT.mul_f64(0.9));
            }
        }
        farm.heal(machine);
        assert!(read(&client, &target).await.is_ok(), "machine {machine}");
    }
    let stats = client.stats();
    assert!(
        stats.garbage + stats.unexpected + stats.forged > 0,
        "{stats:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bmc_that_restarted_is_asked_again_within_the_call() {
    let farm = farm(1).await;
    let (client, target) = (client(), target_of(&farm, 0, None));
    assert_eq!(read(&client, &target).await, Ok(PowerReading::On));
    let first = client.session_ids(&target).unwrap();
    farm.inject(0, Fault::Reboot { for_ms: 500 }).unwrap();
    assert_eq!(read(&client, &target).await, Ok(PowerReading::On));
    assert_ne!(client.session_ids(&target), Some(first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_ended_the_session_has_fenced_the_late_command() {
    let farm = farm(1).await;
    let (old, new, target) = (client(), client(), target_of(&farm, 0, None));
    let session = old.open_session(&target, BUDGET).await.unwrap();
    assert_eq!(
        old.power_action_in_session(&target, PowerAction::Off, session.bmc, BUDGET)
            .await,
        Ok(())
    );
    let before = farm.edges();
    assert_eq!(
        new.close_session_by_id(&target, session.bmc, BUDGET).await,
        Ok(true)
    );
    let late = old
        .power_action_in_session(&target, PowerAction::On, session.bmc, SHORT)
        .await
        .unwrap_err();
    assert!(matches!(late, BmcError::Silent { .. }), "{late}");
    let again = old
        .power_action_in_session(&target, PowerAction::On, session.bmc, SHORT)
        .await
        .unwrap_err();
    assert!(matches!(again, BmcError::SessionOver { .. }), "{again}");
    assert_eq!(farm.edges(), before);
    assert_eq!(read(&new, &target).await, Ok(PowerReading::Off));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_are_not_listened_to() {
    let farm = farm(1).await;
    let (client, target) = (client(), target_of(&farm, 0, None));
    // A stand-in for the BMC learns where the client listens and answers nonsense; another socket answers for it.
    let stand_in = UdpSocket::bind("127.0.0.1:0").unwrap();
    let spoofer = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut fake = (*target).clone();
    fake.address = "127.0.0.1".into();
    fake.port = stand_in.local_addr().unwrap().port();
    let answers = std::thread::spawn(move || {
        let mut buffer = [0; 1024];
        stand_in
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let (_, from) = stand_in.recv_from(&mut buffer).unwrap();
        spoofer.send_to(&[0; 40], from).unwrap();
        for length in [0, 1, 16, 17, 60, 1024] {
            stand_in.send_to(&buffer[..length], from).unwrap();
        }
        stand_in.send_to(&[0xFF; 1400], from).unwrap();
    });
    let error = client
        .power_state(&Arc::new(fake), SHORT)
        .await
        .unwrap_err();
    assert!(matches!(error, BmcError::Silent { .. }), "{error}");
    answers.join().unwrap();
    let stats = client.stats();
    assert!(stats.garbage >= 4 && stats.unexpected >= 1, "{stats:?}");
    assert_eq!(read(&client, &target).await, Ok(PowerReading::On));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_resolved_and_old_protocols_declined() {
    let client = client();
    let mut target = (*target_of(&farm(1).await, 0, None)).clone();
    target.address = "no-such-host.invalid".into();
    let error = client
        .power_state(&Arc::new(target.clone()), BUDGET)
        .await
        .unwrap_err();
    assert!(matches!(error, BmcError::Unreachable { .. }), "{error}");
    target.protocol = IpmiProtocol::V1_5;
    let error = client
        .power_state(&Arc::new(target), BUDGET)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, BmcError::Unsupported { reason, .. } if reason.contains("ipmi_protocol_version")),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boot_devices_are_set_and_read_back() {
    let farm = farm(1).await;
    let (client, target) = (client(), target_of(&farm, 0, None));
    let state = client.boot_state(&target, BUDGET).await.unwrap();
    assert_eq!(state, BootState::default(), "nothing was chosen yet");
    for device in [
        BootDevice::Pxe,
        BootDevice::Disk,
        BootDevice::Safe,
        BootDevice::Cdrom,
        BootDevice::Bios,
    ] {
        for (persistent, mode) in [(true, BootMode::Uefi), (false, BootMode::Bios)] {
            let order = BootOrder {
                device,
                persistent,
                mode,
            };
            client
                .power_action(&target, PowerAction::BootFrom(order), BUDGET)
                .await
                .unwrap();
            let state = client.boot_state(&target, BUDGET).await.unwrap();
            let told = BootState {
                device: Some(device),
                persistent: Some(persistent),
                mode: Some(mode),
                secure_boot: None,
            };
            assert_eq!(state, told);
        }
    }
    for action in [
        PowerAction::BootMode(BootMode::Uefi),
        PowerAction::SecureBoot(true),
    ] {
        let error = client
            .power_action(&target, action, BUDGET)
            .await
            .unwrap_err();
        assert!(matches!(error, BmcError::Unsupported { .. }), "{error}");
    }
    client.close(BUDGET).await;
    farm.stop().await;
}

/// Bytes go out as they are, and restarts of the BMC are two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn raw_commands_and_restarts_of_the_bmc_are_sent_and_judged() {
    let farm = farm(1).await;
    let (client, target) = (client(), target_of(&farm, 0, None));
    let chore = async |chore, cargo: &str| {
        let cargo = Json::parse(cargo).expect("JSON");
        client.chore(&target, chore, &cargo, None, BUDGET).await
    };
    // Get Device ID, which every BMC knows.
    let known = chore(Chore::Raw, r#"{"raw_bytes": "0x06 0x01"}"#).await;
    assert_eq!(known, Ok(()));
    let unknown = chore(Chore::Raw, r#"{"raw_bytes": "0x2e 0x7f 1 2"}"#).await;
    assert!(unknown.is_err(), "the BMC knows no such command");
    let odd = chore(Chore::Raw, r#"{"raw_bytes": "six one"}"#).await;
    let told = odd.expect_err("no bytes").to_string();
    assert!(told.contains("'six' is no byte"), "{told}");
    for warm in [r#"{"warm": true}"#, r#"{"warm": false}"#] {
        assert_eq!(chore(Chore::RestartBmc, warm).await, Ok(()));
    }
    assert_eq!(farm.totals().bmc_restarts, 2);
    let light = chore(Chore::Light, "{}").await;
    assert!(
        matches!(light, Err(BmcError::Unsupported { .. })),
        "{light:?}"
    );
    client.close(BUDGET).await;
    farm.stop().await;
}
