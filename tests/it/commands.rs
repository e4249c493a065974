//! Every command that the real client has is run against baton, by its own list of commands: one that a newer client
//! brings fails this test until somebody has looked at it.

use crate::support::{Client, Dev, get};
use serde_json::Value;
use std::collections::BTreeSet;

/// Verbs that `walk` takes machines through, state by state.
const WALKED: [&str; 16] = [
    "node abort",
    "node adopt",
    "node boot mode set",
    "node clean",
    "node deploy",
    "node inspect",
    "node inventory save",
    "node passthru call",
    "node rebuild",
    "node rescue",
    "node secure boot off",
    "node secure boot on",
    "node service",
    "node undeploy",
    "node unhold",
    "node unrescue",
];

struct Session<'a> {
    dev: &'a Dev,
    client: Client,
    known: BTreeSet<String>,
    run: BTreeSet<String>,
}

/// The words of a command line; quotes keep words together.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

impl Session<'_> {
    /// Notes which command a line is: the longest that it begins with.
    fn note(&mut self, words: &[String]) {
        let command = (1..=words.len())
            .rev()
            .map(|count| words[..count].join(" "))
            .find(|name| self.known.contains(name));
        self.run.insert(command.expect("a command of the client"));
    }

    fn run(&mut self, line: &str) {
        let words = words(line);
        self.note(&words);
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        self.client.run(&arguments);
    }

    fn refused(&mut self, line: &str, why: &str) {
        let words = words(line);
        self.note(&words);
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let told = self.client.refused(&arguments);
        assert!(told.contains(why), "{line}: {told}");
    }

    /// A command that makes something; its uuid.
    fn make(&mut self, line: &str) -> String {
        let words = words(line);
        self.note(&words);
        let arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        let made = self.client.table(&arguments);
        made["uuid"].as_str().expect("a uuid").to_owned()
    }

    /// List, show, set, unset and delete of what was made.
    fn keep(&mut self, kind: &str, id: &str) {
        self.run(&format!("{kind} list"));
        self.run(&format!("{kind} show {id}"));
        self.run(&format!("{kind} set {id} --extra a=1"));
        self.run(&format!("{kind} unset {id} --extra a"));
        self.run(&format!("{kind} delete {id}"));
    }

    fn get(&self, path: &str) -> Value {
        get(self.dev.api(1), path).expect("an answer")
    }
}

#[test]
fn every_command_of_the_client_is_answered() {
    let data = tempfile::tempdir().expect("a directory");
    let dev = Dev::start_with(1, data.path(), &["--conductors", "1"]);
    let mut client = Client::start(&dev, 1);
    let known: BTreeSet<String> = client
        .prints(&["commands"])
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(known.len() > 100, "{known:?}");
    let mut session = Session {
        dev: &dev,
        client,
        known,
        run: BTreeSet::new(),
    };
    nodes(&mut session);
    parts(&mut session);
    lists(&mut session);
    machine(&mut session);
    let missing: Vec<&String> = session
        .known
        .iter()
        .filter(|name| !session.run.contains(*name) && !WALKED.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "nobody ran {missing:?}");
    drop(session);
    dev.stop();
}

fn nodes(s: &mut Session<'_>) {
    s.make(
        "node create --driver fake-hardware --name n --network-interface noop --console-interface fake \
         --resource-class rc --no-automated-clean",
    );
    for line in [
        "node list",
        "node show n",
        "node set n --extra a=1",
        "node unset n --extra a",
        "node validate n",
        "node manage n --wait 60",
        "node power on n",
        "node reboot n",
        "node power off n",
        "node maintenance set n --reason fan",
        "node maintenance unset n",
        "node trait add n CUSTOM_A",
        "node trait list n",
        "node trait remove n CUSTOM_A",
        "node add trait n CUSTOM_A",
        "node remove trait n CUSTOM_A",
        "node console enable n",
        "node console show n",
        "node console disable n",
        "node vif list n",
        "node children list n",
        "node firmware list n",
        "node bios setting list n",
        "node history list n",
        "node passthru list n",
    ] {
        s.run(line);
    }
    let vif = "11111111-2222-4333-8444-555555555555";
    s.run(&format!("node vif attach n {vif}"));
    s.run(&format!("node vif detach n {vif}"));
    s.refused("node bios setting show n none", "BIOS setting");
    s.refused("node inject nmi n", "inject_nmi");
    let history = s.get("/v1/nodes/n/history");
    let event = history["history"][0]["uuid"]
        .as_str()
        .expect("an event")
        .to_owned();
    s.run(&format!("node history get n {event}"));
}

