//! TCP listeners for Redfish: HTTP/1.1 with or without TLS, for one BMC or, told apart by address or path, for all.

use super::config::Layout;
use super::place::{Place, ordinal_of};
use super::tls::Tls;
use super::udp::only_loopback;
use super::{FarmError, Shared};
use crate::sim::bmc::{Reaction, TCP_RETRANSMIT};
use crate::sim::fault::FaultKind;
use crate::sim::redfish::message::{Answer, Request};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn` (4096 by default).
const BACKLOG: i32 = 4096;
/// The longest request body: a boot override with every field is below 1 KiB.
const BODY_MAX: usize = 16 * 1024;
/// A TLS handshake that takes longer is abandoned.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// How long a silent BMC keeps a connection: longer than any client waits (Ironic's read timeout is 60 s).
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// After a failed accept (out of file descriptors) the listener rests, so as not to spin.
const ACCEPT_REST: Duration = Duration::from_millis(50);
/// A segment that the switch loses this often in a row ends its connection.
const RETRANSMITS_MAX: u32 = 6;

static X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
static ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");

/// How the machine of a connection is found.
#[derive(Clone, Copy)]
enum Routing {
    Fixed(u32),
    ByAddress(Ipv4Addr),
    ByPath,
}

/// Bound listeners that do not serve yet.
pub(super) struct Tcp {
    place: Place,
    listeners: Vec<std::net::TcpListener>,
}

/// Binds what the layout asks for.
pub(super) fn bind(layout: Layout, count: u32) -> Result<Tcp, FarmError> {
    const WHAT: &str = "simulated Redfish";
    if count == 0 {
        return Ok(Tcp {
            place: Place::Nowhere,
            listeners: Vec::new(),
        });
    }
    match layout {
        Layout::Addresses { first, port } => {
            let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let failed = |source| FarmError::bind(WHAT, at, 0, 1, source);
            let listener = listen(at, true).map_err(failed)?;
            let port = listener.local_addr().map_err(failed)?.port();
            Ok(Tcp {
                place: Place::Addresses { first, port },
                listeners: vec![listener],
            })
        }
        Layout::Paths { at } => {
            let failed = |source| FarmError::bind(WHAT, at, 0, 1, source);
            let listener = listen(at, false).map_err(failed)?;
            let at = listener.local_addr().map_err(failed)?;
            Ok(Tcp {
                place: Place::Paths { at },
                listeners: vec![listener],
            })
        }
        Layout::Ports { address, first } => {
            let mut ports = Vec::new();
            let mut listeners = Vec::new();
            for ordinal in 0..count {
                let port = if first == 0 {
                    0
                } else {
                    u16::try_from(u32::from(first) + ordinal).unwrap_or(0)
                };
                let at = SocketAddr::new(address, port);
                let failed = |source| FarmError::bind(WHAT, at, ordinal, count, source);
                let listener = listen(at, false).map_err(failed)?;
                ports.push(listener.local_addr().map_err(failed)?.port());
                listeners.push(listener);
            }
            Ok(Tcp {
                place: Place::Ports {
                    address,
                    ports: ports.into(),
                },
                listeners,
            })
        }
    }
}

fn listen(at: SocketAddr, wildcard: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if wildcard {
        only_loopback(&socket);
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Tcp {
    pub(super) fn place(&self) -> Place {
        self.place.clone()
    }

    /// Starts the accepting tasks.
    pub(super) fn start(
        self,
        shared: &Arc<Shared>,
        tls: Option<&Arc<Tls>>,
        stop: &CancellationToken,
        tasks: &TaskTracker,
    ) -> Result<(), FarmError> {
        for (listener, ordinal) in self.listeners.into_iter().zip(0..) {
            let routing = match self.place {
                Place::Addresses { first, .. } => Routing::ByAddress(first),
                Place::Paths { .. } | Place::Nowhere => Routing::ByPath,
                Place::Ports { .. } => match shared.census.redfish_machine(ordinal) {
                    Some(machine) => Routing::Fixed(machine),
                    None => continue,
                },
            };
            let at = listener
                .local_addr()
                .unwrap_or_else(|_| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
            let door = Door {
                shared: Arc::clone(shared),
                tls: tls.cloned(),
                routing,
                stop: stop.clone(),
                tasks: tasks.clone(),
            };
            let listener = TcpListener::from_std(listener)
                .map_err(|source| FarmError::bind("simulated Redfish", at, ordinal, 0, source))?;
            tasks.spawn(async move {
                let stop = door.stop.clone();
                stop.run_until_cancelled(door.accept(listener)).await;
            });
        }
        Ok(())
    }
}

/// One listener's way in.
struct Door {
    shared: Arc<Shared>,
    tls: Option<Arc<Tls>>,
    routing: Routing,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Door {
    async fn accept(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.admit(stream, remote),
                Err(error) => {
                    tracing::warn!(%error, "the simulated Redfish service cannot accept; check `ulimit -n`");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, remote: SocketAddr) {
        let machine = match self.routing {
            Routing::Fixed(machine) => Some(machine),
            Routing::ByPath => None,
            Routing::ByAddress(first) => {
                let Ok(IpAddr::V4(address)) = stream.local_addr().map(|at| at.ip()) else {
                    return;
                };
                let machine = ordinal_of(first, address)
                    .and_then(|ordinal| self.shared.census.redfish_machine(ordinal));
                if machine.is_none() {
                    return; // nobody lives there
                }
                machine
            }
        };
        let manner = self.manner(machine);
        if matches!(manner, Manner::Refuse) {
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not disable Nagle's algorithm");
        }
        let caller = Caller {
            shared: Arc::clone(&self.shared),
            machine,
            remote,
        };
        let stop = self.stop.clone();
        match manner {
            Manner::Refuse => {}
            Manner::Silent => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(stay_silent(stream)).await;
                });
            }
            Manner::OldTls => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(refuse_handshake(stream)).await;
                });
            }
            Manner::Plain => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(caller.serve(stream)).await;
                });
            }
            Manner::Tls(config) => {
                self.tasks.spawn(async move {
                    stop.run_until_cancelled(caller.serve_tls(stream, config))
                        .await;
                });
            }
        }
    }

    /// How to treat a new connection, faults considered.
    fn manner(&self, machine: Option<u32>) -> Manner {
        let mut foreign = false;
        if let Some(machine) = machine
            && let Some(mut bmc) = self.shared.bmc(machine)
        {
            bmc.core.counters.connections += 1;
            let now = self.shared.now();
            let faults = &mut bmc.core.faults;
            if faults.unreachable(now) {
                return if faults.has(FaultKind::Silent) {
                    Manner::Silent
                } else {
                    Manner::Refuse
                };
            }
            if self.tls.is_some() && faults.has(FaultKind::OldTls) {
                return Manner::OldTls;
            }
            foreign = faults.has(FaultKind::ChangedCertificate);
        }
        let Some(tls) = &self.tls else {
            return Manner::Plain;
        };
        if foreign {
            return Manner::Tls(tls.foreign());
        }
        let ordinal = machine.and_then(|machine| self.shared.census.redfish_ordinal(machine));
        match tls.server(ordinal) {
            Ok(config) => Manner::Tls(config),
            Err(error) => {
                tracing::error!(%error, "a simulated BMC has no certificate");
                Manner::Refuse
            }
        }
    }
}

enum Manner {
    Refuse,
    Silent,
    OldTls,
    Plain,
    Tls(Arc<rustls::ServerConfig>),
}

/// Reads whatever comes and says nothing, until the peer gives up.
async fn stay_silent(mut stream: TcpStream) {
    let mut sink = [0; 64];
    let listening = async { while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {} };
    drop(tokio::time::timeout(SILENCE_MAX, listening).await);
}

/// Answers a `ClientHello` as a server that knows TLS 1.0 only: a fatal alert `protocol_version` (RFC 8446 §6.2).
async fn refuse_handshake(mut stream: TcpStream) {
    const ALERT: [u8; 7] = [0x15, 0x03, 0x01, 0x00, 0x02, 0x02, 0x46];
    let mut hello = [0; 512];
    let refusing = async {
        if matches!(stream.read(&mut hello).await, Ok(n) if n > 0)
            && stream.write_all(&ALERT).await.is_ok()
        {
            drop(stream.shutdown().await);
        }
    };
    drop(tokio::time::timeout(HANDSHAKE_MAX, refusing).await);
}

/// One connection.
struct Caller {
    shared: Arc<Shared>,
    machine: Option<u32>,
    remote: SocketAddr,
}

/// Why a connection is broken off on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the simulated BMC breaks the connection")]
struct BrokenOff;

impl Caller {
    async fn serve_tls(self, stream: TcpStream, config: Arc<rustls::ServerConfig>) {
        let handshake = Box::pin(TlsAcceptor::from(config).accept(stream));
        let stream = match tokio::time::timeout(HANDSHAKE_MAX, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a TLS handshake with a simulated BMC failed");
                return;
            }
            Err(_elapsed) => return,
        };
        let resumed = stream.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        // Told apart by path, the machine is not known yet; the first one keeps the count.
        if let Some(mut bmc) = self.shared.bmc(self.machine.unwrap_or(0)) {
            if resumed {
                bmc.core.counters.handshakes_resumed += 1;
            } else {
                bmc.core.counters.handshakes_full += 1;
            }
        }
        self.serve(stream).await;
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let caller = &self;
        let service = service_fn(move |request| caller.answer(request));
        let served = hyper::server::conn::http1::Builder::new()
            .max_buf_size(8192) // hyper's minimum: thousands of connections wait with theirs
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            tracing::debug!(%error, "a connection to a simulated BMC ended badly");
        }
    }

    async fn answer(
        &self,
        request: hyper::Request<Incoming>,
    ) -> Result<Response<Payload>, BrokenOff> {
        let (head, body) = request.into_parts();
        let body = if body.is_end_stream() {
            Bytes::new()
        } else {
            match Limited::new(body, BODY_MAX).collect().await {
                Ok(body) => body.to_bytes(),
                Err(_too_long_or_broken) => return Err(BrokenOff),
            }
        };
        let (machine, prefix, path) = match self.machine {
            Some(machine) => (machine, "", head.uri.path()),
            None => match split(head.uri.path()) {
                Some(found) => found,
                None => return Ok(nobody()),
            },
        };
        if self.shared.census.redfish_ordinal(machine).is_none() {
            return Ok(nobody());
        }
        let queued = self.pass_switch().await?;
        let text = |name: &HeaderName| head.headers.get(name).and_then(|v| v.to_str().ok());
        let request = Request {
            method: &head.method,
            prefix,
            path,
            token: text(&X_AUTH_TOKEN),
            authorization: text(&header::AUTHORIZATION),
            if_match: text(&header::IF_MATCH),
            if_none_match: text(&header::IF_NONE_MATCH),
            body: &body,
            remote: Some(self.remote),
        };
        let reaction = match self.shared.bmc(machine) {
            Some(mut bmc) => bmc.request(self.shared.now(), &request),
            None => return Ok(nobody()),
        };
        match reaction {
            Reaction::Answer(answer, delay) => {
                wait(delay + queued).await;
                Ok(response(answer, false))
            }
            Reaction::Cut(answer, delay) => {
                wait(delay + queued).await;
                Ok(response(answer, true))
            }
            Reaction::Silence => {
                tokio::time::sleep(SILENCE_MAX).await;
                Err(BrokenOff)
            }
            Reaction::Hangup => Err(BrokenOff),
        }
    }

    /// TCP repeats what the switch loses, ever later, so the loss is a delay.
    async fn pass_switch(&self) -> Result<Duration, BrokenOff> {
        for attempt in 0..RETRANSMITS_MAX {
            if let Some(queued) = self.shared.pass_switch() {
                return Ok(queued);
            }
            tokio::time::sleep(TCP_RETRANSMIT * (1 << attempt)).await;
        }
        Err(BrokenOff)
    }
}

async fn wait(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// Splits `/bmc/<machine>/redfish/...` into machine, prefix and the rest.
fn split(path: &str) -> Option<(u32, &str, &str)> {
    let number = path.strip_prefix("/bmc/")?;
    let digits = number.find('/').unwrap_or(number.len());
    let machine = number.get(..digits)?.parse().ok()?;
    let (prefix, rest) = path.split_at_checked("/bmc/".len() + digits)?;
    Some((machine, prefix, rest))
}

fn nobody() -> Response<Payload> {
    let answer = Answer {
        status: 404,
        body: br#"{"error":{"code":"Base.1.8.GeneralError","message":"No simulated Redfish BMC lives here; paths begin with /bmc/<machine>/redfish/v1/."}}"#.to_vec(),
        ..Answer::default()
    };
    response(answer, false)
}

fn response(answer: Answer, cut: bool) -> Response<Payload> {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(&ODATA_VERSION, HeaderValue::from_static("4.0"));
    if !answer.body.is_empty() {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    if answer.status == 401 {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"Redfish\""),
        );
    }
    for (name, value) in [
        (header::ETAG, answer.etag),
        (header::LOCATION, answer.location),
        (X_AUTH_TOKEN.clone(), answer.token),
        (
            header::RETRY_AFTER,
            answer.retry_after_s.map(|s| s.to_string()),
        ),
        (header::ALLOW, answer.allow.map(str::to_owned)),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let mut response = Response::new(Payload::new(answer.body, cut));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// A body that may break off in its middle.
struct Payload {
    /// What is still to be sent.
    rest: Bytes,
    /// Announced but never sent.
    withheld: u64,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Send,
    /// One turn of rest, so that what was sent reaches the wire before the connection breaks.
    Flush,
    Break,
    Done,
}

impl Payload {
    fn new(body: Vec<u8>, cut: bool) -> Self {
        let mut rest = Bytes::from(body);
        let mut withheld = 0;
        if cut {
            let kept = rest.split_to(rest.len() / 2);
            withheld = u64::try_from(rest.len()).unwrap_or(0).max(1);
            rest = kept;
        }
        let state = if rest.is_empty() && !cut {
            State::Done
        } else {
            State::Send
        };
        Self {
            rest,
            withheld,
            state,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.state {
            State::Send => {
                self.state = if self.withheld > 0 {
                    State::Flush
                } else {
                    State::Done
                };
                Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest)))))
            }
            State::Flush => {
                self.state = State::Break;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            State::Break => {
                self.state = State::Done;
                Poll::Ready(Some(Err(BrokenOff)))
            }
            State::Done => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Done
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(0);
        SizeHint::with_exact(rest + self.withheld)
    }
}
