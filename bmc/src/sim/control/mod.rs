//! The control endpoint of a farm: HTTP and JSON, on loopback. It looks at machines, pulls the plug behind
//! everybody's back, sets and clears faults one by one or for ranges, and tells what each BMC saw.
//!
//! Every route, with examples, is in `docs/bmc-sim.md`. Errors are `{"error": {"code", "message"}}` and say what was
//! wrong and what is allowed.

mod change;
mod faults;
mod query;
mod read;
mod select;
mod view;

use super::farm::Shared;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use query::Query;
use select::Selection;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Largest request body: the widest of them, a list of every fault, is below 2 KiB.
const BODY_MAX: usize = 64 * 1024;
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
        .route("/v1/machines", get(read::list))
        .route("/v1/machines/{machine}", get(read::show))
        .route("/v1/machines/{machine}/journal", get(read::journal))
        .route("/v1/machines/{machine}/power", put(change::set_power))
        .route(
            "/v1/machines/{machine}/faults",
            put(faults::set_faults).delete(faults::clear_faults),
        )
        .route(
            "/v1/machines/{machine}/sessions",
            delete(change::end_sessions),
        )
        .route(
            "/v1/machines/{machine}/credentials",
            put(change::set_credentials),
        )
        .route("/v1/power", put(change::set_power_of))
        .route(
            "/v1/faults",
            put(faults::set_faults_of).delete(faults::clear_faults_of),
        )
        .route("/v1/credentials", put(change::set_credentials_of))
        .route("/v1/edges", get(read::edges))
        .route("/v1/contacts", get(read::contacts))
        .route(
            "/v1/counters",
            get(read::counters).delete(read::reset_counters),
        )
        .route(
            "/v1/switch",
            get(change::show_switch)
                .put(change::set_switch)
                .delete(change::remove_switch),
        )
        .route("/v1/ca", get(read::ca))
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
            "GET /v1/contacts?offset=0&limit=100",
            "GET /v1/switch", "PUT /v1/switch", "DELETE /v1/switch", "GET /v1/ca",
        ],
    }))
}

// --- Helpers of the routes ---------------------------------------------------------------------

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
