//! Ports, chassis, allocations and all the other objects, through the one shape that they share.

use crate::world::World;
use axum::http::Method;
use baton_model::command::NodeChange;
use baton_model::ids::NodeId;
use baton_model::node::power::PowerState;
use serde_json::{Value, json};

/// One of each resource: its collection, a body, a patch, and what the patch makes true.
fn samples(node: NodeId) -> Vec<(&'static str, Value, Value, &'static str, Value)> {
    let step = json!({"interface": "deploy", "step": "deploy", "args": {}, "priority": 100});
    let ordered = json!({"interface": "bios", "step": "factory_reset", "args": {}, "order": 1});
    let rule = json!({"op": "set-attribute", "args": {"path": "/driver", "value": "ipmi"}});
    let replace =
        |path: &str, value: Value| json!([{"op": "replace", "path": path, "value": value}]);
    vec![
        (
            "ports",
            json!({"address": "52:54:00:AA:00:01", "node_uuid": node.to_string(), "extra": {"a": 1}}),
            json!([{"op": "add", "path": "/extra/b", "value": 2}, {"op": "remove", "path": "/pxe_enabled"}]),
            "extra",
            json!({"a": 1, "b": 2}),
        ),
        (
            "portgroups",
            json!({"node_uuid": node.to_string(), "name": "bond0", "address": "52:54:00:aa:00:01"}),
            replace("/mode", json!("802.3ad")),
            "mode",
            json!("802.3ad"),
        ),
        (
            "chassis",
            json!({"description": "row 1"}),
            replace("/description", json!("row 2")),
            "description",
            json!("row 2"),
        ),
        (
            "volume/connectors",
            json!({"node_uuid": node.to_string(), "type": "iqn", "connector_id": "iqn.2017-07.org:01"}),
            replace("/connector_id", json!("iqn.2")),
            "connector_id",
            json!("iqn.2"),
        ),
        (
            "volume/targets",
            json!({"node_uuid": node.to_string(), "volume_type": "iscsi", "volume_id": "v1", "boot_index": 0,
                   "properties": {"auth_password": "hunter2", "target_lun": 1}}),
            replace("/boot_index", json!(3)),
            "boot_index",
            json!(3),
        ),
        (
            "deploy_templates",
            json!({"name": "CUSTOM_T", "steps": [step]}),
            replace("/steps/0/priority", json!(50)),
            "name",
            json!("CUSTOM_T"),
        ),
        (
            "runbooks",
            json!({"name": "CUSTOM_R", "steps": [ordered], "public": "true"}),
            replace("/name", json!("free-form.name")),
            "public",
            json!(true),
        ),
        (
            "inspection_rules",
            json!({"description": "d", "actions": [rule], "priority": 5}),
            replace("/priority", json!(7)),
            "priority",
            json!(7),
        ),
    ]
}

#[tokio::test]
async fn every_resource_is_made_shown_changed_and_deleted() {
    let world = World::new();
    let node = world.node_after("one", &["manage"]).await;
    world.power(node, PowerState::Off);
    for (path, body, patch, field, value) in samples(node) {
        let all = format!("/v1/{path}");
        let made = world.post(&all, body.clone()).await.expect(201);
        let document = made.json();
        let id = document["uuid"].as_str().expect("a uuid").to_owned();
        let one = format!("{all}/{id}");
        assert!(made.header("location").ends_with(&one), "{made:?}");
        assert!(!made.body.windows(7).any(|part| part == b"hunter2"));
        assert_eq!(document["updated_at"], Value::Null);
        assert_eq!(document["links"][0]["rel"], "self");
        assert_eq!(world.get(&one).await.expect(200).json(), document);
        // The same again collides, where anything is unique.
        let again = world.post(&all, body.clone()).await;
        let unique = !matches!(path, "chassis" | "inspection_rules");
        assert_eq!(
            again.status.as_u16(),
            if unique { 409 } else { 201 },
            "{path}"
        );
        let patched = world.patch(&one, patch).await.expect(200).json();
        assert_eq!(patched[field], value, "{path}");
        assert_ne!(patched["updated_at"], Value::Null);
        let key = path.rsplit('/').next().expect("a word");
        let list = world.get(&all).await.expect(200).json();
        assert_eq!(list[key][0]["uuid"], id.as_str(), "{path}: {list}");
        assert!(list[key][0].get("created_at").is_none());
        let list = world
            .get(&format!("{all}?detail=true"))
            .await
            .expect(200)
            .json();
        assert_eq!(list[key][0], world.get(&one).await.json(), "{path}");
        let list = world
            .get(&format!("{all}?fields=uuid&sort_key=uuid&limit=1"))
            .await;
        let list = list.expect(200).json();
        assert_eq!(list[key].as_array().expect("a list").len(), 1);
        assert!(
            list["next"]
                .as_str()
                .is_some_and(|next| next.contains("fields=uuid"))
        );
        // What is wrong changes nothing.
        let before = world.get(&one).await.json();
        for bad in [
            json!([{"op": "add", "path": "/zz", "value": 1}]),
            json!([{"op": "replace", "path": "/uuid", "value": "x"}]),
            json!([{"op": "add", "path": "/extra", "value": 5}, {"op": "remove", "path": "/nothing"}]),
            json!({"op": "add"}),
        ] {
            world.patch(&one, bad).await.expect(400);
        }
        world.get(&format!("{all}?fields=zz")).await.expect(400);
        world.get(&format!("{all}?sort_key=zz")).await.expect(400);
        world.get(&format!("{all}?zz=1")).await.expect(400);
        world.post(&all, json!({"zz": 1})).await.expect(400);
        world.post(&all, json!([])).await.expect(400);
        assert_eq!(world.get(&one).await.json(), before);
        world.delete(&one).await.expect(204);
        world.get(&one).await.expect(404);
        world.delete(&one).await.expect(404);
    }
}

