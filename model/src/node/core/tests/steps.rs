//! Flows of steps at their owner: order, holds, aborts, failures, takeovers.

use super::*;
use crate::node::edit::Refused;
use crate::node::steps::Flow;
use serde_json::{Value, json};

fn fake(node: &mut NodeRecord) {
    node.driver = "fake-hardware".into();
    for slot in [
        &mut node.interfaces.power,
        &mut node.interfaces.deploy,
        &mut node.interfaces.vendor,
        &mut node.interfaces.bios,
        &mut node.interfaces.raid,
        &mut node.interfaces.rescue,
    ] {
        *slot = "fake".into();
    }
    node.power_state = Some(PowerState::Off);
    node.provision_state = ProvisionState::Manageable;
}

impl World {
    pub(super) fn verb(&mut self, verb: Verb, arguments: Value) -> Result<NodeAnswer, NodeError> {
        let arguments = Json::from_map(arguments.as_object().expect("an object"));
        let asker = 1000 + u64::from(self.requests);
        self.request(asker, NodeRequest::Provision { verb, arguments });
        let found = self.answers.iter().find(|(who, _)| *who == asker);
        found.map(|(_, answer)| answer.clone()).expect("an answer")
    }

    pub(super) fn refused(&mut self, verb: Verb, arguments: Value) -> Refused {
        match self.verb(verb, arguments) {
            Err(NodeError::Refused(refused)) => refused,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn state(&self) -> ProvisionState {
        self.record().provision_state
    }

    fn running(&self) -> String {
        let record = self.record();
        let steps = [
            &record.clean_step,
            &record.deploy_step,
            &record.service_step,
        ];
        steps
            .iter()
            .filter_map(|step| step.to_map().get("step")?.as_str().map(str::to_owned))
            .collect()
    }

    pub(super) fn last_error(&self) -> &str {
        self.record().last_error.as_deref().unwrap_or_default()
    }
}

#[test]
fn manual_cleaning_runs_its_steps_in_order_and_returns_to_manageable() {
    let mut world = World::new(fake);
    let steps = json!({"clean_steps": [
        {"step": "power_on"},
        {"interface": "raid", "step": "create_configuration"},
        {"step": "wait", "args": {"seconds": 7}},
        {"step": "reboot"},
    ]});
    assert_eq!(world.verb(Verb::Clean, steps), Ok(NodeAnswer::Accepted));
    assert_eq!(world.state(), ProvisionState::Cleaning);
    let manual = Some(ProvisionState::Manageable);
    assert_eq!(world.record().target_provision_state, manual);
    assert_eq!(world.running(), "wait");
    assert_eq!(world.record().power_state, Some(PowerState::On));
    world.advance(Duration::from_secs(6));
    assert_eq!(world.running(), "wait");
    world.advance(Duration::from_secs(2));
    assert_eq!(world.state(), ProvisionState::Manageable);
    assert_eq!(world.record().intent, None);
    assert_eq!(world.running(), "");
    assert!(world.record().driver_internal_info.is_empty());
    assert_eq!(world.last_error(), "");
}

#[test]
fn a_hold_keeps_the_node_until_it_is_let_go_and_goes_on_after_it() {
    let mut world = World::new(fake);
    let steps = json!({"clean_steps": [{"step": "hold"}, {"step": "power_on"}]});
    assert_eq!(world.verb(Verb::Clean, steps), Ok(NodeAnswer::Accepted));
    assert_eq!(world.state(), ProvisionState::CleanHold);
    assert_eq!(world.record().intent, None);
    world.advance(Duration::from_secs(7200));
    assert_eq!(world.state(), ProvisionState::CleanHold);
    world.rebuild();
    assert_eq!(
        world.verb(Verb::Unhold, json!({})),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(1));
    assert_eq!(world.state(), ProvisionState::Manageable);
    assert_eq!(world.record().power_state, Some(PowerState::On));
}

#[test]
fn a_held_flow_can_be_aborted() {
    let mut world = World::new(fake);
    let hold = json!([{"step": "hold"}]);
    assert_eq!(
        world.verb(Verb::Clean, json!({"clean_steps": hold})),
        Ok(NodeAnswer::Accepted)
    );
    assert_eq!(world.verb(Verb::Abort, json!({})), Ok(NodeAnswer::Accepted));
    assert_eq!(world.state(), ProvisionState::CleanFailed);
    assert!(world.last_error().contains("clean operation was aborted"));
    assert!(!world.record().maintenance);
    let mut world = World::new(|node| {
        fake(node);
        node.provision_state = ProvisionState::Active;
    });
    assert_eq!(
        world.verb(Verb::Service, json!({"service_steps": hold})),
        Ok(NodeAnswer::Accepted)
    );
    assert_eq!(world.state(), ProvisionState::ServiceHold);
    assert_eq!(world.verb(Verb::Abort, json!({})), Ok(NodeAnswer::Accepted));
    assert_eq!(world.state(), ProvisionState::Active);
}

#[test]
fn an_asynchronous_step_waits_and_its_silence_faults_the_node() {
    let mut world = World::new(|node| {
        fake(node);
        node.provision_state = ProvisionState::Active;
    });
    let steps = json!({"service_steps": [{"interface": "vendor", "step": "trigger_servicewait"}]});
    assert_eq!(world.verb(Verb::Service, steps), Ok(NodeAnswer::Accepted));
    assert_eq!(world.state(), ProvisionState::ServiceWait);
    assert_eq!(world.record().intent, None);
    world.advance(Duration::from_secs(1790));
    assert_eq!(world.state(), ProvisionState::ServiceWait);
    world.advance(Duration::from_secs(60));
    assert_eq!(world.state(), ProvisionState::ServiceFailed);
    assert!(
        world.last_error().contains("trigger_servicewait"),
        "{}",
        world.last_error()
    );
    assert_eq!(world.record().fault, Some(Fault::Service));
    let refused = world.refused(Verb::Abort, json!({}));
    assert!(refused.text.contains("maintenance"));
    world.edit(NodeEdit::Maintenance {
        on: false,
        reason: None,
    });
    assert_eq!(world.verb(Verb::Abort, json!({})), Ok(NodeAnswer::Accepted));
    assert_eq!(world.state(), ProvisionState::Active);
}

#[test]
fn a_step_that_fails_on_the_machine_sets_maintenance_and_fault() {
    let mut world = World::new(|node| node.provision_state = ProvisionState::Manageable);
    world.obeys = false;
    let steps = json!({"clean_steps": [{"step": "power_off"}]});
    assert_eq!(world.verb(Verb::Clean, steps), Ok(NodeAnswer::Accepted));
    world.advance(Duration::from_secs(120));
    assert_eq!(world.state(), ProvisionState::CleanFailed);
    assert_eq!(world.record().fault, Some(Fault::Clean));
    assert!(
        world.last_error().contains("failed step power_off"),
        "{}",
        world.last_error()
    );
    assert_eq!(world.acted, [PowerAction::Off]);
}

#[test]
fn a_new_owner_repeats_a_wait_and_does_not_repeat_a_reboot() {
    let mut world = World::new(fake);
    let steps = json!({"clean_steps": [{"step": "wait", "args": {"seconds": 20}}]});
    assert_eq!(world.verb(Verb::Clean, steps), Ok(NodeAnswer::Accepted));
    assert_eq!(world.running(), "wait");
    world.rebuild();
    world.advance(Duration::from_secs(30));
    assert_eq!(
        world.state(),
        ProvisionState::Manageable,
        "{}",
        world.last_error()
    );

    let mut world = World::new(|node| node.provision_state = ProvisionState::Manageable);
    let steps = json!({"clean_steps": [{"step": "reboot"}]});
    assert_eq!(world.verb(Verb::Clean, steps), Ok(NodeAnswer::Accepted));
    assert_eq!(world.running(), "reboot");
    world.rebuild();
    world.advance(Duration::from_secs(30));
    assert_eq!(world.state(), ProvisionState::CleanFailed);
    assert!(
        world.last_error().contains("not known"),
        "{}",
        world.last_error()
    );
}

#[test]
fn a_deployment_runs_its_steps_and_undeploy_cleans() {
    let mut world = World::new(|node| {
        fake(node);
        node.provision_state = ProvisionState::Available;
    });
    let wish = json!({
        "configdrive": "aGVsbG8=",
        "deploy_steps": [{"interface": "bios", "step": "factory_reset", "args": {}, "priority": 200}],
    });
    assert_eq!(world.verb(Verb::Deploy, wish), Ok(NodeAnswer::Accepted));
    world.advance(Duration::from_secs(1));
    assert_eq!(world.state(), ProvisionState::Active);
    assert!(
        world
            .record()
            .instance_info
            .as_str()
            .contains("configdrive")
    );
    assert_eq!(
        world.verb(Verb::Rescue, json!({})),
        Ok(NodeAnswer::Accepted)
    );
    assert_eq!(world.state(), ProvisionState::Rescue);
    assert_eq!(
        world.verb(Verb::Unrescue, json!({})),
        Ok(NodeAnswer::Accepted)
    );
    assert_eq!(world.state(), ProvisionState::Active);
    assert_eq!(
        world.verb(Verb::Delete, json!({})),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(1));
    assert_eq!(world.state(), ProvisionState::Available);
    assert!(world.record().instance_info.is_empty());
}

#[test]
fn steps_that_the_node_does_not_have_are_refused_before_anything_happens() {
    let mut world = World::new(|node| node.provision_state = ProvisionState::Manageable);
    let steps = json!({"clean_steps": [{"interface": "deploy", "step": "erase_devices"}]});
    let refused = world.refused(Verb::Clean, steps);
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("deploy.erase_devices"));
    assert_eq!(world.state(), ProvisionState::Manageable);
}

#[test]
fn more_than_the_limit_is_refused_in_the_log_itself() {
    let mut world = World::new(fake);
    world.knobs.limits.concurrent_clean = 0;
    let steps = json!({"clean_steps": [{"step": "power_on"}]});
    let refused = world.refused(Verb::Clean, steps);
    assert_eq!(refused.status, 503);
    assert!(
        refused
            .text
            .contains("concurrent action limit for cleaning")
    );
    assert_eq!(world.state(), ProvisionState::Manageable);
    assert_eq!(world.record().intent, None);
}

/// A step that cannot be aborted ends first, and nothing follows it.
#[test]
fn an_abort_that_had_to_wait_stops_the_flow_after_the_step() {
    for (verb, from, key, flow, end) in [
        (
            Verb::Clean,
            ProvisionState::Manageable,
            "clean_steps",
            Flow::Clean,
            ProvisionState::CleanFailed,
        ),
        (
            Verb::Service,
            ProvisionState::Active,
            "service_steps",
            Flow::Service,
            ProvisionState::Active,
        ),
    ] {
        let mut world = World::new(|node| {
            fake(node);
            node.provision_state = from;
        });
        let steps = json!([{"step": "wait", "args": {"seconds": 5}}, {"step": "power_on"}]);
        assert_eq!(
            world.verb(verb, json!({ key: steps })),
            Ok(NodeAnswer::Accepted)
        );
        let step = Json::parse(r#"{"step": "wait", "args": {"seconds": 5}, "abort_after": true}"#);
        let changes = vec![NodeChange::Step {
            flow,
            step: step.expect("JSON"),
        }];
        let epoch = world.record().epoch;
        world.commit(Command::NodeAct(ActOnNode {
            node: NODE,
            fence: Fence { session: ME, epoch },
            expect: None,
            changes,
        }));
        world.tell_record();
        world.advance(Duration::from_secs(10));
        assert_eq!(world.state(), end);
        assert_eq!(
            world.record().power_state,
            Some(PowerState::Off),
            "it went on"
        );
        assert!(
            world.last_error().contains("was aborted"),
            "{}",
            world.last_error()
        );
        assert!(world.record().driver_internal_info.is_empty());
        assert!(!world.record().maintenance);
    }
}
