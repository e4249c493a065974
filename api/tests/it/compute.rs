//! What the API and the operators see of compute events.

use crate::admin::{admin, ask};
use crate::world::World;
use axum::http::{Method, StatusCode};
use baton_model::command::{Command, EditNode, EventDone, EventOutcome, NodeChange};
use baton_model::ids::NodeId;
use baton_model::node::edit::NodeEdit;
use baton_model::node::power::{PowerCause, PowerState};
use baton_model::port::node::{Caller, NodeRequest};
use serde_json::{Value, json};
use uuid::Uuid;

/// A node named `one` with an instance.
async fn on_instance(world: &World) -> (NodeId, Uuid) {
    let node = world.enroll("one").await;
    let instance = Uuid::from_u128(77);
    world.cluster.apply(Command::NodeEdit(EditNode {
        node,
        expect: None,
        edits: vec![NodeEdit::InstanceUuid(Some(instance))],
    }));
    (node, instance)
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).expect("JSON")
}

fn change(state: PowerState) -> Vec<NodeChange> {
    vec![NodeChange::Power {
        state: Some(state),
        cause: PowerCause::User,
        notify: true,
    }]
}

#[tokio::test]
async fn the_compute_service_may_not_undo_a_change_that_it_has_not_heard_of() {
    let world = World::with(|options| options.compute_user = Some("nova".into()));
    let (node, _) = on_instance(&world).await;
    world.cluster.act(node, change(PowerState::On));
    let path = "/v1/nodes/one/states/power";
    let power = async |user: &str, target: &str| {
        let headers = [
            ("x-openstack-ironic-api-version", "1.115"),
            ("x-user-name", user),
        ];
        let body = json!({"target": target}).to_string();
        world.raw(Method::PUT, path, &headers, body).await
    };
    let refused = power("nova", "power off").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    let text = refused.fault();
    assert!(
        text.contains("went to \"power on\" by a request through the API 7 s ago"),
        "{text}"
    );
    assert!(world.owner.asked.lock().expect("fine").is_empty());
    assert_eq!(power("nova", "power on").await.status, StatusCode::ACCEPTED);
    assert_eq!(
        power("admin", "power off").await.status,
        StatusCode::ACCEPTED
    );
    let asked = world.owner.asked.lock().expect("fine").clone();
    let callers: Vec<Caller> = asked
        .iter()
        .filter_map(|(_, _, request)| match request {
            NodeRequest::Power { caller, .. } => Some(*caller),
            _ => None,
        })
        .collect();
    assert_eq!(callers, [Caller::Compute, Caller::Operator]);
}

#[tokio::test]
async fn operators_see_what_was_told_what_waits_and_what_is_dead_and_decide_about_it() {
    let world = World::with(|_| {});
    let (node, instance) = on_instance(&world).await;
    let api = admin(&world);
    let get = async |path: &str| {
        let (status, body) = ask(&api, Method::GET, path, None).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        json_of(&body)
    };
    let shown = async || get("/admin/v1/nodes/one").await["compute"].clone();
    assert_eq!(shown().await["status"], "nothing to tell yet");

    world.cluster.act(node, change(PowerState::On));
    assert_eq!(shown().await["status"], "waiting");
    let report = get("/admin/v1/compute").await;
    assert_eq!(
        (&report["waiting"], &report["dead"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(report["here"]["results"]["HTTP 503"], 4);
    assert_eq!(
        get("/admin/v1/compute/waiting").await["events"][0]["power_state"],
        "power on"
    );

    let give_up = || {
        let seq = world
            .cluster
            .state
            .read()
            .outbox_of(instance)
            .expect("waits")
            .seq;
        world.cluster.apply(Command::EventsDone(vec![EventDone {
            instance,
            seq,
            outcome: EventOutcome::Rejected(404),
        }]));
    };
    give_up();
    let dead = get("/admin/v1/compute/dead").await;
    let reason = "the compute service knows no such server (404)";
    assert_eq!(dead["events"][0]["status_reason"], reason);
    let post = async |what: &str, body: Value| {
        let path = format!("/admin/v1/compute/dead/{what}");
        ask(&api, Method::POST, &path, Some(body)).await.0
    };
    assert_eq!(
        post("resend", json!({"instances": "some"})).await,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(
        post("resend", json!({"instances": [instance]})).await,
        StatusCode::OK
    );
    assert_eq!(shown().await["status"], "waiting");
    give_up();
    assert_eq!(
        post("drop", json!({"instances": "all"})).await,
        StatusCode::OK
    );
    assert_eq!(get("/admin/v1/compute/dead").await["total"], 0);

    let (_, text) = ask(&api, Method::GET, "/metrics", None).await;
    let text = String::from_utf8(text.to_vec()).expect("text");
    assert!(text.contains("baton_compute_events_waiting 3"), "{text}");
    assert!(
        text.contains("baton_compute_event_results_total{result=\"HTTP 503\"} 4"),
        "{text}"
    );
}
