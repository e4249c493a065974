//! A management network of known capacity: whether the pool finds its knee, and what outages cost those they do not hit.

use super::*;
use std::collections::BTreeMap;

/// A switch that passes `per_second` conversations, queues `queue` of them, and drops the rest.
#[derive(Clone, Copy)]
struct Switch {
    per_second: u64,
    queue: u64,
    rtt_us: u64,
    /// BMCs that do not answer during the outage, of every hundred.
    dead_percent: u64,
    /// From when to when, in seconds.
    outage: (u64, u64),
    /// BMCs behind it.
    bmcs: u64,
    /// Each wants to be read this often; 0: again at once.
    interval_us: u64,
    /// Those that are due within so long of each other are due together.
    beat_us: u64,
}

const FOR_EVER: (u64, u64) = (0, 1_000_000);

/// A switch whose BMCs always want to be read again.
const BUSY: Switch = Switch {
    per_second: 1_000,
    queue: 100,
    rtt_us: 20_000,
    dead_percent: 0,
    outage: FOR_EVER,
    bmcs: 3_000,
    interval_us: 0,
    beat_us: 1,
};

/// A fleet of 20,000 read once a minute, over a switch with room to spare.
const CALM: Switch = Switch {
    rtt_us: 5_000,
    bmcs: 20_000,
    interval_us: 60_000_000,
    ..BUSY
};

/// 10,000 machines of a conductor, read every 16 s in beats of a quarter of a second, by a simulator that
/// has half a core.
const BEATS: Switch = Switch {
    per_second: 30_000,
    queue: 1_000,
    rtt_us: 600,
    bmcs: 10_000,
    interval_us: 16_000_000,
    beat_us: 256_000,
    ..BUSY
};

struct World {
    switch: Switch,
    pool: SyncPool<()>,
    now_us: u64,
    busy_until_us: u64,
    /// What happens when: the end of a call, or a new wish of a BMC.
    agenda: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    answers: u64,
    /// When each BMC was to be read, and when it last answered.
    wished_us: Vec<u64>,
    answered_us: Vec<u64>,
    /// What BMCs that were never hit waited from wish to answer.
    lags_us: Vec<u64>,
}

/// First pause before a client asks again.
const RETRY_US: u64 = 500_000;

#[derive(Clone, Copy)]
struct Call {
    id: JobId,
    sent_us: u64,
    gives_up_us: u64,
    pause_us: u64,
}

enum Happening {
    Answer(JobId, u64),
    /// The next datagram of a call, unless an answer to an earlier one comes at that time.
    Again(Call, u64),
    Silence(JobId),
    Wish(u64),
}

impl World {
    fn new(switch: Switch, settings: PoolSettings) -> Self {
        let count = usize::try_from(switch.bmcs).unwrap();
        let mut world = Self {
            switch,
            pool: SyncPool::new(settings, 11, START),
            now_us: START.0 * 1000,
            busy_until_us: 0,
            agenda: BTreeMap::new(),
            sequence: 0,
            answers: 0,
            wished_us: vec![0; count],
            answered_us: vec![0; count],
            lags_us: Vec::new(),
        };
        let apart_us = (switch.interval_us / switch.bmcs).max(10);
        for bmc in 0..switch.bmcs {
            let after = (bmc * apart_us).next_multiple_of(switch.beat_us);
            world.plan(world.now_us + after, Happening::Wish(bmc));
        }
        world
    }

