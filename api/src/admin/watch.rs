//! `GET /admin/v1/watch`: node changes as they are applied here, as server-sent events.
//!
//! Each event carries what the node is after the change, so a reader needs no second request; several changes of one node
//! in a row may be told as one. A reader that falls behind is told `reset` and reads everything again.

use super::Admin;
use super::error::AdminError;
use crate::changes::Told;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use baton_model::ids::NodeId;
use baton_model::state::ClusterState;
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::timeout;

/// Most readers at once: dashboards and a few exporters.
pub(super) const WATCHERS_MAX: usize = 64;

/// A silent stream says that it is alive this often; proxies cut idle connections after a minute.
const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Answers with the stream.
pub(super) async fn watch(State(admin): State<Arc<Admin>>) -> Response {
    let Ok(permit) = Arc::clone(&admin.watchers).try_acquire_owned() else {
        let text = "Too many readers watch this conductor already; ask another one.";
        return AdminError::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let told = admin.deps.changes.told();
    let first = Some(Bytes::from_static(b"retry: 1000\n\n"));
    let stream = unfold(
        (admin, told, permit, first),
        async |(admin, mut told, permit, first)| {
            if let Some(first) = first {
                return Some((Ok::<_, Infallible>(first), (admin, told, permit, None)));
            }
            let chunk = match timeout(ALIVE_EVERY, told.recv()).await {
                Err(_) => Bytes::from_static(b": alive\n\n"),
                Ok(Err(RecvError::Closed)) => return None,
                Ok(Err(RecvError::Lagged(_)) | Ok(Told::Reset)) => {
                    Bytes::from_static(b"event: reset\ndata: {}\n\n")
                }
                Ok(Ok(Told::Node(id))) => event(&admin.deps.state.read(), id),
            };
            Some((Ok(chunk), (admin, told, permit, None)))
        },
    );
    let mut response = Response::new(Body::from_stream(stream));
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn event(state: &ClusterState, id: NodeId) -> Bytes {
    let Some(node) = state.node(id) else {
        let data = json!({"uuid": id.to_string()});
        return Bytes::from(format!("event: gone\ndata: {data}\n\n"));
    };
    let holder = node.intent.as_ref().map(|intent| intent.holder);
    let data = json!({
        "uuid": id.to_string(),
        "name": node.name,
        "revision": node.revision.0,
        "provision_state": node.provision_state,
        "target_provision_state": node.target_provision_state,
        "power_state": node.power_state.map(|state| state.as_str()),
        "target_power_state": node.target_power_state.map(|state| state.as_str()),
        "maintenance": node.maintenance,
        "fault": node.fault,
        "last_error": node.last_error,
        "instance_uuid": node.instance_uuid,
        "reservation": holder.map(|holder| state.host_of(holder)),
        "conductor": state.owner(node).map(|owner| state.host_of(owner)),
    });
    Bytes::from(format!("event: node\ndata: {data}\n\n"))
}
