//! `GET /v1/nodes/{node}/validate`: would each interface work. Asks no BMC and changes nothing.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::out::Out;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::hardware::{Slot, Validation, validate};
use baton_model::node::record::NodeRecord;
use std::sync::Arc;

/// By path.
pub(crate) async fn by_path(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    Ok(report(&*app.node(&call).await?))
}

/// By `?node=`.
pub(crate) async fn by_query(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["node"])?;
    let ident = call
        .query
        .get("node")
        .ok_or_else(|| ApiError::bad("Missing mandatory parameter: node"))?;
    app.fresh(&call).await?;
    Ok(report(&*app.find(&call, ident)?))
}

fn report(node: &NodeRecord) -> Reply {
    let mut out = Out::with_capacity(1024);
    out.raw("{");
    let slots = Slot::ALL.into_iter().filter(|slot| *slot != Slot::Vendor);
    for (at, slot) in slots.enumerate() {
        if at > 0 {
            out.raw(",");
        }
        out.str(slot.as_str());
        match validate(node, slot) {
            Validation::Good => out.raw(":{\"result\":true}"),
            Validation::Bad(reason) => out
                .raw(":{\"result\":false,\"reason\":")
                .str(&reason)
                .raw("}"),
        };
    }
    out.raw("}");
    Reply::json(out.into_bytes())
}
