//! No power edge that neither a user nor policy asked for: what the simulator's journals hold is compared with what came
//! through the API, and with what power sync says it forced. Every test that stops its cluster ends with it.
//!
//! The witnesses do not depend on one another: the machines' journals, the front of the API, which notes a request before
//! the owner hears of it, and the plugs that were pulled. A command that the node's core makes up is in none of the others.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use crate::support::{Dev, eventually, get};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Entries that a machine's journal keeps.
const KEPT: u64 = 64;

/// A verb of provisioning may reboot a machine for each of its steps; no test walks through more of them at once.
const OF_A_VERB: u64 = 8;

/// The commands that change a machine's power, as the journal calls them.
const EVERY: [&str; 6] = [
    "power on",
    "power off",
    "power soft",
    "power reset",
    "power cycle",
    "power soft reset",
];

/// What may have happened to a machine, by the words of the journal.
#[derive(Default, Debug)]
struct Allowed {
    commands: BTreeSet<&'static str>,
    edges: BTreeMap<&'static str, u64>,
    /// States that power sync says it forced, how often.
    forced: BTreeMap<&'static str, u64>,
}

impl Allowed {
    fn add(&mut self, commands: &[&'static str], edges: &[&'static str], times: u64) {
        self.commands.extend(commands);
        for edge in edges {
            *self.edges.entry(edge).or_default() += times;
        }
    }

    /// What this request of a user covers.
    fn ask(&mut self, asked: &str) {
        match asked {
            "power on" => self.add(&["power on"], &["on"], 1),
            "power off" => self.add(&["power off"], &["off"], 1),
            "soft power off" => self.add(&["power soft", "power off"], &["off"], 1),
            "rebooting" => {
                let commands = ["power off", "power on", "power reset", "power cycle"];
                self.add(&commands, &["off", "on", "reset"], 1);
            }
            "soft rebooting" => {
                let commands = EVERY;
                self.add(&commands, &["off", "on", "reset"], 1);
            }
            // With `automated_clean` off, as `baton dev` has it, these look and change nothing.
            "manage" | "provide" | "adopt" | "abort" | "unhold" => {}
            "inject nmi" => self.add(&["power diag"], &["nmi"], 1),
            _verb => {
                let commands = EVERY;
                self.add(&commands, &["off", "on", "reset"], OF_A_VERB);
            }
        }
    }

    fn force(&mut self, recorded: &str) {
        let (state, commands): (_, &[_]) = match recorded {
            "power on" => ("on", &["power on"]),
            "power off" => ("off", &["power off"]),
            // A machine that is to be rebooting is switched on.
            _ => ("on", &EVERY),
        };
        self.add(commands, &[state], 1);
        *self.forced.entry(state).or_default() += 1;
    }

    fn join(&mut self, other: &Self) {
        self.commands.extend(&other.commands);
        for (edge, times) in &other.edges {
            *self.edges.entry(edge).or_default() += times;
        }
        for (state, times) in &other.forced {
            *self.forced.entry(state).or_default() += times;
        }
    }

    /// Everything in this machine's journal that is not covered.
    fn misses(&self, machine: &str, journal: &Value) -> Vec<String> {
        let entries = journal["entries"].as_array().expect("a list").clone();
        let by_others =
            |entry: &Value| entry["via"] == "behind-the-back" || entry["via"] == "control";
        let (pulled, ours): (Vec<&Value>, Vec<&Value>) =
            entries.iter().partition(|entry| by_others(entry));
        let mut wrong = Vec::new();
        let mut edges: BTreeMap<&str, u64> = BTreeMap::new();
        for entry in ours {
            if let Some(command) = entry["command"].as_str() {
                let is_power = command.starts_with("power ");
                if is_power && !self.commands.contains(command) {
                    wrong.push(format!("{machine} was told `{command}`: {entry}"));
                }
            }
            if let Some(edge) = entry["edge"].as_str() {
                *edges.entry(edge).or_default() += 1;
            }
        }
        for (edge, times) in &edges {
            let allowed = self.edges.get(edge).copied().unwrap_or_default();
            if *times > allowed {
                wrong.push(format!(
                    "{machine} went {edge} {times} times, and {allowed} were asked for: {journal}"
                ));
            }
        }
        // Power sync forces a machine that left its recorded state, which then somebody else has done.
        let is_whole = journal["written"].as_u64() <= Some(KEPT);
        let asked = |state: &str| {
            let forced = self.forced.get(state).copied().unwrap_or_default();
            self.edges.get(state).copied().unwrap_or_default() - forced
        };
        for (state, times) in self.forced.iter().filter(|_| is_whole && pulled.is_empty()) {
            let seen = edges.get(state).copied().unwrap_or_default();
            if seen > asked(state) {
                wrong.push(format!(
                    "{machine} was forced to {state} up to {times} times, and nobody had touched it: {journal}"
                ));
            }
        }
        wrong
    }
}

