//! Discovery, microversions, reply headers.

use crate::world::World;
use axum::http::Method;
use serde_json::json;

const OWN: &str = "x-openstack-ironic-api-version";

#[tokio::test]
async fn discovery_is_what_clients_read() {
    let world = World::new();
    let root = world.raw(Method::GET, "/", &[], "").await.expect(200);
    let document = root.json();
    assert_eq!(document["versions"].as_array().map(Vec::len), Some(1));
    let version = json!({
        "id": "v1",
        "links": [{"href": "http://bm.example:6385/v1/", "rel": "self"}],
        "status": "CURRENT", "min_version": "1.1", "version": "1.115",
    });
    assert_eq!(document["default_version"], version);
    let v1 = world
        .raw(Method::GET, "/v1/", &[], "")
        .await
        .expect(200)
        .json();
    assert_eq!(v1["version"], version);
    assert!(v1.get("nodes").is_some() && v1.get("portgroups").is_none());
    assert!(world.get("/v1").await.json().get("runbooks").is_some());
    assert_eq!(
        v1["nodes"],
        json!([
            {"href": "http://bm.example:6385/v1/nodes/", "rel": "self"},
            {"href": "http://bm.example:6385/nodes/", "rel": "bookmark"},
        ])
    );
}

#[tokio::test]
async fn every_routed_reply_carries_version_and_request_id() {
    let world = World::new();
    for path in [
        "/",
        "/v1",
        "/v1/nodes",
        "/v1/nodes/none",
        "/nodes",
        "/v1/nope",
    ] {
        let answer = world.raw(Method::GET, path, &[(OWN, "1.72")], "").await;
        assert_eq!(
            answer.header("x-openstack-ironic-api-minimum-version"),
            "1.1"
        );
        assert_eq!(
            answer.header("x-openstack-ironic-api-maximum-version"),
            "1.115"
        );
        assert_eq!(answer.header(OWN), "1.72", "{path}");
        let id = answer.header("openstack-request-id");
        assert!(id.starts_with("req-") && id.len() == 40, "{id}");
        assert_eq!(answer.header("x-openstack-request-id"), id);
    }
    let outside = world
        .raw(Method::GET, "/v2/nodes", &[], "")
        .await
        .expect(404);
    assert_eq!(outside.header(OWN), "");
    assert!(!outside.header("openstack-request-id").is_empty());
}

#[tokio::test]
async fn unserved_versions_get_406_with_the_range() {
    let world = World::new();
    let cases = [
        (
            "1.999",
            "Version 1.999 was requested but the minor version is not supported by this service. The supported \
                   version range is: [1.1, 1.115].",
        ),
        (
            "2.1",
            "Mutually exclusive versions requested. Version 2.1 requested but not supported by this service. The \
                 supported version range is: [1.1, 1.115].",
        ),
        (
            "abc",
            "Invalid value for X-OpenStack-Ironic-API-Version header",
        ),
    ];
    for (version, text) in cases {
        let answer = world
            .raw(Method::GET, "/v1/nodes", &[(OWN, version)], "")
            .await
            .expect(406);
        assert_eq!(answer.fault(), text);
        assert_eq!(
            answer.header("x-openstack-ironic-api-maximum-version"),
            "1.115"
        );
        assert_eq!(answer.header(OWN), "");
    }
}

#[tokio::test]
async fn fields_come_and_go_with_the_version() {
    let mut world = World::new();
    world.enroll("one").await;
    let uuid = world.get("/v1/nodes/one").await.json()["uuid"].clone();
    let path = format!("/v1/nodes/{}", uuid.as_str().expect("a uuid"));
    let has = |document: &serde_json::Value, key: &str| document.get(key).is_some();
    let newest = world.get(&path).await.json();
    for key in [
        "name",
        "traits",
        "conductor",
        "instance_name",
        "health",
        "volume",
        "firmware_interface",
    ] {
        assert!(has(&newest, key), "{key}");
    }
    let oldest = world.at("1.1").get(&path).await.json();
    for key in [
        "name",
        "traits",
        "conductor",
        "states",
        "volume",
        "driver_internal_info",
        "clean_step",
    ] {
        assert!(!has(&oldest, key), "{key}");
    }
    assert!(has(&oldest, "ports") && has(&oldest, "chassis_uuid"));
    // A name in the URL needs 1.5.
    world.at("1.4").get("/v1/nodes/one").await.expect(404);
    world.at("1.5").get("/v1/nodes/one").await.expect(200);
}

