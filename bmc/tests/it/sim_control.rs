//! The control endpoint: what it shows, what it changes, and how it refuses.

use baton_bmc::sim::{Farm, FarmConfig, Layout};
use baton_model::env::Mono;
use baton_model::port::bmc::PowerReading;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

async fn farm() -> Farm {
    let config = FarmConfig {
        ipmi: 4,
        redfish: 3,
        both: 1,
        ipmi_layout: Layout::Addresses {
            first: Ipv4Addr::new(127, 1, 0, 1),
            port: 0,
        },
        redfish_layout: Layout::Paths {
            at: (Ipv4Addr::LOCALHOST, 0).into(),
        },
        control: Some((Ipv4Addr::LOCALHOST, 0).into()),
        ..FarmConfig::default()
    };
    Farm::start(config).await.unwrap()
}

async fn call(farm: &Farm, method: Method, path: &str, body: Value) -> (u16, Value) {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}{path}", farm.control().unwrap()))
        .body(Full::from(body))
        .unwrap();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

async fn get(farm: &Farm, path: &str) -> Value {
    let (status, body) = call(farm, Method::GET, path, Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

#[tokio::test]
async fn machines_are_listed_by_page_and_shown() {
    let farm = farm().await;
    let page = get(&farm, "/v1/machines?offset=3&limit=2").await;
    assert_eq!(page["total"], 8);
    let names: Vec<_> = page["machines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["name"])
        .collect();
    assert_eq!(names, ["sim-00003", "sim-00004"]);
    assert!(page["machines"][0]["redfish"].is_null());
    assert!(page["machines"][1]["ipmi"].is_null());
    let both = get(&farm, "/v1/machines/sim-00007").await;
    assert!(both["ipmi"].is_string() && both["redfish"].is_string());
    assert_eq!(both["power"], "off");
    assert_eq!(both["sessions"], json!({"ipmi": [], "redfish": []}));
    farm.stop().await;
}

#[tokio::test]
async fn power_changes_behind_the_back_and_by_command() {
    let farm = farm().await;
    let on = json!({"state": "on"});
    let (status, body) = call(&farm, Method::PUT, "/v1/machines/2/power", on).await;
    assert_eq!((status, &body["power"]), (200, &json!("on")));
    assert_eq!(farm.power(2), Some(PowerReading::On));
    let many = json!({"machines": "0-1,5", "state": "on", "how": "command"});
    let (status, body) = call(&farm, Method::PUT, "/v1/power", many).await;
    assert_eq!((status, &body["machines"]), (200, &json!(3)));
    let edges = get(&farm, "/v1/edges").await;
    let via: Vec<_> = edges["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                e["machine"].as_u64().unwrap(),
                e["via"].as_str().unwrap(),
                e["edge"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        via,
        [
            (0, "control", "on"),
            (1, "control", "on"),
            (2, "behind-the-back", "on"),
            (5, "control", "on")
        ]
    );
    assert_eq!(edges["ever"], 4);
    let journal = get(&farm, "/v1/machines/5/journal").await;
    assert_eq!(journal["entries"][0]["command"], "power on");
    assert_eq!(journal["entries"][0]["outcome"], "started");
    let rest = get(&farm, "/v1/machines/5/journal?after=1").await;
    assert_eq!(rest["entries"].as_array().unwrap().len(), 1);
    farm.stop().await;
}

#[tokio::test]
async fn faults_are_set_and_cleared_singly_and_for_ranges() {
    let farm = farm().await;
    let slow = json!({"kind": "slow", "min_ms": 5, "max_ms": 9});
    let (status, body) = call(&farm, Method::PUT, "/v1/machines/1/faults", slow).await;
    assert_eq!((status, &body["faults"][0]["kind"]), (200, &json!("slow")));
    let many = json!({"machines": "redfish", "faults": [{"kind": "silent"}, {"kind": "loss", "fraction": 0.5}]});
    let (_, body) = call(&farm, Method::PUT, "/v1/faults", many).await;
    assert_eq!(body["machines"], 4);
    assert_eq!(
        get(&farm, "/v1/machines/7").await["faults"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let (_, body) = call(
        &farm,
        Method::DELETE,
        "/v1/machines/7/faults?kind=silent",
        Value::Null,
    )
    .await;
    assert_eq!(body["faults"][0]["kind"], "loss");
    call(
        &farm,
        Method::DELETE,
        "/v1/faults",
        json!({"machines": "all", "kinds": ["loss"]}),
    )
    .await;
    assert_eq!(get(&farm, "/v1/machines/7").await["faults"], json!([]));
    assert_eq!(
        get(&farm, "/v1/machines/6").await["faults"][0]["kind"],
        "silent"
    );
    call(&farm, Method::DELETE, "/v1/faults", Value::Null).await;
    let page = get(&farm, "/v1/machines").await;
    assert!(
        page["machines"]
            .as_array()
            .unwrap()
            .iter()
            .all(|m| m["faults"] == json!([]))
    );
    farm.stop().await;
}

#[tokio::test]
async fn counters_add_up_and_reset() {
    let farm = farm().await;
    farm.with(0, |bmc, _| bmc.core.counters.datagrams = 3);
    farm.with(1, |bmc, _| bmc.core.counters.datagrams = 4);
    assert_eq!(get(&farm, "/v1/counters").await["counters"]["datagrams"], 7);
    call(&farm, Method::DELETE, "/v1/counters", Value::Null).await;
    assert_eq!(get(&farm, "/v1/counters").await["counters"]["datagrams"], 0);
    farm.stop().await;
}

#[tokio::test]
async fn contacts_tell_when_a_bmc_was_spoken_to_first_and_last() {
    let farm = farm().await;
    farm.with(1, |bmc, _| {
        bmc.core.reported(Mono(70));
        bmc.core.reported(Mono(90));
    });
    let contacts = get(&farm, "/v1/contacts?offset=0&limit=2").await;
    assert_eq!(contacts["contacts"], json!([[0, null, null], [1, 70, 90]]));
    call(&farm, Method::DELETE, "/v1/counters", Value::Null).await;
    let contacts = get(&farm, "/v1/contacts?offset=1&limit=1").await;
    assert_eq!(contacts["contacts"], json!([[1, null, null]]));
    farm.stop().await;
}

#[tokio::test]
async fn the_switch_comes_and_goes() {
    let farm = farm().await;
    let limits = json!({"packets_per_s": 1000, "queue": 10});
    call(&farm, Method::PUT, "/v1/switch", limits.clone()).await;
    assert_eq!(get(&farm, "/v1/switch").await["limits"], limits);
    call(&farm, Method::DELETE, "/v1/switch", Value::Null).await;
    assert!(get(&farm, "/v1/switch").await["limits"].is_null());
    farm.stop().await;
}

#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let farm = farm().await;
    for (method, path, body, status, words) in [
        (
            Method::GET,
            "/v1/machines/8",
            Value::Null,
            404,
            "numbered 0 to 7",
        ),
        (
            Method::GET,
            "/v1/machines/x",
            Value::Null,
            404,
            "no machine `x`",
        ),
        (
            Method::GET,
            "/v1/nowhere",
            Value::Null,
            404,
            "GET /v1 lists",
        ),
        (
            Method::POST,
            "/v1/machines",
            Value::Null,
            405,
            "no such method",
        ),
        (
            Method::GET,
            "/v1/machines?limit=0",
            Value::Null,
            400,
            "between 1 and 1000",
        ),
        (
            Method::GET,
            "/v1/machines?page=2",
            Value::Null,
            400,
            "unknown query key `page`",
        ),
        (
            Method::PUT,
            "/v1/machines/1/power",
            json!({"state": "up"}),
            400,
            "unknown variant `up`",
        ),
        (
            Method::PUT,
            "/v1/machines/1/power",
            json!({"state": "on", "x": 1}),
            400,
            "unknown field `x`",
        ),
        (
            Method::PUT,
            "/v1/machines/1/faults",
            json!({"kind": "lazy"}),
            400,
            "unknown variant `lazy`",
        ),
        (
            Method::PUT,
            "/v1/machines/1/faults",
            json!({"kind": "loss", "fraction": 2.0}),
            400,
            "between 0 and 1",
        ),
        (
            Method::PUT,
            "/v1/faults",
            json!({"machines": "9-", "faults": []}),
            400,
            "`9-` is not understood",
        ),
        (
            Method::PUT,
            "/v1/faults",
            json!({"machines": "900", "faults": []}),
            400,
            "names none",
        ),
        (
            Method::PUT,
            "/v1/switch",
            json!({"packets_per_s": 0, "queue": 1}),
            400,
            "at least 1",
        ),
        (
            Method::DELETE,
            "/v1/machines/1/faults?kind=x",
            Value::Null,
            400,
            "`kind`",
        ),
    ] {
        let (got, body) = call(&farm, method, path, body).await;
        let message = body["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(got, status, "{path}: {body}");
        assert!(message.contains(words), "{path}: {message}");
    }
    farm.stop().await;
}
