//! `/v1/nodes`: one module per concern.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod extras;
pub(crate) mod firmware;
pub(crate) mod indicators;
pub(crate) mod list;
pub(crate) mod maintenance;
pub(crate) mod management;
pub(crate) mod passthru;
pub(crate) mod power;
pub(crate) mod provision;
pub(crate) mod show;
pub(crate) mod states;
pub(crate) mod traits;
pub(crate) mod update;
pub(crate) mod validate;
pub(crate) mod vifs;

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;

/// `PATCH` and `DELETE` of the collection.
pub(crate) async fn without_node(_call: Call) -> Result<Reply, ApiError> {
    Err(ApiError::bad("Missing mandatory parameter: node_ident"))
}

/// Where the progress of accepted work is seen. Ironic echoes the identifier that the client used.
fn states_location(call: &Call) -> String {
    format!("{}/v1/nodes/{}/states", call.base, call.segment(0))
}
