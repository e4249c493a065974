//! Failures of the fake interfaces: a machine that does not exist cannot break, so it is told to.
//!
//! `driver_info/fake_failures` lists what fails: `power`, `adopt`, `inspect`, `tear_down`, `rescue`, `unrescue`, or a step
//! such as `deploy.deploy`. Each word concerns the fake interface that does it and no other. The list is read when the
//! work begins, so taking a word out of it is how the machine is mended.

use crate::node::record::NodeRecord;
use serde_json::Value;

/// The key in `driver_info`.
pub const FAILURES: &str = "fake_failures";

/// Why the fake interface that does `what` fails at it; `None` if it does not.
#[must_use]
pub fn failure(node: &NodeRecord, interface: &str, what: &str) -> Option<String> {
    // Most nodes have no such key, and finding that out should not cost a parsed document.
    if interface != "fake" || !node.driver_info.as_str().contains(FAILURES) {
        return None;
    }
    let info = node.driver_info.to_map();
    let told = match info.get(FAILURES)? {
        Value::Array(words) => words.iter().any(|word| word.as_str() == Some(what)),
        Value::String(words) => words.split(',').any(|word| word.trim() == what),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    };
    told.then(|| format!("the fake interface fails at {what}, as driver_info/{FAILURES} says"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{NodeId, WallMs};
    use crate::json::Json;
    use serde_json::json;
    use uuid::Uuid;

    fn node(failures: Value) -> NodeRecord {
        let mut node = NodeRecord::new(NodeId(Uuid::nil()), "fake-hardware".into(), WallMs(0));
        if let Value::Object(info) = json!({ FAILURES: failures }) {
            node.driver_info = Json::from_map(&info);
        }
        node
    }

    #[test]
    fn only_the_named_work_of_fake_interfaces_fails() {
        let list = node(json!(["inspect", "deploy.deploy"]));
        assert!(failure(&list, "fake", "inspect").is_some());
        assert!(failure(&list, "fake", "deploy.deploy").is_some());
        assert_eq!(failure(&list, "fake", "deploy"), None);
        assert_eq!(
            failure(&list, "redfish", "inspect"),
            None,
            "that one is real"
        );
        let text = node(json!("power, rescue"));
        assert!(failure(&text, "fake", "rescue").is_some());
        assert_eq!(failure(&node(json!(7)), "fake", "rescue"), None);
        let bare = NodeRecord::new(NodeId(Uuid::nil()), "fake-hardware".into(), WallMs(0));
        assert_eq!(failure(&bare, "fake", "rescue"), None);
    }
}
