//! Tests of the simulated Redfish face, without sockets.

use super::message::Request;
use crate::sim::Account;
use crate::sim::bmc::{Blueprint, Bmc, Reaction};
use crate::sim::core::Limits;
use crate::sim::fault::Fault;
use crate::sim::journal::Via;
use crate::sim::machine::Timing;
use crate::sim::redfish::message::Answer;
use crate::sim::redfish::personality::{ALL, GENERIC, IDRAC, ILO, Personality};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use baton_model::env::Mono;
use hyper::Method;
use serde_json::Value;
use std::time::Duration;

fn bmc(personality: &'static Personality) -> Bmc {
    Bmc::new(
        7,
        &Blueprint {
            accounts: [Account::administrator("admin", "secret")].into(),
            kg: None,
            personality,
            limits: Limits {
                redfish_sessions_max: 2,
                redfish_idle: Duration::from_millis(1000),
                ..Limits::default()
            },
            timing: Timing::INSTANT,
            on: true,
            journal_room: 16,
            seed: 1,
        },
    )
}

const AT: Mono = Mono(10);

fn ask(
    bmc: &mut Bmc,
    now: Mono,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &str,
) -> Answer {
    let request = Request {
        method: &method,
        prefix: "",
        path,
        token,
        authorization: None,
        if_match: None,
        if_none_match: None,
        body: body.as_bytes(),
        remote: None,
    };
    let Reaction::Answer(answer, _) = bmc.request(now, &request) else {
        panic!("no answer");
    };
    answer
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn login(bmc: &mut Bmc, now: Mono) -> Answer {
    let body = r#"{"UserName":"admin","Password":"secret"}"#;
    ask(
        bmc,
        now,
        Method::POST,
        "/redfish/v1/SessionService/Sessions",
        None,
        body,
    )
}

#[test]
fn every_link_of_every_personality_leads_somewhere() {
    for personality in ALL {
        let mut bmc = bmc(personality);
        let token = login(&mut bmc, AT).token.unwrap();
        let mut todo = vec!["/redfish/v1/".to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = todo.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let answer = ask(&mut bmc, AT, Method::GET, &path, Some(&token), "");
            assert_eq!(answer.status, 200, "{} {path}", personality.name);
            links(&json(&answer), &mut todo);
        }
        assert!(seen.len() >= 9, "{seen:?}");
    }
}

fn links(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("@odata.id", Value::String(path)) => found.push(path.clone()),
                    _other => links(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| links(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn a_reset_of_each_kind_does_what_it_says() {
    let mut bmc = bmc(&GENERIC);
    let token = login(&mut bmc, AT).token.unwrap();
    let system = "/redfish/v1/Systems/1";
    for (reset, state) in [
        ("ForceOff", "Off"),
        ("On", "On"),
        ("GracefulShutdown", "Off"),
        ("On", "On"),
        ("ForceRestart", "On"),
        ("PowerCycle", "On"),
    ] {
        let body = format!(r#"{{"ResetType":"{reset}"}}"#);
        let path = format!("{system}/Actions/ComputerSystem.Reset");
        let answer = ask(&mut bmc, AT, Method::POST, &path, Some(&token), &body);
        assert_eq!(answer.status, 204, "{reset}");
        let shown = json(&ask(&mut bmc, AT, Method::GET, system, Some(&token), ""));
        assert_eq!(shown["PowerState"], state, "{reset}");
    }
    let journal = bmc.core.machine.journal(AT);
    assert_eq!(journal.edges(), 7);
    let (entry, _) = journal.kept_edges().next().unwrap();
    assert_eq!(entry.origin.via, Via::Redfish);
    assert_eq!(entry.origin.user.as_deref(), Some("admin"));
    assert!(entry.origin.session.is_some());
}

#[test]
fn vendors_word_their_refusals() {
    for (personality, path, status, words) in [
        (
            &IDRAC,
            "/redfish/v1/Systems/System.Embedded.1",
            409,
            "PSU501",
        ),
        (
            &ILO,
            "/redfish/v1/Systems/1",
            400,
            "InvalidOperationForSystemState",
        ),
    ] {
        let mut bmc = bmc(personality);
        let token = login(&mut bmc, AT).token.unwrap();
        let path = format!("{path}/Actions/ComputerSystem.Reset");
        let answer = ask(
            &mut bmc,
            AT,
            Method::POST,
            &path,
            Some(&token),
            r#"{"ResetType":"On"}"#,
        );
        assert_eq!(answer.status, status);
        assert!(String::from_utf8(answer.body).unwrap().contains(words));
    }
}

#[test]
fn sessions_are_bounded_expire_and_end() {
    let mut bmc = bmc(&IDRAC);
    let first = login(&mut bmc, AT);
    assert_eq!(first.status, 201);
    login(&mut bmc, AT);
    let full = login(&mut bmc, AT);
    assert_eq!(full.status, 503);
    assert!(String::from_utf8(full.body).unwrap().contains("RAC0218"));

    let (place, token) = (first.location.unwrap(), first.token.unwrap());
    let gone = ask(&mut bmc, AT, Method::DELETE, &place, Some(&token), "");
    assert_eq!(gone.status, 204);
    let refused = ask(
        &mut bmc,
        AT,
        Method::GET,
        "/redfish/v1/Systems",
        Some(&token),
        "",
    );
    assert_eq!(refused.status, 401);

    let token = login(&mut bmc, AT).token.unwrap();
    let late = Mono(2000);
    let refused = ask(
        &mut bmc,
        late,
        Method::GET,
        "/redfish/v1/Systems",
        Some(&token),
        "",
    );
    assert_eq!(refused.status, 401, "idle for longer than its life");
    assert_eq!(bmc.core.counters.sessions_expired, 2);
}

#[test]
fn basic_credentials_are_checked_and_locked_out() {
    let mut bmc = bmc(&GENERIC);
    bmc.inject(
        AT,
        Fault::Lockout {
            after: 2,
            for_ms: 100,
        },
    );
    let mut read = |now: u64, password: &str| {
        let authorization = format!(
            "Basic {}",
            BASE64_STANDARD.encode(format!("admin:{password}"))
        );
        let request = Request {
            method: &Method::GET,
            prefix: "",
            path: "/redfish/v1/Systems/1",
            token: None,
            authorization: Some(&authorization),
            if_match: None,
            if_none_match: None,
            body: b"",
            remote: None,
        };
        let Reaction::Answer(answer, _) = bmc.request(Mono(now), &request) else {
            panic!("no answer");
        };
        answer.status
    };
    assert_eq!(read(10, "secret"), 200);
    assert_eq!(read(11, "wrong"), 401);
    assert_eq!(read(12, "wrong"), 401);
    assert_eq!(read(13, "secret"), 401, "locked");
    assert_eq!(
        read(112, "secret"),
        401,
        "still locked: the last try re-armed it"
    );
    assert_eq!(read(213, "secret"), 200);
}

#[test]
fn the_boot_override_asks_for_a_fitting_etag() {
    let mut bmc = bmc(&GENERIC);
    let token = login(&mut bmc, AT).token.unwrap();
    let path = "/redfish/v1/Systems/1";
    let etag = ask(&mut bmc, AT, Method::GET, path, Some(&token), "")
        .etag
        .unwrap();
    let body = br#"{"Boot":{"BootSourceOverrideTarget":"Pxe","BootSourceOverrideEnabled":"Once"}}"#;
    let mut patch = |if_match: &str, body: &[u8]| {
        let request = Request {
            method: &Method::PATCH,
            prefix: "",
            path,
            token: Some(&token),
            authorization: None,
            if_match: Some(if_match),
            if_none_match: None,
            body,
            remote: None,
        };
        let Reaction::Answer(answer, _) = bmc.request(AT, &request) else {
            panic!("no answer");
        };
        answer.status
    };
    assert_eq!(patch("\"other\"", body), 412);
    assert_eq!(patch(&etag, body), 204);
    assert_eq!(patch(&etag, body), 412, "the first patch changed it");
    assert_eq!(
        patch("*", br#"{"Boot":{"BootSourceOverrideTarget":"Tape"}}"#),
        400
    );
    assert_eq!(patch("*", b"nonsense"), 400);
    let shown = json(&ask(&mut bmc, AT, Method::GET, path, Some(&token), ""));
    assert_eq!(shown["Boot"]["BootSourceOverrideTarget"], "Pxe");
}

#[test]
fn a_busy_bmc_names_the_time_to_come_back() {
    let mut bmc = bmc(&IDRAC);
    bmc.inject(
        AT,
        Fault::Busy {
            retry_after_s: Some(7),
        },
    );
    let answer = login(&mut bmc, AT);
    assert_eq!((answer.status, answer.retry_after_s), (503, Some(7)));
}

#[test]
fn nonsense_gets_a_status_and_no_panic() {
    let mut bmc = bmc(&GENERIC);
    let token = login(&mut bmc, AT).token.unwrap();
    for (method, path, body, status) in [
        (Method::GET, "/", "", 404),
        (Method::GET, "/redfish/v2", "", 404),
        (Method::GET, "/redfish/v1/Systems/2", "", 404),
        (Method::GET, "/redfish/v1/Systems/1/x/y/z/a", "", 404),
        (Method::DELETE, "/redfish/v1/Systems/1", "", 405),
        (
            Method::POST,
            "/redfish/v1/SessionService/Sessions",
            "{",
            400,
        ),
        (
            Method::POST,
            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "[1]",
            400,
        ),
        (
            Method::POST,
            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            r#"{"ResetType":"Explode"}"#,
            400,
        ),
    ] {
        let answer = ask(&mut bmc, AT, method, path, Some(&token), body);
        assert_eq!(answer.status, status, "{path} {body}");
    }
}
