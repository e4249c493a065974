//! The simulator as freeipmi's `ipmipower` sees it: a second opinion on RMCP+ that shares no code with `ipmitool`.

use crate::tool;
use baton_bmc::sim::{Farm, FarmConfig, Initial, Layout};
use baton_model::port::bmc::PowerReading;
use std::net::Ipv4Addr;

async fn farm(machines: u32) -> Farm {
    let config = FarmConfig {
        ipmi: machines,
        ipmi_layout: Layout::Addresses {
            first: Ipv4Addr::new(127, 1, 0, 1),
            port: 0,
        },
        initial: Initial::Alternate,
        ..FarmConfig::default()
    };
    Farm::start(config).await.unwrap()
}

async fn ipmipower(hosts: &str, suite: &str, password: &str, action: &str) -> String {
    let args = [
        "-D", "LAN_2_0", "-h", hosts, "-u", "admin", "-p", password, "-I", suite, action,
    ];
    tool::run("ipmipower", "freeipmi-tools", &args).await.out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_off_and_on_work_in_both_suites() {
    let farm = farm(2).await;
    for suite in ["3", "17"] {
        let at = farm.machine(0).unwrap().ipmi.unwrap();
        let (host, at) = (at.ip(), at.to_string()); // freeipmi does not print the port
        assert_eq!(
            ipmipower(&at, suite, "password", "--stat").await,
            format!("{host}: on\n")
        );
        assert_eq!(
            ipmipower(&at, suite, "password", "--off").await,
            format!("{host}: ok\n")
        );
        assert_eq!(farm.power(0), Some(PowerReading::Off));
        assert_eq!(
            ipmipower(&at, suite, "password", "--stat").await,
            format!("{host}: off\n")
        );
        assert_eq!(
            ipmipower(&at, suite, "password", "--on").await,
            format!("{host}: ok\n")
        );
        assert_eq!(farm.power(0), Some(PowerReading::On));
    }
    assert_eq!(farm.edges(), 4);
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_machines_answer_one_sweep() {
    let farm = farm(64).await;
    let hosts: Vec<_> = farm
        .machines()
        .map(|m| m.ipmi.unwrap().to_string())
        .collect();
    let out = ipmipower(&hosts.join(","), "3", "password", "--stat").await;
    assert_eq!(
        out.lines().filter(|line| line.ends_with(": on")).count(),
        32,
        "{out}"
    );
    assert_eq!(
        out.lines().filter(|line| line.ends_with(": off")).count(),
        32,
        "{out}"
    );
    farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_named() {
    let farm = farm(1).await;
    let at = farm.machine(0).unwrap().ipmi.unwrap().to_string();
    let out = ipmipower(&at, "17", "wrong", "--off").await;
    assert!(out.contains("password invalid"), "{out}");
    assert_eq!(farm.edges(), 0);
    farm.stop().await;
}
