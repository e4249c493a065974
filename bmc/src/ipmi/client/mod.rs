//! `IpmiClient`: thousands of BMCs over a few shared UDP sockets.
//!
//! A call is begun on its caller's thread and finished by the task of its socket; no task, no socket and no timer is
//! made per call. Calls to one BMC run one after another. What an error means for the node, and whether to try again
//! after the budget, is the sync pool's business.

mod chore;
mod lru;
mod resolve;
mod shard;
mod table;

use super::session::{Job, Reply, SessionIds, refusal::Refusal};
use super::vendor;
use super::wire::boot::BootOption;
use super::wire::command::ControlAction;
use baton_model::driver::ipmi::{IpmiProtocol, IpmiTarget};
use baton_model::env::Entropy;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};
use baton_model::port::bmc::{BmcError, BmcIdentity, PowerAction, PowerReading};
use futures_util::StreamExt;
use rand::SeedableRng;
use rand::rngs::StdRng;
use resolve::Resolver;
use shard::Shard;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;

/// Time for the polite end of one session; whoever does not answer ends it by himself within 63 s (§6.12.15).
const CLOSE_BUDGET: Duration = Duration::from_secs(1);
/// Sessions ended side by side at a stop: as many answers fit in a default receive buffer.
const CLOSE_AT_ONCE: usize = 128;

/// How the client is laid out.
#[derive(Clone, Copy, Debug)]
pub struct IpmiSettings {
    /// UDP sockets per address family. Two per core keep their locks apart; each has its own receive buffer.
    pub sockets: usize,
    /// Sessions kept open while idle, in all. Each is about 1.5 KiB here and one of a handful of slots at its BMC.
    pub warm_sessions_max: usize,
    /// Whether BMCs are told to keep the boot device for longer than a minute, where the node does not say.
    pub keep_boot: bool,
}

impl Default for IpmiSettings {
    fn default() -> Self {
        Self {
            sockets: 4,
            warm_sessions_max: 32_768,
            keep_boot: true,
        }
    }
}

/// What the sockets saw since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpmiStats {
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams received.
    pub received: u64,
    /// Dropped: not a packet, or cut short.
    pub garbage: u64,
    /// Dropped: from a stranger, late, or with ids that fit nothing asked.
    pub unexpected: u64,
    /// Dropped: a sequence number that was used before.
    pub replayed: u64,
    /// Dropped: a wrong integrity code.
    pub forged: u64,
    /// Idle sessions that are open now.
    pub warm_sessions: u64,
}

/// The client. Dropping it ends its tasks at once; [`IpmiClient::close`] ends sessions first.
pub struct IpmiClient {
    v4: Vec<Arc<Shard>>,
    v6: Vec<Arc<Shard>>,
    resolver: Resolver,
    hasher: RandomState,
    closing: AtomicBool,
    keep_boot: bool,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl std::fmt::Debug for IpmiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IpmiClient")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl IpmiClient {
    /// Binds the sockets and starts their tasks on the current runtime. Session ids, key exchange randoms and
    /// initialisation vectors are drawn from generators seeded by `entropy`, which must be unpredictable outside of
    /// simulations. Without IPv6 on this machine, IPv6 BMCs are unreachable and all else works.
    ///
    /// # Errors
    /// No IPv4 socket could be made.
    pub fn start(settings: &IpmiSettings, entropy: &dyn Entropy) -> io::Result<Self> {
        let count = settings.sockets.max(1);
        let warm_max = settings.warm_sessions_max / count;
        let bind = |ip: IpAddr| -> io::Result<Vec<Arc<Shard>>> {
            (0..count)
                .map(|_| {
                    Shard::bind(SocketAddr::new(ip, 0), generator(entropy), warm_max).map(Arc::new)
                })
                .collect()
        };
        let v4 = bind(Ipv4Addr::UNSPECIFIED.into())?;
        let v6 = bind(Ipv6Addr::UNSPECIFIED.into()).unwrap_or_else(|error| {
            tracing::info!(%error, "no IPv6 for IPMI on this machine");
            Vec::new()
        });
        let tasks = v4
            .iter()
            .chain(&v6)
            .map(|shard| AbortOnDropHandle::new(tokio::spawn(Arc::clone(shard).run())))
            .collect();
        Ok(Self {
            v4,
            v6,
            resolver: Resolver::default(),
            hasher: RandomState::new(),
            closing: AtomicBool::new(false),
            keep_boot: settings.keep_boot,
            _tasks: tasks,
        })
    }

