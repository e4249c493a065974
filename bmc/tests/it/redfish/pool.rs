//! What is kept per BMC is bounded and ends.

use super::fake::FakeBmc;
use super::server::Server;
use super::{BUDGET, target, until};
use baton_bmc::redfish::{RedfishClient, RedfishConfig};
use baton_model::driver::redfish::RedfishTarget;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

async fn farm(count: usize) -> Vec<(FakeBmc, Server, Arc<RedfishTarget>)> {
    let mut farm = Vec::new();
    for _ in 0..count {
        let bmc = FakeBmc::new();
        let server = Server::plain(bmc.handler()).await;
        let target = target(&server.origin, json!({}));
        farm.push((bmc, server, target));
    }
    farm
}

#[tokio::test]
async fn open_connections_stay_within_their_limit() {
    let client = RedfishClient::new(RedfishConfig {
        connections_max: 3,
        ..RedfishConfig::default()
    });
    let farm = farm(10).await;
    for _ in 0..3 {
        for (_, _, target) in &farm {
            assert!(client.power_state(target, BUDGET).await.is_ok());
            assert!(client.stats().connections_open <= 3);
        }
    }
    let logins = client.stats().logins;
    assert_eq!(logins, 10, "sessions outlive connections");
}

#[tokio::test]
async fn idle_connections_are_closed_and_sessions_stay() {
    let client = RedfishClient::new(RedfishConfig {
        connection_idle: Duration::ZERO,
        ..RedfishConfig::default()
    });
    let farm = farm(3).await;
    for _ in 0..2 {
        for (_, _, target) in &farm {
            assert!(client.power_state(target, BUDGET).await.is_ok());
        }
    }
    assert!(client.stats().connections_open <= 2);
    assert_eq!(client.stats().logins, 3);
}

#[tokio::test]
async fn forgotten_bmcs_are_logged_out_of() {
    let client = RedfishClient::new(RedfishConfig {
        target_idle: Duration::ZERO,
        ..RedfishConfig::default()
    });
    let farm = farm(2).await;
    assert!(client.power_state(&farm[0].2, BUDGET).await.is_ok());
    assert!(client.power_state(&farm[1].2, BUDGET).await.is_ok());
    until("the first session is ended", || async {
        farm[0].0.state().sessions.is_empty()
    })
    .await;
    assert_eq!(client.stats().targets, 1);
}

#[tokio::test]
async fn remembered_bmcs_stay_within_their_limit() {
    let client = RedfishClient::new(RedfishConfig {
        targets_max: 4,
        ..RedfishConfig::default()
    });
    let farm = farm(12).await;
    for (_, _, target) in &farm {
        assert!(client.power_state(target, BUDGET).await.is_ok());
        assert!(client.stats().targets <= 4);
    }
    until("the others are logged out of", || async {
        let open: usize = farm
            .iter()
            .map(|(bmc, _, _)| bmc.state().sessions.len())
            .sum();
        open <= 4
    })
    .await;
}

#[tokio::test]
async fn a_bmc_forgotten_in_the_middle_of_a_call_keeps_no_session() {
    let farm = farm(1).await;
    let (bmc, _, target) = &farm[0];
    let client = RedfishClient::new(RedfishConfig::default());
    for _ in 0..20 {
        let (read, ()) = tokio::join!(client.power_state(target, BUDGET), client.forget(target));
        assert!(read.is_ok());
    }
    client.close(BUDGET).await;
    until("no session is left", || async {
        bmc.state().sessions.is_empty()
    })
    .await;
}
