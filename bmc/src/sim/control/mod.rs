//! The control endpoint of a farm: HTTP and JSON, on loopback. It looks at machines, pulls the plug behind
//! everybody's back, sets and clears faults one by one or for ranges, and tells what each BMC saw.
//!
//! Every route, with examples, is in `docs/bmc-sim.md`. Errors are `{"error": {"code", "message"}}` and say what was
//! wrong and what is allowed.

mod select;
mod view;

use super::account::Account;
use super::farm::Shared;
use super::fault::{Fault, FaultKind};
use super::journal::{Origin, Via};
use super::switch::SwitchLimits;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use baton_model::port::bmc::PowerAction;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use select::Selection;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest request body: the widest of them, a list of every fault, is below 2 KiB.
const BODY_MAX: usize = 64 * 1024;
/// Default and largest page of lists. 1000 machines are about 600 KiB of JSON.
const PAGE: u64 = 100;
const PAGE_MAX: u64 = 1000;

type Farm = State<Arc<Shared>>;
type Outcome = Result<Response, Problem>;

/// Why a request is refused.
#[derive(Debug)]
struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Problem {
    fn bad(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "bad-request",
            message: message.into(),
        }
    }

    fn no_machine(machine: &str, total: u32) -> Self {
        let message = match total.checked_sub(1) {
            Some(last) => {
                format!("there is no machine `{machine}`; machines are numbered 0 to {last}")
            }
            None => format!("there is no machine `{machine}`; this farm has none"),
        };
        Self {
            status: StatusCode::NOT_FOUND,
            code: "no-such-machine",
            message,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"error": {"code": self.code, "message": self.message}});
        reply(self.status, &body)
    }
}

fn reply(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body:#}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    response
}

#[expect(clippy::unnecessary_wraps, reason = "every handler ends in an Outcome")]
fn ok(body: &Value) -> Outcome {
    Ok(reply(StatusCode::OK, body))
}

/// Serves until `stop` is cancelled, then lets answers in flight finish.
pub(super) async fn serve(shared: Arc<Shared>, listener: TcpListener, stop: CancellationToken) {
    let router = router(shared);
    let tasks = TaskTracker::new();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the control endpoint of the BMC simulator cannot accept");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(router.clone());
        let stop = stop.clone();
        tasks.spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            if let Some(Err(error)) = stop.run_until_cancelled(connection).await {
                tracing::debug!(%error, "a connection to the control endpoint ended badly");
            }
        });
    }
    tasks.close();
    tasks.wait().await;
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/v1", get(index))
        .route("/v1/machines", get(list))
        .route("/v1/machines/{machine}", get(show))
        .route("/v1/machines/{machine}/journal", get(journal))
        .route("/v1/machines/{machine}/power", put(set_power))
        .route(
            "/v1/machines/{machine}/faults",
            put(set_faults).delete(clear_faults),
        )
        .route("/v1/machines/{machine}/sessions", delete(end_sessions))
        .route("/v1/machines/{machine}/credentials", put(set_credentials))
        .route("/v1/power", put(set_power_of))
        .route("/v1/faults", put(set_faults_of).delete(clear_faults_of))
        .route("/v1/credentials", put(set_credentials_of))
        .route("/v1/edges", get(edges))
        .route("/v1/counters", get(counters).delete(reset_counters))
        .route(
            "/v1/switch",
            get(show_switch).put(set_switch).delete(remove_switch),
        )
        .route("/v1/ca", get(ca))
        .fallback(nowhere)
        .method_not_allowed_fallback(wrong_method)
        .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

async fn nowhere() -> Problem {
    Problem {
        status: StatusCode::NOT_FOUND,
        code: "no-such-route",
        message: "there is no such route; GET /v1 lists them".into(),
    }
}

async fn wrong_method() -> Problem {
    Problem {
        status: StatusCode::METHOD_NOT_ALLOWED,
        code: "wrong-method",
        message: "this route has no such method; GET /v1 lists routes with their methods".into(),
    }
}