    /// Reads the power state.
    ///
    /// # Errors
    /// See [`BmcError`]; never later than `budget`.
    pub async fn power_state(
        &self,
        target: &Arc<IpmiTarget>,
        budget: Duration,
    ) -> Result<PowerReading, BmcError> {
        match self.call(target, Job::PowerState, budget).await? {
            Reply::Power(reading) => Ok(reading),
            Reply::Device(_) | Reply::Boot(_) | Reply::Session(_) | Reply::Done(_) => {
                Ok(PowerReading::Unknown)
            }
        }
    }

    /// Sends one power command and returns once the BMC accepted it. Reset, cycle and NMI are never executed twice by
    /// repetition; if their answer is lost for good, the call ends as [`BmcError::Silent`] and the outcome is unknown.
    ///
    /// # Errors
    /// See [`BmcError`]; never later than `budget`.
    pub async fn power_action(
        &self,
        target: &Arc<IpmiTarget>,
        action: PowerAction,
        budget: Duration,
    ) -> Result<(), BmcError> {
        if let PowerAction::BootFrom(order) = action {
            return self.boot_from(target, order, None, budget).await;
        }
        let job = Job::Control(chassis_action(target, action)?);
        self.call(target, job, budget).await.map(drop)
    }

    /// Sends one power command in the session with this BMC-side id, and in no other: once somebody has
    /// ended it, the command reaches nothing. This is the fence against a caller that wakes up late.
    ///
    /// # Errors
    /// [`BmcError::SessionOver`] if this client knows that the session is over; [`BmcError::Silent`] if only the BMC
    /// knows; else see [`BmcError`].
    pub async fn power_action_in_session(
        &self,
        target: &Arc<IpmiTarget>,
        action: PowerAction,
        session: u32,
        budget: Duration,
    ) -> Result<(), BmcError> {
        if let PowerAction::BootFrom(order) = action {
            return self.boot_from(target, order, Some(session), budget).await;
        }
        let job = Job::ControlIn(chassis_action(target, action)?, session);
        self.call(target, job, budget).await.map(drop)
    }

    /// Reads what the machine boots from.
    ///
    /// # Errors
    /// See [`BmcError`]; never later than `budget`.
    pub async fn boot_state(
        &self,
        target: &Arc<IpmiTarget>,
        budget: Duration,
    ) -> Result<BootState, BmcError> {
        match self.call(target, Job::GetBoot, budget).await? {
            Reply::Boot(state) => Ok(state),
            Reply::Power(_) | Reply::Device(_) | Reply::Session(_) | Reply::Done(_) => {
                Ok(BootState::default())
            }
        }
    }

