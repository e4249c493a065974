//! The asking end: one connection to one peer for one purpose, opened when needed and opened again when lost.

use super::Local;
use super::frame::{self, Message};
use super::lives::Lives;
use super::transport::{BoxStream, Proof, Transport};
use crate::codec::peer::{
    Hello, PROTOCOL, Purpose, Request, Response, Welcome, decode_message, encode_message,
};
use crate::kv::writer::FatalSender;
use crate::raft::types::{Member, RaftId};
use baton_model::ids::Incarnation;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader, BufWriter};
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Questions waiting to be written on one connection; a full queue makes the asker wait within its own time limit.
const QUEUE_MAX: usize = 1024;

/// Buffer of either direction: a batch of answers to small questions in one system call.
const BUFFER: usize = 64 << 10;

/// Why a question got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The peer could not be reached; it has not seen the question.
    #[error("conductor {peer} at {address} cannot be reached: {reason}")]
    Unreachable {
        /// Whom.
        peer: RaftId,
        /// Where.
        address: String,
        /// The system's or the peer's words.
        reason: String,
    },
    /// The question was sent and the answer did not come; the peer may have acted on it.
    #[error("conductor {peer} at {address} did not answer: {reason}")]
    Unanswered {
        /// Whom.
        peer: RaftId,
        /// Where.
        address: String,
        /// What happened to the connection.
        reason: String,
    },
}

type Waiting = BTreeMap<u64, oneshot::Sender<Response>>;

struct Connection {
    outgoing: mpsc::Sender<Message>,
    waiting: Mutex<Option<Waiting>>,
    next: AtomicU64,
    /// Answers received: a connection on which nothing comes while a question times out is taken for dead.
    received: AtomicU64,
    closed: CancellationToken,
}

impl Connection {
    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody who waits for an answer, and lets nobody wait any more.
    fn close(&self) {
        self.closed.cancel();
        drop(self.waiting().take());
    }
}

/// Forgets a question whose asker is gone.
struct Asked<'a> {
    connection: &'a Connection,
    number: u64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.connection.waiting().as_mut() {
            waiting.remove(&self.number);
        }
    }
}

/// What every link of a process shares.
pub struct Dialer {
    /// Opens streams.
    pub transport: Arc<dyn Transport>,
    /// Who we say we are.
    pub local: Local,
    /// Our host name.
    pub host: String,
    /// Which process each peer is.
    pub lives: Arc<Lives>,
    /// Tells who and where a member is; set once the membership is known.
    pub known: OnceLock<Known>,
    /// Where to tell that this process is the second of its conductor and has to end; a stranger is nobody's second.
    pub fatal: Option<FatalSender>,
    /// Owns the connections' tasks.
    pub tasks: TaskTracker,
    /// Ends them.
    pub stop: CancellationToken,
}

impl Dialer {
    /// Who and where a member is, as far as this one knows.
    #[must_use]
    pub fn member(&self, id: RaftId) -> Option<Member> {
        self.known.get().and_then(|known| known(id))
    }
}

/// Tells the host name and the address under which a conductor is known.
pub type Known = Box<dyn Fn(RaftId) -> Option<Member> + Send + Sync>;

/// One connection to one peer for one purpose. Clones share it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    dialer: Arc<Dialer>,
    peer: RaftId,
    address: String,
    purpose: Purpose,
    connection: AsyncMutex<Option<Arc<Connection>>>,
}

impl Link {
    /// A link that connects on its first question.
    #[must_use]
    pub fn new(dialer: Arc<Dialer>, peer: RaftId, address: String, purpose: Purpose) -> Self {
        Self(Arc::new(Inner {
            dialer,
            peer,
            address,
            purpose,
            connection: AsyncMutex::new(None),
        }))
    }

    /// Whom it leads to.
    #[must_use]
    pub fn peer(&self) -> RaftId {
        self.0.peer
    }

