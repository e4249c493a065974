//! A conductor that is stopped between its last look at the lease and the packet, and goes on after its nodes were taken
//! over, changes nothing on any machine: the BMC itself refuses what it sends.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use crate::support::{Dev, eventually, exchange, get};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

fn commands(dev: &Dev, name: &str) -> Value {
    let number = dev.machine(name)["machine"].clone();
    let path = format!("/v1/machines/{number}/journal?after=0");
    get(dev.control(), &path).expect("the simulator answers")["entries"].clone()
}

fn ask(port: u16, name: &str, target: &str) {
    eventually(&format!("{name} to accept {target}"), || {
        let path = format!("/v1/nodes/{name}/states/power");
        exchange(port, "PUT", &path, &format!("{{\"target\":\"{target}\"}}"))
    });
}

fn settle(dev: &Dev, conductor: u8, names: &[String], power: &str) {
    eventually(&format!("{names:?} to be {power}"), || {
        let nodes = dev.nodes(conductor);
        let settled = |name: &String| {
            let node = &nodes[name];
            node["power_state"] == power && node["reservation"].is_null()
        };
        (!nodes.is_empty() && names.iter().all(settled)).then_some(())
    });
}

#[test]
fn a_conductor_stopped_before_the_packet_and_continued_after_takeover_changes_nothing() {
    stopped_before_the_packet(Duration::ZERO);
}

/// Far beyond every time limit of sessions, elections and commands. It runs beside the other tests of processes.
#[test]
fn the_same_after_a_minute() {
    stopped_before_the_packet(Duration::from_secs(60));
}

/// Stops a conductor at the door until its work was finished by others, and `at_least` so long.
fn stopped_before_the_packet(at_least: Duration) {
    let data = tempfile::tempdir().expect("a directory");
    let mut dev = Dev::start(12, data.path());

    // The conductor that owns machines of both kinds is started again with a place to stop at.
    let owned = |dev: &Dev, conductor: u8| -> BTreeMap<String, Vec<String>> {
        let mut by_driver = BTreeMap::<String, Vec<String>>::new();
        for (name, node) in dev.nodes(conductor % 3 + 1) {
            if node["conductor"] == format!("conductor-{conductor}").as_str() {
                let driver = node["driver"].as_str().unwrap_or_default().to_owned();
                by_driver.entry(driver).or_default().push(name);
            }
        }
        by_driver
    };
    let victim = eventually("a conductor with both kinds of machines", || {
        (1..=3).find(|conductor| owned(&dev, *conductor).len() == 2)
    });
    let survivor = victim % 3 + 1;
    let names: Vec<String> = owned(&dev, victim)
        .into_values()
        .filter_map(|names| names.into_iter().next())
        .collect();
    let hold = data.path().join("hold");
    let command = dev.kill(victim);
    dev.restart(&format!("{command} --hold-writes {}", hold.display()));
    eventually("it to own them again", || {
        (owned(&dev, victim).len() == 2).then_some(())
    });

    // Both commands have been announced and have passed the last look at the lease. Then the process is stopped.
    std::fs::write(&hold, "").expect("writable");
    for name in &names {
        ask(dev.api(survivor), name, "power on");
    }
    let reached = hold.with_file_name("hold.reached");
    eventually("both commands to wait at the door", || {
        let text = std::fs::read_to_string(&reached).ok()?;
        (text.lines().count() == 2).then_some(())
    });
    dev.signal_restarted("-STOP");
    let stopped = Instant::now();

    // The survivors finish what was begun, and then the machines are wanted off.
    settle(&dev, survivor, &names, "power on");
    for name in &names {
        ask(dev.api(survivor), name, "power off");
    }
    settle(&dev, survivor, &names, "power off");
    let before: Vec<Value> = names.iter().map(|name| commands(&dev, name)).collect();

    #[expect(
        clippy::disallowed_methods,
        reason = "the length of the stop is what is tried here"
    )]
    std::thread::sleep(at_least.saturating_sub(stopped.elapsed()));
    std::fs::remove_file(&hold).expect("removable");
    dev.signal_restarted("-CONT");
    let ended = hold.with_file_name("hold.ended");
    let text = eventually("the late commands to end", || {
        let text = std::fs::read_to_string(&ended).ok()?;
        (text.lines().count() == 2).then_some(text)
    });
    assert!(
        text.lines().all(|line| line.contains(": Err(")),
        "a late command succeeded: {text}"
    );
    eventually("it to be alive again", || {
        (owned(&dev, victim).len() == 2).then_some(())
    });
    let after: Vec<Value> = names.iter().map(|name| commands(&dev, name)).collect();
    assert_eq!(before, after, "a late command reached a machine");
    for name in &names {
        assert_eq!(dev.machine(name)["power"], "off");
    }
    // It works again as if nothing had been.
    for name in &names {
        ask(dev.api(victim), name, "power on");
    }
    settle(&dev, survivor, &names, "power on");
    dev.stop();
}
