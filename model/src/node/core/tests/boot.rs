//! What the machine boots from: reads beside long work, changes under the lock, and devices that BMCs forget.

use super::*;
use crate::node::boot::{BootDevice, BootMode, BootOrder};
use crate::object::Kind;
use serde_json::json;

fn redfish(node: &mut NodeRecord) {
    node.driver = "redfish".into();
    node.interfaces.power = "redfish".into();
    node.interfaces.management = "redfish".into();
}

fn ipmi(node: &mut NodeRecord) {
    node.interfaces.management = "ipmitool".into();
}

const fn order(device: BootDevice, persistent: bool) -> PowerAction {
    PowerAction::BootFrom(BootOrder {
        device,
        persistent,
        mode: BootMode::Uefi,
    })
}

const DISK: NodeRequest = NodeRequest::SetBootDevice {
    device: BootDevice::Disk,
    persistent: true,
};

fn refuses(operation: &'static str) -> Result<(), ReadError> {
    Err(ReadError::Bmc(BmcError::Declined {
        bmc: "192.0.2.1".into(),
        operation,
        reason: "PropertyValueNotInList".into(),
    }))
}

impl World {
    fn answer(&self, asker: Asker) -> Result<NodeAnswer, NodeError> {
        let found = self.answers.iter().find(|(who, _)| *who == asker);
        found.map(|(_, answer)| answer.clone()).expect("an answer")
    }

    fn status(&self, asker: Asker) -> u16 {
        match self.answer(asker) {
            Err(NodeError::Refused(refused)) => refused.status,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_answer_comes_with_the_end_of_the_work_and_leaves_no_lock() {
    let mut world = World::new(ipmi);
    world.request(7, DISK);
    assert_eq!(world.answer(7), Ok(NodeAnswer::Done));
    assert_eq!(world.acted, [order(BootDevice::Disk, true)]);
    assert_eq!(world.record().intent, None);
    assert!(world.record().driver_internal_info.is_empty());

    world.takes.push_back(refuses("set boot device"));
    world.request(8, DISK);
    assert_eq!(world.status(8), 500);
    assert_eq!(world.record().intent, None);
    assert_eq!(world.record().last_error, None, "whoever waited was told");

    let wrong = NodeRequest::SetBootDevice {
        device: BootDevice::UefiHttp,
        persistent: false,
    };
    world.request(9, wrong);
    assert_eq!(world.status(9), 400);
}

#[test]
fn a_read_does_not_wait_for_long_work() {
    let mut world = World::new(|node| {
        redfish(node);
        node.provision_state = ProvisionState::Manageable;
    });
    let steps = json!({"clean_steps": [{"step": "wait", "args": {"seconds": 30}}]});
    let arguments = Json::from_map(steps.as_object().expect("an object"));
    let verb = Verb::Clean;
    world.request(1, NodeRequest::Provision { verb, arguments });
    assert_eq!(world.record().provision_state, ProvisionState::Cleaning);
    let state = BootState {
        device: Some(BootDevice::Cdrom),
        ..BootState::default()
    };
    world.boots = Ok(state);
    world.request(2, NodeRequest::Ask(Inquiry::Boot));
    assert_eq!(
        world.answer(2),
        Ok(NodeAnswer::Disclosed(Box::new(Disclosure::Boot(state))))
    );
    assert_eq!(world.record().provision_state, ProvisionState::Cleaning);
    // A change does wait, and in the end it is refused.
    world.request(3, DISK);
    world.advance(Duration::from_secs(11));
    assert_eq!(world.status(3), 409);
}

#[test]
fn how_a_machine_boots_is_recorded_when_it_is_managed_and_when_it_is_changed() {
    let mut world = World::new(|node| {
        redfish(node);
        node.provision_state = ProvisionState::Enroll;
    });
    world.boots = Ok(BootState {
        mode: Some(BootMode::Uefi),
        secure_boot: Some(false),
        ..BootState::default()
    });
    let arguments = Json::EMPTY;
    let verb = Verb::Manage;
    world.request(1, NodeRequest::Provision { verb, arguments });
    world.advance(Duration::from_secs(1));
    assert_eq!(world.record().provision_state, ProvisionState::Manageable);
    assert_eq!(world.record().boot_mode.as_deref(), Some("uefi"));
    assert_eq!(world.record().secure_boot, Some(false));

    world.request(2, NodeRequest::SetSecureBoot(true));
    assert_eq!(world.answer(2), Ok(NodeAnswer::Accepted));
    assert_eq!(world.record().secure_boot, Some(true));
    assert_eq!(world.record().boot_mode.as_deref(), Some("uefi"));
    world.request(3, NodeRequest::SetBootMode(BootMode::Bios));
    assert_eq!(world.record().boot_mode.as_deref(), Some("bios"));
    assert_eq!(world.record().last_error, None);

    world.takes.push_back(refuses("set boot mode"));
    world.request(4, NodeRequest::SetBootMode(BootMode::Uefi));
    let error = world.record().last_error.as_deref().unwrap_or_default();
    assert!(
        error.starts_with("Failed to change boot mode to 'uefi'"),
        "{error}"
    );
    assert_eq!(world.record().boot_mode.as_deref(), Some("bios"));
}

#[test]
fn only_redfish_changes_how_a_machine_boots_and_not_on_its_way() {
    let mut world = World::new(ipmi);
    world.request(1, NodeRequest::SetBootMode(BootMode::Uefi));
    assert_eq!(world.status(1), 400);
    let mut world = World::new(|node| {
        redfish(node);
        node.provision_state = ProvisionState::CleanWait;
    });
    world.request(1, NodeRequest::SetSecureBoot(true));
    assert_eq!(world.status(1), 409);
}

#[test]
fn a_device_that_the_bmc_keeps_for_one_boot_is_told_again_before_each() {
    let mut world = World::new(redfish);
    world.takes.push_back(refuses("set boot device"));
    world.request(1, DISK);
    assert_eq!(world.answer(1), Ok(NodeAnswer::Done));
    let (lasting, once) = (
        order(BootDevice::Disk, true),
        order(BootDevice::Disk, false),
    );
    assert_eq!(world.acted, [lasting, once]);

    world.acted.clear();
    world.power(2, PowerRequest::Reboot);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, [PowerAction::Off, once, PowerAction::On]);

    // A machine that cannot be told starts all the same.
    world.acted.clear();
    world.takes = [Ok(()), refuses("set boot device")].into();
    world.power(3, PowerRequest::Reboot);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, [PowerAction::Off, once, PowerAction::On]);
    assert_eq!(world.record().power_state, Some(PowerState::On));
    assert_eq!(world.record().last_error, None);

    // One that keeps the next device is not told again.
    world.request(4, DISK);
    world.acted.clear();
    world.power(5, PowerRequest::Reboot);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, [PowerAction::Off, PowerAction::On]);
}

