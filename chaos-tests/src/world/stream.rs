//! One end of a simulated connection, and the transport by which a process opens and awaits them.

use super::net::{Connecting, Host, Net};
use baton_cluster::peer::transport::{BoxStream, Listener, Transport};
use baton_model::port::BoxFuture;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The network as one host sees it.
pub struct SimTransport {
    net: Net,
    host: Host,
}

impl SimTransport {
    /// The network as `host` sees it.
    #[must_use]
    pub const fn new(net: Net, host: Host) -> Self {
        Self { net, host }
    }
}

impl Transport for SimTransport {
    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<BoxStream>> {
        Box::pin(async move {
            let connecting = self.net.connect(self.host, address);
            let (read, write) = Dialling(connecting).await?;
            let net = self.net.clone();
            Ok(Box::new(SimStream { net, read, write }) as BoxStream)
        })
    }

    fn listen<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async move {
            let door = self.net.listen(self.host, address);
            Ok(Box::new(SimListener {
                net: self.net.clone(),
                address: address.to_owned(),
                door,
            }) as Box<dyn Listener>)
        })
    }

    fn complete(&self, stream: BoxStream) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move { Ok(stream) })
    }
}

struct Dialling(Connecting);

impl Future for Dialling {
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx)
    }
}

struct SimListener {
    net: Net,
    address: String,
    door: u64,
}

impl Listener for SimListener {
    fn accept(&mut self) -> BoxFuture<'_, io::Result<(BoxStream, String)>> {
        Box::pin(async move {
            let (from, read, write) =
                std::future::poll_fn(|cx| self.net.poll_accept(&self.address, self.door, cx))
                    .await?;
            let net = self.net.clone();
            let stream = Box::new(SimStream { net, read, write }) as BoxStream;
            Ok((stream, format!("conductor {from}")))
        })
    }

    fn local_address(&self) -> io::Result<String> {
        Ok(self.address.clone())
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        self.net.close_door(&self.address, self.door);
    }
}

struct SimStream {
    net: Net,
    read: u64,
    write: u64,
}

impl AsyncRead for SimStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.net.poll_read(self.read, cx, buf)
    }
}

impl AsyncWrite for SimStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.net.poll_write(self.write, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.net.finish(self.write);
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimStream {
    fn drop(&mut self) {
        self.net.hang_up(self.read, self.write);
    }
}
