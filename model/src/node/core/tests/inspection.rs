//! Inspection over Redfish, questions of users, chores, and refused logins that any of them meets.

use super::*;
use crate::node::boot::BootMode;
use crate::node::provision::Verb;
use crate::object::Kind;
use crate::port::chore::Chore;
use serde_json::{Value, json};

fn redfish(node: &mut NodeRecord) {
    node.driver = "redfish".into();
    node.interfaces.power = "redfish".into();
    node.interfaces.management = "redfish".into();
    node.interfaces.inspect = "redfish".into();
    node.interfaces.vendor = "redfish".into();
    node.provision_state = ProvisionState::Manageable;
}

fn inventory() -> Inventory {
    Inventory {
        memory_mb: Some(65_536),
        cpus: Some(32),
        cpu_arch: Some("x86_64".into()),
        local_gb: 479,
        boot_mode: Some(BootMode::Uefi),
        vendor: Some("ACME".into()),
        macs: vec!["02:5a:00:00:00:01".into(), "02:5a:00:00:00:02".into()],
        document: Json::parse(r#"{"cpu":{"count":32}}"#).expect("JSON"),
    }
}

impl World {
    fn inspect(&mut self) {
        let answer = self.verb(Verb::Inspect, json!({}));
        assert_eq!(answer, Ok(NodeAnswer::Accepted));
        self.advance(Duration::from_secs(1));
    }

    fn properties(&self) -> Value {
        Value::Object(self.record().properties.to_map())
    }

    fn addresses(&self) -> Vec<String> {
        let ports = self.state.objects().of_node(NODE, Kind::Port, None);
        let address = |body: &Json| body.to_map()["address"].as_str().expect("text").to_owned();
        ports.map(|port| address(&port.body)).collect()
    }
}

fn refused_login() -> ReadError {
    ReadError::Bmc(BmcError::Refused {
        bmc: "192.0.2.1:443".into(),
        username: "admin".into(),
        reason: "HTTP 401".into(),
    })
}

#[test]
fn an_inspection_leaves_properties_ports_and_an_inventory() {
    let mut world = World::new(|node| {
        redfish(node);
        let own = json!({"capabilities": "cpu_vt:true", "note": "mine", "vendor": "ours"});
        node.properties = Json::from_map(own.as_object().expect("an object"));
    });
    world.inventory = inventory();
    world.inspect();
    assert_eq!(
        world.state(),
        ProvisionState::Manageable,
        "{}",
        world.last_error()
    );
    let wanted = json!({
        "capabilities": "cpu_vt:true,boot_mode:uefi", "note": "mine", "vendor": "ours",
        "memory_mb": 65_536, "cpus": 32, "cpu_arch": "x86_64", "local_gb": 479,
    });
    assert_eq!(world.properties(), wanted);
    assert_eq!(
        world.addresses(),
        ["02:5a:00:00:00:01", "02:5a:00:00:00:02"]
    );
    assert_eq!(world.record().boot_mode.as_deref(), Some("uefi"));
    assert!(world.record().inspection_finished_at.is_some());
    let kept = world
        .state
        .objects()
        .get(Kind::Inventory, NODE.0)
        .expect("an inventory");
    let kept = kept.body.to_map();
    assert_eq!(kept["inventory"]["cpu"]["count"], 32);
    assert!(kept.contains_key("plugin_data"));

    // Again: nothing is made twice, and a second mode does not replace what was said.
    world.inspect();
    assert_eq!(world.addresses().len(), 2);
    assert_eq!(
        world.properties()["capabilities"],
        "cpu_vt:true,boot_mode:uefi"
    );
}

#[test]
fn a_machine_that_tells_too_little_fails_with_the_names_of_what_is_missing() {
    let mut world = World::new(redfish);
    world.inventory = Inventory {
        memory_mb: None,
        cpu_arch: None,
        ..inventory()
    };
    world.inspect();
    assert_eq!(world.state(), ProvisionState::InspectFailed);
    let told = world.last_error();
    assert!(told.contains("cpu_arch, memory_mb"), "{told}");
    assert!(world.addresses().is_empty(), "nothing is half done");
    assert_eq!(world.properties(), json!({}));
}

#[test]
fn a_silent_bmc_fails_the_inspection_and_a_refused_login_is_recorded_with_it() {
    let mut world = World::new(redfish);
    world.silence = Some(refused_login());
    world.inspect();
    assert_eq!(world.state(), ProvisionState::InspectFailed);
    assert!(
        world.last_error().contains("refused user `admin`"),
        "{}",
        world.last_error()
    );
    assert!(world.record().login_refused.is_some());
}

#[test]
fn an_inspection_needs_the_bmc_that_the_power_interface_reaches() {
    let mut world = World::new(|node| {
        redfish(node);
        node.interfaces.power = "fake".into();
    });
    assert_eq!(world.refused(Verb::Inspect, json!({})).status, 400);
}

#[test]
fn a_login_that_is_refused_to_a_question_is_recorded_at_once() {
    let mut world = World::new(|node| {
        redfish(node);
        node.provision_state = ProvisionState::Active;
    });
    world.boots = Err(refused_login());
    let reads = world.reads;
    world.request(1, NodeRequest::Ask(Inquiry::Boot));
    assert!(world.record().login_refused.is_some());
    assert_eq!(world.reads, reads, "no power read had to come first");
    assert_eq!(world.failures(), 0);
}

#[test]
fn a_chore_is_announced_carried_out_and_answered() {
    let mut world = World::new(redfish);
    let cargo = Json::parse(r#"{"id":"7"}"#).expect("JSON");
    let chore = |chore, at_end| NodeRequest::Chore {
        chore,
        cargo: cargo.clone(),
        at_end,
    };
    world.request(1, chore(Chore::Unsubscribe, true));
    assert_eq!(world.answers.last(), Some(&(1, Ok(NodeAnswer::Done))));
    assert_eq!(world.acted, [PowerAction::Chore(Chore::Unsubscribe)]);
    assert_eq!(world.cargos, std::slice::from_ref(&cargo));
    assert_eq!(world.record().intent, None);

    // What the BMC declines is the caller's mistake; later it is in `last_error`.
    let declined = ReadError::Bmc(BmcError::Declined {
        bmc: "192.0.2.1:443".into(),
        operation: "delete subscription",
        reason: "HTTP 404".into(),
    });
    world.takes.push_back(Err(declined.clone()));
    world.request(2, chore(Chore::Unsubscribe, true));
    let Some((2, Err(NodeError::Refused(refused)))) = world.answers.last() else {
        panic!("{:?}", world.answers);
    };
    assert_eq!(refused.status, 400);
    assert_eq!(world.record().last_error, None);
    world.takes.push_back(Err(declined));
    world.request(3, chore(Chore::EjectMedia, false));
    assert_eq!(world.answers.last(), Some(&(3, Ok(NodeAnswer::Accepted))));
    assert!(world.last_error().contains("Failed to eject virtual media"));

    // Only the interface that offers it does it.
    world.request(4, chore(Chore::Raw, false));
    assert!(matches!(
        world.answers.last(),
        Some((4, Err(NodeError::Refused(_))))
    ));
}

#[test]
fn a_chore_that_must_not_be_repeated_is_left_in_doubt_by_a_takeover() {
    let mut world = World::new(|node| {
        node.interfaces.vendor = "ipmitool".into();
        node.provision_state = ProvisionState::Active;
    });
    let silent = ReadError::Bmc(BmcError::Silent {
        bmc: "192.0.2.1:623".into(),
        operation: "raw",
        within: Duration::from_secs(2),
        attempts: 3,
    });
    let cargo = Json::parse(r#"{"raw_bytes":"0x06 0x01"}"#).expect("JSON");
    let raw = NodeRequest::Chore {
        chore: Chore::Raw,
        cargo,
        at_end: false,
    };
    world.takes.push_back(Err(silent));
    world.request(1, raw);
    assert_eq!(world.acted.len(), 1, "it is never sent twice");
    assert!(world.last_error().contains("Failed to send raw bytes"));
}
