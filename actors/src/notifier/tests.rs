//! Tests of the notifier: what leaves the outbox, and what waits.

use super::*;
use crate::shared::Lease;
use crate::sync_pool::SyncPoolActor;
use crate::testkit::{TestBmc, TestCluster, TestEnv};
use actix::Addr;
use baton_model::command::{ActOnNode, ConductorUp, Fence, NodeChange, Session};
use baton_model::env::Mono;
use baton_model::ids::{ConductorId, Epoch, Incarnation, NodeId, WallMs};
use baton_model::node::core::Knobs;
use baton_model::node::power::{PowerCause, PowerState};
use baton_model::node::record::NodeRecord;
use baton_model::pool::{BlockPrefix, PoolSettings};
use baton_model::port::BoxFuture;
use baton_model::port::compute::PowerUpdate;
use std::sync::Mutex;
use tokio::task::LocalSet;
use uuid::Uuid;

const ME: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};

/// A compute service that answers as it is told, and then that all is well.
#[derive(Default)]
struct Nova {
    answers: Mutex<Vec<Result<Vec<ItemResult>, ComputeError>>>,
    got: Mutex<Vec<Vec<PowerUpdate>>>,
}

impl Compute for Nova {
    fn power_update<'a>(
        &'a self,
        batch: &'a [PowerUpdate],
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ComputeError>> {
        Box::pin(async {
            self.got.lock().unwrap().push(batch.to_vec());
            tokio::time::sleep(Duration::from_millis(30)).await;
            let answer = self.answers.lock().unwrap().pop();
            answer.unwrap_or_else(|| Ok(vec![ItemResult::Accepted; batch.len()]))
        })
    }
}

struct Bench {
    cluster: Arc<TestCluster>,
    notifier: Addr<NotifierActor>,
    nova: Arc<Nova>,
}

impl Bench {
    fn new(with_client: bool) -> Self {
        let cluster = TestCluster::new();
        let env = TestEnv::env(3);
        let member = cluster.member(1);
        let lease = Arc::new(Lease::new(env.clone(), cluster.state.clone(), ME.conductor));
        lease.begin(ME.incarnation);
        lease.extend(Mono(u64::MAX));
        let pool = SyncPoolActor::new(
            PoolSettings::default(),
            env.clone(),
            Arc::new(TestBmc::default()),
            lease.clone(),
            Handle::current(),
        );
        let pool = actix::Actor::start(pool);
        let shared = Shared::new(
            env,
            cluster.state.clone(),
            member.clone(),
            member,
            lease,
            "one".into(),
            pool.clone().recipient(),
            pool.clone().recipient(),
            pool.recipient(),
            BlockPrefix::default(),
            Arc::new(Knobs::default()),
        );
        let nova = Arc::new(Nova::default());
        let client: Option<Arc<dyn Compute>> = with_client.then_some(nova.clone());
        let settings = OutboxSettings::default();
        let notifier = NotifierActor::new(Arc::new(shared), client, settings, Handle::current());
        cluster.commit(Command::ConductorUp(ConductorUp {
            session: ME,
            host: "one".into(),
            group: "".into(),
            rack: "".into(),
            drivers: vec!["fake-hardware".into()],
        }));
        Self {
            cluster,
            notifier: notifier.start(),
            nova,
        }
    }

    /// A node with an instance of the same number, whose power changes now.
    fn change(&self, n: u128, state: PowerState) {
        let node = NodeId(Uuid::from_u128(n));
        if self.cluster.state.read().node(node).is_none() {
            let mut record = NodeRecord::new(node, "fake-hardware".into(), WallMs(0));
            record.instance_uuid = Some(Uuid::from_u128(n));
            self.cluster.commit(Command::NodeCreate(Box::new(record)));
        }
        let epoch = self
            .cluster
            .state
            .read()
            .node(node)
            .map_or(Epoch(0), |record| record.epoch);
        self.cluster.commit(Command::NodeAct(ActOnNode {
            node,
            fence: Fence { session: ME, epoch },
            expect: None,
            changes: vec![NodeChange::Power {
                state: Some(state),
                cause: PowerCause::User,
                notify: true,
            }],
        }));
    }

    fn depth(&self) -> usize {
        self.cluster.state.read().outbox().len()
    }

    async fn drained(&self) {
        let empty = async {
            while self.depth() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(300), empty)
            .await
            .expect("the outbox empties");
    }
}

#[tokio::test(start_paused = true)]
async fn every_change_is_told_once_and_then_dropped() {
    let test = async {
        let bench = Bench::new(true);
        for n in 1..=3 {
            bench.change(n, PowerState::On);
        }
        assert_eq!(bench.depth(), 3);
        bench.drained().await;
        let got = bench.nova.got.lock().unwrap().clone();
        assert_eq!((got.len(), got[0].len()), (1, 3));
        let stats = bench.notifier.send(GetOutboxStats).await.unwrap();
        assert_eq!(stats.accepted, 3);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn failures_are_repeated_and_hopeless_events_dropped() {
    let test = async {
        let bench = Bench::new(true);
        let down = Err(ComputeError::Unavailable {
            reason: "503".into(),
            retry_after: None,
        });
        // The last one is answered first.
        let mixed = Ok(vec![
            ItemResult::Rejected { code: 404 },
            ItemResult::Failed { code: 500 },
        ]);
        *bench.nova.answers.lock().unwrap() = vec![mixed, down];
        bench.change(1, PowerState::On);
        bench.change(2, PowerState::Off);
        bench.drained().await;
        let sizes: Vec<usize> = bench
            .nova
            .got
            .lock()
            .unwrap()
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [2, 2, 1]);
        let stats = bench.notifier.send(GetOutboxStats).await.unwrap();
        assert_eq!((stats.accepted, stats.rejected, stats.failed), (1, 1, 3));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_cannot_drop_now_is_not_sent_again() {
    let test = async {
        let bench = Bench::new(true);
        bench.change(1, PowerState::On);
        bench.cluster.set_down(true);
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(bench.depth(), 1);
        bench.cluster.set_down(false);
        bench.drained().await;
        assert_eq!(bench.nova.got.lock().unwrap().len(), 1);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_client_it_counts() {
    let test = async {
        let bench = Bench::new(false);
        bench.change(1, PowerState::On);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let stats = bench.notifier.send(GetOutboxStats).await.unwrap();
        assert_eq!((stats.depth, bench.depth()), (1, 1));
        assert!(stats.oldest >= Duration::from_secs(10));
    };
    LocalSet::new().run_until(test).await;
}
