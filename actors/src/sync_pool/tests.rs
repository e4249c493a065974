//! Tests of the sync pool's actor around its core.

use super::*;
use crate::testkit::{TestBmc, TestEnv};
use actix::{ActorContext, Addr};
use baton_model::driver::ipmi::{IpmiProtocol, IpmiTarget, Privilege};
use baton_model::ids::{Epoch, NodeId, Ticket};
use baton_model::json::Json;
use baton_model::node::intent::BmcSession;
use baton_model::pool::{Answer, BlockPrefix, Endpoint, Priority, Work};
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{BmcError, BmcIdentity, PowerAction, PowerRead, PowerReading};
use baton_model::port::lease::Leaving;
use std::future::Future;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use tokio::task::LocalSet;

/// What the test waits for at most, in virtual time.
const PATIENCE: Duration = Duration::from_secs(600);

struct Asker {
    reports: mpsc::UnboundedSender<Report>,
    mailbox: usize,
}

impl Actor for Asker {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(self.mailbox);
    }
}

impl Handler<BmcReport> for Asker {
    type Result = ();
    fn handle(&mut self, BmcReport(report): BmcReport, _: &mut Context<Self>) {
        self.reports.send(report).unwrap();
    }
}

/// A lease that the test can take away.
struct Lease(AtomicBool);

