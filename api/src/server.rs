//! The socket side: accepts connections, serves HTTP/1.1 and HTTP/2 on them, and stops gracefully.

use crate::tls::Certificate;
use axum::response::Response;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Limits of one listener.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Speak TLS with this certificate.
    pub tls: Option<Arc<Certificate>>,
    /// Connections served at once; further ones wait in the system's accept queue.
    pub connections_max: usize,
    /// How long a client may take to send a request's head, so that idle half-open clients do not pile up.
    pub header_timeout: Duration,
    /// How long running requests may take to end at shutdown before their connections are cut.
    pub drain: Duration,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            tls: None,
            // A fleet's worth of compute services and operators; each idle connection costs about 20 KiB.
            connections_max: 4096,
            header_timeout: Duration::from_secs(30),
            drain: Duration::from_secs(10),
        }
    }
}

/// Pause after a failed `accept`, which mostly means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Largest request head; cookies and tokens of a federated Keystone reach 16 KiB.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Between the last connection and the end of idle ones, when the process stops: a request that is on its way arrives.
const LINGER: Duration = Duration::from_millis(200);

/// Serves `answer` on a listener until `shutdown` ends, then lets running requests finish.
pub async fn serve<F, A, S>(listener: TcpListener, answer: F, options: ServeOptions, shutdown: S)
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
    S: Future<Output = ()> + Send,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(options.header_timeout));
    let graceful = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(options.connections_max));
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Reap what has ended, so that the set does not grow.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection; check the limit of open files");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let answer = answer.clone();
        let service = service_fn(move |request| {
            let answering = answer(request);
            async move { Ok::<_, Infallible>(answering.await) }
        });
        let acceptor = options
            .tls
            .as_ref()
            .map(|certificate| certificate.acceptor());
        let (watcher, builder) = (graceful.watcher(), builder.clone());
        let handshake_timeout = options.header_timeout;
        connections.spawn(async move {
            let outcome = match acceptor {
                None => {
                    let connection = builder.serve_connection(TokioIo::new(stream), service);
                    watcher.watch(connection.into_owned()).await
                }
                Some(acceptor) => match timeout(handshake_timeout, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let connection = builder.serve_connection(TokioIo::new(stream), service);
                        watcher.watch(connection.into_owned()).await
                    }
                    Ok(Err(error)) => Err(error.into()),
                    Err(late) => Err(late.into()),
                },
            };
            if let Err(error) = outcome {
                tracing::debug!(error, "a client connection ended with an error");
            }
            drop(permit);
        });
    }
    drop(listener);
    // Whoever has just connected gets to say what he wants: an idle connection is closed without a word.
    sleep(LINGER).await;
    if timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "requests were still running when the drain time was over; their connections are cut"
        );
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}
