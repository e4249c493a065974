//! The answering end: accepts connections, checks who calls, and answers many questions at a time on each.

use super::frame::{self, Message};
use super::transport::{BoxStream, Listener, Transport};
use crate::codec::peer::{
    Hello, PROTOCOL, Purpose, Request, Response, Welcome, decode_message, encode_message,
};
use crate::raft::types::RaftId;
use baton_model::port::BoxFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Connections at a time: five purposes of some two hundred peers.
const CONNECTIONS_MAX: usize = 1024;

/// Questions in work on one connection; beyond it nothing more is read from it.
const IN_WORK_MAX: usize = 1024;

/// A caller that has not said who it is after this long is gone or a stranger.
const GREETING_LIMIT: Duration = Duration::from_secs(5);

/// Pause after a failed accept; the usual cause is that no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Buffer of either direction.
const BUFFER: usize = 64 << 10;

/// A caller that has said who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Its id; zero for a stranger.
    pub id: RaftId,
    /// What its connection is for.
    pub purpose: Purpose,
    /// The number that its process drew.
    pub life: u64,
}

/// Answers.
pub trait Answer: Send + Sync {
    /// Whether to talk to this caller. It may take a look at the caller's own address.
    fn greet<'a>(&'a self, hello: &'a Hello) -> BoxFuture<'a, Welcome>;

    /// Answers one question. The caller may be gone by then; the work is done all the same.
    fn answer(&self, caller: Caller, request: Request) -> BoxFuture<'_, Response>;
}

/// What the answering end needs.
pub struct Server {
    /// Completes accepted streams.
    pub transport: Arc<dyn Transport>,
    /// Answers.
    pub answer: Arc<dyn Answer>,
    /// Owns the connections' tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Server {
    /// Accepts until stopped, and hands the listener back.
    pub async fn run(self, mut listener: Box<dyn Listener>) -> Box<dyn Listener> {
        let server = Arc::new(self);
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                biased;
                () = server.stop.cancelled() => return listener,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, from)) => {
                    let Ok(permit) = connections.clone().try_acquire_owned() else {
                        tracing::warn!(from, "refused a peer connection: too many are open");
                        continue;
                    };
                    let serving = server.clone();
                    server.tasks.spawn(async move {
                        let served = tokio::select! {
                            biased;
                            () = serving.stop.cancelled() => Ok(()),
                            served = serving.serve(stream) => served,
                        };
                        if let Err(error) = served {
                            tracing::debug!(from, %error, "a peer's connection ended");
                        }
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a peer's connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn serve(&self, stream: BoxStream) -> io::Result<()> {
        let greeted = tokio::time::timeout(GREETING_LIMIT, self.greet(stream)).await;
        let (stream, caller) = greeted.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let (reader, writer) = tokio::io::split(stream);
        let mut reader = BufReader::with_capacity(BUFFER, reader);
        let mut writer = BufWriter::with_capacity(BUFFER, writer);
        let (answers, mut queue) = mpsc::channel::<Message>(IN_WORK_MAX);
        let in_work = Arc::new(Semaphore::new(IN_WORK_MAX));
        let incoming = async {
            loop {
                let message = frame::read(&mut reader).await?;
                let request: Request = decode_message(&message.body)?;
                let Ok(permit) = in_work.clone().acquire_owned().await else {
                    return Ok(());
                };
                let answer = self.answer.clone();
                let answers = answers.clone();
                self.tasks.spawn(async move {
                    let response = answer.answer(caller, request).await;
                    let body = encode_message(&response)
                        .or_else(|error| encode_message(&Response::Failed(error.to_string())))
                        .unwrap_or_default();
                    let number = message.number;
                    // The caller may be gone.
                    drop(answers.send(Message { number, body }).await);
                    drop(permit);
                });
            }
        };
        let outgoing = async {
            while let Some(message) = queue.recv().await {
                frame::write(&mut writer, &message).await?;
                while let Ok(message) = queue.try_recv() {
                    frame::write(&mut writer, &message).await?;
                }
                writer.flush().await?;
            }
            Ok(())
        };
        tokio::select! {
            biased;
            ended = outgoing => ended,
            ended = incoming => ended,
        }
    }

    async fn greet(&self, stream: BoxStream) -> io::Result<(BoxStream, Caller)> {
        let (mut stream, proof) = self.transport.admit(stream).await?;
        let message = frame::read(&mut stream).await?;
        let hello: Hello = decode_message(&message.body)?;
        let welcome = if let Err(reason) = proof.check(&hello.host) {
            Welcome::Refused {
                reason,
                twin: false,
            }
        } else if hello.protocol == PROTOCOL {
            self.answer.greet(&hello).await
        } else {
            Welcome::Refused {
                reason: format!(
                    "it speaks protocol {PROTOCOL}, the caller {}; run one version of baton, or two that follow each other",
                    hello.protocol
                ),
                twin: false,
            }
        };
        let body = encode_message(&welcome)?;
        frame::write(&mut stream, &Message { number: 0, body }).await?;
        stream.flush().await?;
        match welcome {
            Welcome::Accepted { .. } => {
                let caller = Caller {
                    id: hello.from,
                    purpose: hello.purpose,
                    life: hello.life,
                };
                Ok((stream, caller))
            }
            Welcome::Refused { reason, .. } => {
                tracing::warn!(conductor = hello.from, reason, "refused a peer");
                Err(io::Error::new(io::ErrorKind::ConnectionRefused, reason))
            }
        }
    }
}
