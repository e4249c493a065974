//! Bad BMCs through the whole: a running cluster, nodes that its API made, and what an operator reads in `last_error`.
//! The rows of the first table of `docs/bad-bmcs.md` are read from there, those of the second are played one by one.

#![expect(clippy::expect_used, reason = "helpers of tests")]

use crate::support::{Client, Dev, eventually, exchange, get, on_path};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const TABLE: &str = include_str!("../../docs/bad-bmcs.md");
/// Machines that speak IPMI, and that speak Redfish: those of the table, and those of [`Bench::play_the_rest`].
const IPMI: u32 = 11;
const REDFISH: u32 = 16;

/// Case, protocol and words of each row of the first table.
fn rows() -> Vec<(&'static str, &'static str, &'static str)> {
    let table = TABLE.split("\n## ").nth(1).expect("the first section");
    let rows = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let mut next = || cells.next().expect("a cell");
        (next(), next(), next().trim_matches('`'))
    })
    .collect()
}

struct Bench {
    dev: Dev,
    /// The next machine of each kind that is well.
    next: BTreeMap<&'static str, u32>,
    /// The authority of the simulated machines under another name.
    same_ca: String,
}

impl Bench {
    fn start(data: &Path) -> Self {
        let nodes = IPMI + REDFISH;
        let redfish = REDFISH.to_string();
        let mut arguments = vec![
            "--conductors",
            "1",
            "--sync-interval",
            "1",
            "--redfish",
            &redfish,
        ];
        arguments.extend(["--personality", "idrac"]);
        let dev = Dev::start_with(nodes, data, &arguments);
        // Patience is for production.
        for conductor in dev.conductors() {
            let file = data.join(format!("conductor-{conductor}/baton.toml"));
            let text = std::fs::read_to_string(&file).expect("readable");
            let short = "[conductor]\npower_state_change_timeout = 3\npower_state_sync_max_retries = 1\n\
                         power_failure_recovery_interval = 1\n";
            std::fs::write(&file, text.replacen("[conductor]\n", short, 1)).expect("writable");
            dev.signal(conductor, "-HUP");
        }
        eventually("the conductors to have read their files again", || {
            let changed = "key=\"power_failure_recovery_interval\"";
            (dev.logs().matches(changed).count() == dev.conductors().count()).then_some(())
        });
        let next = BTreeMap::from([("ipmi", 0), ("redfish", IPMI)]);
        let same_ca = data.join("same-ca.pem");
        std::fs::copy(data.join("bmc-ca.pem"), &same_ca).expect("copied");
        let same_ca = same_ca.display().to_string();
        Self { dev, next, same_ca }
    }

    /// A machine that is well so far, by its number.
    fn machine(&mut self, protocol: &'static str) -> u32 {
        let next = self.next.get_mut(protocol).expect("ipmi or redfish");
        *next += 1;
        assert!(
            *next
                <= if protocol == "ipmi" {
                    IPMI
                } else {
                    IPMI + REDFISH
                }
        );
        *next - 1
    }

    fn control(&self, method: &str, machine: u32, what: &str, body: &Value) {
        let path = format!("/v1/machines/{machine}/{what}");
        exchange(self.dev.control(), method, &path, &body.to_string())
            .expect("the simulator does it");
    }

    /// Sets faults, and ends what the conductors have open there.
    fn fault(&self, machine: u32, faults: &Value) {
        self.control("PUT", machine, "faults", faults);
        self.control("DELETE", machine, "sessions", &Value::Null);
    }

    fn patch(&self, node: &str, key: &str, value: &str) {
        let path = format!("/driver_info/{key}");
        let patch = json!([{"op": "add", "path": path, "value": value}]);
        eventually(&format!("{node} to take a new {key}"), || {
            let path = format!("/v1/nodes/{node}");
            exchange(self.dev.api(1), "PATCH", &path, &patch.to_string())
        });
    }

    fn power(&self, node: &str, target: &str) {
        let path = format!("/v1/nodes/{node}/states/power");
        let body = json!({"target": target}).to_string();
        eventually(&format!("{node} to accept {target}"), || {
            exchange(self.dev.api(1), "PUT", &path, &body)
        });
    }

