//! Finds how many conversations the management network carries: additive increase while throughput rises,
//! multiplicative decrease on silences or growing round trips, and every step checked against throughput.
//!
//! Silences alone are a bad signal: a rack that loses power is silent however little one sends, and shrinking for it
//! would punish the healthy rest. So each decrease is a *trial*: if throughput falls with it, the cause was not our
//! load, the limit goes back and this much loss is tolerated for a while. Increases are checked alike, by milestones.
//!
//! Throughput is that of a place in flight while it is taken, times the limit (Little's law). The machines of one beat
//! leave in a few waves, and then nobody wants anything until the next beat: answers by the clock would tell of the
//! demand, which no limit changes, and the limit would only ever go down.
//!
//! The invariant: `limit_min <= limit <= limit_max`, and a limit that does not bind is never raised.

use super::settings::PoolSettings;
use crate::env::Mono;
use std::time::Duration;

/// Round trips up to here are alike: a queue of some milliseconds delays nobody, and a limit that avoids it cuts each beat
/// of reads into many waves. Longer, and a small switch would lose datagrams before its queue was noticed.
pub(super) const QUICK: Duration = Duration::from_millis(5);
/// A place counts as taken for no less than this: outcomes of periodic reads are held for up to 8 ms unless places are
/// scarce, and a limit that is cut until they are scarce must not seem to serve better for it. Round trips of up to 2 ms are
/// covered whole; longer ones make up for a part of it only.
const PLACE_MIN: Duration = Duration::from_millis(10);
/// Shortest window over which throughput is judged: two hundred round trips of 2.5 ms.
const WINDOW_MIN: Duration = Duration::from_millis(500);
/// A window with fewer outcomes than this goes on: 100 outcomes put the noise of a rate at 10 %.
const WINDOW_OUTCOMES: u64 = 100;
/// After a change of the limit the rate follows when the calls that left before it have come back, about a round trip
/// later. The next window begins then, at most this much later.
const SETTLE_MAX: Duration = Duration::from_secs(1);
/// Longest window, so that a slow fleet is judged as well.
const WINDOW_MAX: Duration = Duration::from_secs(2);
/// A longest window with fewer outcomes than this says nothing.
const OUTCOMES_MIN: u64 = 8;
/// Loss beyond this is a sign of overload: a call fails only after several retransmissions, so on a network that merely
/// loses 5 % of its packets a silence is rarer than 1 in 10,000.
const LOSS_PERMILLE: u64 = 20;
/// Silences that make a loss at all.
const SILENCES_MIN: u64 = 3;
/// Loss beyond this halves the limit.
const HEAVY_LOSS_PERMILLE: u64 = 200;
/// Round trips this much longer than at rest mean that half of what is in flight sits in queues.
const INFLATION_PERMILLE: u64 = 2000;
/// Round trips up to here still let the limit grow.
const GROW_INFLATION_PERMILLE: u64 = 1500;
/// One sample counts at most this much, so that a single hang does not stand for the fleet.
const SAMPLE_PERMILLE_MAX: u64 = 8000;
/// After a plateau the limit rests this long before it is probed upwards again.
const PLATEAU_REST: Duration = Duration::from_secs(5);
/// A limit that was lowered while it delayed nobody, and delayed nobody for so long since, was not found under load: when it
/// is needed, by a takeover say, it is probed as at the start.
const STALE_AFTER: Duration = Duration::from_secs(30);
/// First time for which loss that is not ours is tolerated; doubles up to the next.
const TOLERATE_MIN: Duration = Duration::from_secs(30);
/// Longest such time. One window of 500 ms at 70 % every 4 minutes costs 0.1 % of throughput.
const TOLERATE_MAX: Duration = Duration::from_secs(240);

/// The search for the knee.
#[derive(Clone, Debug)]
pub(super) struct Knee {
    limit: usize,
    initial: usize,
    min: usize,
    max: usize,
    /// Grow by half a window, not by an eighth: nothing has pushed back yet.
    slow_start: bool,
    window: Window,
    trial: Option<Trial>,
    /// The last limit at which growth was seen to pay, and the rate there (0: not measured yet).
    milestone: (usize, u64),
    rest_until: Mono,
    /// When the limit last delayed anybody.
    bound_at: Mono,
    /// It was lowered while it delayed nobody.
    doubtful: bool,
    /// When the limit was last lowered. What left before that tells of the load before it, and was answered by the cut.
    lowered_at: Mono,
    tolerated: Tolerated,
    /// Mean inflation of a window at rest: the least one seen, drifting up slowly.
    resting_permille: u64,
    /// Calls in flight, and since when.
    flying: (usize, Mono),
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    since: Mono,
    answers: u64,
    silences: u64,
    inflation_sum: u64,
    samples: u64,
    rtt_sum: u64,
    bound: bool,
    peak: usize,
    /// How long places in flight were taken, all of them together.
    taken_ms: u64,
}

