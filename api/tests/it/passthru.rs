//! Vendor methods and lights of real interfaces: what is listed, what is checked, what reaches the owner.

use crate::world::World;
use axum::http::Method;
use baton_model::port::chore::Chore;
use baton_model::port::node::NodeRequest;
use serde_json::{Value, json};

async fn world() -> World {
    let world = World::new();
    let info = json!({"redfish_address": "https://192.0.2.1"});
    let body = json!({"driver": "redfish", "name": "red", "driver_info": info});
    world.post("/v1/nodes", body).await.expect(201);
    let info = json!({"ipmi_address": "192.0.2.2"});
    let body = json!({"driver": "ipmi", "name": "ipmi", "driver_info": info});
    world.post("/v1/nodes", body).await.expect(201);
    world
}

fn chores(world: &World) -> Vec<(Chore, Value, bool)> {
    let asked = world.owner.asked.lock().expect("not poisoned");
    let chores = asked.iter().filter_map(|(_, _, request)| match request {
        NodeRequest::Chore {
            chore,
            cargo,
            at_end,
        } => Some((*chore, Value::Object(cargo.to_map()), *at_end)),
        _ => None,
    });
    chores.collect()
}

#[tokio::test]
async fn each_vendor_interface_lists_its_own_methods() {
    let world = world().await;
    for (node, names) in [
        ("ipmi", vec!["bmc_reset", "send_raw"]),
        (
            "red",
            vec![
                "create_subscription",
                "delete_subscription",
                "eject_vmedia",
                "get_all_subscriptions",
                "get_subscription",
            ],
        ),
    ] {
        let path = format!("/v1/nodes/{node}/vendor_passthru/methods");
        let methods = world.get(&path).await.expect(200).json();
        let listed: Vec<&String> = methods.as_object().expect("an object").keys().collect();
        assert_eq!(listed, names);
    }
    let wrong = world.post(
        "/v1/nodes/ipmi/vendor_passthru?method=eject_vmedia",
        json!({}),
    );
    assert_eq!(
        wrong.await.expect(400).fault(),
        "No handler for method eject_vmedia"
    );
}

#[tokio::test]
async fn methods_reach_the_owner_with_what_they_carry() {
    let world = world().await;
    let at = |node: &str, method: &str| format!("/v1/nodes/{node}/vendor_passthru/{method}");
    let raw = json!({"raw_bytes": "0x06 0x01"});
    world
        .post(&at("ipmi", "send_raw"), raw.clone())
        .await
        .expect(202);
    world
        .post(&at("ipmi", "bmc_reset"), json!({}))
        .await
        .expect(202);
    let media = json!({"boot_device": "cd"});
    world
        .post(&at("red", "eject_vmedia"), media.clone())
        .await
        .expect(202);
    let delete = at("red", "delete_subscription");
    let body = r#"{"id": "1"}"#;
    let version = ("x-openstack-ironic-api-version", world.version);
    world
        .raw(Method::DELETE, &delete, &[version], body)
        .await
        .expect(204);
    assert_eq!(
        chores(&world),
        [
            (Chore::Raw, raw, false),
            (Chore::RestartBmc, json!({"warm": true}), false),
            (Chore::EjectMedia, media, false),
            (Chore::Unsubscribe, json!({"id": "1"}), true),
        ]
    );
    let all = world.get(&at("red", "get_all_subscriptions")).await;
    assert_eq!(all.expect(200).json()["Members@odata.count"], 1);
    let one = world
        .get(&format!("{}?id=1", at("red", "get_subscription")))
        .await;
    assert_eq!(one.expect(200).json()["Destination"], "https://a/b");
    world
        .get(&format!("{}?id=9", at("red", "get_subscription")))
        .await
        .expect(404);
}

#[tokio::test]
async fn wrong_arguments_are_refused_and_nothing_is_asked() {
    let world = world().await;
    for (node, method, body) in [
        ("ipmi", "send_raw", json!({})),
        ("ipmi", "send_raw", json!({"raw_bytes": 7})),
        ("ipmi", "send_raw", json!({"raw_bytes": "0x06 zz"})),
        (
            "ipmi",
            "send_raw",
            json!({"raw_bytes": "0x06 0x01", "more": 1}),
        ),
        ("ipmi", "bmc_reset", json!({"warm": "luke"})),
        ("red", "eject_vmedia", json!({"boot_device": "tape"})),
        ("red", "create_subscription", json!({})),
        (
            "red",
            "create_subscription",
            json!({"Destination": "nowhere"}),
        ),
        (
            "red",
            "create_subscription",
            json!({"Destination": "https://a/b", "EventTypes": "Alert"}),
        ),
        (
            "red",
            "create_subscription",
            json!({"Destination": "https://a/b", "Context": 3}),
        ),
        ("red", "create_subscription", json!(["https://a/b"])),
    ] {
        let path = format!("/v1/nodes/{node}/vendor_passthru/{method}");
        world.post(&path, body).await.expect(400);
    }
    assert_eq!(chores(&world), []);
}

#[tokio::test]
async fn lights_of_a_bmc_are_listed_shown_and_switched() {
    let world = world().await;
    let lights = "/v1/nodes/red/management/indicators";
    let list = world.get(lights).await.expect(200).json();
    assert_eq!(list["indicators"][0]["name"], "u-1@system");
    assert_eq!(
        list["indicators"][0]["states"],
        json!(["blinking", "off", "on"])
    );
    let light = format!("{lights}/u-1@system");
    let shown = world.get(&light).await.expect(200).json();
    assert_eq!(shown, json!({"state": "blinking"}));
    world.put(&light, json!({"state": "ON"})).await.expect(204);
    world
        .put(&light, json!({"state": "green"}))
        .await
        .expect(400);
    world.get(&format!("{lights}/u-2@system")).await.expect(404);
    let cargo = json!({"part": "system", "id": "u-1", "glow": "on"});
    assert_eq!(chores(&world), [(Chore::Light, cargo, true)]);
    let none = world.get("/v1/nodes/ipmi/management/indicators").await;
    assert!(
        none.expect(400)
            .fault()
            .contains("get_supported_indicators")
    );
}
