//! Laws that hold for every sequence of events.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Event {
    Submit {
        bmc: u64,
        priority: usize,
        write: bool,
        patience_ms: u64,
    },
    End {
        which: usize,
        how: u8,
    },
    Cancel {
        which: usize,
    },
    Forget {
        bmc: u64,
    },
    Credentials {
        bmc: u64,
    },
    Pass {
        millis: u64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let patience_ms = prop_oneof![100..2_000u64, 2_000..120_000u64];
    prop_oneof![
        8 => (0..12u64, 0..3usize, any::<bool>(), patience_ms).prop_map(
            |(bmc, priority, write, patience_ms)| Event::Submit { bmc, priority, write, patience_ms }
        ),
        6 => (any::<usize>(), 0..8u8).prop_map(|(which, how)| Event::End { which, how }),
        1 => any::<usize>().prop_map(|which| Event::Cancel { which }),
        1 => (0..12u64).prop_map(|bmc| Event::Forget { bmc }),
        1 => (0..12u64).prop_map(|bmc| Event::Credentials { bmc }),
        3 => prop_oneof![1..300u64, 300..20_000u64].prop_map(|millis| Event::Pass { millis }),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waiting,
    Flying,
    Ended,
    Rejected,
    Cancelled,
}

/// The pool beside a naive account of every job.
struct Account {
    rig: Rig,
    /// By ticket, which is unique here.
    fates: BTreeMap<u64, (JobId, Job, Fate)>,
}

impl Account {
    /// Books the effects, and checks each against the account.
    fn book(&mut self) {
        for effect in std::mem::take(&mut self.rig.out) {
            let (ticket, fate) = match effect {
                Effect::Start { id, budget } => {
                    let job = *self.rig.pool.job(id).expect("a started job is known").0;
                    assert!(!budget.is_zero() && self.rig.now + budget <= job.deadline);
                    let same_bmc = |(_, other, fate): &&(JobId, Job, Fate)| {
                        *fate == Fate::Flying && other.endpoint.bmc == job.endpoint.bmc
                    };
                    assert_eq!(
                        self.fates.values().filter(same_bmc).count(),
                        0,
                        "two in flight"
                    );
                    (job.ticket.0, Fate::Flying)
                }
                Effect::Reject { job, .. } => (job.ticket.0, Fate::Rejected),
            };
            let (_, _, was) = self
                .fates
                .get_mut(&ticket)
                .expect("an effect of a known job");
            assert_eq!(*was, Fate::Waiting, "{ticket} -> {fate:?}");
            *was = fate;
        }
        let flying = self.flying().len();
        let told = self.rig.pool.settings();
        assert!(flying <= told.in_flight_max());
        self.rig.pool.assert_sound();
    }

    /// Tickets in flight. A cancelled call is still in flight, but its fate is sealed; it is booked as flying here.
    fn flying(&self) -> Vec<u64> {
        let in_flight = |(_, (_, _, fate)): &(&u64, &(JobId, Job, Fate))| *fate == Fate::Flying;
        self.fates
            .iter()
            .filter(in_flight)
            .map(|(ticket, _)| *ticket)
            .collect()
    }

    fn end(&mut self, ticket: u64, how: u8) {
        let (id, _, fate) = self.fates.get_mut(&ticket).expect("known");
        let id = *id;
        *fate = Fate::Ended;
        let busy = BmcError::Busy {
            bmc: "b".into(),
            reason: "busy".into(),
            retry_after: None,
        };
        let (silent, refused) = (silent(), refused());
        let outcome = match how {
            0 => Outcome::Failed(&refused),
            1 => Outcome::Failed(&busy),
            2 => Outcome::NotMade,
            3 => Outcome::Lost,
            4 | 5 => Outcome::Failed(&silent),
            _ => Outcome::Answered,
        };
        let rig = &mut self.rig;
        let ended = rig.pool.finished(rig.now, id, ms(7), outcome, &mut rig.out);
        assert_eq!(ended.map(|ended| ended.job.ticket), Some(Ticket(ticket)));
        assert!(
            rig.pool
                .finished(rig.now, id, ms(7), outcome, &mut rig.out)
                .is_none()
        );
        self.book();
    }

    fn run(&mut self, ticket: u64, event: Event) {
        let now = self.rig.now;
        match event {
            Event::Submit {
                bmc,
                priority,
                write,
                patience_ms,
            } => {
                let mut job = job(now, bmc, Priority::ALL[priority]);
                job.endpoint.block = BlockKey(bmc / 4);
                job.ticket = Ticket(ticket);
                job.deadline = now + ms(patience_ms);
                if write {
                    job.work = Work::PowerCommand(PowerAction::Off);
                }
                let id = self.rig.pool.submit(now, job, (), &mut self.rig.out);
                self.fates.insert(ticket, (id, job, Fate::Waiting));
            }
            Event::End { which, how } => {
                let flying = self.flying();
                if !flying.is_empty() {
                    self.end(flying[which % flying.len()], how);
                }
            }
            Event::Cancel { which } => {
                let all: Vec<(u64, Job, Fate)> = self
                    .fates
                    .iter()
                    .map(|(t, (_, job, fate))| (*t, *job, *fate))
                    .collect();
                if !all.is_empty() {
                    let (ticket, job, fate) = all[which % all.len()];
                    let rig = &mut self.rig;
                    let known = rig.pool.cancel(
                        now,
                        job.endpoint.bmc,
                        job.node,
                        Ticket(ticket),
                        &mut rig.out,
                    );
                    if fate == Fate::Waiting {
                        assert!(known);
                        self.fates
                            .insert(ticket, (all_id(&self.fates, ticket), job, Fate::Cancelled));
                    }
                }
            }
            Event::Forget { bmc } => {
                let node = NodeId(Uuid::from_u128(u128::from(bmc)));
                self.rig
                    .pool
                    .forget(now, BmcKey(bmc), node, &mut self.rig.out);
            }
            Event::Credentials { bmc } => {
                self.rig
                    .pool
                    .credentials_changed(now, BmcKey(bmc), &mut self.rig.out);
            }
            Event::Pass { millis } => self.rig.pass(ms(millis)),
        }
        self.book();
    }
}

fn all_id(fates: &BTreeMap<u64, (JobId, Job, Fate)>, ticket: u64) -> JobId {
    fates[&ticket].0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_job_has_exactly_one_end(
        events in prop::collection::vec(event(), 1..200),
        limit in 1..6usize,
        block_max in 1..4usize,
        packets in prop_oneof![Just(24u64), Just(100_000u64)],
    ) {
        let settings = PoolSettings {
            limit_initial: limit,
            limit_min: 1,
            limit_max: limit + 2,
            user_reserve: 1,
            suspects_max: 3,
            block_max,
            block_suspects_max: 1,
            queue_max: 20,
            queue_per_bmc_max: 4,
            packets_per_second: packets,
            packets_burst: packets,
            ..PoolSettings::default()
        };
        let mut account = Account { rig: Rig::new(settings), fates: BTreeMap::new() };
        for (ticket, event) in events.into_iter().enumerate() {
            account.run(ticket as u64, event);
        }
        // Everything ends by itself once calls end and time passes, and the pool says when.
        for _ in 0..2_000 {
            while let Some(ticket) = account.flying().pop() {
                account.end(ticket, 7);
            }
            let Some(at) = account.rig.pool.wake_at() else { break };
            account.rig.now = account.rig.now.max(at);
            account.rig.pass(Duration::ZERO);
            account.book();
        }
        for (ticket, (_, _, fate)) in &account.fates {
            prop_assert!(!matches!(fate, Fate::Waiting | Fate::Flying), "{ticket}: {fate:?}");
        }
        prop_assert_eq!(account.rig.pool.wake_at(), None);
    }
}
