//! The way into the pool.
//!
//! What somebody waits for goes straight to the actor's mailbox. Periodic reads, which node actors ask for by the dozen
//! within a millisecond or two of each beat, gather beside it and wake the pool once. The invariant: what a node asked for
//! here is heard before its later [`Cancel`](super::Cancel), [`Forget`](super::Forget) or
//! [`CredentialsChanged`](super::CredentialsChanged).

use super::{MAILBOX, Submit, SyncPoolActor};
use actix::dev::ToEnvelope;
use actix::prelude::SendError;
use actix::{Addr, Handler, MailboxError, Message};
use baton_model::ids::NodeId;
use baton_model::pool::{Job, Priority, Work};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Questions are there to be fetched.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Gathered;

/// The pool has no room for another question.
#[derive(Debug, thiserror::Error)]
#[error("the sync pool was too busy to take the question")]
pub struct PoolBusy;

/// Periodic reads on their way to the pool. As many fit as messages into its mailbox.
#[derive(Default)]
pub(super) struct Gathering(Mutex<VecDeque<Submit>>);

impl Gathering {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Submit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// The first `most` of them.
    pub(super) fn take(&self, most: usize) -> Vec<Submit> {
        let mut waiting = self.lock();
        let count = waiting.len().min(most);
        waiting.drain(..count).collect()
    }

    /// Those of one node.
    pub(super) fn take_of(&self, node: NodeId) -> Vec<Submit> {
        let mut waiting = self.lock();
        let (theirs, others) = waiting
            .drain(..)
            .partition(|submit| submit.job.node == node);
        *waiting = others;
        drop(waiting);
        Vec::from(theirs)
    }
}

/// Whether nobody waits for the end of this job.
pub(super) const fn is_periodic(job: &Job) -> bool {
    matches!(
        (job.work, job.priority),
        (Work::PowerQuery, Priority::Sync | Priority::Recovery)
    )
}

/// The pool's address.
#[derive(Clone)]
pub struct PoolAddr {
    actor: Addr<SyncPoolActor>,
    gathering: Arc<Gathering>,
}

impl PoolAddr {
    pub(super) const fn new(actor: Addr<SyncPoolActor>, gathering: Arc<Gathering>) -> Self {
        Self { actor, gathering }
    }

    /// Asks for one conversation with a BMC.
    ///
    /// # Errors
    /// [`PoolBusy`] if the pool has no room for it.
    pub fn submit(&self, submit: Submit) -> Result<(), PoolBusy> {
        if !is_periodic(&submit.job) {
            return self.actor.try_send(submit).map_err(|_| PoolBusy);
        }
        let mut waiting = self.gathering.lock();
        if waiting.len() >= MAILBOX || !self.actor.connected() {
            return Err(PoolBusy);
        }
        // Said before the lock is let go: whoever comes next relies on it.
        if waiting.is_empty() && self.actor.try_send(Gathered).is_err() {
            return Err(PoolBusy);
        }
        waiting.push_back(submit);
        drop(waiting);
        Ok(())
    }

    /// Tells the pool something, if it has room for that.
    ///
    /// # Errors
    /// The message, if there was none.
    pub fn try_send<M>(&self, message: M) -> Result<(), SendError<M>>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SyncPoolActor: Handler<M>,
        <SyncPoolActor as actix::Actor>::Context: ToEnvelope<SyncPoolActor, M>,
    {
        self.actor.try_send(message)
    }

    /// Asks the pool something.
    ///
    /// # Errors
    /// The pool is gone.
    pub async fn send<M>(&self, message: M) -> Result<M::Result, MailboxError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SyncPoolActor: Handler<M>,
        <SyncPoolActor as actix::Actor>::Context: ToEnvelope<SyncPoolActor, M>,
    {
        self.actor.send(message).await
    }
}
