//! The simulator's listener: identity under `/identity/v3`, compute under `/compute/v2.1`, control under `/control`.

use super::{Faults, Ledger};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

/// The user that gets tokens.
pub const USER: &str = "baton";
/// Its password, and the secret of the application credential of that name. It guards nothing.
pub const PASSWORD: &str = "password";
/// Largest body that is read, as oslo.middleware's default.
const BODY_BYTES_MAX: usize = 114_688;
/// Tokens that are remembered; the oldest goes first.
const TOKENS_MAX: usize = 1000;

type Reply = Response<Full<Bytes>>;

#[derive(Default)]
struct State {
    faults: Faults,
    ledger: Ledger,
    tokens: BTreeMap<u64, Instant>,
    issued: u64,
    draws: u64,
}

impl State {
    /// Whether this one of a hundred is hit; spread evenly, the same in every run.
    fn hit(&mut self, percent: u8) -> bool {
        self.draws += 1;
        // 37 is coprime to 100, so a hundred draws hit `percent` times.
        percent > 0 && (self.draws * 37) % 100 < u64::from(percent)
    }

    fn issue(&mut self) -> (String, u64) {
        let life = match self.faults.token_life_s {
            0 => 3600,
            seconds => u64::from(seconds),
        };
        self.issued += 1;
        self.tokens
            .insert(self.issued, Instant::now() + Duration::from_secs(life));
        if self.tokens.len() > TOKENS_MAX {
            self.tokens.pop_first();
        }
        (format!("token-{}", self.issued), life)
    }

    fn accepts(&self, request: &Request<Incoming>) -> bool {
        let token = request.headers().get("x-auth-token");
        let number =
            token.and_then(|token| token.to_str().ok()?.strip_prefix("token-")?.parse().ok());
        number
            .and_then(|number: u64| self.tokens.get(&number))
            .is_some_and(|end| Instant::now() < *end)
    }
}

struct Shared {
    state: Mutex<State>,
    address: SocketAddr,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running simulator; it stops when it is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Simulator {
    /// Listens on `address`.
    ///
    /// # Errors
    /// The address is taken or not ours.
    pub async fn start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            address: listener.local_addr()?,
        });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { shared, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// `[nova] auth_url` for it.
    #[must_use]
    pub fn auth_url(&self) -> String {
        format!("http://{}/identity", self.shared.address)
    }

    /// Sets faults.
    pub fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.state().faults);
    }

    /// Looks at what was heard.
    pub fn ledger<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        look(&self.shared.state().ledger)
    }

    /// Announces a server, or changes what is recorded of it.
    pub fn server(&self, id: Uuid, on: Option<bool>, task: Option<&str>) {
        let mut state = self.shared.state();
        let record = state.ledger.servers.entry(id).or_default();
        record.on = on;
        record.task = task.map(Box::from);
    }

    /// No token is good any more.
    pub fn revoke_tokens(&self) {
        self.shared.state().tokens.clear();
    }

    /// Tokens issued so far.
    #[must_use]
    pub fn tokens_issued(&self) -> u64 {
        self.shared.state().issued
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let shared = shared.clone();
                async move { answer(&shared, request).await }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection of the compute simulator ended");
            }
        });
    }
}

fn reply(status: u16, body: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body.to_string())));
    *reply.status_mut() = status.try_into().unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    reply.headers_mut().insert("content-type", json);
    reply
}

fn fault(status: u16, message: &str) -> Reply {
    reply(
        status,
        &json!({"error": {"code": status, "message": message}}),
    )
}

