//! `GET /v1/nodes/{node}`.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{Selection, document};
use crate::reply::Reply;
use axum::extract::State;
use std::sync::Arc;

/// Shows one node.
pub(crate) async fn show(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["fields"])?;
    let what = if call.query.get("fields").is_some() {
        call.needs(8)?;
        Selection::custom(call.version, call.query.all("fields"))?
    } else {
        Selection::full(call.version)
    };
    let node = app.node(&call).await?;
    let shown = app.shown(node);
    Ok(Reply::json(document(
        &shown,
        call.version,
        &call.base,
        &what,
    )))
}
