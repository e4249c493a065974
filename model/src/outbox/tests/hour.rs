//! An hour of faults, in virtual time and from a seed: three conductors with replicas of their own over one log, a compute
//! service that fails in every way we know, and a ledger of what it heard.
//!
//! The service is down for twenty minutes; it storms with 5xx and 429, refuses a token, answers item by item, is slow, and
//! loses answers; some requests take many seconds to reach it. Sending conductors are killed and come back, drain and serve
//! again, stop as a SIGTERM stops them; one is cut off from the log but not from the service, and replicas lag. In the end:
//! every instance's last delivered state is its machine's, each instance heard its changes in order, nothing was lost, and only
//! an unanswered event was ever told twice. Bugs are planted to see that the ledger tells.

mod ledger;

use super::*;
use crate::apply::apply;
use crate::command::{
    ActOnNode, ClaimEvents, Command, ConductorUp, DrainOrder, EventDone, Fence, NodeChange,
    Proposal, ProposalId, ReleaseEvents,
};
use crate::ids::LogIndex;
use crate::node::record::NodeRecord;
use crate::outbox::view::{may_send, seen};
use crate::state::{Change, ClusterState, ConductorStatus};
use ledger::{Ledger, Said};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

const HOUR: u64 = 3_600_000;
const INSTANCES: u128 = 90;
const CONDUCTORS: u64 = 3;
/// A session's period, and how much earlier its holder stops and how much later the others believe it.
const TTL: u64 = 1_000;
const MARGIN: u64 = 250;
/// The client's time limit of a request.
const REQUEST_LIMIT: u64 = 20_000;

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// What is wrong with the conductors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    Nothing,
    /// A successor does not wait for what its predecessor may have sent.
    NoWait,
    /// Now and then an event is called told that was never sent.
    Lose,
    /// Events are handed over while a request about them is under way.
    HandOverInFlight,
    /// A notifier forgets what it has under way.
    Forget,
}

struct Conductor {
    id: u64,
    life: u64,
    alive: bool,
    /// Told to stop: it ends once it is idle.
    stopping: bool,
    /// Its release is this entry; it hears of the outcome when it has applied it.
    release: Option<usize>,
    /// Cut off from the log and the leader, not from the compute service.
    cut: bool,
    lease_until: u64,
    /// What it has applied.
    state: ClusterState,
    applied: usize,
    touched: BTreeSet<Uuid>,
    everything: bool,
    core: Outbox,
}