#[test]
fn a_new_owner_sets_the_device_that_the_former_one_was_asked_for() {
    let mut world = World::new(redfish);
    world.takes.push_back(Err(ReadError::NoRoom("full".into())));
    world.request(1, DISK);
    assert!(world.record().intent.is_some());
    world.acted.clear();
    world.rebuild();
    world.advance(Duration::from_secs(40));
    assert_eq!(world.acted.last(), Some(&order(BootDevice::Disk, true)));
    assert_eq!(world.record().intent, None);
}

#[test]
fn what_the_bmc_tells_of_its_firmware_is_kept_when_the_node_is_managed() {
    let mut world = World::new(|node| {
        redfish(node);
        node.interfaces.bios = "redfish".into();
        node.interfaces.firmware = "no-firmware".into();
        node.provision_state = ProvisionState::Enroll;
    });
    let told = json!({"BootMode": {"value": "Uefi"}});
    let told = Json::from_map(told.as_object().expect("an object"));
    world.findings = Findings {
        bios: Some(told.clone()),
        firmware: Some(told.clone()),
        ..Findings::default()
    };
    let arguments = Json::EMPTY;
    let verb = Verb::Manage;
    world.request(1, NodeRequest::Provision { verb, arguments });
    world.advance(Duration::from_secs(1));
    let kept = |kind| world.state.objects().get(kind, NODE.0).cloned();
    assert_eq!(kept(Kind::Bios).expect("settings").body, told);
    assert_eq!(kept(Kind::Firmware), None, "its interface shows none");
}

/// A BMC says "not now" while its machine is in its self-test.
#[test]
fn a_boot_device_is_told_again_while_the_bmc_asks_for_patience() {
    let busy = || {
        Err(ReadError::Bmc(BmcError::Busy {
            bmc: "192.0.2.1:443".into(),
            reason: "UnableToModifyDuringSystemPOST".into(),
            retry_after: None,
        }))
    };
    let mut world = World::new(redfish);
    world.takes.extend([busy(), busy()]);
    world.request(1, DISK);
    assert_eq!(world.answers, []);
    world.advance(Duration::from_secs(11));
    assert_eq!(world.answers, [(1, Ok(NodeAnswer::Done))]);
    assert_eq!(world.acted.len(), 3);

    let mut world = World::new(redfish);
    world.takes.extend((0..20).map(|_| busy()));
    world.request(1, DISK);
    world.advance(Duration::from_secs(59));
    assert_eq!(world.acted.len(), 6, "post_boot_retry_attempts");
    assert!(matches!(world.answers.last(), Some((1, Err(_)))));
}
