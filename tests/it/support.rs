//! Starts `baton dev`, reads what it prints, and speaks to it as users do.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests")]

use crate::asked_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How long anything may take before the test gives up; far beyond what it does take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(120);

pub(crate) const BATON: &str = env!("CARGO_BIN_EXE_baton");

/// A running `baton dev`.
pub(crate) struct Dev {
    child: Child,
    data: PathBuf,
    lines: Arc<Mutex<Vec<String>>>,
    extra: Vec<Child>,
}

impl Dev {
    pub(crate) fn start(nodes: u32, data: &Path) -> Self {
        Self::start_with(nodes, data, &[])
    }

    /// With further arguments. Ports that were free when they were chosen may be another test's a moment later.
    pub(crate) fn start_with(nodes: u32, data: &Path, arguments: &[&str]) -> Self {
        for _ in 0..3 {
            let dev = Self::begin(nodes, data, arguments);
            let started = eventually("the dashboard, or the end", || {
                let ended = !dev.lines_with("everything has stopped").is_empty();
                (ended || !dev.lines_with("dashboard").is_empty()).then_some(!ended)
            });
            if started {
                return dev;
            }
            drop(dev);
            for entry in std::fs::read_dir(data).expect("a directory") {
                drop(std::fs::remove_dir_all(entry.expect("an entry").path()));
            }
        }
        panic!("`baton dev` did not start three times");
    }