    /// Plays a row of the first table at a machine of its own; the node's name.
    fn play(&mut self, case: &str, protocol: &'static str) -> String {
        let machine = self.machine(protocol);
        let node = name(machine);
        match case {
            "wrong or rotated credentials" => {
                let new = json!({"username": "admin", "password": "rotated"});
                self.control("PUT", machine, "credentials", &new);
                self.control("DELETE", machine, "sessions", &Value::Null);
            }
            "account locked by the BMC" => {
                self.fault(
                    machine,
                    &json!({"kind": "lockout", "after": 1, "for_ms": 600_000}),
                );
                // One bad password locks it; the right one, which is tried at once, finds it locked.
                self.patch(&node, "redfish_password", "outdated");
                self.reads(&node, "refused user");
                self.patch(&node, "redfish_password", "password");
            }
            "wrong address, nobody there" => self.patch(&node, "ipmi_address", "127.9.9.9"),
            "wrong address, closed port" => {
                self.patch(&node, "redfish_address", "https://127.9.9.9:9");
            }
            "silent, or hangs" => self.fault(machine, &json!({"kind": "silent"})),
            "out of sessions" => self.fault(machine, &json!({"kind": "session-full"})),
            "out of sessions (iDRAC: RAC0218)" => {
                self.patch(&node, "redfish_auth_type", "session");
                self.fault(machine, &json!({"kind": "session-full"}));
            }
            "busy" => self.fault(machine, &json!({"kind": "busy", "retry_after_s": 1})),
            // Only new connections notice these two; a node with new driver_info makes one.
            "speaks TLS 1.0 only" => {
                self.fault(machine, &json!({"kind": "old-tls"}));
                self.patch(&node, "redfish_verify_ca", &self.same_ca);
            }
            "changed certificate" => {
                self.fault(machine, &json!({"kind": "changed-certificate"}));
                self.patch(&node, "redfish_verify_ca", &self.same_ca);
            }
            "answers with noise" => self.fault(machine, &json!({"kind": "garbage"})),
            "breaks off in the middle" => self.fault(machine, &json!({"kind": "reset-mid-body"})),
            "does not know the state" => {
                self.fault(
                    machine,
                    &json!({"kind": "wrong-state", "reports": "unknown"}),
                );
            }
            other => panic!("docs/bad-bmcs.md has the case `{other}`, which this test cannot play"),
        }
        node
    }

    /// All errors that the node ever had. Its `last_error` is cleared by the next read that succeeds.
    fn history(&self, node: &str) -> Option<String> {
        let all = get(
            self.dev.api(1),
            &format!("/v1/nodes/{node}/history?detail=true"),
        )?;
        Some(all.to_string())
    }

    /// Waits until these words are in the node's `last_error`; the node.
    fn reads(&self, node: &str, words: &str) -> Value {
        let mut seen = Value::Null;
        let mut turns = 0;
        eventually(&format!("`{words}` in last_error of {node}"), || {
            seen = get(self.dev.api(1), &format!("/v1/nodes/{node}"))?;
            turns += 1;
            if turns % 100 == 0 {
                eprintln!("{node}: {}", seen["last_error"]);
            }
            let error = seen["last_error"].as_str()?;
            error.contains(words).then(|| seen.clone())
        })
    }

    /// The same, and that power sync gave up in these words too.
    fn faults(&self, node: &str, words: &str) {
        eventually(
            &format!("{node} to be in maintenance for `{words}`"),
            || {
                let shown = get(self.dev.api(1), &format!("/v1/nodes/{node}"))?;
                let says = |key: &str| shown[key].as_str().is_some_and(|text| text.contains(words));
                assert!(
                    !shown.to_string().contains("outdated"),
                    "a secret in {shown}"
                );
                (shown["fault"] == "power failure"
                    && shown["maintenance"] == true
                    && says("maintenance_reason")
                    && says("last_error"))
                .then_some(())
            },
        );
    }

    fn recovers(&self, node: &str) {
        eventually(&format!("{node} to be well again"), || {
            let shown = get(self.dev.api(1), &format!("/v1/nodes/{node}"))?;
            (shown["fault"].is_null() && shown["maintenance"] == false).then_some(())
        });
    }

    fn settles(&self, node: &str, power: &str) {
        eventually(&format!("{node} to be {power}"), || {
            let shown = get(self.dev.api(1), &format!("/v1/nodes/{node}"))?;
            let rests = shown["reservation"].is_null() && shown["target_power_state"].is_null();
            (rests && shown["power_state"] == power).then_some(())
        });
    }
}

fn name(machine: u32) -> String {
    format!("sim-{machine:05}")
}

