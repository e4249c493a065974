//! What this member answers to its peers.

use crate::codec::peer::{
    Founder, NotDone, Purpose, Request, Response, Standing, Transferred, Voted,
};
use crate::codec::raft::Blob;
use crate::codec::state::{decode_proposals, encode_replies_of};
use crate::lease::LeaderLease;
use crate::membership;
use crate::peer::Local;
use crate::peer::lives::Lives;
use crate::peer::server::Caller;
use crate::raft::network::Peers;
use crate::raft::snapshot::Arriving;
use crate::raft::types::{Raft, RaftId};
use crate::sessions::SessionBook;
use baton_model::ids::ConductorId;
use baton_model::port::BoxFuture;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{LinearizableReadError, RaftError};
use openraft::{ReadPolicy, ServerState};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long a stranger's request may take when it is passed on to the leader.
const ADMIT_LIMIT: Duration = Duration::from_secs(10);

/// Takes requests about nodes from other conductors. What the bytes mean is agreed above this crate.
pub trait CallHandler: Send + Sync {
    /// Answers. Runs in a task of its own; the caller may have given up.
    fn handle(&self, from: ConductorId, request: Vec<u8>) -> BoxFuture<'_, Vec<u8>>;
}

/// The answering side of a member.
pub(crate) struct Answers {
    pub(crate) local: Local,
    pub(crate) host: String,
    pub(crate) founders: BTreeMap<RaftId, Founder>,
    pub(crate) raft: OnceLock<Raft>,
    pub(crate) peers: Peers,
    pub(crate) handler: OnceLock<Arc<dyn CallHandler>>,
    pub(crate) sessions: Arc<SessionBook>,
    lease: Arc<LeaderLease>,
    /// Snapshots on their way here, by sender.
    arriving: Mutex<BTreeMap<RaftId, Arriving>>,
    /// Which process each peer is.
    pub(crate) lives: Arc<Lives>,
    /// Admissions one after another, so that each sees the id of the one before.
    admitting: tokio::sync::Mutex<()>,
}

fn failed(error: impl ToString) -> Response {
    Response::Failed(error.to_string())
}

impl Answers {
    pub(crate) fn new(
        (local, host): (Local, String),
        founders: BTreeMap<RaftId, Founder>,
        peers: Peers,
        sessions: Arc<SessionBook>,
        lease: Arc<LeaderLease>,
        lives: Arc<Lives>,
    ) -> Self {
        Self {
            local,
            host,
            founders,
            raft: OnceLock::new(),
            peers,
            handler: OnceLock::new(),
            sessions,
            lease,
            arriving: Mutex::default(),
            lives,
            admitting: tokio::sync::Mutex::default(),
        }
    }

    /// Answers a request of this member's own to its leader, itself.
    pub(crate) async fn answer_self(&self, request: Request) -> Response {
        let caller = Caller {
            id: self.local.id,
            purpose: Purpose::Call,
            life: self.local.life,
        };
        self.respond(caller, request).await
    }

