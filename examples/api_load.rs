//! `scripts/bench api`: one kind of request after another at the public API, from several connections at once.
//!
//! Usage: `api_load KIND COUNT CONNECTIONS PORT[,PORT…] NODES [FIRST]`, where KIND is `show`, `list`, `detail`, `patch`,
//! `create` or `walk`. Nodes are named `sim-00000` and up, as `baton dev` enrolls them; FIRST numbers what `create` makes.
//! Prints one line of JSON: seconds, requests, and p50, p99 and maximum latency in milliseconds.

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// One page of a list, which is also Ironic's default `max_limit`.
const PAGE: usize = 1000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// One node by name.
    Show,
    /// A page of 1000 nodes, default fields.
    List,
    /// A page of 1000 nodes, every field.
    Detail,
    /// One field of one node.
    Patch,
    /// A new fake node.
    Create,
    /// The whole fleet, page after page.
    Walk,
}

struct Load {
    kind: Kind,
    count: usize,
    nodes: usize,
    first: usize,
    next: AtomicUsize,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
}

impl Connection {
    async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { sender })
    }

    async fn ask(&mut self, method: Method, path: &str, body: String) -> anyhow::Result<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("content-type", "application/json")
            .header("x-openstack-ironic-api-version", "1.99")
            .body(Full::new(Bytes::from(body)))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        if !status.is_success() {
            bail!("{path}: {status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(body)
    }
}

impl Load {
    /// Spreads neighbouring numbers over the fleet.
    const STRIDE: usize = 7919;

    async fn one(&self, connection: &mut Connection, number: usize) -> anyhow::Result<()> {
        let node = number.wrapping_mul(Self::STRIDE) % self.nodes.max(1);
        match self.kind {
            Kind::Show => {
                let path = format!("/v1/nodes/sim-{node:05}");
                connection.ask(Method::GET, &path, String::new()).await?;
            }
            Kind::List => {
                let path = format!("/v1/nodes?limit={PAGE}");
                connection.ask(Method::GET, &path, String::new()).await?;
            }
            Kind::Detail => {
                let path = format!("/v1/nodes/detail?limit={PAGE}");
                connection.ask(Method::GET, &path, String::new()).await?;
            }
            Kind::Patch => {
                let path = format!("/v1/nodes/sim-{node:05}");
                let body = format!(r#"[{{"op":"add","path":"/extra/load","value":{number}}}]"#);
                connection.ask(Method::PATCH, &path, body).await?;
            }
            Kind::Create => {
                let name = self.first + number;
                let body = format!(r#"{{"driver":"fake-hardware","name":"load-{name}"}}"#);
                connection.ask(Method::POST, "/v1/nodes", body).await?;
            }
            Kind::Walk => self.walk(connection).await?,
        }
        Ok(())
    }

    async fn walk(&self, connection: &mut Connection) -> anyhow::Result<()> {
        let (mut seen, mut marker) = (0, String::new());
        loop {
            let path = format!("/v1/nodes?limit={PAGE}{marker}");
            let body = connection.ask(Method::GET, &path, String::new()).await?;
            let page: serde_json::Value = serde_json::from_slice(&body)?;
            let nodes = page["nodes"].as_array().context("a list has nodes")?;
            seen += nodes.len();
            let Some(last) = nodes.last().filter(|_| nodes.len() == PAGE) else {
                break;
            };
            let uuid = last["uuid"].as_str().context("a node has a uuid")?;
            marker = format!("&marker={uuid}");
        }
        if seen < self.nodes {
            bail!("a walk saw {seen} nodes of {}", self.nodes);
        }
        Ok(())
    }

    async fn worker(self: Arc<Self>, port: u16) -> anyhow::Result<Vec<Duration>> {
        let mut connection = Connection::open(port).await?;
        let mut took = Vec::new();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return Ok(took);
            }
            let begin = Instant::now();
            self.one(&mut connection, number).await?;
            took.push(begin.elapsed());
        }
    }
}

fn kind(word: &str) -> anyhow::Result<Kind> {
    Ok(match word {
        "show" => Kind::Show,
        "list" => Kind::List,
        "detail" => Kind::Detail,
        "patch" => Kind::Patch,
        "create" => Kind::Create,
        "walk" => Kind::Walk,
        other => bail!("there is no kind of request `{other}`"),
    })
}

fn at(sorted: &[Duration], percent: usize) -> f64 {
    let place = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(place)
        .map_or(f64::NAN, |took| took.as_secs_f64() * 1000.0)
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [what, count, connections, ports, nodes, rest @ ..] = &words[..] else {
        bail!("usage: api_load KIND COUNT CONNECTIONS PORT[,PORT...] NODES [FIRST]");
    };
    let load = Arc::new(Load {
        kind: kind(what)?,
        count: count.parse()?,
        nodes: nodes.parse()?,
        first: rest.first().map_or(Ok(0), |first| first.parse())?,
        next: AtomicUsize::new(0),
    });
    let ports: Vec<u16> = ports.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let connections: usize = connections.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let begin = Instant::now();
        let workers: Vec<_> = (0..connections)
            .map(|number| {
                let port = ports.get(number % ports.len()).copied().unwrap_or_default();
                tokio::spawn(load.clone().worker(port))
            })
            .collect();
        let mut took = Vec::with_capacity(load.count);
        for worker in workers {
            took.extend(worker.await??);
        }
        let seconds = begin.elapsed().as_secs_f64();
        took.sort_unstable();
        let line = serde_json::json!({
            "seconds": seconds, "requests": took.len(),
            "p50_ms": at(&took, 50), "p99_ms": at(&took, 99), "max_ms": at(&took, 100),
        });
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    })
}
