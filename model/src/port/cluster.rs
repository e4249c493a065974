//! The cluster port: how actors and the API change and read the replicated state. Implemented by `baton-cluster`.

use super::BoxFuture;
use crate::command::{Command, Reply};
use crate::ids::LogIndex;
use crate::state::Change;

/// Why a proposal or a read barrier gave no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProposeError {
    /// It was certainly not applied: there is no leader to be reached, or the queue is full. Retry is safe.
    #[error("the cluster cannot take changes now: {reason}")]
    Unavailable {
        /// What is missing, such as `no leader` or `too many proposals in flight`.
        reason: Box<str>,
    },
    /// It may or may not have been applied: no answer came in time.
    #[error("it is not known whether the change was made: {reason}")]
    Unknown {
        /// What was waited for.
        reason: Box<str>,
    },
}

/// Proposes commands from any member; the leader is found and retried inside, within a bounded time.
pub trait Proposer: Send + Sync {
    /// Proposes `command` and waits until it is applied here, so that a read that follows sees it.
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Reply, ProposeError>>;

    /// Waits until everything that was committed before the call is applied here (a linearizable read barrier).
    fn barrier(&self) -> BoxFuture<'_, Result<(), ProposeError>>;
}

/// Is told, in log order and without being able to delay it, what each applied entry touched. Implementations only
/// note it and return: they are called on the state machine's own task. After a snapshot was installed, `reset` says
/// that anything may have changed.
pub trait ChangeSink: Send + Sync {
    /// The entry at `index` touched these records.
    fn applied(&self, index: LogIndex, changes: &[Change]);

    /// The whole state was replaced.
    fn reset(&self, index: LogIndex);
}