impl Conductor {
    fn session(&self) -> Session {
        Session {
            conductor: ConductorId(self.id),
            incarnation: Incarnation(self.life),
        }
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A machine changes its state.
    Change,
    /// This conductor applies what has reached it, renews, looks.
    Step(u64),
    /// A request reaches the service.
    Arrive(u64),
    /// Its answer, or what stands for it, reaches this life of the sender.
    Reply(u64),
    Kill,
    /// A conductor is drained for a while.
    Drain,
    Undrain(u64),
    /// A conductor is told to stop.
    Stop,
    /// It has waited long enough for answers: it ends in this life.
    End(u64, u64),
    Start(u64),
    Cut(bool),
    /// A cut conductor's session is over.
    Expire(u64, u64),
}

struct Flight {
    sender: (u64, u64),
    batch: u64,
    items: Vec<(Uuid, u64, PowerState)>,
    result: Option<Result<Vec<ItemResult>, ComputeError>>,
}

struct World {
    now: u64,
    chance: Chance,
    timers: BinaryHeap<Reverse<(u64, u64, Event)>>,
    count: u64,
    log: Vec<Proposal>,
    /// The state that a majority has.
    truth: ClusterState,
    conductors: Vec<Conductor>,
    flights: BTreeMap<u64, Flight>,
    ledger: Ledger,
    kills: u32,
    /// Handed over by living senders.
    handed: usize,
    plant: Plant,
}

impl World {
    fn new(seed: u64, plant: Plant) -> Self {
        let mut world = Self {
            now: 0,
            chance: Chance(seed),
            timers: BinaryHeap::new(),
            count: 0,
            log: Vec::new(),
            truth: ClusterState::default(),
            conductors: Vec::new(),
            flights: BTreeMap::new(),
            ledger: Ledger::default(),
            kills: 0,
            handed: 0,
            plant,
        };
        for id in 1..=CONDUCTORS {
            world.conductors.push(Conductor {
                id,
                life: 0,
                alive: false,
                stopping: false,
                release: None,
                cut: false,
                lease_until: 0,
                state: ClusterState::default(),
                applied: 0,
                touched: BTreeSet::new(),
                everything: true,
                core: Outbox::new(OutboxSettings::default()),
            });
            world.start(id);
            world.at(0, Event::Step(id));
        }
        for n in 1..=INSTANCES {
            let id = NodeId(Uuid::from_u128(n));
            let mut node = NodeRecord::new(id, "fake-hardware".into(), WallMs(0));
            node.instance_uuid = Some(Uuid::from_u128(n));
            world.commit(Command::NodeCreate(Box::new(node)));
        }
        world.at(10, Event::Change);
        for minute in [3, 9, 14, 22, 27, 31, 34, 38, 46, 49, 52] {
            world.at(minute * 60_000 + 7, Event::Kill);
        }
        for minute in [2, 11, 26, 29, 36, 45, 48, 50, 55] {
            world.at(minute * 60_000 + 13_000, Event::Drain);
        }
        for minute in [1, 12, 28, 35, 37, 47, 57] {
            world.at(minute * 60_000 + 31_000, Event::Stop);
        }
        for (at, cut) in [(41 * 60_000, true), (43 * 60_000, false)] {
            world.at(at, Event::Cut(cut));
        }
        world
    }

    fn at(&mut self, after: u64, event: Event) {
        self.count += 1;
        self.timers
            .push(Reverse((self.now + after, self.count, event)));
    }

    fn commit(&mut self, command: Command) {
        let proposal = Proposal {
            id: ProposalId {
                conductor: ConductorId(9),
                incarnation: Incarnation(1),
                seq: self.log.len() as u64,
            },
            at: WallMs(self.now),
            command,
        };
        let index = LogIndex(self.log.len() as u64 + 1);
        self.log.push(proposal.clone());
        apply(&mut self.truth, index, proposal);
    }

    fn conductor(&mut self, id: u64) -> &mut Conductor {
        &mut self.conductors[usize::try_from(id - 1).expect("small")]
    }

    fn settings(&self) -> OutboxSettings {
        let mut settings = OutboxSettings::default();
        if self.plant == Plant::NoWait {
            settings.handover_wait = Duration::ZERO;
        }
        settings
    }

    /// One that serves, while another one does too.
    fn serving(&mut self) -> Option<u64> {
        let serves = |one: &&Conductor| one.alive && !one.cut && !one.stopping;
        let host = |one: &&Conductor| !self.truth.is_drained(&format!("conductor-{}", one.id));
        let all: Vec<u64> = self
            .conductors
            .iter()
            .filter(serves)
            .filter(host)
            .map(|one| one.id)
            .collect();
        let at = usize::try_from(self.chance.below(all.len().max(1) as u64)).expect("small");
        all.get(at).copied().filter(|_| all.len() > 1)
    }

    // --- Plans of the operators -------------------------------------------------------------------

    fn order(&mut self, id: u64, drained: bool) {
        let host = format!("conductor-{id}").into();
        self.commit(Command::DrainOrder(DrainOrder { host, drained }));
    }

    fn drain(&mut self) {
        if let Some(id) = self.serving() {
            self.order(id, true);
            let span = 500 + self.chance.below(20_000);
            self.at(span, Event::Undrain(id));
        }
    }

    /// SIGTERM: the nodes go first, then what is under way, then the conductor.
    fn stop(&mut self) {
        if let Some(id) = self.serving() {
            let conductor = self.conductor(id);
            conductor.stopping = true;
            let (session, life) = (conductor.session(), conductor.life);
            self.commit(Command::ConductorDraining(session));
            self.at(5_000, Event::End(id, life));
        }
    }

