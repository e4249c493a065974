//! One connection: TLS if asked for, then requests one after the other, each handed to its BMC; or, for a BMC with a
//! fault, silence and refusal.

use super::super::Shared;
use super::response::{Payload, X_AUTH_TOKEN, nobody, response};
use crate::sim::bmc::{Reaction, TCP_RETRANSMIT};
use crate::sim::redfish::message::Request;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::Response;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderName};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The longest request body: a boot override with every field is below 1 KiB.
const BODY_MAX: usize = 16 * 1024;
/// A TLS handshake that takes longer is abandoned.
const HANDSHAKE_MAX: Duration = Duration::from_secs(30);
/// How long a silent BMC keeps a connection: longer than any client waits (Ironic's read timeout is 60 s).
const SILENCE_MAX: Duration = Duration::from_secs(300);
/// A segment that the switch loses this often in a row ends its connection.
const RETRANSMITS_MAX: u32 = 6;

/// Reads whatever comes and says nothing, until the peer gives up.
pub(super) async fn stay_silent(mut stream: TcpStream) {
    let mut sink = [0; 64];
    let listening = async { while matches!(stream.read(&mut sink).await, Ok(n) if n > 0) {} };
    drop(tokio::time::timeout(SILENCE_MAX, listening).await);
}

/// Answers a `ClientHello` as a server that knows TLS 1.0 only: a fatal alert `protocol_version` (RFC 8446 §6.2).
pub(super) async fn refuse_handshake(mut stream: TcpStream) {
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
pub(super) struct Caller {
    pub(super) shared: Arc<Shared>,
    pub(super) machine: Option<u32>,
    pub(super) remote: SocketAddr,
}

/// Why a connection is broken off on purpose.
#[derive(Debug, thiserror::Error)]
#[error("the simulated BMC breaks the connection")]
pub(super) struct BrokenOff;

impl Caller {
    pub(super) async fn serve_tls(self, stream: TcpStream, config: Arc<rustls::ServerConfig>) {
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

    pub(super) async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
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