async fn index(State(farm): Farm) -> Outcome {
    ok(&json!({
        "machines": farm.total(),
        "routes": [
            "GET /v1/machines?offset=0&limit=100", "GET /v1/machines/{machine}",
            "GET /v1/machines/{machine}/journal?after=0",
            "PUT /v1/machines/{machine}/power", "PUT /v1/machines/{machine}/faults",
            "DELETE /v1/machines/{machine}/faults?kind=slow",
            "DELETE /v1/machines/{machine}/sessions", "PUT /v1/machines/{machine}/credentials",
            "PUT /v1/power", "PUT /v1/faults", "DELETE /v1/faults", "PUT /v1/credentials",
            "GET /v1/edges?offset=0&limit=100", "GET /v1/counters", "DELETE /v1/counters",
            "GET /v1/switch", "PUT /v1/switch", "DELETE /v1/switch", "GET /v1/ca",
        ],
    }))
}

// --- Reading ------------------------------------------------------------------------------------

async fn list(State(farm): Farm, RawQuery(query): RawQuery) -> Outcome {
    let query = Query::parse(query.as_deref(), &["offset", "limit"])?;
    let (offset, limit) = query.page()?;
    let machines: Vec<_> = page(&farm, offset, limit)
        .filter_map(|machine| view::summary(&farm, machine))
        .collect();
    ok(&json!({"total": farm.total(), "offset": offset, "machines": machines}))
}

async fn show(State(farm): Farm, Path(machine): Path<String>) -> Outcome {
    let machine = number(&farm, &machine)?;
    match view::details(&farm, machine) {
        Some(body) => ok(&body),
        None => Err(Problem::no_machine(&machine.to_string(), farm.total())),
    }
}

async fn journal(
    State(farm): Farm,
    Path(machine): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let after = Query::parse(query.as_deref(), &["after"])?.number("after", 0)?;
    let body = with(&farm, machine, |bmc, now| {
        let journal = bmc.core.machine.journal(now);
        json!({
            "machine": machine, "now_ms": now.0, "written": journal.written(),
            "edges": journal.edges(), "commands": journal.commands(),
            "entries": journal.after(after).map(view::entry).collect::<Vec<_>>(),
        })
    })?;
    ok(&body)
}

async fn edges(State(farm): Farm, RawQuery(query): RawQuery) -> Outcome {
    let query = Query::parse(query.as_deref(), &["offset", "limit"])?;
    let (offset, limit) = query.page()?;
    let mut all = Vec::new();
    let mut ever = 0;
    for machine in page(&farm, offset, limit) {
        with(&farm, machine, |bmc, now| {
            let journal = bmc.core.machine.journal(now);
            ever += journal.edges();
            all.extend(journal.kept_edges().map(|(entry, _)| {
                let mut edge = view::entry(entry);
                edge["machine"] = machine.into();
                edge
            }));
        })?;
    }
    ok(&json!({
        "total": farm.total(), "offset": offset, "now_ms": farm.now().0,
        "ever": ever, "edges": all,
    }))
}

async fn counters(State(farm): Farm) -> Outcome {
    let (sum, edges, commands) = farm.totals();
    ok(&json!({"machines": farm.total(), "now_ms": farm.now().0,
        "edges": edges, "commands": commands, "counters": sum}))
}

async fn reset_counters(State(farm): Farm) -> Outcome {
    for machine in 0..farm.total() {
        with(&farm, machine, |bmc, _| {
            bmc.core.counters = Default::default()
        })?;
    }
    ok(&json!({"reset": farm.total()}))
}

async fn ca(State(farm): Farm) -> Outcome {
    match farm.ca_pem() {
        Some(pem) => Ok(pem.to_owned().into_response()),
        None => Err(Problem {
            status: StatusCode::NOT_FOUND,
            code: "no-tls",
            message: "this farm has no Redfish BMC that speaks TLS".into(),
        }),
    }
}

// --- Power --------------------------------------------------------------------------------------

/// How the control endpoint changes power.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// At once, telling nobody.
    #[default]
    BehindTheBack,
    /// As a command, with the machine's delays.
    Command,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wanted {
    On,
    Off,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerBody {
    state: Wanted,
    #[serde(default)]
    how: How,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PowerOfBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    state: Wanted,
    #[serde(default)]
    how: How,
}

fn change_power(farm: &Shared, machine: u32, state: Wanted, how: How) -> Result<(), Problem> {
    let on = matches!(state, Wanted::On);
    with(farm, machine, |bmc, now| match how {
        How::BehindTheBack => bmc.force_power(now, on),
        How::Command => {
            let action = if on {
                PowerAction::On
            } else {
                PowerAction::Off
            };
            let origin = Origin {
                via: Via::Control,
                ..Origin::BEHIND_THE_BACK
            };
            bmc.control(now, action, origin);
        }
    })
}

async fn set_power(State(farm): Farm, Path(machine): Path<String>, body: Bytes) -> Outcome {
    let machine = number(&farm, &machine)?;
    let PowerBody { state, how } = parse(&body)?;
    change_power(&farm, machine, state, how)?;
    match view::summary(&farm, machine) {
        Some(body) => ok(&body),
        None => Err(Problem::no_machine(&machine.to_string(), farm.total())),
    }
}

async fn set_power_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: PowerOfBody = parse(&body)?;
    each(&farm, &body.machines, body.fraction, |machine| {
        change_power(&farm, machine, body.state, body.how)
    })
}