    fn end(&mut self, id: u64, life: u64) {
        let conductor = self.conductor(id);
        if conductor.alive && conductor.life == life && conductor.stopping {
            conductor.alive = false;
            let session = conductor.session();
            self.commit(Command::ConductorDown(session));
            let back = 1_000 + self.chance.below(5_000);
            self.at(back, Event::Start(id));
        }
    }

    // --- Faults of the conductors -----------------------------------------------------------------

    fn start(&mut self, id: u64) {
        let (now, ttl) = (self.now, TTL - MARGIN);
        let settings = self.settings();
        let conductor = self.conductor(id);
        conductor.life += 1;
        conductor.alive = true;
        conductor.stopping = false;
        conductor.release = None;
        conductor.lease_until = now + ttl;
        conductor.core = Outbox::new(settings);
        conductor.everything = true;
        let up = ConductorUp {
            session: conductor.session(),
            host: format!("conductor-{id}").into(),
            group: "".into(),
            rack: "".into(),
            drivers: vec!["fake-hardware".into()],
        };
        self.commit(Command::ConductorUp(up));
    }

    /// Kills a conductor, one with a request under way if there is one.
    fn kill(&mut self) {
        let sending = self.flights.values().find(|flight| {
            let (id, life) = flight.sender;
            let conductor = &self.conductors[usize::try_from(id - 1).expect("small")];
            let lives = conductor.alive && conductor.life == life && !conductor.stopping;
            flight.result.is_none() && lives && !conductor.cut
        });
        let alive = self.conductors.iter().filter(|one| one.alive).count();
        let Some(id) = sending.map(|flight| flight.sender.0).filter(|_| alive > 1) else {
            // Nobody is sending this millisecond: soon somebody is.
            self.at(5, Event::Kill);
            return;
        };
        self.kills += 1;
        let conductor = self.conductor(id);
        conductor.alive = false;
        let life = conductor.life;
        self.at(TTL + MARGIN, Event::Expire(id, life));
        let back = 2_000 + self.chance.below(60_000);
        self.at(back, Event::Start(id));
    }

    fn expire(&mut self, id: u64, life: u64) {
        let conductor = self.conductor(id);
        let session = conductor.session();
        if conductor.life == life && (!conductor.alive || conductor.cut) {
            self.commit(Command::ConductorDown(session));
        }
    }

    fn cut(&mut self, cut: bool) {
        let conductor = self.conductor(2);
        conductor.cut = cut;
        let (life, alive) = (conductor.life, conductor.alive);
        if cut {
            self.at(TTL + MARGIN, Event::Expire(2, life));
        } else if alive {
            // Its session was declared over: it begins a new life.
            self.start(2);
        }
    }

    // --- Machines ---------------------------------------------------------------------------------

    fn change(&mut self) {
        if self.now >= HOUR {
            return;
        }
        let n = 1 + u128::from(self.chance.below(u64::try_from(INSTANCES).expect("small")));
        let node = self
            .truth
            .node(NodeId(Uuid::from_u128(n)))
            .expect("it exists");
        let session = self.truth.owner_session(node);
        if let Some(session) = session {
            let id = session.conductor.0;
            let owner = &self.conductors[usize::try_from(id - 1).expect("small")];
            if owner.alive && !owner.cut {
                let state = match node.power_state {
                    Some(PowerState::On) => PowerState::Off,
                    Some(PowerState::Off | PowerState::Error) | None => PowerState::On,
                };
                let fence = Fence {
                    session,
                    epoch: node.epoch,
                };
                let node = node.id;
                self.commit(Command::NodeAct(ActOnNode {
                    node,
                    fence,
                    expect: None,
                    changes: vec![NodeChange::Power {
                        state: Some(state),
                        cause: PowerCause::User,
                        notify: true,
                    }],
                }));
            }
        }
        let pause = 20 + self.chance.below(600);
        self.at(pause, Event::Change);
    }

