//! Tests of the hardware tables: composition of nodes, Ironic's texts.

use super::*;
use crate::ids::WallMs;
use crate::json::Json;
use uuid::Uuid;

fn node(driver: &str, driver_info: &str) -> NodeRecord {
    let id = NodeId(Uuid::from_u128(7));
    let mut node = NodeRecord::new(id, driver.into(), WallMs(0));
    node.driver_info = Json::parse(driver_info).expect("valid");
    node.interfaces = compose(
        driver,
        Some(id),
        &Interfaces::default(),
        &Enabled::everything(),
    )
    .expect("everything is enabled");
    node
}

#[test]
fn every_type_composes_with_everything_enabled() {
    for kind in HARDWARE_TYPES {
        let composed = compose(
            kind.name,
            None,
            &Interfaces::default(),
            &Enabled::everything(),
        )
        .expect("composes");
        for slot in Slot::ALL {
            assert!(kind.supported(slot).contains(&slot.of(&composed)));
        }
    }
    assert_eq!(Enabled::everything().check(), Ok(()));
    assert_eq!(Enabled::default().check(), Ok(()));
}

#[test]
fn the_type_and_not_the_enabled_list_orders_the_defaults() {
    let enabled = Enabled::default();
    let redfish =
        compose("redfish", None, &Interfaces::default(), &enabled).expect("redfish is enabled");
    assert_eq!(&*redfish.bios, "redfish");
    assert_eq!(&*redfish.inspect, "redfish");
    assert_eq!(&*redfish.storage, "noop");
    assert_eq!(&*redfish.power, "redfish");
    let ipmi = compose("ipmi", None, &Interfaces::default(), &enabled).expect("ipmi is enabled");
    assert_eq!(&*ipmi.raid, "no-raid");
    assert_eq!(&*ipmi.vendor, "ipmitool");
    assert_eq!(&*ipmi.network, "flat");
}

#[test]
fn refuses_with_ironics_texts() {
    let enabled = Enabled::default();
    let text = |driver: &str, slot: Slot, name: &str| {
        let mut wanted = Interfaces::default();
        slot.set(&mut wanted, name.into());
        let refused = compose(driver, None, &wanted, &enabled).expect_err("refused");
        assert_eq!(refused.status, 400);
        refused.text.into_string()
    };
    assert_eq!(
        text("ipmi", Slot::Bios, "zz"),
        "Could not find the following interface in the 'ironic.hardware.interfaces.bios' entrypoint: zz. Valid \
         interfaces are ['no-bios', 'redfish']."
    );
    assert_eq!(
        text("ipmi", Slot::Bios, "redfish"),
        "bios interface implementation 'redfish' is not supported by hardware type IPMIHardware."
    );
    assert_eq!(
        text("zz", Slot::Bios, "no-bios"),
        "Could not find the following driver(s) or hardware type(s): zz."
    );
    let mut none = enabled.clone();
    none.interfaces.insert(Slot::Rescue, Vec::new());
    let refused =
        compose("ipmi", None, &Interfaces::default(), &none).expect_err("no rescue interface");
    assert_eq!(
        &*refused.text,
        "For hardware type 'ipmi', no default value found for rescue interface could be determined. Please ensure the \
         interfaces are enabled."
    );
    assert!(
        none.check()
            .is_err_and(|text| text.contains("enabled_rescue_interfaces"))
    );
}

#[test]
fn an_unset_power_list_enables_the_first_of_each_type() {
    let mut enabled = Enabled::default();
    enabled.types.push("fake-hardware".into());
    assert_eq!(
        enabled.in_slot(Slot::Power),
        ["fake", "ipmitool", "redfish"].map(Box::from)
    );
    assert!(!enabled.allows(Slot::Power, "agent"));
}

#[test]
fn a_target_follows_the_power_interface() {
    assert_eq!(
        bmc_target(&node("fake-hardware", "{}")),
        Ok(BmcTarget::Fake)
    );
    let found = bmc_target(&node("redfish", r#"{"redfish_address":"http://h"}"#));
    assert!(matches!(found, Ok(BmcTarget::Redfish(_))));
    let found = bmc_target(&node("ipmi", r#"{"ipmi_address":"127.0.0.1"}"#));
    assert!(matches!(found, Ok(BmcTarget::Ipmi(_))));
    assert!(bmc_target(&node("ipmi", "{}")).is_err());
    assert!(matches!(
        bmc_target(&node("manual-management", "{}")),
        Err(DriverInfoError::Unsupported(_))
    ));
}

#[test]
fn validates_each_slot_by_its_interface() {
    let fake = node("fake-hardware", "{}");
    for slot in [
        Slot::Boot,
        Slot::Deploy,
        Slot::Power,
        Slot::Storage,
        Slot::Network,
    ] {
        assert_eq!(validate(&fake, slot), Validation::Good, "{}", slot.as_str());
    }
    let ipmi = node("ipmi", "{}");
    assert_eq!(
        validate(&ipmi, Slot::Power),
        Validation::Bad(
            "Missing the following IPMI credentials in node's driver_info: ['ipmi_address']."
                .into()
        )
    );
    assert_eq!(
        validate(&ipmi, Slot::Bios),
        Validation::Bad("Driver ipmi does not support bios (disabled or not implemented).".into())
    );
    assert!(matches!(
        validate(&ipmi, Slot::Boot),
        Validation::Bad(text) if text.contains("'driver_info.deploy_kernel'")
    ));
}

#[test]
fn properties_are_the_union_over_enabled_interfaces() {
    let enabled = Enabled::everything();
    let kind = HardwareType::find("redfish").expect("known");
    let keys = properties(kind, &enabled);
    assert!(keys.contains_key("redfish_address") && keys.contains_key("deploy_kernel"));
    let fake = HardwareType::find("fake-hardware").expect("known");
    assert!(properties(fake, &enabled).contains_key("B1"));
}