    fn plan(&mut self, at_us: u64, happening: Happening) {
        self.sequence += 1;
        self.agenda.insert((at_us, self.sequence), happening);
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect<()>>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Start { id, budget } => self.send(id, budget),
                Effect::Reject { job, refusal, .. } => {
                    let pause = refusal.retry_in().unwrap_or(ms(100)).max(ms(10));
                    let at = self.now_us + u64::try_from(pause.as_micros()).unwrap_or(u64::MAX);
                    self.wish_again(job.endpoint.bmc.0, at);
                }
            }
        }
    }

    /// A BMC wants to be read again: after its interval, or from `at` if it is never content.
    fn wish_again(&mut self, bmc: u64, at: u64) {
        let due = self.wished_us[index(bmc)] + self.switch.interval_us;
        let at = if self.switch.interval_us == 0 {
            at
        } else {
            due.max(self.now_us)
        };
        self.plan(at, Happening::Wish(bmc));
    }

    fn is_dead(&self, bmc: u64) -> bool {
        let (from, until) = self.switch.outage;
        let now = (self.now_us - START.0 * 1000) / 1_000_000;
        bmc % 100 < self.switch.dead_percent && (from..until).contains(&now)
    }

    fn send(&mut self, id: JobId, budget: Duration) {
        let gives_up = self.now_us + u64::try_from(budget.as_micros()).unwrap_or(u64::MAX);
        let call = Call {
            id,
            sent_us: self.now_us,
            gives_up_us: gives_up,
            pause_us: RETRY_US,
        };
        self.transmit(call);
    }

    /// One datagram of a call; the client sends the next one after a pause that doubles.
    fn transmit(&mut self, call: Call) {
        let bmc = self
            .pool
            .job(call.id)
            .expect("a started job")
            .0
            .endpoint
            .bmc
            .0;
        let service_us = 1_000_000 / self.switch.per_second;
        let backlog = self.busy_until_us.saturating_sub(self.now_us) / service_us;
        let lost = self.is_dead(bmc) || backlog >= self.switch.queue;
        let mut answer_at = u64::MAX;
        if !lost {
            self.busy_until_us = self.busy_until_us.max(self.now_us) + service_us;
            // Round trips differ a little from call to call.
            let spread = self.switch.rtt_us / 4 * (self.sequence * 7919 % 100) / 100;
            answer_at = self.busy_until_us + self.switch.rtt_us + spread;
        }
        let again_at = self.now_us + call.pause_us;
        if answer_at <= again_at.min(call.gives_up_us) {
            self.plan(
                answer_at,
                Happening::Answer(call.id, answer_at - call.sent_us),
            );
        } else if again_at < call.gives_up_us {
            // The answer to an earlier datagram may still come first; it is then the one that counts.
            let pause_us = call.pause_us * 2;
            self.plan(
                again_at,
                Happening::Again(Call { pause_us, ..call }, answer_at),
            );
        } else {
            self.plan(call.gives_up_us, Happening::Silence(call.id));
        }
    }

    fn transmit_again(&mut self, call: Call, answer_at: u64) {
        if answer_at <= call.gives_up_us {
            let service_us = 1_000_000 / self.switch.per_second;
            let backlog = self.busy_until_us.saturating_sub(self.now_us) / service_us;
            if backlog < self.switch.queue {
                self.busy_until_us = self.busy_until_us.max(self.now_us) + service_us;
            }
            self.plan(
                answer_at,
                Happening::Answer(call.id, answer_at - call.sent_us),
            );
        } else {
            self.transmit(call);
        }
    }

    fn run_until(&mut self, end: Duration) {
        let end_us = START.0 * 1000 + u64::try_from(end.as_micros()).unwrap_or(u64::MAX);
        let mut effects = Vec::new();
        loop {
            let woken = self.pool.wake_at().map(|at| (at.0 * 1000).max(self.now_us));
            let next = self.agenda.first_key_value().map(|((at, _), _)| *at);
            let at = [woken, next].into_iter().flatten().min().unwrap_or(end_us);
            if at >= end_us {
                self.now_us = end_us;
                return;
            }
            let first = next.filter(|next| *next <= at).is_some();
            self.now_us = at;
            let now = Mono(at / 1000);
            match self
                .agenda
                .first_entry()
                .filter(|_| first)
                .map(|entry| entry.remove())
            {
                None => self.pool.tick(Mono(at.div_ceil(1000)), &mut effects),
                Some(Happening::Wish(bmc)) => {
                    self.wished_us[index(bmc)] = at;
                    self.pool
                        .submit(now, job(now, bmc, Priority::Sync), (), &mut effects);
                }
                Some(Happening::Answer(id, rtt)) => {
                    self.answers += 1;
                    self.end(now, id, rtt, Outcome::Answered, &mut effects);
                }
                Some(Happening::Again(call, answer_at)) => {
                    // The datagram is sent all the same, and loads the switch.
                    self.transmit_again(call, answer_at);
                }
                Some(Happening::Silence(id)) => {
                    self.end(now, id, 0, Outcome::Failed(&silent()), &mut effects);
                }
            }
            self.carry_out(&mut effects);
        }
    }

    fn end(
        &mut self,
        now: Mono,
        id: JobId,
        rtt: u64,
        outcome: Outcome<'_>,
        out: &mut Vec<Effect<()>>,
    ) {
        let rtt = Duration::from_micros(rtt);
        let ended = self
            .pool
            .finished(now, id, rtt, outcome, out)
            .expect("in flight");
        let bmc = ended.job.endpoint.bmc.0;
        if matches!(outcome, Outcome::Answered) {
            self.answered_us[index(bmc)] = self.now_us;
            if bmc % 100 >= self.switch.dead_percent {
                self.lags_us.push(self.now_us - self.wished_us[index(bmc)]);
            }
        }
        self.wish_again(bmc, self.now_us + 1_000);
    }

    /// Answers per second between two moments.
    fn rate(&mut self, from: u64, to: u64) -> u64 {
        self.run_until(secs(from));
        let before = self.answers;
        self.run_until(secs(to));
        (self.answers - before) / (to - from)
    }
}

