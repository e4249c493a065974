//! What conductors say to each other. One request, one response; both are frames of [`Schema::PEER`].

use super::raft::{Blob, EntryRec, LogIdRec, StoredMembershipRec, VoteRec};
use super::{CodecError, Schema, decode, encode};
use crate::raft::types::{Member, RaftId, TypeConfig};
use baton_model::command::Session;
use baton_model::ids::Incarnation;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The version of this protocol; both ends must speak the same.
pub const PROTOCOL: u16 = 1;

/// What a connection is for. Each purpose has a connection of its own, so that none waits behind another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Purpose {
    /// Log entries and votes.
    Raft,
    /// The leader's heartbeats.
    Heartbeat,
    /// Snapshots.
    Snapshot,
    /// Proposals, read barriers, membership and requests about nodes.
    Call,
    /// Somebody who is no member (yet) looks around or asks to become one.
    Join,
}

/// The first message on a connection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the caller.
    pub protocol: u16,
    /// What the connection will carry.
    pub purpose: Purpose,
    /// The cluster that the caller belongs to; nil for a stranger.
    pub cluster: Uuid,
    /// The caller; zero for a stranger.
    pub from: RaftId,
    /// The caller's life.
    pub incarnation: Incarnation,
    /// A number that the caller's process drew: tells two processes that count the same life.
    pub life: u64,
    /// The caller's host name; with TLS, its certificate must be for it.
    pub host: String,
    /// Whom it wants; zero for a stranger, who takes whoever answers.
    pub to: RaftId,
}

/// The answer to a [`Hello`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Welcome {
    /// Go on.
    Accepted {
        /// Who answers.
        conductor: RaftId,
        /// Its life.
        incarnation: Incarnation,
        /// The number that its process drew.
        life: u64,
        /// Its host name; with TLS, its certificate must be for it.
        host: String,
    },
    /// The connection is closed.
    Refused {
        /// Why, for the operator of the other end.
        reason: String,
        /// The caller is the second process of a conductor that runs, says the leader: it has to end.
        twin: bool,
    },
}

/// Log entries from a leader.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Append {
    vote: VoteRec,
    previous: Option<LogIdRec>,
    entries: Vec<EntryRec>,
    commit: Option<LogIdRec>,
}

impl From<AppendEntriesRequest<TypeConfig>> for Append {
    fn from(request: AppendEntriesRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            previous: request.prev_log_id.map(Into::into),
            entries: request.entries.into_iter().map(Into::into).collect(),
            commit: request.leader_commit.map(Into::into),
        }
    }
}

impl TryFrom<Append> for AppendEntriesRequest<TypeConfig> {
    type Error = CodecError;
    fn try_from(append: Append) -> Result<Self, CodecError> {
        let entries: Result<Vec<_>, _> = append
            .entries
            .into_iter()
            .map(EntryRec::into_entry)
            .collect();
        Ok(Self {
            vote: append.vote.into(),
            prev_log_id: append.previous.map(Into::into),
            entries: entries?,
            leader_commit: append.commit.map(Into::into),
        })
    }
}

/// The answer to an [`Append`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Appended {
    /// All of it is on disk.
    All,
    /// It is on disk up to here.
    UpTo(Option<LogIdRec>),
    /// The entry before the first one is missing or differs.
    Conflict,
    /// A newer vote is known.
    HigherVote(VoteRec),
}

