//! Create, show, delete, maintenance, validate, traits.

use crate::world::World;
use axum::http::Method;
use baton_model::node::power::PowerState;
use serde_json::{Value, json};

#[tokio::test]
async fn a_node_is_created_with_its_defaults() {
    let world = World::new();
    let answer = world
        .post(
            "/v1/nodes",
            json!({
                "driver": "ipmi", "name": "ns~host-1.rack_2",
                "driver_info": {"ipmi_address": "10.0.0.1", "ipmi_username": "admin", "ipmi_password": "hunter2"},
                "properties": {"cpus": 4, "memory_mb": "8192"},
                "extra": {"a": {"b": [1, null]}},
                "resource_class": "gold", "maintenance": "true",
            }),
        )
        .await
        .expect(201);
    let node = answer.json();
    let uuid = node["uuid"].as_str().expect("a uuid");
    assert_eq!(
        answer.header("location"),
        format!("http://bm.example:6385/v1/nodes/{uuid}")
    );
    assert_eq!(node["provision_state"], "enroll");
    assert_eq!(node["power_state"], Value::Null);
    assert_eq!(node["power_interface"], "ipmitool");
    assert_eq!(node["storage_interface"], "noop");
    assert_eq!(node["maintenance"], true);
    assert_eq!(node["properties"], json!({"cpus": 4, "memory_mb": "8192"}));
    assert_eq!(node["driver_info"]["ipmi_password"], "******");
    assert_eq!(node["driver_info"]["ipmi_username"], "admin");
    assert_eq!(node["extra"], json!({"a": {"b": [1, null]}}));
    assert_eq!(node["conductor"], "rack-1");
    assert_eq!(node["traits"], json!([]));
    assert!(
        node["created_at"]
            .as_str()
            .is_some_and(|at| at.ends_with("+00:00"))
    );
    let shown = world.get(&format!("/v1/nodes/{uuid}")).await.expect(200);
    assert_eq!(shown.json(), node);
    assert_eq!(
        node["states"][0]["href"],
        format!("http://bm.example:6385/v1/nodes/{uuid}/states")
    );
    assert!(!String::from_utf8_lossy(&shown.body).contains("hunter2"));
}