fn index(bmc: u64) -> usize {
    usize::try_from(bmc).unwrap()
}

/// Only the limit counts here.
fn unpaced() -> PoolSettings {
    PoolSettings {
        packets_per_second: 100_000_000,
        packets_burst: 100_000_000,
        block_max: 4_096,
        block_suspects_max: 4_096,
        ..PoolSettings::default()
    }
}

fn fixed(limit: usize) -> PoolSettings {
    PoolSettings {
        limit_initial: limit,
        limit_min: limit,
        limit_max: limit,
        user_reserve: 0,
        ..unpaced()
    }
}

fn from(limit: usize) -> PoolSettings {
    PoolSettings {
        limit_initial: limit,
        ..unpaced()
    }
}

/// The best that any fixed limit makes of this switch, tried in steps of a third.
fn best_fixed(switch: Switch) -> u64 {
    let limits = std::iter::successors(Some(8usize), |limit| Some(limit * 4 / 3));
    let rate = |limit| World::new(switch, fixed(limit)).rate(5, 15);
    limits
        .take_while(|limit| *limit < 600)
        .map(rate)
        .max()
        .unwrap_or(0)
}

fn finds_the_knee(switch: Switch) {
    let best = best_fixed(switch);
    for start in [8, 32, 100, 500, 2048] {
        let mut world = World::new(switch, from(start));
        let rate = world.rate(60, 80);
        let limit = world.pool.stats(Mono(world.now_us / 1000)).limit;
        assert!(
            rate * 10 >= best * 9,
            "from {start}: {rate} of {best} at limit {limit}"
        );
    }
}

#[test]
fn the_knee_of_a_switch_with_long_queues() {
    finds_the_knee(Switch { queue: 500, ..BUSY });
}

#[test]
fn the_knee_of_a_switch_with_short_queues() {
    finds_the_knee(Switch { queue: 16, ..BUSY });
}

/// Its round trips stay below what counts as quick until the queue is nearly full.
#[test]
fn the_knee_of_a_quick_switch_with_short_queues() {
    finds_the_knee(Switch {
        queue: 16,
        rtt_us: 2_000,
        ..BUSY
    });
}

#[test]
fn the_knee_of_a_slow_fleet() {
    finds_the_knee(Switch {
        per_second: 800,
        rtt_us: 300_000,
        ..BUSY
    });
}