#[tokio::test]
async fn ports_are_found_by_what_clients_know() {
    let mut world = World::new();
    let [one, two] = [world.enroll("one").await, world.enroll("two").await];
    for (n, node) in [(1, one), (2, one), (3, two)] {
        let body = json!({"address": format!("52:54:00:00:00:0{n}"), "node_uuid": node.to_string(), "name": format!("p{n}")});
        world.post("/v1/ports", body).await.expect(201);
    }
    let count = async |query: &str| {
        let list = world
            .get(&format!("/v1/ports{query}"))
            .await
            .expect(200)
            .json();
        list["ports"].as_array().expect("a list").len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("?node=one").await, 2);
    assert_eq!(count(&format!("?node_uuid={two}")).await, 1);
    assert_eq!(count("?address=52:54:00:00:00:03").await, 1);
    assert_eq!(count("?node=one&address=52:54:00:00:00:03").await, 0);
    assert_eq!(count("/detail?node=two").await, 1);
    assert_eq!(count("?sort_key=address&sort_dir=desc&limit=2").await, 2);
    world
        .get(&format!("/v1/ports?node=one&node_uuid={one}"))
        .await
        .expect(403);
    world.get("/v1/ports?node=nope").await.expect(404);
    let shown = world.get("/v1/ports/p1").await.expect(200).json();
    assert_eq!(shown["node_uuid"], one.to_string());
    assert_eq!(shown["pxe_enabled"], true);
    assert_eq!(shown["local_link_connection"], json!({}));
    let sub = world.get("/v1/nodes/one/ports").await.expect(200).json();
    assert_eq!(sub["ports"].as_array().expect("a list").len(), 2);
    let bad = world.get("/v1/ports?address=zz").await.expect(400);
    assert_eq!(bad.fault(), "Expected valid MAC address for address: zz");
    let dup = json!({"address": "52:54:00:00:00:01", "node_uuid": two.to_string()});
    let dup = world.post("/v1/ports", dup).await.expect(409);
    assert_eq!(
        dup.fault(),
        "A port with MAC address 52:54:00:00:00:01 already exists."
    );
    let unknown = json!({"address": "52:54:00:00:00:09", "node_uuid": "11111111-2222-3333-4444-555555555555"});
    world.post("/v1/ports", unknown).await.expect(400);
    let by_name = json!({"address": "52:54:00:00:00:09", "node_ident": "two"});
    world.post("/v1/ports", by_name.clone()).await.expect(201);
    let link = json!({"address": "52:54:00:00:00:0a", "node_ident": "two", "local_link_connection": {"port_id": "1"}});
    let refused = world.post("/v1/ports", link).await.expect(400);
    assert!(
        refused
            .fault()
            .starts_with("Schema error for local_link_connection:")
    );
    let path = "/v1/ports/p1";
    world
        .patch(path, json!([{"op": "remove", "path": "/address"}]))
        .await
        .expect(400);
    // Below their versions fields are hidden and refused.
    let old = world
        .at("1.18")
        .get("/v1/ports/detail")
        .await
        .expect(200)
        .json();
    assert!(old["ports"][0].get("pxe_enabled").is_none());
    world.get("/v1/ports?fields=pxe_enabled").await.expect(406);
    world.post("/v1/ports", by_name).await.expect(406);
    world.get(path).await.expect(404);
}