impl Window {
    /// Answers per thousand seconds that `limit` places give when all are taken.
    fn rate(&self, limit: usize) -> u64 {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let least_ms = self.answers.saturating_mul(millis(PLACE_MIN));
        let answers = self.answers.saturating_mul(1_000_000);
        answers.saturating_mul(limit) / self.taken_ms.max(least_ms).max(1)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[derive(Clone, Copy, Debug)]
struct Trial {
    limit: usize,
    rate: u64,
    cut_permille: u64,
}

#[derive(Clone, Copy, Debug)]
struct Tolerated {
    until: Mono,
    loss_permille: u64,
    inflation_permille: u64,
    next: Duration,
}

impl Knee {
    pub(super) fn new(settings: &PoolSettings, now: Mono) -> Self {
        Self {
            limit: settings.limit_initial,
            initial: settings.limit_initial,
            min: settings.limit_min,
            max: settings.limit_max,
            slow_start: true,
            window: Window {
                since: now,
                ..Window::default()
            },
            trial: None,
            milestone: (settings.limit_initial, 0),
            rest_until: now,
            bound_at: now,
            doubtful: false,
            lowered_at: now,
            tolerated: Tolerated {
                until: now,
                loss_permille: 0,
                inflation_permille: 0,
                next: TOLERATE_MIN,
            },
            resting_permille: SAMPLE_PERMILLE_MAX,
            flying: (0, now),
        }
    }

    /// New bounds; what was found is kept within them.
    pub(super) fn configure(&mut self, settings: &PoolSettings) {
        self.initial = settings.limit_initial;
        self.min = settings.limit_min;
        self.max = settings.limit_max;
        self.limit = self.limit.clamp(self.min, self.max);
        self.trial = None;
        self.milestone = (self.limit, 0);
    }

    /// Conversations that may be in flight.
    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// A BMC answered a call that left at `started`; `inflation` is its round trip over its usual best one, in
    /// thousandths, where that is known.
    pub(super) fn answered(&mut self, now: Mono, started: Mono, inflation: Option<u64>) {
        if now < self.window.since {
            return;
        }
        self.window.answers = self.window.answers.saturating_add(1);
        self.window.rtt_sum += now.0.saturating_sub(started.0);
        if let Some(inflation) = inflation.filter(|_| started >= self.lowered_at) {
            self.window.samples = self.window.samples.saturating_add(1);
            self.window.inflation_sum += inflation.clamp(1000, SAMPLE_PERMILLE_MAX);
        }
    }

    /// A BMC that had answered its last call was silent to one that left at `started`. A call gives up after seconds: the
    /// silences of one overload arrive over many windows, and each of those would lower the limit again.
    pub(super) fn silent(&mut self, started: Mono) {
        if started >= self.lowered_at {
            self.window.silences = self.window.silences.saturating_add(1);
        }
    }

    /// A job had to wait because of the limit.
    pub(super) const fn bound(&mut self) {
        self.window.bound = true;
    }

    /// So many are in flight from now on.
    pub(super) fn in_flight(&mut self, now: Mono, count: usize) {
        let (before, since) = self.flying;
        let span = millis(now.since(since.max(self.window.since)));
        let places = u64::try_from(before).unwrap_or(u64::MAX);
        self.window.taken_ms += span.saturating_mul(places);
        self.window.peak = self.window.peak.max(count);
        self.flying = (count, now);
    }

    /// When the current window may be judged, if there is anything to judge.
    pub(super) fn due(&self) -> Option<Mono> {
        let window = &self.window;
        (window.bound && window.answers + window.silences > 0).then(|| window.since + WINDOW_MAX)
    }

    /// Judges the window if it is complete.
    pub(super) fn advance(&mut self, now: Mono) {
        let elapsed = now.since(self.window.since);
        let outcomes = self.window.answers + self.window.silences;
        let full = elapsed >= WINDOW_MIN && outcomes >= WINDOW_OUTCOMES;
        if !full && elapsed < WINDOW_MAX {
            return;
        }
        self.in_flight(now, self.flying.0);
        let window = std::mem::take(&mut self.window);
        self.window.since = now;
        if outcomes < OUTCOMES_MIN {
            if !window.bound {
                self.void_trial();
            }
            self.trial = None;
            return;
        }
        let limit = self.limit;
        self.judge(now, window);
        if self.limit != limit {
            let rtt = window.rtt_sum.checked_div(window.answers);
            self.window.since = now + Duration::from_millis(rtt.unwrap_or(0)).min(SETTLE_MAX);
        }
    }

    fn judge(&mut self, now: Mono, window: Window) {
        if window.answers == 0 {
            return self.blackout(now);
        }
        let rate = window.rate(self.limit);
        let loss = window.silences * 1000 / (window.answers + window.silences);
        let inflation = window
            .inflation_sum
            .checked_div(window.samples)
            .map_or(1000, |mean| self.over_rest(mean));

        if window.bound {
            if self.doubtful && now.since(self.bound_at) >= STALE_AFTER {
                self.doubtful = false;
                self.slow_start = true;
                self.milestone = (self.limit, 0);
            }
            self.bound_at = now;
        } else {
            self.void_trial();
        }
        if let Some(trial) = self.trial.take() {
            // Hurt by more than six tenths of the cut: our load was not the cause.
            let bearable = 1000 - trial.cut_permille * 6 / 10;
            if rate < trial.rate * bearable / 1000 {
                self.limit = trial.limit;
                self.milestone = (self.limit, 0);
                self.tolerated.until = now + self.tolerated.next;
                self.tolerated.loss_permille = loss.max(LOSS_PERMILLE) * 3 / 2;
                self.tolerated.inflation_permille = inflation.max(INFLATION_PERMILLE) * 5 / 4;
                self.tolerated.next = (self.tolerated.next * 2).min(TOLERATE_MAX);
                return;
            }
            self.slow_start = false;
            self.milestone = (self.limit, rate);
        }

        let tolerant = now < self.tolerated.until;
        let (loss_max, inflation_max) = if tolerant {
            let told = self.tolerated;
            (
                told.loss_permille.max(LOSS_PERMILLE),
                told.inflation_permille.max(INFLATION_PERMILLE),
            )
        } else {
            (LOSS_PERMILLE, INFLATION_PERMILLE)
        };
        let lossy = window.silences >= SILENCES_MIN && loss > loss_max;
        let slow = window.bound && inflation > inflation_max;
        if lossy || slow {
            let cut = match (lossy, loss > HEAVY_LOSS_PERMILLE) {
                (true, true) => 500,
                (true, false) => 300,
                (false, _) => 200,
            };
            self.cut(now, window, cut);
        } else if window.bound && (inflation <= GROW_INFLATION_PERMILLE || tolerant) {
            self.grow(now, rate);
        }
    }

    /// Nobody answered at all: forget the search and come back gently.
    fn blackout(&mut self, now: Mono) {
        self.limit = self.initial.min(self.limit);
        self.slow_start = true;
        self.trial = None;
        self.milestone = (self.limit, 0);
        self.rest_until = now;
        self.tolerated.until = now;
    }

    /// So little was wanted that the lower limit could neither hurt nor help: what was found before stands.
    fn void_trial(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.limit = trial.limit;
            self.milestone = (self.limit, 0);
        }
    }

    fn cut(&mut self, now: Mono, window: Window, cut_permille: u64) {
        let from = if window.bound {
            self.limit
        } else {
            self.limit.min(window.peak)
        };
        let kept = usize::try_from(1000 - cut_permille).unwrap_or(1000);
        let to = (from * kept / 1000).clamp(self.min, self.max);
        // A limit that stays above what was in flight would change nothing, and so prove nothing.
        if to < self.limit.min(window.peak) {
            self.trial = Some(Trial {
                limit: self.limit,
                rate: window.rate(from),
                cut_permille,
            });
            self.limit = to;
            self.lowered_at = now;
            self.doubtful |= !window.bound;
        }
    }

    fn grow(&mut self, now: Mono, rate: u64) {
        let (limit, measured) = self.milestone;
        if measured == 0 || self.limit < limit {
            self.milestone = (self.limit, rate);
        } else if self.limit * 4 >= limit * 5 {
            // Growth has to bring three tenths of what it would on an idle network.
            let gain = (self.limit - limit) * 300 / limit;
            let wanted = 1000 + u64::try_from(gain).unwrap_or(1000);
            if rate < measured * wanted / 1000 {
                self.limit = limit;
                self.milestone = (limit, 0);
                self.slow_start = false;
                self.rest_until = now + PLATEAU_REST;
                return;
            }
            self.milestone = (self.limit, rate);
            self.tolerated.next = TOLERATE_MIN;
        }
        if now >= self.rest_until {
            let share = if self.slow_start { 2 } else { 8 };
            self.limit = (self.limit + (self.limit / share).max(1)).min(self.max);
        }
    }

    /// `inflation` in relation to what it is when nothing is overloaded. Round trips of some BMCs scatter by
    /// themselves; only a change of the scatter tells of load.
    fn over_rest(&mut self, inflation: u64) -> u64 {
        let drifted = self.resting_permille + self.resting_permille / 500;
        self.resting_permille = drifted.min(inflation).max(1000);
        inflation * 1000 / self.resting_permille
    }
}
