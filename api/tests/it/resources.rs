//! Drivers, conductors, and collections while they are empty.

use crate::world::World;
use axum::http::Method;
use baton_model::command::NodeChange;
use baton_model::json::Json;
use baton_model::object::Kind;
use serde_json::{Value, json};

#[tokio::test]
async fn drivers_are_what_live_conductors_serve() {
    let mut world = World::new();
    let list = world.get("/v1/drivers").await.expect(200).json();
    let names: Vec<_> = list["drivers"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|d| d["name"].clone())
        .collect();
    assert_eq!(
        names,
        ["fake-hardware", "ipmi", "manual-management", "redfish"]
    );
    assert_eq!(list["drivers"][0]["hosts"], json!(["rack-1"]));
    assert!(list["drivers"][0].get("default_power_interface").is_none());
    let redfish = world.get("/v1/drivers/redfish").await.expect(200).json();
    assert_eq!(redfish["default_power_interface"], "redfish");
    assert_eq!(
        redfish["enabled_management_interfaces"],
        json!(["redfish", "noop"])
    );
    let properties = world
        .get("/v1/drivers/ipmi/properties")
        .await
        .expect(200)
        .json();
    assert!(
        properties["ipmi_address"]
            .as_str()
            .is_some_and(|text| text.contains("Required."))
    );
    let unknown = world.get("/v1/drivers/zz").await.expect(404);
    assert_eq!(
        unknown.fault(),
        "Could not find the following driver(s) or hardware type(s): zz."
    );
    assert_eq!(
        world
            .get("/v1/drivers/zz/properties")
            .await
            .expect(404)
            .fault(),
        "The driver 'zz' is unknown."
    );
    assert_eq!(
        world.get("/v1/drivers?type=classic").await.json(),
        json!({"drivers": []})
    );
    world.get("/v1/drivers?type=zz").await.expect(400);
    let one = world
        .get("/v1/drivers?fields=name")
        .await
        .expect(200)
        .json();
    assert!(one["drivers"][0].get("hosts").is_none());
    world
        .get("/v1/drivers/redfish/raid/logical_disk_properties")
        .await
        .expect(200);
    world
        .at("1.29")
        .get("/v1/drivers?detail=true")
        .await
        .expect(406);
}

#[tokio::test]
async fn conductors_are_the_members() {
    let mut world = World::new();
    let list = world.get("/v1/conductors").await.expect(200).json();
    let one = &list["conductors"][0];
    assert_eq!(
        (&one["hostname"], &one["alive"]),
        (&json!("rack-1"), &json!(true))
    );
    assert!(one.get("drivers").is_none());
    let shown = world.get("/v1/conductors/rack-1").await.expect(200).json();
    assert_eq!(shown["drivers"].as_array().map(Vec::len), Some(4));
    assert_eq!(
        world.get("/v1/conductors/none").await.expect(404).fault(),
        "Conductor none could not be found."
    );
    world.at("1.48").get("/v1/conductors").await.expect(404);
}

#[tokio::test]
async fn empty_collections_are_empty_lists() {
    let world = World::new();
    world.enroll("one").await;
    for (path, key) in [
        ("/v1/ports", "ports"),
        ("/v1/ports/detail?node=one", "ports"),
        ("/v1/ports?address=aa:bb:cc:dd:ee:ff&fields=uuid", "ports"),
        ("/v1/portgroups/detail", "portgroups"),
        ("/v1/chassis", "chassis"),
        ("/v1/volume/connectors?detail=True", "connectors"),
        ("/v1/volume/targets", "targets"),
        ("/v1/allocations", "allocations"),
        ("/v1/deploy_templates", "deploy_templates"),
        ("/v1/runbooks", "runbooks"),
        ("/v1/inspection_rules", "inspection_rules"),
        ("/v1/nodes/one/ports", "ports"),
        ("/v1/nodes/one/bios?detail=true", "bios"),
        ("/v1/nodes/one/firmware", "firmware"),
        ("/v1/nodes/one/history", "history"),
        ("/v1/nodes/one/vifs", "vifs"),
    ] {
        let answer = world.get(path).await.expect(200).json();
        assert_eq!(answer[key], json!([]), "{path}");
    }
    for path in [
        "/v1/ports?node=none",
        "/v1/nodes/none/ports",
        "/v1/nodes/one/inventory",
        "/v1/ports/x",
        "/v1/nodes/one/allocation",
    ] {
        world.get(path).await.expect(404);
    }
    let bad = world.get("/v1/ports?address=zz").await.expect(400);
    assert_eq!(bad.fault(), "Expected valid MAC address for address: zz");
}

