//! Power commands: which reset is asked for, and what refusals mean.

use super::fake::{FakeBmc, error, error_body};
use super::server::{Reply, Server};
use super::{BUDGET, PASSWORD, client, target};
use baton_model::port::bmc::{BmcError, PowerAction, PowerReading};
use serde_json::json;

/// Runs one action against a BMC and gives back the outcome and the resets that arrived.
async fn run(bmc: &FakeBmc, action: PowerAction) -> (Result<(), BmcError>, Vec<String>) {
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    let result = client.power_action(&target, action, BUDGET).await;
    let resets = std::mem::take(&mut bmc.state().resets);
    (result, resets)
}

#[tokio::test]
async fn every_action_asks_for_its_reset() {
    for (action, word) in [
        (PowerAction::On, "On"),
        (PowerAction::Off, "ForceOff"),
        (PowerAction::SoftOff, "GracefulShutdown"),
        (PowerAction::Reset, "ForceRestart"),
        (PowerAction::Cycle, "ForceRestart"),
        (PowerAction::SoftReset, "GracefulRestart"),
        (PowerAction::Nmi, "Nmi"),
    ] {
        let (result, resets) = run(&FakeBmc::new(), action).await;
        assert_eq!(result, Ok(()), "{action}");
        assert_eq!(resets, [word], "{action}");
    }
}

#[tokio::test]
async fn substitutes_follow_the_allowed_values() {
    for (allowed, action, word) in [
        (
            vec!["ForceOn", "PushPowerButton"],
            PowerAction::On,
            "ForceOn",
        ),
        (
            vec!["PowerCycle", "ForceOff"],
            PowerAction::Reset,
            "PowerCycle",
        ),
        (
            vec!["PowerCycle", "ForceRestart"],
            PowerAction::Cycle,
            "PowerCycle",
        ),
    ] {
        for in_action_info in [false, true] {
            let bmc = FakeBmc::new();
            {
                let mut state = bmc.state();
                state.allowed = Some(allowed.clone());
                state.allowed_in_action_info = in_action_info;
            }
            let (result, resets) = run(&bmc, action).await;
            assert_eq!(result, Ok(()));
            assert_eq!(resets, [word]);
        }
    }
}

#[tokio::test]
async fn the_button_is_pressed_only_where_it_does_what_is_wanted() {
    let bmc = FakeBmc::new();
    bmc.state().allowed = Some(vec!["PushPowerButton"]);
    let (result, resets) = run(&bmc, PowerAction::On).await;
    assert_eq!((result, resets.len()), (Ok(()), 0), "it is on already");
    bmc.state().power = json!("Off");
    let (result, resets) = run(&bmc, PowerAction::On).await;
    assert_eq!(result, Ok(()));
    assert_eq!(resets, ["PushPowerButton"]);
    bmc.state().power = json!(null);
    let (result, resets) = run(&bmc, PowerAction::On).await;
    assert!(
        matches!(result, Err(BmcError::Declined { .. })),
        "{result:?}"
    );
    assert!(resets.is_empty());
    let (result, resets) = run(&bmc, PowerAction::Off).await;
    assert!(
        matches!(result, Err(BmcError::Unsupported { .. })),
        "{result:?}"
    );
    assert!(resets.is_empty(), "a press is no hard off");
}

#[tokio::test]
async fn the_vendor_is_known_by_its_root_and_else_by_the_machines_maker() {
    for (root, maker, pressed) in [
        (json!({"Vendor": "HPE"}), "ACME", true),
        (json!({"Oem": {"Hpe": {}}}), "ACME", true),
        (json!({}), "HPE", true),
        // An OpenBMC in a server of HPE's is an OpenBMC.
        (json!({"Vendor": "OpenBMC"}), "HPE", false),
        (json!({"Vendor": "Unheard-of"}), "ACME", false),
    ] {
        let bmc = FakeBmc::new();
        {
            let mut state = bmc.state();
            (state.root, state.manufacturer) = (root.clone(), maker);
            state.allowed = Some(vec!["ForceOff", "PushPowerButton"]);
        }
        let (result, resets) = run(&bmc, PowerAction::SoftOff).await;
        assert_eq!(result.is_ok(), pressed, "{root} {maker}: {result:?}");
        assert_eq!(resets.len(), usize::from(pressed), "{root} {maker}");
    }
}

