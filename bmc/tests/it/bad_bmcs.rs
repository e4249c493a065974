//! Every row of the first table of `docs/bad-bmcs.md`: the BMC is played, and its words are those that the table promises.

use crate::ipmi_sim::client;
use baton_bmc::ipmi::IpmiClient;
use baton_bmc::redfish::{RedfishClient, RedfishConfig};
use baton_bmc::sim::fault::Claim;
use baton_bmc::sim::redfish::personality;
use baton_bmc::sim::{Farm, FarmConfig, Fault, Layout};
use baton_model::driver::{ipmi, redfish};
use baton_model::ids::NodeId;
use baton_model::port::bmc::BmcError;
use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const BUDGET: Duration = Duration::from_secs(20);
/// Enough for several sends, and all that a silent BMC costs here.
const SHORT: Duration = Duration::from_millis(1200);
const TABLE: &str = include_str!("../../../docs/bad-bmcs.md");

/// What is wrong in a row: with the BMC, or with what the node knows of it.
enum Wrong {
    Bmc(Fault),
    Password,
    Locked,
    Address,
}

/// The rows by their first cell.
fn wrong(case: &str) -> Wrong {
    match case {
        "wrong or rotated credentials" => Wrong::Password,
        "account locked by the BMC" => Wrong::Locked,
        "wrong address, nobody there" | "wrong address, closed port" => Wrong::Address,
        "silent, or hangs" => Wrong::Bmc(Fault::Silent),
        "out of sessions" | "out of sessions (iDRAC: RAC0218)" => Wrong::Bmc(Fault::SessionFull),
        "busy" => Wrong::Bmc(Fault::Busy {
            retry_after_s: Some(7),
        }),
        "speaks TLS 1.0 only" => Wrong::Bmc(Fault::OldTls),
        "changed certificate" => Wrong::Bmc(Fault::ChangedCertificate),
        "answers with noise" => Wrong::Bmc(Fault::Garbage { fraction: 1.0 }),
        "breaks off in the middle" => Wrong::Bmc(Fault::ResetMidBody { fraction: 1.0 }),
        "does not know the state" => Wrong::Bmc(Fault::WrongState {
            reports: Claim::Unknown,
        }),
        other => panic!("docs/bad-bmcs.md has the case `{other}`, which this test cannot play"),
    }
}

/// Case, protocol and words of each row of the first table.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let table = TABLE.split("\n## ").nth(1).expect("the first section");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let mut next = || cells.next().expect("a cell");
        (next(), next(), next().trim_matches('`'))
    })
    .collect()
}

struct Bench {
    farm: Farm,
    ipmi: IpmiClient,
    ca: std::path::PathBuf,
}

impl Bench {
    async fn new(dir: &Path) -> Self {
        let ca = dir.join("ca.pem");
        let any = Layout::Ports {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            first: 0,
        };
        let config = FarmConfig {
            both: 1,
            ipmi_layout: any,
            redfish_layout: any,
            ca_file: Some(ca.clone()),
            personalities: vec![&personality::IDRAC],
            ..FarmConfig::default()
        };
        let farm = Farm::start(config).await.unwrap();
        Self {
            farm,
            ipmi: client(),
            ca,
        }
    }

    /// What a read says under these circumstances.
    async fn read(&self, protocol: &str, wrong: &Wrong) -> BmcError {
        let budget = match wrong {
            Wrong::Bmc(Fault::Silent | Fault::Garbage { .. }) | Wrong::Address => SHORT,
            _ => BUDGET,
        };
        let password = if matches!(wrong, Wrong::Password) {
            "outdated"
        } else {
            "password"
        };
        let node = NodeId(Uuid::nil());
        let mut info = Map::new();
        if protocol == "ipmi" {
            let mut at = self.farm.machine(0).unwrap().ipmi.unwrap();
            if matches!(wrong, Wrong::Address) {
                at.set_ip(IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)));
            }
            info.insert("ipmi_address".into(), at.ip().to_string().into());
            info.insert("ipmi_port".into(), at.port().into());
            info.insert("ipmi_username".into(), "admin".into());
            info.insert("ipmi_password".into(), password.into());
            let target = Arc::new(ipmi::parse(node, &info).unwrap());
            return self
                .ipmi
                .power_state(&target, budget)
                .await
                .expect_err("a bad BMC");
        }
        let mut address = self.farm.machine(0).unwrap().redfish.unwrap();
        if matches!(wrong, Wrong::Address) {
            address = "https://127.9.9.9:9".into();
        }
        info.insert("redfish_address".into(), address.into());
        info.insert("redfish_username".into(), "admin".into());
        info.insert("redfish_password".into(), password.into());
        info.insert("redfish_auth_type".into(), "session".into());
        info.insert(
            "redfish_verify_ca".into(),
            Value::String(self.ca.display().to_string()),
        );
        let target = Arc::new(redfish::parse(node, &info).unwrap());
        let client = RedfishClient::new(RedfishConfig::default());
        client
            .power_state(&target, budget)
            .await
            .expect_err("a bad BMC")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_bmc_is_answered_in_the_words_of_the_table() {
    let dir = tempfile::tempdir().unwrap();
    let rows = rows();
    assert!(rows.len() >= 15, "{} rows", rows.len());
    for (case, protocol, words) in rows {
        let bench = Bench::new(dir.path()).await;
        let wrong = wrong(case);
        match &wrong {
            Wrong::Bmc(fault) => bench.farm.inject(0, *fault).unwrap(),
            Wrong::Locked => {
                let fault = Fault::Lockout {
                    after: 1,
                    for_ms: 60_000,
                };
                bench.farm.inject(0, fault).unwrap();
                bench.read(protocol, &Wrong::Password).await;
            }
            Wrong::Password | Wrong::Address => {}
        }
        let error = bench.read(protocol, &wrong).await.to_string();
        assert!(error.contains(words), "{case} ({protocol}): {error}");
        assert!(!error.contains("outdated"), "a secret in: {error}");
    }
}
