//! Sessions, basic, and what happens when they end or are refused.

use super::fake::FakeBmc;
use super::server::{Server, answer};
use super::{BUDGET, PASSWORD, client, target};
use baton_model::port::bmc::{BmcError, PowerAction, PowerReading};
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn an_expired_session_is_renewed_once_and_unnoticed() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    server.take_lines();
    bmc.state().sessions.clear();
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
    assert_eq!(
        server.take_lines(),
        [
            "GET /redfish/v1/Systems/1",
            "POST /redfish/v1/SessionService/Sessions",
            "GET /redfish/v1/Systems/1",
        ]
    );
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_storm_of_401_ends_after_one_new_login() {
    let bmc = FakeBmc::new();
    let handler = bmc.handler();
    let server = Server::plain(move |seen| {
        if seen.path == "/redfish/v1/Systems/1" {
            answer(401, &[], "")
        } else {
            handler(seen)
        }
    })
    .await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    let error = client
        .power_state(&target, BUDGET)
        .await
        .expect_err("refused");
    assert!(
        matches!(&error, BmcError::Refused { username, .. } if &**username == "admin"),
        "{error}"
    );
    let lines = server.take_lines();
    let logins = lines.iter().filter(|line| line.starts_with("POST")).count();
    assert!(logins <= 2, "{lines:?}");
    assert!(lines.len() <= 7, "{lines:?}");
}

#[tokio::test]
async fn wrong_credentials_cost_as_few_tries_as_possible() {
    for (auth, tries) in [("session", 1), ("basic", 1), ("auto", 2)] {
        let bmc = FakeBmc::new();
        bmc.state().password = "changed".to_owned();
        let server = Server::plain(bmc.handler()).await;
        let target = target(
            &server.origin,
            json!({"redfish_auth_type": auth, "redfish_system_id": "/redfish/v1/Systems/1"}),
        );
        let error = client()
            .power_state(&target, BUDGET)
            .await
            .expect_err("refused");
        assert!(matches!(error, BmcError::Refused { .. }), "{auth}: {error}");
        assert!(!error.to_string().contains(PASSWORD));
        let seen = server.take_seen();
        let with_credentials = seen
            .iter()
            .filter(|seen| seen.method == "POST" || seen.header("authorization").is_some())
            .count();
        assert_eq!(with_credentials, tries, "{auth}: {seen:?}");
    }
}

#[tokio::test]
async fn auto_settles_on_basic_where_there_are_no_sessions() {
    let bmc = FakeBmc::new();
    bmc.state().offers_sessions = false;
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    server.take_lines();
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    assert_eq!(server.take_lines(), ["GET /redfish/v1/Systems/1"]);
}

#[tokio::test]
async fn session_only_says_what_to_change_where_there_are_no_sessions() {
    let bmc = FakeBmc::new();
    bmc.state().offers_sessions = false;
    let server = Server::plain(bmc.handler()).await;
    let target = target(&server.origin, json!({"redfish_auth_type": "session"}));
    let error = client()
        .power_state(&target, BUDGET)
        .await
        .expect_err("no sessions");
    assert!(
        error.to_string().contains("set redfish_auth_type to basic"),
        "{error}"
    );
}

#[tokio::test]
async fn once_a_session_worked_basic_is_never_tried() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    {
        let mut state = bmc.state();
        state.sessions.clear();
        state.password = "changed".to_owned();
    }
    server.take_lines();
    let error = client
        .power_state(&target, BUDGET)
        .await
        .expect_err("refused");
    assert!(matches!(error, BmcError::Refused { .. }), "{error}");
    let seen = server.take_seen();
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization").is_none()),
        "{seen:?}"
    );
}

#[tokio::test]
async fn a_bmc_out_of_sessions_is_busy_or_read_with_basic_this_once() {
    let bmc = FakeBmc::new();
    bmc.state().sessions_max = 0;
    let server = Server::plain(bmc.handler()).await;
    let strict = target(&server.origin, json!({"redfish_auth_type": "session"}));
    let error = client()
        .power_state(&strict, BUDGET)
        .await
        .expect_err("full");
    assert!(matches!(error, BmcError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("RAC0218"), "{error}");

    let (client, auto) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&auto, BUDGET).await.is_ok());
    bmc.state().sessions_max = 8;
    assert!(client.power_state(&auto, BUDGET).await.is_ok());
    assert_eq!(bmc.state().sessions_made, 1, "a free session is taken up");
}