#[test]
fn dead_bmcs_do_not_hide_the_knee() {
    finds_the_knee(Switch {
        rtt_us: 50_000,
        dead_percent: 10,
        ..BUSY
    });
}

/// What throughput says by the clock is the demand then, whatever the limit.
#[test]
fn a_whole_beat_fits_into_the_limit_even_after_a_tenth_of_the_fleet_fell_silent() {
    let together = 10_000 * 256 / 16_000;
    for start in [8, 128] {
        let switch = Switch {
            dead_percent: 10,
            outage: (60, FOR_EVER.1),
            ..BEATS
        };
        let mut world = World::new(switch, from(start));
        let limit = |world: &World| world.pool.stats(Mono(world.now_us / 1000)).limit;
        world.run_until(secs(60));
        assert!(limit(&world) >= together, "from {start}: {}", limit(&world));
        world.run_until(secs(120));
        assert!(
            limit(&world) >= together * 9 / 10,
            "from {start}, some silent: {}",
            limit(&world)
        );
    }
}

/// A small fleet wants so little at a time that no limit delays it. A rack that dies looks like loss to it, and lowers the
/// limit for nothing; the burst of a takeover must not pay for that.
#[test]
fn a_limit_that_was_lowered_while_little_was_wanted_is_found_again_at_once() {
    let switch = Switch {
        per_second: 10_000,
        rtt_us: 100_000,
        bmcs: 3_000,
        interval_us: 120_000_000,
        beat_us: 256_000,
        dead_percent: 10,
        outage: (130, FOR_EVER.1),
        ..BUSY
    };
    let burst = |outage| {
        let mut world = World::new(Switch { outage, ..switch }, PoolSettings::default());
        world.run_until(secs(300));
        let limit = world.pool.stats(Mono(world.now_us / 1000)).limit;
        // Everybody at once, as when their former owner has died.
        for happening in std::mem::take(&mut world.agenda).into_values() {
            let now = world.now_us;
            world.plan(now, happening);
        }
        let begin = world.now_us;
        let unread = |world: &World| {
            let healthy = world.answered_us.iter().skip(10).zip(10..);
            healthy
                .filter(|(at, bmc)| bmc % 100 >= 10 && **at < begin)
                .count()
        };
        let mut took = 0;
        while unread(&world) > 0 && took < 60_000 {
            took += 100;
            world.run_until(secs(300) + ms(took));
        }
        (limit, took)
    };
    let (whole, whole_took) = burst((0, 0));
    let (holed, holed_took) = burst(switch.outage);
    assert!(holed < whole, "the scene: {holed} of {whole}");
    assert!(
        holed_took <= whole_took + 5_000,
        "{holed_took} ms from {holed}, {whole_took} ms from {whole}"
    );
}

/// What all but one in a hundred of the reads of healthy BMCs took, in microseconds.
fn lag_p99(switch: Switch) -> u64 {
    let mut world = World::new(switch, PoolSettings::default());
    world.run_until(secs(100));
    world.lags_us.clear();
    world.run_until(secs(400));
    let lags = &mut world.lags_us;
    lags.sort_unstable();
    lags[lags.len() * 99 / 100]
}

#[test]
fn the_healthy_do_not_notice_that_a_tenth_of_the_fleet_is_gone() {
    let whole = lag_p99(Switch {
        dead_percent: 10,
        outage: (0, 0),
        ..CALM
    });
    let holed = lag_p99(Switch {
        dead_percent: 10,
        outage: (120, 1_000_000),
        ..CALM
    });
    // The age of a reading is its interval of 60 s and this: the outage may cost half a percent of it.
    assert!(holed <= whole + 300_000, "{holed} us instead of {whole} us");
}