/// An error closes the connection without an answer.
async fn answer(shared: &Shared, request: Request<Incoming>) -> io::Result<Reply> {
    let path = request.uri().path().to_owned();
    if let Some(path) = path.strip_prefix("/control") {
        return Ok(control(shared, path, request).await);
    }
    if shared.state().faults.down {
        return Err(io::Error::other("down"));
    }
    if let Some(path) = path.strip_prefix("/identity") {
        return Ok(identity(shared, path, request).await);
    }
    let Some(path) = path.strip_prefix("/compute/v2.1") else {
        return Ok(fault(404, "no such page"));
    };
    let latency = Duration::from_millis(shared.state().faults.latency_ms);
    {
        let mut state = shared.state();
        if !state.accepts(&request) {
            return Ok(fault(
                401,
                "The request you have made requires authentication.",
            ));
        }
        let percent = state.faults.fail_percent;
        if state.hit(percent) {
            let mut failed = fault(state.faults.fail_status.max(100), "a fault was set");
            if let Some(seconds) = state.faults.retry_after_s {
                failed.headers_mut().insert("retry-after", seconds.into());
            }
            return Ok(failed);
        }
    }
    if path == "/os-server-external-events" && *request.method() == Method::POST {
        return events(shared, request, latency).await;
    }
    tokio::time::sleep(latency).await;
    let server = path
        .strip_prefix("/servers/")
        .and_then(|id| id.parse::<Uuid>().ok());
    let state = shared.state();
    let record = server.and_then(|id| Some((id, state.ledger.servers.get(&id)?)));
    Ok(match record {
        Some((id, record)) => reply(
            200,
            &json!({"server": {
                "id": id,
                "OS-EXT-STS:power_state": match record.on { Some(true) => 1, Some(false) => 4, None => 0 },
                "OS-EXT-STS:task_state": record.task,
            }}),
        ),
        None => fault(404, "Instance could not be found."),
    })
}

// --- Identity -----------------------------------------------------------------------------------

async fn body(request: Request<Incoming>) -> Option<Bytes> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    body.collect().await.ok().map(|body| body.to_bytes())
}

async fn identity(shared: &Shared, path: &str, request: Request<Incoming>) -> Reply {
    if path != "/v3/auth/tokens" || *request.method() != Method::POST {
        return fault(404, "no such page");
    }
    let Some(body) = body(request).await else {
        return fault(413, "too large");
    };
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let identity = &asked["auth"]["identity"];
    let user = &identity["password"]["user"];
    let credential = &identity["application_credential"];
    let by_token = identity["token"]["id"].as_str();
    let mut state = shared.state();
    if state.faults.identity_down {
        return fault(503, "down");
    }
    let known = (user["name"] == USER && user["password"] == PASSWORD)
        || (credential["id"] == USER && credential["secret"] == PASSWORD)
        || by_token.is_some_and(|token| token.starts_with("token-"));
    if !known {
        return fault(401, "The request you have made requires authentication.");
    }
    let (token, life) = state.issue();
    let url = format!("http://{}/compute/v2.1", shared.address);
    let endpoint = |interface| json!({"interface": interface, "url": url, "region": "RegionOne", "region_id": "RegionOne"});
    let endpoints = ["public", "internal"].map(endpoint);
    let mut issued = reply(
        201,
        &json!({"token": {
            "issued_at": jiff::Timestamp::UNIX_EPOCH.to_string(),
            "expires_at": jiff::Timestamp::from_second(i64::try_from(life).unwrap_or(0)).unwrap_or_default().to_string(),
            "catalog": [{"type": "compute", "name": "nova", "endpoints": endpoints}],
        }}),
    );
    if let Ok(value) = token.parse() {
        issued.headers_mut().insert("x-subject-token", value);
    }
    issued
}

// --- Events -------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    events: Vec<Event>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    name: Box<str>,
    server_uuid: Uuid,
    #[serde(default)]
    tag: Option<Box<str>>,
}

