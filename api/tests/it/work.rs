//! Work for owners: power, provision verbs, interrupts; and waiting for locks.

use crate::world::World;
use baton_model::command::{BreakLock, Command};
use baton_model::node::edit::Refused;
use baton_model::node::power::PowerRequest;
use baton_model::port::node::{Caller, NodeError, NodeRequest};
use serde_json::json;

#[tokio::test]
async fn power_requests_reach_the_owner_with_their_request_id() {
    let world = World::new();
    let id = world.enroll("one").await;
    let answer = world
        .put(
            "/v1/nodes/one/states/power",
            json!({"target": "power on", "timeout": "30"}),
        )
        .await
        .expect(202);
    assert!(answer.body.is_empty() && answer.header("content-type").is_empty());
    assert_eq!(
        answer.header("location"),
        "http://bm.example:6385/v1/nodes/one/states"
    );
    let asked = world.owner.asked.lock().expect("fine").clone();
    let [(node, request_id, request)] = asked.as_slice() else {
        panic!("{asked:?}");
    };
    assert_eq!(*node, id);
    assert_eq!(&*request_id.0, answer.header("openstack-request-id"));
    assert_eq!(
        *request,
        NodeRequest::Power {
            request: PowerRequest::On,
            timeout_s: Some(30),
            caller: Caller::Operator,
        }
    );
    // The first read after the 202 shows it.
    assert_eq!(
        world.get("/v1/nodes/one").await.json()["power_state"],
        "power on"
    );
    // Query instead of body.
    world
        .put("/v1/nodes/one/states/power?target=power%20off", json!({}))
        .await
        .expect(202);
}

#[tokio::test]
async fn power_requests_are_checked() {
    let world = World::new();
    world.enroll("one").await;
    world
        .post("/v1/nodes", json!({"driver": "manual-management", "name": "manual", "power_interface": "agent", "disable_power_off": true}))
        .await
        .expect(201);
    let one = "/v1/nodes/one/states/power";
    for (path, body, status) in [
        (one, json!({}), 400),
        (one, json!({"target": "up"}), 400),
        (one, json!({"target": 5}), 400),
        (one, json!({"target": "power on", "timeout": 0}), 400),
        (one, json!({"target": "power on", "timeout": "x"}), 400),
        (one, json!({"target": "power on", "x": 1}), 400),
        (
            "/v1/nodes/none/states/power",
            json!({"target": "power on"}),
            404,
        ),
        (
            "/v1/nodes/manual/states/power",
            json!({"target": "power on"}),
            400,
        ),
    ] {
        let answer = world.put(path, body.clone()).await;
        assert_eq!(answer.status.as_u16(), status, "{path} {body}");
    }
    world
        .patch(
            "/v1/nodes/one",
            json!([{"op": "add", "path": "/disable_power_off", "value": true}]),
        )
        .await
        .expect(200);
    // Ironic's words, and then what helps.
    let id = world.get("/v1/nodes/one").await.json()["uuid"].clone();
    let id = id.as_str().expect("a UUID");
    for (path, body, status, text) in [
        (
            one,
            json!({"target": "power off"}),
            409,
            "Failed to set node power state to power off. ".to_owned(),
        ),
        (
            one,
            json!({"target": "soft power off", "timeout": 5}),
            409,
            "Failed to set node power state to soft power off. ".to_owned(),
        ),
        (
            one,
            json!({"target": "up"}),
            400,
            format!(
                "The requested action \"up\" can not be performed on node \"{id}\" while it is in state \"None\". "
            ),
        ),
        (
            one,
            json!({"target": "power on", "timeout": -1}),
            400,
            "timeout has to be positive integer".to_owned(),
        ),
        (
            "/v1/nodes/manual/states/power",
            json!({"target": "power on"}),
            400,
            "The driver manual-management does not support the power state, power on. ".to_owned(),
        ),
    ] {
        let fault = world.put(path, body.clone()).await.expect(status).fault();
        assert!(fault.starts_with(&text), "{body}: {fault}");
    }
    world
        .put(one, json!({"target": "power on"}))
        .await
        .expect(202);
}

#[tokio::test]
async fn what_the_owner_says_reaches_the_client() {
    let world = World::new();
    let id = world.enroll("one").await;
    let put = || world.put("/v1/nodes/one/states/power", json!({"target": "power on"}));
    *world.owner.trouble.lock().expect("fine") =
        Some(NodeError::Refused(Refused::locked(id, "rack-1")));
    let locked = put().await.expect(409);
    assert_eq!(
        locked.fault(),
        format!(
            "Node {id} is locked by host rack-1, please retry after the current operation is completed."
        )
    );
    *world.owner.trouble.lock().expect("fine") = Some(NodeError::Unavailable {
        reason: "Requested action cannot be performed due to lack of free conductor workers."
            .into(),
        retry_after_s: 7,
    });
    let busy = put().await.expect(503);
    assert_eq!(busy.header("retry-after"), "7");
    *world.owner.trouble.lock().expect("fine") = Some(NodeError::NotOwner(None));
    assert_eq!(put().await.expect(503).header("retry-after"), "1");
}

