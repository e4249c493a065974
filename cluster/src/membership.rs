//! Changes of who takes part, made by the leader, one at a time.
//!
//! A newcomer is a learner first and votes only once it has caught up. Ids are never given twice: a member with an
//! empty log under an old id could split the cluster.

use crate::codec::peer::{MembershipChange, NotDone};
use crate::options::FOUNDING_ID_MAX;
use crate::raft::types::{Member, Raft, RaftId, TypeConfig};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, ServerState};
use std::collections::{BTreeMap, BTreeSet};

type Written =
    Result<ClientWriteResponse<TypeConfig>, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>;

/// How a failed write is told to the one who asked for it.
pub(crate) fn not_done(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> NotDone {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(forward)) => {
            NotDone::NotLeader(forward.leader_id)
        }
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
            NotDone::Unknown("the leader changed before the entry was committed".to_owned())
        }
        RaftError::APIError(
            error @ (ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_)),
        ) => NotDone::Refused(error.to_string()),
        RaftError::Fatal(fatal) => NotDone::Unknown(fatal.to_string()),
    }
}

fn index(written: Written) -> Result<u64, NotDone> {
    written
        .map(|response| response.log_id.index)
        .map_err(not_done)
}

/// Makes one change, as the leader.
pub(crate) async fn change(raft: &Raft, change: MembershipChange) -> Result<u64, NotDone> {
    match change {
        MembershipChange::AddLearner { id, member } => {
            check_newcomer(raft, Some(id), &member)?;
            index(raft.add_learner(id, member, true).await)
        }
        MembershipChange::Promote(id) => {
            let voters = BTreeSet::from([id]);
            index(
                raft.change_membership(ChangeMembers::AddVoterIds(voters), true)
                    .await,
            )
        }
        MembershipChange::Demote(id) => {
            let voters = BTreeSet::from([id]);
            index(
                raft.change_membership(ChangeMembers::RemoveVoters(voters), true)
                    .await,
            )
        }
        MembershipChange::Remove(id) => remove(raft, id).await,
    }
}

async fn remove(raft: &Raft, id: RaftId) -> Result<u64, NotDone> {
    let (known, votes, voters) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let votes = membership.voter_ids().any(|voter| voter == id);
        (
            membership.get_node(&id).is_some(),
            votes,
            membership.voter_ids().count(),
        )
    };
    if !known {
        return Err(NotDone::Refused(format!("conductor {id} is no member")));
    }
    if votes && voters == 1 {
        return Err(NotDone::Refused(format!(
            "conductor {id} is the only voter; promote another one first"
        )));
    }
    let ids = BTreeSet::from([id]);
    if votes {
        // Without `retain` the voter goes altogether instead of becoming a learner.
        index(
            raft.change_membership(ChangeMembers::RemoveVoters(ids), false)
                .await,
        )
    } else {
        index(
            raft.change_membership(ChangeMembers::RemoveNodes(ids), true)
                .await,
        )
    }
}

/// Takes a stranger in as a learner, under an id that nobody had before.
pub(crate) async fn admit(raft: &Raft, member: Member) -> Result<RaftId, NotDone> {
    check_newcomer(raft, None, &member)?;
    let (last, highest) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        if metrics.state != ServerState::Leader {
            return Err(NotDone::NotLeader(metrics.current_leader));
        }
        let membership = metrics.membership_config.membership();
        let highest = membership.nodes().map(|(id, _)| *id).max();
        (metrics.last_log_index.unwrap_or(0), highest.unwrap_or(0))
    };
    // Every admission makes the log longer, so this number only grows; founders lie below it.
    let id = (last + FOUNDING_ID_MAX).max(highest) + 1;
    index(raft.add_learner(id, member, false).await)?;
    Ok(id)
}

fn check_newcomer(raft: &Raft, id: Option<RaftId>, member: &Member) -> Result<(), NotDone> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let membership = metrics.membership_config.membership();
    let others: BTreeMap<_, _> = membership
        .nodes()
        .filter(|(other, _)| Some(**other) != id)
        .collect();
    for (other, known) in others {
        if known.host == member.host {
            return Err(NotDone::Refused(format!(
                "host name {} belongs to conductor {other}; remove that one first if it is gone for good",
                member.host
            )));
        }
        if known.address == member.address {
            return Err(NotDone::Refused(format!(
                "address {} belongs to conductor {other}; remove that one first if it is gone for good",
                member.address
            )));
        }
    }
    Ok(())
}
