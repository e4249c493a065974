//! A node whose driver or interface is no longer enabled is shown, listed, edited and deleted, hears clearly why nothing can
//! be done with it, and stops nobody else.

use crate::support::{Client, Dev, eventually, exchange};
use serde_json::Value;

fn names(table: &Value) -> Vec<&str> {
    let rows = table.as_array().expect("a list");
    let mut names: Vec<&str> = rows.iter().filter_map(|row| row["name"].as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn nodes_of_disabled_drivers_are_kept_and_stop_nobody() {
    let data = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start_with(
        2,
        data.path(),
        &["--conductors", "1", "--sync-interval", "1"],
    );
    let nodes = dev.nodes(1);
    let by = |driver: &str| {
        let mut found = nodes.values().filter(|node| node["driver"] == driver);
        let node = found.next().expect("one of each is enrolled");
        node["name"].as_str().expect("a name").to_owned()
    };
    let (ipmi, redfish) = (by("ipmi"), by("redfish"));
    let mut client = Client::start(&dev, 1);
    for name in ["idle", "held"] {
        client.run(&[
            "node",
            "create",
            "--driver",
            "fake-hardware",
            "--name",
            name,
        ]);
        client.run(&["node", "manage", name]);
        eventually("the node to be manageable", || {
            let nodes = dev.nodes(1);
            (nodes[name]["provision_state"] == "manageable" && nodes[name]["reservation"].is_null())
                .then_some(())
        });
    }
    // One is in the middle of its cleaning when its driver goes.
    let hold = r#"[{"interface": "power", "step": "hold"}]"#;
    client.run(&["node", "clean", "held", "--clean-steps", hold]);
    client.run(&["node", "power", "on", &ipmi]);
    eventually("the machine to be on", || {
        (dev.machine(&ipmi)["power"] == "on").then_some(())
    });

    let command = dev.terminate(1);
    let file = data.path().join("conductor-1/baton.toml");
    let text = std::fs::read_to_string(&file).expect("readable");
    let kept: String = text
        .lines()
        .filter(|line| !line.starts_with("enabled_"))
        .map(|line| match line {
            "[DEFAULT]" => "[DEFAULT]\nenabled_hardware_types = [\"ipmi\"]\n".to_owned(),
            other => format!("{other}\n"),
        })
        .collect();
    std::fs::write(&file, kept).expect("writable");
    dev.restart(&command);
    eventually("the conductor to be back", || {
        let all = dev.nodes(1);
        let owned = |name: &String| {
            all.get(name)
                .is_some_and(|node| node["conductor"].is_string())
        };
        owned(&ipmi).then_some(())
    });

    // Listed, shown, validated, edited.
    let mut wanted = vec!["held", "idle", ipmi.as_str(), redfish.as_str()];
    wanted.sort_unstable();
    assert_eq!(names(&client.table(&["node", "list"])), wanted);
    for name in ["idle", "held", &redfish] {
        assert_eq!(client.table(&["node", "show", name])["name"], name);
        client.run(&["node", "maintenance", "set", name]);
        client.run(&["node", "maintenance", "unset", name]);
        client.table(&["node", "validate", name]);
        // Nothing is begun for it, and the reason is told.
        let told = client.refused(&["node", "power", "on", name]);
        assert!(told.contains("hardware type(s): "), "{told}");
    }
    let told = client.refused(&["node", "unhold", "held"]);
    assert!(told.contains("hardware type(s): fake-hardware"), "{told}");
    assert_eq!(
        client.table(&["node", "show", "held"])["provision_state"],
        "clean hold"
    );
    for name in ["idle", &redfish] {
        client.run(&["node", "set", name, "--extra", "note=kept"]);
        assert_eq!(
            client.table(&["node", "show", name])["extra"]["note"],
            "kept"
        );
    }

    // The others go on: power is kept true and commands are carried out.
    let number = dev.machine(&ipmi)["machine"].to_string();
    let power = format!("/v1/machines/{number}/power");
    exchange(dev.control(), "PUT", &power, r#"{"state": "off"}"#).expect("the plug is pulled");
    eventually("power sync to force the machine on", || {
        (dev.machine(&ipmi)["power"] == "on").then_some(())
    });
    client.run(&["node", "power", "off", &ipmi]);
    eventually("the machine to be off", || {
        (dev.machine(&ipmi)["power"] == "off").then_some(())
    });

    // Moved to a driver that is enabled, or deleted.
    client.run(&[
        "node",
        "set",
        "idle",
        "--driver",
        "ipmi",
        "--reset-interfaces",
    ]);
    assert_eq!(dev.nodes(1)["idle"]["power_interface"], "ipmitool");
    client.run(&["node", "maintenance", "set", "held"]);
    client.run(&["node", "delete", "held", &redfish]);
    assert_eq!(dev.nodes(1).len(), 2);
    dev.stop();
}
