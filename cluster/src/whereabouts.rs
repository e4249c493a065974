//! Where this member is found. One that came back under another address is heard by nobody, and hears nobody, until
//! the membership names its new place; so it looks for the leader itself and has it written down.

use crate::answers::address_of;
use crate::codec::peer::{MembershipChange, NotDone, Purpose, Request, Response, Standing};
use crate::handle::Cluster;
use crate::stranger::{Seen, Stranger};
use futures_util::future::join_all;
use openraft::async_runtime::watch::WatchReceiver;
use std::time::Duration;

/// How long one try to tell of a move may take: the leader writes one entry, and may hold an election first.
const MOVE_LIMIT: Duration = Duration::from_secs(5);

/// What has to be written if this member is found elsewhere than its fellows believe.
pub(crate) fn moved(cluster: &Cluster) -> Option<MembershipChange> {
    let id = cluster.conductor().0;
    let member = &cluster.inner().member;
    let known = address_of(cluster.raft(), id)?;
    (known != member.address).then(|| MembershipChange::Move {
        id,
        member: member.clone(),
    })
}

/// The one among the other members that leads, in its own words.
pub(crate) async fn find_leader(cluster: &Cluster) -> Option<Standing> {
    let others: Vec<String> = {
        let metrics = cluster.raft().metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        nodes
            .filter(|(id, _)| **id != metrics.id)
            .map(|(_, member)| member.address.clone())
            .collect()
    };
    let stranger = Stranger::new(cluster.transport(), cluster.host_name());
    let looks = others.iter().map(|address| stranger.look(address, None));
    let mut seen = join_all(looks).await.into_iter().flatten();
    let leader = seen.find_map(|seen| match seen {
        Seen::Member(standing) if standing.leads && standing.cluster == cluster.cluster_id() => {
            Some(standing)
        }
        Seen::Member(_) | Seen::Founder(_) => None,
    });
    stranger.close().await;
    leader
}

/// Tells the leader that this member is found elsewhere now.
pub(crate) async fn tell_of_move(cluster: &Cluster, leader: &Standing) {
    let (me, address) = (cluster.conductor().0, cluster.address());
    let Some(at) = leader.members.get(&leader.conductor) else {
        return;
    };
    let change = MembershipChange::Move {
        id: me,
        member: cluster.inner().member.clone(),
    };
    let link = cluster
        .inner()
        .peers
        .link(leader.conductor, &at.address, Purpose::Call);
    match link.ask(&Request::Membership(change), MOVE_LIMIT).await {
        Ok(Response::Changed(_)) => {
            tracing::info!(address, "the others know where this conductor is now");
        }
        Ok(Response::NotDone(NotDone::Refused(reason))) => tracing::error!(
            address,
            reason,
            "the cluster does not take this conductor's new address"
        ),
        Ok(other) => tracing::info!(
            address, answer = ?other,
            "could not tell the leader yet where this conductor is now; it is tried again"
        ),
        Err(error) => tracing::info!(
            address, %error,
            "could not tell the leader yet where this conductor is now; it is tried again"
        ),
    }
}

/// As the leader: writes down where this member is, if it has moved.
pub(crate) async fn note_move(cluster: &Cluster) {
    let Some(change) = moved(cluster) else {
        return;
    };
    let address = cluster.address();
    match cluster
        .ask_leader(MOVE_LIMIT, &Request::Membership(change))
        .await
    {
        Ok(_) => tracing::info!(address, "noted where this conductor is now"),
        Err(failure) => tracing::warn!(
            address,
            reason = failure.reason,
            "could not note where this conductor is now; it is tried again"
        ),
    }
}
