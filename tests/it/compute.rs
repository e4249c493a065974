//! The compute service of `baton dev` hears of every power change, whoever dies.

use crate::support::{Dev, eventually, exchange, get};
use serde_json::Value;

const INSTANCE: &str = "11111111-2222-4333-8444-555555555555";

/// Whether the compute service records the server as on; `None` as long as it has not heard of it.
fn recorded(port: u16) -> Option<bool> {
    get(port, "/control/servers")?["servers"][INSTANCE]["on"].as_bool()
}

fn told(dev: &Dev, conductor: u8, node: &str) -> Option<Value> {
    let shown = get(dev.admin(conductor), &format!("/admin/v1/nodes/{node}"))?;
    Some(shown["compute"].clone())
}

#[test]
fn the_compute_service_hears_of_every_change_though_it_was_down_and_the_sender_was_killed() {
    let data = tempfile::tempdir().expect("a directory");
    let dev = Dev::start(2, data.path());
    let compute = dev.compute();
    let name = dev.nodes(1).into_keys().next().expect("two nodes");
    dev.baremetal_quiet(1, &["node", "set", &name, "--instance-uuid", INSTANCE]);

    dev.baremetal_quiet(2, &["node", "power", "on", &name]);
    eventually("compute to hear that the machine is on", || {
        recorded(compute)?.then_some(())
    });
    eventually("the record to say so", || {
        (told(&dev, 3, &name)?["status"] == "told").then_some(())
    });

    // While compute is down, the machine goes off; then its owner is killed.
    let faults = |text| exchange(compute, "PUT", "/control/faults", text);
    faults(r#"{"down": true}"#).expect("the fault is set");
    dev.baremetal_quiet(2, &["node", "power", "off", &name]);
    let waits = eventually("the event to wait", || {
        told(&dev, 3, &name).filter(|told| told["status"] == "waiting")
    });
    assert_eq!(waits["power_state"], "power off");
    let owner = dev.nodes(1)[&name]["conductor"].clone();
    let owner = owner.as_str().expect("it is owned");
    let victim = owner.rsplit('-').next().and_then(|text| text.parse().ok());
    let victim: u8 = victim.expect("conductor-N");
    dev.kill(victim);
    faults("{}").expect("the fault is taken away");
    let survivor = victim % 3 + 1;
    // The successor waits until nothing of the dead one can arrive any more.
    eventually("compute to hear that the machine is off", || {
        (!recorded(compute)?).then_some(())
    });
    eventually("the record to say so", || {
        (told(&dev, survivor, &name)?["status"] == "told").then_some(())
    });
    let control = get(compute, "/control").expect("the control endpoint answers");
    assert_eq!(control["overlaps"], 0, "{control}");
    dev.stop();
}
