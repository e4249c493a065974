//! A one-conductor cluster in memory, a fake owner of all nodes, and a client without sockets.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use baton_api::{ApiOptions, Changes, Deps, PublicApi};
use baton_model::apply::apply;
use baton_model::command::{
    ActOnNode, Command, ConductorUp, Fence, NodeChange, Proposal, ProposalId, Reply, Session,
};
use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::hardware::Enabled;
use baton_model::ids::{ConductorId, Incarnation, IntentId, LogIndex, NodeId, RequestId, WallMs};
use baton_model::json::Json;
use baton_model::node::boot::{BootDevice, BootState};
use baton_model::node::intent::{Intent, IntentKind};
use baton_model::node::power::{PowerCause, PowerRequest, PowerState};
use baton_model::node::provision::Verb;
use baton_model::outbox::{Contradiction, OutboxStats};
use baton_model::port::BoxFuture;
use baton_model::port::cluster::{ChangeSink, ProposeError, Proposer};
use baton_model::port::compute::Notifier;
use baton_model::port::inquiry::{Disclosure, Findings, Glow, Inquiry, Inventory, Light, Part};
use baton_model::port::node::{NodeAnswer, NodeError, NodeGateway, NodeLive, NodeRequest};
use baton_model::state::{ClusterState, StateView};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use uuid::Uuid;

pub(crate) const ME: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};

/// A notifier that has told nothing, ever.
pub(crate) struct Told(pub(crate) StateView);

impl Notifier for Told {
    fn contradiction(&self, instance: Uuid, wish: PowerRequest) -> Option<Contradiction> {
        let state = self.0.read();
        let event = state.outbox_of(instance)?;
        let age = Duration::from_secs(7);
        (event.state != wish.target()).then_some(Contradiction {
            state: event.state,
            cause: event.cause,
            age,
        })
    }

    fn stats(&self) -> OutboxStats {
        OutboxStats {
            depth: 3,
            results: [("HTTP 503".into(), 4)].into(),
            last_error: Some("no".into()),
            ..OutboxStats::default()
        }
    }

    fn is_sending(&self) -> bool {
        true
    }
}

/// Applies proposals at once, unless told that the cluster is in trouble.
pub(crate) struct Cluster {
    pub(crate) state: StateView,
    pub(crate) changes: Arc<Changes>,
    index: Mutex<u64>,
    pub(crate) trouble: Mutex<Option<ProposeError>>,
    pub(crate) barriers: AtomicU64,
}

impl Cluster {
    fn new() -> Arc<Self> {
        let cluster = Arc::new(Self {
            state: StateView::new(ClusterState::default()),
            changes: Arc::new(Changes::default()),
            index: Mutex::new(0),
            trouble: Mutex::new(None),
            barriers: AtomicU64::new(0),
        });
        let up = cluster.apply(Command::ConductorUp(ConductorUp {
            session: ME,
            host: "rack-1".into(),
            group: "".into(),
            rack: "1".into(),
            drivers: ["fake-hardware", "ipmi", "redfish", "manual-management"]
                .map(Box::from)
                .to_vec(),
        }));
        assert!(matches!(up, Reply::Done { .. }));
        cluster
    }

    pub(crate) fn apply(&self, command: Command) -> Reply {
        let mut index = self.index.lock().expect("not poisoned");
        *index += 1;
        let proposal = Proposal {
            id: ProposalId {
                conductor: ME.conductor,
                incarnation: ME.incarnation,
                seq: *index,
            },
            at: WallMs(1_700_000_000_000 + *index * 1000),
            command,
        };
        let applied = apply(&mut self.state.write(), LogIndex(*index), proposal);
        self.changes.applied(LogIndex(*index), &applied.changes);
        applied.reply
    }

