//! Conductors as processes of their own, each with its configuration, its data and its network, to be killed, paused,
//! cut off and given bad disks. The one harness of tests of whole clusters.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use crate::support::{BATON, eventually};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// What every caller of an admin endpoint shows.
pub(crate) const TOKEN: &str = "open-sesame";

/// Where a conductor runs.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) ip: IpAddr,
    /// The API; the admin endpoint and the peers' listener have the two ports behind it.
    pub(crate) port: u16,
    /// A network namespace.
    pub(crate) namespace: Option<String>,
}

impl Place {
    fn address(&self, offset: u16) -> SocketAddr {
        SocketAddr::new(self.ip, self.port + offset)
    }

    pub(crate) fn peer(&self) -> String {
        self.address(2).to_string()
    }

    pub(crate) fn admin(&self) -> String {
        self.address(1).to_string()
    }

    /// Free ports on this machine, below those that the system hands out itself.
    pub(crate) fn loopback() -> Self {
        static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(0);
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..2000 {
            let step = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let start = u16::try_from(std::process::id() % 1000).unwrap();
            let port = 22_000 + (start + step) % 1000 * 10;
            let free = (0..3).all(|offset| TcpListener::bind((ip, port + offset)).is_ok());
            if free {
                return Self {
                    ip,
                    port,
                    namespace: None,
                };
            }
        }
        panic!("no free ports");
    }
}

/// One conductor, running or not.
pub(crate) struct Conductor {
    pub(crate) host: String,
    pub(crate) place: Place,
    pub(crate) dir: PathBuf,
    pub(crate) child: Option<Child>,
    /// Set for every start.
    pub(crate) preload: Option<PathBuf>,
}

impl Conductor {
    /// A conductor whose files are in `dir`, with `extra` in its `[cluster]` section.
    pub(crate) fn new(host: &str, place: Place, dir: &Path, extra: &str) -> Self {
        std::fs::create_dir_all(dir.join("faults")).unwrap();
        let conductor = Self {
            host: host.to_owned(),
            place,
            dir: dir.to_owned(),
            child: None,
            preload: None,
        };
        conductor.configure(extra);
        conductor
    }

    pub(crate) fn configure(&self, extra: &str) {
        let place = &self.place;
        let config = format!(
            "[DEFAULT]\nhost = \"{}\"\nenabled_hardware_types = [\"fake-hardware\"]\n\
             [conductor]\nsync_power_state_interval = 60\nautomated_clean = false\n\
             [cluster]\ndata_dir = \"{}\"\nlisten = \"{}\"\n{extra}\n\
             [api]\nhost_ip = \"{}\"\nport = {}\n\
             [admin]\nlisten = \"{}\"\ntoken = \"{TOKEN}\"\nallow_plain_http = true\n[log]\nlevel = \"info\"\n",
            self.host,
            self.data().display(),
            place.peer(),
            place.ip,
            place.port,
            place.address(1),
        );
        std::fs::write(self.config(), config).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("baton.toml")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// A command in the conductor's network.
    fn command(&self, program: &str) -> Command {
        match &self.place.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, program]);
                command
            }
            None => Command::new(program),
        }
    }

    pub(crate) fn start(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("log"))
            .unwrap();
        let mut command = self.command(BATON);
        command.args(["run", "--config"]).arg(self.config());
        if let Some(preload) = &self.preload {
            command
                .env("LD_PRELOAD", preload)
                .env("BATON_FAULTS", self.dir.join("faults"));
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("baton starts");
        self.child = Some(child);
    }

    /// Runs it until it ends by itself; what it said.
    pub(crate) fn start_and_fail(&mut self) -> String {
        let before = self.log().len();
        self.start();
        self.wait_for_end();
        self.log()[before..].to_owned()
    }

    /// Waits until the process ends by itself, which is no success.
    pub(crate) fn wait_for_end(&mut self) {
        let mut child = self.child.take().expect("it was started");
        let host = self.host.clone();
        let status = eventually(&format!("the end of {host}"), || child.try_wait().unwrap());
        assert!(!status.success(), "{host} ended as if all were well");
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops it in order.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let mut child = self.child.take().expect("it runs");
        let status = eventually("its end", || child.try_wait().unwrap());
        assert!(status.success(), "{}: {}", self.host, self.log());
    }

    // --- What it says -------------------------------------------------------------------------------

    /// `baton cluster …` with this conductor's configuration.
    pub(crate) fn cluster(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(BATON);
        command.arg("cluster").args(arguments);
        command.arg("--config").arg(self.config()).output().unwrap()
    }

    /// The same; what it printed, which must be a success.
    pub(crate) fn cluster_ok(&self, arguments: &[&str]) -> String {
        let output = self.cluster(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "baton cluster {arguments:?}: {error}"
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same; what it complained about.
    pub(crate) fn cluster_error(&self, arguments: &[&str]) -> String {
        let output = self.cluster(arguments);
        assert!(
            !output.status.success(),
            "baton cluster {arguments:?} succeeded"
        );
        String::from_utf8(output.stderr).unwrap()
    }

    pub(crate) fn api(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        ask(self.place.address(0), method, path, body)
    }

    pub(crate) fn admin(&self, path: &str) -> Option<Value> {
        match ask(self.place.address(1), "GET", path, &Value::Null) {
            Some((200, answer)) => Some(answer),
            _ => None,
        }
    }

    /// Posts to the admin endpoint.
    pub(crate) fn operate(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        ask(self.place.address(1), "POST", path, body)
    }

    /// The conductor's id.
    pub(crate) fn id(&self) -> Option<u64> {
        self.admin("/admin/v1/cluster")?["me"].as_u64()
    }

    /// Whom it takes for the leader.
    pub(crate) fn leader(&self) -> Option<u64> {
        self.admin("/admin/v1/cluster")?["leader"].as_u64()
    }

    /// Creates a node here; whether it was acknowledged.
    pub(crate) fn enroll(&self, name: &str) -> bool {
        let body = json!({"name": name, "driver": "fake-hardware"});
        matches!(self.api("POST", "/v1/nodes", &body), Some((201, _)))
    }

    /// The names of all nodes, as this conductor shows them.
    pub(crate) fn nodes(&self) -> Option<BTreeSet<String>> {
        let (status, list) = self.api("GET", "/v1/nodes?limit=1000", &Value::Null)?;
        let nodes = list["nodes"].as_array().filter(|_| status == 200)?;
        let names = nodes.iter().filter_map(|node| node["name"].as_str());
        Some(names.map(str::to_owned).collect())
    }

    /// Which conductors it takes for alive, by host name.
    pub(crate) fn alive(&self) -> Option<BTreeSet<String>> {
        let (_, list) = self.api("GET", "/v1/conductors", &Value::Null)?;
        let all = list["conductors"].as_array()?.iter();
        let alive = all.filter(|one| one["alive"] == true);
        Some(
            alive
                .filter_map(|one| Some(one["hostname"].as_str()?.to_owned()))
                .collect(),
        )
    }
}

impl Drop for Conductor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(25).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            eprintln!("--- {}\n{}", self.host, tail.join("\n"));
        }
    }
}