    pub(crate) async fn respond(&self, caller: Caller, request: Request) -> Response {
        let Some(raft) = self.raft.get() else {
            return failed("this conductor is starting");
        };
        let allowed = match request {
            Request::Join { .. } | Request::Reserve(_) | Request::Look(_) => true,
            Request::Append(_)
            | Request::Vote(_)
            | Request::PreVote(_)
            | Request::Transfer(_)
            | Request::SnapshotBegin(_)
            | Request::SnapshotPart { .. }
            | Request::SnapshotEnd { .. }
            | Request::Propose(_)
            | Request::ReadIndex
            | Request::Call(_)
            | Request::Membership(_)
            | Request::HandOver(_)
            | Request::Renew(_) => caller.purpose != Purpose::Join,
        };
        if !allowed {
            return failed("a stranger may only ask to join");
        }
        if caller.purpose != Purpose::Join && caller.id != self.local.id {
            if !self.lives.heard(caller.id, caller.life) {
                return failed("a younger process of that conductor has been heard");
            }
            if caller.purpose == Purpose::Call && !is_member(raft, caller.id) {
                return failed(format!(
                    "conductor {} is no member of the cluster",
                    caller.id
                ));
            }
        }
        match request {
            Request::Append(append) => match append.try_into() {
                Ok(append) => raft
                    .append_entries(append)
                    .await
                    .map_or_else(failed, |done| Response::Append(done.into())),
                Err(error) => failed(error),
            },
            Request::Vote(ask) => {
                if ask.waives_lease() {
                    self.lease.waive();
                }
                let kept = self.lease.kept();
                raft.vote(ask.into()).await.map_or_else(failed, |voted| {
                    Response::Vote(Voted::new(voted, kept && self.lease.kept()))
                })
            }
            Request::PreVote(ask) => raft
                .pre_vote(ask.into())
                .await
                .map_or_else(failed, |voted| {
                    Response::Vote(Voted::new(voted, self.lease.kept()))
                }),
            // A voter that is told of another's election only stops keeping the lease. It need not: that candidate's
            // requests say themselves that the leader chose it.
            Request::Transfer(transfer) if transfer.to != self.local.id => {
                Response::Transfer(Transferred::Accepted)
            }
            Request::Transfer(transfer) => raft
                .handle_transfer_leader(transfer.into())
                .await
                .map_or_else(failed, |done| Response::Transfer(done.into())),
            Request::SnapshotBegin(head) => {
                self.arriving().insert(caller.id, Arriving::new(head));
                Response::SnapshotGoOn
            }
            Request::SnapshotPart {
                transfer,
                number,
                records,
            } => self.snapshot_part(caller.id, transfer, number, &records),
            Request::SnapshotEnd {
                transfer,
                parts,
                records,
            } => {
                self.snapshot_end(raft, caller.id, transfer, parts, records)
                    .await
            }
            Request::Propose(bytes) => propose(raft, bytes).await,
            Request::ReadIndex => match read_index(raft).await {
                Ok(index) => Response::ReadIndex(index),
                Err(not_done) => Response::NotDone(not_done),
            },
            Request::Call(body) => match self.handler.get() {
                Some(handler) => {
                    let from = ConductorId(caller.id);
                    Response::Called(handler.handle(from, body.0.into()).await.into())
                }
                None => failed("this conductor is starting"),
            },
            Request::Membership(change) => changed(membership::change(raft, change).await),
            Request::HandOver(to) => changed(hand_over(raft, to).await),
            Request::Renew(session) => self.sessions.renew(raft, session).await,
            Request::Join { id, member } => {
                let request = Request::Join { id, member };
                self.admit(raft, caller, request).await
            }
            Request::Reserve(member) => self.admit(raft, caller, Request::Reserve(member)).await,
            Request::Look(_) => Response::Standing(self.standing(raft)),
        }
    }

    fn arriving(&self) -> std::sync::MutexGuard<'_, BTreeMap<RaftId, Arriving>> {
        self.arriving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn snapshot_part(
        &self,
        from: RaftId,
        transfer: u64,
        number: u64,
        records: &[Blob],
    ) -> Response {
        let mut arriving = self.arriving();
        match arriving.get_mut(&from) {
            Some(snapshot) if snapshot.transfer() == transfer => {
                match snapshot.part(number, records) {
                    Ok(()) => Response::SnapshotGoOn,
                    Err(reason) => {
                        arriving.remove(&from);
                        Response::Failed(reason)
                    }
                }
            }
            Some(_) | None => failed("that snapshot is not being sent; begin again"),
        }
    }

    async fn snapshot_end(
        &self,
        raft: &Raft,
        from: RaftId,
        transfer: u64,
        parts: u64,
        records: u64,
    ) -> Response {
        let snapshot = self.arriving().remove(&from);
        let Some(snapshot) = snapshot.filter(|snapshot| snapshot.transfer() == transfer) else {
            return failed("that snapshot is not being sent; begin again");
        };
        match snapshot.finish(parts, records) {
            Ok((head, snapshot)) => raft
                .install_full_snapshot(head.vote.into(), snapshot)
                .await
                .map_or_else(failed, |done| Response::SnapshotInstalled(done.vote.into())),
            Err(reason) => Response::Failed(reason),
        }
    }

