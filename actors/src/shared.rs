//! What all actors of one conductor share: its ports, options, session and lease.

use crate::sync_pool::PoolAddr;
use crate::unhurried::FailureCounts;
use baton_model::command::Session;
use baton_model::env::{Env, Mono};
use baton_model::freshness::Freshness;
use baton_model::ids::{ConductorId, Epoch, Incarnation, NodeId};
use baton_model::node::core::Knobs;
use baton_model::pool::BlockPrefix;
use baton_model::port::cluster::{Proposer, Sessions};
use baton_model::port::lease::{LeaseCheck, Leaving, OwnLease};
use baton_model::port::node::NodeGateway;
use baton_model::state::StateView;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

/// The lease of this conductor: until when it may act, and in which life. Read by every node core and, once more, where
/// a packet leaves.
pub struct Lease {
    env: Env,
    state: StateView,
    me: ConductorId,
    incarnation: AtomicU64,
    until: AtomicU64,
}

impl Lease {
    /// A lease that holds nothing yet.
    #[must_use]
    pub const fn new(env: Env, state: StateView, me: ConductorId) -> Self {
        Self {
            env,
            state,
            me,
            incarnation: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// This conductor.
    #[must_use]
    pub const fn me(&self) -> ConductorId {
        self.me
    }

    /// The present session.
    #[must_use]
    pub fn session(&self) -> Session {
        let incarnation = Incarnation(self.incarnation.load(Ordering::Acquire));
        Session {
            conductor: self.me,
            incarnation,
        }
    }

    /// Until when this conductor may act.
    #[must_use]
    pub fn until(&self) -> Mono {
        Mono(self.until.load(Ordering::Acquire))
    }

    /// A new life begins.
    pub fn begin(&self, incarnation: Incarnation) {
        self.until.store(0, Ordering::Release);
        self.incarnation.store(incarnation.0, Ordering::Release);
    }

    /// A renewal was granted.
    pub fn extend(&self, until: Mono) {
        self.until.fetch_max(until.0, Ordering::AcqRel);
    }

    /// The session is over; nothing more may be done.
    pub fn end(&self) {
        self.until.store(0, Ordering::Release);
    }
}

impl OwnLease for Lease {
    fn remaining(&self) -> Duration {
        self.until().since(self.env.clock.now())
    }
}

impl LeaseCheck for Lease {
    fn may_write(&self, node: NodeId, epoch: Epoch, leaving: Leaving<'_>) -> bool {
        if self.env.clock.now() >= self.until() {
            return false;
        }
        let session = self.session();
        let state = self.state.read();
        let holds = state.node(node).is_some_and(|record| {
            record.epoch == epoch
                && record.intent.as_ref().is_some_and(|intent| {
                    let announced = match leaving {
                        Leaving::Command { action, session } => {
                            record.unfenced.is_none()
                                && intent.write.as_ref().is_some_and(|write| {
                                    write.action == action && write.session == *session
                                })
                        }
                        Leaving::EndSession => true,
                    };
                    announced
                        && intent.holder == session.conductor
                        && intent.incarnation == session.incarnation
                })
        });
        holds && state.is_live(session)
    }
}

/// The ports and options that a node actor works with.
pub struct Shared {
    /// Time and chance.
    pub env: Env,
    /// The replicated state.
    pub state: StateView,
    /// How it is changed.
    pub proposer: Arc<dyn Proposer>,
    /// How this conductor stays alive.
    pub sessions: Arc<dyn Sessions>,
    /// This conductor's right to act.
    pub lease: Arc<Lease>,
    /// The name of this conductor.
    pub host: Box<str>,
    /// The sync pool.
    pub pool: PoolAddr,
    /// How addresses are grouped into blocks.
    pub prefix: BlockPrefix,
    knobs: RwLock<Arc<Knobs>>,
    freshness: Mutex<Freshness>,
    gateway: OnceLock<Arc<dyn NodeGateway>>,
    /// Counts of failed power syncs on their way to the log.
    pub(crate) failures: FailureCounts,
}

impl Shared {
    /// Puts it together.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "the composition root hands in each port once"
    )]
    pub const fn new(
        env: Env,
        state: StateView,
        proposer: Arc<dyn Proposer>,
        sessions: Arc<dyn Sessions>,
        lease: Arc<Lease>,
        host: Box<str>,
        pool: PoolAddr,
        prefix: BlockPrefix,
        knobs: Arc<Knobs>,
    ) -> Self {
        Self {
            env,
            state,
            proposer,
            sessions,
            lease,
            host,
            pool,
            prefix,
            knobs: RwLock::new(knobs),
            freshness: Mutex::new(Freshness::new()),
            gateway: OnceLock::new(),
            failures: FailureCounts::new(),
        }
    }

    /// The way to other nodes, wherever they are owned. It is built on the actors, so it comes after them; the first stands.
    pub fn set_gateway(&self, gateway: Arc<dyn NodeGateway>) {
        drop(self.gateway.set(gateway));
    }

    /// The way to other nodes, once there is one.
    #[must_use]
    pub fn gateway(&self) -> Option<Arc<dyn NodeGateway>> {
        self.gateway.get().cloned()
    }

    /// The options as they are now.
    #[must_use]
    pub fn knobs(&self) -> Arc<Knobs> {
        self.knobs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How fresh the nodes owned here are. Held for a microsecond at a time.
    pub fn freshness(&self) -> MutexGuard<'_, Freshness> {
        self.freshness
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// New options, from a reload.
    pub fn set_knobs(&self, knobs: Arc<Knobs>) {
        *self.knobs.write().unwrap_or_else(PoisonError::into_inner) = knobs;
    }
}
