//! The world: hosts with conductors, the network between them, machines, clients and a nemesis, all on one clock.
//!
//! Time goes on in ticks of a millisecond. In each tick the network and the farm deliver what is due, the nemesis and the
//! clients do what they have in mind, and then every running process lives through its millisecond, one after another on
//! this one thread. Nothing else moves, so a seed decides everything.

pub mod clock;
pub mod gateway;
mod hosts;
pub mod leases;
pub mod net;
mod operators;
mod options;
pub mod process;
pub mod stream;

use crate::compute::Nova;
use crate::farm::Farm;
use crate::nemesis::Nemesis;
use crate::oracle::Oracle;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::workload::{Ask, Workload};
use baton_cluster::kv::mem::MemDisk;
use baton_model::ids::{ConductorId, NodeId};
use leases::Leases;
use net::{Host, Net};
use process::{Conductor, Process, Surroundings};
use std::collections::{BTreeMap, BTreeSet};

/// Of a lying disk's syncs, one in so many is real.
const HONEST_SYNC_ONE_IN: u64 = 40;

/// How often operators look whether the drains are as they want them.
const OPERATORS_LOOK_MS: u64 = 250;

/// How long a service manager waits before it starts a conductor again that ended by itself.
const RESTART_MS: u64 = 500;

/// A host: what outlives its processes.
struct HostState {
    disk: MemDisk,
    boots: u64,
    /// The process is stopped, and has been since this moment.
    paused_since: Option<u64>,
}

/// See the module.
pub struct World {
    now: u64,
    chance: Rng,
    hosts: BTreeMap<Host, HostState>,
    processes: BTreeMap<Host, Process>,
    around: Surroundings,
    /// The clients.
    pub workload: Workload,
    /// The trouble.
    pub nemesis: Nemesis,
    /// Whether clients send requests.
    pub clients_work: bool,
    /// The hosts that operators want drained. They order it until it is so.
    pub to_be_drained: BTreeSet<Host>,
    operators: Rng,
    /// When the service manager of a host starts its conductor again.
    restarts: BTreeMap<Host, u64>,
    leases: Leases,
}

impl World {
    /// A world of `hosts` conductors, none of which has started, and `machines` machines.
    #[must_use]
    pub fn new(seed: u64, hosts: u64, machines: u64, plant: Plant) -> Self {
        let chance = Rng::seeded(seed);
        let trace = Trace::default();
        trace.note(format_args!(
            "a world of {hosts} conductors and {machines} machines from seed {seed}, planted bug: {plant}"
        ));
        let farm = Farm::new(chance.child("farm"), trace.clone());
        let workload = Workload::new(chance.child("workload"), trace.clone(), machines);
        let mut power = chance.child("power");
        for (node, address) in workload.nodes() {
            farm.add(address, *node, power.chance(50));
        }
        let hosts: BTreeMap<Host, HostState> = (1..=hosts)
            .map(|host| {
                let disk = MemDisk::default();
                if plant == Plant::AckBeforeSync {
                    disk.sync_only_every(HONEST_SYNC_ONE_IN);
                }
                let state = HostState {
                    disk,
                    boots: 0,
                    paused_since: None,
                };
                (host, state)
            })
            .collect();
        let around = Surroundings {
            net: Net::new(chance.child("network")),
            farm,
            nova: Nova::new(chance.child("compute"), trace.clone()),
            oracle: Oracle::new(trace.clone()),
            trace: trace.clone(),
            plant,
            hosts: hosts.keys().copied().collect(),
            lost_disks: BTreeSet::new(),
        };
        Self {
            now: 0,
            nemesis: Nemesis::new(chance.child("nemesis"), trace),
            to_be_drained: BTreeSet::new(),
            operators: chance.child("operators"),
            restarts: BTreeMap::new(),
            leases: Leases::default(),
            chance,
            hosts,
            processes: BTreeMap::new(),
            around,
            workload,
            clients_work: false,
        }
    }