    /// Where it leads to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    fn unreachable(&self, reason: impl ToString) -> LinkError {
        LinkError::Unreachable {
            peer: self.0.peer,
            address: self.0.address.clone(),
            reason: reason.to_string(),
        }
    }

    fn unanswered(&self, reason: impl ToString) -> LinkError {
        LinkError::Unanswered {
            peer: self.0.peer,
            address: self.0.address.clone(),
            reason: reason.to_string(),
        }
    }

    /// Asks, and waits at most `limit` for connection and answer together.
    ///
    /// # Errors
    /// [`LinkError::Unreachable`] if the question was certainly not sent, otherwise [`LinkError::Unanswered`].
    pub async fn ask(&self, request: &Request, limit: Duration) -> Result<Response, LinkError> {
        let body = encode_message(request).map_err(|error| self.unreachable(error))?;
        let deadline = tokio::time::Instant::now() + limit;
        let late = || format!("not within {} ms", limit.as_millis());
        let connection = tokio::time::timeout_at(deadline, self.connection())
            .await
            .map_err(|_| self.unreachable(late()))??;
        let (answer, answered) = oneshot::channel();
        let number = connection.next.fetch_add(1, Ordering::Relaxed);
        match connection.waiting().as_mut() {
            Some(waiting) => waiting.insert(number, answer),
            None => return Err(self.unreachable("the connection was lost")),
        };
        let _asked = Asked {
            connection: &connection,
            number,
        };
        let before = connection.received.load(Ordering::Relaxed);
        let message = Message { number, body };
        match tokio::time::timeout_at(deadline, connection.outgoing.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(self.unreachable("the connection was lost")),
            Err(_) => return Err(self.unreachable(late())),
        }
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(_)) => Err(self.unanswered("the connection was lost")),
            Err(_) => {
                if connection.received.load(Ordering::Relaxed) == before {
                    // After a partition TCP itself may take minutes to try again.
                    connection.close();
                }
                Err(self.unanswered(late()))
            }
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>, LinkError> {
        let mut slot = self.0.connection.lock().await;
        if let Some(connection) = slot.as_ref().filter(|open| !open.closed.is_cancelled()) {
            return Ok(connection.clone());
        }
        *slot = None;
        let dialer = &self.0.dialer;
        if dialer.stop.is_cancelled() {
            return Err(self.unreachable("this conductor is stopping"));
        }
        let stream = dialer
            .transport
            .dial(&self.0.address)
            .await
            .map_err(|error| self.unreachable(error))?;
        let stream = self.greet(stream).await?;
        let (outgoing, queue) = mpsc::channel(QUEUE_MAX);
        let connection = Arc::new(Connection {
            outgoing,
            waiting: Mutex::new(Some(Waiting::new())),
            next: AtomicU64::new(1),
            received: AtomicU64::new(0),
            closed: dialer.stop.child_token(),
        });
        dialer.tasks.spawn(carry(stream, queue, connection.clone()));
        *slot = Some(connection.clone());
        Ok(connection)
    }

    async fn greet(&self, (mut stream, proof): (BoxStream, Proof)) -> Result<BoxStream, LinkError> {
        let Local {
            cluster,
            id,
            incarnation,
            life,
        } = self.0.dialer.local;
        let hello = Hello {
            protocol: PROTOCOL,
            purpose: self.0.purpose,
            cluster,
            from: id,
            incarnation,
            life,
            host: self.0.dialer.host.clone(),
            to: self.0.peer,
        };
        let body = encode_message(&hello).map_err(|error| self.unreachable(error))?;
        frame::write(&mut stream, &Message { number: 0, body })
            .await
            .map_err(|error| self.unreachable(error))?;
        stream
            .flush()
            .await
            .map_err(|error| self.unreachable(error))?;
        let answer = frame::read(&mut stream)
            .await
            .map_err(|error| self.unreachable(error))?;
        match decode_message(&answer.body).map_err(|error| self.unreachable(error))? {
            Welcome::Accepted {
                conductor,
                incarnation,
                life,
                host,
            } => {
                proof
                    .check(&host)
                    .map_err(|error| self.unreachable(error))?;
                if self.0.peer != 0 {
                    self.check(conductor, incarnation, life, &host)
                        .map_err(|reason| self.unreachable(reason))?;
                }
                Ok(stream)
            }
            Welcome::Refused { reason, twin } => {
                if let Some(fatal) = self.0.dialer.fatal.as_ref().filter(|_| twin) {
                    fatal.expel(reason.clone());
                }
                Err(self.unreachable(format!("refused: {reason}")))
            }
        }
    }

    /// Whether the one who answers is the one who was wanted.
    fn check(
        &self,
        conductor: RaftId,
        incarnation: Incarnation,
        life: u64,
        host: &str,
    ) -> Result<(), String> {
        if conductor != self.0.peer {
            return Err(format!("conductor {conductor} answers there"));
        }
        let dialer = &self.0.dialer;
        if let Some(known) = dialer.member(conductor)
            && known.host != host
        {
            return Err(format!(
                "{host} answers there, conductor {conductor} is {}",
                known.host
            ));
        }
        dialer.lives.answered(conductor, incarnation, life)
    }
}

/// Carries questions out and answers in until either direction fails.
async fn carry(stream: BoxStream, mut queue: mpsc::Receiver<Message>, connection: Arc<Connection>) {
    let (reader, writer) = tokio::io::split(stream);
    let mut reader = BufReader::with_capacity(BUFFER, reader);
    let mut writer = BufWriter::with_capacity(BUFFER, writer);
    let incoming = async {
        loop {
            let message = frame::read(&mut reader).await?;
            let response: Response = decode_message(&message.body)?;
            connection.received.fetch_add(1, Ordering::Relaxed);
            let asker = connection
                .waiting()
                .as_mut()
                .and_then(|waiting| waiting.remove(&message.number));
            if let Some(asker) = asker {
                // The asker may have given up this very moment.
                drop(asker.send(response));
            }
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
    let ended: io::Result<()> = tokio::select! {
        biased;
        () = connection.closed.cancelled() => Ok(()),
        ended = incoming => ended,
        ended = outgoing => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to a peer was lost");
    }
    connection.close();
}
