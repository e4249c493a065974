//! The one owner of an engine: it takes everything queued, writes it in one batch, syncs once, then reports to all.
//!
//! Order is the contract. Votes, log entries and state reach the disk in the order in which they were submitted, so
//! a crash loses a suffix and never a middle. The first failure of any kind is final: it is published as [`Fatal`],
//! every later submission fails, and the process is expected to exit. A retried fsync may report success for data
//! that is gone.

use super::{Chunked, Durability, Engine, Gauge, KvError, Op, Tree, Visit};
use crate::watch;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Submissions that may wait. Raft has few in flight; a full queue makes the submitter wait, it loses nothing.
const QUEUE_MAX: usize = 1024;

/// Operations in one group. A batch this size takes about 40 ms, which bounds what one sync can delay.
const GROUP_OPS_MAX: usize = 4096;

/// Called once with the outcome of a durable write.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Why the process must end: its storage or its consensus core can no longer be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}{}", if *expelled { "" } else { "; exit, and let the service manager start the conductor again" })]
pub struct Fatal {
    /// What failed, with its cause; or why the cluster does not take this process for a member.
    pub what: Arc<str>,
    /// The cluster does not take this process for a member. To start it again does not help.
    pub expelled: bool,
}

/// Where the first fatal error is published.
#[derive(Clone)]
pub struct FatalSender(Arc<watch::Sender<Option<Fatal>>>);

impl FatalSender {
    /// An empty place.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Publishes what failed, unless something was published before.
    pub fn report(&self, what: String) {
        self.publish(what, false);
    }

    /// Publishes why the cluster does not take this process for a member, unless something was published before.
    pub fn expel(&self, why: String) {
        self.publish(why, true);
    }

    fn publish(&self, what: String, expelled: bool) {
        self.0.send_if_modified(|current| {
            if current.is_some() {
                return false;
            }
            tracing::error!(error = %what, "this conductor must exit");
            *current = Some(Fatal {
                what: what.into(),
                expelled,
            });
            true
        });
    }

    /// Follows the place.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Fatal>> {
        self.0.subscribe()
    }
}

impl Default for FatalSender {
    fn default() -> Self {
        Self::new()
    }
}

/// One submission.
struct Job {
    ops: Vec<Op>,
    /// Who waits for it to be durable.
    done: Option<Done>,
    /// Everything submitted earlier must be durable before this is written.
    after_sync: bool,
}

/// Handle on the writer. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    backend: Backend,
    fatal: FatalSender,
    gauge: Gauge,
}

type Owned = Chunked<Box<dyn Engine>>;

enum Backend {
    Thread {
        queue: mpsc::Sender<Message>,
        thread: Mutex<Option<JoinHandle<()>>>,
    },
    /// For simulation: no thread, since one that runs beside simulated time would make the clock run away.
    Inline(Mutex<Worker>),
}

enum Message {
    Job(Job),
    Drained(oneshot::Sender<()>),
    Stop,
}

/// Both trees of a store while it is being opened.
pub struct Opening(Owned);

impl Opening {
    /// Begins with an engine just opened.
    #[must_use]
    pub fn new(engine: Box<dyn Engine>) -> Self {
        Self(Chunked::new(engine))
    }

    /// Visits a tree. Both must have been visited before [`Opening::start`].
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load(&mut self, tree: Tree, visit: &mut Visit<'_>) -> Result<(), KvError> {
        self.0.load(tree, visit)
    }

    /// Removes what a load found to be left over, before anything else is written.
    ///
    /// # Errors
    /// As [`Engine::write`].
    pub fn clean(&mut self, ops: Vec<Op>) -> Result<(), KvError> {
        if ops.is_empty() {
            return Ok(());
        }
        self.0.write(ops, Durability::Synced)
    }

    /// Starts the writer thread.
    ///
    /// # Errors
    /// The system's refusal to start a thread.
    pub fn start(self, fatal: FatalSender) -> io::Result<Store> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let mut worker = Worker::new(self.0, fatal.clone());
        let gauge = worker.engine.gauge();
        let thread = std::thread::Builder::new()
            .name("baton-store".to_owned())
            .spawn(move || worker.run(jobs))?;
        Ok(Store(Arc::new(Shared {
            backend: Backend::Thread {
                queue,
                thread: Mutex::new(Some(thread)),
            },
            fatal,
            gauge,
        })))
    }

    /// A store that writes in the caller's own task. For simulation only.
    #[must_use]
    pub fn inline(self, fatal: FatalSender) -> Store {
        let worker = Worker::new(self.0, fatal.clone());
        let gauge = worker.engine.gauge();
        Store(Arc::new(Shared {
            backend: Backend::Inline(Mutex::new(worker)),
            fatal,
            gauge,
        }))
    }
}

fn stopped() -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        "the store failed earlier or was closed; see the first error",
    )
}

