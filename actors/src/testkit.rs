//! Fake ports for tests: a cluster that commits at once, an environment on tokio's clock, BMCs that do as they are told.

use baton_model::apply::apply;
use baton_model::command::{Command, Proposal, ProposalId, Reply, Session};
use baton_model::driver::BmcTarget;
use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::ids::{ConductorId, Incarnation, LogIndex, WallMs};
use baton_model::node::intent::BmcSession;
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{Bmc, BmcError, BmcIdentity, PowerAction, PowerRead, PowerReading};
use baton_model::port::cluster::{ChangeSink, ProposeError, Proposer, RenewError, Sessions};
use baton_model::state::StateView;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Time is tokio's (it may be paused), chance is a counter through splitmix64.
pub struct TestEnv {
    start: tokio::time::Instant,
    seed: AtomicU64,
}

impl TestEnv {
    /// An environment whose clock starts now.
    #[must_use]
    pub fn env(seed: u64) -> Env {
        let env = Arc::new(Self {
            start: tokio::time::Instant::now(),
            seed: AtomicU64::new(seed),
        });
        Env {
            clock: env.clone(),
            entropy: env,
        }
    }
}

impl Clock for TestEnv {
    fn now(&self) -> Mono {
        Mono(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> WallMs {
        WallMs(self.now().0)
    }
}

impl Entropy for TestEnv {
    fn next_u64(&self) -> u64 {
        let mut z = self
            .seed
            .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// A replicated log without replicas: what is proposed is applied at once, unless it is switched off.
#[derive(Default)]
pub struct TestCluster {
    /// The state that all conductors of the test share.
    pub state: StateView,
    index: Mutex<u64>,
    sinks: Mutex<Vec<Arc<dyn ChangeSink>>>,
    down: AtomicBool,
    panics: AtomicU64,
}

impl TestCluster {
    /// An empty cluster.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Tells `sink` of every entry from now on.
    pub fn subscribe(&self, sink: Arc<dyn ChangeSink>) {
        self.sinks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(sink);
    }

    /// Whether proposals fail.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
    }

    /// Tells everybody that the whole state was replaced.
    pub fn reset(&self) {
        let index = *self.index.lock().unwrap_or_else(PoisonError::into_inner);
        let sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        for sink in sinks.iter() {
            sink.reset(LogIndex(index));
        }
    }

    /// The next so many proposals for a node panic in the actor that makes them.
    pub fn panic_next(&self, count: u64) {
        self.panics.store(count, Ordering::Relaxed);
    }

    /// How many of them have not yet happened.
    pub fn panics_left(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// The ports of one conductor.
    #[must_use]
    pub fn member(self: &Arc<Self>, conductor: u64) -> Arc<TestMember> {
        let conductor = ConductorId(conductor);
        Arc::new(TestMember {
            cluster: self.clone(),
            conductor,
            incarnation: AtomicU64::new(0),
        })
    }

    /// Applies a command.
    pub fn commit(&self, command: Command) -> Reply {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        *index += 1;
        let id = ProposalId {
            conductor: ConductorId(0),
            incarnation: Incarnation(0),
            seq: *index,
        };
        let at = LogIndex(*index);
        let proposal = Proposal {
            id,
            at: WallMs(*index),
            command,
        };
        let applied = apply(&mut self.state.write(), at, proposal);
        for sink in self
            .sinks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            sink.applied(at, &applied.changes);
        }
        applied.reply
    }
}

/// One conductor's way into a [`TestCluster`].
pub struct TestMember {
    cluster: Arc<TestCluster>,
    conductor: ConductorId,
    incarnation: AtomicU64,
}

impl Proposer for TestMember {
    fn propose(&self, command: Command) -> BoxFuture<'_, Result<Reply, ProposeError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let panics = &self.cluster.panics;
            if matches!(command, Command::NodeAct(_))
                && panics
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                        left.checked_sub(1)
                    })
                    .is_ok()
            {
                panic!("a bug that the test planted ({panics:?} left)");
            }
            if self.cluster.down.load(Ordering::Relaxed) {
                return Err(ProposeError::Unavailable {
                    reason: "switched off by the test".into(),
                });
            }
            Ok(self.cluster.commit(command))
        })
    }

    fn barrier(&self) -> BoxFuture<'_, Result<(), ProposeError>> {
        Box::pin(async { Ok(()) })
    }
}