#[tokio::test]
async fn pages_of_objects_follow_one_another() {
    let world = World::new();
    let node = world.enroll("one").await;
    for n in 0..25 {
        let body =
            json!({"address": format!("52:54:00:00:01:{n:02x}"), "node_uuid": node.to_string()});
        world.post("/v1/ports", body).await.expect(201);
    }
    for query in [
        "limit=7",
        "limit=7&sort_key=address&sort_dir=desc",
        "limit=5&node=one",
    ] {
        let mut path = format!("/v1/ports?{query}");
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..10 {
            let page = world.get(&path).await.expect(200).json();
            for port in page["ports"].as_array().expect("a list") {
                assert!(seen.insert(port["uuid"].to_string()), "twice: {port}");
            }
            match page["next"].as_str() {
                Some(next) => path = next.trim_start_matches("http://bm.example:6385").to_owned(),
                None => break,
            }
        }
        assert_eq!(seen.len(), 25, "{query}");
    }
}

#[tokio::test]
async fn a_chassis_holds_nodes() {
    let world = World::new();
    let made = world
        .post("/v1/chassis", json!({}))
        .await
        .expect(201)
        .json();
    let id = made["uuid"].as_str().expect("a uuid").to_owned();
    assert!(
        made["nodes"][0][0]["href"]
            .as_str()
            .is_some_and(|href| href.ends_with("/nodes"))
    );
    let body = json!({"driver": "fake-hardware", "name": "in", "chassis_uuid": id});
    world.post("/v1/nodes", body).await.expect(201);
    let out = world.enroll("out").await;
    let nodes = world
        .get(&format!("/v1/chassis/{id}/nodes"))
        .await
        .expect(200)
        .json();
    assert_eq!(nodes["nodes"][0]["name"], "in");
    assert_eq!(nodes["nodes"].as_array().expect("a list").len(), 1);
    let path = format!("/v1/nodes/{out}");
    let move_in = json!([{"op": "add", "path": "/chassis_uuid", "value": id}]);
    world.patch(&path, move_in).await.expect(200);
    let filtered = world
        .get(&format!("/v1/nodes?chassis_uuid={id}"))
        .await
        .expect(200)
        .json();
    assert_eq!(filtered["nodes"].as_array().expect("a list").len(), 2);
    let refused = world.delete(&format!("/v1/chassis/{id}")).await.expect(400);
    assert!(refused.fault().contains("contains nodes"));
    let nowhere = json!([{"op": "add", "path": "/chassis_uuid", "value": "11111111-2222-3333-4444-555555555555"}]);
    world.patch(&path, nowhere).await.expect(400);
}

async fn available(world: &World, name: &str, class: &str) -> NodeId {
    let id = world.node_after(name, &["manage", "provide"]).await;
    world.power(id, PowerState::Off);
    let patch = json!([{"op": "add", "path": "/resource_class", "value": class}]);
    world
        .patch(&format!("/v1/nodes/{id}"), patch)
        .await
        .expect(200);
    id
}

