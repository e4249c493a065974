//! `/v1/shards`: how many nodes each shard has.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET /v1/shards`. Nodes without a shard are counted under the text `None`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    app.fresh(&call).await?;
    let mut counts = BTreeMap::<Option<Box<str>>, u64>::new();
    let mut after = None;
    loop {
        let state = app.deps.state.read();
        let chunk: Vec<_> = state
            .nodes_after(after)
            .take(super::nodes::list::SCAN_CHUNK)
            .cloned()
            .collect();
        drop(state);
        let Some(last) = chunk.last() else { break };
        after = Some(last.serial);
        for node in &chunk {
            *counts.entry(node.shard.clone()).or_default() += 1;
        }
    }
    let shards: Vec<_> = counts
        .iter()
        .map(|(name, count)| json!({"name": name.as_deref().unwrap_or("None"), "count": count}))
        .collect();
    Ok(Reply::of(&json!({"shards": shards})))
}
