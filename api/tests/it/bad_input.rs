//! Malformed and oversized requests: Ironic's status (its 500s become 400s), never a failure of ours.

use crate::world::World;
use axum::http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};

const VERSION: (&str, &str) = ("x-openstack-ironic-api-version", "1.115");

#[tokio::test]
async fn malformed_bodies_are_400() {
    let world = World::new();
    world.enroll("one").await;
    let deep = format!("{}1{}", "[".repeat(40), "]".repeat(40));
    let targets = [
        (Method::POST, "/v1/nodes"),
        (Method::PATCH, "/v1/nodes/one"),
        (Method::PUT, "/v1/nodes/one/states/power"),
        (Method::PUT, "/v1/nodes/one/states/provision"),
        (Method::PUT, "/v1/nodes/one/maintenance"),
        (Method::PUT, "/v1/nodes/one/traits"),
        (Method::PUT, "/v1/nodes/one/states/raid"),
        (Method::POST, "/v1/nodes/one/vifs"),
        (Method::PUT, "/v1/nodes/one/management/boot_device"),
        (Method::POST, "/v1/ports"),
        (Method::POST, "/v1/events"),
    ];
    for (method, path) in targets {
        for body in [
            "{",
            "nonsense",
            "[[",
            "{\"a\":}",
            "\"text\"",
            "5",
            "\u{0}",
            deep.as_str(),
            "{\"a\":1}{",
        ] {
            let answer = world
                .raw(method.clone(), path, &[VERSION], body.to_owned())
                .await;
            assert_eq!(answer.status.as_u16(), 400, "{method} {path} {body}");
            assert!(!answer.fault().is_empty());
        }
    }
    world
        .raw(
            Method::PUT,
            "/v1/nodes/one/maintenance",
            &[VERSION],
            b"{\"reason\":\"\xff\"}".to_vec(),
        )
        .await
        .expect(400);
}

#[tokio::test]
async fn large_bodies_are_413() {
    let world = World::new();
    world.node_after("one", &["manage"]).await;
    let large = format!(
        "{{\"driver\":\"fake-hardware\",\"extra\":{{\"a\":\"{}\"}}}}",
        "x".repeat(1 << 20)
    );
    let refused = world
        .raw(Method::POST, "/v1/nodes", &[VERSION], large)
        .await
        .expect(413);
    assert!(
        refused.json().get("faultstring").is_some(),
        "guards do not wrap"
    );
    // A config drive may be larger; here the verb is wrong, which is found only after the body was read.
    let drive = format!(
        "{{\"target\":\"active\",\"configdrive\":\"{}\"}}",
        "x".repeat(2 << 20)
    );
    world
        .raw(
            Method::PUT,
            "/v1/nodes/one/states/provision",
            &[VERSION],
            drive,
        )
        .await
        .expect(400);
}

#[tokio::test]
async fn odd_names_are_400_or_404() {
    let world = World::new();
    for (ident, status) in [
        ("none", 404),
        ("11111111-2222-3333-4444-555555555555", 404),
        ("a%20b", 400),
        ("%00", 400),
        ("%ff", 400),
        ("%2e%2e%2f", 400),
        ("{}", 400),
    ] {
        let path = format!("/v1/nodes/{ident}")
            .replace('{', "%7B")
            .replace('}', "%7D");
        let answer = world.get(&path).await;
        assert_eq!(answer.status.as_u16(), status, "{ident}");
    }
}

#[tokio::test]
async fn hosts_cannot_inject_into_links() {
    let world = World::new();
    for host in ["a\"b", "evil/path", "a b", ""] {
        let answer = world
            .raw(Method::GET, "/", &[("x-forwarded-host", host)], "")
            .await
            .expect(200);
        assert_eq!(
            answer.json()["default_version"]["links"][0]["href"],
            "http://bm.example:6385/v1/"
        );
    }
}

