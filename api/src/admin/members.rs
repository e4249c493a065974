//! What operators do to the members of the cluster, from any of them.

use super::Admin;
use super::error::AdminError;
use crate::reply::Reply;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use baton_model::ids::ConductorId;
use baton_model::port::cluster::BackupParts;
use bytes::Bytes;
use hyper::body::Frame;
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

/// Names a member: by id or by host name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    conductor: String,
    #[serde(default)]
    force: bool,
}

/// The same, or nobody in particular.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Anybody {
    conductor: Option<String>,
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, AdminError> {
    serde_json::from_slice(body).map_err(|error| {
        AdminError::new(
            StatusCode::BAD_REQUEST,
            format!("The request body is not understood: {error}."),
        )
    })
}

/// The member of this name or number. A host name that is a number is still a host name.
fn find(admin: &Admin, named: &str) -> Result<ConductorId, AdminError> {
    let report = admin.deps.cluster.report();
    let by_host = report.members.iter().find(|member| &*member.host == named);
    let id = named.parse().ok().map(ConductorId);
    let by_id = || report.members.iter().find(|member| Some(member.id) == id);
    by_host
        .or_else(by_id)
        .map(|member| member.id)
        .ok_or_else(|| {
            AdminError::new(
                StatusCode::NOT_FOUND,
                format!("No member has the host name or id {named}."),
            )
        })
}

/// `POST /admin/v1/cluster/remove`.
pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    body: Bytes,
) -> Result<Reply, AdminError> {
    let Named { conductor, force } = read(&body)?;
    let id = find(&admin, &conductor)?;
    admin.deps.members.remove(id, force).await?;
    Ok(Reply::of(&json!({"removed": id})))
}

/// `POST /admin/v1/cluster/transfer-leader`.
pub(super) async fn transfer(
    State(admin): State<Arc<Admin>>,
    body: Bytes,
) -> Result<Reply, AdminError> {
    let Anybody { conductor } = if body.is_empty() {
        Anybody::default()
    } else {
        read(&body)?
    };
    let to = conductor.map(|named| find(&admin, &named)).transpose()?;
    let leader = admin.deps.members.transfer_leader(to).await?;
    Ok(Reply::of(&json!({"leader": leader})))
}

/// `POST /admin/v1/cluster/leave`: this conductor goes. It is answered before it has gone.
pub(super) async fn leave(State(admin): State<Arc<Admin>>) -> Result<Reply, AdminError> {
    admin.deps.departure.leave()?;
    Ok(Reply::of(
        &json!({"leaving": admin.deps.cluster.report().me}),
    ))
}

/// How old a backup may be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BackupQuery {
    #[serde(default)]
    stale: bool,
}

/// `GET /admin/v1/cluster/backup`: the replicated state as one file.
pub(super) async fn backup(
    State(admin): State<Arc<Admin>>,
    Query(BackupQuery { stale }): Query<BackupQuery>,
) -> Result<Response, AdminError> {
    let parts = admin.deps.members.backup(stale).await?;
    let mut response = Response::new(Body::new(Parts(Mutex::new(parts))));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    Ok(response)
}

/// Makes each part when the client has taken the one before. The lock only makes it `Sync`; nobody else has it.
struct Parts(Mutex<BackupParts>);

impl hyper::body::Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let parts = self.get_mut().0.get_mut();
        let next = parts.unwrap_or_else(PoisonError::into_inner).next();
        Poll::Ready(next.map(|part| Ok(Frame::data(part.into()))))
    }
}
