//! Tests of the pool: what starts, what waits, what is refused.

mod breakers;
mod laws;
mod network;
mod order;

use super::*;
use crate::env::Mono;
use crate::ids::{Epoch, NodeId, Ticket};
use crate::port::bmc::{BmcError, PowerAction};
use std::time::Duration;
use uuid::Uuid;

const START: Mono = Mono(1_000);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A read of BMC `bmc` in a block of a hundred, at the priority, with a minute to go.
fn job(now: Mono, bmc: u64, priority: Priority) -> Job {
    Job {
        node: NodeId(Uuid::from_u128(u128::from(bmc))),
        endpoint: Endpoint {
            bmc: BmcKey(bmc),
            block: BlockKey(bmc / 100),
            protocol: Protocol::Ipmi,
        },
        priority,
        work: Work::PowerQuery,
        deadline: now + secs(60),
        ticket: Ticket(bmc),
        epoch: Epoch(1),
    }
}

fn write(now: Mono, bmc: u64) -> Job {
    Job {
        work: Work::PowerCommand(PowerAction::On),
        ..job(now, bmc, Priority::User)
    }
}

fn silent() -> BmcError {
    BmcError::Silent {
        bmc: "10.0.0.1:623".into(),
        operation: "power status",
        within: secs(2),
        attempts: 4,
    }
}

fn refused() -> BmcError {
    BmcError::Refused {
        bmc: "10.0.0.1:623".into(),
        username: "admin".into(),
        reason: "RAKP 2 HMAC is invalid".into(),
    }
}

/// A pool with its clock and the effects not yet looked at.
struct Rig {
    pool: SyncPool<()>,
    now: Mono,
    out: Vec<Effect<()>>,
}

impl Rig {
    fn new(settings: PoolSettings) -> Self {
        Self {
            pool: SyncPool::new(settings, 7, START),
            now: START,
            out: Vec::new(),
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.pool.tick(self.now, &mut self.out);
    }

    fn submit(&mut self, job: Job) -> JobId {
        self.pool.submit(self.now, job, (), &mut self.out)
    }

    fn end(&mut self, id: JobId, outcome: Outcome<'_>) {
        let ended = self
            .pool
            .finished(self.now, id, ms(5), outcome, &mut self.out);
        assert!(ended.is_some());
        self.pool.assert_sound();
    }

    fn started(&mut self) -> Vec<JobId> {
        let (started, rest) = std::mem::take(&mut self.out)
            .into_iter()
            .partition::<Vec<_>, _>(|effect| matches!(effect, Effect::Start { .. }));
        self.out = rest;
        let id = |effect: Effect<()>| match effect {
            Effect::Start { id, .. } => Some(id),
            Effect::Reject { .. } => None,
        };
        started.into_iter().filter_map(id).collect()
    }

    fn rejected(&mut self) -> Vec<PoolRefusal> {
        let (rejected, rest) = std::mem::take(&mut self.out)
            .into_iter()
            .partition::<Vec<_>, _>(|effect| matches!(effect, Effect::Reject { .. }));
        self.out = rest;
        let refusal = |effect: Effect<()>| match effect {
            Effect::Reject { refusal, .. } => Some(refusal),
            Effect::Start { .. } => None,
        };
        rejected.into_iter().filter_map(refusal).collect()
    }

    /// Submits, expects it to start at once, and ends it.
    fn ask(&mut self, job: Job, outcome: Outcome<'_>) {
        let id = self.submit(job);
        assert_eq!(self.started(), [id]);
        self.end(id, outcome);
    }

    /// Submits and expects a refusal at once.
    fn refusal(&mut self, job: Job) -> PoolRefusal {
        self.submit(job);
        assert_eq!(self.started(), []);
        self.rejected().pop().expect("a refusal")
    }
}

#[test]
fn an_idle_bmc_is_small() {
    // 300 bytes each with the map around it, filled to two thirds.
    let size = size_of::<bmc_state::BmcState>() + size_of::<BmcKey>();
    assert!(size * 3 / 2 <= 300, "{size}");
}
