//! The admin endpoint: what an operator sees and does beyond Ironic's API. It has its own listener, off the public one.
//! Whoever reaches it may use it, unless a token is configured, without which it listens on loopback only.
//!
//! Everything here reads what this conductor knows now, without a read barrier: it has to answer when the cluster cannot.

mod auth;
mod bmcs;
mod cluster;
mod compute;
mod conductors;
mod error;
mod locks;
mod members;
mod nodes;
mod pins;
mod rebalance;
mod staleness;
mod watch;

use crate::changes::Changes;
use crate::request_id;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use baton_model::env::Env;
use baton_model::ids::RequestId;
use baton_model::port::cluster::{ClusterStatus, Departure, Members, Proposer};
use baton_model::port::compute::Notifier;
use baton_model::port::lease::OwnLease;
use baton_model::port::node::NodeGateway;
use baton_model::port::power::PowerReports;
use baton_model::secret::Secret;
use baton_model::state::StateView;
use bytes::Bytes;
use error::AdminError;
use http_body_util::{BodyExt, Limited};
use prometheus_client::registry::Registry;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// Largest body of an admin request; a lock break carries an id and a reason.
const BODY_BYTES_MAX: usize = 64 << 10;

/// What the admin endpoint needs from the rest of the process.
pub struct AdminDeps {
    /// The replicated state.
    pub state: StateView,
    /// Changes it.
    pub proposer: Arc<dyn Proposer>,
    /// Asks the owners of nodes.
    pub nodes: Arc<dyn NodeGateway>,
    /// Knows the cluster.
    pub cluster: Arc<dyn ClusterStatus>,
    /// What is left of this conductor's lease.
    pub lease: Arc<dyn OwnLease>,
    /// Changes its members.
    pub members: Arc<dyn Members>,
    /// Lets this conductor leave.
    pub departure: Arc<dyn Departure>,
    /// What every caller has to show, if anything.
    pub token: Option<Secret<String>>,
    /// Tells the compute service.
    pub notifier: Arc<dyn Notifier>,
    /// Tells how fresh the power states are.
    pub power: Arc<dyn PowerReports>,
    /// Rings when the state changes.
    pub changes: Arc<Changes>,
    /// Time and chance.
    pub env: Env,
    /// All metrics of the process.
    pub registry: Arc<Mutex<Registry>>,
}

/// Shared by all requests.
struct Admin {
    deps: AdminDeps,
    power: staleness::Cache,
    watchers: Arc<Semaphore>,
}

impl Admin {
    fn request_id(&self) -> RequestId {
        let id = request_id::draw(&*self.deps.env.entropy);
        RequestId(id.to_str().unwrap_or_default().into())
    }
}

/// The admin endpoint of one conductor. Cheap to clone.
#[derive(Clone)]
pub struct AdminApi {
    router: Router,
    gate: Arc<auth::Gate>,
}

impl AdminApi {
    /// Builds the endpoint.
    #[must_use]
    pub fn new(deps: AdminDeps) -> Self {
        let gate = Arc::new(auth::Gate::new(deps.token.as_ref()));
        let admin = Arc::new(Admin {
            deps,
            power: staleness::Cache::default(),
            watchers: Arc::new(Semaphore::new(watch::WATCHERS_MAX)),
        });
        let router = Router::new()
            .route("/", get(page))
            .route("/metrics", get(metrics))
            .route("/admin/v1/cluster", get(cluster::report))
            .route("/admin/v1/members", get(cluster::members))
            .route("/admin/v1/cluster/remove", post(members::remove))
            .route("/admin/v1/cluster/transfer-leader", post(members::transfer))
            .route("/admin/v1/cluster/leave", post(members::leave))
            .route("/admin/v1/cluster/backup", get(members::backup))
            .route("/admin/v1/summary", get(cluster::summary))
            .route("/admin/v1/nodes/{node}", get(nodes::show))
            .route("/admin/v1/nodes/{node}/sync", post(nodes::sync))
            .route("/admin/v1/locks", get(locks::list))
            .route("/admin/v1/nodes/{node}/lock/break", post(locks::break_lock))
            .route(
                "/admin/v1/nodes/{node}/pin",
                put(pins::set).delete(pins::clear),
            )
            .route("/admin/v1/pins", get(pins::list))
            .route("/admin/v1/leases", get(conductors::leases))
            .route("/admin/v1/drains", get(conductors::drains))
            .route("/admin/v1/conductors/{host}/drain", post(conductors::drain))
            .route(
                "/admin/v1/conductors/{host}/undrain",
                post(conductors::undrain),
            )
            .route("/admin/v1/rebalance", get(rebalance::preview))
            .route("/admin/v1/staleness", get(staleness::report))
            .route("/admin/v1/bmcs", get(bmcs::report))
            .route("/admin/v1/compute", get(compute::report))
            .route("/admin/v1/compute/waiting", get(compute::waiting))
            .route("/admin/v1/compute/dead", get(compute::dead))
            .route("/admin/v1/compute/dead/resend", post(compute::resend))
            .route("/admin/v1/compute/dead/drop", post(compute::forget))
            .route("/admin/v1/watch", get(watch::watch))
            .fallback(async || AdminError::new(StatusCode::NOT_FOUND, "There is no such page."))
            .method_not_allowed_fallback(async || {
                AdminError::new(
                    StatusCode::METHOD_NOT_ALLOWED,
                    "This page has no such method.",
                )
            })
            .with_state(admin);
        Self { router, gate }
    }

    /// Answers one request. Never fails: what goes wrong is in the reply.
    pub async fn handle<B>(&self, request: Request<B>) -> Response
    where
        B: hyper::body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        if let Err(refused) = self.gate.check(&parts.headers) {
            return refused;
        }
        // Browsers send a foreign page's form without asking, but never with this type.
        let is_json = parts
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
        if parts.method != Method::GET && !is_json {
            return AdminError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Send the request with Content-Type: application/json.",
            )
            .into_response();
        }
        let body = match Box::pin(Limited::new(body, BODY_BYTES_MAX)).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => {
                return AdminError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "The request body is too large.",
                )
                .into_response();
            }
        };
        let request = Request::from_parts(parts, Body::from(body));
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// `GET /`: the dashboard, one page without anything from elsewhere.
async fn page() -> Response {
    let mut response = Response::new(Body::from(include_str!("admin/dashboard.html")));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src \
             data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    );
    response
}

/// `GET /metrics`, for Prometheus.
async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let mut text = String::new();
    let registry = admin
        .deps
        .registry
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if prometheus_client::encoding::text::encode(&mut text, &registry).is_err() {
        return AdminError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The metrics could not be written.",
        )
        .into_response();
    }
    drop(registry);
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    );
    response
}