impl LeaseCheck for Lease {
    fn may_write(&self, _: NodeId, _: Epoch, _: Leaving<'_>) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

struct Bench {
    pool: PoolAddr,
    asker: Addr<Asker>,
    reports: mpsc::UnboundedReceiver<Report>,
    lease: Arc<Lease>,
    env: Env,
}

impl Bench {
    fn new(bmc: Arc<dyn Bmc>, settings: PoolSettings) -> Self {
        Self::with_mailbox(bmc, settings, 16)
    }

    fn with_mailbox(bmc: Arc<dyn Bmc>, settings: PoolSettings, mailbox: usize) -> Self {
        let env = TestEnv::env(1);
        let lease = Arc::new(Lease(AtomicBool::new(true)));
        let runtime = Handle::current();
        let pool = SyncPoolActor::new(settings, env.clone(), bmc, lease.clone(), runtime).open();
        let (sender, reports) = mpsc::unbounded_channel();
        let asker = Asker {
            reports: sender,
            mailbox,
        }
        .start();
        Self {
            pool,
            asker,
            reports,
            lease,
            env,
        }
    }

    fn job(&self, n: u128, work: Work, priority: Priority) -> (Job, BmcTarget) {
        let target = BmcTarget::Ipmi(Arc::new(IpmiTarget {
            address: format!("10.0.{}.{}", n / 250, n % 250).into(),
            port: 623,
            username: "admin".into(),
            password: Default::default(),
            privilege: Privilege::Administrator,
            protocol: IpmiProtocol::V2_0,
            cipher_suite: None,
            kg: None,
            keep_boot: None,
        }));
        let node = NodeId(uuid::Uuid::from_u128(n));
        let job = Job {
            node,
            endpoint: Endpoint::of(node, &target, BlockPrefix::default()),
            priority,
            work,
            deadline: self.env.clock.now() + Duration::from_secs(60),
            ticket: Ticket(u64::try_from(n).unwrap()),
            epoch: Epoch(3),
        };
        (job, target)
    }

    fn ask(&self, n: u128, work: Work) {
        self.ask_as(n, work, Priority::User);
    }

    fn ask_as(&self, n: u128, work: Work, priority: Priority) {
        let (job, target) = self.job(n, work, priority);
        self.submit(job, target);
    }

    fn submit(&self, job: Job, target: BmcTarget) {
        let reply_to = ReplyTo::here(self.asker.clone().recipient());
        self.pool
            .submit(Submit {
                job,
                target,
                cargo: Json::EMPTY,
                session: Some(BmcSession::Unbound),
                reply_to,
            })
            .unwrap();
    }

    async fn report(&mut self) -> Report {
        let report = tokio::time::timeout(PATIENCE, self.reports.recv()).await;
        report.expect("a report in time").expect("the asker lives")
    }
}

/// The same BMC with another user's credentials.
fn login(target: &BmcTarget, username: &str) -> BmcTarget {
    let BmcTarget::Ipmi(mut target) = target.clone() else {
        panic!("not an IPMI target");
    };
    Arc::make_mut(&mut target).username = username.into();
    BmcTarget::Ipmi(target)
}

async fn local<F: Future<Output = ()>>(test: F) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_question_is_answered_under_its_name() {
    local(async {
        let mut bench = Bench::new(Arc::new(TestBmc::default()), PoolSettings::default());
        bench.ask(7, Work::PowerQuery);
        let report = bench.report().await;
        assert_eq!(report.outcome, Ok(Answer::Power(PowerReading::On)));
        assert_eq!((report.ticket, report.epoch), (Ticket(7), Epoch(3)));
        assert!(report.rtt.is_some() && report.started.is_some());
        bench.ask(7, Work::Identify);
        let report = bench.report().await;
        assert_eq!(report.outcome, Ok(Answer::Identity(Box::default())));
        let stats = bench.pool.send(GetStats).await.unwrap();
        assert_eq!((stats.counters.answered, stats.in_flight), (2, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_write_leaves_without_the_lease() {
    local(async {
        let bmc = Arc::new(TestBmc::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        bench.lease.0.store(false, Ordering::SeqCst);
        bench.ask(1, Work::PowerCommand(PowerAction::Off));
        let report = bench.report().await;
        let refusal = Failure::Refused(PoolRefusal::LeaseOver { work: report.work });
        assert_eq!((report.outcome, report.started), (Err(refusal), None));
        assert!(bmc.with("10.0.0.1", |machine| machine.acted.is_empty()));
        // A read needs none.
        bench.ask(1, Work::PowerQuery);
        assert!(bench.report().await.outcome.is_ok());
        bench.lease.0.store(true, Ordering::SeqCst);
        bench.ask(1, Work::PowerCommand(PowerAction::Off));
        assert_eq!(bench.report().await.outcome, Ok(Answer::Accepted));
        assert!(bmc.with("10.0.0.1", |machine| machine.acted == [PowerAction::Off]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_bmc_is_answered_from_memory_and_the_healthy_do_not_notice() {
    local(async {
        let bmc = Arc::new(TestBmc::default());
        bmc.with("10.0.0.1", |machine| machine.silent = true);
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        for _ in 0..3 {
            bench.ask(1, Work::PowerQuery);
            let report = bench.report().await;
            assert!(matches!(
                report.outcome,
                Err(Failure::Bmc(BmcError::Silent { .. }))
            ));
        }
        let before = bench.env.clock.now();
        bench.ask(1, Work::PowerQuery);
        let report = bench.report().await;
        assert!(matches!(
            report.outcome,
            Err(Failure::Refused(PoolRefusal::Silent { .. }))
        ));
        assert_eq!(bench.env.clock.now().since(before), Duration::ZERO);
        for n in 2..200 {
            bench.ask(n, Work::PowerQuery);
        }
        for _ in 2..200 {
            assert!(bench.report().await.outcome.is_ok());
        }
        assert!(bench.env.clock.now().since(before) < Duration::from_secs(1));
    })
    .await;
}

/// A BMC library with bugs, and an eye on how many calls run at once.
#[derive(Default)]
struct Faulty {
    now: AtomicUsize,
    most: AtomicUsize,
    asked: Mutex<Vec<BmcTarget>>,
}

impl Bmc for Faulty {
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        _: Duration,
    ) -> BoxFuture<'a, Result<PowerRead, BmcError>> {
        Box::pin(async {
            self.asked.lock().unwrap().push(target.clone());
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(50)).await;
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(PowerRead {
                power: PowerReading::Off,
                session: None,
            })
        })
    }

    fn power_action<'a>(
        &'a self,
        _: &'a BmcTarget,
        _: PowerAction,
        _: &'a BmcSession,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async { panic!("a bug of the library") })
    }

    fn end_session<'a>(
        &'a self,
        _: &'a BmcTarget,
        _: &'a BmcSession,
        _: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async { Ok(()) })
    }

    fn identify<'a>(
        &'a self,
        _: &'a BmcTarget,
        _: Duration,
    ) -> BoxFuture<'a, Result<BmcIdentity, BmcError>> {
        Box::pin(std::future::pending())
    }

    fn forget<'a>(&'a self, _: &'a BmcTarget) -> BoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn close<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_or_hangs_is_reported_and_frees_its_place() {
    local(async {
        let mut bench = Bench::new(Arc::new(Faulty::default()), PoolSettings::default());
        for work in [Work::PowerCommand(PowerAction::On), Work::Identify] {
            bench.ask(1, work);
            let report = bench.report().await;
            assert_eq!(report.outcome, Err(Failure::Lost { work }));
        }
        bench.ask(1, Work::PowerQuery);
        assert!(bench.report().await.outcome.is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn limits_hold_at_the_bmcs_and_every_report_arrives_in_a_full_mailbox_too() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let settings = PoolSettings {
            limit_initial: 10,
            limit_max: 10,
            user_reserve: 2,
            ..PoolSettings::default()
        };
        let mut bench = Bench::with_mailbox(bmc.clone(), settings, 1);
        for n in 0..500 {
            bench.ask(n, Work::PowerQuery);
        }
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..500 {
            seen.insert(bench.report().await.ticket);
        }
        assert_eq!(seen.len(), 500);
        assert!(bmc.most.load(Ordering::SeqCst) <= 12);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_question_gets_no_report() {
    local(async {
        let mut bench = Bench::new(Arc::new(TestBmc::default()), PoolSettings::default());
        let (job, _) = bench.job(1, Work::PowerQuery, Priority::User);
        bench.ask(1, Work::PowerQuery);
        let (bmc, node, ticket) = (job.endpoint.bmc, job.node, job.ticket);
        bench.pool.send(Cancel { bmc, node, ticket }).await.unwrap();
        bench.ask(2, Work::PowerQuery);
        assert_eq!(bench.report().await.ticket, Ticket(2));
        let stats = bench.pool.send(GetStats).await.unwrap();
        assert_eq!((stats.counters.answered, stats.counters.cancelled), (2, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_leaves_gets_its_waiting_jobs_back_and_its_session_ended() {
    local(async {
        let mut bench = Bench::new(Arc::new(Faulty::default()), PoolSettings::default());
        let (job, target) = bench.job(1, Work::PowerQuery, Priority::User);
        bench.ask(1, Work::PowerQuery);
        bench.ask(1, Work::PowerQuery);
        let (bmc, node) = (job.endpoint.bmc, job.node);
        bench.pool.send(Forget { bmc, node, target }).await.unwrap();
        let report = bench.report().await;
        assert!(matches!(
            report.outcome,
            Err(Failure::Refused(PoolRefusal::Forgotten { .. }))
        ));
        assert!(bench.report().await.outcome.is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_leave_leaves_with_the_new_credentials() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        let (job, old) = bench.job(1, Work::PowerQuery, Priority::User);
        bench.ask(1, Work::PowerQuery);
        bench.ask(1, Work::PowerQuery);
        let new = login(&old, "rotated");
        let changed = CredentialsChanged {
            bmc: job.endpoint.bmc,
            node: job.node,
            new: new.clone(),
            old: Some(old.clone()),
        };
        bench.pool.send(changed).await.unwrap();
        for _ in 0..2 {
            assert!(bench.report().await.outcome.is_ok());
        }
        assert_eq!(*bmc.asked.lock().unwrap(), [old, new]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_neighbour_behind_the_same_bmc_keeps_its_own_credentials() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        let (job, old) = bench.job(1, Work::PowerQuery, Priority::User);
        let named = |name: &str| login(&old, name);
        let neighbour = Job {
            node: NodeId(uuid::Uuid::from_u128(2)),
            ..job
        };
        bench.submit(job, old.clone());
        bench.submit(neighbour, named("neighbour"));
        bench.submit(job, old.clone());
        let changed = CredentialsChanged {
            bmc: job.endpoint.bmc,
            node: job.node,
            new: named("rotated"),
            old: None,
        };
        bench.pool.send(changed).await.unwrap();
        for _ in 0..3 {
            assert!(bench.report().await.outcome.is_ok());
        }
        let asked = [old.clone(), named("neighbour"), named("rotated")];
        assert_eq!(*bmc.asked.lock().unwrap(), asked);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn periodic_reads_come_home_together_and_users_wait_for_none_of_them() {
    local(async {
        let mut bench = Bench::new(Arc::new(Faulty::default()), PoolSettings::default());
        let start = bench.env.clock.now();
        bench.ask_as(1, Work::PowerQuery, Priority::Sync);
        tokio::time::sleep(Duration::from_millis(3)).await;
        bench.ask_as(2, Work::PowerQuery, Priority::Sync);
        bench.ask(3, Work::PowerQuery);
        let mut seen = Vec::new();
        for _ in 0..3 {
            let report = bench.report().await;
            assert_eq!(report.rtt, Some(Duration::from_millis(50)));
            seen.push((report.ticket.0, bench.env.clock.now().since(start)));
        }
        let ms = Duration::from_millis;
        // The first is held for 2 ms for others to be asked with it, and then for 8 ms for others to come home with it.
        assert_eq!(seen, [(3, ms(53)), (1, ms(60)), (2, ms(60))]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_node_says_does_not_overtake_the_read_it_asked_for_before() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        let (job, old) = bench.job(1, Work::PowerQuery, Priority::Sync);
        let (bmc_key, node, ticket) = (job.endpoint.bmc, job.node, job.ticket);

        bench.ask_as(1, Work::PowerQuery, Priority::Sync);
        let cancel = Cancel {
            bmc: bmc_key,
            node,
            ticket,
        };
        bench.pool.send(cancel).await.unwrap();
        bench.ask_as(2, Work::PowerQuery, Priority::Recovery);
        assert_eq!(bench.report().await.ticket, Ticket(2));

        let new = login(&old, "rotated");
        bench.ask_as(1, Work::PowerQuery, Priority::Sync);
        let changed = CredentialsChanged {
            bmc: bmc_key,
            node,
            new: new.clone(),
            old: Some(old),
        };
        bench.pool.send(changed).await.unwrap();
        assert!(bench.report().await.outcome.is_ok());
        assert_eq!(bmc.asked.lock().unwrap().last(), Some(&new));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bmc_that_a_node_has_left_is_not_asked_for_it_any_more() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        let (job, target) = bench.job(1, Work::PowerQuery, Priority::Sync);
        bench.ask_as(1, Work::PowerQuery, Priority::Sync);
        let forget = Forget {
            bmc: job.endpoint.bmc,
            node: job.node,
            target,
        };
        bench.pool.send(forget).await.unwrap();
        assert!(matches!(
            bench.report().await.outcome,
            Err(Failure::Refused(PoolRefusal::Forgotten { .. }))
        ));
        assert_eq!(*bmc.asked.lock().unwrap(), []);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_one_machine_is_never_sent_to_another() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        let (job, old) = bench.job(1, Work::PowerQuery, Priority::User);
        let (_, other) = bench.job(2, Work::PowerQuery, Priority::User);
        bench.submit(job, old.clone());
        bench.submit(job, old.clone());
        let periodic = Job {
            priority: Priority::Sync,
            ..job
        };
        bench.submit(periodic, old.clone());
        let changed = CredentialsChanged {
            bmc: job.endpoint.bmc,
            node: job.node,
            new: other,
            old: None,
        };
        bench.pool.send(changed).await.unwrap();
        for _ in 0..3 {
            assert!(bench.report().await.outcome.is_ok());
        }
        assert_eq!(*bmc.asked.lock().unwrap(), [old.clone(), old.clone(), old]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_periodic_read_of_a_crowd_is_answered() {
    local(async {
        let mut bench =
            Bench::with_mailbox(Arc::new(Faulty::default()), PoolSettings::default(), 4096);
        for n in 1..=1_000 {
            bench.ask_as(n, Work::PowerQuery, Priority::Sync);
        }
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            seen.insert(bench.report().await.ticket);
        }
        assert_eq!(seen.len(), 1_000);
        bench.ask_as(1, Work::PowerQuery, Priority::Sync);
        assert!(bench.report().await.outcome.is_ok());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_place_is_held_for_company_while_many_wait_for_places() {
    local(async {
        let settings = PoolSettings {
            limit_initial: 10,
            limit_max: 10,
            user_reserve: 0,
            ..PoolSettings::default()
        };
        let mut bench = Bench::new(Arc::new(Faulty::default()), settings);
        let start = bench.env.clock.now();
        for n in 0..100 {
            bench.ask_as(n, Work::PowerQuery, Priority::Sync);
        }
        let mut ends = Vec::new();
        for _ in 0..100 {
            bench.report().await;
            ends.push(bench.env.clock.now().since(start).as_millis());
        }
        ends.dedup();
        // Asked for together after 2 ms. Ten calls of 50 ms at a time; only while at most forty wait are their outcomes
        // gathered.
        assert_eq!(ends, [52, 102, 152, 202, 252, 310, 368, 426, 484, 542]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_asker_that_is_gone_holds_nothing_up() {
    struct Goodbye;
    impl actix::Message for Goodbye {
        type Result = ();
    }
    impl Handler<Goodbye> for Asker {
        type Result = ();
        fn handle(&mut self, _: Goodbye, ctx: &mut Context<Self>) {
            ctx.stop();
        }
    }
    local(async {
        let bench = Bench::new(Arc::new(TestBmc::default()), PoolSettings::default());
        bench.ask(1, Work::PowerQuery);
        bench.asker.send(Goodbye).await.unwrap();
        let mut stats = bench.pool.send(GetStats).await.unwrap();
        while stats.counters.answered == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            stats = bench.pool.send(GetStats).await.unwrap();
        }
        assert_eq!(stats.in_flight, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn new_numbers_hold_from_the_next_start() {
    local(async {
        let bmc = Arc::new(Faulty::default());
        let mut bench = Bench::new(bmc.clone(), PoolSettings::default());
        let settings = PoolSettings {
            limit_initial: 3,
            limit_min: 1,
            limit_max: 3,
            user_reserve: 0,
            ..PoolSettings::default()
        };
        bench.pool.send(Configure(settings)).await.unwrap();
        for n in 0..50 {
            bench.ask(n, Work::PowerQuery);
        }
        for _ in 0..50 {
            bench.report().await;
        }
        assert!(bmc.most.load(Ordering::SeqCst) <= 3);
    })
    .await;
}
