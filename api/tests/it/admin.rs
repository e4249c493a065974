//! The admin endpoint.

use crate::world::{ME, Told, World, env};
use axum::body::Bytes;
use axum::http::{Method, Request, StatusCode};
use baton_api::{AdminApi, AdminDeps};
use baton_model::command::Command;
use baton_model::env::Mono;
use baton_model::freshness::{Freshness, FreshnessReport, Watch};
use baton_model::ids::{ConductorId, LogIndex};
use baton_model::port::BoxFuture;
use baton_model::port::cluster::{
    BackupParts, ChangeError, ClusterReport, ClusterStatus, Departure, MemberReport, MemberRole,
    Members, Proposer,
};
use baton_model::port::lease::OwnLease;
use baton_model::port::node::NodeGateway;
use baton_model::port::power;
use baton_model::port::power::{PoolReport, PowerReport, PowerReports, SlowNode};
use baton_model::secret::Secret;
use baton_model::state::StateView;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Two conductors: one that knows the world's nodes, and one that gives no answer.
struct Reports(StateView);

impl PowerReports for Reports {
    fn stale_after(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn here(&self, worst: usize) -> FreshnessReport {
        let mut all = Freshness::new();
        let now = Mono(10_000);
        for node in self.0.read().nodes() {
            let slot = all.enter(now, node.id);
            let watch = if node.maintenance {
                Watch::Nobody
            } else {
                Watch::Sync
            };
            all.note(now, slot, watch, Some(Mono(8500)));
        }
        all.report(now, worst, self.stale_after())
    }

    fn everywhere(&self, worst: usize) -> BoxFuture<'_, Vec<(ConductorId, power::Told)>> {
        let node = self.0.read().nodes().next().map(|node| node.id);
        let slowest = node
            .map(|node| SlowNode { node, rtt_us: 900 })
            .into_iter()
            .collect();
        let report = PowerReport {
            freshness: self.here(worst),
            pool: PoolReport {
                limit: 32,
                slowest,
                ..PoolReport::default()
            },
        };
        let silent = Err("no answer came".into());
        Box::pin(async { vec![(ConductorId(1), Ok(report)), (ConductorId(2), silent)] })
    }
}

struct Alone;

impl ClusterStatus for Alone {
    fn report(&self) -> ClusterReport {
        ClusterReport {
            cluster: uuid::Uuid::nil(),
            me: ME.conductor,
            leader: Some(ME.conductor),
            term: 3,
            last_log: LogIndex(10),
            applied: LogIndex(10),
            snapshot: None,
            members: vec![MemberReport {
                id: ConductorId(1),
                host: "c1".into(),
                address: "127.0.0.1:6390".into(),
                role: MemberRole::Leader,
                matched: Some(LogIndex(10)),
                heard_ms: None,
            }],
            disk_bytes: Some(4096),
        }
    }
}

/// A lease with half a second left.
struct Half;

impl OwnLease for Half {
    fn remaining(&self) -> Duration {
        Duration::from_millis(500)
    }
}

/// Takes note of what operators ask for.
#[derive(Default)]
struct Asked(Mutex<Vec<String>>);

impl Asked {
    fn note(&self, what: String) {
        self.0.lock().expect("fine").push(what);
    }
}

impl Members for Asked {
    fn remove(&self, id: ConductorId, force: bool) -> BoxFuture<'_, Result<(), ChangeError>> {
        self.note(format!("remove {id} {force}"));
        Box::pin(async move {
            if force {
                Ok(())
            } else {
                Err(ChangeError::Refused("it is alive".into()))
            }
        })
    }

    fn transfer_leader(
        &self,
        to: Option<ConductorId>,
    ) -> BoxFuture<'_, Result<ConductorId, ChangeError>> {
        self.note(format!("transfer {to:?}"));
        Box::pin(async move { Ok(to.unwrap_or(ConductorId(1))) })
    }

    fn backup(&self, stale: bool) -> BoxFuture<'_, Result<BackupParts, ChangeError>> {
        self.note(format!("backup {stale}"));
        Box::pin(async move {
            let parts = [b"one ".to_vec(), b"two".to_vec()];
            Ok(Box::new(parts.into_iter()) as BackupParts)
        })
    }
}

impl Departure for Asked {
    fn leave(&self) -> Result<(), ChangeError> {
        self.note("leave".to_owned());
        Ok(())
    }
}