impl From<AppendEntriesResponse<TypeConfig>> for Appended {
    fn from(response: AppendEntriesResponse<TypeConfig>) -> Self {
        match response {
            AppendEntriesResponse::Success => Self::All,
            AppendEntriesResponse::PartialSuccess(id) => Self::UpTo(id.map(Into::into)),
            AppendEntriesResponse::Conflict => Self::Conflict,
            AppendEntriesResponse::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

impl From<Appended> for AppendEntriesResponse<TypeConfig> {
    fn from(appended: Appended) -> Self {
        match appended {
            Appended::All => Self::Success,
            Appended::UpTo(id) => Self::PartialSuccess(id.map(Into::into)),
            Appended::Conflict => Self::Conflict,
            Appended::HigherVote(vote) => Self::HigherVote(vote.into()),
        }
    }
}

/// A candidate asks for a vote, or whether it would get one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AskVote {
    vote: VoteRec,
    last: Option<LogIdRec>,
    leadership_transfer: bool,
}

impl AskVote {
    /// Whether the leader itself chose the candidate; voters then do not wait for its lease to end.
    pub(crate) const fn waives_lease(&self) -> bool {
        self.leadership_transfer
    }
}

impl From<VoteRequest<TypeConfig>> for AskVote {
    fn from(request: VoteRequest<TypeConfig>) -> Self {
        Self {
            vote: request.vote.into(),
            last: request.last_log_id.map(Into::into),
            leadership_transfer: request.leadership_transfer,
        }
    }
}

impl From<AskVote> for VoteRequest<TypeConfig> {
    fn from(ask: AskVote) -> Self {
        Self {
            vote: ask.vote.into(),
            last_log_id: ask.last.map(Into::into),
            leadership_transfer: ask.leadership_transfer,
        }
    }
}

/// The answer to an [`AskVote`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Voted {
    vote: VoteRec,
    granted: bool,
    last: Option<LogIdRec>,
    /// See [`crate::lease::LeaderLease::kept`].
    pub(crate) lease_kept: bool,
}

impl Voted {
    /// The answer of a voter that kept the lease of the leader before, or did not.
    pub(crate) fn new(response: VoteResponse<TypeConfig>, lease_kept: bool) -> Self {
        Self {
            vote: response.vote.into(),
            granted: response.vote_granted,
            last: response.last_log_id.map(Into::into),
            lease_kept,
        }
    }
}

impl From<Voted> for VoteResponse<TypeConfig> {
    fn from(voted: Voted) -> Self {
        Self {
            vote: voted.vote.into(),
            vote_granted: voted.granted,
            last_log_id: voted.last.map(Into::into),
        }
    }
}

/// A leader hands its office to the receiver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Transfer {
    from: VoteRec,
    /// Who is to lead.
    pub to: RaftId,
    last: Option<LogIdRec>,
}

impl From<TransferLeaderRequest<TypeConfig>> for Transfer {
    fn from(request: TransferLeaderRequest<TypeConfig>) -> Self {
        Self {
            from: (*request.from_leader()).into(),
            to: *request.to_node_id(),
            last: request.last_log_id().copied().map(Into::into),
        }
    }
}

impl From<Transfer> for TransferLeaderRequest<TypeConfig> {
    fn from(transfer: Transfer) -> Self {
        Self::new(
            transfer.from.into(),
            transfer.to,
            transfer.last.map(Into::into),
        )
    }
}

/// The answer to a [`Transfer`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Transferred {
    /// The receiver stands for election now.
    Accepted,
    /// The receiver knows another vote.
    VoteChanged {
        /// The vote in the request.
        expected: VoteRec,
        /// The one that the receiver knows.
        actual: VoteRec,
    },
    /// The receiver's log is behind.
    Behind {
        /// The leader's last entry.
        expected: Option<LogIdRec>,
        /// The receiver's last entry.
        actual: Option<LogIdRec>,
    },
}

impl From<TransferLeaderResponse<TypeConfig>> for Transferred {
    fn from(response: TransferLeaderResponse<TypeConfig>) -> Self {
        match response {
            Ok(()) => Self::Accepted,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => Self::VoteChanged {
                expected: expected.into(),
                actual: actual.into(),
            },
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => Self::Behind {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            },
        }
    }
}

impl From<Transferred> for TransferLeaderResponse<TypeConfig> {
    fn from(transferred: Transferred) -> Self {
        match transferred {
            Transferred::Accepted => Ok(()),
            Transferred::VoteChanged { expected, actual } => {
                Err(TransferLeaderError::VoteChanged {
                    expected: expected.into(),
                    actual: actual.into(),
                })
            }
            Transferred::Behind { expected, actual } => Err(TransferLeaderError::LogNotFlushed {
                expected: expected.map(Into::into),
                actual: actual.map(Into::into),
            }),
        }
    }
}

/// The beginning of a snapshot.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SnapshotHead {
    /// The leader's vote.
    pub vote: VoteRec,
    /// The last entry that the snapshot includes.
    pub last_applied: Option<LogIdRec>,
    /// The membership as of that entry.
    pub membership: StoredMembershipRec,
    /// Names the transfer: pieces of an abandoned one are refused.
    pub transfer: u64,
}

/// A change of who takes part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum MembershipChange {
    /// A new learner; it is caught up before the answer.
    AddLearner {
        /// Its id, never used before.
        id: RaftId,
        /// Where it is.
        member: Member,
    },
    /// A learner becomes a voter.
    Promote(RaftId),
    /// A voter becomes a learner.
    Demote(RaftId),
    /// A member leaves for good.
    Remove(RaftId),
    /// These vote from now on, and nobody else; voters that are not named stay as learners.
    SetVoters(BTreeSet<RaftId>),
    /// A member is found elsewhere from now on.
    Move {
        /// Which.
        id: RaftId,
        /// Where.
        member: Member,
    },
}

/// One of the first members of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Founder {
    /// Where it is.
    pub member: Member,
    /// A number that its data directory drew before the cluster was founded. One that lost its disk draws another and
    /// is no founder any more.
    pub seat: u64,
}