    /// Takes a newcomer in, or reserves an id for it; as the leader, or by passing the request on to the leader.
    async fn admit(&self, raft: &Raft, caller: Caller, request: Request) -> Response {
        let _one_at_a_time = self.admitting.lock().await;
        let state = self.sessions.view();
        let admitted = match &request {
            Request::Join { id, member } => membership::admit(raft, &state, *id, member).await,
            Request::Reserve(member) => membership::reserve(raft, &state, member).await,
            other => return failed(format!("{other:?} admits nobody")),
        };
        match admitted {
            Ok(id) => Response::Joined {
                cluster: self.local.cluster,
                id,
            },
            // Passed on once: a member that was itself asked by a member answers who leads.
            Err(NotDone::NotLeader(Some(leader)))
                if caller.purpose == Purpose::Join && leader != self.local.id =>
            {
                let Some(address) = address_of(raft, leader) else {
                    return Response::NotDone(NotDone::NotLeader(Some(leader)));
                };
                self.peers
                    .link(leader, &address, Purpose::Call)
                    .ask(&request, ADMIT_LIMIT)
                    .await
                    .unwrap_or_else(failed)
            }
            Err(not_done) => Response::NotDone(not_done),
        }
    }

    fn standing(&self, raft: &Raft) -> Standing {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        Standing {
            cluster: self.local.cluster,
            conductor: self.local.id,
            life: self.local.life,
            founders: self.founders.clone(),
            members: nodes.map(|(id, member)| (*id, member.clone())).collect(),
            leads: metrics.state == ServerState::Leader,
        }
    }
}

/// Whether `id` takes part; only the leader can tell for sure, and everybody else trusts it.
fn is_member(raft: &Raft, id: RaftId) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics.state != ServerState::Leader || metrics.membership_config.get_node(&id).is_some()
}

/// Where a member is found.
pub(crate) fn address_of(raft: &Raft, id: RaftId) -> Option<String> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    metrics
        .membership_config
        .get_node(&id)
        .map(|member| member.address.clone())
}

fn changed(done: Result<u64, NotDone>) -> Response {
    match done {
        Ok(index) => Response::Changed(index),
        Err(not_done) => Response::NotDone(not_done),
    }
}

async fn propose(raft: &Raft, bytes: Blob) -> Response {
    // What is committed has to be applied by everybody, so nothing unreadable may enter the log.
    if let Err(error) = decode_proposals(&bytes.0) {
        return Response::NotDone(NotDone::Refused(error.to_string()));
    }
    match raft.client_write(bytes).await {
        Ok(written) => match encode_replies_of(&written.data) {
            Ok(replies) => Response::Proposed {
                index: written.log_id.index,
                replies: replies.into(),
            },
            Err(error) => failed(error),
        },
        Err(error) => Response::NotDone(membership::not_done(error)),
    }
}

/// Up to where a reader must have applied to see everything committed before now; only the leader can tell.
pub(crate) async fn read_index(raft: &Raft) -> Result<u64, NotDone> {
    match raft.get_read_log_id(ReadPolicy::ReadIndex).await {
        Ok((id, _)) => Ok(id.index()),
        Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward))) => {
            Err(NotDone::NotLeader(forward.leader_id))
        }
        Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_))) => {
            Err(NotDone::NotLeader(None))
        }
        Err(RaftError::Fatal(fatal)) => Err(NotDone::Unknown(fatal.to_string())),
    }
}

/// Asks the core to hand its office to `to`, as the leader; for zero, to the voter that has most of the log. The
/// answer does not wait for it.
pub(crate) async fn hand_over(raft: &Raft, to: RaftId) -> Result<u64, NotDone> {
    let (leader, me, to, votes, last) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let best = || {
            let matched = |id: &RaftId| metrics.replication.as_ref()?.get(id).copied().flatten();
            let others = metrics
                .membership_config
                .voter_ids()
                .filter(|id| *id != metrics.id);
            others.max_by_key(|id| matched(id).map(|log_id| log_id.index))
        };
        let to = if to == 0 { best().unwrap_or(0) } else { to };
        let votes = metrics.membership_config.voter_ids().any(|id| id == to);
        (
            metrics.current_leader,
            metrics.id,
            to,
            votes,
            metrics.last_log_index,
        )
    };
    if leader != Some(me) {
        return Err(NotDone::NotLeader(leader));
    }
    if to == 0 {
        return Err(NotDone::Refused(
            "there is no other voter to lead".to_owned(),
        ));
    }
    if !votes {
        return Err(NotDone::Refused(format!("conductor {to} is no voter")));
    }
    raft.trigger()
        .transfer_leader(to)
        .await
        .map_err(|fatal| NotDone::Unknown(fatal.to_string()))?;
    Ok(last.unwrap_or(0))
}