    /// The world's time in milliseconds.
    #[must_use]
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// What happened.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.around.trace
    }

    /// The network.
    #[must_use]
    pub const fn net(&self) -> &Net {
        &self.around.net
    }

    /// The machines.
    #[must_use]
    pub const fn farm(&self) -> &Farm {
        &self.around.farm
    }

    /// The compute service.
    #[must_use]
    pub const fn nova(&self) -> &Nova {
        &self.around.nova
    }

    /// What was committed.
    #[must_use]
    pub const fn oracle(&self) -> &Oracle {
        &self.around.oracle
    }

    /// All hosts.
    #[must_use]
    pub fn hosts(&self) -> Vec<Host> {
        self.hosts.keys().copied().collect()
    }

    /// The processes that exist, stopped ones included.
    #[must_use]
    pub const fn processes(&self) -> &BTreeMap<Host, Process> {
        &self.processes
    }

    /// The conductors that have started.
    #[must_use]
    pub fn conductors(&self) -> BTreeMap<Host, Conductor> {
        let started = self.processes.iter();
        started
            .filter_map(|(host, process)| Some((*host, process.conductor()?)))
            .collect()
    }

    /// The host that most conductors take for the leader.
    #[must_use]
    pub fn leader(&self) -> Option<Host> {
        let mut votes = BTreeMap::<ConductorId, u32>::new();
        for conductor in self.conductors().values() {
            if let Some(leader) = conductor.cluster.leader() {
                *votes.entry(leader).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        most.and_then(|(leader, _)| self.oracle().host_of(leader))
    }

    /// One millisecond of everything.
    pub fn tick(&mut self) {
        self.now += 1;
        self.around.trace.set_now(self.now);
        self.around.net.deliver(self.now);
        self.around.farm.deliver(self.now);
        self.around.nova.deliver(self.now);
        Nemesis::step(self);
        self.manage_services();
        if self.now.is_multiple_of(OPERATORS_LOOK_MS) {
            self.operate();
        }
        if self.clients_work {
            self.workload.step(self.now, &self.processes);
        }
        for (host, process) in &mut self.processes {
            let paused = self
                .hosts
                .get(host)
                .is_some_and(|state| state.paused_since.is_some());
            if !paused {
                process.live(1);
            }
        }
        let running = self.processes.iter().filter(|(host, _)| {
            let state = self.hosts.get(host);
            state.is_some_and(|state| state.paused_since.is_none())
        });
        self.leases
            .look(self.now, running, &self.around.oracle, &self.around.trace);
    }

    /// Leases that outlived their session.
    #[must_use]
    pub const fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Ends conductors that have failed, and starts them again after a while.
    fn manage_services(&mut self) {
        let failed = self.processes.iter();
        let failed: Vec<Host> = failed
            .filter(|(host, process)| !self.is_paused(**host) && process.has_failed())
            .map(|(host, _)| *host)
            .collect();
        for host in failed {
            self.around
                .trace
                .note(format_args!("conductor {host} ends by itself"));
            if self.processes.get(&host).is_some_and(Process::was_expelled) {
                self.kill(host);
                // As the message tells the operator: it joins anew, with an empty directory.
                self.lose_disk(host);
                self.restarts.insert(host, self.now + RESTART_MS);
                continue;
            }
            self.kill(host);
            // What a failed sync left behind may be gone.
            let unsynced = self.unsynced(host);
            if let Some(state) = self.hosts.get(&host) {
                state.disk.cut_power(unsynced / 2);
            }
            self.restarts.insert(host, self.now + RESTART_MS);
        }
        let now = self.now;
        let due: Vec<Host> = self
            .restarts
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(host, _)| *host)
            .collect();
        for host in due {
            self.restarts.remove(&host);
            self.start(host);
        }
    }

    /// Lets time pass until `done` holds, at most `limit_ms`; whether it does. Looks every `every_ms`.
    pub fn wait(
        &mut self,
        limit_ms: u64,
        every_ms: u64,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> bool {
        let until = self.now + limit_ms;
        loop {
            if done(self) {
                return true;
            }
            if self.now >= until {
                return false;
            }
            for _ in 0..every_ms {
                self.tick();
            }
        }
    }

    /// Sends this request to a random conductor.
    pub fn ask(&mut self, now: u64, node: NodeId, ask: Ask) {
        self.workload.send(now, node, ask, &self.processes);
    }

    /// The disk of a host; for faults.
    #[must_use]
    pub fn disk(&self, host: Host) -> Option<&MemDisk> {
        self.hosts.get(&host).map(|state| &state.disk)
    }
}
