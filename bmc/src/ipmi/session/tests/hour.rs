//! An hour of power sync over a network that loses one datagram in twenty: node cores, sync pool, IPMI conversations and
//! BMCs as they are in production, on a clock of their own. Nobody may be taken for dead.

use super::*;
use baton_model::command::{self, NodeChange};
use baton_model::driver::BmcTarget;
use baton_model::ids::{Epoch, LogIndex, NodeId, Revision, WallMs};
use baton_model::node::core::{Context, Effect, FirstRead, Input, Knobs, NodeCore};
use baton_model::node::power::PowerState;
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::NodeRecord;
use baton_model::pool::{
    self, BlockPrefix, Endpoint, Outcome, PoolSettings, Priority, SyncPool, Work,
};
use rand::Rng;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use uuid::Uuid;

const NODES: u64 = 100;
const INTERVAL: Duration = Duration::from_secs(60);
const LOSS: f64 = 0.05;

/// One node with everything between it and its machine. Machines share no bottleneck, so each has the hour for itself.
struct Rig {
    world: World,
    core: NodeCore,
    record: Arc<NodeRecord>,
    pool: SyncPool<()>,
    knobs: Knobs,
    wake: Mono,
    reads: u64,
    failed: u64,
    faults: u64,
    failures: u32,
}

impl Rig {
    fn new(n: u64, lost: &Rc<Cell<u64>>) -> Self {
        let mut record = NodeRecord::new(
            NodeId(Uuid::from_u128(u128::from(n))),
            "ipmi".into(),
            WallMs(0),
        );
        record.interfaces.power = "ipmitool".into();
        record.provision_state = ProvisionState::Active;
        record.power_state = Some(PowerState::On);
        let knobs = Knobs {
            sync_interval: Some(INTERVAL),
            ..Knobs::default()
        };
        let mut world = World::new(target());
        let chance = Rc::new(RefCell::new(StdRng::seed_from_u64(n)));
        let lost = Rc::clone(lost);
        world.lose = Box::new(move || {
            let loses = chance.borrow_mut().random_bool(LOSS);
            lost.set(lost.get() + u64::from(loses));
            loses
        });
        let record = Arc::new(record);
        let core = NodeCore::new(
            Arc::clone(&record),
            context(world.now, &knobs),
            FirstRead::WithinInterval,
            n * 997,
        );
        let pool = SyncPool::new(PoolSettings::default(), n, world.now);
        Self {
            world,
            core,
            record,
            pool,
            knobs,
            wake: Mono(0),
            reads: 0,
            failed: 0,
            faults: 0,
            failures: 0,
        }
    }

    /// What the sync pool makes of one question: its budget, the call, and what it learns.
    fn call(&mut self, work: Work, job: Job) -> Result<Reply, BmcError> {
        let target = BmcTarget::Ipmi(Arc::clone(self.world.conversation.target()));
        let question = pool::Job {
            node: self.record.id,
            endpoint: Endpoint::of(self.record.id, &target, BlockPrefix::default()),
            priority: Priority::Sync,
            work,
            deadline: self.world.now + Duration::from_secs(60),
            ticket: baton_model::ids::Ticket(1),
            epoch: Epoch(0),
        };
        let mut out = Vec::new();
        let id = self.pool.submit(self.world.now, question, (), &mut out);
        let Some(pool::Effect::Start { budget, .. }) = out.pop() else {
            panic!("a breaker opened over a network that only loses datagrams");
        };
        let before = self.world.now;
        let result = self.world.run_within(job, budget);
        let outcome = match &result {
            Ok(_) => Outcome::Answered,
            Err(error) => Outcome::Failed(error),
        };
        let took = self.world.now.since(before);
        self.pool
            .finished(self.world.now, id, took, outcome, &mut out);
        result
    }

    fn step(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let context = Context {
                failures: self.failures,
                ..context(self.world.now, &self.knobs)
            };
            for effect in self.core.step(context, input) {
                match effect {
                    Effect::Read { ticket, .. } => {
                        self.reads += 1;
                        let result = match self.call(Work::PowerQuery, Job::PowerState) {
                            Ok(Reply::Power(reading)) => Ok(reading),
                            Ok(other) => panic!("{other:?}"),
                            Err(error) => {
                                self.failed += 1;
                                Err(error.into())
                            }
                        };
                        let rtt = Duration::ZERO;
                        inputs.push_back(Input::Read {
                            ticket,
                            result,
                            rtt,
                            session: None,
                        });
                    }
                    Effect::Propose {
                        ticket, changes, ..
                    } => {
                        let mut record = NodeRecord::clone(&self.record);
                        record.revision = record.revision.next();
                        for change in changes {
                            match change {
                                NodeChange::SyncFailures(count) => self.failures = count,
                                NodeChange::EnterMaintenance { .. } => self.faults += 1,
                                _ => {}
                            }
                        }
                        self.record = Arc::new(record);
                        inputs.push_back(Input::Record(Arc::clone(&self.record)));
                        let done = command::Reply::Done {
                            index: LogIndex(1),
                            revision: Revision(1),
                            epoch: Epoch(0),
                        };
                        inputs.push_back(Input::Proposed {
                            ticket,
                            result: Ok(done),
                        });
                    }
                    Effect::Act { action, .. } => panic!("`{action}`, which nobody asked for"),
                    Effect::WakeAt(at) => self.wake = at,
                    Effect::CountFailures(Some(count)) => self.failures = count,
                    Effect::Identify { .. }
                    | Effect::Ask { .. }
                    | Effect::EndSession { .. }
                    | Effect::SwitchRelatives { .. }
                    | Effect::Answer { .. }
                    | Effect::CountFailures(None)
                    | Effect::ForgetBmc
                    | Effect::Note(_) => {}
                }
            }
        }
    }
}

fn context(now: Mono, knobs: &Knobs) -> Context<'_> {
    Context {
        now,
        wall: WallMs(0),
        lease_until: Mono(u64::MAX),
        is_owner: true,
        other_holds: false,
        has_children: false,
        failures: 0,
        knobs,
        host: "one",
    }
}

#[test]
fn an_hour_of_five_percent_loss_faults_nobody_and_switches_nothing() {
    let lost = Rc::new(Cell::new(0));
    let (mut reads, mut failed, mut faults) = (0, 0, 0);
    for n in 0..NODES {
        let mut rig = Rig::new(n, &lost);
        let end = rig.world.now + Duration::from_secs(3600);
        rig.step(Input::Wake);
        while rig.wake < end {
            rig.world.now = rig.world.now.max(rig.wake);
            rig.step(Input::Wake);
        }
        reads += rig.reads;
        failed += rig.failed;
        faults += rig.faults;
    }
    assert!(reads >= NODES * 59, "{reads} reads");
    assert!(
        lost.get() > reads / 10,
        "only {} datagrams were lost",
        lost.get()
    );
    assert_eq!(faults, 0, "{failed} of {reads} reads failed");
    // A cold read is four round trips within two seconds, and each is repeated until then.
    assert!(failed * 200 <= reads, "{failed} of {reads} reads failed");
}