async fn events(
    shared: &Shared,
    request: Request<Incoming>,
    latency: Duration,
) -> io::Result<Reply> {
    let version = request.headers().get("openstack-api-version");
    let version = version.and_then(|version| version.to_str().ok());
    if version != Some("compute 2.76") {
        return Ok(fault(400, "power-update needs microversion 2.76"));
    }
    let Some(body) = body(request).await else {
        return Ok(fault(413, "The body is too large."));
    };
    let asked: Events = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => return Ok(fault(400, &error.to_string())),
    };
    let wrong = asked
        .events
        .iter()
        .any(|event| &*event.name != "power-update");
    if asked.events.is_empty() || wrong {
        return Ok(fault(400, "Invalid input for field/attribute events."));
    }
    let servers: BTreeSet<Uuid> = asked.events.iter().map(|event| event.server_uuid).collect();
    let number = shared.state().ledger.begin(&servers);
    tokio::time::sleep(latency).await;
    let mut state = shared.state();
    state.ledger.end(&servers);
    let limit = state.faults.events_max;
    if limit > 0 && asked.events.len() > limit {
        return Ok(fault(413, "The body is too large."));
    }
    if servers
        .iter()
        .any(|server| state.faults.poison.contains(server))
    {
        return Ok(fault(
            500,
            "An unexpected error prevented the server from fulfilling your request.",
        ));
    }
    let mut results = Vec::with_capacity(asked.events.len());
    let mut all_taken = true;
    for event in &asked.events {
        let code = take(&mut state, number, event);
        all_taken &= code == 200;
        let status = if code == 200 { "completed" } else { "failed" };
        results.push(json!({"name": event.name, "server_uuid": event.server_uuid, "tag": event.tag, "status": status, "code": code}));
    }
    let percent = state.faults.lose_answers_percent;
    if state.hit(percent) {
        return Err(io::Error::other("the answer is lost"));
    }
    let status = if all_taken { 200 } else { 207 };
    Ok(reply(status, &json!({"events": results})))
}

fn take(state: &mut State, request: u64, event: &Event) -> u16 {
    let server = event.server_uuid;
    let faults = &state.faults;
    let stranger = faults.strict && !state.ledger.servers.contains_key(&server);
    if stranger || faults.unknown.contains(&server) {
        return 404;
    }
    let Some(tag) = &event.tag else { return 400 };
    if faults.hostless.contains(&server) {
        return 422;
    }
    let percent = faults.drop_percent;
    let dropped = state.hit(percent);
    state.ledger.take(request, server, tag, !dropped);
    200
}

// --- Control ------------------------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Announced {
    id: Uuid,
    #[serde(default)]
    on: Option<bool>,
    #[serde(default)]
    task: Option<Box<str>>,
}

async fn control(shared: &Shared, path: &str, request: Request<Incoming>) -> Reply {
    let method = request.method().clone();
    let Some(body) = body(request).await else {
        return fault(413, "too large");
    };
    let mut state = shared.state();
    match (method.as_str(), path) {
        ("GET", "" | "/") => reply(
            200,
            &json!({
                "faults": state.faults,
                "tokens_issued": state.issued,
                "requests": state.ledger.requests,
                "events": state.ledger.events,
                "repeats": state.ledger.repeats,
                "overlaps": state.ledger.overlaps,
                "largest_batch": state.ledger.largest,
                "servers": state.ledger.servers.len(),
            }),
        ),
        ("GET", "/events") => {
            let newest: Vec<_> = state.ledger.heard.iter().rev().take(200).collect();
            reply(200, &json!({"events": newest}))
        }
        ("GET", "/servers") => {
            let first: BTreeMap<_, _> = state.ledger.servers.iter().take(1000).collect();
            reply(200, &json!({"servers": first}))
        }
        ("PUT", "/faults") => match serde_json::from_slice(&body) {
            Ok(faults) => {
                state.faults = faults;
                reply(200, &json!({"faults": state.faults}))
            }
            Err(error) => fault(400, &error.to_string()),
        },
        ("PUT", "/servers") => match serde_json::from_slice::<Announced>(&body) {
            Ok(announced) => {
                let record = state.ledger.servers.entry(announced.id).or_default();
                record.on = announced.on;
                record.task = announced.task;
                reply(200, &json!({}))
            }
            Err(error) => fault(400, &error.to_string()),
        },
        ("DELETE", "/tokens") => {
            state.tokens.clear();
            reply(200, &json!({}))
        }
        _ => fault(
            404,
            "GET /control, /control/events, /control/servers; PUT /control/faults, /control/servers; DELETE /control/tokens",
        ),
    }
}
