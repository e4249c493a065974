//! What a new user does: start `baton dev`, look around, pull plugs, kill conductors.

use crate::support::{Dev, eventually, exchange, get};
use serde_json::Value;

fn is_settled(node: &Value, power: &str) -> bool {
    node["power_state"] == power
        && node["target_power_state"].is_null()
        && node["reservation"].is_null()
}

#[test]
fn a_cluster_of_three_keeps_power_true_and_loses_nothing_when_conductors_are_killed() {
    let data = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(6, data.path());

    // Everything is enrolled and known, half by IPMI and half by Redfish.
    let listed = dev.baremetal(1, &["node", "list", "--long"]);
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), 6);
    assert!(
        listed
            .iter()
            .all(|node| node["provision_state"] == "available"),
        "{listed:?}"
    );
    assert!(
        listed.iter().all(|node| node["power_state"] == "power off"),
        "{listed:?}"
    );
    let names: Vec<String> = dev.nodes(1).into_keys().collect();
    let (ipmi, redfish) = (names[0].as_str(), names[5].as_str());
    assert_eq!(dev.nodes(1)[ipmi]["driver"], "ipmi");
    assert_eq!(dev.nodes(1)[redfish]["driver"], "redfish");
    assert_eq!(
        dev.nodes(1)[redfish]["driver_info"]["redfish_password"],
        "******"
    );

    // A user's power change, through any conductor, on either protocol.
    for (conductor, name) in [(2, ipmi), (3, redfish)] {
        dev.baremetal_quiet(conductor, &["node", "power", "on", name]);
        eventually("the node to be on", || {
            is_settled(&dev.nodes(1)[name], "power on").then_some(())
        });
        assert_eq!(dev.machine(name)["power"], "on");
    }

    // A machine switched off behind everybody's back is switched on again.
    for name in [ipmi, redfish] {
        let number = dev.machine(name)["machine"].clone();
        exchange(
            dev.control(),
            "PUT",
            &format!("/v1/machines/{number}/power"),
            r#"{"state":"off"}"#,
        )
        .expect("the plug is pulled");
        eventually("power sync to force the machine on", || {
            (dev.machine(name)["power"] == "on" && is_settled(&dev.nodes(1)[name], "power on"))
                .then_some(())
        });
    }

    // The leader dies. The others go on, and commands for its machines are carried out by their new owners.
    let leader =
        get(dev.admin(1), "/admin/v1/cluster").expect("the admin endpoint answers")["leader"]
            .clone();
    let victim = u8::try_from(leader.as_u64().expect("there is a leader")).expect("small");
    let survivor = victim % 3 + 1;
    let command = dev.kill(victim);
    eventually("the survivors to own everything", || {
        let nodes = dev.nodes(survivor);
        let dead = format!("conductor-{victim}");
        let owned = nodes
            .values()
            .all(|node| node["conductor"].is_string() && node["conductor"] != dead.as_str());
        (nodes.len() == 6 && owned).then_some(())
    });
    for name in &names {
        dev.baremetal_quiet(survivor, &["node", "power", "on", name]);
    }
    eventually("every machine to be on", || {
        dev.nodes(survivor)
            .values()
            .all(|node| is_settled(node, "power on"))
            .then_some(())
    });
    dev.baremetal_quiet(
        survivor,
        &[
            "node",
            "maintenance",
            "set",
            ipmi,
            "--reason",
            "while one was down",
        ],
    );

    // It comes back with everything, what happened meanwhile included.
    dev.restart(&command);
    eventually("the killed conductor to know it all", || {
        let nodes = dev.nodes(victim);
        let node = nodes.get(ipmi)?;
        (nodes.len() == 6 && node["maintenance_reason"] == "while one was down").then_some(())
    });
    eventually("all conductors to be alive", || {
        let all = get(dev.api(victim), "/v1/conductors")?;
        all["conductors"]
            .as_array()?
            .iter()
            .all(|one| one["alive"] == true)
            .then_some(())
    });
    dev.stop();
}
