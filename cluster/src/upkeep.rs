//! The upkeep of the membership. As the leader: a learner is promoted when votes are missing, a voter that is lost is
//! replaced, a newcomer that never came and the record of a conductor that is no member are removed; one change at a
//! time, each logged. As any member: notes where the others are, tells them when it has moved, and ends the process
//! when the leader says that it was removed.

use crate::codec::peer::MembershipChange;
use crate::handle::{Cluster, Inner};
use crate::identity::KnownPeers;
use crate::raft::types::RaftId;
use crate::whereabouts::{find_leader, moved, note_move, tell_of_move};
use baton_model::command::Command;
use baton_model::ids::ConductorId;
use baton_model::state::ConductorStatus;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::{Instant as _, ServerState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// Most voters: five survive the loss of two. Every further one makes each write wait for more disks.
const VOTERS_MAX: usize = 5;

/// Between two looks.
const TICK: Duration = Duration::from_millis(500);

/// A member that was heard within this time is there: ten heartbeats.
const HEARD: Duration = Duration::from_secs(1);

/// A learner is promoted once it is this close: a promotion of one that lags would hold up commits.
const LAG_MAX: u64 = 200;

/// A newcomer that was admitted and has never answered is forgotten after this time; it may ask again.
const NEWCOMER_LIMIT: Duration = Duration::from_secs(600);

/// A member that does not lead asks the leader this often whether it is still a member.
const ASK_AFTER: Duration = Duration::from_secs(3);

/// A member that is found elsewhere than the membership says is heard by nobody until it has told the leader.
const MOVED_ASK_AFTER: Duration = Duration::from_millis(500);

/// How the membership is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Upkeep {
    /// A voter that was not heard for this long is lost, and a learner takes its vote.
    pub voter_lost_after: Duration,
}

/// A member as its leader sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Sight {
    voter: bool,
    /// How long it was not heard; zero if it is there.
    silent: Duration,
    /// It has all of the log but a little.
    caught_up: bool,
    /// It has never acknowledged anything.
    new: bool,
}

/// The next change of the membership, if one is due.
fn plan(members: &BTreeMap<RaftId, Sight>, lost_after: Duration) -> Option<MembershipChange> {
    let voters: BTreeSet<RaftId> = members
        .iter()
        .filter(|(_, sight)| sight.voter)
        .map(|(id, _)| *id)
        .collect();
    let lost = |id: &&RaftId| members[*id].silent >= lost_after;
    let mut candidates = members
        .iter()
        .filter(|(_, sight)| !sight.voter && sight.caught_up && sight.silent.is_zero())
        .map(|(id, _)| *id);
    if let Some(gone) = voters.iter().find(lost) {
        if let Some(successor) = candidates.next() {
            let mut next = voters.clone();
            next.remove(gone);
            next.insert(successor);
            return Some(MembershipChange::SetVoters(next));
        }
    } else {
        let candidates: Vec<RaftId> = candidates.collect();
        let possible = (voters.len() + candidates.len()).min(VOTERS_MAX);
        // An even number survives no more losses than the odd one below it.
        let wanted = possible - usize::from(possible.is_multiple_of(2));
        if wanted > voters.len() {
            let next = candidates.into_iter().take(wanted - voters.len());
            return Some(MembershipChange::SetVoters(next.chain(voters).collect()));
        }
    }
    members
        .iter()
        .find(|(_, sight)| !sight.voter && sight.new && sight.silent >= NEWCOMER_LIMIT)
        .map(|(id, _)| MembershipChange::Remove(*id))
}

/// What is remembered between two looks.
struct Keeper {
    upkeep: Upkeep,
    /// Since when the leader has not heard a member.
    silent: BTreeMap<RaftId, Instant>,
    noted: Option<KnownPeers>,
    asked: Instant,
}

impl Cluster {
    /// Keeps the membership until this member stops.
    pub fn keep_members(&self, upkeep: Upkeep) {
        let inner = self.inner();
        let keeper = Keeper {
            upkeep,
            silent: BTreeMap::new(),
            noted: None,
            asked: Instant::now(),
        };
        inner.tasks.spawn(keep(Arc::downgrade(inner), keeper));
    }
}