#[test]
fn every_bad_bmc_is_told_in_last_error_and_no_machine_changes_by_itself() {
    let data = tempfile::tempdir().expect("a directory");
    let mut bench = Bench::start(data.path());
    let mut played = Vec::new();
    for (case, protocol, words) in rows() {
        played.push((case, bench.play(case, protocol), words));
    }
    assert!(played.len() >= 16, "{played:?}");

    // A machine that answers and does not say what it is.
    let vague = name(bench.machine("redfish"));
    let null = json!({"kind": "wrong-state", "reports": "unknown"});
    bench.fault(number(&vague), &null);
    // Two that say yes and do nothing, and one that restarts while it is told something.
    let deaf = [name(bench.machine("ipmi")), name(bench.machine("redfish"))];
    for node in &deaf {
        bench.fault(number(node), &json!({"kind": "ignores-commands"}));
        bench.power(node, "power on");
        // It stands until the second read after it, so it is looked for at once.
        bench.reads(node, "Failed to set node power state to power on");
    }
    let restarts = [name(bench.machine("ipmi")), name(bench.machine("redfish"))];
    for node in &restarts {
        bench.fault(number(node), &json!({"kind": "reboot", "for_ms": 1500}));
        bench.power(node, "power on");
    }
    // Bad, and good enough: late ones, one that loses datagrams. And some that are well, one of which is pulled off.
    let late = name(bench.machine("redfish"));
    bench.fault(
        number(&late),
        &json!({"kind": "slow", "min_ms": 300, "max_ms": 700}),
    );
    let lossy = name(bench.machine("ipmi"));
    bench.fault(number(&lossy), &json!({"kind": "loss", "fraction": 0.05}));
    let odd = name(bench.machine("ipmi"));
    let pulled = name(bench.machine("redfish"));
    bench.control("PUT", number(&pulled), "power", &json!({"state": "on"}));
    let fine = [late, lossy, odd.clone(), pulled.clone()];
    let flapping = [name(bench.machine("ipmi")), name(bench.machine("redfish"))];

    // A second node for a machine that is somebody's already.
    let first = &bench.dev.nodes(1)[&odd];
    let twin = json!({"name": "twin", "driver": "ipmi", "driver_info": {
        "ipmi_address": first["driver_info"]["ipmi_address"],
        "ipmi_port": first["driver_info"]["ipmi_port"],
        "ipmi_username": "admin", "ipmi_password": "password",
    }});
    exchange(bench.dev.api(1), "POST", "/v1/nodes", &twin.to_string()).expect("it is made");
    manage(&bench.dev, "twin");

    for (case, node, words) in &played {
        eprintln!("{case}: {node}");
        bench.faults(node, words);
    }
    bench.faults(&vague, "does not know the power state");
    bench.reads("twin", "two nodes would fight over its power");
    assert_eq!(bench.dev.nodes(1)["twin"]["provision_state"], "enroll");
    // Either it was told again, or the user reads that it was not; never is the record wrong.
    for node in &restarts {
        eventually(&format!("{node} to be what its record says"), || {
            let shown = bench.dev.nodes(1).remove(node)?;
            let machine = bench.dev.machine(node)["power"].as_str()?.to_owned();
            let rests = shown["reservation"].is_null();
            let told = machine == "on" || bench.history(node)?.contains("BMC");
            (rests && told && shown["power_state"] == format!("power {machine}").as_str())
                .then_some(())
        });
    }
    // Two that say on for two seconds and off for two, and are off all the time. Two reads that agree are believed, and what
    // follows from them moves no machine. The lie ends there: one that is told again when the node recovers is believed.
    for node in &flapping {
        let lie = json!({"kind": "flapping", "period_ms": 4000});
        bench.fault(number(node), &lie);
        let id = bench.dev.nodes(1)[node]["uuid"].to_string();
        let id = id.trim_matches('"');
        eventually(&format!("{node} to be forced"), || {
            let logs = bench.dev.logs();
            let forced = |line: &str| line.contains(id) && line.contains("forcing it");
            logs.lines().any(forced).then_some(())
        });
        bench.control("DELETE", number(node), "faults", &Value::Null);
        bench.recovers(node);
        bench.settles(node, "power off");
        assert_eq!(bench.dev.machine(node)["power"], "off");
    }
    for node in &fine {
        let shown = &bench.dev.nodes(1)[node];
        assert_eq!(
            (&shown["maintenance"], &shown["fault"]),
            (&json!(false), &Value::Null),
            "{shown}"
        );
        bench.settles(node, "power off");
    }
    assert_eq!(bench.dev.machine(&pulled)["power"], "off");

    // An operator who acts on the words is heard at once: by new credentials, a right address, other ways to log in.
    for (case, node, _) in &played {
        let of = number(node);
        let redfish = of >= IPMI;
        match *case {
            "wrong or rotated credentials" => {
                let key = if redfish {
                    "redfish_password"
                } else {
                    "ipmi_password"
                };
                bench.patch(node, key, "rotated");
            }
            "wrong address, nobody there" | "wrong address, closed port" => {
                let machine = bench.dev.machine(node);
                let (key, address) = if redfish {
                    ("redfish_address", machine["redfish"].as_str())
                } else {
                    (
                        "ipmi_address",
                        machine["ipmi"].as_str().and_then(|at| at.split(':').next()),
                    )
                };
                bench.patch(node, key, address.expect("it has one"));
            }
            "out of sessions (iDRAC: RAC0218)" => bench.patch(node, "redfish_auth_type", "basic"),
            "out of sessions" | "busy" | "changed certificate" | "speaks TLS 1.0 only" => {
                bench.control("DELETE", of, "faults", &Value::Null);
            }
            _ => continue,
        }
        bench.recovers(node);
    }
    bench.dev.stop();
}

