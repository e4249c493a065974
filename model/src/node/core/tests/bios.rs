//! Steps that change a BIOS: told, restarted, read back; skipped where nothing is to change; fake ones.

use super::*;
use crate::node::provision::Verb;
use crate::object::Kind;
use crate::port::chore::Chore;
use crate::port::inquiry::Findings;
use serde_json::{Value, json};

const APPLY: PowerAction = PowerAction::Chore(Chore::ApplyBios);
const RESET: PowerAction = PowerAction::Chore(Chore::ResetBios);

fn redfish(node: &mut NodeRecord) {
    node.driver = "redfish".into();
    node.interfaces.power = "redfish".into();
    node.interfaces.management = "redfish".into();
    node.interfaces.bios = "redfish".into();
    node.interfaces.inspect = "redfish".into();
    node.provision_state = ProvisionState::Manageable;
}

fn findings(virtualization: &str) -> Findings {
    let bios = json!({"Virtualization": {"value": virtualization}});
    Findings {
        bios: bios.as_object().map(Json::from_map),
        ..Findings::default()
    }
}

fn steps(step: &str, settings: &Value) -> Value {
    json!({"clean_steps": [
        {"interface": "bios", "step": step, "args": {"settings": settings}}, {"step": "power_off"},
    ]})
}

fn apply_steps() -> Value {
    steps(
        "apply_configuration",
        &json!([{"name": "Virtualization", "value": "True"}]),
    )
}

impl World {
    /// The table of settings that the API shows.
    fn table(&self) -> Value {
        let object = self.state.objects().get(Kind::Bios, NODE.0);
        Value::Object(
            object
                .map(|object| object.body.to_map())
                .unwrap_or_default(),
        )
    }

    fn commands(&self) -> Vec<PowerAction> {
        self.acted.clone()
    }
}

#[test]
fn settings_are_told_the_machine_restarts_and_they_are_read_back() {
    let mut world = World::new(redfish);
    world.findings = findings("False");
    world.findings_later = Some((Mono(60_000), findings("True")));
    assert_eq!(
        world.verb(Verb::Clean, apply_steps()),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(30));
    assert_eq!(world.state(), ProvisionState::Cleaning);
    assert_eq!(world.commands(), [APPLY, PowerAction::Off, PowerAction::On]);
    assert_eq!(world.cargos[0].as_str(), r#"{"Virtualization":"True"}"#);
    assert!(world.cargos[1].is_empty());
    let live = world.core.live(world.now).waiting_for;
    assert!(live.is_some_and(|text| text.contains("BIOS settings")));
    world.advance(Duration::from_secs(60));
    assert_eq!(
        world.state(),
        ProvisionState::Manageable,
        "{}",
        world.last_error()
    );
    assert_eq!(world.table()["Virtualization"]["value"], "True");
    assert_eq!(
        world.record().power_state,
        Some(PowerState::Off),
        "the next step ran"
    );
}

#[test]
fn settings_that_are_there_already_restart_nothing() {
    let mut world = World::new(redfish);
    world.findings = findings("True");
    assert_eq!(
        world.verb(Verb::Clean, apply_steps()),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(5));
    assert_eq!(world.state(), ProvisionState::Manageable);
    assert_eq!(world.commands(), [PowerAction::Off], "only the next step");
    assert_eq!(world.table()["Virtualization"]["value"], "True");
}

#[test]
fn a_machine_that_does_not_take_them_fails_the_step_and_says_which() {
    let mut world = World::new(redfish);
    world.findings = findings("False");
    assert_eq!(
        world.verb(Verb::Clean, apply_steps()),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(1500));
    assert_eq!(world.state(), ProvisionState::CleanFailed);
    let told = world.last_error();
    assert!(
        told.contains("bios.apply_configuration") && told.contains("Virtualization is"),
        "{told}"
    );
    assert_eq!(world.record().fault, Some(Fault::Clean));

    let mut world = World::new(redfish);
    world.findings = findings("False");
    let declined = ReadError::Bmc(BmcError::Declined {
        bmc: "192.0.2.1:443".into(),
        operation: "apply BIOS settings",
        reason: "read only".into(),
    });
    world.takes.push_back(Err(declined));
    assert_eq!(
        world.verb(Verb::Clean, apply_steps()),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(5));
    assert_eq!(world.state(), ProvisionState::CleanFailed);
    assert!(
        world.last_error().contains("read only"),
        "{}",
        world.last_error()
    );
    assert_eq!(world.commands(), [APPLY], "the machine was not restarted");
}

#[test]
fn a_reset_waits_until_the_bmc_says_that_none_is_pending() {
    let mut world = World::new(redfish);
    world.findings = Findings {
        reset_pending: true,
        ..findings("False")
    };
    world.findings_later = Some((Mono(90_000), findings("True")));
    let reset = steps("factory_reset", &Value::Null);
    assert_eq!(world.verb(Verb::Clean, reset), Ok(NodeAnswer::Accepted));
    world.advance(Duration::from_secs(60));
    assert_eq!(world.state(), ProvisionState::Cleaning);
    world.advance(Duration::from_secs(60));
    assert_eq!(
        world.state(),
        ProvisionState::Manageable,
        "{}",
        world.last_error()
    );
    assert_eq!(world.commands().first(), Some(&RESET));
    assert_eq!(world.table()["Virtualization"]["value"], "True");
}

#[test]
fn a_takeover_begins_the_step_again() {
    let mut world = World::new(redfish);
    world.findings = findings("False");
    assert_eq!(
        world.verb(Verb::Clean, apply_steps()),
        Ok(NodeAnswer::Accepted)
    );
    world.advance(Duration::from_secs(30));
    world.findings = findings("True");
    world.rebuild();
    world.advance(Duration::from_secs(60));
    assert_eq!(
        world.state(),
        ProvisionState::Manageable,
        "{}",
        world.last_error()
    );
    let told = world
        .commands()
        .iter()
        .filter(|action| **action == APPLY)
        .count();
    assert_eq!(told, 1, "what is as wanted is not told again");
}

#[test]
fn a_step_without_settings_or_without_its_bmc_is_refused() {
    let mut world = World::new(redfish);
    let refused = world.refused(Verb::Clean, steps("apply_configuration", &Value::Null));
    assert_eq!(refused.status, 400);
    assert!(refused.text.contains("args.settings"), "{}", refused.text);
    let mut world = World::new(|node| {
        redfish(node);
        node.interfaces.power = "fake".into();
    });
    let refused = world.refused(Verb::Clean, apply_steps());
    assert!(
        refused.text.contains("power interface redfish"),
        "{}",
        refused.text
    );
}

#[test]
fn a_fake_bios_has_what_it_was_told_and_nothing_after_a_reset() {
    let mut world = World::new(|node| {
        redfish(node);
        node.driver = "fake-hardware".into();
        node.interfaces.power = "fake".into();
        node.interfaces.bios = "fake".into();
    });
    let only = |step: &str, settings: Value| json!({"clean_steps": [{"interface": "bios", "step": step, "args": {"settings": settings}}]});
    let settings = json!([{"name": "Hyperthreading", "value": true}]);
    let apply = only("apply_configuration", settings);
    assert_eq!(world.verb(Verb::Clean, apply), Ok(NodeAnswer::Accepted));
    world.advance(Duration::from_secs(1));
    assert_eq!(world.table(), json!({"Hyperthreading": {"value": "True"}}));
    let reset = only("factory_reset", Value::Null);
    assert_eq!(world.verb(Verb::Clean, reset), Ok(NodeAnswer::Accepted));
    world.advance(Duration::from_secs(1));
    assert_eq!(world.table(), json!({}));
}