    // --- A conductor ------------------------------------------------------------------------------

    fn step(&mut self, id: u64) {
        let now = self.now;
        let lag = self.lag(id);
        let pause = 5 + self.chance.below(40);
        self.at(pause, Event::Step(id));
        let log: Vec<(usize, Proposal)> = {
            let conductor = self.conductor(id);
            let from = conductor.applied;
            let reached = |proposal: &&Proposal| proposal.at.0 + lag <= now;
            let cut = self.conductors[usize::try_from(id - 1).expect("small")].cut;
            let entries = self.log[from..].iter().filter(|_| !cut);
            let entries = entries.take_while(reached).cloned().enumerate();
            entries.map(|(n, one)| (from + n, one)).collect()
        };
        let conductor = self.conductor(id);
        for (at, proposal) in log {
            let applied = apply(&mut conductor.state, LogIndex(at as u64 + 1), proposal);
            conductor.applied = at + 1;
            for change in applied.changes {
                match change {
                    Change::Outbox(instance) => drop(conductor.touched.insert(instance)),
                    Change::Conductor(_) => conductor.everything = true,
                    Change::Node(_)
                    | Change::Reply(..)
                    | Change::Object(..)
                    | Change::Drained
                    | Change::SyncFailures(_) => {}
                }
            }
        }
        if !conductor.alive {
            return;
        }
        if conductor
            .release
            .is_some_and(|entry| entry <= conductor.applied)
        {
            conductor.release = None;
            conductor.core.released();
            conductor.everything = true;
        }
        if !conductor.cut {
            conductor.lease_until = now + TTL - MARGIN;
        }
        self.look(id);
        let conductor = self.conductor(id);
        let drains = conductor.state.conductor(ConductorId(id));
        let drains = drains.is_some_and(|record| record.status == ConductorStatus::Draining);
        if conductor.stopping && drains && conductor.core.is_idle() {
            let life = conductor.life;
            self.at(0, Event::End(id, life));
        }
    }

    /// How far behind the log its replica is; in one minute seconds, with a lease all the same.
    fn lag(&mut self, id: u64) -> u64 {
        if id == 1 && (53 * 60_000..54 * 60_000).contains(&self.now) {
            4_000
        } else {
            1 + self.chance.below(30)
        }
    }

