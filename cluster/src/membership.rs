//! Changes of who takes part, made by the leader, one at a time.
//!
//! A newcomer is a learner first and votes only once it has caught up. Ids are never given twice: a member with an
//! empty log under an old id could split the cluster.

use crate::codec::peer::{MembershipChange, NotDone};
use crate::options::FOUNDING_ID_MAX;
use crate::peer::lives::SILENCE;
use crate::raft::types::{Member, Raft, RaftId, TypeConfig};
use baton_model::ids::ConductorId;
use baton_model::state::{ConductorStatus, StateView};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::error::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::ClientWriteResponse;
use openraft::{ChangeMembers, Instant as _, ServerState};
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
        RaftError::APIError(ClientWriteError::ChangeMembershipError(
            error @ ChangeMembershipError::InProgress(_),
        )) => NotDone::Wait(error.to_string()),
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
            check_newcomer(raft, id, &member)?;
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
        MembershipChange::SetVoters(voters) => index(
            raft.change_membership(ChangeMembers::ReplaceAllVoters(voters), true)
                .await,
        ),
        MembershipChange::Move { id, member } => {
            check_newcomer(raft, id, &member)?;
            let moved = BTreeMap::from([(id, member)]);
            index(
                raft.change_membership(ChangeMembers::SetNodes(moved), true)
                    .await,
            )
        }
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

/// Reserves an id that nobody ever had or will have. Nothing is kept of who it is for: a newcomer that dies before it
/// has written the id down leaves nothing behind.
pub(crate) async fn reserve(
    raft: &Raft,
    state: &StateView,
    member: &Member,
) -> Result<RaftId, NotDone> {
    let me = leading(raft)?;
    for (other, _) in rivals(raft, 0, member)? {
        refuse_if_alive(raft, state, other, member)?;
    }
    // The index of an entry is never given twice, and founders lie below the first one. The entry says what is known.
    let same = raft
        .metrics()
        .borrow_watched()
        .membership_config
        .get_node(&me)
        .cloned();
    let same: BTreeMap<_, _> = same.map(|member| (me, member)).into_iter().collect();
    let at = index(
        raft.change_membership(ChangeMembers::SetNodes(same), true)
            .await,
    )?;
    Ok(at + FOUNDING_ID_MAX)
}

/// Takes a newcomer in as a learner, under the id that was reserved for it. Asked again, it changes nothing. A former
/// member of the same host name makes room if its session is down: its disk was lost, or it was set up anew.
pub(crate) async fn admit(
    raft: &Raft,
    state: &StateView,
    id: RaftId,
    member: &Member,
) -> Result<RaftId, NotDone> {
    leading(raft)?;
    let (known, last) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let known = metrics.membership_config.get_node(&id).cloned();
        (known, metrics.last_log_index.unwrap_or(0))
    };
    if known.as_ref() == Some(member) {
        return Ok(id);
    }
    if known.is_some_and(|known| known.host != member.host) || id > last + FOUNDING_ID_MAX {
        return Err(NotDone::Refused(format!(
            "conductor id {id} was not reserved for {}",
            member.host
        )));
    }
    for (other, known) in rivals(raft, id, member)? {
        refuse_if_alive(raft, state, other, member)?;
        tracing::warn!(
            conductor = other,
            host = known.host,
            newcomer = id,
            "a member whose session is down makes room for a new one of the same host name"
        );
        remove(raft, other).await?;
    }
    index(raft.add_learner(id, member.clone(), false).await)?;
    tracing::info!(
        conductor = id,
        host = member.host,
        "a newcomer was admitted as a learner"
    );
    Ok(id)
}

fn leading(raft: &Raft) -> Result<RaftId, NotDone> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    if metrics.state == ServerState::Leader {
        Ok(metrics.id)
    } else {
        Err(NotDone::NotLeader(metrics.current_leader))
    }
}

/// Other members of the same host name. One with the same address and another name is in the way for good.
fn rivals(raft: &Raft, id: RaftId, member: &Member) -> Result<Vec<(RaftId, Member)>, NotDone> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let others: Vec<(RaftId, Member)> = metrics
        .membership_config
        .membership()
        .nodes()
        .filter(|(other, _)| **other != id)
        .map(|(other, known)| (*other, known.clone()))
        .collect();
    let in_the_way = others
        .iter()
        .find(|(_, known)| known.address == member.address && known.host != member.host);
    if let Some((other, known)) = in_the_way {
        return Err(NotDone::Refused(format!(
            "address {} belongs to conductor {other} ({}); remove that one first if it is gone for good: \
             `baton cluster remove {}`",
            member.address, known.host, known.host
        )));
    }
    Ok(others
        .into_iter()
        .filter(|(_, known)| known.host == member.host)
        .collect())
}

/// Whether a member has a session or was heard a moment ago; only the leader can tell.
pub(crate) fn is_alive(raft: &Raft, state: &StateView, id: RaftId) -> bool {
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let heard = metrics
        .heartbeat
        .as_ref()
        .and_then(|heard| heard.get(&id).copied().flatten());
    let session = state
        .read()
        .conductor(ConductorId(id))
        .is_some_and(|record| record.status != ConductorStatus::Down);
    id == metrics.id || session || heard.is_some_and(|heard| heard.elapsed() < SILENCE)
}

fn refuse_if_alive(
    raft: &Raft,
    state: &StateView,
    other: RaftId,
    member: &Member,
) -> Result<(), NotDone> {
    if is_alive(raft, state, other) {
        return Err(NotDone::Wait(format!(
            "host name {} belongs to conductor {other}, which is alive; stop that process, or give this conductor a name \
             of its own in `[DEFAULT] host`",
            member.host
        )));
    }
    Ok(())
}

fn check_newcomer(raft: &Raft, id: RaftId, member: &Member) -> Result<(), NotDone> {
    match rivals(raft, id, member)?.first() {
        Some((other, known)) => Err(NotDone::Refused(format!(
            "host name {} belongs to conductor {other}; remove that one first if it is gone for good",
            known.host
        ))),
        None => Ok(()),
    }
}