fn number(node: &str) -> u32 {
    node.trim_start_matches("sim-").parse().expect("a number")
}

fn manage(dev: &Dev, node: &str) {
    let path = format!("/v1/nodes/{node}/states/provision");
    eventually(&format!("{node} to be looked at"), || {
        exchange(dev.api(1), "PUT", &path, r#"{"target": "manage"}"#)
    });
}

// --- Peers that are not ours ---------------------------------------------------------------------

/// Somebody else's program, ended with the test.
struct Peer(Child);

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn run(program: &Path, arguments: &[&str]) -> Peer {
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Peer(child.unwrap_or_else(|error| panic!("{}: {error}; run scripts/setup", program.display())))
}

fn tcp_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn listens(port: u16) {
    eventually("a peer to listen", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
}

/// The BMC of OpenIPMI with user `admin` and password `secret`; its port.
fn ipmi_sim(dir: &Path) -> (Peer, u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let port = socket.local_addr().expect("bound").port();
    drop(socket);
    let at = |name: &str| dir.join(name).display().to_string();
    let script = "#!/bin/sh\n[ \"$2 $3\" = 'get power' ] && echo power:0\n";
    std::fs::create_dir(dir.join("state")).expect("made");
    std::fs::write(dir.join("control.sh"), script).expect("written");
    let runs = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(dir.join("control.sh"), runs).expect("set");
    let lan = format!(
        "name \"machine\"\nset_working_mc 0x20\nstartlan 1\naddr 127.0.0.1 {port}\npriv_limit admin\n\
         allowed_auths_admin md5 straight\nguid a123456789abcdefa123456789abcdef\nendlan\n\
         chassis_control \"{} 0x20\"\nuser 2 true \"admin\" \"secret\" admin 10 md5 straight\n",
        at("control.sh")
    );
    std::fs::write(dir.join("lan.conf"), lan).expect("written");
    let machine = "mc_setbmc 0x20\nmc_add 0x20 0x21 no-device-sdrs 0x23 9 8 0x9f 0x0002a2 0xf02\nmc_enable 0x20\n";
    std::fs::write(dir.join("machine.emu"), machine).expect("written");
    let (lan, machine, state) = (at("lan.conf"), at("machine.emu"), at("state"));
    let arguments = ["-c", &lan, "-f", &machine, "-s", &state, "-n"];
    (run(Path::new("ipmi_sim"), &arguments), port)
}

/// bcrypt of `correct-horse-battery`, at the lowest cost.
const HASH: &str = "$2b$04$ndh8GIRUggRxsCeW7/jOverUYhhid81Jr6yNzMWtxA8nEMUpJ2t6y";

/// OpenStack's Redfish emulator with user `admin`; its port.
fn sushy_emulator(dir: &Path) -> (Peer, u16) {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/sushy-emulator");
    let program = Some(local).filter(|file| file.is_file());
    let program = program.or_else(|| on_path(Path::new("sushy-emulator")));
    let port = tcp_port();
    std::fs::create_dir(dir.join("sushy")).expect("made");
    std::fs::write(dir.join("htpasswd"), format!("admin:{HASH}\n")).expect("written");
    let config = format!(
        "SUSHY_EMULATOR_FAKE_DRIVER = True\nSUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n\
         SUSHY_EMULATOR_LISTEN_PORT = {port}\nSUSHY_EMULATOR_STATE_DIR = '{}'\nSUSHY_EMULATOR_AUTH_FILE = '{}'\n",
        dir.join("sushy").display(),
        dir.join("htpasswd").display()
    );
    let file = dir.join("emulator.conf");
    std::fs::write(&file, config).expect("written");
    let program = program.expect("sushy-emulator is missing: run scripts/setup");
    (
        run(&program, &["--config", &file.display().to_string()]),
        port,
    )
}

/// A TLS server of OpenSSL with a certificate that it signed itself; its port.
fn s_server(dir: &Path, name: &str, more: &[&str]) -> (Peer, u16) {
    let openssl = PathBuf::from("openssl");
    let at = |end: &str| dir.join(format!("{name}.{end}")).display().to_string();
    let (key, certificate) = (at("key"), at("pem"));
    let made = Command::new(&openssl)
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=127.0.0.1",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ])
        .stderr(Stdio::null())
        .status()
        .expect("openssl is missing: run scripts/setup");
    assert!(made.success());
    let port = tcp_port();
    let accept = port.to_string();
    let mut arguments = vec![
        "s_server",
        "-accept",
        &accept,
        "-cert",
        &certificate,
        "-key",
        &key,
        "-quiet",
        "-www",
    ];
    arguments.extend(more);
    (run(&openssl, &arguments), port)
}

/// The real client enrolls machines behind other people's BMCs with wrong passwords, a TLS of long ago and a certificate
/// that is not the one which was given; it reads why, corrects what can be corrected, and goes on.
#[test]
fn real_peers_refuse_and_the_record_says_so() {
    let data = tempfile::tempdir().expect("a directory");
    let peers = tempfile::tempdir().expect("a directory");
    let dir = peers.path();
    let (_ipmi_sim, ipmi) = ipmi_sim(dir);
    let (_sushy, sushy) = sushy_emulator(dir);
    let (_old, old) = s_server(dir, "old", &["-tls1", "-cipher", "ALL:@SECLEVEL=0"]);
    let (_new, new) = s_server(dir, "new", &[]);
    let dev = Dev::start_with(
        0,
        data.path(),
        &["--conductors", "1", "--sync-interval", "1"],
    );
    let mut client = Client::start(&dev, 1);
    for port in [sushy, old, new] {
        listens(port);
    }
    // What the operator was given is the certificate of before.
    let ca = dir.join("old.pem").display().to_string();
    let tls = |port: u16| {
        vec![
            format!("redfish_address=https://127.0.0.1:{port}"),
            "redfish_username=admin".to_owned(),
            "redfish_password=wrong".to_owned(),
            format!("redfish_verify_ca={ca}"),
        ]
    };
    let plain = vec![
        format!("redfish_address=http://127.0.0.1:{sushy}"),
        "redfish_username=admin".to_owned(),
        "redfish_password=wrong".to_owned(),
    ];
    let lan = vec![
        "ipmi_address=127.0.0.1".to_owned(),
        format!("ipmi_port={ipmi}"),
        "ipmi_username=admin".to_owned(),
        "ipmi_password=wrong".to_owned(),
    ];
    let peers = [
        ("openipmi", "ipmi", lan, "refused user `admin`"),
        ("sushy", "redfish", plain, "refused user `admin`"),
        ("old-tls", "redfish", tls(old), "TLS"),
        ("stranger", "redfish", tls(new), "failed the TLS check"),
    ];
    for (name, driver, info, _) in &peers {
        let mut create = vec!["node", "create", "--name", name, "--driver", driver];
        for pair in info {
            create.extend(["--driver-info", pair]);
        }
        client.run(&create);
        client.run(&["node", "manage", name]);
    }
    for (name, _, _, words) in &peers {
        let shown = eventually(&format!("{name} to be refused"), || {
            let shown = dev.nodes(1).remove(*name)?;
            (shown["last_error"].is_string() && shown["provision_state"] == "enroll")
                .then_some(shown)
        });
        let error = shown["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{name}: {error}");
        assert!(!error.contains("wrong"), "a secret in {error}");
    }
    for (name, password) in [
        ("openipmi", "ipmi_password=secret"),
        ("sushy", "redfish_password=correct-horse-battery"),
    ] {
        client.run(&["node", "set", name, "--driver-info", password]);
        client.run(&["node", "manage", name]);
        eventually(&format!("{name} to be manageable"), || {
            let shown = dev.nodes(1).remove(name)?;
            (shown["provision_state"] == "manageable" && shown["power_state"] == "power off"
                || shown["power_state"] == "power on")
                .then_some(())
        });
    }
    dev.stop();
}
