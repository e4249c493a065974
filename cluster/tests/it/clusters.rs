//! One to five members over real sockets.

use crate::support::*;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::{
    CallError, CallHandler, Cluster, ClusterError, Compaction, Entry, MembershipChange, Storage,
};
use baton_model::command::{Command, Reply, Session};
use baton_model::ids::{ConductorId, Incarnation};
use baton_model::port::BoxFuture;
use baton_model::port::cluster::{ClusterStatus, MemberRole, ProposeError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn one_member_keeps_what_it_acknowledged_and_counts_its_lives() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(dir.path().join("data"));
    for life in 1..=3 {
        let cluster = single(storage.clone()).await.unwrap();
        assert_eq!(cluster.incarnation(), Incarnation(life));
        cluster.linearizable().await.unwrap();
        for n in 1..life {
            assert!(has(&cluster, n), "change {n} in life {life}");
        }
        let reply = cluster.propose(change(life)).await.unwrap();
        assert!(matches!(reply, Reply::Done { .. }));
        assert!(has(&cluster, life));
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_data_directory_is_refused_in_plain_words() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Storage::Directory(dir.path().join("data"));
    let first = single(storage.clone()).await.unwrap();
    let error = single(storage.clone()).await.err().unwrap();
    assert!(error.to_string().contains("in use by another process"));
    first.propose(change(1)).await.unwrap();
    first.shutdown().await;
    drop(first);
    single(storage).await.unwrap().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_storage_without_founding_is_no_member() {
    let (listen, _) = listener().await;
    let options = options("c1", Storage::Memory(MemDisk::default()), listen);
    let started = Cluster::start(options, env(1), Arc::new(Counts::default())).await;
    assert!(matches!(started, Err(ClusterError::NotAMember)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_peer_can_reach_is_refused_at_the_start() {
    let listen = baton_cluster::Listen::Address("0.0.0.0:0".to_owned());
    let options = options("c1", Storage::Memory(MemDisk::default()), listen);
    let started = Cluster::start(options, env(1), Arc::new(Counts::default())).await;
    let error = started.err().unwrap().to_string();
    assert!(error.contains("peers cannot reach 0.0.0.0"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_takes_proposals_and_sees_them() {
    let dir = tempfile::tempdir().unwrap();
    let founders = Founders::start(3, directories(dir.path()), Compaction::default()).await;
    for n in 1..=9 {
        let by = founders.get(n % 3 + 1);
        by.propose(change(n)).await.unwrap();
        assert!(has(by, n), "the proposer sees its own change");
        let reader = founders.get((n + 1) % 3 + 1);
        reader.linearizable().await.unwrap();
        assert!(has(reader, n), "a linearizable read sees change {n}");
    }
    for (id, sink) in &founders.sinks {
        // Each proposal touches its conductor and the reply slot of its proposer.
        let seen = || (sink.changes.load(Ordering::Relaxed) >= 18).then_some(());
        eventually(&format!("every change told to member {id}"), seen).await;
    }
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_proposals_at_once_share_entries_and_each_gets_its_own_reply() {
    let disks = std::array::from_fn::<_, 3, _>(|_| MemDisk::default());
    let founders = Founders::start(3, memory(&disks), Compaction::default()).await;
    let leader = founders.get(founders.leader().await);
    let before = *leader.applied().borrow();
    let all = (1..=200).map(|n| {
        // Every second one is refused: no session like that was ever begun.
        let stranger = Session {
            conductor: ConductorId(5000 + n),
            incarnation: Incarnation(1),
        };
        let command = if n % 2 == 0 {
            change(n)
        } else {
            Command::ConductorDraining(stranger)
        };
        async move { (n, leader.propose(command).await.unwrap()) }
    });
    for (n, reply) in futures_util::future::join_all(all).await {
        assert_eq!(
            matches!(reply, Reply::Refused(_)),
            n % 2 == 1,
            "{n}: {reply:?}"
        );
        assert_eq!(has(leader, n), n % 2 == 0, "{n}");
    }
    let entries = *leader.applied().borrow() - before;
    assert!(entries < 100, "200 proposals took {entries} entries");
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_when_the_leader_is_gone_and_it_catches_up() {
    let disks = std::array::from_fn::<_, 3, _>(|_| MemDisk::default());
    let mut founders = Founders::start(3, memory(&disks), Compaction::default()).await;
    founders.get(1).propose(change(1)).await.unwrap();
    let leader = founders.leader().await;
    let other = leader % 3 + 1;
    founders.stop(leader).await;
    founders.get(other).propose(change(2)).await.unwrap();
    founders.restart(leader).await.unwrap();
    let returned = founders.get(leader);
    assert_eq!(returned.incarnation(), Incarnation(2));
    returned.linearizable().await.unwrap();
    assert!(has(returned, 1) && has(returned, 2));
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_a_proposal_fails_and_is_never_called_safe_once_sent() {
    let disks = std::array::from_fn::<_, 3, _>(|_| MemDisk::default());
    let mut founders = Founders::start(3, memory(&disks), Compaction::default()).await;
    founders.get(1).propose(change(1)).await.unwrap();
    let leader = founders.leader().await;
    for id in (1..=3).filter(|id| *id != leader) {
        founders.stop(id).await;
    }
    let lonely = founders.get(leader);
    let read = tokio::time::timeout(Duration::from_secs(2), lonely.linearizable()).await;
    assert!(!matches!(read, Ok(Ok(()))), "a read without a quorum");
    let outcome = lonely.propose(change(2)).await;
    assert!(matches!(
        outcome,
        Err(ProposeError::Unknown { .. } | ProposeError::Unavailable { .. })
    ));
    for id in (1..=3).filter(|id| *id != leader) {
        founders.restart(id).await.unwrap();
    }
    founders.get(1).propose(change(3)).await.unwrap();
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leadership_moves_on_request_of_any_member() {
    let disks = std::array::from_fn::<_, 3, _>(|_| MemDisk::default());
    let founders = Founders::start(3, memory(&disks), Compaction::default()).await;
    let leader = founders.leader().await;
    let (to, asked) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    let cluster = founders.get(asked);
    cluster.transfer_leader(ConductorId(to)).await.unwrap();
    assert_eq!(cluster.leader(), Some(ConductorId(to)));
    cluster.propose(change(1)).await.unwrap();
    let refused = cluster.transfer_leader(ConductorId(9)).await;
    assert!(matches!(refused, Err(ClusterError::Refused { .. })));
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_is_caught_up_by_snapshot_promoted_and_removed() {
    let compaction = Compaction {
        snapshot_every: 50,
        keep: 10,
    };
    let dir = tempfile::tempdir().unwrap();
    let founders = Founders::start(3, directories(dir.path()), compaction).await;
    for n in 1..=200 {
        founders.get(1).propose(change(n)).await.unwrap();
    }
    let via = vec![founders.members[&ConductorId(2)].address.clone()];
    let sink = Arc::new(Counts::default());
    let mut lives = Vec::new();
    for life in 1..=2_u64 {
        let (listen, _) = listener().await;
        let storage = Storage::Directory(dir.path().join("newcomer"));
        let mut options = options("newcomer", storage, listen);
        options.advertise = lives
            .first()
            .map(|(_, address): &(ConductorId, String)| address.clone());
        if let Some(address) = options.advertise.clone() {
            options.listen = baton_cluster::Listen::Address(address);
        }
        options.compaction = compaction;
        let newcomer = Cluster::join(options, env(40 + life), sink.clone(), &via)
            .await
            .unwrap();
        newcomer.linearizable().await.unwrap();
        assert!((1..=200).all(|n| has(&newcomer, n)));
        lives.push((newcomer.conductor(), newcomer.address().to_owned()));
        if life == 2 {
            let id = newcomer.conductor();
            assert_eq!(lives[0].0, id, "a second start is no second admission");
            newcomer
                .change_membership(MembershipChange::Promote(id.0))
                .await
                .unwrap();
            let role = || {
                let report = founders.get(1).report();
                let member = report.members.iter().find(|member| member.id == id)?;
                (member.role == MemberRole::Follower).then_some(())
            };
            eventually("the newcomer as a voter", role).await;
            founders
                .get(3)
                .change_membership(MembershipChange::Remove(id.0))
                .await
                .unwrap();
            // Whoever was asked knows it by now; the others hear of it with the next message.
            let gone = || (founders.get(1).report().members.len() == 3).then_some(());
            eventually("the newcomer gone", gone).await;
        }
        newcomer.shutdown().await;
    }
    assert!(
        sink.resets.load(Ordering::Relaxed) >= 1,
        "it took a snapshot"
    );
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_or_address_in_use_cannot_join() {
    let founders = Founders::start(1, memory(&[MemDisk::default()]), Compaction::default()).await;
    let via = vec![founders.members[&ConductorId(1)].address.clone()];
    let (listen, _) = listener().await;
    let options = crate::support::options("c1", Storage::Memory(MemDisk::default()), listen);
    let entry = Entry {
        first: None,
        via: via.clone(),
        patience: Duration::ZERO,
    };
    let joined = Cluster::enter(options, env(9), Arc::new(Counts::default()), entry).await;
    let error = joined.err().unwrap().to_string();
    assert!(
        error.contains("host name c1 belongs to conductor 1, which is alive"),
        "{error}"
    );
    assert_eq!(founders.get(1).report().members.len(), 1);
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_cluster_is_refused() {
    let founders = Founders::start(1, memory(&[MemDisk::default()]), Compaction::default()).await;
    // A stranger of another cluster that believes conductor 1 to be its own peer at that address.
    let (listen, _) = listener().await;
    let mut options = options("c2", Storage::Memory(MemDisk::default()), listen);
    options.founding = founding(2, &founders.members);
    if let Some(founding) = options.founding.as_mut() {
        founding.cluster = uuid::Uuid::from_u128(0xBAD);
    }
    options.patience = Duration::from_millis(300);
    let stranger = Cluster::start(options, env(5), Arc::new(Counts::default()))
        .await
        .unwrap();
    let called = stranger
        .call(ConductorId(1), vec![1], Duration::from_secs(5))
        .await;
    let Err(CallError::NotSent { reason }) = called else {
        panic!("a stranger was heard: {called:?}");
    };
    assert!(reason.contains("the caller belongs to"), "{reason}");
    assert!(stranger.propose(change(1)).await.is_err());
    stranger.shutdown().await;
    founders.stop_all().await;
}

struct Echo(ConductorId);

impl CallHandler for Echo {
    fn handle(&self, from: ConductorId, mut request: Vec<u8>) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async move {
            request.extend(self.0.0.to_be_bytes());
            request.extend(from.0.to_be_bytes());
            request
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_reach_the_peer_they_are_meant_for() {
    let disks = std::array::from_fn::<_, 2, _>(|_| MemDisk::default());
    let founders = Founders::start(2, memory(&disks), Compaction::default()).await;
    for (id, cluster) in &founders.running {
        cluster.on_call(Arc::new(Echo(ConductorId(*id))));
    }
    founders.leader().await;
    let answer = founders
        .get(1)
        .call(ConductorId(2), vec![42], DEADLINE)
        .await;
    let expected = [
        vec![42],
        2_u64.to_be_bytes().into(),
        1_u64.to_be_bytes().into(),
    ];
    assert_eq!(answer, Ok(expected.concat()));
    let nobody = founders.get(1).call(ConductorId(7), vec![], DEADLINE).await;
    assert!(matches!(nobody, Err(CallError::NotSent { .. })));
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_proposals_at_once_are_each_applied_once() {
    let dir = tempfile::tempdir().unwrap();
    let founders = Founders::start(3, directories(dir.path()), Compaction::default()).await;
    let mut running = tokio::task::JoinSet::new();
    for n in 0..600 {
        let cluster = founders.get(n % 3 + 1).clone();
        running.spawn(async move { cluster.propose(change(n)).await });
    }
    while let Some(done) = running.join_next().await {
        assert!(
            matches!(done, Ok(Ok(Reply::Done { .. }))),
            "a proposal failed: {done:?}"
        );
    }
    for (id, sink) in &founders.sinks {
        // Each proposal touches its conductor and the reply slot of its proposer, once.
        let seen = || (sink.changes.load(Ordering::Relaxed) >= 1200).then_some(());
        eventually(&format!("every change told to member {id}"), seen).await;
    }
    let sinks = founders.sinks.clone();
    founders.stop_all().await;
    for (id, sink) in sinks {
        assert_eq!(sink.changes.load(Ordering::Relaxed), 1200, "member {id}");
    }
}
