//! The cluster port: how actors and the API change and read the replicated state. Implemented by `baton-cluster`.

use super::BoxFuture;
use crate::command::{Command, Reply, Session};
use crate::ids::{ConductorId, Incarnation, LogIndex};
use crate::state::Change;
use serde::Serialize;
use uuid::Uuid;

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
    /// A proposal in the entry at `index` touched these records.
    fn applied(&self, index: LogIndex, changes: &[Change]);

    /// The whole state was replaced.
    fn reset(&self, index: LogIndex);
}

/// What a member is in the consensus, as far as the asked conductor knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// Takes proposals.
    Leader,
    /// Votes and follows.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Receives the log without a vote.
    Learner,
}

/// One member of the cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MemberReport {
    /// The conductor.
    pub id: ConductorId,
    /// Its host name.
    pub host: Box<str>,
    /// Where its peers reach it.
    pub address: Box<str>,
    /// Its role.
    pub role: MemberRole,
    /// The last log index known to be on its disk. Only the leader knows it of others.
    pub matched: Option<LogIndex>,
    /// Milliseconds since it was last heard of. The leader hears everybody all the time, the others hear mostly the leader.
    pub heard_ms: Option<u64>,
}

/// The cluster as one member sees it; for operators, never for decisions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ClusterReport {
    /// The cluster's id.
    pub cluster: Uuid,
    /// The member that was asked.
    pub me: ConductorId,
    /// The leader, if it knows one and has heard it a moment ago.
    pub leader: Option<ConductorId>,
    /// The term.
    pub term: u64,
    /// The last index in its log.
    pub last_log: LogIndex,
    /// The last index applied to its state.
    pub applied: LogIndex,
    /// The index that its newest snapshot covers.
    pub snapshot: Option<LogIndex>,
    /// Every member.
    pub members: Vec<MemberReport>,
    /// Bytes that its store takes on disk.
    pub disk_bytes: Option<u64>,
}

/// Tells operators how the cluster is. Implemented by `baton-cluster`; cheap, and never waits for a peer.
pub trait ClusterStatus: Send + Sync {
    /// The cluster as this member sees it now.
    fn report(&self) -> ClusterReport;
}

/// Why an operator's change of the cluster was not made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChangeError {
    /// It makes no sense, or is not safe. Trying again does not help.
    #[error("{0}")]
    Refused(Box<str>),
    /// The cluster could not be reached or did not confirm it in time; it may have been made.
    #[error("{0}")]
    Unavailable(Box<str>),
}

/// The bytes of a backup, in parts.
pub type BackupParts = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// What operators do to the members of a cluster, from any of them. Implemented by `baton-cluster`.
pub trait Members: Send + Sync {
    /// Removes a member for good: one that is down, or with `force` any.
    fn remove(&self, id: ConductorId, force: bool) -> BoxFuture<'_, Result<(), ChangeError>>;

    /// Moves the leadership to this voter, or to the one that is readiest; who leads now.
    fn transfer_leader(
        &self,
        to: Option<ConductorId>,
    ) -> BoxFuture<'_, Result<ConductorId, ChangeError>>;

    /// The replicated state at one log entry. With `stale`, as this member knows it, without asking the others.
    fn backup(&self, stale: bool) -> BoxFuture<'_, Result<BackupParts, ChangeError>>;
}

/// Lets this conductor leave its cluster. Implemented where the process is put together.
pub trait Departure: Send + Sync {
    /// Begins: the process hands its nodes over, is removed from the cluster, and ends.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] if it is the only conductor.
    fn leave(&self) -> Result<(), ChangeError>;
}

/// Why a session was not renewed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RenewError {
    /// The leader could not be reached, or could not prove that it still leads. Try again.
    #[error("the session was not renewed: {0}")]
    Unavailable(Box<str>),
    /// The session was declared over. Its conductor has to begin a new life with a new incarnation.
    #[error("the session is over: another life of this conductor began, or it was declared down")]
    Over,
}

/// Keeps this conductor's session alive, and draws incarnations for its lives.
pub trait Sessions: Send + Sync {
    /// Renews the session at the leader. `Ok` means: a leader that proved its leadership with a majority *after* this
    /// call began has noted the renewal, so the session lives for one period counted from when the call began.
    fn renew(&self, session: Session) -> BoxFuture<'_, Result<(), RenewError>>;

    /// A higher incarnation than any that this conductor ever had, durable before it is returned.
    fn next_incarnation(&self) -> BoxFuture<'_, Result<Incarnation, ProposeError>>;
}