#[tokio::test]
async fn vifs_of_the_noop_network_are_accepted() {
    let world = World::new();
    world.enroll("one").await;
    world
        .post("/v1/nodes/one/vifs", json!({"id": "port-1"}))
        .await
        .expect(204);
    world.delete("/v1/nodes/one/vifs/port-1").await.expect(204);
    world
        .post("/v1/nodes/one/vifs", json!({}))
        .await
        .expect(400);
}

#[tokio::test]
async fn boot_devices_answer() {
    let world = World::new();
    world.enroll("one").await;
    assert_eq!(
        world
            .get("/v1/nodes/one/management/boot_device")
            .await
            .expect(200)
            .json(),
        json!({"boot_device": "pxe", "persistent": false})
    );
    assert_eq!(
        world
            .get("/v1/nodes/one/management/boot_device/supported")
            .await
            .json(),
        json!({"supported_boot_devices": ["pxe"]})
    );
    let put = "/v1/nodes/one/management/boot_device";
    world
        .put(put, json!({"boot_device": "pxe"}))
        .await
        .expect(204);
    assert_eq!(
        world
            .put(put, json!({"boot_device": "disk"}))
            .await
            .expect(400)
            .fault(),
        "Invalid boot device disk specified."
    );
}

#[tokio::test]
async fn boot_device_boot_mode_and_secure_boot_reach_the_owner() {
    let world = World::new();
    let info = json!({"redfish_address": "https://192.0.2.1"});
    let body = json!({"name": "real", "driver": "redfish", "driver_info": info});
    world.post("/v1/nodes", body).await.expect(201);
    let device = "/v1/nodes/real/management/boot_device";
    assert_eq!(
        world.get(device).await.expect(200).json(),
        json!({"boot_device": "disk", "persistent": true})
    );
    let supported = format!("{device}/supported");
    assert_eq!(
        world.get(&supported).await.json(),
        json!({"supported_boot_devices": ["pxe", "disk", "cdrom", "bios", "uefihttp"]})
    );
    let wanted = json!({"boot_device": "cdrom", "persistent": true});
    world.put(device, wanted).await.expect(204);
    for wrong in ["safe", "nonsense"] {
        let refused = world.put(device, json!({"boot_device": wrong})).await;
        assert_eq!(
            refused.expect(400).fault(),
            format!("Invalid boot device {wrong} specified.")
        );
    }
    let states = "/v1/nodes/real/states";
    world
        .put(&format!("{states}/boot_mode"), json!({"target": "uefi"}))
        .await
        .expect(202);
    world
        .put(&format!("{states}/boot_mode"), json!({"target": "coal"}))
        .await
        .expect(400);
    world
        .put(&format!("{states}/secure_boot"), json!({"target": true}))
        .await
        .expect(202);
    world
        .put(&format!("{states}/secure_boot"), json!({"target": null}))
        .await
        .expect(400);
}

#[tokio::test]
async fn bios_settings_and_firmware_are_shown_as_the_bmc_told_them() {
    let world = World::new();
    let node = world.enroll("one").await;
    let empty = world.get("/v1/nodes/one/bios").await.expect(200).json();
    assert_eq!(empty, json!({"bios": []}));
    let told = |kind, body: Value| {
        let body = Json::from_map(body.as_object().expect("an object"));
        let change = NodeChange::Findings { kind, body };
        world.cluster.act(node, vec![change]);
    };
    told(
        Kind::Bios,
        json!({"BootMode": {"value": "Uefi"}, "Cores": {"value": "8"}}),
    );
    let version =
        |number: &str| json!({"bmc": {"initial_version": number, "current_version": number}});
    told(Kind::Firmware, version("1.0"));
    told(Kind::Firmware, version("2.0"));

    let list = world.get("/v1/nodes/one/bios").await.expect(200).json();
    assert_eq!(list["bios"][0]["name"], "BootMode");
    assert_eq!(list["bios"][0]["value"], "Uefi");
    assert!(list["bios"][0].get("read_only").is_none(), "{list}");
    let detail = world.get("/v1/nodes/one/bios?detail=true").await.json();
    assert_eq!(detail["bios"][1]["read_only"], Value::Null);
    let fields = world
        .get("/v1/nodes/one/bios?fields=name,value")
        .await
        .json();
    assert!(fields["bios"][0].get("created_at").is_none(), "{fields}");
    world
        .get("/v1/nodes/one/bios?fields=colour")
        .await
        .expect(400);
    let one = world
        .get("/v1/nodes/one/bios/Cores")
        .await
        .expect(200)
        .json();
    assert_eq!(one["Cores"]["value"], "8");
    world.get("/v1/nodes/one/bios/Colour").await.expect(404);

    let firmware = world.get("/v1/nodes/one/firmware").await.expect(200).json();
    let bmc = &firmware["firmware"][0];
    assert_eq!(
        (&bmc["component"], &bmc["current_version"]),
        (&json!("bmc"), &json!("2.0"))
    );
    assert_eq!(
        bmc["initial_version"], "1.0",
        "what it was first seen with stays"
    );
    world.delete("/v1/nodes/one").await.expect(204);
}