#[tokio::test]
async fn operators_change_the_members_by_name_or_number() {
    let world = World::new();
    let asked = Arc::new(Asked::default());
    let api = admin_with(&world, &asked, None);
    let post = async |path: &str, body: Value| {
        let (status, body) = ask(&api, Method::POST, path, Some(body)).await;
        (status.as_u16(), String::from_utf8_lossy(&body).into_owned())
    };
    let remove = "/admin/v1/cluster/remove";
    let refused = post(remove, json!({"conductor": "c1"})).await;
    assert_eq!(refused, (409, r#"{"error":"it is alive"}"#.to_owned()));
    assert_eq!(
        post(remove, json!({"conductor": "1", "force": true}))
            .await
            .0,
        200
    );
    assert_eq!(post(remove, json!({"conductor": "c9"})).await.0, 404);
    assert_eq!(
        post(remove, json!({"conductor": "c1", "really": true}))
            .await
            .0,
        400
    );
    assert_eq!(
        post("/admin/v1/cluster/transfer-leader", json!({})).await.0,
        200
    );
    assert_eq!(post("/admin/v1/cluster/leave", json!({})).await.0, 200);
    let (status, body) = ask(
        &api,
        Method::GET,
        "/admin/v1/cluster/backup?stale=true",
        None,
    )
    .await;
    assert_eq!((status.as_u16(), &body[..]), (200, b"one two".as_slice()));
    let noted = asked.0.lock().expect("fine").clone();
    assert_eq!(
        noted,
        [
            "remove 1 false",
            "remove 1 true",
            "transfer None",
            "leave",
            "backup true"
        ]
    );
}

#[tokio::test]
async fn a_token_closes_every_page_to_whoever_does_not_show_it() {
    let world = World::new();
    let token = Secret::new("s3cret".to_owned());
    let api = admin_with(&world, &Arc::default(), Some(token));
    for path in ["/", "/metrics", "/admin/v1/cluster", "/admin/v1/nowhere"] {
        let (status, body) = ask(&api, Method::GET, path, None).await;
        assert_eq!(status, 401, "{path}");
        assert!(!String::from_utf8_lossy(&body).contains("s3cret"));
    }
    let request = Request::get("/admin/v1/cluster")
        .header("authorization", "Bearer s3cret")
        .body(Full::new(Bytes::new()))
        .expect("valid");
    assert_eq!(api.handle(request).await.status(), 200);
}

pub(crate) fn admin(world: &World) -> AdminApi {
    admin_with(world, &Arc::default(), None)
}

fn admin_with(world: &World, asked: &Arc<Asked>, token: Option<Secret<String>>) -> AdminApi {
    let registry = Arc::new(Mutex::new(prometheus_client::registry::Registry::default()));
    world
        .api
        .register_metrics(&mut registry.lock().expect("fine"));
    let notifier = Arc::new(Told(world.cluster.state.clone()));
    baton_api::register_notifier_metrics(&mut registry.lock().expect("fine"), notifier.clone());
    AdminApi::new(AdminDeps {
        state: world.cluster.state.clone(),
        proposer: Arc::clone(&world.cluster) as Arc<dyn Proposer>,
        nodes: Arc::clone(&world.owner) as Arc<dyn NodeGateway>,
        cluster: Arc::new(Alone),
        lease: Arc::new(Half),
        members: asked.clone(),
        departure: asked.clone(),
        token,
        notifier,
        power: Arc::new(Reports(world.cluster.state.clone())),
        changes: Arc::clone(&world.cluster.changes),
        env: env(),
        registry,
    })
}

pub(crate) async fn ask(
    api: &AdminApi,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> (StatusCode, Bytes) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(
            body.map(|body| body.to_string()).unwrap_or_default(),
        )))
        .expect("valid");
    let response = api.handle(request).await;
    let status = response.status();
    (
        status,
        response
            .into_body()
            .collect()
            .await
            .expect("in memory")
            .to_bytes(),
    )
}