#[tokio::test]
async fn on_means_nothing_right_after_a_restart_was_taken() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    let read = async || client.power_state(&target, BUDGET).await;
    for action in [PowerAction::Reset, PowerAction::SoftReset] {
        assert_eq!(client.power_action(&target, action, BUDGET).await, Ok(()));
        assert_eq!(read().await, Ok(PowerReading::PoweringOn), "{action}");
    }
    bmc.state().power = json!("Off");
    assert_eq!(read().await, Ok(PowerReading::Off), "off is off");
    bmc.state().power = json!("On");
    assert_eq!(
        client.power_action(&target, PowerAction::On, BUDGET).await,
        Ok(())
    );
    assert_eq!(
        read().await,
        Ok(PowerReading::On),
        "another command ends the wait"
    );
}

#[tokio::test]
async fn a_bmc_that_is_not_ready_is_busy_whatever_it_was_asked() {
    let id = "IDRAC.1.6.SWC0700";
    let server = Server::plain(move |_| error(400, id, "iDRAC is not ready.")).await;
    let (client, target) = (
        client(),
        target(&server.origin, json!({"redfish_auth_type": "basic"})),
    );
    let error = client.power_state(&target, BUDGET).await.expect_err("busy");
    assert!(matches!(error, BmcError::Busy { .. }), "{error}");
    assert!(error.to_string().contains("SWC0700"), "{error}");
}

#[tokio::test]
async fn an_action_that_is_not_allowed_names_what_is() {
    let bmc = FakeBmc::new();
    bmc.state().allowed = Some(vec!["On", "ForceOff"]);
    let (result, resets) = run(&bmc, PowerAction::Nmi).await;
    let error = result.expect_err("unsupported");
    assert!(
        error.to_string().contains("[On, ForceOff]") && error.to_string().contains("[Nmi]"),
        "{error}"
    );
    assert!(resets.is_empty());
}

#[tokio::test]
async fn without_allowed_values_unknown_words_are_replaced() {
    let bmc = FakeBmc::new();
    {
        let mut state = bmc.state();
        state.allowed = None;
        state.power = json!("Off");
        state.reset_answer = Some((
            400,
            error_body("Base.1.8.ActionParameterValueNotInList", "no such word"),
        ));
    }
    let (result, resets) = run(&bmc, PowerAction::Reset).await;
    assert!(
        matches!(result, Err(BmcError::Declined { .. })),
        "{result:?}"
    );
    assert_eq!(resets, ["ForceRestart", "PowerCycle"]);
}