impl Sessions for TestMember {
    fn renew(&self, session: Session) -> BoxFuture<'_, Result<(), RenewError>> {
        Box::pin(async move {
            if self.cluster.down.load(Ordering::Relaxed) {
                Err(RenewError::Unavailable("switched off by the test".into()))
            } else if self.cluster.state.read().is_live(session) {
                Ok(())
            } else {
                Err(RenewError::Over)
            }
        })
    }

    fn next_incarnation(&self) -> BoxFuture<'_, Result<Incarnation, ProposeError>> {
        Box::pin(async move {
            let known = self
                .cluster
                .state
                .read()
                .conductor(self.conductor)
                .map_or(0, |c| c.incarnation.0);
            let drawn = self.incarnation.load(Ordering::Relaxed).max(known) + 1;
            self.incarnation.store(drawn, Ordering::Relaxed);
            Ok(Incarnation(drawn))
        })
    }
}

/// One machine behind a [`TestBmc`].
#[derive(Clone, Debug)]
pub struct TestMachine {
    /// What the BMC reports.
    pub power: PowerReading,
    /// Whether the BMC answers.
    pub silent: bool,
    /// Whether the BMC lets nobody end the sessions of others.
    pub keeps_sessions: bool,
    /// The only password that it lets in; any, if none is set.
    pub password: Option<Box<str>>,
    /// Logins that it refused.
    pub refused: u64,
    /// Every command that it got.
    pub acted: Vec<PowerAction>,
    /// Commands that came in a session that had ended, and had no effect.
    pub fenced_off: Vec<PowerAction>,
    /// How often it was read.
    pub reads: u64,
    /// The open sessions.
    pub sessions: BTreeSet<u32>,
    next_session: u32,
}

impl Default for TestMachine {
    fn default() -> Self {
        Self {
            power: PowerReading::On,
            silent: false,
            keeps_sessions: false,
            password: None,
            refused: 0,
            acted: Vec::new(),
            fenced_off: Vec::new(),
            reads: 0,
            sessions: BTreeSet::new(),
            next_session: 1,
        }
    }
}

/// BMCs by address; an unknown address is a machine that is on. Sessions are enforced: a command in one that has ended
/// does nothing.
#[derive(Default)]
pub struct TestBmc {
    machines: Arc<Mutex<BTreeMap<Box<str>, TestMachine>>>,
    /// The sessions of this client.
    own: Mutex<BTreeMap<Box<str>, u32>>,
    writes_held: watch::Sender<bool>,
}

impl TestBmc {
    /// Another client of the same machines, with sessions of its own: the BMC library of another conductor.
    #[must_use]
    pub fn another_client(&self) -> Self {
        Self {
            machines: self.machines.clone(),
            ..Self::default()
        }
    }

    /// While held, commands stop right before they leave, like those of a process that was paused there.
    pub fn hold_writes(&self, held: bool) {
        self.writes_held.send_replace(held);
    }

    /// Looks at or changes one machine.
    pub fn with<R>(&self, address: &str, change: impl FnOnce(&mut TestMachine) -> R) -> R {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        change(machines.entry(address.into()).or_default())
    }

    fn own(&self, address: &str) -> Option<u32> {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.get(address).copied()
    }

    /// The session of this client, opened if it has none or it has ended.
    fn open(&self, address: &str) {
        let own = self.own(address);
        let session = self.with(address, |machine| match own {
            Some(own) if machine.sessions.contains(&own) => own,
            _ => {
                let session = machine.next_session;
                machine.next_session += 1;
                machine.sessions.insert(session);
                session
            }
        });
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.insert(address.into(), session);
    }

    fn address(target: &BmcTarget) -> Box<str> {
        match target {
            BmcTarget::Ipmi(ipmi) => ipmi.address.clone(),
            BmcTarget::Redfish(redfish) => redfish.origin.clone(),
            BmcTarget::Fake => "fake".into(),
        }
    }

