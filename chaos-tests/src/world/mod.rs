//! The world: hosts with conductors, the network between them, machines, clients and a nemesis, all on one clock.
//!
//! Time goes on in ticks of a millisecond. In each tick the network and the farm deliver what is due, the nemesis and the
//! clients do what they have in mind, and then every running process lives through its millisecond, one after another on
//! this one thread. Nothing else moves, so a seed decides everything.

pub mod clock;
pub mod gateway;
pub mod net;
pub mod process;
pub mod stream;

use crate::farm::Farm;
use crate::nemesis::Nemesis;
use crate::oracle::Oracle;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::trace::Trace;
use crate::workload::{Ask, Workload};
use baton_cluster::kv::mem::MemDisk;
use baton_model::ids::NodeId;
use net::{Host, Net};
use process::{Conductor, Process, Surroundings};
use std::collections::BTreeMap;

/// Of a lying disk's syncs, one in so many is real.
const HONEST_SYNC_ONE_IN: u64 = 40;

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
            oracle: Oracle::new(trace.clone()),
            trace: trace.clone(),
            plant,
            hosts: hosts.keys().copied().collect(),
        };
        Self {
            now: 0,
            nemesis: Nemesis::new(chance.child("nemesis"), trace),
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
        let mut votes = BTreeMap::<Host, u32>::new();
        for conductor in self.conductors().values() {
            if let Some(leader) = conductor.cluster.leader() {
                *votes.entry(leader.0).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|(_, votes)| *votes);
        most.map(|(leader, _)| leader)
    }

    /// One millisecond of everything.
    pub fn tick(&mut self) {
        self.now += 1;
        self.around.trace.set_now(self.now);
        self.around.net.deliver(self.now);
        self.around.farm.deliver(self.now);
        Nemesis::step(self);
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

    // --- What happens to hosts ----------------------------------------------------------------------

    /// Starts the conductor of a host that has none.
    pub fn start(&mut self, host: Host) {
        let Some(state) = self.hosts.get_mut(&host) else {
            return;
        };
        if self.processes.contains_key(&host) {
            return;
        }
        state.boots += 1;
        state.paused_since = None;
        self.around.net.set_power(host, true);
        let chance = self
            .chance
            .child(&format!("host {host} boot {}", state.boots));
        self.around
            .trace
            .note(format_args!("conductor {host} starts"));
        let process = Process::start(&self.around, host, state.boots, state.disk.clone(), chance);
        self.processes.insert(host, process);
    }

    /// `kill -9`: the process is gone, its system lives on, and with it what it had written.
    pub fn kill(&mut self, host: Host) {
        if self.processes.contains_key(&host) {
            self.around.net.kill(host, true);
            drop(self.processes.remove(&host));
        }
    }

    /// The host loses its power: nobody is told, and of what was not synced only the `kept` oldest writes survive.
    pub fn cut_power(&mut self, host: Host, kept: usize) {
        if self.processes.contains_key(&host) {
            self.around.net.kill(host, false);
            drop(self.processes.remove(&host));
        }
        self.around.net.set_power(host, false);
        if let Some(state) = self.hosts.get(&host) {
            state.disk.cut_power(kept);
        }
    }

    /// Writes of a host that a power cut could lose.
    #[must_use]
    pub fn unsynced(&self, host: Host) -> usize {
        self.hosts
            .get(&host)
            .map_or(0, |state| state.disk.buffered())
    }

    /// `SIGSTOP`.
    pub fn pause(&mut self, host: Host) {
        if let Some(state) = self.hosts.get_mut(&host)
            && self.processes.contains_key(&host)
        {
            state.paused_since = state.paused_since.or(Some(self.now));
        }
    }

    /// `SIGCONT`.
    pub fn resume(&mut self, host: Host) {
        if let Some(state) = self.hosts.get_mut(&host)
            && let Some(since) = state.paused_since.take()
            && let Some(process) = self.processes.get_mut(&host)
        {
            process.skip(self.now - since);
        }
    }

    /// Whether a host's process is stopped.
    #[must_use]
    pub fn is_paused(&self, host: Host) -> bool {
        self.hosts
            .get(&host)
            .is_some_and(|state| state.paused_since.is_some())
    }
}
