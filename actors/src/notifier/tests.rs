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
use baton_model::node::power::{PowerCause, PowerRequest, PowerState};
use baton_model::node::record::NodeRecord;
use baton_model::outbox::EventStatus;
use baton_model::pool::{BlockPrefix, PoolSettings};
use baton_model::port::BoxFuture;
use baton_model::port::compute::{MaySend, Notifier as _, PowerUpdate};
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
    /// How long it takes to get a token, before anything is sent.
    token: Mutex<Duration>,
}

impl Compute for Nova {
    fn power_update<'a>(
        &'a self,
        batch: &'a [PowerUpdate],
        may_send: MaySend<'a>,
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ComputeError>> {
        Box::pin(async move {
            let token = *self.token.lock().unwrap();
            tokio::time::sleep(token).await;
            if !may_send() {
                return Err(ComputeError::Withheld);
            }
            self.got.lock().unwrap().push(batch.to_vec());
            tokio::time::sleep(Duration::from_millis(30)).await;
            let answer = self.answers.lock().unwrap().pop();
            answer.unwrap_or_else(|| Ok(vec![ItemResult(200); batch.len()]))
        })
    }

    fn server_power<'a>(
        &'a self,
        servers: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<ServerPower>, ComputeError>> {
        Box::pin(async move { Ok(vec![ServerPower::Gone; servers.len()]) })
    }
}

fn up(cluster: &TestCluster, session: Session) {
    cluster.commit(Command::ConductorUp(ConductorUp {
        session,
        host: "one".into(),
        group: "".into(),
        rack: "".into(),
        drivers: vec!["fake-hardware".into()],
    }));
}

struct Bench {
    cluster: Arc<TestCluster>,
    notifier: Addr<NotifierActor>,
    view: Arc<NotifierView>,
    lease: Arc<Lease>,
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
        )
        .open();
        let shared = Shared::new(
            env.clone(),
            cluster.state.clone(),
            member.clone(),
            member,
            lease.clone(),
            "one".into(),
            pool,
            BlockPrefix::default(),
            Arc::new(Knobs::default()),
        );
        let nova = Arc::new(Nova::default());
        let client: Option<Arc<dyn Compute>> = with_client.then_some(nova.clone());
        let settings = OutboxSettings::default();
        let feed = Arc::new(OutboxFeed::default());
        cluster.subscribe(feed.clone());
        let state = cluster.state.clone();
        let window = Duration::from_secs(600);
        let view = Arc::new(NotifierView::new(env, state, window, with_client));
        let notifier = NotifierActor::new(
            Arc::new(shared),
            client,
            feed,
            view.clone(),
            settings,
            Handle::current(),
        );
        up(&cluster, ME);
        Self {
            cluster,
            notifier: notifier.start(),
            view,
            lease,
            nova,
        }
    }

    fn up(&self, session: Session) {
        up(&self.cluster, session);
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
        self.cluster.state.read().outbox_len()
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
async fn every_change_is_told_once_and_called_done() {
    let test = async {
        let bench = Bench::new(true);
        for n in 1..=3 {
            bench.change(n, PowerState::On);
        }
        assert_eq!(bench.depth(), 3);
        bench.drained().await;
        let got = bench.nova.got.lock().unwrap().clone();
        assert_eq!((got.len(), got[0].len()), (1, 3));
        tokio::time::sleep(PUBLISH_EVERY * 2).await;
        let stats = bench.view.stats();
        assert_eq!((stats.accepted, stats.depth), (3, 0));
        let state = bench.cluster.state.read();
        let told = state.event_of(Uuid::from_u128(2)).unwrap().status;
        assert!(matches!(told, EventStatus::Told { .. }));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn failures_are_repeated_and_hopeless_events_become_dead_letters() {
    let test = async {
        let bench = Bench::new(true);
        let down = Err(ComputeError::Unavailable {
            trouble: Trouble::Status(503),
            reason: "503".into(),
            retry_after: None,
        });
        // The last one is answered first.
        let mixed = Ok(vec![ItemResult(400), ItemResult(500)]);
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
        let dead = |n| {
            let state = bench.cluster.state.read();
            state.event_of(Uuid::from_u128(n)).unwrap().is_dead()
        };
        assert_eq!((dead(1), dead(2)), (true, false));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn what_the_cluster_cannot_store_now_is_not_sent_again() {
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
async fn without_a_client_it_only_watches() {
    let test = async {
        let bench = Bench::new(false);
        bench.change(1, PowerState::On);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let stats = bench.view.stats();
        assert_eq!((stats.depth, bench.depth()), (1, 1));
        assert!(stats.oldest >= Duration::from_secs(10));
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_leaves_without_a_lease_not_even_after_the_wait_for_a_token() {
    let test = async {
        let bench = Bench::new(true);
        bench.lease.end();
        bench.change(1, PowerState::On);
        tokio::time::sleep(Duration::from_secs(30)).await;
        // The lease ends while the client waits for its token.
        *bench.nova.token.lock().unwrap() = Duration::from_secs(2);
        bench.lease.extend(Mono(u64::MAX));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        bench.lease.end();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(bench.nova.got.lock().unwrap().len(), 0);
        bench.lease.extend(Mono(u64::MAX));
        bench.drained().await;
        assert_eq!(bench.nova.got.lock().unwrap().len(), 1);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_life_claims_what_the_old_one_may_have_sent_and_waits() {
    let test = async {
        let bench = Bench::new(true);
        bench.lease.end();
        bench.change(1, PowerState::On);
        let next = Session {
            incarnation: Incarnation(2),
            ..ME
        };
        bench.up(next);
        bench.lease.begin(next.incarnation);
        bench.lease.extend(Mono(u64::MAX));
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(bench.nova.got.lock().unwrap().len(), 0);
        let sender = |bench: &Bench| {
            let state = bench.cluster.state.read();
            state.event_of(Uuid::from_u128(1)).unwrap().sender
        };
        assert_eq!(sender(&bench), next);
        bench.drained().await;
        assert_eq!(bench.nova.got.lock().unwrap().len(), 1);
    };
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn the_compute_service_may_not_undo_what_it_has_not_heard_of() {
    let test = async {
        let bench = Bench::new(true);
        let instance = Uuid::from_u128(1);
        bench.cluster.set_down(true);
        bench.change(1, PowerState::On);
        let found = bench.view.contradiction(instance, PowerRequest::Off);
        assert_eq!(found.map(|found| found.state), Some(PowerState::On));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(
            bench
                .view
                .contradiction(instance, PowerRequest::Off)
                .is_some()
        );
        bench.cluster.set_down(false);
        bench.drained().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(
            bench
                .view
                .contradiction(instance, PowerRequest::Off)
                .is_none()
        );
        drop(bench.notifier);
    };
    LocalSet::new().run_until(test).await;
}
