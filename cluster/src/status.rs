//! The cluster as one member sees it, for operators.

use crate::handle::Cluster;
use crate::raft::types::RaftId;
use baton_model::ids::{ConductorId, LogIndex};
use baton_model::port::cluster::{ClusterReport, ClusterStatus, MemberReport, MemberRole};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, ServerState};
use std::time::Duration;

/// Who was not heard for this long is not told to lead: twenty heartbeats.
const STALE: Duration = Duration::from_secs(2);

impl ClusterStatus for Cluster {
    fn report(&self) -> ClusterReport {
        let metrics = self.raft().metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let heard = |id: RaftId| {
            if id == metrics.id {
                return None;
            }
            let heartbeat = metrics.heartbeat.as_ref();
            let answered = heartbeat
                .and_then(|all| all.get(&id).copied().flatten())
                .map(|heard| heard.elapsed());
            answered.or_else(|| self.inner().answers.lives.silence(id))
        };
        let here = |id: RaftId| id == metrics.id || heard(id).is_some_and(|ago| ago < STALE);
        // A member keeps the last leader in mind, and a leader its office, when they hear nobody any more.
        let leads = |id: &RaftId| {
            let voters: Vec<RaftId> = membership.voter_ids().collect();
            let majority = voters.iter().filter(|voter| here(**voter)).count() * 2 > voters.len();
            here(*id) && (*id != metrics.id || majority)
        };
        let leader = metrics.current_leader.filter(leads);
        let role = |id: RaftId| {
            if leader == Some(id) {
                MemberRole::Leader
            } else if !membership.voter_ids().any(|voter| voter == id) {
                MemberRole::Learner
            } else if id == metrics.id && metrics.state == ServerState::Candidate {
                MemberRole::Candidate
            } else {
                MemberRole::Follower
            }
        };
        let matched = |id: RaftId| {
            if id == metrics.id {
                return metrics.last_log_index.map(LogIndex);
            }
            let replication = metrics.replication.as_ref()?;
            let log_id = replication.get(&id).copied().flatten()?;
            Some(LogIndex(log_id.index))
        };
        // Followers hear nothing of each other while there is a leader; that would look like trouble.
        let tells = |id: RaftId| leader.is_none_or(|leader| leader == metrics.id || leader == id);
        let heard_ms = |id: RaftId| {
            let heard = heard(id).filter(|_| tells(id))?;
            u64::try_from(heard.as_millis()).ok()
        };
        ClusterReport {
            cluster: self.cluster_id(),
            me: ConductorId(metrics.id),
            leader: leader.map(ConductorId),
            term: metrics.current_term,
            last_log: LogIndex(metrics.last_log_index.unwrap_or(0)),
            applied: LogIndex(metrics.last_applied.map_or(0, |id| id.index)),
            snapshot: metrics.snapshot.map(|id| LogIndex(id.index)),
            members: membership
                .nodes()
                .map(|(id, member)| MemberReport {
                    id: ConductorId(*id),
                    host: member.host.as_str().into(),
                    address: member.address.as_str().into(),
                    role: role(*id),
                    matched: matched(*id),
                    heard_ms: heard_ms(*id),
                })
                .collect(),
            disk_bytes: Some(self.store().disk_bytes()),
        }
    }
}
