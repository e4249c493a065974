//! Servers that send garbage, too much, too little, too slowly, or nothing. Always a typed error, always in time.

use super::fake::{FakeBmc, json_answer};
use super::server::{Reply, Server};
use super::{BUDGET, client, target};
use baton_bmc::redfish::{RedfishClient, RedfishConfig};
use baton_model::driver::redfish::RedfishTarget;
use baton_model::port::bmc::{BmcError, PowerReading};
use proptest::prelude::*;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn plain_target(server: &Server) -> Arc<RedfishTarget> {
    target(
        &server.origin,
        json!({"redfish_username": null, "redfish_system_id": "/s"}),
    )
}

async fn read_from(
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> Result<PowerReading, BmcError> {
    let server = Server::plain(move |_| reply()).await;
    client().power_state(&plain_target(&server), BUDGET).await
}

fn http(head: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn bad_answers_are_garbled_or_unreachable_never_a_state() {
    let system = r#"{"PowerState": "On"}"#;
    let huge = "x".repeat(300 * 1024);
    let deep = "[".repeat(200_000);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("noise", b"\x00\xff\x17\x03\x03garbage\r\n\r\n".to_vec()),
        ("half a head", b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        ("another protocol", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("a bad status", b"HTTP/1.1 9999 Odd\r\n\r\n".to_vec()),
        ("a short body", http("Content-Length: 500", system)),
        ("a lying length", http("Content-Length: -1", system)),
        (
            "two lengths",
            http("Content-Length: 20\r\nContent-Length: 21", system),
        ),
        ("a huge length", http("Content-Length: 99999999999", system)),
        (
            "a huge body",
            http(&format!("Content-Length: {}", huge.len()), &huge),
        ),
        ("an endless body", http("Connection: close", &huge)),
        (
            "bad chunks",
            http("Transfer-Encoding: chunked", "zz\r\nabc\r\n0\r\n\r\n"),
        ),
        (
            "half a chunk",
            http("Transfer-Encoding: chunked", "ff\r\nabc"),
        ),
        (
            "a huge head",
            http(&format!("X: {huge}\r\nContent-Length: 20"), system),
        ),
        (
            "too many headers",
            http(&format!("{}A: b", "A: b\r\n".repeat(500)), system),
        ),
        ("html", http("Content-Length: 6", "<html>")),
        ("no body", http("Content-Length: 0", "")),
        ("a list", http("Content-Length: 6", "[\"On\"]")),
        ("half JSON", http("Content-Length: 10", "{\"PowerSta")),
        (
            "deep JSON",
            http(&format!("Content-Length: {}", deep.len()), &deep),
        ),
        (
            "an upgrade",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
        ),
    ];
    for (name, bytes) in cases {
        let result = read_from(move || Reply::Last(bytes.clone())).await;
        assert!(
            matches!(
                result,
                Err(BmcError::Garbled { .. }
                    | BmcError::Unreachable { .. }
                    | BmcError::Declined { .. })
            ),
            "{name}: {result:?}"
        );
        let text = result.expect_err("checked").to_string();
        assert!(text.chars().count() < 500, "{name}: {text}");
    }
}

#[tokio::test]
async fn odd_but_legal_answers_are_read() {
    for bytes in [
        b"HTTP/1.0 200 OK\r\n\r\n{\"PowerState\": \"On\"}".to_vec(),
        http(
            "Transfer-Encoding: chunked",
            "5\r\n{\"Pow\r\nf\r\nerState\": \"On\"}\r\n0\r\nX-Trailer: 1\r\n\r\n",
        ),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"PowerState\": \"On\"}".to_vec(),
    ] {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let result = read_from(move || Reply::Last(bytes.clone())).await;
        assert_eq!(result, Ok(PowerReading::On), "{shown}");
    }
}

#[tokio::test]
async fn a_slow_or_silent_bmc_costs_the_budget_and_no_more() {
    let budget = Duration::from_millis(200);
    let drip = Server::plain(|_| Reply::Drip(b"HTTP/1.1 200 OK\r\nX: ".repeat(100))).await;
    let silent = Server::plain(|_| Reply::Hang).await;
    for server in [&drip, &silent] {
        let result = client().power_state(&plain_target(server), budget).await;
        assert!(
            matches!(result, Err(BmcError::Silent { within, attempts: 1, .. }) if within == budget),
            "{result:?}"
        );
    }
    // A listener that accepts nobody: the system completes the handshake, the request is never read.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let origin = format!("http://{}", deaf.local_addr().expect("bound"));
    let target = target(&origin, json!({}));
    let result = client().power_state(&target, budget).await;
    assert!(matches!(result, Err(BmcError::Silent { .. })), "{result:?}");
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_unreachable() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        listener.local_addr().expect("bound").port()
    };
    for origin in [
        format!("http://127.0.0.1:{port}"),
        format!("https://127.0.0.1:{port}"),
        "http://no-such-host.invalid".to_owned(),
    ] {
        let result = client()
            .power_state(&target(&origin, json!({})), BUDGET)
            .await;
        assert!(
            matches!(result, Err(BmcError::Unreachable { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_nobody_asked_for_is_never_taken_for_the_next_one() {
    let answers = Arc::new(Mutex::new(vec!["Off", "On"]));
    let server = Server::plain(move |_| {
        let word = answers.lock().expect("not poisoned").pop();
        let body = json!({"PowerState": word.unwrap_or("Paused")}).to_string();
        let mut bytes = http(&format!("Content-Length: {}", body.len()), &body);
        // A second answer follows at once, as a smuggled or misplaced one would.
        bytes.extend(http("Content-Length: 23", r#"{"PowerState":"Smuggle"}"#));
        Reply::Bytes(bytes)
    })
    .await;
    let (client, target) = (client(), plain_target(&server));
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::Off)
    );
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn server_errors_are_transient_and_other_statuses_are_not() {
    let status =
        |status: u16| read_from(move || super::fake::error(status, "X.1.0.Odd", "some words"));
    let result = status(500).await;
    assert!(
        matches!(&result, Err(BmcError::Garbled { reason, .. }) if reason.contains("HTTP 500") && reason.contains("some words")),
        "{result:?}"
    );
    let result = status(418).await;
    assert!(
        matches!(result, Err(BmcError::Declined { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_bmc_is_well_again_after_any_failure() {
    let bmc = FakeBmc::new();
    let handler = bmc.handler();
    let broken = Arc::new(Mutex::new(None::<Vec<u8>>));
    let breaks = Arc::clone(&broken);
    let server = Server::plain(move |seen| match &*breaks.lock().expect("not poisoned") {
        Some(bytes) => Reply::Last(bytes.clone()),
        None => handler(seen),
    })
    .await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    for bytes in [
        &b""[..],
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n<html>",
    ] {
        *broken.lock().expect("not poisoned") = None;
        assert_eq!(
            client.power_state(&target, BUDGET).await,
            Ok(PowerReading::On)
        );
        *broken.lock().expect("not poisoned") = Some(bytes.to_vec());
        assert!(client.power_state(&target, BUDGET).await.is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_from_a_bmc_break_the_client(
        status in 100_u16..600,
        head in prop::collection::vec("(Location|Retry-After|X-Auth-Token|Connection|Transfer-Encoding|Content-Length): .{0,20}", 0..4),
        body in prop::collection::vec(any::<u8>(), 0..200),
        noise in prop::collection::vec(any::<u8>(), 0..60),
        raw in any::<bool>(),
    ) {
        let mut bytes = format!("HTTP/1.1 {status} X\r\n{}\r\n\r\n", head.join("\r\n")).into_bytes();
        bytes.extend(body);
        if raw {
            bytes = noise;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let server = Server::plain(move |_| Reply::Last(bytes.clone())).await;
            let client = RedfishClient::new(RedfishConfig::default());
            let target = target(&server.origin, json!({}));
            // Whatever it says, it ends and it is no power state made up from noise.
            let result = client.power_state(&target, Duration::from_secs(5)).await;
            assert!(!matches!(result, Err(BmcError::Silent { .. })), "{result:?}");
        });
    }
}

#[tokio::test]
async fn a_system_that_names_itself_as_its_own_members_ends() {
    // Everything is a collection with one member: itself.
    let server = Server::plain(|seen| {
        json_answer(&json!({
            "Systems": {"@odata.id": seen.path}, "Members": [{"@odata.id": seen.path}],
            "Links": {"Sessions": {"@odata.id": seen.path}, "ManagedBy": [{"@odata.id": seen.path}]},
        }))
    })
    .await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::Unknown)
    );
    assert!(client.identify(&target, BUDGET).await.is_ok());
}