#[test]
fn after_a_blackout_everybody_is_read_again_and_nothing_is_flooded() {
    let switch = Switch {
        dead_percent: 100,
        outage: (120, 300),
        ..CALM
    };
    let mut world = World::new(switch, PoolSettings::default());
    world.run_until(secs(320));
    let silent = world.pool.stats(Mono(world.now_us / 1000)).counters.silent;
    assert!(silent > 20_000, "{silent}");
    // The longest pause of a breaker, and the interval of the node.
    world.run_until(secs(320 + 120 + 60));
    let stats = world.pool.stats(Mono(world.now_us / 1000));
    let forgotten = world
        .answered_us
        .iter()
        .filter(|at| **at < 300_000_000)
        .count();
    assert_eq!((forgotten, stats.breakers_open), (0, 0));
    assert_eq!(
        stats.counters.silent, silent,
        "calls were lost after the return"
    );
}

/// What a management network sees when all conductors start at once, or when it comes back and every node asks at that moment:
/// nobody spreads the wishes here, so it is the pool alone that keeps them from flooding the switch.
#[test]
fn a_whole_fleet_that_is_due_at_once_leaves_in_turns() {
    let mut world = World::new(CALM, PoolSettings::default());
    let wishes = std::mem::take(&mut world.agenda);
    for wish in wishes.into_values() {
        world.plan(world.now_us, wish);
    }
    let mut most = 0;
    for tenth in 1..=450 {
        world.run_until(ms(tenth * 100));
        let stats = world.pool.stats(Mono(world.now_us / 1000));
        most = most.max(stats.in_flight);
    }
    // 20,000 at 1,000 a second take 20 s at best. While the pool looks for the knee, a few calls lose all their datagrams.
    let stats = world.pool.stats(Mono(world.now_us / 1000));
    let unread = world.answered_us.iter().filter(|at| **at == 0).count();
    let silent = stats.counters.silent;
    assert!(
        unread <= 100 && silent <= 100,
        "{unread} unread, {silent} silent"
    );
    // They are due again with everybody else, at one moment, and then nobody is left out.
    world.run_until(secs(170));
    let stats = world.pool.stats(Mono(world.now_us / 1000));
    let stale = world.answered_us.iter().filter(|at| **at < 60_000_000);
    assert_eq!((stale.count(), stats.breakers_open), (0, 0));
    assert!(most <= 512, "{most} conversations at once");
}

/// Read-only figures: `scripts/bench knee` prints them.
#[test]
#[ignore = "prints a table; run by scripts/bench knee"]
#[expect(clippy::print_stdout, reason = "that is what it is for")]
fn knee_table() {
    let switches = [
        ("short queues, 1,000/s, 20 ms", Switch { queue: 16, ..BUSY }),
        (
            "quick, short queues, 1,000/s, 2 ms",
            Switch {
                queue: 16,
                rtt_us: 2_000,
                ..BUSY
            },
        ),
        ("long queues, 1,000/s, 20 ms", Switch { queue: 500, ..BUSY }),
        (
            "slow BMCs, 800/s, 300 ms",
            Switch {
                per_second: 800,
                rtt_us: 300_000,
                ..BUSY
            },
        ),
        (
            "a tenth dead, 50 ms",
            Switch {
                rtt_us: 50_000,
                dead_percent: 10,
                ..BUSY
            },
        ),
    ];
    println!(
        "| switch | best fixed | start | limit found | reads/s after 60 s | of the best | within 10 % after |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, switch) in switches {
        let best = best_fixed(switch);
        for start in [8, 32, 100, 500, 2048] {
            let mut world = World::new(switch, from(start));
            let mut reached = None;
            for second in (0..60).step_by(5) {
                let rate = world.rate(second, second + 5);
                if rate * 10 >= best * 9 {
                    reached.get_or_insert(second + 5);
                } else {
                    reached = None;
                }
            }
            let rate = world.rate(60, 80);
            let limit = world.pool.stats(Mono(world.now_us / 1000)).limit;
            let reached = reached.map_or("-".to_owned(), |second| format!("{second} s"));
            println!(
                "| {name} | {best}/s | {start} | {limit} | {rate} | {} % | {reached} |",
                rate * 100 / best.max(1)
            );
        }
    }
}
