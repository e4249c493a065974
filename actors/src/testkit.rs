//! Fake ports for tests: a cluster that commits at once, an environment on tokio's clock, BMCs that do as they are told.

use baton_model::apply::apply;
use baton_model::command::{Command, Proposal, ProposalId, Reply, Session};
use baton_model::driver::BmcTarget;
use baton_model::env::{Clock, Entropy, Env, Mono};
use baton_model::ids::{ConductorId, Incarnation, LogIndex, WallMs};
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{Bmc, BmcError, BmcIdentity, PowerAction, PowerReading};
use baton_model::port::cluster::{ChangeSink, ProposeError, Proposer, RenewError, Sessions};
use baton_model::state::StateView;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
    /// Every command that it got.
    pub acted: Vec<PowerAction>,
    /// How often it was read.
    pub reads: u64,
}

impl Default for TestMachine {
    fn default() -> Self {
        Self {
            power: PowerReading::On,
            silent: false,
            acted: Vec::new(),
            reads: 0,
        }
    }
}

/// BMCs by address; an unknown address is a machine that is on.
#[derive(Default)]
pub struct TestBmc {
    machines: Mutex<BTreeMap<Box<str>, TestMachine>>,
}

impl TestBmc {
    /// Looks at or changes one machine.
    pub fn with<R>(&self, address: &str, change: impl FnOnce(&mut TestMachine) -> R) -> R {
        let mut machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        change(machines.entry(address.into()).or_default())
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
    ) -> BoxFuture<'a, Result<PowerReading, BmcError>> {
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
            Ok(power)
        })
    }

    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            let address = Self::address(target);
            let silent = self.with(&address, |machine| {
                if !machine.silent {
                    machine.acted.push(action);
                    machine.power = match action {
                        PowerAction::Off | PowerAction::SoftOff => PowerReading::Off,
                        PowerAction::On
                        | PowerAction::Reset
                        | PowerAction::Cycle
                        | PowerAction::SoftReset
                        | PowerAction::Nmi => PowerReading::On,
                    };
                }
                machine.silent
            });
            if silent {
                tokio::time::sleep(budget).await;
                return Err(Self::silent(address, "power command", budget));
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

    fn forget<'a>(&'a self, _: &'a BmcTarget) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn close<'a>(&'a self, _: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
