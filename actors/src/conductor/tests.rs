//! The conductor and its nodes as a whole: several of them over one log and the same machines, on paused time.

use super::*;
use crate::shared::Lease;
use crate::sync_pool::{GetStats, SyncPoolActor};
use crate::testkit::{TestBmc, TestCluster, TestEnv};
use actix::Addr;
use baton_model::command::Session;
use baton_model::env::Env;
use baton_model::ids::{ConductorId, Epoch, RequestId, WallMs};
use baton_model::json::Json;
use baton_model::node::core::Knobs;
use baton_model::node::intent::BmcSession;
use baton_model::node::power::{PowerRequest, PowerState};
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::NodeRecord;
use baton_model::pool::{BlockPrefix, PoolSettings};
use baton_model::port::bmc::{PowerAction, PowerReading};
use baton_model::port::lease::{LeaseCheck, Leaving};
use baton_model::port::node::{Caller, NodeAnswer, NodeError, NodeGateway, NodeRequest};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::runtime::Handle;
use tokio::task::LocalSet;
use uuid::Uuid;

mod relatives;

/// One conductor process, as far as actors go.
struct Conductor {
    addr: Addr<ConductorActor>,
    registry: Arc<Registry>,
    shared: Arc<Shared>,
    bmc: Arc<TestBmc>,
}

/// A cluster of them, and their machines.
struct World {
    cluster: Arc<TestCluster>,
    env: Env,
    machines: TestBmc,
}

impl World {
    fn new() -> Self {
        Self {
            cluster: TestCluster::new(),
            env: TestEnv::env(5),
            machines: TestBmc::default(),
        }
    }

    /// A world with one machine and one conductor, which owns it.
    async fn with_one_of_each() -> (Self, NodeId, Conductor) {
        let world = Self::new();
        let node = world.node(1);
        let only = world.conductor(1);
        only.is_up().await;
        eventually(|| only.registry.len() == 1).await;
        (world, node, only)
    }

    fn conductor(&self, number: u64) -> Conductor {
        let member = self.cluster.member(number);
        let me = ConductorId(number);
        let state = self.cluster.state.clone();
        let lease = Arc::new(Lease::new(self.env.clone(), state.clone(), me));
        let bmc = Arc::new(self.machines.another_client());
        let pool = SyncPoolActor::new(
            PoolSettings::default(),
            self.env.clone(),
            bmc.clone(),
            lease.clone(),
            Handle::current(),
        )
        .open();
        let host: Box<str> = format!("host-{number}").into();
        let shared = Arc::new(Shared::new(
            self.env.clone(),
            state.clone(),
            member.clone(),
            member,
            lease,
            host.clone(),
            pool,
            BlockPrefix::default(),
            Arc::new(Knobs::default()),
        ));
        let feed = Arc::new(ChangeFeed::default());
        self.cluster.subscribe(feed.clone());
        let registry = Arc::new(Registry::new(state));
        let profile = Profile {
            host,
            group: "".into(),
            rack: "".into(),
            drivers: Vec::new(),
        };
        let ttl = Duration::from_secs(1);
        let addr = ConductorActor::new(
            shared.clone(),
            profile,
            SessionPeriods { ttl },
            feed,
            registry.clone(),
            Placement::Here,
        )
        .start();
        Conductor {
            addr,
            registry,
            shared,
            bmc,
        }
    }

    /// An active machine that is on, at `10.0.0.<n>`.
    fn node(&self, n: u8) -> NodeId {
        self.node_at(n, n)
    }

    /// The same with another machine's BMC.
    fn node_at(&self, n: u8, address: u8) -> NodeId {
        let id = NodeId(Uuid::from_u128(u128::from(n)));
        let mut record = NodeRecord::new(id, "ipmi".into(), WallMs(0));
        record.interfaces.power = "ipmitool".into();
        record.provision_state = ProvisionState::Active;
        record.power_state = Some(PowerState::On);
        let info = format!("{{\"ipmi_address\": \"10.0.0.{address}\"}}");
        record.driver_info = Json::parse(&info).expect("valid");
        self.cluster.commit(Command::NodeCreate(Box::new(record)));
        id
    }