/// What stands behind `name=` in a line of the log.
fn field<'a>(line: &'a str, name: &str, until: &str) -> Option<&'a str> {
    let rest = line.split_once(&format!(" {name}="))?.1;
    Some(rest.split_once(until).map_or(rest, |(value, _)| value))
}

/// What was asked for and forced, by the node's uuid.
fn allowed(logs: &str) -> BTreeMap<String, Allowed> {
    let mut all: BTreeMap<String, Allowed> = BTreeMap::new();
    for line in logs.lines() {
        let Some(node) = field(line, "node", " ") else {
            continue;
        };
        if line.contains("a user asks for something that may change the power") {
            let asked = field(line, "asked", " request_id=").expect("what was asked for");
            all.entry(node.to_owned()).or_default().ask(asked);
        } else if line.contains("forcing it") {
            let recorded = field(line, "recorded", "\n").expect("the recorded state");
            all.entry(node.to_owned()).or_default().force(recorded);
        }
    }
    all
}

/// What the simulated machines of this cluster were told or did without anybody having asked for it.
pub(crate) fn unasked(dev: &Dev) -> Vec<String> {
    // The journals first: whatever is in them was noted before.
    let control = dev.control();
    let list = get(control, "/v1/machines?limit=1000").expect("the simulator answers");
    let machines = list["machines"].as_array().expect("a list").clone();
    if machines.is_empty() {
        return Vec::new();
    }
    let journals: Vec<Value> = machines
        .iter()
        .map(|machine| {
            let path = format!("/v1/machines/{}/journal?after=0", machine["machine"]);
            get(control, &path).expect("the simulator answers")
        })
        .collect();
    let nodes = eventually("a conductor that answers", || {
        dev.conductors()
            .map(|conductor| dev.nodes(conductor))
            .find(|nodes| !nodes.is_empty())
    });
    let logs = allowed(&dev.logs());
    // Nobody knows any more which machines the deleted nodes had.
    let known: BTreeSet<&str> = nodes
        .values()
        .filter_map(|node| node["uuid"].as_str())
        .collect();
    let mut gone = Allowed::default();
    for (_, one) in logs.iter().filter(|(node, _)| !known.contains(&***node)) {
        gone.join(one);
    }
    let mut wrong = Vec::new();
    for (machine, journal) in machines.iter().zip(&journals) {
        let name = machine["name"].as_str().expect("a name");
        let redfish = machine["redfish"].as_str();
        let mut may = Allowed::default();
        may.join(&gone);
        for (other, node) in &nodes {
            let is_it = other == name
                || (redfish.is_some()
                    && node["driver_info"]["redfish_address"].as_str() == redfish);
            if let Some(one) = node["uuid"]
                .as_str()
                .filter(|_| is_it)
                .and_then(|id| logs.get(id))
            {
                may.join(one);
            }
        }
        wrong.extend(may.misses(name, journal));
    }
    wrong
}

#[test]
fn a_command_that_nobody_asked_for_is_found() {
    let data = tempfile::tempdir().expect("a directory");
    let dev = Dev::start_with(
        2,
        data.path(),
        &["--conductors", "1", "--sync-interval", "60"],
    );
    let number = dev.machine("sim-00001")["machine"].clone();
    let pull = format!("/v1/machines/{number}/power");
    crate::support::exchange(dev.control(), "PUT", &pull, r#"{"state": "on"}"#).expect("pulled");
    assert_eq!(unasked(&dev), Vec::<String>::new());
    let at = dev.machine("sim-00000")["ipmi"]
        .as_str()
        .expect("it speaks IPMI")
        .to_owned();
    let (host, port) = at.rsplit_once(':').expect("an address");
    let status = Command::new("ipmitool")
        .args(["-I", "lanplus", "-C", "3", "-H", host, "-p", port])
        .args(["-U", "admin", "-P", "password", "power", "on"])
        .status()
        .expect("ipmitool is missing: run scripts/setup");
    assert!(status.success());
    let found = unasked(&dev);
    assert!(
        found
            .iter()
            .any(|one| one.contains("sim-00000 was told `power on`")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|one| one.contains("sim-00000 went on 1 times")),
        "{found:?}"
    );
    assert!(
        found.iter().all(|one| !one.contains("sim-00001")),
        "{found:?}"
    );
}