#[tokio::test]
async fn a_machine_that_is_there_already_is_no_failure() {
    for status in [400, 409] {
        let bmc = FakeBmc::new();
        bmc.state().reset_answer = Some((status, error_body("X.1.0.Whatever", "no")));
        assert_eq!(run(&bmc, PowerAction::On).await.0, Ok(()));
        bmc.state().power = json!("Off");
        assert_eq!(run(&bmc, PowerAction::Off).await.0, Ok(()));
        assert_eq!(run(&bmc, PowerAction::SoftOff).await.0, Ok(()));
        let result = run(&bmc, PowerAction::On).await.0;
        assert!(
            matches!(result, Err(BmcError::Declined { .. })),
            "{result:?}"
        );
        bmc.state().power = json!(null);
        bmc.state().reset_answer =
            Some((status, error_body("X.1.0.Whatever", "Host is powered off.")));
        assert_eq!(run(&bmc, PowerAction::Off).await.0, Ok(()));
        let result = run(&bmc, PowerAction::On).await.0;
        assert!(
            matches!(result, Err(BmcError::Declined { .. })),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_busy_bmc_is_busy_whatever_the_status() {
    for (status, id) in [
        (409, "Base.1.8.ActionParameterValueConflict"),
        (400, "iLO.2.14.InvalidOperationForSystemState"),
        (500, "IDRAC.2.4.SYS518"),
        (503, "X.1.0.Anything"),
    ] {
        let bmc = FakeBmc::new();
        bmc.state().power = json!("Off");
        bmc.state().reset_answer = Some((status, error_body(id, "not now")));
        let (result, resets) = run(&bmc, PowerAction::On).await;
        assert!(
            matches!(result, Err(BmcError::Busy { .. })),
            "{id}: {result:?}"
        );
        assert_eq!(resets.len(), 1, "{id}");
    }
}

#[tokio::test]
async fn a_command_whose_answer_is_lost_is_not_sent_twice() {
    let bmc = FakeBmc::new();
    let handler = bmc.handler();
    let server = Server::plain(move |seen| {
        let reply = handler(seen);
        if seen.path.ends_with("ComputerSystem.Reset") {
            Reply::Last(Vec::new())
        } else {
            reply
        }
    })
    .await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    let error = client
        .power_action(&target, PowerAction::Reset, BUDGET)
        .await
        .expect_err("unknown outcome");
    assert!(
        error.to_string().contains("may have been carried out"),
        "{error}"
    );
    assert_eq!(bmc.state().resets, ["ForceRestart"]);
}

#[tokio::test]
async fn a_warm_command_is_one_post() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    server.take_lines();
    assert_eq!(
        client.power_action(&target, PowerAction::Off, BUDGET).await,
        Ok(())
    );
    assert_eq!(
        server.take_lines(),
        ["POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset"]
    );
    assert_eq!(bmc.state().power, "Off");
}

#[tokio::test]
async fn a_reset_action_that_moved_is_found_again() {
    let bmc = FakeBmc::new();
    let server = Server::plain(bmc.handler()).await;
    let (client, target) = (client(), target(&server.origin, json!({})));
    assert!(client.power_state(&target, BUDGET).await.is_ok());
    {
        let mut state = bmc.state();
        state.system_path = "/redfish/v1/Systems/new";
        state.members = vec!["/redfish/v1/Systems/new"];
    }
    assert_eq!(
        client.power_action(&target, PowerAction::Off, BUDGET).await,
        Ok(())
    );
    assert_eq!(bmc.state().resets, ["ForceOff"]);
}

#[tokio::test]
async fn no_secret_that_a_bmc_repeats_reaches_an_error() {
    let bmc = FakeBmc::new();
    bmc.state().reset_answer = Some((
        400,
        error_body(
            "X.1.0.Rude",
            &format!("password {PASSWORD} and token1 are known to us"),
        ),
    ));
    let (result, _) = run(&bmc, PowerAction::Reset).await;
    let error = result.expect_err("declined");
    let text = format!("{error} {error:?}");
    assert!(
        !text.contains(PASSWORD) && !text.contains("token1"),
        "{text}"
    );
    assert!(text.contains("password *** and *** are known"), "{text}");
}

#[tokio::test]
async fn a_system_without_a_reset_action_says_so() {
    let server = Server::plain(|_| super::fake::json_answer(&json!({"PowerState": "On"}))).await;
    let target = target(
        &server.origin,
        json!({"redfish_username": null, "redfish_system_id": "/s"}),
    );
    let error = client()
        .power_action(&target, PowerAction::Off, BUDGET)
        .await
        .expect_err("unsupported");
    assert!(
        error
            .to_string()
            .contains("The action #ComputerSystem.Reset is missing from the resource /s"),
        "{error}"
    );
}
