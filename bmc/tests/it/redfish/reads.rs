//! Reading the power state: what is asked, how often, and over how many connections.

use super::fake::{FakeBmc, json_answer};
use super::server::{Reply, Server, answer};
use super::{BUDGET, client, target};
use baton_model::port::bmc::{BmcError, PowerReading};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test]
async fn a_warm_read_is_one_get_on_the_kept_connection() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));

    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    assert_eq!(
        server.take_lines(),
        [
            "GET /redfish/v1/",
            "POST /redfish/v1/SessionService/Sessions",
            "GET /redfish/v1/Systems",
            "GET /redfish/v1/Systems/1",
        ]
    );
    for (word, expected) in [
        ("Off", PowerReading::Off),
        ("PoweringOn", PowerReading::PoweringOn),
        ("PoweringOff", PowerReading::PoweringOff),
        ("Paused", PowerReading::Unknown),
    ] {
        bmc.state().power = json!(word);
        assert_eq!(client.power_state(&target, BUDGET).await, Ok(expected));
        assert_eq!(server.take_lines(), ["GET /redfish/v1/Systems/1"]);
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(client.stats().connections, 1);
}

#[tokio::test]
async fn a_cold_read_with_basic_and_a_known_system_is_one_get() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let target = target(
        &server.origin,
        json!({"redfish_auth_type": "basic", "redfish_system_id": "/redfish/v1/Systems/1"}),
    );
    assert_eq!(
        client().power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    let seen = server.take_seen();
    assert_eq!(seen.len(), 1);
    assert!(
        seen[0]
            .header("authorization")
            .expect("credentials")
            .starts_with("Basic ")
    );
    let host = server.origin.trim_start_matches("http://");
    assert_eq!(seen[0].header("host"), Some(host));
    assert_eq!(seen[0].header("odata-version"), Some("4.0"));
}

#[tokio::test]
async fn a_connection_that_the_bmc_closed_meanwhile_is_replaced_silently() {
    let bmc = FakeBmc::new();
    let handler = bmc.handler();
    // Every answer is complete and followed by the end of the connection, unannounced.
    let server = Server::plain(move |seen| match handler(seen) {
        Reply::Bytes(bytes) => Reply::Last(bytes),
        other @ (Reply::Last(_) | Reply::Hang | Reply::Drip(_)) => other,
    })
    .await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    for _ in 0..5 {
        assert_eq!(
            client.power_state(&target, BUDGET).await,
            Ok(PowerReading::On)
        );
    }
    assert_eq!(
        server.connections(),
        8,
        "four requests to begin with, then one per read"
    );
}

#[tokio::test]
async fn an_announced_close_is_heeded() {
    let server = Server::plain(|_| {
        let body = json!({"PowerState": "Off"}).to_string();
        answer(200, &[("Connection", "close")], &body)
    })
    .await;
    let target = target(
        &server.origin,
        json!({"redfish_username": null, "redfish_system_id": "/s"}),
    );
    let client = client();
    for _ in 0..3 {
        assert_eq!(
            client.power_state(&target, BUDGET).await,
            Ok(PowerReading::Off)
        );
    }
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn the_system_must_be_the_only_one() {
    let bmc = FakeBmc::new();
    bmc.state().members = vec!["/redfish/v1/Systems/1", "/redfish/v1/Systems/2"];
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    let error = client
        .power_state(&target, BUDGET)
        .await
        .expect_err("ambiguous");
    assert!(matches!(error, BmcError::Misconfigured { .. }));
    let text = error.to_string();
    assert!(
        text.contains(
            "Failed at determining default for \"ComputerSystem\": System count is not exactly one"
        ),
        "{text}"
    );
    assert!(text.contains("/redfish/v1/Systems/2"), "{text}");
    bmc.state().members.clear();
    let error = client
        .power_state(&target, BUDGET)
        .await
        .expect_err("nothing there");
    assert!(
        error
            .to_string()
            .contains("System count is not exactly one"),
        "{error}"
    );
}

#[tokio::test]
async fn a_system_that_moved_is_found_again() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    {
        let mut state = bmc.state();
        state.system_path = "/redfish/v1/Systems/System.Embedded.1";
        state.members = vec!["/redfish/v1/Systems/System.Embedded.1"];
        state.power = json!("Off");
    }
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::Off)
    );
}