#[tokio::test]
async fn states_are_shown_as_old_clients_know_them() {
    let mut world = World::new();
    let id = world.node_after("one", &["manage", "provide"]).await;
    let path = format!("/v1/nodes/{id}");
    assert_eq!(
        world.get(&path).await.json()["provision_state"],
        "available"
    );
    assert_eq!(
        world.at("1.1").get(&path).await.json()["provision_state"],
        serde_json::Value::Null
    );
    // Before 1.11 a new node is available at once.
    let made = world
        .at("1.10")
        .post("/v1/nodes", json!({"driver": "fake-hardware"}))
        .await
        .expect(201);
    assert_eq!(made.json()["provision_state"], "available");
}

#[tokio::test]
async fn input_above_the_version_is_not_acceptable() {
    let mut world = World::new();
    world.enroll("one").await;
    let too_new = world
        .at("1.49")
        .post(
            "/v1/nodes",
            json!({"driver": "fake-hardware", "owner": "me"}),
        )
        .await
        .expect(406);
    assert_eq!(too_new.fault(), "Request not acceptable.");
    let patch = json!([{"op": "add", "path": "/owner", "value": "me"}]);
    world
        .patch("/v1/nodes/one", patch.clone())
        .await
        .expect(406);
    world.get("/v1/nodes?fields=owner").await.expect(406);
    let filter = world.get("/v1/nodes?owner=me").await.expect(406);
    assert_eq!(
        filter.fault(),
        "Request not acceptable. The minimal required API version should be 1.50"
    );
    world
        .at("1.50")
        .patch("/v1/nodes/one", patch)
        .await
        .expect(200);
    world.get("/v1/nodes?owner=me").await.expect(200);
    world
        .at("1.42")
        .get("/v1/nodes?detail=true")
        .await
        .expect(400);
}

#[tokio::test]
async fn verbs_have_gates() {
    let mut world = World::new();
    world.enroll("one").await;
    let put = "/v1/nodes/one/states/provision";
    for (verb, below) in [
        ("clean", "1.14"),
        ("adopt", "1.16"),
        ("rescue", "1.37"),
        ("service", "1.86"),
        ("unhold", "1.84"),
    ] {
        world
            .at(below)
            .put(put, json!({"target": verb}))
            .await
            .expect(406);
    }
    world
        .at("1.72")
        .put(put, json!({"target": "deploy"}))
        .await
        .expect(406);
    let power = "/v1/nodes/one/states/power";
    world
        .at("1.26")
        .put(power, json!({"target": "soft power off"}))
        .await
        .expect(406);
    world
        .put(power, json!({"target": "power off", "timeout": 5}))
        .await
        .expect(406);
}

#[tokio::test]
async fn paths_come_in_many_forms() {
    let mut world = World::new();
    let id = world.enroll("one.json").await;
    for path in [
        "/v1/nodes/",
        "/nodes",
        "/nodes/",
        "/v1/nodes/one.json/states/",
    ] {
        world.get(path).await.expect(200);
    }
    world.at("1.90").get("/v1/nodes.json").await.expect(200);
    world.get("/v1/nodes/one.json").await.expect(200);
    world.get(&format!("/v1/nodes/{id}.json")).await.expect(200);
    world
        .at("1.91")
        .get(&format!("/v1/nodes/{id}.json"))
        .await
        .expect(404);
    world.get("/v1/nodes/one.json").await.expect(200);
    for (method, path, status) in [
        (Method::PUT, "/v1/nodes/one.json", 405),
        (Method::HEAD, "/v1/nodes", 405),
        (Method::OPTIONS, "/v1/nodes", 200),
        (Method::PATCH, "/v1/nodes", 400),
        (Method::GET, "/v1/nope", 404),
        (Method::POST, "/v1", 405),
    ] {
        let answer = world.raw(method.clone(), path, &[], "").await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}");
    }
    let html = world
        .raw(Method::GET, "/v1/nodes", &[("accept", "text/html")], "")
        .await;
    html.expect(406);
    world
        .raw(Method::GET, "/", &[("accept", "text/html")], "")
        .await
        .expect(200);
}