/// What a conductor that is about to found a cluster tells the others that are listed with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Card {
    /// Its id in the list.
    pub conductor: RaftId,
    /// Itself.
    pub founder: Founder,
    /// A hash of its list; founders with different lists found nothing.
    pub list: u64,
}

/// What a member tells anybody who looks around.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Its cluster.
    pub cluster: Uuid,
    /// It.
    pub conductor: RaftId,
    /// The number that its process drew.
    pub life: u64,
    /// Who founded the cluster.
    pub founders: BTreeMap<RaftId, Founder>,
    /// Everybody whom it knows as a member.
    pub members: BTreeMap<RaftId, Member>,
    /// It leads, so what it says of the members is true.
    pub leads: bool,
}

/// A question.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Request {
    /// See [`Append`].
    Append(Append),
    /// See [`AskVote`].
    Vote(AskVote),
    /// Would you vote so?
    PreVote(AskVote),
    /// See [`Transfer`].
    Transfer(Transfer),
    /// See [`SnapshotHead`].
    SnapshotBegin(SnapshotHead),
    /// Some records of a snapshot, each a frame of [`Schema::STATE_RECORD`].
    SnapshotPart {
        /// Of which transfer.
        transfer: u64,
        /// Counted from zero.
        number: u64,
        /// The records.
        records: Vec<Blob>,
    },
    /// The snapshot is complete: install it.
    SnapshotEnd {
        /// Of which transfer.
        transfer: u64,
        /// How many parts there were.
        parts: u64,
        /// How many records there were in all.
        records: u64,
    },
    /// Proposals for the leader, one or more frames of [`Schema::COMMAND`]; they become one entry.
    Propose(Blob),
    /// Up to where must a reader have applied to see everything committed before now?
    ReadIndex,
    /// A request about a node, opaque here.
    Call(Blob),
    /// A change of membership, for the leader.
    Membership(MembershipChange),
    /// A newcomer, whose id was reserved for it, wants to become a learner. May be asked again.
    Join {
        /// Its id.
        id: RaftId,
        /// Where it is.
        member: Member,
    },
    /// The leader is asked to hand over.
    HandOver(RaftId),
    /// A conductor renews its session at the leader.
    Renew(Session),
    /// Who is there? A founder shows its card.
    Look(Option<Card>),
    /// A stranger wants an id under which it can become a member. Nothing is kept of it.
    Reserve(Member),
}

/// Why the leader's work could not be done by the one who was asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NotDone {
    /// It does not lead; it believes that this one does.
    NotLeader(Option<RaftId>),
    /// It may have been done: the answer was lost in a change of leader.
    Unknown(String),
    /// It was refused, and will be again.
    Refused(String),
    /// Not yet; ask again in a moment.
    Wait(String),
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Response {
    /// To [`Request::Append`].
    Append(Appended),
    /// To [`Request::Vote`] and [`Request::PreVote`].
    Vote(Voted),
    /// To [`Request::Transfer`].
    Transfer(Transferred),
    /// To [`Request::SnapshotBegin`] and [`Request::SnapshotPart`].
    SnapshotGoOn,
    /// To [`Request::SnapshotEnd`]: the receiver's vote.
    SnapshotInstalled(VoteRec),
    /// To [`Request::Propose`]: the entry's index and a reply for each proposal, frames of [`Schema::REPLY`].
    Proposed {
        /// Where the entry stands.
        index: u64,
        /// What they got, in their order.
        replies: Blob,
    },
    /// To [`Request::ReadIndex`].
    ReadIndex(u64),
    /// To [`Request::Call`].
    Called(Blob),
    /// To [`Request::Membership`] and [`Request::HandOver`]: the index of the last entry written for it.
    Changed(u64),
    /// To [`Request::Reserve`] and [`Request::Join`].
    Joined {
        /// The cluster.
        cluster: Uuid,
        /// The newcomer's id.
        id: RaftId,
    },
    /// To anything that only the leader does.
    NotDone(NotDone),
    /// The receiver cannot answer: its Raft core has stopped, or the request makes no sense to it.
    Failed(String),
    /// The session lives on.
    Renewed,
    /// The session is over; its conductor has to begin a new life.
    SessionOver,
    /// To [`Request::Look`], by one that is about to found a cluster.
    Card(Card),
    /// To [`Request::Look`], by a member.
    Standing(Standing),
}

/// A message as sent.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode_message<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    encode(Schema::PEER, message)
}

/// Reads a message.
///
/// # Errors
/// Any [`CodecError`].
pub fn decode_message<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    decode(Schema::PEER, bytes)
}
