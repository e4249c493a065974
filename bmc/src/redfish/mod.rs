//! The native Redfish client.
//!
//! A read in steady state is one GET on a kept-alive connection, driven by the caller's own task. Per BMC there is at
//! most one connection and one session, and one conversation at a time; all of that is kept in a bounded pool and ended
//! when idle. Each call ends within its budget, logins, reconnects and handshakes included; a call that is dropped closes
//! its connection.
//!
//! Layers, each knowing only the ones before: `answer` (JSON), `tls` and `stream` (a connection), `exchange` (one request),
//! `pool` (what is kept), `conversation` and `failure` (statuses, reconnects, words), `session` (logging in),
//! `resource` and `change` (walking and changing), `system`, `reset`, `boot` and the rest (Redfish).
//!
//! Not here: when to ask again, and how often. That is the sync pool's business.

mod answer;
mod asks;
mod bios;
mod boot;
mod change;
mod config;
mod conversation;
mod events;
mod exchange;
mod failure;
mod findings;
mod inventory;
mod light;
mod media;
mod pool;
mod reset;
mod reset_type;
mod resource;
mod session;
mod stats;
mod stream;
mod system;
mod tls;

pub use config::RedfishConfig;
pub use reset_type::{ResetSet, ResetType};
pub use stats::RedfishStats;

use self::conversation::Conversation;
use self::pool::{Limits, Link, Pool, Retired};
use self::stats::Counters;
use self::stream::Endpoint;
use self::tls::TlsConfigs;
use crate::beat;
use baton_model::driver::redfish::RedfishTarget;
use baton_model::node::boot::BootState;
use baton_model::node::intent::BmcSession;
use baton_model::port::bmc::{BmcError, BmcIdentity, PowerAction, PowerRead, PowerReading};
use futures_util::{FutureExt as _, StreamExt as _};
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// How long one logout may take. A BMC that needs longer ends the session by itself after some minutes.
const LOGOUT_BUDGET: Duration = Duration::from_secs(5);
/// Logouts running at once, in the background or at a graceful stop. Enough for a rack change, harmless to a switch.
const LOGOUTS_MAX: usize = 256;

/// What all conversations share.
struct Shared {
    config: RedfishConfig,
    tls: TlsConfigs,
    pool: Pool,
    counters: Counters,
    /// Logouts in the background; [`RedfishClient::close`] waits for them.
    logouts: TaskTracker,
    logout_permits: Arc<Semaphore>,
}

/// Talks to all Redfish BMCs. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct RedfishClient {
    shared: Arc<Shared>,
}

impl fmt::Debug for RedfishClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedfishClient")
            .field("stats", &self.stats())
            .finish()
    }
}

impl RedfishClient {
    /// A client that knows no BMC yet.
    #[must_use]
    pub fn new(config: RedfishConfig) -> Self {
        let limits = Limits {
            targets_max: config.targets_max.max(1),
            target_idle: config.target_idle,
            connections_max: config.connections_max.max(1),
            connection_idle: config.connection_idle,
        };
        Self {
            shared: Arc::new(Shared {
                tls: TlsConfigs::new(config.verify_ca.clone()),
                pool: Pool::new(limits),
                config,
                counters: Counters::default(),
                logouts: TaskTracker::new(),
                logout_permits: Arc::new(Semaphore::new(LOGOUTS_MAX)),
            }),
        }
    }

    /// What has been done so far.
    #[must_use]
    pub fn stats(&self) -> RedfishStats {
        let counters = &self.shared.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RedfishStats {
            requests: read(&counters.requests),
            connections: read(&counters.connections),
            handshakes_full: read(&counters.handshakes_full),
            handshakes_resumed: read(&counters.handshakes_resumed),
            logins: read(&counters.logins),
            logouts: read(&counters.logouts),
            connections_open: self.shared.pool.open.load(Ordering::Relaxed) as u64,
            targets: self.shared.pool.len() as u64,
        }
    }

    // --- Calls -------------------------------------------------------------------------------------------------------

