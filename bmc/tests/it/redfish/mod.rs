//! The Redfish client against servers that behave, misbehave, and are real.

mod actions;
mod boot;
mod broken;
mod chores;
mod fake;
mod login;
mod pool;
mod reads;
mod server;
mod sushy;
mod tls;

use baton_bmc::redfish::{RedfishClient, RedfishConfig};
use baton_model::driver::redfish::{RedfishTarget, parse};
use baton_model::ids::NodeId;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Longer than anything here takes, even on a busy machine.
const BUDGET: Duration = Duration::from_secs(20);
/// The password of every fake BMC; long enough to be recognised wherever it leaks.
const PASSWORD: &str = "correct-horse-battery";

fn client() -> RedfishClient {
    RedfishClient::new(RedfishConfig::default())
}

/// A target with credentials; `extra` overrides single keys, null removes one.
fn target(origin: &str, extra: Value) -> Arc<RedfishTarget> {
    let mut info = json!({
        "redfish_address": origin,
        "redfish_username": "admin",
        "redfish_password": PASSWORD,
    });
    let map = info.as_object_mut().expect("an object");
    for (key, value) in extra.as_object().expect("an object") {
        if value.is_null() {
            map.remove(key);
        } else {
            map.insert(key.clone(), value.clone());
        }
    }
    Arc::new(parse(NodeId(uuid::Uuid::nil()), map).expect("a valid driver_info"))
}

/// Waits for something to come true.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let waited = tokio::time::timeout(BUDGET, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "still not: {what}");
}
