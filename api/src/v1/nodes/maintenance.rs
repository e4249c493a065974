//! `PUT` and `DELETE /v1/nodes/{node}/maintenance`. A flag: it never waits for a lock.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::command::{Command, EditNode};
use baton_model::node::edit::NodeEdit;
use std::sync::Arc;

async fn change(
    app: &App,
    call: &Call,
    on: bool,
    reason: Option<Box<str>>,
) -> Result<Reply, ApiError> {
    let node = app.node(call).await?;
    let command = Command::NodeEdit(EditNode {
        node: node.id,
        expect: None,
        edits: vec![NodeEdit::Maintenance { on, reason }],
    });
    app.propose(&node, command).await?;
    Ok(Reply::accepted(None))
}

/// Sets it; without a reason an older reason goes.
pub(crate) async fn set(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let reason = call
        .arguments(&["reason"])?
        .opt_text("reason")?
        .map(Box::from);
    change(&app, &call, true, reason).await
}

/// Clears it, its reason and the fault.
pub(crate) async fn clear(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    change(&app, &call, false, None).await
}