    /// Reads the power state.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn power_state(
        &self,
        target: &Arc<RedfishTarget>,
        budget: Duration,
    ) -> Result<PowerReading, BmcError> {
        self.read_power(target, budget).await.map(|read| read.power)
    }

    /// The same, and the path of the session that is open afterwards; [`BmcSession::Unbound`] where the BMC is used without.
    pub(crate) async fn read_power(
        &self,
        target: &Arc<RedfishTarget>,
        budget: Duration,
    ) -> Result<PowerRead, BmcError> {
        let turn = Turn::new(target, "power status", budget);
        turn.within(async {
            let mut held = self.hold(target).await;
            let result = turn.talk(&self.shared, &mut held).read_power().await;
            let path = held.session_path();
            let session = path.map_or(BmcSession::Unbound, |path| BmcSession::Redfish(path.into()));
            self.release(held);
            result.map(|power| PowerRead {
                power,
                session: Some(session),
            })
        })
        .await
    }

    /// Sends one power command; returns once the BMC took it. Logs in again if the session has ended meanwhile.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn power_action(
        &self,
        target: &Arc<RedfishTarget>,
        action: PowerAction,
        budget: Duration,
    ) -> Result<(), BmcError> {
        self.act(target, action, None, budget).await
    }

    /// Sends one power command on the session that [`Self::open_session`] named, and on no other: if somebody ended it,
    /// the BMC refuses the command, and so does this call. This is the fence against a caller that wakes up late.
    ///
    /// # Errors
    /// [`BmcError::SessionOver`] once the session is over; else see [`BmcError`].
    pub async fn power_action_in_session(
        &self,
        target: &Arc<RedfishTarget>,
        action: PowerAction,
        session: &str,
        budget: Duration,
    ) -> Result<(), BmcError> {
        self.act(target, action, Some(session), budget).await
    }

    /// Makes sure that a session is open and alive, and names it by its path; `None` where the BMC is used without one.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn open_session(
        &self,
        target: &Arc<RedfishTarget>,
        budget: Duration,
    ) -> Result<Option<Box<str>>, BmcError> {
        let turn = Turn::new(target, "open session", budget);
        turn.within(async {
            let mut held = self.hold(target).await;
            let result = turn.talk(&self.shared, &mut held).open_session().await;
            self.release(held);
            result
        })
        .await
    }

    /// Ends a session of the BMC by its path, whoever opened it. Whether the BMC still knew it; either way it is gone.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn close_session(
        &self,
        target: &Arc<RedfishTarget>,
        session: &str,
        budget: Duration,
    ) -> Result<bool, BmcError> {
        let turn = Turn::new(target, "close session", budget);
        turn.within(async {
            let mut held = self.hold(target).await;
            let result = turn
                .talk(&self.shared, &mut held)
                .close_session(session)
                .await;
            self.release(held);
            result
        })
        .await
    }

    async fn act(
        &self,
        target: &Arc<RedfishTarget>,
        action: PowerAction,
        session: Option<&str>,
        budget: Duration,
    ) -> Result<(), BmcError> {
        let operation = action.operation();
        let turn = Turn {
            bound_to: session,
            ..Turn::new(target, operation, budget)
        };
        turn.within(async {
            let mut held = self.hold(target).await;
            let result = turn.talk(&self.shared, &mut held).act(action).await;
            self.release(held);
            result
        })
        .await
    }

    /// Reads what the machine boots from, and how.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn boot_state(
        &self,
        target: &Arc<RedfishTarget>,
        budget: Duration,
    ) -> Result<BootState, BmcError> {
        let turn = Turn::new(target, "get boot device", budget);
        turn.within(async {
            let mut held = self.hold(target).await;
            let result = turn.talk(&self.shared, &mut held).read_boot().await;
            self.release(held);
            result
        })
        .await
    }

    /// Asks who the BMC is.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn identify(
        &self,
        target: &Arc<RedfishTarget>,
        budget: Duration,
    ) -> Result<BmcIdentity, BmcError> {
        let turn = Turn::new(target, "identify", budget);
        turn.within(async {
            let mut held = self.hold(target).await;
            let result = turn.talk(&self.shared, &mut held).identify().await;
            self.release(held);
            result
        })
        .await
    }

    /// Logs out of a BMC and forgets it. To be called when a node's `driver_info` changes or its owner does.
    pub async fn forget(&self, target: &RedfishTarget) {
        if let Some(link) = self.shared.pool.remove(target) {
            retire(&self.shared, link).await;
        }
    }

    /// Logs out everywhere, within `budget`.
    pub async fn close(&self, budget: Duration) {
        let shared = &self.shared;
        let links = shared.pool.drain();
        let all = async {
            futures_util::stream::iter(links)
                .for_each_concurrent(LOGOUTS_MAX, |link| retire(shared, link))
                .await;
            shared.logouts.close();
            shared.logouts.wait().await;
            shared.logouts.reopen();
        };
        if tokio::time::timeout(budget, all).await.is_err() {
            tracing::warn!("redfish sessions left to their timeout");
        }
    }

    // --- One conversation at a time ----------------------------------------------------------------------------------

    /// The link of a target, once nobody else holds it.
    async fn hold(&self, target: &Arc<RedfishTarget>) -> OwnedMutexGuard<Link> {
        loop {
            let (link, retired) = self.shared.pool.link(target);
            for link in retired {
                self.retire_in_background(link);
            }
            let held = link.lock_owned().await;
            if !held.is_retired() {
                return held;
            }
        }
    }

    /// Gives a link back. If it was forgotten meanwhile, nobody else would end its session.
    fn release(&self, held: OwnedMutexGuard<Link>) {
        if held.is_retired() && held.session.is_some() {
            let link = Arc::clone(OwnedMutexGuard::mutex(&held));
            drop(held);
            self.retire_in_background(link);
        }
    }

    /// Logs out without keeping anybody waiting. Beyond [`LOGOUTS_MAX`] the BMCs have to end the sessions themselves.
    fn retire_in_background(&self, link: Retired) {
        if let Ok(permit) = Arc::clone(&self.shared.logout_permits).try_acquire_owned() {
            let shared = Arc::clone(&self.shared);
            self.shared.logouts.spawn(async move {
                retire(&shared, link).await;
                drop(permit);
            });
        }
    }
}