    fn record(&self, node: NodeId) -> Arc<NodeRecord> {
        self.cluster.state.read().node(node).expect("there").clone()
    }

    fn failures(&self, node: NodeId) -> u32 {
        self.cluster.state.read().sync_failures(node)
    }

    fn is_settled(&self, node: NodeId, power: PowerState) -> bool {
        let record = self.record(node);
        record.power_state == Some(power) && record.intent.is_none()
    }
}

impl Conductor {
    fn session(&self) -> Session {
        self.shared.lease.session()
    }

    async fn is_up(&self) {
        eventually(|| self.shared.lease.until() > Mono(0)).await;
    }

    async fn power(&self, node: NodeId, request: PowerRequest) -> Result<NodeAnswer, NodeError> {
        let timeout_s = None;
        let caller = Caller::Operator;
        let request = NodeRequest::Power {
            request,
            timeout_s,
            caller,
        };
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        let id = RequestId(format!("req-{number}").into());
        self.registry.request(node, id, request).await
    }
}

/// Waits on paused time.
async fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..100_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to be");
}

async fn local<F: Future<Output = ()>>(test: F) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_paused_before_it_left_is_fenced_by_the_bmc() {
    local(async {
        let (world, node, first) = World::with_one_of_each().await;

        // The lease was checked, and there the process is paused.
        first.bmc.hold_writes(true);
        let answer = first.power(node, PowerRequest::Off).await;
        assert_eq!(answer, Ok(NodeAnswer::Accepted));
        eventually(|| {
            let record = world.record(node);
            record.intent.as_ref().is_some_and(|i| i.write.is_some())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(50)).await;

        let second = world.conductor(2);
        second.is_up().await;
        world
            .cluster
            .commit(Command::ConductorDown(first.session()));
        eventually(|| world.is_settled(node, PowerState::Off)).await;
        second.power(node, PowerRequest::On).await.expect("taken");
        eventually(|| world.is_settled(node, PowerState::On)).await;

        first.bmc.hold_writes(false);
        let fenced = || {
            let machine = |m: &mut crate::testkit::TestMachine| m.fenced_off.clone();
            world.machines.with("10.0.0.1", machine)
        };
        eventually(|| !fenced().is_empty()).await;
        assert_eq!(fenced(), vec![PowerAction::Off]);
        world.machines.with("10.0.0.1", |machine| {
            assert_eq!(machine.acted, vec![PowerAction::Off, PowerAction::On]);
            assert_eq!(machine.power, PowerReading::On);
        });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_lease_lets_only_the_announced_command_leave() {
    local(async {
        let (world, node, first) = World::with_one_of_each().await;
        first.bmc.hold_writes(true);
        first.power(node, PowerRequest::Off).await.expect("taken");
        let record = world.record(node);
        let write = record.intent.as_ref().and_then(|i| i.write.clone());
        let session = write.expect("announced").session;
        let may = |epoch, action, session: &BmcSession| {
            let leaving = Leaving::Command { action, session };
            first.shared.lease.may_write(node, epoch, leaving)
        };
        let epoch = record.epoch;
        assert!(may(epoch, PowerAction::Off, &session));
        assert!(!may(epoch, PowerAction::On, &session));
        assert!(!may(epoch, PowerAction::Off, &BmcSession::Ipmi(99)));
        assert!(!may(Epoch(epoch.0 + 1), PowerAction::Off, &session));

        // Another conductor claims the work: neither the command nor the fence is this one's any more.
        let second = world.conductor(2);
        second.is_up().await;
        world
            .cluster
            .commit(Command::ConductorDown(first.session()));
        assert!(!may(epoch, PowerAction::Off, &session));
        let lease = &first.shared.lease;
        assert!(!lease.may_write(node, epoch, Leaving::EndSession));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nodes_follow_ownership_and_a_lost_feed_costs_nothing() {
    local(async {
        let world = World::new();
        let nodes: Vec<NodeId> = (1..=40).map(|n| world.node(n)).collect();
        let (first, second) = (world.conductor(1), world.conductor(2));
        first.is_up().await;
        second.is_up().await;
        eventually(|| first.registry.len() + second.registry.len() == nodes.len()).await;
        assert!(first.registry.len() > 10 && second.registry.len() > 10);

        // Of what the state machine tells while a snapshot is installed, only `reset` arrives.
        let late = world.conductor(3);
        late.is_up().await;
        eventually(|| late.registry.len() > 5).await;
        let state = world.cluster.state.clone();
        let before = late.registry.len();
        {
            let mut state = state.write();
            let mut all: Vec<_> = state.all_stored().collect();
            all.retain(|stored| {
                !matches!(stored, baton_model::state::Stored::Conductor(id, _) if *id == ConductorId(2))
            });
            *state = baton_model::state::ClusterState::restore(all);
        }
        world.cluster.reset();
        eventually(|| first.registry.len() + late.registry.len() == nodes.len()).await;
        eventually(|| second.registry.is_empty()).await;
        assert!(late.registry.len() > before);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_actor_that_panics_is_rebuilt_and_its_work_is_taken_up_again() {
    local(async {
        let (world, node, only) = World::with_one_of_each().await;
        // The machine takes the command; the entry that would close the intent kills the actor.
        only.bmc.hold_writes(true);
        only.power(node, PowerRequest::Off).await.expect("taken");
        world.cluster.panic_next(1);
        only.bmc.hold_writes(false);
        eventually(|| world.cluster.panics_left() == 0).await;
        eventually(|| world.is_settled(node, PowerState::Off)).await;
        assert_eq!(world.record(node).last_error, None);
        assert!(!world.record(node).maintenance);
        world.machines.with("10.0.0.1", |machine| {
            assert_eq!(
                machine.acted,
                vec![PowerAction::Off],
                "already there, so not sent again"
            );
            assert_eq!(
                machine.sessions.len(),
                1,
                "the dead actor's session was ended"
            );
        });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_whose_actor_keeps_panicking_goes_into_maintenance_and_the_others_go_on() {
    local(async {
        let world = World::new();
        let (bad, good) = (world.node(1), world.node(2));
        let only = world.conductor(1);
        only.is_up().await;
        eventually(|| only.registry.len() == 2).await;
        world
            .cluster
            .panic_next(u64::try_from(REBUILDS_MAX).expect("small"));
        for _ in 0..REBUILDS_MAX {
            let left = world.cluster.panics_left();
            // Nobody gets an answer from an actor that dies, only the word to try again.
            let answer = only.power(bad, PowerRequest::Off).await;
            assert!(
                matches!(answer, Err(NodeError::Unavailable { .. })),
                "{answer:?}"
            );
            eventually(|| world.cluster.panics_left() < left).await;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        eventually(|| world.record(bad).maintenance).await;
        let reason = world.record(bad).maintenance_reason.clone();
        assert!(reason.is_some_and(|reason| reason.contains("panicked 4 times")));
        only.power(good, PowerRequest::Off).await.expect("taken");
        eventually(|| world.is_settled(good, PowerState::Off)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_hands_all_nodes_over_while_running_work_ends_where_it_began() {
    local(async {
        let world = World::new();
        let nodes: Vec<NodeId> = (1..=20).map(|n| world.node(n)).collect();
        let (first, second) = (world.conductor(1), world.conductor(2));
        first.is_up().await;
        second.is_up().await;
        eventually(|| first.registry.len() + second.registry.len() == nodes.len()).await;
        let busy = first.registry.nodes()[0];
        let address = format!("10.0.0.{}", busy.0.as_u128());
        first.bmc.hold_writes(true);
        first.power(busy, PowerRequest::Off).await.expect("taken");

        let drained = first.addr.send(Drain {
            patience: Duration::from_secs(60),
        });
        let drained = tokio::task::spawn_local(drained);
        eventually(|| second.registry.len() == nodes.len()).await;
        eventually(|| first.registry.nodes() == vec![busy]).await;
        assert!(!drained.is_finished());
        let waits = second.power(busy, PowerRequest::On);
        tokio::pin!(waits);
        let early = tokio::time::timeout(Duration::from_secs(1), &mut waits).await;
        assert!(early.is_err(), "the lock is still held");

        first.bmc.hold_writes(false);
        drained.await.expect("no panic").expect("alive");
        waits.await.expect("taken by the new owner");
        eventually(|| world.is_settled(busy, PowerState::On)).await;
        eventually(|| first.registry.is_empty()).await;
        assert_eq!(world.record(busy).last_error, None);
        world.machines.with(&address, |machine| {
            assert_eq!(machine.acted, vec![PowerAction::Off, PowerAction::On]);
            assert_eq!(machine.fenced_off, Vec::new());
        });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_end_is_handed_over_and_finished_by_the_next() {
    local(async {
        let (world, node, first) = World::with_one_of_each().await;
        first.bmc.hold_writes(true);
        first
            .power(node, PowerRequest::Reboot)
            .await
            .expect("taken");
        let second = world.conductor(2);
        second.is_up().await;
        let patience = Duration::from_secs(60);
        first.addr.send(Drain { patience }).await.expect("alive");
        first.addr.send(Stop).await.expect("alive");
        eventually(|| world.is_settled(node, PowerState::On)).await;
        assert_eq!(world.record(node).last_error, None);
        world.machines.with("10.0.0.1", |machine| {
            assert_eq!(machine.acted, vec![PowerAction::Off, PowerAction::On]);
        });
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_conductor_that_was_declared_down_begins_a_new_life_and_owns_again() {
    local(async {
        let world = World::new();
        let node = world.node(1);
        let only = world.conductor(1);
        only.is_up().await;
        let before = only.session();
        world.cluster.commit(Command::ConductorDown(before));
        eventually(|| only.session() != before).await;
        only.is_up().await;
        eventually(|| only.registry.len() == 1).await;
        only.power(node, PowerRequest::Off).await.expect("taken");
        eventually(|| world.is_settled(node, PowerState::Off)).await;
        only.addr.send(Stop).await.expect("alive");
        assert_eq!(only.shared.lease.until(), Mono(0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_another_conductor_owned_is_read_at_once_and_a_start_spreads_out() {
    local(async {
        let world = World::new();
        let nodes: Vec<NodeId> = (1..=60).map(|n| world.node(n)).collect();
        let reads = |n: usize| {
            let address = format!("10.0.0.{}", n + 1);
            world.machines.with(&address, |machine| machine.reads)
        };
        let (first, second) = (world.conductor(1), world.conductor(2));
        first.is_up().await;
        second.is_up().await;
        eventually(|| first.registry.len() + second.registry.len() == nodes.len()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let early = (0..nodes.len()).filter(|n| reads(*n) > 0).count();
        assert!(
            early < nodes.len() / 2,
            "{early} of 60 were read in 2 of 120 s"
        );

        let orphans: Vec<usize> = (0..nodes.len())
            .filter(|n| second.registry.get(nodes[*n]).is_some())
            .collect();
        let before: Vec<u64> = orphans.iter().map(|n| reads(*n)).collect();
        second.addr.send(Stop).await.expect("alive");
        tokio::time::sleep(Duration::from_secs(2)).await;
        for (n, before) in orphans.iter().zip(before) {
            assert!(
                reads(*n) > before,
                "machine {n} was not read by its new owner"
            );
        }
    })
    .await;
}

fn refused(world: &World) -> u64 {
    world.machines.with("10.0.0.1", |machine| machine.refused)
}

#[tokio::test(start_paused = true)]
async fn a_login_refused_to_one_conductor_is_not_tried_by_the_next_until_the_credentials_change() {
    local(async {
        let world = World::new();
        let node = world.node(1);
        world.machines.with("10.0.0.1", |machine| {
            machine.password = Some("rotated".into())
        });
        let first = world.conductor(1);
        first.is_up().await;
        eventually(|| world.record(node).login_refused.is_some()).await;
        assert_eq!(refused(&world), 1);

        let second = world.conductor(2);
        second.is_up().await;
        world
            .cluster
            .commit(Command::ConductorDown(first.session()));
        eventually(|| second.registry.len() == 1).await;
        // Nobody tries for longer than BMCs lock accounts for, a waiting user neither.
        tokio::time::sleep(Duration::from_secs(300)).await;
        second.power(node, PowerRequest::Off).await.expect("taken");
        let failed = || world.record(node).last_error.is_some();
        eventually(failed).await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        let record = world.record(node);
        let error = record.last_error.as_deref().unwrap_or_default();
        assert!(
            error.contains("refused user `admin`")
                && error.contains("driver_info has new credentials"),
            "{error}"
        );
        assert_eq!(refused(&world), 1, "one refused login in all");

        // The operator corrects them, on whichever conductor.
        let info = r#"{"ipmi_address": "10.0.0.1", "ipmi_password": "rotated"}"#;
        let edit = NodeEdit::DriverInfo(Json::parse(info).expect("valid"));
        world.cluster.commit(Command::NodeEdit(EditNode {
            node,
            expect: None,
            edits: vec![edit],
        }));
        let corrected = tokio::time::Instant::now();
        eventually(|| {
            let record = world.record(node);
            world.failures(node) == 0 && !record.maintenance
        })
        .await;
        assert!(
            corrected.elapsed() < Duration::from_secs(5),
            "{:?}",
            corrected.elapsed()
        );
        assert_eq!(refused(&world), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_moves_to_another_bmc_leaves_the_old_one() {
    local(async {
        let world = World::new();
        let node = world.node(1);
        world
            .machines
            .with("10.0.0.1", |machine| machine.silent = true);
        let conductor = world.conductor(1);
        conductor.is_up().await;
        eventually(|| world.record(node).fault.is_some()).await;
        let stats = conductor.shared.pool.send(GetStats).await.expect("stats");
        assert_eq!((stats.bmcs, stats.breakers_open), (1, 1));

        let edit = |info: &str| {
            world.cluster.commit(Command::NodeEdit(EditNode {
                node,
                expect: None,
                edits: vec![NodeEdit::DriverInfo(Json::parse(info).expect("valid"))],
            }));
        };
        edit(r#"{"ipmi_address": "10.0.0.2"}"#);
        eventually(|| !world.record(node).maintenance).await;
        let stats = conductor.shared.pool.send(GetStats).await.expect("stats");
        assert_eq!((stats.bmcs, stats.breakers_open), (1, 0));

        // Nothing to reach: the machine is left as well.
        edit("{}");
        eventually(|| world.failures(node) > 0).await;
        let stats = conductor.shared.pool.send(GetStats).await.expect("stats");
        assert_eq!(stats.bmcs, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_takes_along_a_count_that_is_not_in_the_log_yet_and_counts_change_no_record() {
    local(async {
        let world = World::new();
        let (first, second) = (world.conductor(1), world.conductor(2));
        first.is_up().await;
        second.is_up().await;
        for n in 1..=16 {
            let address = format!("10.0.0.{n}");
            world
                .machines
                .with(&address, |machine| machine.silent = true);
            world.node(n);
        }
        eventually(|| first.registry.len() + second.registry.len() == 16).await;
        let mine = first.registry.nodes();
        let node = *mine.first().expect("one of sixteen");
        let revision = world.record(node).revision;
        let noted = || first.shared.failures.noted(node);
        eventually(|| world.failures(node) == 1 && noted().is_none()).await;
        while noted() != Some(2) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.failures(node), 1, "it leaves with the next beat");

        let patience = Duration::ZERO;
        first.addr.send(Drain { patience }).await.expect("alive");
        assert_eq!(world.failures(node), 2);
        first.addr.send(Stop).await.expect("alive");
        eventually(|| world.failures(node) == 3).await;
        assert_eq!(world.record(node).revision, revision);
        eventually(|| world.record(node).fault.is_some()).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_count_that_had_no_log_is_there_with_the_next_beat_and_none_outlives_its_life() {
    local(async {
        let (world, node, only) = World::with_one_of_each().await;
        let noted = || only.shared.failures.noted(node);
        world.cluster.set_down(true);
        only.shared.failures.note(node, Some(2));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!((world.failures(node), noted()), (0, Some(2)));
        world.cluster.set_down(false);
        eventually(|| world.failures(node) == 2 && noted().is_none()).await;

        // Just after a beat, so that a new life has begun before the next.
        eventually(|| world.env.clock.wall().0 % 2048 < 6).await;
        world
            .machines
            .with("10.0.0.1", |machine| machine.silent = true);
        only.shared.failures.note(node, Some(3));
        let before = only.session();
        world.cluster.commit(Command::ConductorDown(before));
        eventually(|| only.session() != before).await;
        only.is_up().await;
        eventually(|| world.failures(node) == 3).await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        let fault = world.record(node).fault;
        assert_eq!((world.failures(node), fault), (3, None), "two and one");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_second_node_with_the_same_bmc_is_refused_with_words_and_the_first_one_works_on() {
    local(async {
        let world = World::new();
        let (rightful, other) = (world.node(1), world.node_at(2, 1));
        world.cluster.commit(Command::NodeEdit(EditNode {
            node: rightful,
            expect: None,
            edits: vec![NodeEdit::Name(Some("rack1-u1".into()))],
        }));
        let conductors = [world.conductor(1), world.conductor(2)];
        for conductor in &conductors {
            conductor.is_up().await;
        }
        let owner = async |node| {
            eventually(|| {
                conductors
                    .iter()
                    .any(|one| one.registry.get(node).is_some())
            })
            .await;
            conductors
                .iter()
                .find(|one| one.registry.get(node).is_some())
                .expect("just seen")
        };
        owner(other)
            .await
            .power(other, PowerRequest::Off)
            .await
            .expect("taken");
        eventually(|| world.record(other).last_error.is_some()).await;
        let record = world.record(other);
        let error = record.last_error.as_deref().unwrap_or_default();
        let named = format!("it is the BMC of node {rightful} (rack1-u1) already");
        assert!(error.contains(&named), "{error}");
        // Nor does power sync touch it, whatever the records say of the one machine; the node ends in fault.
        tokio::time::sleep(Duration::from_secs(900)).await;
        assert!(world.record(other).maintenance);
        world
            .machines
            .with("10.0.0.1", |machine| assert_eq!(machine.acted, Vec::new()));
        owner(rightful)
            .await
            .power(rightful, PowerRequest::Off)
            .await
            .expect("taken");
        eventually(|| world.is_settled(rightful, PowerState::Off)).await;
        // Corrected, it comes back by itself.
        let info = r#"{"ipmi_address": "10.0.0.2"}"#;
        let edit = NodeEdit::DriverInfo(Json::parse(info).expect("valid"));
        world.cluster.commit(Command::NodeEdit(EditNode {
            node: other,
            expect: None,
            edits: vec![edit],
        }));
        eventually(|| !world.record(other).maintenance).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn freshness_is_counted_without_asking() {
    local(async {
        let world = World::new();
        let dead = world.node(1);
        world.node(2);
        world.node(3);
        world
            .machines
            .with("10.0.0.1", |machine| machine.silent = true);
        let only = world.conductor(1);
        only.is_up().await;
        tokio::time::sleep(Duration::from_secs(280)).await;
        let report = || {
            let now = only.shared.env.clock.now();
            let after = Duration::from_secs(200);
            only.shared.freshness().report(now, 5, after)
        };
        let now = report();
        assert_eq!((now.ages.count(), now.unconfirmed, now.stale), (2, 1, 1));
        assert_eq!(
            now.worst.first().map(|row| (row.node, row.confirmed)),
            Some((dead, false))
        );
        assert!(now.ages.within(120) == 2, "{now:?}");
        // In fault it is no news any more.
        eventually(|| world.record(dead).maintenance).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = report();
        assert_eq!((now.recovering, now.stale, now.unconfirmed), (1, 0, 0));
    })
    .await;
}
