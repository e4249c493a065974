//! What the rest of the process sees of the notifier, without waiting for it.

use baton_model::env::Env;
use baton_model::node::power::PowerRequest;
use baton_model::outbox::{Contradiction, OutboxStats, RaceGuard};
use baton_model::port::compute::Notifier;
use baton_model::state::StateView;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use uuid::Uuid;

/// The notifier's statistics and race guard, as of its last look.
pub struct NotifierView {
    env: Env,
    state: StateView,
    window: Duration,
    is_sending: bool,
    guard: Mutex<RaceGuard>,
    stats: Mutex<OutboxStats>,
}

impl NotifierView {
    /// A view of a notifier that has not looked yet. `window` bounds how long the compute service may be refused; zero
    /// never refuses it.
    #[must_use]
    pub fn new(env: Env, state: StateView, window: Duration, is_sending: bool) -> Self {
        Self {
            env,
            state,
            window,
            is_sending,
            guard: Mutex::default(),
            stats: Mutex::default(),
        }
    }

    pub(super) fn guard<R>(&self, change: impl FnOnce(&mut RaceGuard) -> R) -> R {
        change(&mut self.guard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn publish(&self, stats: OutboxStats) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }
}

impl Notifier for NotifierView {
    fn contradiction(&self, instance: Uuid, wish: PowerRequest) -> Option<Contradiction> {
        let now = self.env.clock.now();
        let event = self.state.read().event_of(instance).cloned();
        self.guard(|guard| guard.contradiction(now, instance, event.as_ref(), wish, self.window))
            .filter(|_| !self.window.is_zero())
    }

    fn stats(&self) -> OutboxStats {
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn is_sending(&self) -> bool {
        self.is_sending
    }
}
