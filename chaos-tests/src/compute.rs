//! The compute service: what it heard of each instance, in which order, and from whom.
//!
//! Requests and answers take their time. The service may be down, so that a request is lost or answered with an error,
//! or slow, so that its answer comes after the client's time limit although it has heard everything.

use crate::farm::Asker;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::settings;
use crate::timeline::Timeline;
use crate::trace::Trace;
use baton_model::node::power::PowerState;
use baton_model::port::BoxFuture;
use baton_model::port::compute::{
    Compute, ComputeError, ItemResult, MaySend, PowerUpdate, ServerPower, Trouble,
};
use baton_model::state::StateView;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Usual delay of a request or an answer, in milliseconds.
const DELAY_MS: (u64, u64) = (3, 60);

/// The same while the service is slow. A request arrives within the client's time limit; its answer may not.
const SLOW_MS: (u64, u64) = (200, 1900);

/// One event that the service heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    /// When.
    pub at: u64,
    /// The number of the event in the log, as its sender knew it.
    pub seq: u64,
    /// The state.
    pub state: PowerState,
    /// Who sent it.
    pub from: Asker,
    /// Whether its sender lived to see the answer, in time.
    pub answered: bool,
}

struct Item {
    instance: Uuid,
    seq: u64,
    state: PowerState,
}

enum Event {
    Request {
        from: Asker,
        items: Vec<Item>,
        reply: oneshot::Sender<Answer>,
    },
    Answer {
        code: Answer,
        reply: oneshot::Sender<Answer>,
        heard: Vec<(Uuid, usize)>,
    },
}

type Answer = Result<usize, u16>;

struct Inner {
    due: Timeline<Event>,
    chance: Rng,
    trace: Trace,
    down: bool,
    slow: bool,
    heard: BTreeMap<Uuid, Vec<Said>>,
}

/// See the module. Clones are the same service.
#[derive(Clone)]
pub struct Nova(Arc<Mutex<Inner>>);

impl Nova {
    /// A service that has heard nothing.
    #[must_use]
    pub fn new(chance: Rng, trace: Trace) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            due: Timeline::default(),
            chance,
            trace,
            down: false,
            slow: false,
            heard: BTreeMap::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that is due by `now` happens.
    pub fn deliver(&self, now: u64) {
        let mut inner = self.inner();
        inner.due.advance(now);
        while let Some(event) = inner.due.take_due() {
            inner.arrive(event);
        }
    }

    /// It goes down, or comes back.
    pub fn set_down(&self, down: bool) {
        self.inner().down = down;
    }

    /// It gets slow, or fast again.
    pub fn set_slow(&self, slow: bool) {
        self.inner().slow = slow;
    }

    /// What it heard of each instance, in order.
    #[must_use]
    pub fn heard(&self) -> BTreeMap<Uuid, Vec<Said>> {
        self.inner().heard.clone()
    }

    fn post(&self, from: Asker, items: Vec<Item>) -> oneshot::Receiver<Answer> {
        let (reply, answer) = oneshot::channel();
        self.inner().send(Event::Request { from, items, reply });
        answer
    }
}

impl Inner {
    fn send(&mut self, event: Event) {
        let (low, high) = if self.slow { SLOW_MS } else { DELAY_MS };
        let delay = self.chance.between(low, high);
        self.due.send(delay, event);
    }

    fn arrive(&mut self, event: Event) {
        match event {
            Event::Request { from, items, reply } => {
                if self.down {
                    if self.chance.chance(50) {
                        let heard = Vec::new();
                        let code = Err(503);
                        self.send(Event::Answer { code, reply, heard });
                    }
                    return;
                }
                let code = Ok(items.len());
                let mut places = Vec::new();
                for item in items {
                    let short: String = item.instance.to_string().chars().take(8).collect();
                    self.trace.note(format_args!(
                        "compute hears of {short} from conductor {} (boot {}): {} #{}",
                        from.host, from.boot, item.state, item.seq
                    ));
                    let heard = self.heard.entry(item.instance).or_default();
                    places.push((item.instance, heard.len()));
                    heard.push(Said {
                        at: self.due.now(),
                        seq: item.seq,
                        state: item.state,
                        from,
                        answered: false,
                    });
                }
                let heard = places;
                self.send(Event::Answer { code, reply, heard });
            }
            Event::Answer { code, reply, heard } => {
                let arrived = reply.send(code).is_ok();
                for (instance, place) in heard {
                    let said = self.heard.get_mut(&instance);
                    if let Some(said) = said.and_then(|said| said.get_mut(place)) {
                        said.answered = arrived;
                    }
                }
            }
        }
    }
}

/// The service as one conductor process sees it.
pub struct NovaPort {
    nova: Nova,
    me: Asker,
    state: StateView,
    plant: Plant,
    /// For the planted bug that loses events.
    count: Mutex<u64>,
}

/// Of the batches of a client that loses some, one in so many is lost.
const LOST_ONE_IN: u64 = 4;

impl NovaPort {
    /// The service as this process sees it.
    #[must_use]
    pub const fn new(nova: Nova, me: Asker, state: StateView, plant: Plant) -> Self {
        Self {
            nova,
            me,
            state,
            plant,
            count: Mutex::new(0),
        }
    }

    fn is_lost(&self) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        self.plant == Plant::LoseEvents && count.is_multiple_of(LOST_ONE_IN)
    }
}

fn unavailable(trouble: Trouble, reason: &str) -> ComputeError {
    ComputeError::Unavailable {
        trouble,
        reason: reason.into(),
        retry_after: None,
    }
}

impl Compute for NovaPort {
    fn power_update<'a>(
        &'a self,
        batch: &'a [PowerUpdate],
        may_send: MaySend<'a>,
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ComputeError>> {
        Box::pin(async move {
            if !may_send() {
                return Err(ComputeError::Withheld);
            }
            if self.is_lost() {
                return Ok(vec![ItemResult(200); batch.len()]);
            }
            let items = {
                let state = self.state.read();
                let item = |update: &PowerUpdate| Item {
                    instance: update.instance,
                    seq: state
                        .outbox_of(update.instance)
                        .map_or(0, |event| event.seq),
                    state: update.state,
                };
                batch.iter().map(item).collect()
            };
            let answer = self.nova.post(self.me, items);
            match tokio::time::timeout(settings::COMPUTE_LIMIT, answer).await {
                Ok(Ok(Ok(count))) => Ok(vec![ItemResult(200); count]),
                Ok(Ok(Err(code))) => Err(unavailable(Trouble::Status(code), "down")),
                // Whoever asked cannot tell a lost request from a lost answer.
                Ok(Err(_)) | Err(_) => Err(unavailable(Trouble::Timeout, "no answer")),
            }
        })
    }

    fn server_power<'a>(
        &'a self,
        servers: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<ServerPower>, ComputeError>> {
        Box::pin(async move { Ok(vec![ServerPower::Gone; servers.len()]) })
    }
}
