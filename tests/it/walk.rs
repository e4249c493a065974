//! The real client walks machines through every stable state and back, and each transition fails once on the way.
//!
//! A machine without a deploy agent goes all the way as `fake-hardware`: with every interface fake, or with a real power
//! and management interface beside fake ones, as Ironic allows. Under its own driver it goes as far as its interfaces do,
//! and hears why not further.

use crate::support::{Client, Dev, eventually, exchange, get};
use serde_json::{Value, json};

/// One node on its way.
struct Walk<'a> {
    dev: &'a Dev,
    client: Client,
    node: &'a str,
}

impl Walk<'_> {
    fn show(&mut self) -> Value {
        self.client.table(&["node", "show", self.node])
    }

    /// Waits until the node rests in this state.
    fn reaches(&mut self, state: &str) -> Value {
        let what = format!("{} to be {state}", self.node);
        eventually(&what, || {
            let node = self.dev.nodes(1).remove(self.node)?;
            let rests = node["provision_state"] == state && node["reservation"].is_null();
            rests.then_some(node)
        })
    }

    /// A verb that succeeds, and where it leads.
    fn does(&mut self, verb: &[&str], state: &str) -> Value {
        let arguments = [&["node", verb[0], self.node], &verb[1..]].concat();
        self.client.run(&arguments);
        self.reaches(state)
    }

    /// A verb that fails on the way, and where it leaves the node.
    fn fails(&mut self, verb: &[&str], state: &str, why: &str) -> Value {
        let node = self.does(verb, state);
        let error = node["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(why), "{verb:?}: {error}");
        node
    }

    /// A verb that is refused at once.
    fn is_refused(&mut self, verb: &[&str], why: &str) {
        let arguments = [&["node", verb[0], self.node], &verb[1..]].concat();
        let told = self.client.refused(&arguments);
        assert!(told.contains(why), "{verb:?}: {told}");
    }

    /// Tells the fake interfaces what to fail at.
    fn break_down(&mut self, what: &str) {
        let info = format!("fake_failures={what}");
        self.client
            .run(&["node", "set", self.node, "--driver-info", &info]);
    }

    fn mend(&mut self) {
        let unset = ["node", "unset", self.node, "--driver-info", "fake_failures"];
        self.client.run(&unset);
    }

    /// A verb that fails because a fake interface was told to.
    fn breaks(&mut self, what: &str, verb: &[&str], state: &str) -> Value {
        self.break_down(what);
        let node = self.fails(verb, state, what);
        self.mend();
        node
    }

    /// Ends the maintenance that a failed step has left.
    fn leaves_fault(&mut self, node: &Value, fault: &str) {
        assert_eq!(node["fault"], fault);
        assert_eq!(node["maintenance"], true);
        self.client
            .run(&["node", "maintenance", "unset", self.node]);
    }

    /// Sets a boot device at the BMC and reads it back from there.
    fn boots_from(&mut self, device: &str, keeps: bool) {
        let mut arguments = vec!["node", "boot", "device", "set", self.node, device];
        if keeps {
            arguments.push("--persistent");
        }
        self.client.run(&arguments);
        let shown = self
            .client
            .table(&["node", "boot", "device", "show", self.node]);
        assert_eq!(shown["boot_device"], device);
        assert_eq!(shown["persistent"], keeps);
    }

    /// Inspection over Redfish: properties, ports and an inventory, and a failure that says why.
    fn is_inspected(&mut self) {
        let number = self.dev.machine(self.node)["machine"].to_string();
        let faults = format!("/v1/machines/{number}/faults");
        let control = self.dev.control();
        exchange(control, "PUT", &faults, r#"{"kind": "busy"}"#).expect("the fault is set");
        self.fails(&["inspect"], "inspect failed", "busy");
        exchange(control, "DELETE", &faults, "").expect("the fault is cleared");
        let node = self.does(&["inspect"], "manageable");
        assert_eq!(node["properties"]["cpu_arch"], "x86_64");
        assert_eq!(node["properties"]["memory_mb"], 65_536);
        assert_eq!(node["properties"]["local_gb"], 479);
        let ports = self.client.table(&["port", "list", "--node", self.node]);
        assert_eq!(ports.as_array().map(Vec::len), Some(2), "{ports}");
        let inventory = self
            .client
            .prints(&["node", "inventory", "save", self.node]);
        let inventory: Value = serde_json::from_str(&inventory).expect("JSON");
        assert_eq!(inventory["inventory"]["cpu"]["count"], 32);
    }

    /// A clean step that changes BIOS settings, one that changes none, and the way back.
    fn changes_its_bios(&mut self) {
        let setting = |walk: &mut Self| {
            let shown = ["node", "bios", "setting", "show", walk.node, "BootRetry"];
            walk.client.table(&shown)["value"].clone()
        };
        let apply = |value: &str| {
            format!(
                r#"[{{"interface": "bios", "step": "apply_configuration",
                "args": {{"settings": [{{"name": "BootRetry", "value": "{value}"}}]}}}}]"#
            )
        };
        for value in ["Disabled", "Disabled", "Enabled"] {
            let steps = apply(value);
            self.does(&["clean", "--clean-steps", &steps], "manageable");
            assert_eq!(setting(self), value);
        }
        let steps = apply("Disabled");
        self.does(&["clean", "--clean-steps", &steps], "manageable");
        let reset = r#"[{"interface": "bios", "step": "factory_reset"}]"#;
        self.does(&["clean", "--clean-steps", reset], "manageable");
        assert_eq!(setting(self), "Enabled");
        let unknown = r#"[{"interface": "bios", "step": "apply_configuration",
            "args": {"settings": [{"name": "Colour", "value": "red"}]}}]"#;
        let node = self.fails(
            &["clean", "--clean-steps", unknown],
            "clean failed",
            "Colour",
        );
        self.leaves_fault(&node, "clean failure");
        self.does(&["manage"], "manageable");
    }

    /// What only the BMC of this machine can do.
    fn has_lights_and_passthru(&mut self) {
        let path = format!("/v1/nodes/{}/management/indicators", self.node);
        let lights = get(self.dev.api(1), &path).expect("lights");
        let name = lights["indicators"][0]["name"].as_str().expect("a name");
        let light = format!("{path}/{name}");
        assert!(name.ends_with("@system"), "{name}");
        exchange(self.dev.api(1), "PUT", &light, r#"{"state": "blinking"}"#).expect("it is set");
        let shown = get(self.dev.api(1), &light).expect("the light");
        assert_eq!(shown["state"], "blinking");

        let methods = self.client.prints(&["node", "passthru", "list", self.node]);
        for name in [
            "eject_vmedia",
            "create_subscription",
            "get_all_subscriptions",
        ] {
            assert!(methods.contains(name), "{methods}");
        }
        let mut call = vec!["node", "passthru", "call", self.node, "create_subscription"];
        call.extend(["--arg", "Destination=https://listener.example/x"]);
        self.client.run(&call);
        let one = format!(
            "/v1/nodes/{}/vendor_passthru?method=get_subscription&id=1",
            self.node
        );
        let one = get(self.dev.api(1), &one).expect("the subscription");
        assert_eq!(one["Destination"], "https://listener.example/x");
        self.client
            .run(&["node", "passthru", "call", self.node, "eject_vmedia"]);
    }

    /// From `manageable` through everything that the fake interfaces do, back to `available`.
    fn all_states(&mut self) {
        // Inspection.
        self.breaks("inspect", &["inspect"], "inspect failed");
        self.does(&["inspect"], "manageable");

        // Manual cleaning: in order, held, let go, aborted, failed.
        let steps = r#"[{"interface": "raid", "step": "create_configuration"}, {"interface": "power", "step": "power_on"},
            {"interface": "power", "step": "hold"}, {"interface": "power", "step": "power_off"}]"#;
        let held = self.does(&["clean", "--clean-steps", steps], "clean hold");
        assert_eq!(held["power_state"], "power on");
        let clean = self.does(&["unhold"], "manageable");
        assert_eq!(clean["power_state"], "power off");
        self.does(&["clean", "--clean-steps", steps], "clean hold");
        self.fails(&["abort"], "clean failed", "clean operation was aborted");
        self.does(&["manage"], "manageable");
        let verb = ["clean", "--clean-steps", steps];
        let node = self.breaks("raid.create_configuration", &verb, "clean failed");
        self.leaves_fault(&node, "clean failure");
        self.does(&["manage"], "manageable");

        // Automated cleaning.
        self.client
            .run(&["node", "set", self.node, "--automated-clean"]);
        let node = self.breaks("vendor.log_passthrough", &["provide"], "clean failed");
        self.leaves_fault(&node, "clean failure");
        self.does(&["manage"], "manageable");
        self.does(&["provide"], "available");

        // Deployment: held, aborted, failed, done, again.
        let hold = r#"[{"interface": "deploy", "step": "hold", "args": {}, "priority": 150}]"#;
        self.does(&["deploy", "--deploy-steps", hold], "deploy hold");
        self.fails(&["abort"], "deploy failed", "deploy operation was aborted");
        self.breaks("deploy.deploy", &["deploy"], "deploy failed");
        let active = self.does(&["deploy"], "active");
        assert_eq!(active["last_error"], Value::Null);
        self.breaks("deploy.deploy", &["rebuild"], "deploy failed");
        self.does(&["rebuild"], "active");

        // Rescue.
        let rescue = ["rescue", "--rescue-password", "let me in"];
        self.breaks("rescue", &rescue, "rescue failed");
        self.does(&rescue, "rescue");
        self.breaks("unrescue", &["unrescue"], "unrescue failed");
        self.does(&["unrescue"], "active");

        // Service: held, let go, aborted, failed, waiting.
        let steps = r#"[{"interface": "power", "step": "hold"}, {"interface": "raid", "step": "delete_configuration"}]"#;
        let service = ["service", "--service-steps", steps];
        self.does(&service, "service hold");
        self.does(&["unhold"], "active");
        self.does(&service, "service hold");
        self.does(&["abort"], "active");
        self.break_down("raid.delete_configuration");
        self.does(&service, "service hold");
        let node = self.fails(&["unhold"], "service failed", "raid.delete_configuration");
        self.mend();
        self.leaves_fault(&node, "service failure");
        self.does(&["abort"], "active");
        let waits = r#"[{"interface": "vendor", "step": "trigger_servicewait"}]"#;
        self.does(&["service", "--service-steps", waits], "service wait");
        self.does(&["abort"], "active");

        // Undeploy, twice: the instance goes even when its machine does not let go.
        let instance = "44444444-2222-4333-8444-555555555555";
        self.client
            .run(&["node", "set", self.node, "--instance-uuid", instance]);
        let node = self.breaks("tear_down", &["undeploy"], "error");
        assert_eq!(node["instance_uuid"], Value::Null);
        self.does(&["undeploy"], "available");

        // Adoption.
        self.does(&["manage"], "manageable");
        let node = self.breaks("adopt", &["adopt"], "adopt failed");
        assert_eq!(node["power_state"], Value::Null, "nothing is enforced");
        self.does(&["manage"], "manageable");
        self.does(&["adopt"], "active");
        self.does(&["undeploy"], "available");
    }
}

