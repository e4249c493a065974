//! The state that sockets, control endpoint and handle of a farm share: the BMCs, where they are, the clock, the switch.

use super::place::{Census, Place};
use crate::sim::bmc::Bmc;
use crate::sim::core::Counters;
use crate::sim::switch::{Passage, Switch, SwitchLimits};
use baton_model::env::Mono;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Where to find a machine's BMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineInfo {
    /// Its number.
    pub number: u32,
    /// Its name, such as `sim-00007`.
    pub name: String,
    /// Whose firmware it imitates.
    pub personality: &'static str,
    /// Address and port of its IPMI, if it speaks it.
    pub ipmi: Option<SocketAddr>,
    /// What to use as `redfish_address`, if it speaks Redfish.
    pub redfish: Option<String>,
    /// What to use as `redfish_system_id`.
    pub redfish_system_id: Option<String>,
}

/// The state that sockets, control endpoint and handle share.
pub(crate) struct Shared {
    pub(super) bmcs: Box<[Mutex<Bmc>]>,
    pub(super) census: Census,
    pub(super) ipmi: Place,
    pub(super) redfish: Place,
    pub(super) tls: bool,
    pub(super) ca_pem: Option<String>,
    pub(super) started: Instant,
    pub(crate) seed: u64,
    /// Spares the lock below on the fast path.
    pub(super) switched: AtomicBool,
    pub(super) switch: Mutex<Option<Switch>>,
}

impl Shared {
    pub(crate) fn now(&self) -> Mono {
        Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// The BMC of a machine.
    pub(crate) fn bmc(&self, machine: u32) -> Option<MutexGuard<'_, Bmc>> {
        let slot = self.bmcs.get(usize::try_from(machine).ok()?)?;
        Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) const fn total(&self) -> u32 {
        self.census.total()
    }

    pub(crate) fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    pub(crate) fn speaks(&self, machine: u32) -> (bool, bool) {
        (
            self.census.ipmi_ordinal(machine).is_some(),
            self.census.redfish_ordinal(machine).is_some(),
        )
    }

    pub(crate) fn info(&self, number: u32) -> Option<MachineInfo> {
        let personality = self.bmc(number)?.core.personality;
        let ipmi = self
            .census
            .ipmi_ordinal(number)
            .and_then(|ordinal| self.ipmi.of(ordinal));
        let redfish = self.census.redfish_ordinal(number).and_then(|ordinal| {
            let at = self.redfish.of(ordinal)?;
            let scheme = if self.tls { "https" } else { "http" };
            let prefix = match &self.redfish {
                Place::Paths { .. } => format!("/bmc/{number}"),
                Place::Nowhere | Place::Addresses { .. } | Place::Ports { .. } => String::new(),
            };
            Some((format!("{scheme}://{at}"), prefix))
        });
        let (redfish, redfish_system_id) = match redfish {
            Some((origin, prefix)) => {
                let id = format!("{prefix}/redfish/v1/Systems/{}", personality.system);
                let address = if prefix.is_empty() {
                    origin
                } else {
                    format!("{origin}{prefix}/redfish/v1")
                };
                (Some(address), Some(id))
            }
            None => (None, None),
        };
        Some(MachineInfo {
            number,
            name: format!("sim-{number:05}"),
            personality: personality.name,
            ipmi,
            redfish,
            redfish_system_id,
        })
    }

    /// The sum of what all BMCs saw, with the edges and commands of their journals.
    pub(crate) fn totals(&self) -> (Counters, u64, u64) {
        let now = self.now();
        let mut sum = Counters::default();
        let (mut edges, mut commands) = (0, 0);
        for machine in 0..self.total() {
            if let Some(mut bmc) = self.bmc(machine) {
                sum.add(&bmc.core.counters);
                let journal = bmc.core.machine.journal(now);
                edges += journal.edges();
                commands += journal.commands();
            }
        }
        (sum, edges, commands)
    }

    pub(crate) fn set_switch(&self, limits: Option<SwitchLimits>) {
        let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        *switch = limits.map(Switch::new);
        self.switched.store(switch.is_some(), Ordering::Release);
    }

    /// The switch's limits, what it forwarded and what it lost.
    pub(crate) fn switch(&self) -> Option<(SwitchLimits, u64, u64)> {
        let switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        switch.as_ref().map(|s| (s.limits(), s.passed(), s.lost()))
    }

    /// Passes the question and its answer through the switch; `None` if one of them was lost.
    pub(super) fn pass_switch(&self) -> Option<Duration> {
        if !self.switched.load(Ordering::Acquire) {
            return Some(Duration::ZERO);
        }
        let mut switch = self.switch.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(switch) = switch.as_mut() else {
            return Some(Duration::ZERO);
        };
        let now_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        match (switch.pass(now_us), switch.pass(now_us)) {
            (Passage::After(_), Passage::After(us)) => Some(Duration::from_micros(us)),
            (Passage::Lost, _) | (_, Passage::Lost) => None,
        }
    }
}