#[tokio::test]
async fn a_configured_system_that_is_not_there_is_named() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let target = target(
        &server.origin,
        json!({"redfish_system_id": "/redfish/v1/Systems/9"}),
    );
    let error = client()
        .power_state(&target, BUDGET)
        .await
        .expect_err("not there");
    assert!(matches!(error, BmcError::Misconfigured { .. }));
    assert!(
        error
            .to_string()
            .contains("The Redfish System \"/redfish/v1/Systems/9\" was not found"),
        "{error}"
    );
}

#[tokio::test]
async fn identifies_maker_model_and_firmware() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    let identity = client.identify(&target, BUDGET).await.expect("identified");
    assert_eq!(identity.vendor.as_deref(), Some("ACME"));
    assert_eq!(identity.model.as_deref(), Some("M1"));
    assert_eq!(identity.firmware.as_deref(), Some("7.1"));
}

#[tokio::test]
async fn never_more_than_one_conversation_with_a_bmc() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    let reads = (0..50).map(|_| client.power_state(&target, BUDGET));
    let results = futures_util::future::join_all(reads).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.busiest.load(Ordering::SeqCst), 1);
    assert_eq!(server.connections(), 1);
    assert_eq!(bmc.state().sessions_made, 1);
}

#[tokio::test]
async fn a_call_behind_a_stuck_one_is_told_so_and_a_dropped_call_frees_the_bmc() {
    let stuck = Arc::new(AtomicBool::new(true));
    let hangs = Arc::clone(&stuck);
    let server = Server::plain(move |_| {
        if hangs.load(Ordering::SeqCst) {
            Reply::Hang
        } else {
            json_answer(&json!({"PowerState": "On"}))
        }
    })
    .await;
    let target = target(
        &server.origin,
        json!({"redfish_username": null, "redfish_system_id": "/s"}),
    );
    let client = client();
    let (first, second) = tokio::join!(
        client.power_state(&target, Duration::from_millis(400)),
        client.power_state(&target, Duration::from_millis(100)),
    );
    assert!(
        matches!(first, Err(BmcError::Silent { attempts: 1, .. })),
        "{first:?}"
    );
    assert!(matches!(second, Err(BmcError::Busy { .. })), "{second:?}");
    stuck.store(false, Ordering::SeqCst);
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    assert_eq!(
        server.connections(),
        2,
        "the connection of the dropped call is not used again"
    );
}

#[tokio::test]
async fn follows_a_redirect_on_the_same_bmc_only() {
    let elsewhere = Server::plain(|_| json_answer(&json!({"PowerState": "On"}))).await;
    let away = elsewhere.origin.clone();
    let server = Server::plain(move |seen| match seen.path.as_str() {
        "/s" => answer(308, &[("Location", "/moved")], ""),
        "/moved" => json_answer(&json!({"PowerState": "Off"})),
        "/away" => answer(301, &[("Location", &format!("{away}/s"))], ""),
        _ => answer(302, &[("Location", &seen.path)], ""),
    })
    .await;
    let client = client();
    let to = |id: &str| {
        target(
            &server.origin,
            json!({"redfish_auth_type": "basic", "redfish_system_id": id}),
        )
    };
    assert_eq!(
        client.power_state(&to("/s"), BUDGET).await,
        Ok(PowerReading::Off)
    );
    for id in ["/away", "/loop"] {
        let error = client
            .power_state(&to(id), BUDGET)
            .await
            .expect_err("not followed");
        assert!(matches!(error, BmcError::Misconfigured { .. }), "{error}");
        assert!(error.to_string().contains("redfish_address"), "{error}");
    }
    assert_eq!(
        elsewhere.connections(),
        0,
        "credentials must not go to another host"
    );
}

#[tokio::test]
async fn insists_less_on_identity_encoding_where_that_is_refused() {
    let server = Server::plain(|seen| {
        if seen.header("accept-encoding").is_some() {
            answer(406, &[], "")
        } else {
            json_answer(&json!({"PowerState": "On"}))
        }
    })
    .await;
    let target = target(
        &server.origin,
        json!({"redfish_username": null, "redfish_system_id": "/s"}),
    );
    let client = client();
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    assert_eq!(server.take_lines().len(), 3);
}