    /// What the notifier's shell does.
    fn look(&mut self, id: u64) {
        let mono = Mono(self.now);
        let conductor = self.conductor(id);
        let me = conductor.session();
        let mut touched = std::mem::take(&mut conductor.touched);
        if std::mem::take(&mut conductor.everything) {
            touched.extend(conductor.state.outbox().map(|event| event.instance));
            touched.extend(conductor.core.known());
        }
        for instance in touched {
            let known = seen(&conductor.state, me, instance);
            conductor.core.update(mono, instance, known);
        }
        let written = self.log.len();
        let conductor = self.conductor(id);
        let (claims, mut done) = (conductor.core.claims(mono), conductor.core.done());
        let mut events = conductor.core.releases(mono);
        if self.plant == Plant::HandOverInFlight {
            let state = &self.conductor(id).state;
            let mine = state.outbox().filter(|event| event.sender == me);
            events = mine.map(|event| (event.instance, event.seq)).collect();
        }
        if self.plant == Plant::Lose && self.chance.below(2_000) == 0 {
            let state = &self.conductor(id).state;
            done.extend(state.outbox().take(1).map(|event| EventDone {
                instance: event.instance,
                seq: event.seq,
                outcome: EventOutcome::Told(Told::Accepted),
            }));
        }
        if self.plant == Plant::Forget && self.chance.below(500) == 0 {
            let settings = self.settings();
            self.conductor(id).core = Outbox::new(settings);
            self.conductor(id).everything = true;
        }
        let conductor = self.conductor(id);
        if !conductor.cut {
            if !events.is_empty() && conductor.release.is_none() {
                conductor.release = Some(written + 1);
                let before = self.truth.clone();
                self.commit(Command::EventsRelease(ReleaseEvents {
                    session: me,
                    events,
                }));
                let moved = self.truth.outbox().filter(|event| {
                    let former = before.outbox_of(event.instance);
                    former.is_some_and(|former| former.sender != event.sender)
                });
                self.handed += moved.count();
            }
            if !claims.is_empty() {
                let claim = ClaimEvents {
                    session: me,
                    instances: claims,
                };
                self.commit(Command::EventsClaim(claim));
            }
            if !done.is_empty() {
                self.ledger.done(&self.truth, &done);
                self.commit(Command::EventsDone(done));
            }
        }
        loop {
            let now = self.now;
            let conductor = self.conductor(id);
            if now >= conductor.lease_until {
                return;
            }
            let Some(batch) = conductor.core.next_batch(mono) else {
                return;
            };
            let allowed = may_send(&conductor.state, me, &batch.events);
            let seq_of = |update: &crate::port::compute::PowerUpdate| {
                let event = conductor.state.outbox_of(update.instance);
                event.map_or(0, |event| event.seq)
            };
            let items = batch
                .events
                .iter()
                .map(|update| (update.instance, seq_of(update), update.state))
                .collect();
            let flight = Flight {
                sender: (id, me.incarnation.0),
                batch: batch.id,
                items,
                result: None,
            };
            self.count += 1;
            let key = self.count;
            self.flights.insert(key, flight);
            if allowed {
                // Some hang in a proxy, whatever becomes of their sender.
                let way = match self.chance.below(20) {
                    0 => 1 + self.chance.below(15_000),
                    _ => 1 + self.chance.below(200),
                };
                self.at(way, Event::Arrive(key));
            } else {
                self.answer(key, Err(ComputeError::Withheld), 1);
            }
        }
    }

    // --- The service ------------------------------------------------------------------------------

    fn answer(&mut self, key: u64, result: Result<Vec<ItemResult>, ComputeError>, after: u64) {
        if let Some(flight) = self.flights.get_mut(&key) {
            flight.result = Some(result);
        }
        self.at(after, Event::Reply(key));
    }

    fn arrive(&mut self, key: u64) {
        let minute = self.now / 60_000;
        let Some(flight) = self.flights.get(&key) else {
            return;
        };
        let items = flight.items.clone();
        let status = |code| unavailable(Trouble::Status(code));
        let roll = self.chance.below(100);
        match minute {
            // Down for twenty minutes: no connection, or none that answers.
            5..=24 if roll < 50 => return self.answer(key, unavailable(Trouble::Unreachable), 3),
            5..=24 => return self.answer(key, unavailable(Trouble::Timeout), REQUEST_LIMIT),
            // A storm.
            26..=32 if roll < 30 => return self.answer(key, batch_error(500), 50),
            26..=32 if roll < 50 => return self.answer(key, status(503), 50),
            26..=32 if roll < 60 => return self.answer(key, status(429), 50),
            26..=32 if roll < 65 => return self.answer(key, status(409), 50),
            // The token was revoked, and the identity service is slow to give another.
            33 if roll < 60 => {
                let refused = ComputeError::Refused {
                    code: 401,
                    reason: "token".into(),
                };
                return self.answer(key, Err(refused), 30);
            }
            _ => {}
        }
        let mut results = Vec::with_capacity(items.len());
        for (instance, seq, state) in items {
            // Some events fail by themselves for a while.
            let code = match self.chance.below(100) {
                0..=9 if (44..=47).contains(&minute) => 500,
                10..=14 if (44..=47).contains(&minute) => 422,
                _ => 200,
            };
            results.push(ItemResult(code));
            if code == 200 {
                let said = Said {
                    at: self.now,
                    seq,
                    state,
                    flight: key,
                };
                self.ledger.hear(instance, said);
            }
        }
        // Taken; the answer may be late or lost.
        match minute {
            35..=39 if roll < 25 => self.answer(key, unavailable(Trouble::Reset), 20),
            35..=39 if roll < 35 => self.answer(key, unavailable(Trouble::Timeout), REQUEST_LIMIT),
            48..=50 => {
                let took = 2_000 + self.chance.below(24_000);
                if took >= REQUEST_LIMIT {
                    self.answer(key, unavailable(Trouble::Timeout), REQUEST_LIMIT);
                } else {
                    self.answer(key, Ok(results), took);
                }
            }
            _ => {
                let took = 20 + self.chance.below(150);
                self.answer(key, Ok(results), took);
            }
        }
    }

