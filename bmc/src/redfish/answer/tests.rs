//! The parsers, on what BMCs send and on what they should not.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::hint::black_box;

fn reading(system: &Value) -> Result<PowerReading, String> {
    power_state(system.to_string().as_bytes())
}

#[test]
fn maps_every_power_state_word() {
    for (word, expected) in [
        ("On", PowerReading::On),
        ("Off", PowerReading::Off),
        ("PoweringOn", PowerReading::PoweringOn),
        ("PoweringOff", PowerReading::PoweringOff),
        ("Paused", PowerReading::Unknown),
        ("on", PowerReading::Unknown),
        ("", PowerReading::Unknown),
    ] {
        assert_eq!(
            reading(&json!({"Id": "1", "PowerState": word})),
            Ok(expected)
        );
    }
    assert_eq!(
        power_state(br#" {"PowerState": "\u004f\u006e"}"#),
        Ok(PowerReading::On)
    );
}

#[test]
fn a_power_state_that_is_no_word_is_unknown() {
    for odd in [
        json!(null),
        json!(1),
        json!(-1.5),
        json!(true),
        json!(["On"]),
        json!({"On": 1}),
    ] {
        assert_eq!(
            reading(&json!({"PowerState": odd, "x": 1})),
            Ok(PowerReading::Unknown)
        );
    }
    assert_eq!(reading(&json!({})), Ok(PowerReading::Unknown));
}

#[test]
fn says_what_is_wrong_with_other_answers() {
    for (body, reason) in [
        (&b"<html>login</html>"[..], "HTML"),
        (b"", "empty"),
        (b"[\"On\"]", "not a JSON object"),
        (b"\"On\"", "not a JSON object"),
        (b"{\"PowerState\": \"On\"", "EOF"),
        (b"{\"PowerState\": \"On\"} x", "trailing"),
    ] {
        let error = power_state(body).expect_err("refused");
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn survives_any_depth() {
    let deep = format!(
        "{{\"x\":{}{},\"PowerState\":\"Off\"}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(power_state(deep.as_bytes()), Ok(PowerReading::Off));
    let nested = format!("{{\"PowerState\":{}", "{\"a\":".repeat(100_000));
    assert!(power_state(nested.as_bytes()).is_err());
    assert!(resource(deep.as_bytes()).is_err());
}

#[test]
fn follows_links_on_the_same_bmc_only() {
    let path = |text| link(text).map(|uri| uri.to_string());
    assert_eq!(
        path("/redfish/v1/Systems/1"),
        Some("/redfish/v1/Systems/1".to_owned())
    );
    assert_eq!(
        path("https://elsewhere.example/a?b=c"),
        Some("/a?b=c".to_owned())
    );
    for bad in [
        "",
        "Systems/1",
        "//elsewhere/a",
        "ftp://h/a",
        "https://h",
        "/a b",
        "/a\r\nX: y",
        "/é",
        "/a#b",
    ] {
        assert_eq!(path(bad), None, "{bad}");
    }
    assert_eq!(path(&format!("/{}", "a".repeat(5000))), None);
}

#[test]
fn reads_the_reset_action_wherever_the_values_are() {
    let inline = json!({"Actions": {"#ComputerSystem.Reset": {
        "target": "/r", "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "Suspend", 7],
    }}});
    let action = reset_action(&inline).expect("an action");
    assert_eq!(action.target, "/r");
    assert_eq!(
        action.allowed.map(|set| set.to_string()),
        Some("On, ForceOff".to_owned())
    );
    let elsewhere = json!({"Actions": {"#ComputerSystem.Reset": {
        "target": "/r", "@Redfish.ActionInfo": "/r/info", "ResetType@Redfish.AllowableValues": [],
    }}});
    let action = reset_action(&elsewhere).expect("an action");
    assert_eq!(action.allowed, None);
    assert_eq!(action.action_info.expect("a link"), "/r/info");
    let info = json!({"Parameters": [{"Name": "Other"}, {"Name": "ResetType", "AllowableValues": ["PowerCycle"]}]});
    assert_eq!(
        action_info(&info).map(|set| set.to_string()),
        Some("PowerCycle".to_owned())
    );
    for bad in [
        json!({}),
        json!({"Actions": []}),
        json!({"Actions": {"#ComputerSystem.Reset": {"target": 1}}}),
    ] {
        assert_eq!(reset_action(&bad), None);
    }
}

#[test]
fn shows_the_words_of_an_error_once() {
    let body = json!({"error": {
        "code": "Base.1.7.GeneralError", "message": "A general error has occurred.",
        "@Message.ExtendedInfo": [
            {"MessageId": "IDRAC.2.4.RAC0218", "Message": "The maximum number of user sessions is reached."},
            {"MessageId": "IDRAC.2.4.RAC0218", "Message": 7},
        ],
    }});
    assert_eq!(
        error_words(body.to_string().as_bytes()),
        "Base.1.7.GeneralError: A general error has occurred.: IDRAC.2.4.RAC0218: \
         The maximum number of user sessions is reached."
    );
    assert_eq!(error_words(b"<html>"), "");
    assert_eq!(printable("a\r\nb\u{7}"), "a  b ");
    assert_eq!(printable(&"x".repeat(9999)).chars().count(), 301);
}

fn any_json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("PowerState"),
        Just("Members"),
        Just("@odata.id"),
        Just("Actions"),
        Just("#ComputerSystem.Reset"),
        Just("target"),
        Just("ResetType@Redfish.AllowableValues"),
        Just("error"),
        Just("@Message.ExtendedInfo"),
        Just("Parameters"),
        Just("On"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5).prop_map(|pairs| {
                Value::Object(
                    pairs
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect(),
                )
            }),
        ]
    })
}

/// Runs every parser; a panic is the failure.
fn parse_all(body: &[u8]) {
    let fast = power_state(body);
    black_box(error_words(body));
    if let Ok(value) = resource(body) {
        let slow = value
            .get("PowerState")
            .and_then(Value::as_str)
            .map_or(PowerReading::Unknown, reading_of);
        // A repeated key is refused by one parser and overwritten by the other; both are fine.
        if let Ok(fast) = fast {
            assert_eq!(fast, slow);
        }
        assert!(members(&value).len() <= MEMBERS_MAX);
        black_box((reset_action(&value), action_info(&value)));
        black_box((link_at(&value, "/Systems"), text(&value, "Manufacturer")));
    }
}

proptest! {
    #[test]
    fn no_json_breaks_a_parser(value in any_json()) {
        parse_all(value.to_string().as_bytes());
    }

    #[test]
    fn no_bytes_break_a_parser(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        parse_all(&bytes);
    }

    #[test]
    fn no_truncation_breaks_a_parser(value in any_json(), cut in 0_usize..200) {
        let text = value.to_string();
        parse_all(&text.as_bytes()[..cut.min(text.len())]);
    }

    #[test]
    fn a_link_is_a_safe_path_or_nothing(text in ".{0,60}") {
        if let Some(uri) = link(&text) {
            prop_assert!(uri.scheme().is_none() && uri.authority().is_none());
        }
    }
}
