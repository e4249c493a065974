//! Discovery: `/` and `/v1`. Both are public; clients read the version range from them.

use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::version::{MAX, MIN};
use serde_json::{Map, Value, json};

/// Collections linked from `/v1`, with the version each came with.
const COLLECTIONS: [(&str, u16); 16] = [
    ("chassis", 1),
    ("nodes", 1),
    ("ports", 1),
    ("drivers", 1),
    ("lookup", 22),
    ("heartbeat", 22),
    ("portgroups", 23),
    ("volume", 32),
    ("conductors", 49),
    ("allocations", 52),
    ("events", 54),
    ("deploy_templates", 55),
    ("shards", 82),
    ("continue_inspection", 84),
    ("runbooks", 92),
    ("inspection_rules", 96),
];

fn version_object(base: &str) -> Value {
    json!({
        "id": "v1",
        "links": [{"href": format!("{base}/v1/"), "rel": "self"}],
        "status": "CURRENT",
        "min_version": format!("1.{MIN}"),
        "version": format!("1.{MAX}"),
    })
}

/// `GET /`.
pub(crate) async fn versions(call: Call) -> Result<Reply, ApiError> {
    let version = version_object(&call.base);
    Ok(Reply::of(&json!({
        "name": "OpenStack Ironic API",
        "description": "Bare Metal service, answered by baton: an actor-based conductor cluster for bare-metal fleets.",
        "default_version": version,
        "versions": [version],
    })))
}

/// `GET /v1`.
pub(crate) async fn v1(call: Call) -> Result<Reply, ApiError> {
    let base = &call.base;
    let mut document = Map::new();
    document.insert("id".to_owned(), json!("v1"));
    document.insert(
        "links".to_owned(),
        json!([
            {"href": format!("{base}/v1/"), "rel": "self"},
            {
                "href": "https://docs.openstack.org/api-ref/baremetal/",
                "rel": "describedby",
                "type": "text/html",
            },
        ]),
    );
    document.insert(
        "media_types".to_owned(),
        json!({"base": "application/json", "type": "application/vnd.openstack.ironic.v1+json"}),
    );
    document.insert("version".to_owned(), version_object(base));
    for (name, _) in COLLECTIONS
        .iter()
        .filter(|(_, since)| call.version.has(*since))
    {
        document.insert(
            (*name).to_owned(),
            json!([
                {"href": format!("{base}/v1/{name}/"), "rel": "self"},
                {"href": format!("{base}/{name}/"), "rel": "bookmark"},
            ]),
        );
    }
    Ok(Reply::of(&document))
}