async fn get(api: &AdminApi, path: &str) -> Value {
    let (status, body) = ask(api, Method::GET, path, None).await;
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn it_shows_the_cluster_and_the_fleet() {
    let world = World::new();
    let id = world.enroll("one").await;
    world.enroll("two").await;
    world
        .put("/v1/nodes/two/maintenance", json!({}))
        .await
        .expect(202);
    world.cluster.lock(id);
    let api = admin(&world);
    assert_eq!(get(&api, "/admin/v1/cluster").await["term"], 3);
    let members = get(&api, "/admin/v1/members").await;
    assert_eq!(members["members"][0]["nodes"], 2);
    assert_eq!(members["members"][0]["role"], "leader");
    assert_eq!(members["members"][0]["host"], "rack-1");
    let summary = get(&api, "/admin/v1/summary").await;
    assert_eq!(summary["nodes"], 2);
    assert_eq!(summary["maintenance"], 1);
    assert_eq!(summary["provision_state"]["enroll"], 2);
    assert_eq!(summary["outbox"]["depth"], 0);
    let staleness = get(&api, "/admin/v1/staleness?worst=1").await;
    assert_eq!(staleness["age_ms"]["max"], 1500);
    assert_eq!(staleness["worst"].as_array().map(Vec::len), Some(1));
    let worst = &staleness["worst"][0];
    assert_eq!(
        (&worst["name"], &worst["age_ms"]),
        (&json!("one"), &json!(1500))
    );
    assert_eq!(worst["live"]["confirmed_age_ms"], 1500);
    assert_eq!(
        (&staleness["synced"], &staleness["not_read"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        (&staleness["stale"], &staleness["alarm"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(
        staleness["histogram"][0],
        json!({"within_s": 5, "nodes": 1})
    );
    assert_eq!(staleness["conductors"][1]["error"], "no answer came");
    let bmcs = get(&api, "/admin/v1/bmcs").await;
    assert_eq!(bmcs["pools"][0]["limit"], 32);
    assert_eq!(bmcs["pools"][1]["error"], "no answer came");
    assert_eq!(bmcs["slowest"][0]["rtt_us"], 900);
    let node = get(&api, "/admin/v1/nodes/one").await;
    assert_eq!(
        (&node["owner"], &node["owned_by"]),
        (&json!("rack-1"), &json!("hash"))
    );
    assert_eq!(node["live"]["confirmed_age_ms"], 1500);
    assert_eq!(node["lock"]["holder"], "rack-1");
    let (status, body) = ask(&api, Method::GET, "/metrics", None).await;
    assert_eq!(status, 200);
    assert!(
        String::from_utf8_lossy(&body)
            .contains("baton_api_requests_total{method=\"POST\",status=\"201\"} 2")
    );
    let (status, _) = ask(&api, Method::POST, "/admin/v1/nodes/one/sync", None).await;
    assert_eq!(status, 202);
    let (status, _) = ask(&api, Method::GET, "/admin/v1/nodes/none", None).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_lock_is_broken_by_its_id_and_with_a_reason() {
    let world = World::new();
    let id = world.enroll("one").await;
    let intent = world.cluster.lock(id);
    let api = admin(&world);
    let locks = get(&api, "/admin/v1/locks").await;
    assert_eq!(locks["total"], 1);
    assert_eq!(locks["locks"][0]["purpose"], "provision action manage");
    assert_eq!(locks["locks"][0]["overdue"], true);
    let path = format!("/admin/v1/nodes/{id}/lock/break");
    for (body, wanted) in [
        (json!({}), 400),
        (json!({"intent": intent, "reason": " "}), 400),
        (json!({"intent": 99, "reason": "stuck"}), 409),
        (json!({"intent": intent, "reason": "stuck since noon"}), 200),
        (json!({"intent": intent, "reason": "stuck since noon"}), 409),
        (json!({"reason": "stuck since noon"}), 409),
    ] {
        let (status, answer) = ask(&api, Method::POST, &path, Some(body.clone())).await;
        assert_eq!(
            status,
            wanted,
            "{body}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    let node = world.get("/v1/nodes/one").await.json();
    assert_eq!(node["reservation"], Value::Null);
    let told = node["last_error"].as_str().unwrap_or_default();
    assert!(told.starts_with("An operator broke the lock of "), "{told}");
    assert!(
        told.ends_with("(provision action manage): stuck since noon"),
        "{told}"
    );
}

#[tokio::test]
async fn the_page_is_whole_and_foreign_forms_are_refused() {
    let world = World::new();
    let api = admin(&world);
    let (status, body) = ask(&api, Method::GET, "/", None).await;
    assert_eq!(status, 200);
    let page = String::from_utf8_lossy(&body);
    for foreign in ["http://", "https://", "src=\"//", "@import"] {
        assert!(
            !page.contains(foreign),
            "the page loads something from elsewhere: {foreign}"
        );
    }
    let form = Request::post("/admin/v1/nodes/one/sync")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Full::new(Bytes::new()))
        .expect("valid");
    assert_eq!(api.handle(form).await.status(), 415);
}

#[tokio::test]
async fn conductors_drain_and_serve_again_and_the_effect_is_told_before() {
    let world = World::new();
    for n in 0..40 {
        world.enroll(&format!("node-{n}")).await;
    }
    let api = admin(&world);
    let other = world.join("rack-2");
    let preview = get(&api, "/admin/v1/rebalance?without=rack-2").await;
    let moved = preview["moved"].as_u64().expect("a number");
    assert!((8..=32).contains(&moved), "{preview}");
    assert_eq!(preview["moves"][0]["from"], "rack-2");
    assert_eq!(preview["moves"][0]["to"], "rack-1");
    let leases = get(&api, "/admin/v1/leases").await;
    assert_eq!(leases["leases"][0]["remaining_ms"], 500);
    assert_eq!(leases["leases"][1]["remaining_ms"], Value::Null);

    let path = "/admin/v1/conductors/rack-2/drain";
    let (status, body) = ask(&api, Method::POST, path, Some(json!({}))).await;
    assert_eq!(status, 200, "{body:?}");
    let members = get(&api, "/admin/v1/members").await;
    assert_eq!(members["members"][0]["nodes"], 40);
    assert_eq!(members["members"][1]["status"], "draining");
    assert_eq!(members["members"][1]["drained"], true);
    let preview = get(&api, "/admin/v1/rebalance?with=rack-2").await;
    assert_eq!(preview["moved"], moved);

    // The order outlives the conductor, whatever id it has when it comes back.
    world.cluster.apply(Command::ConductorDown(other));
    let drains = get(&api, "/admin/v1/drains").await;
    assert_eq!(drains["drains"][0]["host"], "rack-2");
    assert_eq!(drains["drains"][0]["status"], "down");
    let shown = world.get("/v1/conductors/rack-2").await.json();
    assert_eq!(
        (&shown["alive"], &shown["draining"]),
        (&json!(false), &json!(true))
    );
    world
        .cluster
        .apply(Command::ConductorRemove(other.conductor));
    let other = world.join_as(ConductorId(7), "rack-2");
    let members = get(&api, "/admin/v1/members").await;
    assert_eq!(members["members"][1]["status"], "draining");
    assert_eq!(members["members"][1]["nodes"], 0);
    let path = "/admin/v1/conductors/rack-2/undrain";
    let (status, _) = ask(&api, Method::POST, path, Some(json!({}))).await;
    assert_eq!(status, 200);
    let members = get(&api, "/admin/v1/members").await;
    assert_ne!(members["members"][1]["nodes"], 0);
    let shown = world.get("/v1/conductors/rack-2").await.json();
    assert_eq!(shown["draining"], false);

    world.cluster.apply(Command::ConductorDown(other));
    let (status, _) = ask(&api, Method::POST, path, Some(json!({}))).await;
    assert_eq!(status, 200, "there was no order to take back");
    let path = "/admin/v1/conductors/nobody/drain";
    let (status, body) = ask(&api, Method::POST, path, Some(json!({}))).await;
    assert_eq!(status, 404);
    assert!(String::from_utf8_lossy(&body).contains("rack-1, rack-2"));
}

#[tokio::test]
async fn a_pin_moves_one_node_and_holds_while_its_conductor_is_up() {
    let world = World::new();
    world.enroll("one").await;
    let api = admin(&world);
    let other = world.join("rack-2");
    for host in ["rack-1", "rack-2"] {
        let body = Some(json!({"conductor": host}));
        let (status, _) = ask(&api, Method::PUT, "/admin/v1/nodes/one/pin", body).await;
        assert_eq!(status, 200);
        let node = get(&api, "/admin/v1/nodes/one").await;
        assert_eq!(
            (&node["owner"], &node["owned_by"]),
            (&json!(host), &json!("pin"))
        );
    }
    world.cluster.apply(Command::ConductorDown(other));
    let pins = get(&api, "/admin/v1/pins").await;
    assert_eq!(pins["total"], 1);
    assert_eq!(pins["pins"][0]["conductor"], "rack-2");
    assert_eq!(pins["pins"][0]["owner"], "rack-1");
    assert_eq!(pins["pins"][0]["owned_by"], "hash");
    let (status, _) = ask(&api, Method::DELETE, "/admin/v1/nodes/one/pin", None).await;
    assert_eq!(status, 200);
    assert_eq!(get(&api, "/admin/v1/pins").await["total"], 0);
}

#[tokio::test]
async fn watchers_are_told_what_each_change_made_of_a_node() {
    let world = World::new();
    let api = admin(&world);
    let request = Request::builder()
        .uri("/admin/v1/watch")
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let response = api.handle(request).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.expect("not over").expect("no error");
        String::from_utf8(frame.into_data().expect("data").to_vec()).expect("UTF-8")
    };
    assert!(next().await.starts_with("retry:"));
    let id = world.enroll("one").await;
    let told = next().await;
    assert!(told.starts_with("event: node\ndata: {"), "{told}");
    assert!(told.contains(&id.to_string()) && told.contains("\"provision_state\":\"enroll\""));
    world
        .put(
            "/v1/nodes/one/states/provision",
            json!({"target": "manage"}),
        )
        .await
        .expect(202);
    assert!(next().await.contains("manageable"));
    next().await;
    world.delete("/v1/nodes/one").await.expect(204);
    assert!(next().await.starts_with("event: gone"));
}
