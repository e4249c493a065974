//! What operators want and order, from any conductor.

use super::World;
use super::net::Host;
use super::process::{Conductor, Process};
use baton_cluster::Cluster;
use baton_model::command::{Command, DrainOrder};
use baton_model::port::cluster::Members;

impl World {
    /// Operators order what is not as they want it, from any conductor, as often as it takes.
    pub(super) fn operate(&mut self) {
        let processes: Vec<(&Process, Conductor)> = self
            .processes
            .values()
            .filter_map(|process| Some((process, process.conductor()?)))
            .collect();
        let Some((process, conductor)) = self.operators.pick(&processes) else {
            return;
        };
        for host in self.hosts.keys() {
            let name: Box<str> = format!("conductor-{host}").into();
            let drained = self.to_be_drained.contains(host);
            if conductor.state.read().is_drained(&name) == drained {
                continue;
            }
            let cluster = conductor.cluster.clone();
            process.spawn(async move {
                let order = DrainOrder {
                    host: name,
                    drained,
                };
                // Without an answer it is ordered again, by whoever looks next.
                drop(cluster.propose(Command::DrainOrder(order)).await);
            });
        }
    }

    /// An operator tells some conductor to move the leadership to the one of this host.
    ///
    /// # Errors
    /// Why that makes no sense now.
    pub fn move_leader(&mut self, to: Host) -> Result<(), &'static str> {
        let to = self
            .conductors()
            .get(&to)
            .ok_or("it does not run")?
            .cluster
            .conductor();
        let (process, cluster) = self.somebody().ok_or("nobody runs")?;
        process.spawn(async move {
            // It may fail for many reasons; operators see and shrug.
            drop(cluster.transfer_leader(to).await);
        });
        Ok(())
    }

    /// An operator has the conductor of this host removed by another one.
    ///
    /// # Errors
    /// Why that makes no sense now.
    pub fn remove_member(&mut self, host: Host) -> Result<(), &'static str> {
        let gone = self
            .conductors()
            .get(&host)
            .ok_or("it does not run")?
            .cluster
            .conductor();
        let others = self.processes.iter().filter(|(other, _)| **other != host);
        let (process, conductor) = others
            .filter_map(|(_, process)| Some((process, process.conductor()?)))
            .next()
            .ok_or("nobody else runs")?;
        process.spawn(async move {
            let members: &dyn Members = &conductor.cluster;
            drop(members.remove(gone, true).await);
        });
        Ok(())
    }

    /// A conductor that operators may ask.
    fn somebody(&mut self) -> Option<(&Process, Cluster)> {
        let all: Vec<(&Process, Conductor)> = self
            .processes
            .values()
            .filter_map(|process| Some((process, process.conductor()?)))
            .collect();
        let (process, conductor) = self.operators.pick(&all)?;
        Some((process, conductor.cluster.clone()))
    }
}