    fn silent(bmc: Box<str>, operation: &'static str, within: Duration) -> BmcError {
        BmcError::Silent {
            bmc,
            operation,
            within,
            attempts: 1,
        }
    }
}

impl Bmc for TestBmc {
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<PowerRead, BmcError>> {
        Box::pin(async move {
            let address = Self::address(target);
            let (silent, power) = self.with(&address, |machine| {
                machine.reads += 1;
                (machine.silent, machine.power)
            });
            if silent {
                tokio::time::sleep(budget).await;
                return Err(Self::silent(address, "power status", budget));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
            let given = match target {
                BmcTarget::Ipmi(ipmi) => ipmi.password.expose(),
                BmcTarget::Redfish(redfish) => redfish.password.expose(),
                BmcTarget::Fake => "",
            };
            let refuses = self.with(&address, |machine| {
                let refuses = machine
                    .password
                    .as_deref()
                    .is_some_and(|wanted| wanted != given);
                machine.refused += u64::from(refuses);
                refuses
            });
            if refuses {
                return Err(BmcError::Refused {
                    bmc: address,
                    username: "admin".into(),
                    reason: "RAKP 2 HMAC is invalid".into(),
                });
            }
            self.open(&address);
            Ok(PowerRead {
                power,
                session: self.own(&address).map(BmcSession::Ipmi),
            })
        })
    }

    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            let address = Self::address(target);
            let mut held = self.writes_held.subscribe();
            if held.wait_for(|held| !held).await.is_err() {
                return Err(Self::silent(address, "power command", budget));
            }
            let (silent, taken) = self.with(&address, |machine| {
                let open = match session {
                    BmcSession::Ipmi(id) => machine.sessions.contains(id),
                    BmcSession::Redfish(_) => false,
                    BmcSession::Unbound => true,
                };
                if !machine.silent && !open {
                    machine.fenced_off.push(action);
                } else if !machine.silent {
                    machine.acted.push(action);
                    machine.power = match action {
                        PowerAction::Off | PowerAction::SoftOff => PowerReading::Off,
                        PowerAction::On
                        | PowerAction::Reset
                        | PowerAction::Cycle
                        | PowerAction::SoftReset
                        | PowerAction::Nmi => PowerReading::On,
                        // These change no power.
                        PowerAction::BootFrom(_)
                        | PowerAction::BootMode(_)
                        | PowerAction::SecureBoot(_)
                        | PowerAction::Chore(_) => machine.power,
                    };
                }
                (machine.silent, open)
            });
            if silent {
                tokio::time::sleep(budget).await;
                return Err(Self::silent(address, "power command", budget));
            }
            if !taken {
                let (bmc, operation) = (address, "power command");
                return Err(BmcError::SessionOver { bmc, operation });
            }
            Ok(())
        })
    }

    fn end_session<'a>(
        &'a self,
        target: &'a BmcTarget,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            let bmc = Self::address(target);
            let operation = "end session";
            let (silent, keeps) = self.with(&bmc, |machine| {
                if let BmcSession::Ipmi(id) = session
                    && !machine.silent
                    && !machine.keeps_sessions
                {
                    machine.sessions.remove(id);
                }
                (machine.silent, machine.keeps_sessions)
            });
            if silent {
                tokio::time::sleep(budget).await;
                return Err(Self::silent(bmc, operation, budget));
            }
            if keeps {
                let reason = "insufficient privilege level".into();
                return Err(BmcError::Declined {
                    bmc,
                    operation,
                    reason,
                });
            }
            Ok(())
        })
    }

    fn identify<'a>(
        &'a self,
        _: &'a BmcTarget,
        _: Duration,
    ) -> BoxFuture<'a, Result<BmcIdentity, BmcError>> {
        Box::pin(async { Ok(BmcIdentity::default()) })
    }

    fn forget<'a>(&'a self, target: &'a BmcTarget) -> BoxFuture<'a, ()> {
        let address = Self::address(target);
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = own.remove(&address) {
            self.with(&address, |machine| machine.sessions.remove(&session));
        }
        Box::pin(async {})
    }

    fn close<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
