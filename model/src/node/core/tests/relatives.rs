//! Machines that share a power supply.

use super::*;
use crate::node::core::relatives::{Standing, has_own_supply, standing};
use serde_json::json;

const PARENT: NodeId = NodeId(Uuid::from_u128(7));

fn child() -> World {
    let mut world = World::new(|_| {});
    let record = NodeRecord::new(PARENT, "ipmi".into(), WallMs(0));
    world.commit(Command::NodeCreate(Box::new(record)));
    world.edit(NodeEdit::ParentNode(Some(PARENT)));
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.switched, Vec::new(), "a child goes off alone");
    world.acted.clear();
    world
}

#[test]
fn a_child_is_on_after_its_parent_and_a_parent_off_after_its_children() {
    let mut world = child();
    world.power(2, PowerRequest::On);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.switched.len(), 1);
    assert_eq!(world.switched[0].1, PowerRequest::On);
    assert_eq!(world.acted, vec![PowerAction::On]);
    assert_eq!(world.record().power_state, Some(PowerState::On));

    let mut world = World::new(|_| {});
    world.has_children = true;
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.switched[0].1, PowerRequest::Off);
    assert_eq!(world.acted, vec![PowerAction::Off]);
    // Softly and for a restart it goes alone, as in Ironic; and what is off already needs nobody.
    for request in [PowerRequest::SoftOff, PowerRequest::Reboot] {
        let mut world = World::new(|_| {});
        world.has_children = true;
        world.power(1, request);
        world.advance(Duration::from_secs(5));
        assert_eq!(world.switched, Vec::new());
    }
}

#[test]
fn power_sync_switches_the_parent_on_before_it_forces_the_child() {
    let mut world = child();
    world.power(2, PowerRequest::On);
    world.advance(Duration::from_secs(2));
    world.acted.clear();
    world.switched.clear();
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    assert_eq!(world.switched.len(), 1);
    assert_eq!(world.acted, vec![PowerAction::On]);
}

#[test]
fn a_relative_that_can_not_be_switched_fails_the_request_and_nothing_is_sent() {
    let mut world = child();
    world.relatives = Some(Err("node 7 is locked".into()));
    world.power(2, PowerRequest::On);
    world.advance(Duration::from_secs(2));
    assert_eq!(
        world.error(),
        Some("Failed to change power state to 'power on' by 'power on': node 7 is locked")
    );
    assert_eq!((world.acted.len(), world.record().is_locked()), (0, false));

    // One that never answers ends with the limit, and its late answer is dropped.
    world.relatives = None;
    world.power(3, PowerRequest::On);
    world.advance(Duration::from_secs(120));
    assert!(
        world.record().is_locked(),
        "as long as a request of its own"
    );
    world.advance(Duration::from_secs(200));
    assert!(!world.record().is_locked());
    assert_eq!(world.acted, Vec::new());
}

#[test]
fn a_successor_asks_the_relatives_under_the_same_id() {
    let mut world = child();
    world.relatives = None;
    world.power(2, PowerRequest::On);
    world.rebuild();
    world.relatives = Some(Ok(()));
    world.advance(Duration::from_secs(5));
    assert_eq!(world.switched.len(), 2);
    assert_eq!(world.switched[0], world.switched[1]);
    assert_eq!(world.acted, vec![PowerAction::On]);
}

#[test]
fn only_a_supply_of_its_own_makes_a_child_independent() {
    let mut world = child();
    let info = Json::parse(r#"{"has_dedicated_power_supply":"True"}"#).expect("valid");
    world.edit(NodeEdit::DriverInfo(info));
    world.power(2, PowerRequest::On);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.switched, Vec::new());
    for (value, own) in [
        (json!(true), true),
        (json!("yes"), true),
        (json!(1), true),
        (json!(false), false),
        (json!("no"), false),
        (json!(null), false),
    ] {
        let mut node = NodeRecord::new(PARENT, "ipmi".into(), WallMs(0));
        node.driver_info =
            Json::parse(&json!({"has_dedicated_power_supply": value}).to_string()).expect("valid");
        assert_eq!(has_own_supply(&node), own, "{value}");
    }
}

#[test]
fn a_relative_is_there_when_its_request_is_over_and_its_state_is_right() {
    let id = RequestId("req-1".into());
    let stands = |node: &NodeRecord| standing(node, &id, PowerRequest::Off);
    let mut world = World::new(|_| {});
    assert_eq!(stands(world.record()), Standing::Waiting, "not taken yet");
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    assert_eq!(stands(world.record()), Standing::Waiting, "under way");
    world.advance(Duration::from_secs(70));
    let Standing::Failed(why) = stands(world.record()) else {
        panic!("it did not obey");
    };
    assert!(why.contains("Failed to set node power state"), "{why}");
    let mut done = world.record().clone();
    done.power_state = Some(PowerState::Off);
    assert_eq!(stands(&done), Standing::There);
}