// --- Faults -------------------------------------------------------------------------------------

/// One fault or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Value>),
    One(Value),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetFaultsBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    faults: OneOrMany,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearFaultsBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    #[serde(default)]
    kinds: Option<Vec<FaultKind>>,
}

/// Reads faults one by one, so that an error names the one it is in.
fn read_faults(faults: OneOrMany) -> Result<Vec<Fault>, Problem> {
    let values = match faults {
        OneOrMany::Many(values) => values,
        OneOrMany::One(value) => vec![value],
    };
    values
        .into_iter()
        .map(|value| {
            let shown = value.to_string();
            let fault: Fault = serde_json::from_value(value)
                .map_err(|error| Problem::bad(format!("fault {shown}: {error}")))?;
            fault
                .check()
                .map_err(|error| Problem::bad(error.to_string()))?;
            Ok(fault)
        })
        .collect()
}

async fn set_faults(State(farm): Farm, Path(machine): Path<String>, body: Bytes) -> Outcome {
    let machine = number(&farm, &machine)?;
    let faults = read_faults(parse(&body)?)?;
    let shown = with(&farm, machine, |bmc, now| {
        for fault in faults {
            bmc.inject(now, fault);
        }
        view::faults(bmc)
    })?;
    ok(&json!({"machine": machine, "faults": shown}))
}

async fn set_faults_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: SetFaultsBody = parse(&body)?;
    let faults = read_faults(body.faults)?;
    each(&farm, &body.machines, body.fraction, |machine| {
        with(&farm, machine, |bmc, now| {
            for fault in &faults {
                bmc.inject(now, *fault);
            }
        })
    })
}

async fn clear_faults(
    State(farm): Farm,
    Path(machine): Path<String>,
    RawQuery(query): RawQuery,
) -> Outcome {
    let machine = number(&farm, &machine)?;
    let query = Query::parse(query.as_deref(), &["kind"])?;
    let kind = match query.0.get("kind") {
        Some(kind) => Some(
            serde_json::from_value::<FaultKind>(json!(kind))
                .map_err(|error| Problem::bad(format!("`kind`: {error}")))?,
        ),
        None => None,
    };
    let shown = with(&farm, machine, |bmc, _| {
        match kind {
            Some(kind) => {
                bmc.core.faults.clear(kind);
            }
            None => bmc.core.faults.clear_all(),
        }
        view::faults(bmc)
    })?;
    ok(&json!({"machine": machine, "faults": shown}))
}

async fn clear_faults_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: ClearFaultsBody = if body.is_empty() {
        ClearFaultsBody {
            machines: "all".into(),
            fraction: None,
            kinds: None,
        }
    } else {
        parse(&body)?
    };
    each(&farm, &body.machines, body.fraction, |machine| {
        with(&farm, machine, |bmc, _| match &body.kinds {
            Some(kinds) => {
                for kind in kinds {
                    bmc.core.faults.clear(*kind);
                }
            }
            None => bmc.core.faults.clear_all(),
        })
    })
}