#[tokio::test]
async fn patience_that_a_bmc_asks_for_is_passed_on() {
    for (status, at) in [
        (503, "/redfish/v1/Systems/1"),
        (429, "/redfish/v1/Systems/1"),
        (503, "/redfish/v1/SessionService/Sessions"),
        (503, "/redfish/v1/"),
    ] {
        let bmc = FakeBmc::new();
        let handler = bmc.handler();
        let server = Server::plain(move |seen| {
            if seen.path == at {
                answer(status, &[("Retry-After", "7")], "")
            } else {
                handler(seen)
            }
        })
        .await;
        let target = target(&server.origin, json!({}));
        let error = client()
            .power_state(&target, BUDGET)
            .await
            .expect_err("busy");
        assert!(
            matches!(error, BmcError::Busy { retry_after: Some(after), .. } if after == Duration::from_secs(7)),
            "{at}: {error}"
        );
    }
}

#[tokio::test]
async fn logs_in_even_where_the_root_is_closed() {
    let bmc = FakeBmc::new();
    bmc.state().root_is_open = false;
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    assert_eq!(bmc.state().sessions_made, 1);
}

#[tokio::test]
async fn forgetting_a_bmc_ends_its_session_and_close_ends_all() {
    let (first, second) = (FakeBmc::new(), FakeBmc::new());
    let servers = [
        Server::plain(first.handler()).await,
        Server::plain(second.handler()).await,
    ];
    let client = client();
    let targets: Vec<_> = servers
        .iter()
        .map(|server| target(&server.origin, json!({})))
        .collect();
    for target in &targets {
        assert!(client.power_state(target, BUDGET).await.is_ok());
    }
    client.forget(&targets[0]).await;
    assert!(first.state().sessions.is_empty());
    assert_eq!(second.state().sessions.len(), 1);
    assert!(client.power_state(&targets[0], BUDGET).await.is_ok());
    assert_eq!(first.state().sessions_made, 2);
    client.close(BUDGET).await;
    assert!(first.state().sessions.is_empty());
    assert!(second.state().sessions.is_empty());
    let stats = client.stats();
    assert_eq!((stats.connections_open, stats.targets), (0, 0));
    assert_eq!((stats.logins, stats.logouts), (3, 3));
}

#[tokio::test]
async fn new_credentials_are_a_new_start() {
    let bmc = FakeBmc::new();
    bmc.state().password = "changed-by-the-operator".to_owned();
    let server = Server::plain(bmc.handler()).await;
    let client = client();
    let old = target(&server.origin, json!({}));
    let new = target(
        &server.origin,
        json!({"redfish_password": "changed-by-the-operator"}),
    );
    assert!(matches!(
        client.power_state(&old, BUDGET).await,
        Err(BmcError::Refused { .. })
    ));
    assert_eq!(client.power_state(&new, BUDGET).await, Ok(PowerReading::On));
}

#[tokio::test]
async fn a_bmc_without_credentials_is_asked_without_any() {
    let server = Server::plain(|seen| {
        assert!(seen.header("authorization").is_none() && seen.header("x-auth-token").is_none());
        answer(401, &[], "")
    })
    .await;
    let target = target(&server.origin, json!({"redfish_username": null}));
    let error = client()
        .power_state(&target, BUDGET)
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("redfish_username is not set"),
        "{error}"
    );
}

#[tokio::test]
async fn a_command_bound_to_a_session_dies_with_it() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let target = target(&server.origin, json!({}));
    let (late, successor) = (client(), client());
    let session = late
        .open_session(&target, BUDGET)
        .await
        .expect("opened")
        .expect("a session");
    let act = async |action| {
        late.power_action_in_session(&target, action, &session, BUDGET)
            .await
    };
    assert_eq!(act(PowerAction::Off).await, Ok(()));
    assert_eq!(
        successor.close_session(&target, &session, BUDGET).await,
        Ok(true)
    );
    assert_eq!(
        successor.close_session(&target, &session, BUDGET).await,
        Ok(false),
        "it is gone"
    );
    for _ in 0..2 {
        let error = act(PowerAction::On).await.expect_err("fenced");
        assert!(matches!(error, BmcError::SessionOver { .. }), "{error}");
    }
    assert_eq!(bmc.state().resets, ["ForceOff"]);
    // Reads, and commands that belong to no session, go on with a new one.
    assert_eq!(
        late.power_state(&target, BUDGET).await,
        Ok(PowerReading::Off)
    );
    assert!(
        act(PowerAction::On).await.is_err(),
        "not on the new session either"
    );
    assert_eq!(
        late.power_action(&target, PowerAction::On, BUDGET).await,
        Ok(())
    );
}

#[tokio::test]
async fn only_sessions_can_be_ended() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let target = target(&server.origin, json!({}));
    for odd in ["/redfish/v1/Systems/1", "", "https://h", "/Sessions/a b"] {
        let result = client().close_session(&target, odd, BUDGET).await;
        assert!(
            matches!(result, Err(BmcError::Misconfigured { .. })),
            "{odd}"
        );
    }
    assert!(server.take_lines().is_empty());
}