    /// Sets the boot flags, and first that they are not forgotten after a minute, which BMCs that forget nothing decline.
    async fn boot_from(
        &self,
        target: &Arc<IpmiTarget>,
        order: BootOrder,
        session: Option<u32>,
        budget: Duration,
    ) -> Result<(), BmcError> {
        let began = tokio::time::Instant::now();
        let rest = || budget.saturating_sub(began.elapsed());
        let mut uefi_disk = None;
        if order.mode == BootMode::Uefi
            && order.device == BootDevice::Disk
            && let Reply::Device(device) = self.call(target, Job::Identify, rest()).await?
        {
            uefi_disk = vendor::uefi_disk(&device);
        }
        let flags = BootOption::flags(order, uefi_disk).ok_or_else(|| {
            let refusal = Refusal::new(target, Job::SetBoot(BootOption::Keep, session));
            refusal.unsupported(format!("IPMI knows no boot device {}", order.device))
        })?;
        if target.keep_boot.unwrap_or(self.keep_boot) {
            let keep = Job::SetBoot(BootOption::Keep, session);
            match self.call(target, keep, rest()).await {
                Ok(_) | Err(BmcError::Unsupported { .. } | BmcError::Declined { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let set = Job::SetBoot(flags, session);
        self.call(target, set, rest()).await.map(drop)
    }

    /// Asks who the BMC is.
    ///
    /// # Errors
    /// See [`BmcError`]; never later than `budget`.
    pub async fn identify(
        &self,
        target: &Arc<IpmiTarget>,
        budget: Duration,
    ) -> Result<BmcIdentity, BmcError> {
        match self.call(target, Job::Identify, budget).await? {
            Reply::Device(device) => Ok(vendor::identity(&device)),
            Reply::Power(_) | Reply::Boot(_) | Reply::Session(_) | Reply::Done(_) => {
                Ok(BmcIdentity::default())
            }
        }
    }

    /// Makes sure that a session is open and alive, and tells its ids: the BMC's id is what a successor needs to end
    /// it with [`Self::close_session_by_id`].
    ///
    /// # Errors
    /// See [`BmcError`]; never later than `budget`.
    pub async fn open_session(
        &self,
        target: &Arc<IpmiTarget>,
        budget: Duration,
    ) -> Result<SessionIds, BmcError> {
        match self.call(target, Job::Open, budget).await? {
            Reply::Session(ids) => Ok(ids),
            Reply::Power(_) | Reply::Device(_) | Reply::Boot(_) | Reply::Done(_) => {
                Err(Refusal::new(target, Job::Open).garbled("the session did not open"))
            }
        }
    }

    /// The ids of the session that is open for `target` now, if there is one. Asks nobody.
    #[must_use]
    pub fn session_ids(&self, target: &IpmiTarget) -> Option<SessionIds> {
        let ip = self.resolver.known(&target.address)?;
        let address = SocketAddr::new(ip, target.port);
        self.shard(address)?.session_ids(address, target)
    }

    /// Ends another session of the BMC by its BMC-side id, from a session of our own. Returns whether the BMC still
    /// knew it; either way it is gone. Needs administrator rights at the BMC.
    ///
    /// # Errors
    /// See [`BmcError`]; never later than `budget`.
    pub async fn close_session_by_id(
        &self,
        target: &Arc<IpmiTarget>,
        id: u32,
        budget: Duration,
    ) -> Result<bool, BmcError> {
        match self.call(target, Job::CloseById(id), budget).await? {
            Reply::Done(known) => Ok(known),
            Reply::Power(_) | Reply::Device(_) | Reply::Boot(_) | Reply::Session(_) => Ok(false),
        }
    }

    /// Ends the session with this BMC, if there is one, and forgets what was learned about it.
    pub async fn forget(&self, target: &Arc<IpmiTarget>) {
        let Some(ip) = self.resolver.known(&target.address) else {
            return;
        };
        let address = SocketAddr::new(ip, target.port);
        let Some(shard) = self.shard(address) else {
            return;
        };
        if shard.session_ids(address, target).is_some() {
            // Whether the BMC answered matters to nobody: the session is given up in any case.
            drop(shard.call(address, target, Job::Close, CLOSE_BUDGET).await);
        }
        shard.forget(address);
        self.resolver.forget(&target.address);
    }

    /// Ends every session within `budget`. Calls that come later are refused.
    pub async fn close(&self, budget: Duration) {
        self.closing.store(true, Ordering::Release);
        let patience = CLOSE_BUDGET.min(budget);
        let mut ends = Vec::new();
        for shard in self.v4.iter().chain(&self.v6) {
            for (address, target) in shard.open_sessions() {
                let shard = Arc::clone(shard);
                ends.push(async move {
                    drop(shard.call(address, &target, Job::Close, patience).await);
                });
            }
        }
        let all = futures_util::stream::iter(ends)
            .buffer_unordered(CLOSE_AT_ONCE)
            .for_each(|()| std::future::ready(()));
        if tokio::time::timeout(budget, all).await.is_err() {
            tracing::info!("some IPMI sessions were left for their BMCs to end");
        }
    }

    /// What the sockets saw since the start.
    #[must_use]
    pub fn stats(&self) -> IpmiStats {
        let mut stats = IpmiStats::default();
        for shard in self.v4.iter().chain(&self.v6) {
            let counters = &shard.counters;
            stats.sent += counters.sent.load(Ordering::Relaxed);
            stats.received += counters.received.load(Ordering::Relaxed);
            stats.garbage += counters.garbage.load(Ordering::Relaxed);
            stats.unexpected += counters.unexpected.load(Ordering::Relaxed);
            stats.replayed += counters.replayed.load(Ordering::Relaxed);
            stats.forged += counters.forged.load(Ordering::Relaxed);
            stats.warm_sessions += shard.warm_sessions() as u64;
        }
        stats
    }

    fn shard(&self, address: SocketAddr) -> Option<&Arc<Shard>> {
        let shards = if address.is_ipv4() {
            &self.v4
        } else {
            &self.v6
        };
        let count = u64::try_from(shards.len()).ok()?;
        let at = self.hasher.hash_one(address).checked_rem(count)?;
        shards.get(usize::try_from(at).ok()?)
    }

    async fn call(
        &self,
        target: &Arc<IpmiTarget>,
        job: Job,
        budget: Duration,
    ) -> Result<Reply, BmcError> {
        let refusal = Refusal::new(target, job);
        let stopped = || refusal.unreachable("the IPMI client has stopped");
        if self.closing.load(Ordering::Acquire) {
            return Err(stopped());
        }
        if target.protocol == IpmiProtocol::V1_5 {
            return Err(refusal.unsupported(
                "baton speaks IPMI 2.0 only; set ipmi_protocol_version to 2.0 or remove it",
            ));
        }
        let mut budget = budget;
        let ip = match self.resolver.known(&target.address) {
            Some(ip) => ip,
            None => {
                let began = tokio::time::Instant::now();
                let answer = tokio::time::timeout(budget, self.resolver.ask(&target.address))
                    .await
                    .map_err(|_| refusal.unreachable("its name could not be resolved in time"))?;
                budget = budget.saturating_sub(began.elapsed());
                answer.map_err(|error| {
                    refusal.unreachable(format!("its name could not be resolved: {error}"))
                })?
            }
        };
        let address = SocketAddr::new(ip, target.port);
        let shard = self
            .shard(address)
            .ok_or_else(|| refusal.unreachable("this machine has no IPv6"))?;
        shard
            .call(address, target, job, budget)
            .await
            .unwrap_or_else(|| Err(stopped()))
    }
}

/// The chassis command of a power action.
fn chassis_action(target: &IpmiTarget, action: PowerAction) -> Result<ControlAction, BmcError> {
    match action {
        PowerAction::On => Ok(ControlAction::PowerUp),
        PowerAction::Off => Ok(ControlAction::PowerDown),
        PowerAction::SoftOff => Ok(ControlAction::SoftShutdown),
        PowerAction::Reset => Ok(ControlAction::HardReset),
        PowerAction::Cycle => Ok(ControlAction::PowerCycle),
        PowerAction::Nmi => Ok(ControlAction::PulseDiagnostic),
        PowerAction::BootFrom(_)
        | PowerAction::BootMode(_)
        | PowerAction::SecureBoot(_)
        | PowerAction::Chore(_) => Err(Refusal {
            target,
            operation: action.operation(),
        }
        .unsupported("IPMI has no command for it")),
        PowerAction::SoftReset => Err(Refusal {
            target,
            operation: "power soft reset",
        }
        .unsupported("IPMI has no graceful restart; use soft power off, then power on")),
    }
}

/// A generator of its own for every socket, so that sockets do not contend for one.
fn generator(entropy: &dyn Entropy) -> StdRng {
    let mut seed = [0; 32];
    for chunk in seed.chunks_exact_mut(8) {
        chunk.copy_from_slice(&entropy.next_u64().to_le_bytes());
    }
    StdRng::from_seed(seed)
}
