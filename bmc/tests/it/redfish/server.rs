//! A small HTTP server whose every byte is up to the test. It records what it was asked.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Lower-case names.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// `GET /path`.
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What to do about a request.
pub(crate) enum Reply {
    /// Send these bytes and wait for the next request.
    Bytes(Vec<u8>),
    /// Send these bytes and close.
    Last(Vec<u8>),
    /// Say nothing.
    Hang,
    /// Send one byte at a time, with pauses, for ever.
    Drip(Vec<u8>),
}

/// A well-formed answer.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
    let mut text = format!(
        "HTTP/1.1 {status} Some Words\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    Reply::Bytes(text.into_bytes())
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// A running server. Ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<AtomicUsize>,
    busy: Arc<AtomicUsize>,
    pub(crate) busiest: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn plain(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(None, handler).await
    }

    pub(crate) async fn tls(
        acceptor: TlsAcceptor,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(Some(acceptor), handler).await
    }

    async fn start(
        acceptor: Option<TlsAcceptor>,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let scheme = if acceptor.is_some() { "https" } else { "http" };
        let server = Self {
            origin: format!("{scheme}://{address}"),
            seen: Arc::default(),
            connections: Arc::default(),
            busy: Arc::default(),
            busiest: Arc::default(),
        };
        let (seen, connections) = (Arc::clone(&server.seen), Arc::clone(&server.connections));
        let (busy, busiest) = (Arc::clone(&server.busy), Arc::clone(&server.busiest));
        let handler: Arc<Handler> = Arc::new(handler);
        tokio::spawn(async move {
            loop {
                let Ok((tcp, _)) = listener.accept().await else {
                    return;
                };
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                let (busy, busiest) = (Arc::clone(&busy), Arc::clone(&busiest));
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let io: Pin<Box<dyn Io>> = match acceptor {
                        None => Box::pin(tcp),
                        Some(acceptor) => match acceptor.accept(tcp).await {
                            Ok(tls) => Box::pin(tls),
                            Err(_) => return,
                        },
                    };
                    serve(io, &seen, &handler, &busy, &busiest).await;
                });
            }
        });
        server
    }

    /// Everything asked since the last call.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect("not poisoned"))
    }

    /// The request lines since the last call.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.take_seen().iter().map(Seen::line).collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

trait Io: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Io for T {}

async fn serve(
    mut io: Pin<Box<dyn Io>>,
    seen: &Mutex<Vec<Seen>>,
    handler: &Arc<Handler>,
    busy: &AtomicUsize,
    busiest: &AtomicUsize,
) {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read_request(&mut io, &mut buffer).await else {
            return;
        };
        let now = busy.fetch_add(1, Ordering::SeqCst) + 1;
        busiest.fetch_max(now, Ordering::SeqCst);
        seen.lock().expect("not poisoned").push(request.clone());
        tokio::task::yield_now().await;
        let reply = handler(&request);
        busy.fetch_sub(1, Ordering::SeqCst);
        match reply {
            Reply::Bytes(bytes) => {
                if io.write_all(&bytes).await.is_err() || io.flush().await.is_err() {
                    return;
                }
            }
            Reply::Last(bytes) => {
                let sent = async {
                    io.write_all(&bytes).await?;
                    io.shutdown().await
                };
                drop(sent.await);
                return;
            }
            Reply::Hang => std::future::pending().await,
            Reply::Drip(bytes) => {
                for byte in bytes {
                    if io.write_all(&[byte]).await.is_err() || io.flush().await.is_err() {
                        return;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                std::future::pending().await
            }
        }
    }
}

async fn read_request(io: &mut Pin<Box<dyn Io>>, buffer: &mut Vec<u8>) -> Option<Seen> {
    let mut chunk = [0_u8; 4096];
    let head_end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let read = io.read(&mut chunk).await.ok()?;
        if read == 0 {
            return None;
        }
        buffer.extend_from_slice(&chunk[..read]);
    };
    let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
    buffer.drain(..head_end + 4);
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .and_then(|(_, value)| value.parse().ok())
        .unwrap_or(0);
    while buffer.len() < length {
        let read = io.read(&mut chunk).await.ok()?;
        if read == 0 {
            return None;
        }
        buffer.extend_from_slice(&chunk[..read]);
    }
    let body = String::from_utf8_lossy(&buffer[..length]).into_owned();
    buffer.drain(..length);
    Some(Seen {
        method,
        path,
        headers,
        body,
    })
}