impl Store {
    /// Queues a write that need not be durable yet.
    ///
    /// # Errors
    /// If the store failed or was closed.
    pub async fn write(&self, ops: Vec<Op>) -> io::Result<()> {
        self.submit(ops, None, false).await
    }

    /// Queues a write that happens only once everything before it is durable.
    ///
    /// # Errors
    /// If the store failed or was closed.
    pub async fn write_after_sync(&self, ops: Vec<Op>) -> io::Result<()> {
        self.submit(ops, None, true).await
    }

    /// Queues a write and calls `done` once it is durable, or has failed.
    ///
    /// # Errors
    /// If the store failed or was closed; `done` is then called with an error or dropped.
    pub async fn write_then(&self, ops: Vec<Op>, done: Done) -> io::Result<()> {
        self.submit(ops, Some(done), false).await
    }

    /// Writes and waits until it is durable.
    ///
    /// # Errors
    /// If the write failed, now or earlier.
    pub async fn write_durably(&self, ops: Vec<Op>) -> io::Result<()> {
        let (send, receive) = oneshot::channel();
        let done: Done = Box::new(move |outcome| {
            // Whoever waited may have given up; the write stands all the same.
            drop(send.send(outcome));
        });
        self.write_then(ops, done).await?;
        receive.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn submit(&self, ops: Vec<Op>, done: Option<Done>, after_sync: bool) -> io::Result<()> {
        let job = Job {
            ops,
            done,
            after_sync,
        };
        match &self.0.backend {
            Backend::Thread { queue, .. } => {
                queue.send(Message::Job(job)).await.map_err(|_| stopped())
            }
            Backend::Inline(worker) => {
                let dones = {
                    let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
                    worker.group(vec![job])
                };
                dones.report();
                Ok(())
            }
        }
    }

    /// Bytes taken on disk. Lists a directory of some files.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        (self.0.gauge)()
    }

    /// Waits until everything queued so far has been written, though not necessarily synced.
    pub async fn drained(&self) {
        if let Backend::Thread { queue, .. } = &self.0.backend {
            let (send, receive) = oneshot::channel();
            if queue.send(Message::Drained(send)).await.is_ok() {
                // An error means that the thread ended, and with it all writing.
                drop(receive.await);
            }
        }
    }

    /// Where the first failure is published.
    #[must_use]
    pub fn fatal(&self) -> FatalSender {
        self.0.fatal.clone()
    }

    /// Makes everything durable, closes the engine and joins the thread. Later submissions fail.
    pub async fn close(&self) {
        match &self.0.backend {
            Backend::Thread { queue, thread } => {
                // An error means that the thread is gone already.
                drop(queue.send(Message::Stop).await);
                let handle = thread.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(handle) = handle {
                    // The thread is at its last sync; waiting for it must not hold up this runtime.
                    let joined = tokio::task::spawn_blocking(move || handle.join()).await;
                    if !matches!(joined, Ok(Ok(()))) {
                        self.0
                            .fatal
                            .report("the store's thread panicked".to_owned());
                    }
                }
            }
            Backend::Inline(worker) => {
                let mut worker = worker.lock().unwrap_or_else(PoisonError::into_inner);
                worker.finish();
                worker.failed = true;
            }
        }
    }
}

/// What the writer thread owns.
struct Worker {
    engine: Owned,
    /// Something was written since the last sync.
    dirty: bool,
    fatal: FatalSender,
    failed: bool,
}

/// Callbacks to call once no lock is held.
struct Outcome {
    dones: Vec<Done>,
    error: Option<String>,
}

impl Outcome {
    fn report(self) {
        for done in self.dones {
            done(match &self.error {
                None => Ok(()),
                Some(error) => Err(io::Error::other(error.clone())),
            });
        }
    }
}

impl Worker {
    const fn new(engine: Owned, fatal: FatalSender) -> Self {
        Self {
            engine,
            dirty: false,
            fatal,
            failed: false,
        }
    }

    fn run(&mut self, mut queue: mpsc::Receiver<Message>) {
        let mut jobs = Vec::new();
        while let Some(first) = queue.blocking_recv() {
            let mut next = Some(first);
            let mut ops = 0;
            while let Some(message) = next.take() {
                match message {
                    Message::Job(job) => {
                        if job.after_sync && !jobs.is_empty() {
                            self.group(std::mem::take(&mut jobs)).report();
                            ops = 0;
                        }
                        ops += job.ops.len();
                        jobs.push(job);
                    }
                    Message::Drained(reply) => {
                        self.group(std::mem::take(&mut jobs)).report();
                        ops = 0;
                        // Nobody waits for the answer any more if this fails.
                        reply.send(()).ok();
                    }
                    Message::Stop => {
                        self.group(jobs).report();
                        self.finish();
                        return;
                    }
                }
                if ops < GROUP_OPS_MAX {
                    next = queue.try_recv().ok();
                }
            }
            if !jobs.is_empty() {
                self.group(std::mem::take(&mut jobs)).report();
            }
        }
        self.finish();
    }

