//! PATCH: paths, values, rules, races, and that no patch whatever makes the server fail.

use crate::world::World;
use baton_model::node::provision::ProvisionState;
use proptest::prelude::*;
use serde_json::{Value, json};

async fn patch(world: &World, ops: Value) -> crate::world::Answer {
    world.patch("/v1/nodes/one", ops).await
}

#[tokio::test]
async fn roots_and_sub_keys_are_set_replaced_and_removed() {
    let world = World::new();
    world.enroll("one").await;
    let node = patch(
        &world,
        json!([
            {"op": "add", "path": "/extra/a", "value": 1},
            {"op": "add", "path": "/properties", "value": {"cpus": 2, "capabilities": "boot_mode:uefi"}},
            {"op": "replace", "path": "/description", "value": "text"},
            {"op": "add", "path": "/driver_info/ipmi_password", "value": "hunter2"},
            {"op": "replace", "path": "/owner", "value": "project"},
            {"op": "add", "path": "/automated_clean", "value": "False"},
        ]),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(node["extra"], json!({"a": 1}));
    assert_eq!(node["properties"]["cpus"], 2);
    assert_eq!(node["description"], "text");
    assert_eq!(node["automated_clean"], false);
    assert_eq!(node["driver_info"], json!({"ipmi_password": "******"}));
    // One key changes, the secret beside it stays what it was.
    patch(
        &world,
        json!([{"op": "add", "path": "/driver_info/ipmi_username", "value": "u"}]),
    )
    .await
    .expect(200);
    let secret = {
        let state = world.cluster.state.read();
        state
            .node_by_name("one")
            .expect("exists")
            .driver_info
            .to_map()
    };
    assert_eq!(secret["ipmi_password"], "hunter2");
    let node = patch(
        &world,
        json!([
            {"op": "remove", "path": "/extra"},
            {"op": "remove", "path": "/description"},
            {"op": "remove", "path": "/lessee"},
            {"op": "remove", "path": "/maintenance"},
            {"op": "remove", "path": "/conductor_group"},
            {"op": "remove", "path": "/automated_clean"},
        ]),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(node["extra"], json!({}));
    for key in ["description", "lessee", "automated_clean"] {
        assert_eq!(node[key], Value::Null, "{key}");
    }
    assert_eq!(node["conductor_group"], "");
    let same = patch(&world, json!([])).await.expect(200).json();
    assert_eq!(same["updated_at"], node["updated_at"]);
}

#[tokio::test]
async fn refusals_have_ironics_status() {
    let world = World::new();
    let id = world.enroll("one").await;
    world.enroll("two").await;
    let cases = [
        (json!({}), 400, "is not of type 'array'"),
        (
            json!([{"op": "test", "path": "/extra", "value": 1}]),
            400,
            "'test' is not one of",
        ),
        (
            json!([{"op": "add", "path": "/provision_state", "value": "active"}]),
            400,
            "Cannot patch /provision_state. Only the following can be updated: ",
        ),
        (
            json!([{"op": "add", "path": "/uuid", "value": "x"}]),
            400,
            "Cannot patch /uuid.",
        ),
        (
            json!([{"op": "add", "path": "/nope/x", "value": "x"}]),
            400,
            "Cannot patch /nope/x.",
        ),
        (
            json!([{"op": "remove", "path": "/driver"}]),
            400,
            "mandatory",
        ),
        (
            json!([{"op": "replace", "path": "/driver", "value": null}]),
            400,
            "mandatory",
        ),
        (
            json!([{"op": "replace", "path": "/driver", "value": "zz"}]),
            400,
            "No valid host was found",
        ),
        (
            json!([{"op": "replace", "path": "/name", "value": ""}]),
            400,
            "invalid name ''",
        ),
        (
            json!([{"op": "replace", "path": "/name", "value": null}]),
            400,
            "invalid name",
        ),
        (
            json!([{"op": "replace", "path": "/name", "value": "two"}]),
            409,
            "A node with name two already exists.",
        ),
        (
            json!([{"op": "remove", "path": "/extra/none"}]),
            400,
            "Couldn't apply patch",
        ),
        (
            json!([{"op": "replace", "path": "/extra/none", "value": 1}]),
            400,
            "non-existent object 'none'",
        ),
        (
            json!([{"op": "add", "path": "/extra", "value": []}]),
            400,
            "[] is not of type 'object', 'null'",
        ),
        (
            json!([{"op": "add", "path": "/instance_uuid", "value": "zz"}]),
            400,
            "Expected UUID for instance_uuid: zz",
        ),
        (
            json!([{"op": "add", "path": "/protected", "value": true}]),
            409,
            "protected",
        ),
        (
            json!([{"op": "add", "path": "/protected_reason", "value": "x"}]),
            400,
            "protected_reason",
        ),
        (
            json!([{"op": "add", "path": "/retired_reason", "value": "x"}]),
            400,
            "retired_reason",
        ),
        (
            json!([{"op": "add", "path": "/parent_node", "value": id.to_string()}]),
            400,
            "its own parent",
        ),
        (
            json!([{"op": "add", "path": "/conductor_group", "value": "nowhere"}]),
            400,
            "No valid host was found",
        ),
        (
            json!([{"op": "add", "path": "/conductor_group", "value": "a b"}]),
            400,
            "does not match",
        ),
        (
            json!([{"op": "add", "path": "/power_interface", "value": "steam"}]),
            400,
            "Could not find the following interface",
        ),
        (
            json!([{"op": "add", "path": "/chassis_uuid", "value": "11111111-2222-3333-4444-555555555555"}]),
            400,
            "could not be found",
        ),
        (
            json!([{"op": "add", "path": "/extra/x", "value": 1}, {"op": "remove", "path": "/extra/y"}]),
            400,
            "'y'",
        ),
    ];
    for (ops, status, text) in cases {
        let answer = patch(&world, ops.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{ops}: {}", answer.fault());
        assert!(answer.fault().contains(text), "{ops}: {}", answer.fault());
    }
    let node = world.get("/v1/nodes/one").await.json();
    assert_eq!(
        node["extra"],
        json!({}),
        "a refused patch changed something"
    );
    assert_eq!(node["updated_at"], Value::Null);
}

#[tokio::test]
async fn drivers_change_with_their_interfaces() {
    let world = World::new();
    world.enroll("one").await;
    let driver = json!([{"op": "add", "path": "/driver", "value": "ipmi"}]);
    patch(&world, driver.clone()).await.expect(400);
    let reset = "/v1/nodes/one?reset_interfaces=True";
    let node = world.patch(reset, driver).await.expect(200).json();
    assert_eq!(node["driver"], "ipmi");
    assert_eq!(node["power_interface"], "ipmitool");
    world
        .patch(
            reset,
            json!([{"op": "add", "path": "/extra/a", "value": 1}]),
        )
        .await
        .expect(400);
    let node = patch(
        &world,
        json!([{"op": "add", "path": "/vendor_interface", "value": "no-vendor"}]),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(node["vendor_interface"], "no-vendor");
    let node = patch(
        &world,
        json!([{"op": "remove", "path": "/vendor_interface"}]),
    )
    .await
    .expect(200)
    .json();
    assert_eq!(node["vendor_interface"], "ipmitool");
}

#[tokio::test]
async fn an_interface_that_is_no_longer_enabled_blocks_nothing_else() {
    let world = World::new();
    world.enroll("one").await;
    // The same state behind an API whose configuration has lost `fake` for BIOS.
    let other = World::with(|options| {
        options
            .enabled
            .interfaces
            .insert(baton_model::hardware::Slot::Bios, vec!["no-bios".into()]);
    });
    let record = {
        let state = world.cluster.state.read();
        state.node_by_name("one").expect("exists").as_ref().clone()
    };
    other
        .cluster
        .apply(baton_model::command::Command::NodeCreate(Box::new(record)));
    let ops = json!([
        {"op": "add", "path": "/extra/a", "value": 1},
        {"op": "add", "path": "/vendor_interface", "value": "no-vendor"},
    ]);
    let node = patch(&other, ops).await.expect(200).json();
    assert_eq!(node["bios_interface"], "fake");
    patch(&other, json!([{"op": "add", "path": "/bios_interface", "value": "fake"}, {"op": "add", "path": "/extra/b", "value": 1}]))
        .await
        .expect(200);
}

#[tokio::test]
async fn the_claim_of_the_compute_service_is_linearizable() {
    let world = World::new();
    world.node_after("one", &["manage", "provide"]).await;
    world.enroll("two").await;
    let claim = |uuid: &str| json!([{"op": "add", "path": "/instance_uuid", "value": uuid}]);
    let first = "11111111-2222-3333-4444-555555555555";
    let second = "11111111-2222-3333-4444-666666666666";
    patch(&world, claim(first)).await.expect(200);
    patch(&world, claim(first)).await.expect(200);
    let taken = patch(&world, claim(second)).await.expect(409);
    assert!(
        taken
            .fault()
            .contains(&format!("is associated with instance {first}."))
    );
    let twice = world.patch("/v1/nodes/two", claim(first)).await.expect(409);
    assert!(twice.fault().contains("is already associated with a node"));
    patch(&world, json!([{"op": "remove", "path": "/instance_uuid"}]))
        .await
        .expect(200);
    world.patch("/v1/nodes/two", claim(first)).await.expect(200);
}

#[tokio::test]
async fn patches_at_once_lose_nothing() {
    let world = World::new();
    world.enroll("one").await;
    let patches = (0..12).map(|n| {
        let ops = json!([{"op": "add", "path": format!("/extra/k{n}"), "value": n}]);
        patch(&world, ops)
    });
    for answer in futures_util::future::join_all(patches).await {
        answer.expect(200);
    }
    let extra = world.get("/v1/nodes/one").await.json()["extra"].clone();
    assert_eq!(extra.as_object().map(serde_json::Map::len), Some(12));
}

#[tokio::test]
async fn busy_nodes_are_not_patched() {
    let world = World::new();
    let id = world.enroll("one").await;
    let step = |verb| baton_model::command::NodeChange::Provision { verb, target: None };
    use baton_model::node::provision::Verb;
    world.cluster.act(
        id,
        vec![step(Verb::Manage), step(Verb::Done), step(Verb::Provide)],
    );
    let state = world
        .cluster
        .state
        .read()
        .node(id)
        .expect("exists")
        .provision_state;
    assert_eq!(state, ProvisionState::Cleaning);
    let answer = patch(
        &world,
        json!([{"op": "add", "path": "/extra/a", "value": 1}]),
    )
    .await
    .expect(409);
    assert_eq!(
        answer.fault(),
        format!("Node {id} can not be updated while a state transition is in progress.")
    );
}

fn pointer() -> impl Strategy<Value = String> {
    let root = prop::sample::select(vec![
        "extra",
        "driver_info",
        "properties",
        "name",
        "driver",
        "maintenance",
        "traits",
        "instance_uuid",
        "network_data",
        "owner",
        "power_interface",
        "protected",
        "retired_reason",
        "conductor_group",
        "automated_clean",
        "",
        "~",
        "é",
    ]);
    let part = prop::sample::select(vec![
        "a",
        "0",
        "-",
        "~0",
        "~1",
        "~2",
        "",
        " ",
        "01",
        "99999999999999999999",
        "b",
    ]);
    (root, prop::collection::vec(part, 0..4)).prop_map(|(root, parts)| {
        format!(
            "/{root}{}",
            parts.iter().map(|p| format!("/{p}")).collect::<String>()
        )
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("ipmi")),
        Just(json!("11111111-2222-3333-4444-555555555555")),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn no_patch_makes_the_server_fail(
        ops in prop::collection::vec((prop::sample::select(vec!["add", "replace", "remove", "move"]), pointer(), prop::option::of(value())), 0..6)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let world = World::new();
            world.enroll("one").await;
            let ops: Vec<Value> = ops
                .into_iter()
                .map(|(op, path, value)| {
                    let mut item = json!({"op": op, "path": path});
                    if let Some(value) = value {
                        item["value"] = value;
                    }
                    item
                })
                .collect();
            let before = world.get("/v1/nodes/one").await.json();
            let uuid = before["uuid"].as_str().expect("a uuid").to_owned();
            let answer = patch(&world, json!(ops)).await;
            assert!(answer.status.as_u16() < 500, "{ops:?}: {answer:?}");
            let after = world.get(&format!("/v1/nodes/{uuid}")).await.expect(200).json();
            if !answer.status.is_success() {
                assert_eq!(before, after, "a refused patch changed something: {ops:?}");
            }
        });
    }
}
