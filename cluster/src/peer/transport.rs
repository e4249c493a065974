//! Streams between conductors, as a port: TCP in production, the simulator's network in simulation.

pub use super::tls::Proof;
use super::tls::Tls;
use baton_model::port::BoxFuture;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

/// Both directions of a connection.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A boxed [`Stream`].
pub type BoxStream = Box<dyn Stream>;

/// Opens and accepts streams.
pub trait Transport: Send + Sync {
    /// Connects to `host:port`.
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>>;

    /// Whether anything takes connections at `host:port`; nothing is said to it.
    fn knock<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { self.connect(address).await.map(drop) })
    }

    /// Listens on `host:port`.
    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>>;

    /// Completes an accepted stream (the TLS handshake); runs in the connection's own task.
    fn complete(&self, stream: BoxStream) -> BoxFuture<'_, io::Result<BoxStream>>;

    /// As [`Transport::connect`], with what the other end proved of itself.
    fn dial<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<(BoxStream, Proof)>> {
        Box::pin(async move { Ok((self.connect(address).await?, Proof::None)) })
    }

    /// As [`Transport::complete`], with what the other end proved of itself.
    fn admit(&self, stream: BoxStream) -> BoxFuture<'_, io::Result<(BoxStream, Proof)>> {
        Box::pin(async move { Ok((self.complete(stream).await?, Proof::None)) })
    }
}

/// Accepts streams.
pub trait Listener: Send {
    /// The next stream, and whence it comes, for logs.
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, String)>>;

    /// The address listened on, with the port that the system chose if none was given.
    ///
    /// # Errors
    /// The system's.
    fn local_address(&self) -> io::Result<String>;
}

/// TCP, with mutual TLS if certificates are configured.
#[derive(Default)]
pub struct Tcp {
    tls: Option<Tls>,
}

impl Tcp {
    /// Plain TCP, or TLS over it.
    #[must_use]
    pub const fn new(tls: Option<Tls>) -> Self {
        Self { tls }
    }
}

impl Transport for Tcp {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move { Ok(self.dial(address).await?.0) })
    }

    fn knock<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move { TcpStream::connect(address).await.map(drop) })
    }

    fn dial<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<(BoxStream, Proof)>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            // Raft's messages are small and waited for.
            stream.set_nodelay(true)?;
            match &self.tls {
                None => Ok((Box::new(stream) as BoxStream, Proof::None)),
                Some(tls) => tls.connect(address, stream).await,
            }
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            Ok(Box::new(TcpAcceptor(listener)) as Box<dyn Listener>)
        })
    }

    fn complete(&self, stream: BoxStream) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move { Ok(self.admit(stream).await?.0) })
    }

    fn admit(&self, stream: BoxStream) -> BoxFuture<'_, io::Result<(BoxStream, Proof)>> {
        Box::pin(async move {
            match &self.tls {
                None => Ok((stream, Proof::None)),
                Some(tls) => tls.accept(stream).await,
            }
        })
    }
}

struct TcpAcceptor(TcpListener);

impl Listener for TcpAcceptor {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, String)>> {
        Box::pin(async move {
            let (stream, from) = self.0.accept().await?;
            stream.set_nodelay(true)?;
            Ok((Box::new(stream) as BoxStream, from.to_string()))
        })
    }

    fn local_address(&self) -> io::Result<String> {
        self.0.local_addr().map(|address| address.to_string())
    }
}