#[tokio::test]
async fn allocations_claim_nodes_and_let_them_go() {
    let world = World::new();
    let gold = available(&world, "gold-1", "gold").await;
    let namesake = available(&world, "web", "gold").await;
    world
        .put(&format!("/v1/nodes/{gold}/traits/CUSTOM_A"), json!({}))
        .await
        .expect(204);
    let wish = json!({"name": "web", "resource_class": "gold"});
    let made = world
        .post("/v1/allocations", wish.clone())
        .await
        .expect(201)
        .json();
    assert_eq!(made["state"], "allocating");
    assert_eq!(made["node_uuid"], Value::Null);
    let shown = world.get("/v1/allocations/web").await.expect(200).json();
    assert_eq!(shown["state"], "active");
    assert_eq!(shown["node_uuid"], namesake.to_string());
    let node = world.get("/v1/nodes/web").await.json();
    assert_eq!(node["allocation_uuid"], shown["uuid"]);
    assert_eq!(node["instance_uuid"], shown["uuid"]);
    let taken = world.post("/v1/allocations", wish).await.expect(409);
    assert_eq!(taken.fault(), "An allocation with name web already exists.");
    let by_node = world
        .get("/v1/nodes/web/allocation")
        .await
        .expect(200)
        .json();
    assert_eq!(by_node["name"], "web");
    // Traits, candidates and classes that nothing has end in an error, with Ironic's text.
    for (wish, why) in [
        (
            json!({"resource_class": "gold", "traits": ["CUSTOM_B"]}),
            "no suitable nodes have the requested traits CUSTOM_B",
        ),
        (
            json!({"resource_class": "none"}),
            "no available nodes match the resource class none",
        ),
        (
            json!({"resource_class": "gold", "candidate_nodes": ["web"]}),
            "none of the requested nodes are available",
        ),
    ] {
        let made = world.post("/v1/allocations", wish).await.expect(201).json();
        let id = made["uuid"].as_str().expect("a uuid");
        let failed = world
            .get(&format!("/v1/allocations/{id}"))
            .await
            .expect(200)
            .json();
        assert_eq!(failed["state"], "error");
        assert!(
            failed["last_error"]
                .as_str()
                .is_some_and(|text| text.contains(why)),
            "{failed}"
        );
        world
            .delete(&format!("/v1/allocations/{id}"))
            .await
            .expect(204);
    }
    let wish = json!({"resource_class": "gold", "traits": ["CUSTOM_A"]});
    let made = world.post("/v1/allocations", wish).await.expect(201).json();
    let list = world
        .get("/v1/allocations?state=active&resource_class=gold")
        .await
        .json();
    assert_eq!(list["allocations"].as_array().expect("a list").len(), 2);
    let info = world.get(&format!("/v1/nodes/{gold}")).await.json();
    assert_eq!(info["instance_info"]["traits"], json!(["CUSTOM_A"]));
    let id = made["uuid"].as_str().expect("a uuid");
    let renamed = json!([{"op": "replace", "path": "/name", "value": "db"}, {"op": "add", "path": "/extra/k", "value": 1}]);
    let renamed = world
        .patch(&format!("/v1/allocations/{id}"), renamed)
        .await
        .expect(200)
        .json();
    assert_eq!(renamed["name"], "db");
    let refused = json!([{"op": "replace", "path": "/resource_class", "value": "silver"}]);
    world
        .patch(&format!("/v1/allocations/{id}"), refused)
        .await
        .expect(400);
    world.delete("/v1/allocations/db").await.expect(204);
    let freed = world.get(&format!("/v1/nodes/{gold}")).await.json();
    assert_eq!(freed["instance_uuid"], Value::Null);
    // Removing the instance by PATCH removes its allocation.
    let patch = json!([{"op": "remove", "path": "/instance_uuid"}]);
    world.patch("/v1/nodes/web", patch).await.expect(200);
    world.get("/v1/allocations/web").await.expect(404);
    world.get("/v1/nodes/web/allocation").await.expect(404);
    let missing = world.post("/v1/allocations", json!({})).await.expect(400);
    assert_eq!(
        missing.fault(),
        "The resource_class field is mandatory when not backfilling"
    );
    let unknown = json!({"resource_class": "gold", "candidate_nodes": ["nope"]});
    let unknown = world.post("/v1/allocations", unknown).await.expect(400);
    assert_eq!(unknown.fault(), "Nodes cannot be found: nope");
}

#[tokio::test]
async fn an_active_node_is_backfilled() {
    let world = World::new();
    let node = world.node_after("one", &["manage", "adopt"]).await;
    let body = json!({"node": "one", "name": "late"});
    world.post("/v1/allocations", body).await.expect(201);
    let shown = world.get("/v1/allocations/late").await.expect(200).json();
    assert_eq!(shown["state"], "active", "{shown}");
    assert_eq!(shown["node_uuid"], node.to_string());
    world.delete("/v1/allocations/late").await.expect(409);
}

