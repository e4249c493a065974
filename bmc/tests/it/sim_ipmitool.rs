//! The simulator as `ipmitool` sees it, with cipher suites 3 and 17.

use crate::tool::{self, Said};
use baton_bmc::sim::fault::Fault;
use baton_bmc::sim::journal::{Edge, Via};
use baton_bmc::sim::{Farm, FarmConfig, Initial, Layout};
use baton_model::port::bmc::PowerReading;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

async fn farm(layout: Layout) -> Farm {
    let config = FarmConfig {
        ipmi: 3,
        ipmi_layout: layout,
        initial: Initial::On,
        ..FarmConfig::default()
    };
    Farm::start(config).await.unwrap()
}

const ADDRESSES: Layout = Layout::Addresses {
    first: Ipv4Addr::new(127, 1, 0, 1),
    port: 0,
};
const PORTS: Layout = Layout::Ports {
    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    first: 0,
};

async fn ipmitool(at: SocketAddr, suite: &str, password: &str, command: &[&str]) -> Said {
    let (host, port) = (at.ip().to_string(), at.port().to_string());
    let mut args = vec![
        "-I", "lanplus", "-H", &host, "-p", &port, "-U", "admin", "-P", password, "-C", suite,
    ];
    args.extend_from_slice(command);
    tool::run("ipmitool", "ipmitool", &args).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn power_commands_work_in_both_suites() {
    let farm = farm(ADDRESSES).await;
    for (machine, suite) in [(1, "3"), (2, "17")] {
        let at = farm.machine(machine).unwrap().ipmi.unwrap();
        for (command, state, edges) in [
            ("status", "on", 0),
            ("off", "off", 1),
            ("status", "off", 1),
            ("on", "on", 2),
            ("reset", "on", 3),
            ("diag", "on", 4),
            ("soft", "off", 5),
        ] {
            let said = ipmitool(at, suite, "password", &["power", command]).await;
            assert!(said.ok, "suite {suite}, power {command}: {said:?}");
            let status = ipmitool(at, suite, "password", &["power", "status"]).await;
            assert_eq!(
                status.out,
                format!("Chassis Power is {state}\n"),
                "after {command}"
            );
            let seen = farm
                .with(machine, |bmc, now| bmc.core.machine.journal(now).edges())
                .unwrap();
            assert_eq!(seen, edges, "after {command}");
        }
        farm.with(machine, |bmc, now| {
            let journal = bmc.core.machine.journal(now);
            let kinds: Vec<_> = journal.kept_edges().map(|(_, edge)| edge).collect();
            assert_eq!(
                kinds,
                [Edge::Off, Edge::On, Edge::Reset, Edge::Nmi, Edge::Off]
            );
            for (entry, _) in journal.kept_edges() {
                assert_eq!(entry.origin.via, Via::Ipmi);
                assert_eq!(entry.origin.user.as_deref(), Some("admin"));
                assert!(entry.origin.session.is_some() && entry.origin.remote.is_some());
            }
            assert_eq!(bmc.ipmi().sessions(), 0, "ipmitool closed what it opened");
        });
    }
    assert_eq!(
        farm.power(0),
        Some(PowerReading::On),
        "the neighbour is untouched"
    );
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_per_bmc_works_too() {
    let farm = farm(PORTS).await;
    let at = farm.machine(2).unwrap().ipmi.unwrap();
    let said = ipmitool(at, "17", "password", &["power", "off"]).await;
    assert!(said.ok, "{said:?}");
    assert_eq!(farm.power(2), Some(PowerReading::Off));
    assert_eq!(farm.power(1), Some(PowerReading::On));
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_who_it_is() {
    let farm = farm(ADDRESSES).await;
    let at = farm.machine(0).unwrap().ipmi.unwrap();
    for suite in ["3", "17"] {
        let said = ipmitool(at, suite, "password", &["mc", "info"]).await;
        assert!(said.ok, "{said:?}");
        assert!(
            said.out.contains("IPMI Version              : 2.0"),
            "{said:?}"
        );
    }
    let said = ipmitool(at, "3", "password", &["mc", "guid"]).await;
    assert!(said.ok, "{said:?}");
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boot_devices_that_ipmitool_sets_are_kept_and_shown() {
    let farm = farm(ADDRESSES).await;
    let at = farm.machine(0).unwrap().ipmi.unwrap();
    for (device, options, flags, shown) in [
        (
            "pxe",
            "options=persistent,efiboot",
            [0xE0, 0x04],
            "Force PXE",
        ),
        (
            "disk",
            "options=efiboot",
            [0xA0, 0x08],
            "Force Boot from default Hard-Drive",
        ),
        (
            "bios",
            "options=persistent",
            [0xC0, 0x18],
            "Force Boot into BIOS Setup",
        ),
    ] {
        let command = ["chassis", "bootdev", device, options];
        let said = ipmitool(at, "3", "password", &command).await;
        assert!(said.ok, "{said:?}");
        let kept = farm.with(0, |bmc, _| bmc.ipmi().boot_flags()).unwrap();
        assert_eq!(kept[..2], flags, "{command:?}");
        let said = ipmitool(at, "17", "password", &["chassis", "bootparam", "get", "5"]).await;
        assert!(
            said.out.contains(shown) && said.out.contains("Boot Flag Valid"),
            "{said:?}"
        );
    }
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_refused() {
    let farm = farm(ADDRESSES).await;
    let at = farm.machine(0).unwrap().ipmi.unwrap();
    for suite in ["3", "17"] {
        let said = ipmitool(at, suite, "wrong", &["-v", "power", "off"]).await;
        assert!(!said.ok, "{said:?}");
        assert!(said.err.contains("RAKP 2 HMAC is invalid"), "{said:?}");
    }
    // ipmitool 1.8.19 goes away without the RAKP 3 that would tell the BMC why, so no refusal is counted.
    let totals = farm.totals();
    assert_eq!((totals.logins, totals.power_commands), (0, 0));
    assert_eq!(farm.edges(), 0);
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_turned_off_behind_the_back_shows_off() {
    let farm = farm(ADDRESSES).await;
    let at = farm.machine(0).unwrap().ipmi.unwrap();
    farm.force_power(0, false);
    let said = ipmitool(at, "17", "password", &["power", "status"]).await;
    assert_eq!(said.out, "Chassis Power is off\n");
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_read_as_ipmitool_words_them() {
    let farm = farm(ADDRESSES).await;
    let at = farm.machine(0).unwrap().ipmi.unwrap();
    farm.inject(0, Fault::SessionFull).unwrap();
    let said = ipmitool(at, "3", "password", &["power", "status"]).await;
    assert!(
        said.err.contains("insufficient resources for session"),
        "{said:?}"
    );
    farm.heal(0);
    farm.inject(
        0,
        Fault::Busy {
            retry_after_s: None,
        },
    )
    .unwrap();
    let said = ipmitool(at, "3", "password", &["power", "status"]).await;
    assert!(!said.ok && said.err.contains("Node busy"), "{said:?}");
    farm.heal(0);
    // Lost datagrams are repeated by the client, and answers repeated by the BMC.
    farm.inject(0, Fault::Loss { fraction: 0.1 }).unwrap();
    let said = ipmitool(at, "17", "password", &["power", "status"]).await;
    assert_eq!(said.out, "Chassis Power is on\n", "{said:?}");
    farm.stop().await;
}
