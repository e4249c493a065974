//! Sessions over real sockets: renewed they live, unrenewed they end, and a change of leader ends none that is renewed.

use crate::support::*;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::peer::transport::Tcp;
use baton_cluster::{Cluster, Compaction};
use baton_model::command::{Command, ConductorUp, Reply, Session};
use baton_model::ids::ConductorId;
use baton_model::port::cluster::{RenewError, Sessions};
use baton_model::state::ConductorStatus;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

const TTL: Duration = Duration::from_millis(500);

async fn begin(cluster: &Cluster) -> Session {
    let incarnation = cluster.next_incarnation().await.unwrap();
    let session = Session {
        conductor: cluster.conductor(),
        incarnation,
    };
    let reply = cluster
        .propose(Command::ConductorUp(ConductorUp {
            session,
            host: format!("host-{}", cluster.conductor()).into(),
            group: "".into(),
            rack: "".into(),
            drivers: Vec::new(),
        }))
        .await
        .unwrap();
    assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    session
}

/// Renews four times in a period, as a conductor does.
fn keep_renewing(cluster: &Cluster, session: Session) -> JoinHandle<()> {
    let cluster = cluster.clone();
    tokio::spawn(async move {
        loop {
            drop(cluster.renew(session).await);
            tokio::time::sleep(TTL / 4).await;
        }
    })
}

fn status(cluster: &Cluster, conductor: ConductorId) -> Option<ConductorStatus> {
    cluster
        .state()
        .read()
        .conductor(conductor)
        .map(|record| record.status)
}

async fn founders() -> Founders {
    let disks: Vec<MemDisk> = (0..3).map(|_| MemDisk::default()).collect();
    Founders::start_with(
        3,
        memory(&disks),
        Compaction::default(),
        Arc::new(Tcp::default()),
        TTL,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_session_lives_and_a_silent_one_is_declared_down() {
    let founders = founders().await;
    founders.leader().await;
    let (one, two) = (founders.get(1), founders.get(2));
    let (alive, silent) = (begin(one).await, begin(two).await);
    let renewing = keep_renewing(one, alive);
    eventually("the silent conductor to be declared down", || {
        (status(one, silent.conductor) == Some(ConductorStatus::Down)).then_some(())
    })
    .await;
    assert_eq!(status(one, alive.conductor), Some(ConductorStatus::Up));
    assert_eq!(two.renew(silent).await, Err(RenewError::Over));
    renewing.abort();

    let reborn = begin(two).await;
    assert!(reborn.incarnation > silent.incarnation);
    assert_eq!(two.renew(reborn).await, Ok(()));
    assert_eq!(
        two.renew(silent).await,
        Err(RenewError::Over),
        "the old life stays over"
    );
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_leader_is_gone_its_session_ends_and_renewed_ones_go_on() {
    let mut founders = founders().await;
    let leader = founders.leader().await;
    let mut sessions = Vec::new();
    for id in 1..=3 {
        sessions.push(begin(founders.get(id)).await);
    }
    founders.stop(leader).await;
    let survivors: Vec<Session> = sessions
        .iter()
        .copied()
        .filter(|session| session.conductor.0 != leader)
        .collect();
    let witness = founders.get(survivors[0].conductor.0).clone();
    let renewing: Vec<_> = survivors
        .iter()
        .map(|session| keep_renewing(founders.get(session.conductor.0), *session))
        .collect();
    eventually("the former leader to be declared down", || {
        (status(&witness, ConductorId(leader)) == Some(ConductorStatus::Down)).then_some(())
    })
    .await;
    for session in &survivors {
        assert_eq!(
            status(&witness, session.conductor),
            Some(ConductorStatus::Up)
        );
    }
    renewing.iter().for_each(JoinHandle::abort);
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hands_its_office_over_and_falls_silent_keeps_what_was_granted_to_it() {
    let founders = founders().await;
    let leader = founders.leader().await;
    // Who has just started vouches for nothing; this is about those that could.
    tokio::time::sleep(TTL * 2).await;
    let former = founders.get(leader);
    let session = begin(former).await;
    let heir = founders.get(leader % 3 + 1);
    let sent = Instant::now();
    assert_eq!(former.renew(session).await, Ok(()));
    former.transfer_leader(heir.conductor()).await.unwrap();
    eventually("the silent session to be declared over", || {
        (status(heir, session.conductor) == Some(ConductorStatus::Down)).then_some(())
    })
    .await;
    let holder_may_act = TTL - TTL / 5;
    assert!(
        sent.elapsed() >= holder_may_act,
        "declared over after {:?}, while its holder might act",
        sent.elapsed()
    );
    founders.stop_all().await;
}