#[tokio::test]
async fn history_tells_what_happened() {
    let mut world = World::new();
    let node = world.node_after("one", &["manage"]).await;
    let error = format!("it broke: {}", "x".repeat(400));
    world.cluster.act(
        node,
        vec![NodeChange::LastError(Some(error.as_str().into()))],
    );
    let list = world.get("/v1/nodes/one/history").await.expect(200).json();
    let rows = list["history"].as_array().expect("a list");
    assert_eq!(rows.len(), 2, "{list}");
    assert_eq!(rows[0]["severity"], "INFO");
    assert_eq!(rows[1]["severity"], "ERROR");
    assert_eq!(rows[1]["event"].as_str().map(str::len), Some(255));
    assert_eq!(rows[1]["links"].as_array().map(Vec::len), Some(1));
    let detail = world
        .get("/v1/nodes/one/history?detail=true&limit=1")
        .await
        .json();
    assert_eq!(detail["history"][0]["event_type"], "verify");
    assert_eq!(detail["history"][0]["conductor"], "rack-1");
    assert!(
        detail["next"]
            .as_str()
            .is_some_and(|next| next.contains("detail=true"))
    );
    let id = rows[1]["uuid"].as_str().expect("a uuid");
    let one = world
        .get(&format!("/v1/nodes/one/history/{id}"))
        .await
        .expect(200)
        .json();
    assert_eq!(one["event"], error);
    assert_eq!(one["state"], "manageable");
    world.enroll("two").await;
    world
        .get(&format!("/v1/nodes/two/history/{id}"))
        .await
        .expect(404);
    let old = world
        .at("1.114")
        .get(&format!("/v1/nodes/one/history/{id}"))
        .await
        .json();
    assert!(old.get("state").is_none());
}

#[tokio::test]
async fn runbooks_carry_traits_and_sensitive_rules_stay_hidden() {
    let world = World::new();
    let steps = json!([{"interface": "bios", "step": "factory_reset", "args": {"password": "hunter2"}, "order": 0}]);
    world
        .post("/v1/runbooks", json!({"name": "CUSTOM_R", "steps": steps}))
        .await
        .expect(201);
    world
        .put(
            "/v1/runbooks/CUSTOM_R/traits",
            json!({"traits": ["CUSTOM_B", "CUSTOM_A"]}),
        )
        .await
        .expect(204);
    world
        .put("/v1/runbooks/CUSTOM_R/traits/CUSTOM_C", json!({}))
        .await
        .expect(204);
    world
        .delete("/v1/runbooks/CUSTOM_R/traits/CUSTOM_B")
        .await
        .expect(204);
    world
        .delete("/v1/runbooks/CUSTOM_R/traits/CUSTOM_B")
        .await
        .expect(404);
    let traits = world
        .get("/v1/runbooks/CUSTOM_R/traits")
        .await
        .expect(200)
        .json();
    assert_eq!(traits, json!({"traits": ["CUSTOM_A", "CUSTOM_C"]}));
    let shown = world.get("/v1/runbooks/CUSTOM_R").await.expect(200);
    assert!(!String::from_utf8_lossy(&shown.body).contains("hunter2"));
    let rule = json!({"sensitive": true, "actions": [{"op": "fail", "args": {"msg": "no"}}]});
    let made = world
        .post("/v1/inspection_rules", rule)
        .await
        .expect(201)
        .json();
    assert_eq!(made["actions"], Value::Null);
    let path = format!(
        "/v1/inspection_rules/{}",
        made["uuid"].as_str().expect("a uuid")
    );
    let unset = json!([{"op": "replace", "path": "/sensitive", "value": false}]);
    world.patch(&path, unset).await.expect(400);
    world.delete("/v1/inspection_rules").await.expect(204);
    world.get(&path).await.expect(404);
    for bad in [
        json!({"name": "CUSTOM_X", "steps": []}),
        json!({"name": "CUSTOM_X", "steps": [{"interface": "zz", "step": "s", "args": {}, "priority": 1}]}),
        json!({"name": "CUSTOM_X", "steps": [{"interface": "bios", "step": "s", "args": {}, "priority": -1}]}),
        json!({"name": "lower", "steps": [{"interface": "bios", "step": "s", "args": {}, "priority": 1}]}),
    ] {
        world.post("/v1/deploy_templates", bad).await.expect(400);
    }
}

#[tokio::test]
async fn a_locked_node_refuses_changes_of_its_ports() {
    let world = World::with(|options| options.node_lock_wait = std::time::Duration::ZERO);
    let node = world.enroll("one").await;
    world.cluster.lock(node);
    let body = json!({"address": "52:54:00:00:00:01", "node_uuid": node.to_string()});
    let refused = world.post("/v1/ports", body).await.expect(409);
    assert!(
        refused.fault().contains("is locked by host rack-1"),
        "{}",
        refused.fault()
    );
    let version = ("x-openstack-ironic-api-version", "1.115");
    world
        .raw(Method::GET, "/v1/ports", &[version], "")
        .await
        .expect(200);
}
