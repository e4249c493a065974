//! Lists, progress and the table of takeover.

use super::*;
use crate::command::NodeChange;
use crate::ids::{NodeId, WallMs};
use crate::node::record::NodeRecord;
use serde_json::{Map, Value, json};
use uuid::Uuid;

fn node() -> NodeRecord {
    let mut node = NodeRecord::new(
        NodeId(Uuid::from_u128(1)),
        "fake-hardware".into(),
        WallMs(0),
    );
    for slot in [
        &mut node.interfaces.power,
        &mut node.interfaces.deploy,
        &mut node.interfaces.vendor,
        &mut node.interfaces.bios,
        &mut node.interfaces.raid,
    ] {
        *slot = "fake".into();
    }
    node
}

fn written(changes: Vec<NodeChange>, node: &mut NodeRecord) {
    for change in changes {
        match change {
            NodeChange::InternalInfo(info) => node.driver_internal_info = info,
            NodeChange::Step { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn names(steps: &[Value]) -> Vec<String> {
    steps.iter().map(catalog::name).collect()
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

#[test]
fn deployments_merge_templates_and_wishes_by_priority() {
    let node = node();
    let step = |interface: &str, step: &str, priority: u64| json!({"interface": interface, "step": step, "args": {}, "priority": priority});
    assert_eq!(names(&deploy(&node, &Map::new())), ["deploy.deploy"]);
    let arguments = map(json!({
        "template_steps": [step("raid", "create_configuration", 100), step("bios", "factory_reset", 150)],
        "deploy_steps": [step("bios", "factory_reset", 0), step("bios", "apply_configuration", 100)],
    }));
    assert_eq!(
        names(&deploy(&node, &arguments)),
        [
            "deploy.deploy",
            "bios.apply_configuration",
            "raid.create_configuration"
        ]
    );
    assert_eq!(names(&automated(&node)), ["vendor.log_passthrough"]);
}

#[test]
fn a_flow_goes_step_by_step_and_pauses_between_two() {
    let mut node = node();
    let steps = vec![
        json!({"step": "power_on"}),
        json!({"step": "hold"}),
        json!({"step": "wait", "args": {"seconds": 1}}),
    ];
    written(Progress::of(&node, Flow::Clean).begin(steps), &mut node);
    let at = |node: &NodeRecord| Progress::of(node, Flow::Clean);
    assert_eq!(at(&node).running(), None);
    for index in 0..3 {
        let progress = at(&node);
        assert_eq!(progress.next().map(|(next, _)| next), Some(index));
        written(progress.enter(index), &mut node);
        assert!(at(&node).running().is_some());
        written(at(&node).pause(), &mut node);
        assert_eq!(at(&node).running(), None);
    }
    assert_eq!(at(&node).next(), None);
    written(at(&node).end(), &mut node);
    assert!(node.driver_internal_info.is_empty());
}

#[test]
fn a_takeover_repeats_what_may_be_repeated_and_fails_the_rest() {
    let cases = [
        (json!({"step": "power_on"}), true),
        (json!({"step": "power_off"}), true),
        (json!({"step": "reboot"}), false),
        (json!({"step": "hold"}), true),
        (json!({"step": "wait", "args": {"seconds": 5}}), true),
        (
            json!({"interface": "raid", "step": "create_configuration"}),
            true,
        ),
        (json!({"interface": "raid", "step": "unknown"}), false),
    ];
    for (step, goes_on) in cases {
        let mut node = node();
        assert!(matches!(
            after_takeover(&node, Flow::Service),
            Resume::Fail(_)
        ));
        written(
            Progress::of(&node, Flow::Clean).begin(vec![step.clone()]),
            &mut node,
        );
        assert_eq!(after_takeover(&node, Flow::Clean), Resume::GoOn);
        written(Progress::of(&node, Flow::Clean).enter(0), &mut node);
        let answer = after_takeover(&node, Flow::Clean);
        assert_eq!(answer == Resume::GoOn, goes_on, "{step}: {answer:?}");
    }
}

#[test]
fn steps_that_nobody_can_carry_out_are_refused_by_name() {
    let node = node();
    let ask = |step: Value| {
        let arguments = map(json!({"clean_steps": [step]}));
        check(&node, super::super::provision::Verb::Clean, &arguments, 30)
    };
    assert_eq!(
        ask(json!({"interface": "bios", "step": "factory_reset"})),
        Ok(())
    );
    assert_eq!(
        ask(json!({"step": "wait", "args": {"seconds": 30}})),
        Ok(())
    );
    for (step, part) in [
        (
            json!({"interface": "deploy", "step": "erase_devices"}),
            "deploy.erase_devices",
        ),
        (
            json!({"interface": "deploy", "step": "deploy"}),
            "not supported",
        ),
        (
            json!({"interface": "management", "step": "x"}),
            "management.x",
        ),
        (
            json!({"step": "wait", "args": {"seconds": 31}}),
            "at most 30",
        ),
        (json!({"step": "wait"}), "args.seconds"),
    ] {
        let refused = ask(step).expect_err("refused");
        assert_eq!(refused.status, 400);
        assert!(refused.text.contains(part), "{refused}");
    }
}