// --- Sessions and credentials -------------------------------------------------------------------

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsBody {
    username: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CredentialsOfBody {
    machines: String,
    #[serde(default)]
    fraction: Option<f64>,
    username: String,
    password: String,
}

async fn end_sessions(State(farm): Farm, Path(machine): Path<String>) -> Outcome {
    let machine = number(&farm, &machine)?;
    with(&farm, machine, |bmc, _| bmc.end_sessions())?;
    ok(&json!({"machine": machine, "sessions": []}))
}

async fn set_credentials(State(farm): Farm, Path(machine): Path<String>, body: Bytes) -> Outcome {
    let machine = number(&farm, &machine)?;
    let CredentialsBody { username, password } = parse(&body)?;
    let accounts: Arc<[Account]> = [Account::administrator(&username, &password)].into();
    with(&farm, machine, |bmc, _| bmc.set_accounts(accounts))?;
    ok(&json!({"machine": machine, "username": username}))
}

async fn set_credentials_of(State(farm): Farm, body: Bytes) -> Outcome {
    let body: CredentialsOfBody = parse(&body)?;
    let accounts: Arc<[Account]> = [Account::administrator(&body.username, &body.password)].into();
    each(&farm, &body.machines, body.fraction, |machine| {
        with(&farm, machine, |bmc, _| {
            bmc.set_accounts(Arc::clone(&accounts));
        })
    })
}

// --- The switch ---------------------------------------------------------------------------------

async fn show_switch(State(farm): Farm) -> Outcome {
    match farm.switch() {
        Some((limits, passed, lost)) => {
            ok(&json!({"limits": limits, "passed": passed, "lost": lost}))
        }
        None => ok(&json!({"limits": null})),
    }
}

async fn set_switch(State(farm): Farm, body: Bytes) -> Outcome {
    let limits: SwitchLimits = parse(&body)?;
    if limits.packets_per_s == 0 {
        return Err(Problem::bad("`packets_per_s` must be at least 1"));
    }
    farm.set_switch(Some(limits));
    ok(&json!({"limits": limits, "passed": 0, "lost": 0}))
}

async fn remove_switch(State(farm): Farm) -> Outcome {
    farm.set_switch(None);
    ok(&json!({"limits": null}))
}

// --- Helpers ------------------------------------------------------------------------------------

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| Problem::bad(format!("the body: {error}")))
}

fn with<R>(
    farm: &Shared,
    machine: u32,
    f: impl FnOnce(&mut super::bmc::Bmc, baton_model::env::Mono) -> R,
) -> Result<R, Problem> {
    let now = farm.now();
    match farm.bmc(machine) {
        Some(mut bmc) => Ok(f(&mut bmc, now)),
        None => Err(Problem::no_machine(&machine.to_string(), farm.total())),
    }
}

/// A machine as it is written in a path: its number, or its name `sim-00007`.
fn number(farm: &Shared, machine: &str) -> Result<u32, Problem> {
    machine
        .strip_prefix("sim-")
        .unwrap_or(machine)
        .parse()
        .ok()
        .filter(|number| *number < farm.total())
        .ok_or_else(|| Problem::no_machine(machine, farm.total()))
}

fn page(farm: &Shared, offset: u64, limit: u64) -> std::ops::Range<u32> {
    let total = farm.total();
    let clip = |n: u64| u32::try_from(n).unwrap_or(u32::MAX).min(total);
    clip(offset)..clip(offset.saturating_add(limit))
}

fn each(
    farm: &Shared,
    machines: &str,
    fraction: Option<f64>,
    mut f: impl FnMut(u32) -> Result<(), Problem>,
) -> Outcome {
    let selection = Selection::parse(machines, fraction).map_err(Problem::bad)?;
    let mut chosen = 0_u32;
    for machine in selection.of(farm) {
        f(machine)?;
        chosen += 1;
    }
    if chosen == 0 && fraction.is_none() {
        return Err(Problem::bad(format!(
            "`machines` \"{machines}\" names none of the {} machines of this farm",
            farm.total()
        )));
    }
    ok(&json!({"machines": chosen}))
}

/// A query string of known keys.
struct Query(BTreeMap<String, String>);

impl Query {
    fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        for part in query
            .unwrap_or("")
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if !known.contains(&key) {
                return Err(Problem::bad(format!(
                    "unknown query key `{key}`; known: {}",
                    known.join(", ")
                )));
            }
            found.insert(key.to_owned(), value.to_owned());
        }
        Ok(Self(found))
    }

    fn number(&self, key: &str, default: u64) -> Result<u64, Problem> {
        match self.0.get(key) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Problem::bad(format!("`{key}` must be a whole number, not `{text}`"))),
        }
    }

    fn page(&self) -> Result<(u64, u64), Problem> {
        let limit = self.number("limit", PAGE)?;
        if !(1..=PAGE_MAX).contains(&limit) {
            return Err(Problem::bad(format!(
                "`limit` must be between 1 and {PAGE_MAX}"
            )));
        }
        Ok((self.number("offset", 0)?, limit))
    }
}