async fn keep(inner: Weak<Inner>, mut keeper: Keeper) {
    loop {
        let Some(strong) = inner.upgrade() else {
            return;
        };
        let stop = strong.stop.clone();
        let cluster = Cluster::from_inner(strong);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = keeper.look(&cluster) => {}
        }
        drop(cluster);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

impl Keeper {
    async fn look(&mut self, cluster: &Cluster) {
        self.note_peers(cluster).await;
        let leads = cluster.raft().metrics().borrow_watched().state == ServerState::Leader;
        if leads {
            self.asked = Instant::now();
            self.lead(cluster).await;
        } else {
            self.silent.clear();
            self.ask_the_leader(cluster).await;
        }
    }

    // --- As the leader ------------------------------------------------------------------------------

    async fn lead(&mut self, cluster: &Cluster) {
        note_move(cluster).await;
        if let Some(change) = plan(&self.sights(cluster), self.upkeep.voter_lost_after) {
            tracing::warn!(?change, "the leader changes the membership");
            if let Err(error) = cluster.change_membership(change).await {
                tracing::warn!(%error, "the membership was not changed; it is tried again");
            }
        }
        for gone in strays(cluster) {
            match cluster.propose(Command::ConductorRemove(gone)).await {
                Ok(_) => tracing::info!(conductor = %gone, "forgot a conductor that is no member"),
                Err(error) => tracing::debug!(conductor = %gone, %error, "could not forget it yet"),
            }
        }
    }

    fn sights(&mut self, cluster: &Cluster) -> BTreeMap<RaftId, Sight> {
        let metrics = cluster.raft().metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<RaftId> = membership.voter_ids().collect();
        let now = Instant::now();
        let mut sights = BTreeMap::new();
        for (id, _) in membership.nodes() {
            let heard = metrics
                .heartbeat
                .as_ref()
                .and_then(|heard| heard.get(id).copied().flatten());
            let here = *id == metrics.id || heard.is_some_and(|heard| heard.elapsed() < HEARD);
            let silent = if here {
                self.silent.remove(id);
                Duration::ZERO
            } else {
                let since = *self.silent.entry(*id).or_insert(now);
                // A member that was not heard at the first look is silent, if only just.
                now.duration_since(since).max(Duration::from_millis(1))
            };
            let matched = metrics
                .replication
                .as_ref()
                .and_then(|all| all.get(id).copied().flatten());
            let last = metrics.last_log_index.unwrap_or(0);
            let sight = Sight {
                voter: voters.contains(id),
                silent,
                caught_up: matched.is_some_and(|matched| matched.index + LAG_MAX >= last),
                new: matched.is_none(),
            };
            sights.insert(*id, sight);
        }
        self.silent.retain(|id, _| sights.contains_key(id));
        sights
    }

    // --- As any member ------------------------------------------------------------------------------

    async fn note_peers(&mut self, cluster: &Cluster) {
        let peers = {
            let metrics = cluster.raft().metrics();
            let metrics = metrics.borrow_watched();
            let nodes = metrics.membership_config.membership().nodes();
            KnownPeers {
                cluster: cluster.cluster_id(),
                addresses: nodes
                    .filter(|(id, _)| **id != metrics.id)
                    .map(|(_, member)| member.address.clone())
                    .collect(),
            }
        };
        // Before it was admitted it knows nobody, and what it was told is still noted.
        if self.noted.as_ref() == Some(&peers) || peers.addresses.is_empty() && self.noted.is_none()
        {
            return;
        }
        let inner = cluster.inner().clone();
        if inner.held.is_in_memory() {
            self.noted = Some(peers);
            return;
        }
        let noting = peers.clone();
        let noted = tokio::task::spawn_blocking(move || inner.held.note_peers(&noting)).await;
        match noted {
            Ok(Ok(())) => self.noted = Some(peers),
            Ok(Err(error)) => tracing::warn!(%error, "could not note where the other members are"),
            Err(error) => tracing::warn!(%error, "could not note where the other members are"),
        }
    }

    /// A member that was removed, or that is found elsewhere than before, hears nothing more; it has to ask. Whom it
    /// last knew as the leader may be gone, so it looks at everybody.
    async fn ask_the_leader(&mut self, cluster: &Cluster) {
        let pause = match moved(cluster) {
            Some(_) => MOVED_ASK_AFTER,
            None => ASK_AFTER,
        };
        if self.asked.elapsed() < pause {
            return;
        }
        let me = cluster.conductor().0;
        if let Some(standing) = find_leader(cluster).await {
            match standing.members.get(&me) {
                None => cluster.inner().fatal.expel(format!(
                    "this conductor ({me}) was removed from the cluster. To bring it back, move its data directory \
                     away and let it join as a new member with `baton cluster join`"
                )),
                Some(known) if known.address != cluster.address() => {
                    tell_of_move(cluster, &standing).await;
                }
                Some(_) => {}
            }
        }
        self.asked = Instant::now();
    }
}

/// Conductors that are down and no members.
fn strays(cluster: &Cluster) -> Vec<ConductorId> {
    let members: BTreeSet<RaftId> = {
        let metrics = cluster.raft().metrics();
        let metrics = metrics.borrow_watched();
        let nodes = metrics.membership_config.membership().nodes();
        nodes.map(|(id, _)| *id).collect()
    };
    let state = cluster.state();
    let state = state.read();
    state
        .conductors()
        .iter()
        .filter(|(id, record)| record.status == ConductorStatus::Down && !members.contains(&id.0))
        .map(|(id, _)| *id)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Duration = Duration::from_secs(30);

    const fn voter(silent_s: u64) -> Sight {
        Sight {
            voter: true,
            silent: Duration::from_secs(silent_s),
            caught_up: silent_s == 0,
            new: false,
        }
    }

    const fn learner(silent_s: u64) -> Sight {
        Sight {
            voter: false,
            ..voter(silent_s)
        }
    }

    fn planned(sights: &[Sight]) -> Option<MembershipChange> {
        plan(&(1..).zip(sights.iter().copied()).collect(), LOST)
    }

    fn set(voters: impl IntoIterator<Item = RaftId>) -> Option<MembershipChange> {
        Some(MembershipChange::SetVoters(voters.into_iter().collect()))
    }

    #[test]
    fn learners_vote_in_odd_numbers_up_to_five() {
        assert_eq!(planned(&[voter(0)]), None);
        assert_eq!(planned(&[voter(0), learner(0)]), None);
        assert_eq!(planned(&[voter(0), learner(0), learner(0)]), set(1..=3));
        assert_eq!(planned(&[voter(0), voter(0), voter(0), learner(0)]), None);
        let five = [voter(0), voter(0), voter(0), learner(0), learner(0)];
        assert_eq!(planned(&five), set(1..=5));
        assert_eq!(
            planned(&[[voter(0); 5].as_slice(), &[learner(0); 3]].concat()),
            None
        );
        assert_eq!(planned(&[voter(0), voter(0), learner(0)]), set(1..=3));
    }

    #[test]
    fn a_lost_voter_is_replaced_only_by_a_learner_that_is_there() {
        let lost = [voter(0), voter(0), voter(30), learner(0)];
        assert_eq!(planned(&lost), set([1, 2, 4]));
        assert_eq!(planned(&[voter(0), voter(0), voter(29), learner(0)]), None);
        assert_eq!(planned(&[voter(0), voter(0), voter(99)]), None);
        assert_eq!(planned(&[voter(0), voter(0), voter(99), learner(1)]), None);
        let lagging = Sight {
            caught_up: false,
            ..learner(0)
        };
        assert_eq!(planned(&[voter(0), voter(0), voter(99), lagging]), None);
    }

    #[test]
    fn a_newcomer_that_never_came_is_forgotten_and_a_learner_that_was_there_is_not() {
        let never = Sight {
            new: true,
            ..learner(600)
        };
        let forgotten = Some(MembershipChange::Remove(2));
        assert_eq!(planned(&[voter(0), never]), forgotten);
        assert_eq!(planned(&[voter(0), learner(600)]), None);
        let soon = Sight {
            new: true,
            ..learner(599)
        };
        assert_eq!(planned(&[voter(0), soon]), None);
    }
}
