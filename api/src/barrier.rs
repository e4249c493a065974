//! How fresh reads are, and one read barrier for many concurrent reads.
//!
//! A read must not return what was true before it was sent. So it waits for a barrier that *starts* after it arrived;
//! all reads that arrive while one barrier runs share the next. Under load the cost of barriers is thus bounded by
//! their round trip, not by the number of reads.

use baton_model::port::cluster::{ProposeError, Proposer};
use futures_util::FutureExt;
use futures_util::future::Shared;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

/// How fresh the answer to one request has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReadPolicy {
    /// Everything acknowledged before the request arrived is seen, through any conductor.
    #[default]
    Linearizable,
    /// What this conductor has applied so far: always answered, possibly old.
    Local,
}

type Turn = Shared<Pin<Box<dyn Future<Output = Result<(), ProposeError>> + Send>>>;

#[derive(Default)]
struct Queue {
    /// The newest barrier: running, finished, or waiting for its predecessor.
    newest: Option<Turn>,
    /// Whether `newest` has not started yet, so that it still serves whoever arrives.
    pending: bool,
}

/// Shares barriers among reads. Dropping a waiting read harms no other.
pub(crate) struct Barriers {
    proposer: Arc<dyn Proposer>,
    queue: Arc<Mutex<Queue>>,
}

impl Barriers {
    pub(crate) fn new(proposer: Arc<dyn Proposer>) -> Self {
        Self {
            proposer,
            queue: Arc::default(),
        }
    }

    /// Waits until the local state is as fresh as `policy` wants.
    pub(crate) async fn wait(&self, policy: ReadPolicy) -> Result<(), ProposeError> {
        match policy {
            ReadPolicy::Local => Ok(()),
            ReadPolicy::Linearizable => self.turn().await,
        }
    }

    fn turn(&self) -> Turn {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if let (true, Some(newest)) = (queue.pending, &queue.newest) {
            return newest.clone();
        }
        let before = queue.newest.take();
        let proposer = Arc::clone(&self.proposer);
        let shared = Arc::clone(&self.queue);
        let turn: Turn = async move {
            if let Some(before) = before {
                // Its result is for those who waited for it; only its end matters here.
                drop(before.await);
            }
            shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pending = false;
            proposer.barrier().await
        }
        .boxed()
        .shared();
        queue.pending = true;
        queue.newest = Some(turn.clone());
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_model::command::{Command, Reply};
    use baton_model::port::BoxFuture;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Semaphore;

    struct Slow {
        started: AtomicU32,
        finish: Semaphore,
    }

    impl Proposer for Slow {
        fn propose(&self, _: Command) -> BoxFuture<'_, Result<Reply, ProposeError>> {
            Box::pin(async {
                Err(ProposeError::Unavailable {
                    reason: "not asked".into(),
                })
            })
        }

        fn barrier(&self) -> BoxFuture<'_, Result<(), ProposeError>> {
            Box::pin(async {
                self.started.fetch_add(1, Ordering::SeqCst);
                self.finish.acquire().await.expect("open").forget();
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn reads_that_arrive_during_a_barrier_share_the_next_one() {
        let slow = Arc::new(Slow {
            started: AtomicU32::new(0),
            finish: Semaphore::new(0),
        });
        let barriers = Barriers::new(Arc::clone(&slow) as Arc<dyn Proposer>);
        let first = barriers.wait(ReadPolicy::Linearizable);
        tokio::pin!(first);
        assert!(first.as_mut().now_or_never().is_none());
        assert_eq!(slow.started.load(Ordering::SeqCst), 1);
        let late: Vec<_> = (0..10)
            .map(|_| Box::pin(barriers.wait(ReadPolicy::Linearizable)))
            .collect();
        let mut late = futures_util::future::join_all(late);
        assert!((&mut late).now_or_never().is_none());
        assert_eq!(
            slow.started.load(Ordering::SeqCst),
            1,
            "not before the first ended"
        );
        slow.finish.add_permits(2);
        assert_eq!(first.await, Ok(()));
        assert!(late.await.into_iter().all(|result| result.is_ok()));
        assert_eq!(slow.started.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_reader_that_gives_up_blocks_nobody() {
        let slow = Arc::new(Slow {
            started: AtomicU32::new(0),
            finish: Semaphore::new(8),
        });
        let barriers = Barriers::new(Arc::clone(&slow) as Arc<dyn Proposer>);
        for _ in 0..3 {
            drop(barriers.wait(ReadPolicy::Linearizable));
            drop(barriers.turn());
        }
        assert_eq!(barriers.wait(ReadPolicy::Linearizable).await, Ok(()));
        assert_eq!(slow.started.load(Ordering::SeqCst), 1);
    }
}