/// Ends the session and the connection of a link that has left the pool.
async fn retire(shared: &Shared, link: Retired) {
    let ended = tokio::time::timeout(LOGOUT_BUDGET, async {
        let mut held = link.lock().await;
        let target = Arc::clone(&held.target);
        let turn = Turn::new(&target, "log out", LOGOUT_BUDGET);
        turn.talk(shared, &mut held).log_out().await;
        held.stream = None;
    });
    if ended.await.is_err() {
        tracing::debug!("redfish session left to its timeout");
    }
}

/// One call: what it is for and when it must end.
struct Turn<'a> {
    target: &'a RedfishTarget,
    operation: &'static str,
    budget: Duration,
    deadline: Instant,
    /// Connections tried.
    attempts: AtomicU32,
    /// The session that the call belongs to.
    bound_to: Option<&'a str>,
}

impl<'a> Turn<'a> {
    fn new(target: &'a RedfishTarget, operation: &'static str, budget: Duration) -> Self {
        let end = beat::end(beat::millis(Instant::now() + budget), budget);
        Self {
            target,
            operation,
            budget,
            deadline: beat::epoch() + Duration::from_millis(end),
            attempts: AtomicU32::new(0),
            bound_to: None,
        }
    }

    fn talk<'t>(&'t self, shared: &'t Shared, link: &'t mut Link) -> Conversation<'t> {
        Conversation {
            shared,
            link,
            target: self.target,
            operation: self.operation,
            attempts: &self.attempts,
            basic_this_turn: false,
            if_match: None,
            bound_to: self.bound_to,
        }
    }

    /// Runs the call until its deadline. No `async fn`: that would keep a second place for the call, which is kilobytes
    /// that each read of each BMC has to allocate and move.
    fn within<T>(
        &self,
        call: impl Future<Output = Result<T, BmcError>>,
    ) -> impl Future<Output = Result<T, BmcError>> {
        tokio::time::timeout_at(self.deadline, call)
            .map(|ended| ended.unwrap_or_else(|_elapsed| Err(self.overdue())))
    }

    fn overdue(&self) -> BmcError {
        let bmc: Box<str> = Endpoint::of(self.target).authority.into();
        match self.attempts.load(Ordering::Relaxed) {
            0 => BmcError::Busy {
                bmc,
                reason: "an earlier conversation with it has not ended".into(),
                retry_after: None,
            },
            attempts => BmcError::Silent {
                bmc,
                operation: self.operation,
                within: self.budget,
                attempts,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_model::driver::redfish::parse;
    use baton_model::ids::NodeId;

    /// Every read of every BMC allocates its call and moves it twice; what is rare in it (logging in, handshakes) is boxed.
    #[test]
    fn a_read_carries_nothing_that_it_seldom_needs() {
        let client = RedfishClient::new(RedfishConfig::default());
        let info = serde_json::json!({ "redfish_address": "192.0.2.1" });
        let info = info.as_object().expect("object");
        let target = Arc::new(parse(NodeId(uuid::Uuid::nil()), info).expect("valid"));
        let call = client.power_state(&target, Duration::from_secs(1));
        assert!(size_of_val(&call) <= 4096, "{} bytes", size_of_val(&call));
    }
}