#[tokio::test]
async fn links_follow_the_configured_endpoint_or_the_proxy() {
    let fixed =
        World::with(|options| options.public_endpoint = Some("https://bm.example/base/".into()));
    let root = fixed.raw(Method::GET, "/", &[], "").await.json();
    assert_eq!(
        root["default_version"]["links"][0]["href"],
        "https://bm.example/base/v1/"
    );
    let proxied = World::with(|options| options.proxy_headers = true);
    let headers = [
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "front:443"),
    ];
    let root = proxied.raw(Method::GET, "/", &headers, "").await.json();
    assert_eq!(
        root["default_version"]["links"][0]["href"],
        "https://front:443/v1/"
    );
    let plain = World::new();
    let root = plain.raw(Method::GET, "/", &headers, "").await.json();
    assert_eq!(
        root["default_version"]["links"][0]["href"],
        "http://bm.example:6385/v1/"
    );
}

#[tokio::test]
async fn fake_interfaces_answer_as_ironics_do() {
    let world = World::new();
    let body = json!({"driver": "fake-hardware", "name": "one", "console_interface": "fake", "vendor_interface": "fake"});
    world.post("/v1/nodes", body).await.expect(201);
    let lights = world
        .get("/v1/nodes/one/management/indicators")
        .await
        .expect(200)
        .json();
    assert_eq!(lights["indicators"][0]["name"], "led-0@chassis");
    let light = "/v1/nodes/one/management/indicators/led@system";
    assert_eq!(
        world.get(light).await.expect(200).json(),
        json!({"state": "on"})
    );
    world.put(light, json!({"state": "off"})).await.expect(400);
    world
        .put(light, json!({"state": "purple"}))
        .await
        .expect(400);
    world
        .get("/v1/nodes/one/management/indicators/zz")
        .await
        .expect(404);
    let console = "/v1/nodes/one/states/console";
    world
        .put(console, json!({"enabled": "true"}))
        .await
        .expect(202);
    let shown = world.get(console).await.expect(200).json();
    assert_eq!(shown, json!({"console_enabled": true, "console_info": {}}));
    world.put(console, json!({"enabled": 7})).await.expect(400);
    let vmedia = "/v1/nodes/one/vmedia";
    let image = json!({"device_type": "cdrom", "image_url": "http://192.0.2.1/a.iso"});
    world.post(vmedia, image).await.expect(204);
    world
        .post(
            vmedia,
            json!({"device_type": "tape", "image_url": "http://x/"}),
        )
        .await
        .expect(400);
    world
        .delete("/v1/nodes/one/vmedia?device_types=cdrom,disk")
        .await
        .expect(204);
    world.get(vmedia).await.expect(400);
    let methods = world
        .get("/v1/nodes/one/vendor_passthru/methods")
        .await
        .expect(200)
        .json();
    assert_eq!(methods["second_method"]["async"], true);
    let path = "/v1/nodes/one/vendor_passthru/second_method";
    world.post(path, json!({"bar": "x"})).await.expect(202);
    world.post(path, json!({})).await.expect(400);
    let wrong = world.put(path, json!({"bar": "x"})).await.expect(400);
    assert_eq!(
        wrong.fault(),
        "The method second_method does not support HTTP PUT"
    );
    let sync = "/v1/nodes/one/vendor_passthru?method=third_method_sync";
    assert_eq!(
        world
            .post(sync, json!({"bar": "meow"}))
            .await
            .expect(200)
            .json(),
        json!(true)
    );
}
