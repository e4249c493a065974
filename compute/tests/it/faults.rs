//! Each way in which the pair can fail, and what the client makes of it.

use super::{batch, client, section, simulator};
use baton_compute::{ComputeOptions, OptionsError};
use baton_config::sections::NovaSection;
use baton_model::node::power::PowerState;
use baton_model::port::compute::{Compute, ComputeError, ItemResult, ServerPower, Trouble};
use baton_model::secret::Secret;
use std::time::Duration;
use uuid::Uuid;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn trouble<T: std::fmt::Debug>(result: Result<T, ComputeError>) -> Trouble {
    match result {
        Err(ComputeError::Unavailable { trouble, .. }) => trouble,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_batch_is_told_and_each_event_has_its_result() {
    let simulator = simulator().await;
    let client = client(&section(&simulator));
    let results = client.power_update(&batch(1..=3), &|| true).await;
    assert_eq!(results, Ok(vec![ItemResult(200); 3]));
    simulator.fault(|faults| {
        faults.unknown.insert(id(2));
        faults.hostless.insert(id(3));
    });
    let results = client.power_update(&batch(1..=3), &|| true).await;
    assert_eq!(results, Ok([200, 404, 422].map(ItemResult).to_vec()));
    assert_eq!(
        simulator.tokens_issued(),
        1,
        "one token serves many requests"
    );
    simulator.ledger(|ledger| {
        assert_eq!((ledger.events, ledger.repeats, ledger.overlaps), (4, 1, 0));
        assert_eq!(
            ledger.server(id(3)).and_then(|server| server.on),
            Some(true)
        );
    });
    let powers = client.server_power(&[id(1), id(9)]).await;
    let on = ServerPower::Known {
        state: Some(PowerState::On),
        busy: false,
    };
    assert_eq!(powers, Ok(vec![on, ServerPower::Gone]));
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_and_a_second_401_is_a_refusal() {
    let simulator = simulator().await;
    let client = client(&section(&simulator));
    for _ in 0..2 {
        simulator.revoke_tokens();
        let results = client.power_update(&batch([1]), &|| true).await;
        assert_eq!(results, Ok(vec![ItemResult(200)]));
    }
    assert_eq!(simulator.tokens_issued(), 2);
    simulator.fault(|faults| (faults.fail_percent, faults.fail_status) = (100, 401));
    let refused = client.power_update(&batch([1]), &|| true).await;
    assert!(
        matches!(refused, Err(ComputeError::Refused { code: 401, .. })),
        "{refused:?}"
    );
    assert_eq!(simulator.tokens_issued(), 3, "asked for once");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_kept_while_identity_is_down() {
    let simulator = simulator().await;
    // It is renewed after three quarters of its life.
    simulator.fault(|faults| faults.token_life_s = 2);
    let client = client(&section(&simulator));
    let started = tokio::time::Instant::now();
    while simulator.tokens_issued() < 3 {
        let results = client.power_update(&batch([1]), &|| true).await;
        assert_eq!(
            results,
            Ok(vec![ItemResult(200)]),
            "no request meets an old token"
        );
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    simulator.fault(|faults| (faults.identity_down, faults.token_life_s) = (true, 0));
    simulator.revoke_tokens();
    let mut result = client.power_update(&batch([1]), &|| true).await;
    while !matches!(
        &result,
        Err(ComputeError::Unavailable {
            trouble: Trouble::Identity,
            ..
        })
    ) {
        assert!(started.elapsed() < Duration::from_secs(60), "{result:?}");
        result = client.power_update(&batch([1]), &|| true).await;
    }
    simulator.fault(|faults| faults.identity_down = false);
    let results = client.power_update(&batch([1]), &|| true).await;
    assert_eq!(results, Ok(vec![ItemResult(200)]));
}

#[tokio::test]
async fn troubles_are_told_apart_and_nothing_leaves_that_may_not() {
    let simulator = simulator().await;
    let mut nova = section(&simulator);
    let usual = client(&nova);
    assert_eq!(
        usual.power_update(&batch([1]), &|| false).await,
        Err(ComputeError::Withheld)
    );
    assert_eq!(simulator.ledger(|ledger| ledger.requests), 0);

    simulator.fault(|faults| faults.lose_answers_percent = 100);
    let lost = usual.power_update(&batch([1]), &|| true).await;
    assert_eq!(trouble(lost), Trouble::Reset);
    assert_eq!(
        simulator.ledger(|ledger| ledger.events),
        1,
        "it was taken all the same"
    );

    for (status, label) in [
        (503, "HTTP 503"),
        (429, "HTTP 429"),
        (500, "HTTP 500"),
        (403, "HTTP 403"),
    ] {
        simulator.fault(|faults| {
            faults.lose_answers_percent = 0;
            (faults.fail_percent, faults.fail_status) = (100, status);
            faults.retry_after_s = Some(9);
        });
        let error = usual.power_update(&batch([1]), &|| true).await.unwrap_err();
        assert_eq!(error.label(), label);
        if let ComputeError::Unavailable { retry_after, .. } = error {
            assert_eq!(retry_after, Some(Duration::from_secs(9)));
        }
    }

    nova.timeout = Duration::from_millis(300);
    let hasty = client(&nova);
    simulator.fault(|faults| (faults.fail_percent, faults.latency_ms) = (0, 60_000));
    assert_eq!(
        trouble(hasty.power_update(&batch([1]), &|| true).await),
        Trouble::Timeout
    );
    simulator.fault(|faults| (faults.down, faults.latency_ms) = (true, 0));
    assert_eq!(
        trouble(usual.power_update(&batch([1]), &|| true).await),
        Trouble::Reset
    );
    drop(simulator);
    let gone = client(&nova).power_update(&batch([1]), &|| true).await;
    assert_eq!(trouble(gone), Trouble::Identity);
}

#[tokio::test]
async fn other_methods_and_an_address_of_its_own_work_too() {
    let simulator = simulator().await;
    let base = format!("http://{}/compute/v2.1", simulator.address());
    let password = section(&simulator);
    let secret = Some(Secret::new("password".to_owned()));
    let credential = NovaSection {
        auth_type: Some("v3applicationcredential".into()),
        application_credential_id: Some("baton".into()),
        application_credential_secret: secret,
        endpoint_override: Some(base.clone()),
        ..password.clone()
    };
    let token = NovaSection {
        auth_type: Some("v3token".into()),
        token: Some(Secret::new("token-0".to_owned())),
        auth_url: Some(format!("{}/v3/", simulator.auth_url())),
        ..password.clone()
    };
    for nova in [credential, token] {
        let results = client(&nova).power_update(&batch([1]), &|| true).await;
        assert_eq!(results, Ok(vec![ItemResult(200)]));
    }
    let wrong = NovaSection {
        password: Some(Secret::new("wrong-secret".to_owned())),
        ..password.clone()
    };
    let refused = client(&wrong).power_update(&batch([1]), &|| true).await;
    let text = format!("{refused:?}");
    assert!(
        text.contains("401") && !text.contains("wrong-secret"),
        "{text}"
    );
    let elsewhere = NovaSection {
        region_name: Some("RegionTwo".into()),
        ..password
    };
    let refused = client(&elsewhere).power_update(&batch([1]), &|| true).await;
    assert!(
        format!("{refused:?}").contains("in region RegionTwo"),
        "{refused:?}"
    );
}

#[test]
fn options_that_do_not_go_together_are_named_and_a_missing_section_is_quiet() {
    let options = |nova: NovaSection| ComputeOptions::from_section(&nova);
    assert!(options(NovaSection::default()).unwrap().is_none());
    let off = NovaSection {
        send_power_notifications: false,
        auth_type: Some("password".into()),
        ..NovaSection::default()
    };
    assert!(options(off).unwrap().is_none());
    let half = NovaSection {
        auth_type: Some("password".into()),
        ..NovaSection::default()
    };
    let error = options(half).unwrap_err();
    assert!(
        matches!(
            error,
            OptionsError::Missing {
                option: "password",
                ..
            }
        ),
        "{error}"
    );
    let odd = NovaSection {
        auth_type: Some("v3kerberos".into()),
        ..NovaSection::default()
    };
    assert!(options(odd).unwrap_err().to_string().contains("v3kerberos"));
    let relative = NovaSection {
        auth_type: Some("none".into()),
        endpoint_override: Some("nova:8774".into()),
        ..NovaSection::default()
    };
    assert!(matches!(
        options(relative).unwrap_err(),
        OptionsError::Address { .. }
    ));
}