fn method() -> impl Strategy<Value = Method> {
    prop::sample::select(vec![
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn no_request_makes_the_server_fail(
        method in method(),
        path in prop::collection::vec(prop::sample::select(vec![
            "v1", "nodes", "one", "detail", "states", "power", "provision", "traits", "CUSTOM_A", "ports", "drivers", "ipmi",
            "properties", "management", "boot_device", "vifs", "%20", "..", "%ff", "maintenance", "conductors", "validate",
            "allocations", "volume", "targets", "shards", "children", "bios", "history"
        ]), 0..5),
        query in "[a-z_=&%0-9,]{0,24}",
        body in prop::option::of(prop_oneof![
            "\\PC{0,40}",
            Just("{\"target\":\"manage\"}".to_owned()),
            Just("[{\"op\":\"add\",\"path\":\"/extra\",\"value\":{}}]".to_owned()),
        ]),
        minor in 1_u16..=115,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let world = World::new();
            world.enroll("one").await;
            let path = format!("/{}?{query}", path.join("/"));
            let version = format!("1.{minor}");
            let answer = world
                .raw(method, &path, &[("x-openstack-ironic-api-version", &version)], body.unwrap_or_default())
                .await;
            assert!(answer.status.as_u16() < 500, "{path}: {answer:?}");
        });
    }
}

/// Every routed method and path pattern, as documented.
fn rows() -> Vec<(Method, String)> {
    baton_api::compatibility()
        .lines()
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [_, method, path, ..] = cells.as_slice() else {
                return None;
            };
            let path = path.strip_prefix('`')?.strip_suffix('`')?;
            Some((Method::from_bytes(method.as_bytes()).ok()?, path.to_owned()))
        })
        .collect()
}

/// Values of every type, with some that mean something somewhere.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "one",
            "52:54:00:00:00:01",
            "CUSTOM_A",
            "power on",
            "manage",
            "clean",
            "abort",
            "gold",
            "fake",
            "fake-hardware",
            "11111111-2222-3333-4444-555555555555",
        ])
        .prop_map(Value::from),
        Just(
            json!([{"interface": "bios", "step": "factory_reset", "args": {}, "priority": 1, "order": 1}])
        ),
        Just(json!([{"interface": "bios", "step": "factory_reset", "args": {}, "priority": 1}])),
        Just(json!([{"step": "hold"}])),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..3)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "uuid",
        "name",
        "driver",
        "extra",
        "address",
        "node_uuid",
        "node_ident",
        "node",
        "description",
        "type",
        "connector_id",
        "volume_type",
        "volume_id",
        "boot_index",
        "resource_class",
        "traits",
        "candidate_nodes",
        "steps",
        "priority",
        "actions",
        "conditions",
        "owner",
        "target",
        "clean_steps",
        "service_steps",
        "deploy_steps",
        "runbook",
        "timeout",
        "reason",
        "enabled",
        "boot_device",
        "persistent",
        "id",
        "portgroup_uuid",
        "local_link_connection",
        "pxe_enabled",
        "chassis_uuid",
        "properties",
        "public",
        "sensitive",
        "events",
        "bar",
        "device_type",
        "image_url",
        "logical_disks",
        "state",
        "maintenance",
        "instance_uuid",
        "driver_info",
        "conductor_group",
        "zz",
    ])
    .prop_map(str::to_owned)
}

fn body() -> impl Strategy<Value = String> {
    let object = prop::collection::vec((key(), value()), 0..5)
        .prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
    let patch = prop::collection::vec(
        (prop::sample::select(vec!["add", "replace", "remove"]), key(), value()),
        0..3,
    )
    .prop_map(|operations| {
        let operation = |(op, key, value): (&str, String, Value)| json!({"op": op, "path": format!("/{key}"), "value": value});
        Value::from(operations.into_iter().map(operation).collect::<Vec<_>>())
    });
    prop_oneof![object, patch, value()].prop_map(|value| value.to_string())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_requests_makes_the_server_fail(
        requests in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), body(), prop::sample::select(vec!["1.1", "1.60", "1.115"])),
            1..16,
        ),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let rows = rows();
        runtime.block_on(async {
            let world = World::with(|options| options.node_lock_wait = std::time::Duration::ZERO);
            world.enroll("one").await;
            for (row, ident, body, version) in requests {
                let (method, pattern) = row.get(&rows);
                let idents = ["one", "CUSTOM_A", "11111111-2222-3333-4444-555555555555", "led@system", "%20"];
                let path: Vec<&str> = pattern
                    .split('/')
                    .map(|part| if part.starts_with('{') { *ident.get(&idents) } else { part })
                    .collect();
                let path = path.join("/");
                let version = ("x-openstack-ironic-api-version", version);
                let answer = world.raw(method.clone(), &path, &[version], body.clone()).await;
                assert!(answer.status.as_u16() < 500, "{method} {path} {body}: {answer:?}");
                if !answer.status.is_success() && answer.status.as_u16() != 304 {
                    assert!(!answer.fault().is_empty(), "{method} {path} {body}: no text");
                }
            }
        });
    }
}