    /// Writes the operations of all `jobs` at once and syncs if any of them asks for it.
    fn group(&mut self, jobs: Vec<Job>) -> Outcome {
        let after_sync = jobs.first().is_some_and(|job| job.after_sync);
        let mut ops = Vec::with_capacity(jobs.iter().map(|job| job.ops.len()).sum());
        let mut dones = Vec::new();
        for job in jobs {
            ops.extend(job.ops);
            dones.extend(job.done);
        }
        let error = self.commit(ops, after_sync, !dones.is_empty()).err();
        if let Some(error) = &error {
            self.failed = true;
            self.fatal.report(error.clone());
        }
        Outcome { dones, error }
    }

    fn commit(&mut self, ops: Vec<Op>, after_sync: bool, durable: bool) -> Result<(), String> {
        if self.failed {
            return Err(stopped().to_string());
        }
        if after_sync && self.dirty {
            self.engine
                .write(Vec::new(), Durability::Synced)
                .map_err(chain)?;
            self.dirty = false;
        }
        let durability = if durable {
            Durability::Synced
        } else {
            Durability::Buffered
        };
        if ops.is_empty() && !(durable && self.dirty) {
            return Ok(());
        }
        self.engine.write(ops, durability).map_err(chain)?;
        self.dirty = durability == Durability::Buffered;
        Ok(())
    }

    fn finish(&mut self) {
        if !self.failed && self.dirty {
            self.dirty = false;
            if let Err(error) = self.engine.write(Vec::new(), Durability::Synced) {
                self.fatal.report(chain(error));
            }
        }
    }
}

/// The text of an error and of its causes.
fn chain(error: KvError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::mem::MemDisk;
    use super::*;

    fn put(key: u8) -> Vec<Op> {
        vec![Op::Put {
            tree: Tree::Log,
            key: vec![key],
            value: vec![key],
        }]
    }

    fn keys(disk: &MemDisk) -> Vec<u8> {
        let mut found = Vec::new();
        Chunked::new(disk.attach())
            .load(Tree::Log, &mut |key, _| {
                found.extend_from_slice(key);
                Ok(())
            })
            .unwrap();
        found
    }

    fn open(disk: &MemDisk) -> Store {
        let mut opening = Opening::new(Box::new(disk.attach()));
        opening.load(Tree::Log, &mut |_, _| Ok(())).unwrap();
        opening.load(Tree::State, &mut |_, _| Ok(())).unwrap();
        opening.start(FatalSender::new()).unwrap()
    }

    #[tokio::test]
    async fn what_was_reported_durable_survives_a_power_cut() {
        let disk = MemDisk::default();
        let store = open(&disk);
        store.write(put(1)).await.unwrap();
        store.write_durably(put(2)).await.unwrap();
        store.write(put(3)).await.unwrap();
        store.drained().await;
        disk.cut_power(0);
        assert_eq!(keys(&disk), [1, 2]);
    }

    #[tokio::test]
    async fn a_write_after_sync_finds_everything_before_it_durable() {
        let disk = MemDisk::default();
        let store = open(&disk);
        store.write(put(1)).await.unwrap();
        store.write_after_sync(put(2)).await.unwrap();
        store.drained().await;
        disk.cut_power(0);
        assert_eq!(keys(&disk), [1]);
    }

    #[tokio::test]
    async fn the_first_failed_sync_is_final() {
        let disk = MemDisk::default();
        let store = open(&disk);
        let mut fatal = store.fatal().subscribe();
        disk.fail_next_sync();
        assert!(store.write_durably(put(1)).await.is_err());
        assert!(store.write_durably(put(2)).await.is_err());
        let fatal = fatal.wait_for(Option::is_some).await.unwrap().clone();
        assert!(fatal.unwrap().what.contains("sync"));
        disk.cut_power(0);
        assert_eq!(keys(&disk), Vec::<u8>::new());
    }

    #[tokio::test]
    async fn a_full_disk_is_final_and_says_so() {
        let disk = MemDisk::default();
        let store = open(&disk);
        disk.set_full(true);
        assert!(store.write_durably(put(1)).await.is_err());
        disk.set_full(false);
        assert!(store.write_durably(put(2)).await.is_err());
    }

    #[tokio::test]
    async fn closing_makes_everything_durable() {
        let disk = MemDisk::default();
        let store = open(&disk);
        store.write(put(9)).await.unwrap();
        store.close().await;
        disk.cut_power(0);
        assert_eq!(keys(&disk), [9]);
        assert!(store.write_durably(put(1)).await.is_err());
    }
}