/// Conductors that found a cluster together, and what they have acknowledged.
pub(crate) struct Rack {
    pub(crate) conductors: Vec<Conductor>,
    acknowledged: BTreeSet<String>,
    tried: u32,
}

impl Rack {
    /// Founders at these places. `tls` has the certificates.
    pub(crate) fn found(root: &Path, places: &[Place], tls: Option<&Path>) -> Self {
        let mut peers = String::new();
        for (id, place) in (1..).zip(places) {
            write!(peers, "\"{id}@{}\", ", place.peer()).unwrap();
        }
        let conductors = (1..).zip(places).map(|(id, place)| {
            let host = format!("c{id}");
            let mut extra = format!("conductor_id = {id}\npeers = [{peers}]\n");
            if let Some(tls) = tls {
                extra += &tls_options(tls, &host);
            }
            Conductor::new(&host, place.clone(), &root.join(&host), &extra)
        });
        Self {
            conductors: conductors.collect(),
            acknowledged: BTreeSet::new(),
            tried: 0,
        }
    }

    pub(crate) fn start_all(&mut self) {
        for conductor in &mut self.conductors {
            conductor.start();
        }
        self.settle();
    }

    pub(crate) fn at(&self, number: usize) -> &Conductor {
        &self.conductors[number - 1]
    }

    pub(crate) fn at_mut(&mut self, number: usize) -> &mut Conductor {
        &mut self.conductors[number - 1]
    }

    /// Writes through this conductor until it is acknowledged.
    pub(crate) fn write(&mut self, number: usize) {
        self.tried += 1;
        let name = format!("n{}", self.tried);
        let conductor = self.at(number);
        let host = conductor.host.clone();
        eventually(
            &format!("a write through {host} to be acknowledged"),
            || {
                // A try that was not acknowledged may have been made all the same.
                let known = || conductor.nodes().is_some_and(|nodes| nodes.contains(&name));
                (conductor.enroll(&name) || known()).then_some(())
            },
        );
        self.acknowledged.insert(name);
    }

    /// Waits until all running conductors are alive in each other's eyes, and know everything that was acknowledged.
    pub(crate) fn settle(&mut self) {
        let running: Vec<&Conductor> = self
            .conductors
            .iter()
            .filter(|conductor| conductor.child.is_some())
            .collect();
        let hosts: BTreeSet<String> = running.iter().map(|one| one.host.clone()).collect();
        for conductor in &running {
            eventually(&format!("{} to see {hosts:?}", conductor.host), || {
                (conductor.alive()? == hosts).then_some(())
            });
            eventually(&format!("{} to know all", conductor.host), || {
                self.acknowledged
                    .is_subset(&conductor.nodes()?)
                    .then_some(())
            });
        }
    }

    /// The number of the leader, on which all that run agree.
    pub(crate) fn leader(&self) -> usize {
        eventually("a leader", || {
            let running = self.conductors.iter().filter(|one| one.child.is_some());
            let leaders: Option<BTreeSet<u64>> = running.map(Conductor::leader).collect();
            let leaders = leaders?;
            let leader = *leaders.first().filter(|_| leaders.len() == 1)?;
            let numbered = (1..).zip(&self.conductors);
            let mut running = numbered.filter(|(_, one)| one.child.is_some());
            running
                .find(|(_, one)| one.id() == Some(leader))
                .map(|(number, _)| number)
        })
    }

    pub(crate) fn stop_all(&mut self) {
        for conductor in &mut self.conductors {
            if conductor.child.is_some() {
                conductor.stop();
            }
        }
    }
}

/// The options for certificates that `baton cluster certs` made.
pub(crate) fn tls_options(dir: &Path, host: &str) -> String {
    let file = |name: &str| dir.join(name).display().to_string();
    format!(
        "ca_file = \"{}\"\ncert_file = \"{}\"\nkey_file = \"{}\"\n",
        file("ca.pem"),
        file(&format!("{host}.pem")),
        file(&format!("{host}.key"))
    )
}

/// One request on a connection of its own.
fn ask(address: SocketAddr, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let limit = Duration::from_secs(10);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\n\
         x-openstack-ironic-api-version: 1.82\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}