fn parts(s: &mut Session<'_>) {
    let node = s.get("/v1/nodes/n")["uuid"]
        .as_str()
        .expect("a uuid")
        .to_owned();
    let chassis = s.make("chassis create --description row");
    s.keep("chassis", &chassis);
    let group = s.make(&format!("port group create --node {node} --name bond0"));
    s.keep("port group", &group);
    let port = s.make(&format!("port create 52:54:00:00:00:01 --node {node}"));
    s.keep("port", &port);
    let connector = s.make(&format!(
        "volume connector create --node {node} --type iqn --connector-id iqn.2026-01.example:1"
    ));
    s.keep("volume connector", &connector);
    let target = s.make(&format!(
        "volume target create --node {node} --type iscsi --volume-id v1 --boot-index 0"
    ));
    s.keep("volume target", &target);
    s.run("node provide n --wait 60");
    s.make("allocation create --resource-class rc --name a1 --wait 60");
    s.keep("allocation", "a1");
    s.run("node delete n");
}

fn lists(s: &mut Session<'_>) {
    let step =
        r#"'[{"interface": "raid", "step": "create_configuration", "args": {}, "priority": 10}]'"#;
    s.make(&format!("deploy template create CUSTOM_T --steps {step}"));
    s.keep("deploy template", "CUSTOM_T");
    let step =
        r#"'[{"interface": "raid", "step": "create_configuration", "args": {}, "order": 1}]'"#;
    s.make(&format!("runbook create --name CUSTOM_R --steps {step}"));
    s.run("runbook trait add CUSTOM_R CUSTOM_X");
    s.run("runbook trait list CUSTOM_R");
    s.run("runbook trait remove CUSTOM_R CUSTOM_X");
    s.keep("runbook", "CUSTOM_R");
    let rule =
        r#"--actions '[{"op": "set-attribute", "args": {"path": "/extra/a", "value": "1"}}]'"#;
    let rule = s.make(&format!(
        "inspection rule create --description first {rule}"
    ));
    s.run("inspection rule list");
    s.run(&format!("inspection rule show {rule}"));
    s.run(&format!("inspection rule set {rule} --description second"));
    s.run(&format!("inspection rule unset {rule} --description"));
    s.run(&format!("inspection rule delete {rule}"));
    for line in [
        "conductor list",
        "driver list",
        "driver show fake-hardware",
        "driver property list ipmi",
        "driver raid property list fake-hardware",
        "driver passthru list fake-hardware",
        "shard list",
    ] {
        s.run(line);
    }
    s.refused(
        "driver passthru call fake-hardware none",
        "No handler for method none",
    );
    let conductors = s.get("/v1/conductors");
    let host = conductors["conductors"][0]["hostname"]
        .as_str()
        .expect("a name")
        .to_owned();
    s.run(&format!("conductor show {host}"));
    let file = tempfile::Builder::new()
        .suffix(".json")
        .tempfile()
        .expect("a file");
    std::fs::write(
        file.path(),
        r#"{"nodes": [{"driver": "fake-hardware", "name": "from-file"}]}"#,
    )
    .expect("written");
    s.run(&format!("create {}", file.path().display()));
    s.run("node delete from-file");
}

/// What takes a BMC.
fn machine(s: &mut Session<'_>) {
    let nodes = s.dev.nodes(1);
    let name = nodes.keys().next().expect("a simulated machine").clone();
    s.run(&format!("node power on {name}"));
    crate::support::eventually("it is on", || {
        let node = s.dev.nodes(1).remove(&name)?;
        (node["power_state"] == "power on" && node["reservation"].is_null()).then_some(())
    });
    s.run(&format!("node boot device set {name} pxe"));
    s.run(&format!("node boot device show {name}"));
    s.run(&format!("node inject nmi {name}"));
}