    fn begin(nodes: u32, data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(BATON)
            .args([
                "dev",
                "--api-port",
                "0",
                "--nodes",
                &nodes.to_string(),
                "--data-dir",
            ])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("baton starts");
        let out = child.stdout.take().expect("its output is piped");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                eprintln!("dev: {line}");
                seen.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            data: data.to_owned(),
            lines,
            extra: Vec::new(),
        }
    }

    /// Waits for the first line that begins with `start`.
    pub(crate) fn line(&self, start: &str) -> String {
        eventually(&format!("the line `{start}…`"), || {
            self.lines
                .lock()
                .unwrap()
                .iter()
                .find(|line| line.starts_with(start))
                .cloned()
        })
    }

    fn lines_with(&self, text: &str) -> Vec<String> {
        self.lines
            .lock()
            .unwrap()
            .iter()
            .filter(|line| line.contains(text))
            .cloned()
            .collect()
    }

    /// The port of a conductor's API.
    pub(crate) fn api(&self, conductor: u8) -> u16 {
        self.port(conductor, "API http://127.0.0.1:")
    }

    /// The port of a conductor's admin endpoint.
    pub(crate) fn admin(&self, conductor: u8) -> u16 {
        self.port(conductor, "admin http://127.0.0.1:")
    }

    fn port(&self, conductor: u8, before: &str) -> u16 {
        let lines = self.lines_with(before);
        let start = format!("conductor {conductor} ");
        let line = lines
            .iter()
            .find(|line| line.starts_with(&start))
            .expect("each conductor is announced");
        let rest = line.split(before).nth(1).expect("the text is in the line");
        rest.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap()
            .parse()
            .expect("a port")
    }

    /// The numbers of all conductors.
    pub(crate) fn conductors(&self) -> impl Iterator<Item = u8> {
        (1..=9).filter(|number| {
            let announced = self.lines_with("API http://127.0.0.1:");
            let start = format!("conductor {number} ");
            announced.iter().any(|line| line.starts_with(&start))
        })
    }

    /// The port of the simulator's control endpoint.
    pub(crate) fn control(&self) -> u16 {
        let line = self.line("simulated BMCs");
        line.rsplit("127.0.0.1:")
            .next()
            .unwrap()
            .trim_end_matches('/')
            .parse()
            .expect("a port")
    }

    /// The port of the simulated compute service.
    pub(crate) fn compute(&self) -> u16 {
        let line = self.line("compute ");
        let rest = line.split("http://127.0.0.1:").nth(1).unwrap();
        rest.split('/').next().unwrap().parse().expect("a port")
    }

    fn pid(&self, conductor: u8) -> String {
        let start = format!("conductor {conductor} ");
        let lines = self.lines_with(" process ");
        let line = lines
            .iter()
            .find(|line| line.starts_with(&start))
            .expect("each process is announced");
        let rest = line.split(" process ").nth(1).unwrap();
        rest.split(',').next().unwrap().to_owned()
    }

    /// `kill -9`, and waits until `baton dev` has noticed; the command that starts the conductor again.
    pub(crate) fn kill(&self, conductor: u8) -> String {
        self.end(conductor, "-KILL")
    }

    /// Signals a conductor that `baton dev` started.
    pub(crate) fn signal(&self, conductor: u8, signal: &str) {
        let pid = self.pid(conductor);
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// SIGTERM, and waits until it has ended; the command that starts it again.
    pub(crate) fn terminate(&self, conductor: u8) -> String {
        self.end(conductor, "-TERM")
    }

    fn end(&self, conductor: u8, signal: &str) -> String {
        let status = Command::new("kill")
            .args([signal, &self.pid(conductor)])
            .status()
            .unwrap();
        assert!(status.success());
        let line = self.line(&format!("conductor {conductor} ended"));
        line.split("start it again with: ")
            .nth(1)
            .expect("the command is told")
            .to_owned()
    }

    /// Starts a conductor with the command that was told.
    pub(crate) fn restart(&mut self, command: &str) {
        let mut words = command.split(' ');
        let log = self.data.join(format!("again-{}.log", self.extra.len()));
        let child = Command::new(words.next().unwrap())
            .args(words)
            .stdout(Stdio::null())
            .stderr(File::create(log).unwrap())
            .spawn()
            .expect("the conductor starts again");
        self.extra.push(child);
    }

    /// Signals the conductor that was started again last.
    pub(crate) fn signal_restarted(&self, signal: &str) {
        let pid = self.extra.last().expect("one was").id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// What all conductors have logged so far, those that were started again as well.
    pub(crate) fn logs(&self) -> String {
        let mut files: Vec<PathBuf> = (1..=9)
            .map(|number| self.data.join(format!("conductor-{number}/baton.log")))
            .collect();
        files.extend((0..self.extra.len()).map(|n| self.data.join(format!("again-{n}.log"))));
        let read = files.iter().filter_map(|file| std::fs::read(file).ok());
        read.map(|text| String::from_utf8_lossy(&text).into_owned())
            .collect()
    }

    /// Proves that no machine was told anything that nobody asked for. Then Ctrl-C, and waits until everything has stopped.
    pub(crate) fn stop(mut self) {
        let unasked = asked_for::unasked(&self);
        assert!(unasked.is_empty(), "nobody asked for this: {unasked:#?}");
        Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status()
            .unwrap();
        for extra in &mut self.extra {
            Command::new("kill")
                .args(["-TERM", &extra.id().to_string()])
                .status()
                .unwrap();
            extra.wait().unwrap();
        }
        assert!(self.child.wait().unwrap().success());
        self.line("everything has stopped");
    }

    /// Runs the real command-line client against a conductor; its output as JSON.
    pub(crate) fn baremetal(&self, conductor: u8, arguments: &[&str]) -> Value {
        let output = Command::new(client())
            .args(arguments)
            .args(["-f", "json"])
            .env("OS_AUTH_TYPE", "none")
            .env(
                "OS_ENDPOINT",
                format!("http://127.0.0.1:{}", self.api(conductor)),
            )
            .output()
            .expect("the client is missing: run scripts/setup");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "baremetal {arguments:?}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The same for commands that print no table.
    pub(crate) fn baremetal_quiet(&self, conductor: u8, arguments: &[&str]) {
        let status = Command::new(client())
            .args(arguments)
            .env("OS_AUTH_TYPE", "none")
            .env(
                "OS_ENDPOINT",
                format!("http://127.0.0.1:{}", self.api(conductor)),
            )
            .status()
            .expect("the client is missing: run scripts/setup");
        assert!(status.success(), "baremetal {arguments:?}");
    }

    /// All nodes as a conductor's API shows them, by name; empty while it does not answer.
    pub(crate) fn nodes(&self, conductor: u8) -> BTreeMap<String, Value> {
        let Some(list) = get(self.api(conductor), "/v1/nodes/detail") else {
            return BTreeMap::new();
        };
        let nodes = list["nodes"].as_array().cloned().unwrap_or_default();
        nodes
            .into_iter()
            .map(|node| (node["name"].as_str().unwrap_or_default().to_owned(), node))
            .collect()
    }

    /// The simulated machine with this name.
    pub(crate) fn machine(&self, name: &str) -> Value {
        let list = get(self.control(), "/v1/machines?limit=1000").expect("the simulator answers");
        let machines = list["machines"].as_array().cloned().expect("a list");
        machines
            .into_iter()
            .find(|machine| machine["name"] == name)
            .expect("it is simulated")
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // After a failed test: whoever is killed cannot stop its children.
        if matches!(self.child.try_wait(), Ok(None)) {
            for line in self.lines_with(" process ") {
                let rest = line.split(" process ").nth(1).unwrap_or_default();
                let pid = rest.split(',').next().unwrap_or_default();
                drop(Command::new("kill").args(["-KILL", pid]).status());
            }
        }
        for child in self.extra.iter_mut().chain([&mut self.child]) {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The real client in a process that stays, for tests with many commands.
pub(crate) struct Client {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Client {
    /// Speaks to this conductor.
    pub(crate) fn start(dev: &Dev, conductor: u8) -> Self {
        let program = on_path(&client()).expect("the client is missing: run scripts/setup");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/client.py");
        let mut child = Command::new(program.with_file_name("python3"))
            .arg(script)
            .env("OS_AUTH_TYPE", "none")
            .env(
                "OS_ENDPOINT",
                format!("http://127.0.0.1:{}", dev.api(conductor)),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let answers = BufReader::new(child.stdout.take().expect("its output is piped"));
        Self { child, answers }
    }

    fn ask(&mut self, arguments: &[&str]) -> Value {
        let mut line = serde_json::to_string(arguments).unwrap();
        line.push('\n');
        let input = self.child.stdin.as_mut().expect("its input is piped");
        input.write_all(line.as_bytes()).expect("it reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        serde_json::from_str(&answer).expect("an answer is JSON")
    }

    /// Runs a command that must succeed.
    pub(crate) fn run(&mut self, arguments: &[&str]) {
        let answer = self.ask(arguments);
        assert_eq!(answer["status"], 0, "baremetal {arguments:?}: {answer}");
    }

    /// Runs a command; what it prints.
    pub(crate) fn prints(&mut self, arguments: &[&str]) -> String {
        let answer = self.ask(arguments);
        assert_eq!(answer["status"], 0, "baremetal {arguments:?}: {answer}");
        answer["out"].as_str().unwrap_or_default().to_owned()
    }

    /// Runs a command that must be refused; what the client says.
    pub(crate) fn refused(&mut self, arguments: &[&str]) -> String {
        let answer = self.ask(arguments);
        assert_ne!(answer["status"], 0, "baremetal {arguments:?}: {answer}");
        answer["err"].as_str().unwrap_or_default().to_owned()
    }

    /// Runs a command that prints a table; the table as JSON.
    pub(crate) fn table(&mut self, arguments: &[&str]) -> Value {
        let arguments = [arguments, &["-f", "json"]].concat();
        let answer = self.ask(&arguments);
        assert_eq!(answer["status"], 0, "baremetal {arguments:?}: {answer}");
        serde_json::from_str(answer["out"].as_str().unwrap_or_default()).expect("a table")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where a program is.
pub(crate) fn on_path(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(program.to_owned());
    }
    let path = std::env::vars_os().find(|(key, _)| key == "PATH")?.1;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

/// GET; `None` unless it was answered with 200.
pub(crate) fn get(port: u16, path: &str) -> Option<Value> {
    exchange(port, "GET", path, "")
}

/// Sends a request over a connection of its own; the JSON answer of a success.
pub(crate) fn exchange(port: u16, method: &str, path: &str, body: &str) -> Option<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-openstack-ironic-api-version: 1.115\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 2") {
        return None;
    }
    if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        return serde_json::from_str(&dechunk(body)).ok();
    }
    Some(serde_json::from_str(body).unwrap_or(Value::Null))
}

fn dechunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || rest.len() < size {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// The real client: from `scripts/setup`, or from the PATH.
fn client() -> PathBuf {
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/baremetal");
    if local.exists() {
        local
    } else {
        "baremetal".into()
    }
}

/// Polls until `probe` yields, or panics after [`DEADLINE`].
#[expect(
    clippy::disallowed_methods,
    reason = "a black-box test waits in real time"
)]
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "never saw {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
