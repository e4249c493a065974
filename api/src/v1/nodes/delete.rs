//! `DELETE /v1/nodes/{node}`.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::command::{Command, DeleteNode};
use std::sync::Arc;

/// Deletes a node. The rules are checked where they hold: when the entry is applied.
pub(crate) async fn delete(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    let command = Command::NodeDelete(DeleteNode {
        node: node.id,
        available_too: app.options.allow_deleting_available_nodes,
    });
    app.propose(&node, command).await?;
    Ok(Reply::done(None))
}
