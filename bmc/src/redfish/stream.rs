//! A connection to a BMC: TCP, with TLS where the address says `https`.

use super::tls::{self, TicketSlot, TlsConfigs};
use baton_model::driver::redfish::RedfishTarget;
use rustls::HandshakeKind;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Most addresses of one host name that are tried; two families with one spare each.
const ADDRESSES_MAX: usize = 4;

/// An open connection. Counts itself among the open ones for as long as it lives.
pub(super) struct Stream {
    io: Io,
    _counted: Counted,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// One place in the count of open connections.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why no connection could be made.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// This process has no file descriptor left.
    NoDescriptors,
    /// No TCP connection, in the system's words.
    Unreachable(String),
    /// The connection broke during the handshake, as it does while a BMC starts.
    Broken(String),
    /// TLS does not agree or the certificate is not accepted.
    Tls(String),
    /// The target cannot be used as it is configured.
    Misconfigured(String),
}

/// Where an origin points.
pub(super) struct Endpoint<'a> {
    /// Whether TLS is spoken.
    pub(super) tls: bool,
    /// Host name or address, without brackets.
    pub(super) host: &'a str,
    /// Port, the scheme's if the origin has none.
    pub(super) port: u16,
    /// `host[:port]` as written, for the `Host` header and for messages.
    pub(super) authority: &'a str,
}

impl<'a> Endpoint<'a> {
    /// Takes an origin apart; `driver_info` was checked, so odd ones only end in a host that nobody knows.
    pub(super) fn of(target: &'a RedfishTarget) -> Self {
        let (scheme, authority) = target
            .origin
            .split_once("://")
            .unwrap_or(("https", &target.origin));
        let tls = scheme != "http";
        let default_port = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(literal) => {
                let (host, after) = literal.split_once(']').unwrap_or((literal, ""));
                (host, after.strip_prefix(':'))
            }
            None => match authority.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = port
            .and_then(|port| port.parse().ok())
            .unwrap_or(default_port);
        Self {
            tls,
            host,
            port,
            authority,
        }
    }
}

/// What a connection is made with.
pub(super) struct Connector<'a> {
    pub(super) tls: &'a TlsConfigs,
    pub(super) tickets: &'a Arc<TicketSlot>,
    pub(super) open: &'a Arc<AtomicUsize>,
    pub(super) timeout: Duration,
}

impl Connector<'_> {
    /// Connects and shakes hands. Second value: how the handshake went, `None` without TLS.
    pub(super) async fn connect(
        &self,
        target: &RedfishTarget,
    ) -> Result<(Stream, Option<HandshakeKind>), ConnectError> {
        let endpoint = Endpoint::of(target);
        let tcp = tokio::time::timeout(self.timeout, connect_tcp(&endpoint))
            .await
            .map_err(|_elapsed| {
                ConnectError::Unreachable(format!(
                    "no TCP connection within {} ms",
                    self.timeout.as_millis()
                ))
            })??;
        // A power command is one small packet; it must not wait for the next one.
        tcp.set_nodelay(true)
            .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let counted = Counted::new(self.open);
        if !endpoint.tls {
            let io = Io::Plain(tcp);
            return Ok((
                Stream {
                    io,
                    _counted: counted,
                },
                None,
            ));
        }
        let shared = self
            .tls
            .get(&target.verify_ca, target.tls_minimum)
            .await
            .map_err(ConnectError::Misconfigured)?;
        let name = ServerName::try_from(endpoint.host)
            .map_err(|error| ConnectError::Misconfigured(format!("redfish_address: {error}")))?
            .to_owned();
        // Cloning shares everything but the place where this BMC's ticket is kept.
        let mut config = (*shared).clone();
        let store: Arc<TicketSlot> = Arc::clone(self.tickets);
        config.resumption = Resumption::store(store);
        let tls = TlsConnector::from(Arc::new(config))
            .connect(name, tcp)
            .await
            .map_err(|error| {
                self.tls.forget(&target.verify_ca, target.tls_minimum);
                tls::explain(&error, target)
            })?;
        let kind = tls.get_ref().1.handshake_kind();
        let io = Io::Tls(Box::new(tls));
        Ok((
            Stream {
                io,
                _counted: counted,
            },
            kind,
        ))
    }
}

/// Connects to the first address that answers.
async fn connect_tcp(endpoint: &Endpoint<'_>) -> Result<TcpStream, ConnectError> {
    if let Ok(address) = endpoint.host.parse::<IpAddr>() {
        return TcpStream::connect(SocketAddr::new(address, endpoint.port))
            .await
            .map_err(|error| tcp_error(&error));
    }
    let found = tokio::net::lookup_host((endpoint.host, endpoint.port))
        .await
        .map_err(|error| {
            ConnectError::Unreachable(format!("the name does not resolve: {error}"))
        })?;
    let mut last = ConnectError::Unreachable("the name resolves to no address".to_owned());
    for address in found.take(ADDRESSES_MAX) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = tcp_error(&error),
        }
    }
    Err(last)
}

/// `EMFILE` and `ENFILE` are our trouble, not the BMC's.
fn tcp_error(error: &io::Error) -> ConnectError {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match error.raw_os_error() {
        Some(ENFILE | EMFILE) => ConnectError::NoDescriptors,
        Some(_) | None => ConnectError::Unreachable(error.to_string()),
    }
}

impl Stream {
    /// Whether the connection can carry a request: open, and nothing unasked-for has arrived. Costs no system call while
    /// the socket is quiet. TLS housekeeping (tickets) that has arrived is taken in.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut byte = [0_u8; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut cx, &mut buffer).is_pending()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_read(cx, buffer),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write(cx, bytes),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, slices),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Io::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_model::driver::redfish::parse;
    use baton_model::ids::NodeId;

    #[test]
    fn takes_origins_apart() {
        for (address, tls, host, port, authority) in [
            ("h", true, "h", 443, "h"),
            ("http://h", false, "h", 80, "h"),
            (
                "https://1.2.3.4:8443",
                true,
                "1.2.3.4",
                8443,
                "1.2.3.4:8443",
            ),
            ("fd00::1", true, "fd00::1", 443, "[fd00::1]"),
            ("http://[::1]:8000", false, "::1", 8000, "[::1]:8000"),
        ] {
            let info = serde_json::json!({ "redfish_address": address });
            let target = parse(NodeId(uuid::Uuid::nil()), info.as_object().expect("object"))
                .expect("valid address");
            let endpoint = Endpoint::of(&target);
            assert_eq!(
                (
                    endpoint.tls,
                    endpoint.host,
                    endpoint.port,
                    endpoint.authority
                ),
                (tls, host, port, authority)
            );
        }
    }
}