    pub(crate) fn act(&self, node: NodeId, changes: Vec<NodeChange>) {
        let epoch = self.state.read().node(node).expect("the node exists").epoch;
        let reply = self.apply(Command::NodeAct(ActOnNode {
            node,
            fence: Fence { session: ME, epoch },
            expect: None,
            changes,
        }));
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    pub(crate) fn lock(&self, node: NodeId) -> IntentId {
        let id = self.state.read().node(node).expect("exists").next_intent;
        self.act(
            node,
            vec![NodeChange::OpenIntent(Box::new(Intent {
                id: IntentId(0),
                kind: IntentKind::Provision { verb: Verb::Manage },
                holder: ME.conductor,
                incarnation: ME.incarnation,
                epoch: baton_model::ids::Epoch(0),
                since: WallMs(1_700_000_000_000),
                limit_s: 60,
                request: None,
                write: None,
            }))],
        );
        id
    }
}

impl Proposer for Cluster {
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Reply, ProposeError>> {
        let trouble = self.trouble.lock().expect("not poisoned").clone();
        Box::pin(async move {
            match trouble {
                Some(error) => Err(error),
                None => Ok(self.apply(command)),
            }
        })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ProposeError>> {
        self.barriers.fetch_add(1, Ordering::Relaxed);
        let trouble = self.trouble.lock().expect("not poisoned").clone();
        Box::pin(async move { trouble.map_or(Ok(()), Err) })
    }
}

/// Owns every node and obeys at once; remembers what it was asked.
pub(crate) struct Owner {
    cluster: Arc<Cluster>,
    pub(crate) asked: Mutex<Vec<(NodeId, RequestId, NodeRequest)>>,
    pub(crate) trouble: Mutex<Option<NodeError>>,
}

/// What the BMC of every node says.
fn told(inquiry: Inquiry) -> Disclosure {
    match inquiry {
        Inquiry::Boot => Disclosure::Boot(BootState {
            device: Some(BootDevice::Disk),
            persistent: Some(true),
            ..BootState::default()
        }),
        Inquiry::Findings => Disclosure::Findings(Findings::default()),
        Inquiry::Inventory => Disclosure::Inventory(Inventory::default()),
        Inquiry::Lights => Disclosure::Lights(vec![Light {
            part: Part::System,
            id: "u-1".into(),
            glow: Glow::Blinking,
        }]),
        Inquiry::Subscriptions => {
            let text = r#"{"by_id": {"1": {"Id": "1", "Destination": "https://a/b"}},
                "collection": {"Members": [{"@odata.id": "/s/1"}], "Members@odata.count": 1}}"#;
            Disclosure::Subscriptions(Json::parse(text).expect("JSON"))
        }
    }
}

impl NodeGateway for Owner {
    fn request(
        &self,
        node: NodeId,
        id: RequestId,
        request: NodeRequest,
    ) -> BoxFuture<'_, Result<NodeAnswer, NodeError>> {
        Box::pin(async move {
            self.asked
                .lock()
                .expect("not poisoned")
                .push((node, id, request.clone()));
            if let Some(error) = self.trouble.lock().expect("not poisoned").clone() {
                return Err(error);
            }
            match request {
                NodeRequest::Ask(inquiry) => Ok(NodeAnswer::Disclosed(Box::new(told(inquiry)))),
                NodeRequest::SetBootDevice { .. } | NodeRequest::Chore { at_end: true, .. } => {
                    Ok(NodeAnswer::Done)
                }
                NodeRequest::Chore { .. } => Ok(NodeAnswer::Accepted),
                NodeRequest::SetBootMode(_) | NodeRequest::SetSecureBoot(_) => {
                    Ok(NodeAnswer::Accepted)
                }
                NodeRequest::Power { request, .. } => {
                    self.cluster.act(
                        node,
                        vec![NodeChange::Power {
                            state: Some(request.target()),
                            cause: PowerCause::User,
                            notify: false,
                        }],
                    );
                    Ok(NodeAnswer::Accepted)
                }
                NodeRequest::Provision { verb, .. } => {
                    let step = |verb| NodeChange::Provision { verb, target: None };
                    self.cluster.act(node, vec![step(verb)]);
                    let working = {
                        let state = self.cluster.state.read();
                        state
                            .node(node)
                            .expect("exists")
                            .provision_state
                            .is_working()
                    };
                    if working {
                        let end = if verb == Verb::Delete {
                            vec![step(Verb::Clean), step(Verb::Done)]
                        } else {
                            vec![step(Verb::Done)]
                        };
                        self.cluster.act(node, end);
                    }
                    Ok(NodeAnswer::Accepted)
                }
                NodeRequest::InjectNmi => Ok(NodeAnswer::Done),
                NodeRequest::SyncNow => Ok(NodeAnswer::Accepted),
                NodeRequest::Inspect => Ok(NodeAnswer::Live(NodeLive {
                    confirmed_at: Some(WallMs(1_700_000_000_000)),
                    confirmed_age_ms: Some(1500),
                    ..NodeLive::default()
                })),
            }
        })
    }
}