#[tokio::test]
async fn creation_refuses_what_ironic_refuses() {
    let world = World::new();
    world.enroll("taken").await;
    let uuid = world.get("/v1/nodes/taken").await.json()["uuid"].clone();
    let instance = "11111111-2222-3333-4444-555555555555";
    world
        .patch(
            "/v1/nodes/taken",
            json!([{"op": "add", "path": "/instance_uuid", "value": instance}]),
        )
        .await
        .expect(200);
    let cases = [
        (json!({}), 400, "'driver' is a required property"),
        (json!({"driver": 5}), 400, "Schema error for node: driver"),
        (
            json!({"driver": "fake-hardware", "nope": 1}),
            400,
            "('nope' was unexpected)",
        ),
        (
            json!({"driver": "fake-hardware", "traits": []}),
            400,
            "('traits' was unexpected)",
        ),
        (
            json!({"driver": "zz"}),
            400,
            "No valid host was found. Reason: No conductor service registered which supports \
            driver zz for conductor group \"\". Ensure the driver is valid and enabled.",
        ),
        (
            json!({"driver": "fake-hardware", "conductor_group": "other"}),
            400,
            "conductor group \"other\"",
        ),
        (
            json!({"driver": "ipmi", "bios_interface": "redfish"}),
            400,
            "not supported by hardware type IPMIHardware",
        ),
        (
            json!({"driver": "ipmi", "bios_interface": "zz"}),
            400,
            "Valid interfaces are [",
        ),
        (
            json!({"driver": "fake-hardware", "name": "taken"}),
            409,
            "A node with name taken already exists.",
        ),
        (
            json!({"driver": "fake-hardware", "name": "a b"}),
            400,
            "Cannot create node with invalid name 'a b'",
        ),
        (
            json!({"driver": "fake-hardware", "name": "detail"}),
            400,
            "invalid name",
        ),
        (
            json!({"driver": "fake-hardware", "name": ""}),
            400,
            "invalid name",
        ),
        (
            json!({"driver": "fake-hardware", "uuid": uuid}),
            409,
            "already exists.",
        ),
        (
            json!({"driver": "fake-hardware", "uuid": "zz"}),
            400,
            "Expected UUID for uuid: zz",
        ),
        (
            json!({"driver": "fake-hardware", "instance_uuid": instance}),
            409,
            "is already associated with a node",
        ),
        (
            json!({"driver": "fake-hardware", "chassis_uuid": instance}),
            400,
            "could not be found",
        ),
        (
            json!({"driver": "fake-hardware", "parent_node": instance}),
            400,
            "could not be found",
        ),
        (
            json!({"driver": "fake-hardware", "driver_info": "x"}),
            400,
            "'x' is not of type 'object', 'null'",
        ),
        (
            json!({"driver": "fake-hardware", "maintenance": "maybe"}),
            400,
            "Unrecognized value 'maybe', acceptable values are: '0', '1'",
        ),
        (
            json!({"driver": "fake-hardware", "network_data": {"links": []}}),
            400,
            "'networks' is a required property",
        ),
        (
            json!({"driver": "fake-hardware", "resource_class": "x".repeat(81)}),
            400,
            "too long",
        ),
        (json!([]), 400, "not of type 'object'"),
    ];
    for (body, status, text) in cases {
        let answer = world.post("/v1/nodes", body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{body}: {}", answer.fault());
        assert!(answer.fault().contains(text), "{body}: {}", answer.fault());
    }
    // Null objects are empty ones, where Ironic answers 500.
    let fine = json!({"driver": "fake-hardware", "properties": null, "extra": null, "name": null});
    let made = world.post("/v1/nodes", fine).await.expect(201).json();
    assert_eq!(made["properties"], json!({}));
}

#[tokio::test]
async fn nodes_are_deleted_by_the_rules() {
    let world = World::new();
    let id = world.enroll("one").await;
    world.delete("/v1/nodes/one").await.expect(204);
    let gone = world.get(&format!("/v1/nodes/{id}")).await.expect(404);
    assert_eq!(gone.fault(), format!("Node {id} could not be found."));
    world.delete(&format!("/v1/nodes/{id}")).await.expect(404);

    let id = world.node_after("two", &["manage", "adopt"]).await;
    let refused = world.delete("/v1/nodes/two").await.expect(409);
    assert!(refused.fault().starts_with(&format!(
        "Can not delete node \"{id}\" while it is in provision state \"active\"."
    )));
    world
        .patch(
            "/v1/nodes/two",
            json!([{"op": "add", "path": "/protected", "value": true}]),
        )
        .await
        .expect(200);
    let protected = world.delete("/v1/nodes/two").await.expect(403);
    assert_eq!(
        protected.fault(),
        format!("Node {id} is protected and cannot be undeployed, rebuilt or deleted")
    );
    world
        .patch(
            "/v1/nodes/two",
            json!([{"op": "remove", "path": "/protected"}]),
        )
        .await
        .expect(200);
    world
        .put("/v1/nodes/two/maintenance", json!({}))
        .await
        .expect(202);
    world.delete("/v1/nodes/two").await.expect(204);
}

#[tokio::test]
async fn maintenance_is_a_flag_that_never_waits() {
    let world = World::new();
    let id = world.enroll("one").await;
    world.cluster.lock(id);
    let accepted = world
        .put("/v1/nodes/one/maintenance", json!({"reason": "fan"}))
        .await
        .expect(202);
    assert!(accepted.body.is_empty());
    assert_eq!(accepted.header("content-type"), "");
    let node = world.get("/v1/nodes/one").await.json();
    assert_eq!(
        (&node["maintenance"], &node["maintenance_reason"]),
        (&json!(true), &json!("fan"))
    );
    assert_eq!(node["reservation"], "rack-1");
    // Query or body alike; without a reason the old one goes.
    world
        .put("/v1/nodes/one/maintenance?reason=disk", json!({}))
        .await
        .expect(202);
    assert_eq!(
        world.get("/v1/nodes/one").await.json()["maintenance_reason"],
        "disk"
    );
    world
        .put("/v1/nodes/one/maintenance", json!({}))
        .await
        .expect(202);
    assert_eq!(
        world.get("/v1/nodes/one").await.json()["maintenance_reason"],
        Value::Null
    );
    world.delete("/v1/nodes/one/maintenance").await.expect(202);
    assert_eq!(
        world.get("/v1/nodes/one").await.json()["maintenance"],
        false
    );
    let unknown = world
        .put("/v1/nodes/one/maintenance", json!({"x": 1, "a": 2}))
        .await
        .expect(400);
    assert_eq!(unknown.fault(), "Unexpected arguments: a, x");
    world
        .put("/v1/nodes/none/maintenance", json!({}))
        .await
        .expect(404);
}

#[tokio::test]
async fn validate_judges_each_interface() {
    let world = World::new();
    world.enroll("fake").await;
    world
        .post("/v1/nodes", json!({"driver": "ipmi", "name": "ipmi"}))
        .await
        .expect(201);
    let fake = world
        .get("/v1/nodes/fake/validate")
        .await
        .expect(200)
        .json();
    for slot in [
        "boot",
        "deploy",
        "power",
        "storage",
        "management",
        "network",
    ] {
        assert_eq!(fake[slot], json!({"result": true}), "{slot}");
    }
    assert!(fake.get("vendor").is_none());
    let ipmi = world
        .get("/v1/nodes/validate?node=ipmi")
        .await
        .expect(200)
        .json();
    assert_eq!(
        ipmi["power"],
        json!({"result": false, "reason": "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."})
    );
    world.get("/v1/nodes/validate").await.expect(400);
}

#[tokio::test]
async fn traits_are_kept_sorted_and_checked() {
    let world = World::new();
    world.enroll("one").await;
    let added = world
        .put("/v1/nodes/one/traits/CUSTOM_B", json!({}))
        .await
        .expect(204);
    assert!(
        added
            .header("location")
            .ends_with("/v1/nodes/one/traits/CUSTOM_B")
    );
    world
        .put("/v1/nodes/one/traits/HW_CPU_X86_VMX", json!({}))
        .await
        .expect(204);
    world
        .put("/v1/nodes/one/traits/CUSTOM_A", json!({}))
        .await
        .expect(204);
    assert_eq!(
        world.get("/v1/nodes/one/traits").await.json(),
        json!({"traits": ["CUSTOM_A", "CUSTOM_B", "HW_CPU_X86_VMX"]})
    );
    world
        .put("/v1/nodes/one/traits/lower", json!({}))
        .await
        .expect(400);
    world
        .put(
            "/v1/nodes/one/traits/CUSTOM_X",
            json!({"traits": ["CUSTOM_Y"]}),
        )
        .await
        .expect(400);
    world
        .delete("/v1/nodes/one/traits/CUSTOM_B")
        .await
        .expect(204);
    world
        .delete("/v1/nodes/one/traits/CUSTOM_B")
        .await
        .expect(404);
    let many: Vec<String> = (0..51).map(|n| format!("CUSTOM_{n}")).collect();
    let refused = world
        .put("/v1/nodes/one/traits", json!({"traits": many}))
        .await
        .expect(400);
    assert!(
        refused
            .fault()
            .contains("maximum number of traits per node (51 vs. 50)")
    );
    world
        .put("/v1/nodes/one/traits", json!({"traits": ["CUSTOM_Z"]}))
        .await
        .expect(204);
    world.delete("/v1/nodes/one/traits").await.expect(204);
    assert_eq!(world.get("/v1/nodes/one").await.json()["traits"], json!([]));
}

#[tokio::test]
async fn states_are_a_short_document() {
    let mut world = World::new();
    let id = world.enroll("one").await;
    world.power(id, PowerState::On);
    let states = world.get("/v1/nodes/one/states").await.expect(200).json();
    assert_eq!(states["power_state"], "power on");
    assert!(states.get("boot_mode").is_some() && states.get("uuid").is_none());
    let old = world.at("1.11").get("/v1/nodes/one/states").await.json();
    assert!(old.get("raid_config").is_none());
}

#[tokio::test]
async fn reads_wait_for_a_barrier_and_say_when_there_is_none() {
    use baton_model::port::cluster::ProposeError;
    use std::sync::atomic::Ordering;
    let world = World::new();
    world.enroll("one").await;
    let before = world.cluster.barriers.load(Ordering::Relaxed);
    world.get("/v1/nodes/one").await.expect(200);
    assert_eq!(world.cluster.barriers.load(Ordering::Relaxed), before + 1);
    for error in [
        ProposeError::Unavailable {
            reason: "no leader".into(),
        },
        ProposeError::Unknown {
            reason: "no answer in 5 s".into(),
        },
    ] {
        *world.cluster.trouble.lock().expect("fine") = Some(error);
        let answer = world.get("/v1/nodes/one").await.expect(503);
        assert_eq!(answer.header("retry-after"), "1");
        world
            .post("/v1/nodes", json!({"driver": "fake-hardware"}))
            .await
            .expect(503);
    }
}

#[tokio::test]
async fn what_a_client_has_already_is_not_sent_again() {
    let world = World::new();
    world.enroll("one").await;
    let version = ("x-openstack-ironic-api-version", "1.115");
    let first = world.get("/v1/nodes/one").await.expect(200);
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    let ask = async |tag: &str| {
        let headers = [version, ("if-none-match", tag)];
        world.raw(Method::GET, "/v1/nodes/one", &headers, "").await
    };
    let same = ask(&tag).await.expect(304);
    assert!(same.body.is_empty() && same.header("etag") == tag);
    assert_eq!(same.header("x-openstack-ironic-api-version"), "1.115");
    ask("\"other\"").await.expect(200);
    ask(&format!("\"other\", {tag}")).await.expect(304);
    let patch = json!([{"op": "add", "path": "/extra/a", "value": 1}]);
    world.patch("/v1/nodes/one", patch).await.expect(200);
    let changed = ask(&tag).await.expect(200);
    assert_ne!(changed.header("etag"), tag);
    let missing = world.get("/v1/nodes/none").await.expect(404);
    assert_eq!(missing.header("etag"), "");
}