    fn reply(&mut self, key: u64) {
        let Some(flight) = self.flights.remove(&key) else {
            return;
        };
        let (id, life) = flight.sender;
        let (now, spread) = (Mono(self.now), self.chance.next());
        let conductor = self.conductor(id);
        if !conductor.alive || conductor.life != life {
            return;
        }
        let Some(result) = flight.result else { return };
        conductor.core.answered(now, flight.batch, &result, spread);
        if !conductor.cut && result.is_ok() {
            self.ledger.answered(key, (id, life));
        }
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some(Reverse((at, _, event))) = self.timers.pop() {
            self.now = at;
            match event {
                Event::Change => self.change(),
                Event::Step(id) => self.step(id),
                Event::Arrive(key) => self.arrive(key),
                Event::Reply(key) => self.reply(key),
                Event::Kill => self.kill(),
                Event::Drain => self.drain(),
                Event::Undrain(id) => self.order(id, false),
                Event::Stop => self.stop(),
                Event::End(id, life) => self.end(id, life),
                Event::Start(id) => self.start(id),
                Event::Cut(cut) => self.cut(cut),
                Event::Expire(id, life) => self.expire(id, life),
            }
            if self.now >= HOUR && self.truth.outbox_len() == 0 && self.flights.is_empty() {
                return Ok(());
            }
            if self.now >= HOUR + 300_000 {
                return Err("it does not drain".to_owned());
            }
        }
        Ok(())
    }
}

#[test]
fn an_hour_of_faults_ends_with_every_state_told_in_order_and_nothing_lost() {
    for seed in 1..=3 {
        let mut world = World::new(seed, Plant::Nothing);
        world.run().unwrap();
        assert!(world.kills >= 10, "{} kills", world.kills);
        assert!(world.handed > 0, "no event was handed over by its sender");
        let (events, repeats) = world.ledger.check(&world.truth).unwrap();
        assert!(events > 5_000, "{events} events reached the service");
        assert!(repeats > 0, "lost answers make repeats");
        let dead = world.truth.events().filter(|event| event.is_dead()).count();
        assert_eq!(dead, 0);
    }
}

/// Some seed shows the planted bug, in these words or those.
fn assert_caught(plant: Plant, words: &[&str]) {
    let found = (1..=5).find_map(|seed| {
        let mut world = World::new(seed, plant);
        world
            .run()
            .and_then(|()| world.ledger.check(&world.truth))
            .err()
    });
    let found = found.unwrap_or_else(|| panic!("{plant:?} was not caught"));
    let is_it = words.iter().any(|words| found.contains(words));
    assert!(is_it, "{plant:?}: {found}");
}

#[test]
fn the_ledger_catches_successors_that_do_not_wait() {
    assert_caught(Plant::NoWait, &["out of order", "told again"]);
}

#[test]
#[ignore = "takes two minutes: few hours have a handover in the moment that shows it"]
fn the_ledger_catches_events_handed_over_while_they_are_under_way() {
    assert_caught(Plant::HandOverInFlight, &["out of order", "told"]);
}

#[test]
fn the_ledger_catches_lost_events() {
    assert_caught(Plant::Lose, &["not its machine's", "never told"]);
}

#[test]
fn the_ledger_catches_notifiers_that_forget_what_is_under_way() {
    assert_caught(Plant::Forget, &["out of order", "told"]);
}