#[derive(Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn next_u64(&self) -> u64 {
        let n = self.0.fetch_add(1, Ordering::Relaxed);
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) ^ n
    }
}

impl Clock for Counter {
    fn now(&self) -> Mono {
        Mono(self.0.load(Ordering::Relaxed))
    }

    fn wall(&self) -> WallMs {
        WallMs(1_700_000_100_000)
    }
}

pub(crate) fn env() -> Env {
    Env {
        clock: Arc::new(Counter::default()),
        entropy: Arc::new(Counter::default()),
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of an error of any shape.
    pub(crate) fn fault(&self) -> String {
        let outer = self.json();
        let inner = match outer.get("error_message") {
            Some(text) => {
                serde_json::from_str(text.as_str().expect("a string")).expect("JSON in JSON")
            }
            None => outer,
        };
        ["faultstring", "description"]
            .iter()
            .find_map(|key| inner.get(*key)?.as_str())
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status.as_u16(),
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

pub(crate) struct World {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) owner: Arc<Owner>,
    pub(crate) api: PublicApi,
    pub(crate) version: &'static str,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ApiOptions)) -> Self {
        let cluster = Cluster::new();
        let owner = Arc::new(Owner {
            cluster: Arc::clone(&cluster),
            asked: Mutex::default(),
            trouble: Mutex::default(),
        });
        let mut options = ApiOptions {
            enabled: Enabled::everything(),
            node_lock_wait: Duration::from_secs(3),
            ..ApiOptions::default()
        };
        change(&mut options);
        let deps = Deps {
            state: cluster.state.clone(),
            proposer: Arc::clone(&cluster) as Arc<dyn Proposer>,
            nodes: Arc::clone(&owner) as Arc<dyn NodeGateway>,
            env: env(),
            changes: Arc::clone(&cluster.changes),
            notifier: Arc::new(Told(cluster.state.clone())),
        };
        Self {
            api: PublicApi::new(deps, options),
            cluster,
            owner,
            version: "1.115",
        }
    }

    pub(crate) fn at(&mut self, version: &'static str) -> &mut Self {
        self.version = version;
        self
    }

    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "bm.example:6385");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .expect("a valid request");
        let response = self.api.handle(request).await;
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.expect("in memory").to_bytes(),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let version = ("x-openstack-ironic-api-version", self.version);
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.raw(method, path, &[version], body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// Another conductor comes up.
    pub(crate) fn join(&self, host: &str) -> Session {
        self.join_as(ConductorId(2), host)
    }

    /// Another conductor comes up under this id.
    pub(crate) fn join_as(&self, conductor: ConductorId, host: &str) -> Session {
        let session = Session {
            conductor,
            incarnation: Incarnation(1),
        };
        let reply = self.cluster.apply(Command::ConductorUp(ConductorUp {
            session,
            host: host.into(),
            group: "".into(),
            rack: "".into(),
            drivers: vec!["fake-hardware".into()],
        }));
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
        session
    }

    /// A fake node with this name.
    pub(crate) async fn enroll(&self, name: &str) -> NodeId {
        let body = serde_json::json!({"driver": "fake-hardware", "name": name});
        let answer = self.post("/v1/nodes", body).await.expect(201);
        let uuid = answer.json()["uuid"].as_str().expect("a uuid").to_owned();
        NodeId(uuid.parse().expect("a uuid"))
    }

    /// A fake node in a state that verbs lead to.
    pub(crate) async fn node_after(&self, name: &str, verbs: &[&str]) -> NodeId {
        let id = self.enroll(name).await;
        for verb in verbs {
            let path = format!("/v1/nodes/{id}/states/provision");
            self.put(&path, serde_json::json!({"target": verb}))
                .await
                .expect(202);
        }
        id
    }

    pub(crate) fn power(&self, node: NodeId, state: PowerState) {
        self.cluster.act(
            node,
            vec![NodeChange::Power {
                state: Some(state),
                cause: PowerCause::Sync,
                notify: false,
            }],
        );
    }
}