#[test]
fn a_fake_machine_goes_through_every_state_and_fails_every_transition_once() {
    let data = tempfile::tempdir().expect("a directory");
    let dev = Dev::start_with(0, data.path(), &["--conductors", "1"]);
    let mut walk = Walk {
        client: Client::start(&dev, 1),
        dev: &dev,
        node: "walker",
    };
    walk.client.run(&[
        "node",
        "create",
        "--driver",
        "fake-hardware",
        "--name",
        "walker",
    ]);
    walk.breaks("power", &["manage"], "enroll");
    walk.does(&["manage"], "manageable");
    walk.all_states();
    assert_eq!(walk.show()["provision_state"], "available");
    walk.client.run(&["node", "delete", "walker"]);
    dev.stop();
}

#[test]
fn a_simulated_redfish_machine_goes_through_every_state_and_one_of_its_own_driver_hears_what_it_lacks()
 {
    let data = tempfile::tempdir().expect("a directory");
    let dev = Dev::start(2, data.path());
    let nodes = dev.nodes(1);
    let by = |driver: &str| {
        let found = nodes.values().find(|node| node["driver"] == driver);
        found.expect("one of each is enrolled")["name"]
            .as_str()
            .expect("a name")
            .to_owned()
    };
    let (redfish, ipmi) = (by("redfish"), by("ipmi"));
    let mut walk = Walk {
        client: Client::start(&dev, 1),
        dev: &dev,
        node: &redfish,
    };
    // Nothing is taken for deployed or clean that was not.
    walk.is_refused(&["deploy"], "does not support deploy");
    walk.does(&["manage"], "manageable");
    walk.is_inspected();
    walk.changes_its_bios();
    walk.has_lights_and_passthru();
    let steps = r#"[{"interface": "deploy", "step": "erase_devices"}]"#;
    walk.is_refused(&["clean", "--clean-steps", steps], "deploy agent");
    walk.client
        .run(&["node", "set", &redfish, "--automated-clean"]);
    walk.fails(&["provide"], "clean failed", "deploy agent");
    walk.does(&["manage"], "manageable");
    walk.client
        .run(&["node", "unset", &redfish, "--automated-clean"]);
    // What needs no agent works.
    let steps =
        r#"[{"interface": "power", "step": "power_on"}, {"interface": "power", "step": "reboot"}]"#;
    walk.does(&["clean", "--clean-steps", steps], "manageable");
    assert_eq!(dev.machine(&redfish)["power"], "on");
    walk.does(&["adopt"], "active");
    walk.is_refused(
        &["rescue", "--rescue-password", "x"],
        "does not support rescue",
    );
    let steps = r#"[{"interface": "power", "step": "power_off"}]"#;
    walk.does(&["service", "--service-steps", steps], "active");
    assert_eq!(dev.machine(&redfish)["power"], "off");

    // A BMC that does not answer fails the tear-down, and the next one succeeds.
    let number = dev.machine(&redfish)["machine"].to_string();
    let faults = format!("/v1/machines/{number}/faults");
    let control = dev.control();
    exchange(control, "PUT", &faults, r#"{"kind": "busy"}"#).expect("the fault is set");
    walk.fails(&["undeploy"], "error", "busy");
    exchange(control, "DELETE", &faults, "").expect("the fault is cleared");
    walk.does(&["undeploy"], "available");

    // The same machine with its own power and management, and fake interfaces for what takes an agent.
    let info = nodes[&redfish]["driver_info"].clone();
    let text = |key: &str| format!("{key}={}", info[key].as_str().expect("a text"));
    let mut create = vec![
        "node",
        "create",
        "--name",
        "walker",
        "--driver",
        "fake-hardware",
    ];
    create.extend(["--bios-interface", "redfish"]);
    create.extend([
        "--power-interface",
        "redfish",
        "--management-interface",
        "redfish",
    ]);
    let settings = [
        text("redfish_address"),
        text("redfish_verify_ca"),
        text("redfish_username"),
        "redfish_password=wrong".to_owned(),
    ];
    for setting in &settings {
        create.extend(["--driver-info", setting]);
    }
    let system = info["redfish_system_id"]
        .as_str()
        .map(|id| format!("redfish_system_id={id}"));
    if let Some(system) = &system {
        create.extend(["--driver-info", system]);
    }
    walk.client.run(&["node", "delete", &redfish]);
    walk.node = "walker";
    walk.client.run(&create);
    walk.fails(&["manage"], "enroll", "refused user");
    walk.client.run(&[
        "node",
        "set",
        "walker",
        "--driver-info",
        "redfish_password=password",
    ]);
    walk.does(&["manage"], "manageable");

    // What it boots from and how, at the BMC.
    walk.boots_from("cdrom", true);
    walk.boots_from("pxe", false);
    walk.client
        .run(&["node", "boot", "mode", "set", "walker", "bios"]);
    walk.client.run(&["node", "secure", "boot", "on", "walker"]);
    eventually("both to be recorded", || {
        let node = dev.nodes(1).remove("walker")?;
        (node["boot_mode"] == "bios" && node["secure_boot"] == true).then_some(())
    });
    let told = exchange(control, "GET", &format!("/v1/machines/{number}"), "");
    let boot = told.expect("the simulator answers")["boot"].clone();
    let wanted = json!({"target": "Pxe", "enabled": "Once", "mode": "Legacy", "secure": true});
    assert_eq!(boot, wanted);
    eventually("its BIOS settings", || {
        let list = get(dev.api(1), "/v1/nodes/walker/bios")?;
        list.to_string()
            .contains("ProcVirtualization")
            .then_some(())
    });

    walk.all_states();

    // And IPMI under its own driver, as far as it goes.
    walk.node = &ipmi;
    walk.boots_from("cdrom", true);
    let raw = [
        "node",
        "passthru",
        "call",
        &ipmi,
        "send_raw",
        "--arg",
        "raw_bytes=0x06 0x01",
    ];
    walk.client.run(&raw);
    walk.client.run(&[
        "node",
        "passthru",
        "call",
        &ipmi,
        "bmc_reset",
        "--arg",
        "warm=true",
    ]);
    let unsupported = walk
        .client
        .refused(&["node", "boot", "mode", "set", &ipmi, "uefi"]);
    assert!(unsupported.contains("set_boot_mode"), "{unsupported}");
    walk.is_refused(&["deploy"], "does not support deploy");
    walk.does(&["manage"], "manageable");
    walk.does(&["adopt"], "active");
    walk.does(&["undeploy"], "available");
    dev.stop();
}