#[tokio::test]
async fn verbs_follow_the_table() {
    let world = World::new();
    let id = world.enroll("one").await;
    let put = |target: &str| {
        let body = json!({"target": target});
        world.put("/v1/nodes/one/states/provision", body)
    };
    let refused = put("provide").await.expect(400);
    assert_eq!(
        refused.fault(),
        format!(
            "The requested action \"provide\" can not be performed on node \"{id}\" while it is in state \"enroll\"."
        )
    );
    put("nonsense").await.expect(400);
    put("done").await.expect(400);
    let accepted = put("manage").await.expect(202);
    assert!(
        accepted
            .header("location")
            .ends_with("/v1/nodes/one/states")
    );
    assert_eq!(
        world.get("/v1/nodes/one").await.json()["provision_state"],
        "manageable"
    );
    put("adopt").await.expect(202);
    put("undeploy").await.expect(202);
    assert_eq!(
        world.get("/v1/nodes/one").await.json()["provision_state"],
        "available"
    );
    world
        .put("/v1/nodes/one/maintenance", json!({}))
        .await
        .expect(202);
    let maintained = put("active").await.expect(400);
    assert!(maintained.fault().contains("maintenance mode"));
    world
        .put("/v1/nodes/one/states/provision", json!({}))
        .await
        .expect(400);
}

#[tokio::test]
async fn bodies_of_verbs_are_checked() {
    let world = World::new();
    world.node_after("one", &["manage"]).await;
    world.node_after("two", &["manage", "provide"]).await;
    world.node_after("three", &["manage", "adopt"]).await;
    let step = json!({"interface": "raid", "step": "create_configuration"});
    for (node, body, status) in [
        ("one", json!({"target": "clean"}), 400),
        ("one", json!({"target": "clean", "clean_steps": []}), 400),
        ("one", json!({"target": "clean", "clean_steps": "x"}), 400),
        (
            "one",
            json!({"target": "clean", "clean_steps": [{"interface": "raid"}]}),
            400,
        ),
        (
            "one",
            json!({"target": "clean", "clean_steps": [{"interface": "zz", "step": "s"}]}),
            400,
        ),
        (
            "one",
            json!({"target": "clean", "clean_steps": [{"interface": "vendor", "step": "send_raw"}]}),
            400,
        ),
        (
            "one",
            json!({"target": "clean", "clean_steps": [step], "runbook": "r"}),
            400,
        ),
        (
            "one",
            json!({"target": "provide", "clean_steps": [step]}),
            400,
        ),
        ("one", json!({"target": "provide", "configdrive": "x"}), 400),
        (
            "one",
            json!({"target": "clean", "clean_steps": [step], "disable_ramdisk": "maybe"}),
            400,
        ),
        ("two", json!({"target": "active", "configdrive": 5}), 400),
        (
            "two",
            json!({"target": "active", "configdrive": {"nope": 1}}),
            400,
        ),
        (
            "two",
            json!({"target": "active", "deploy_steps": [step]}),
            400,
        ),
        ("three", json!({"target": "rescue"}), 400),
        (
            "three",
            json!({"target": "rescue", "rescue_password": " "}),
            400,
        ),
        (
            "three",
            json!({"target": "rescue", "rescue_password": "secret"}),
            202,
        ),
        (
            "one",
            json!({"target": "clean", "clean_steps": [step]}),
            202,
        ),
        (
            "two",
            json!({"target": "active", "configdrive": {"user_data": "x"}, "deploy_steps": [
            {"interface": "deploy", "step": "deploy", "args": {}, "priority": 100}]}),
            202,
        ),
    ] {
        let answer = world
            .put(&format!("/v1/nodes/{node}/states/provision"), body.clone())
            .await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{node} {body}: {}",
            String::from_utf8_lossy(&answer.body)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn edits_wait_for_the_lock_and_then_get_ironics_409() {
    let world = World::new();
    let id = world.enroll("one").await;
    let intent = world.cluster.lock(id);
    let claim = json!([{"op": "add", "path": "/instance_uuid", "value": "11111111-2222-3333-4444-555555555555"}]);
    // Flags and notes do not wait.
    world
        .patch(
            "/v1/nodes/one",
            json!([{"op": "add", "path": "/extra/a", "value": 1}]),
        )
        .await
        .expect(200);
    let refused = world
        .patch("/v1/nodes/one", claim.clone())
        .await
        .expect(409);
    assert_eq!(
        refused.fault(),
        format!(
            "Node {id} is locked by host rack-1, please retry after the current operation is completed."
        )
    );
    world.delete("/v1/nodes/one").await.expect(409);
    // Once the lock is free, a waiting edit goes on.
    let release = async {
        tokio::task::yield_now().await;
        world.cluster.apply(Command::LockBreak(BreakLock {
            node: id,
            intent,
            reason: "test".into(),
        }));
    };
    let (answer, ()) = tokio::join!(world.patch("/v1/nodes/one", claim), release);
    answer.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_verb_that_is_illegal_only_while_work_runs_waits_for_it() {
    let world = World::new();
    let id = world.enroll("one").await;
    world.cluster.lock(id);
    let refused = world
        .put(
            "/v1/nodes/one/states/provision",
            json!({"target": "provide"}),
        )
        .await
        .expect(409);
    assert!(refused.fault().contains("is locked by host rack-1"));
}

#[tokio::test]
async fn interrupts_need_hardware_that_has_them() {
    let world = World::new();
    world.enroll("fake").await;
    world
        .post("/v1/nodes", json!({"driver": "ipmi", "name": "ipmi"}))
        .await
        .expect(201);
    let refused = world
        .put("/v1/nodes/fake/management/inject_nmi", json!({}))
        .await
        .expect(400);
    assert_eq!(
        refused.fault(),
        "Driver fake-hardware does not support inject_nmi (disabled or not implemented)."
    );
    world
        .put("/v1/nodes/ipmi/management/inject_nmi", json!({}))
        .await
        .expect(204);
    world
        .put("/v1/nodes/ipmi/management/inject_nmi", json!({"x": 1}))
        .await
        .expect(400);
}
