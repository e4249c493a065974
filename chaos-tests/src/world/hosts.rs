//! What happens to hosts: their processes start, end and stop, their power and their disks go.

use super::net::Host;
use super::process::Process;
use super::{HONEST_SYNC_ONE_IN, World};
use crate::plant::Plant;
use baton_cluster::kv::mem::MemDisk;
use baton_model::port::cluster::{ClusterStatus as _, MemberReport, MemberRole};

impl World {
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

    /// The host gets a new, empty disk; its process has ended. Not while another one is being rebuilt: what only lost disks
    /// knew is lost.
    pub fn lose_disk(&mut self, host: Host) {
        if let Some(state) = self.hosts.get_mut(&host) {
            state.disk = MemDisk::default();
            if self.around.plant == Plant::AckBeforeSync {
                state.disk.sync_only_every(HONEST_SYNC_ONE_IN);
            }
            self.around.lost_disks.insert(host);
        }
    }

    /// Whether every host votes and knows everything, so that a disk may be lost without losing a majority's memory.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let conductors = self.conductors();
        let everybody = conductors.len() == self.hosts.len()
            && !self
                .hosts
                .values()
                .any(|state| state.paused_since.is_some());
        everybody
            && conductors.values().all(|conductor| {
                let report = conductor.cluster.report();
                let votes = |member: &&MemberReport| {
                    matches!(member.role, MemberRole::Leader | MemberRole::Follower)
                };
                report.members.len() == self.hosts.len()
                    && report.members.iter().filter(votes).count() == self.hosts.len()
                    && report.applied.0 >= self.around.oracle.last_index()
            })
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
