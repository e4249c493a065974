//! What the IPMI and the Redfish face of one simulated BMC share: the machine, its users, faults, limits, counters.

use super::account::{Account, Guard};
use super::draw::Draw;
use super::fault::{FaultKind, Faults};
use super::journal::{Origin, Outcome};
use super::machine::Machine;
use super::redfish::personality::Personality;
use crate::vendor::Vendor;
use baton_model::env::Mono;
use baton_model::port::bmc::{PowerAction, PowerReading};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// How many sessions a BMC has and how long an idle one lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// IPMI sessions, those being opened included.
    pub ipmi_sessions_max: u16,
    /// An IPMI session without traffic ends after this long (IPMI 2.0 §6.12.15: 60 s, ±3 s).
    pub ipmi_idle: Duration,
    /// Redfish sessions.
    pub redfish_sessions_max: u16,
    /// A Redfish session without traffic ends after this long.
    pub redfish_idle: Duration,
}

impl Default for Limits {
    /// 16 IPMI sessions of 60 s (freeipmi and OpenBMC allow about as many), 16 Redfish sessions of 30 min.
    fn default() -> Self {
        Self {
            ipmi_sessions_max: 16,
            ipmi_idle: Duration::from_secs(60),
            redfish_sessions_max: 16,
            redfish_idle: Duration::from_secs(1800),
        }
    }
}

impl Limits {
    /// These limits, but for what is known of the vendor whose BMC is played: no more sessions than it holds, and none
    /// idle for longer than it allows.
    #[must_use]
    pub fn played_by(mut self, personality: &Personality) -> Self {
        if let Some(vendor) = Vendor::named(personality.name) {
            let most = vendor.sessions_max.unwrap_or(u16::MAX);
            self.redfish_sessions_max = self.redfish_sessions_max.min(most);
            let idle = vendor.sessions_idle.unwrap_or(Duration::MAX);
            self.redfish_idle = self.redfish_idle.min(idle);
        }
        self
    }
}

/// What a BMC saw and did, since the start or the last reset of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// IPMI datagrams that arrived.
    pub datagrams: u64,
    /// IPMI datagrams sent back.
    pub answers: u64,
    /// IPMI datagrams that made no sense, were replayed, or belonged to no session.
    pub strays: u64,
    /// HTTP requests that arrived.
    pub requests: u64,
    /// Connections accepted.
    pub connections: u64,
    /// Full TLS handshakes.
    pub handshakes_full: u64,
    /// Resumed TLS handshakes.
    pub handshakes_resumed: u64,
    /// Power state reads that were answered.
    pub power_reads: u64,
    /// Power commands that arrived.
    pub power_commands: u64,
    /// Restarts of the BMC itself.
    pub bmc_restarts: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins refused for their name or password.
    pub logins_refused: u64,
    /// Logins refused because the door was locked.
    pub logins_locked: u64,
    /// Sessions closed by their owner.
    pub sessions_closed: u64,
    /// Sessions ended because they were idle.
    pub sessions_expired: u64,
    /// Sessions refused because there was no room.
    pub sessions_refused: u64,
    /// Questions and answers that an injected fault or the switch swallowed.
    pub swallowed: u64,
}

impl Counters {
    /// Adds another BMC's counters, for totals.
    pub const fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.answers += other.answers;
        self.strays += other.strays;
        self.requests += other.requests;
        self.connections += other.connections;
        self.handshakes_full += other.handshakes_full;
        self.handshakes_resumed += other.handshakes_resumed;
        self.power_reads += other.power_reads;
        self.power_commands += other.power_commands;
        self.bmc_restarts += other.bmc_restarts;
        self.logins += other.logins;
        self.logins_refused += other.logins_refused;
        self.logins_locked += other.logins_locked;
        self.sessions_closed += other.sessions_closed;
        self.sessions_expired += other.sessions_expired;
        self.sessions_refused += other.sessions_refused;
        self.swallowed += other.swallowed;
    }
}

/// When power reads were answered and power commands taken, since the start or the last reset of the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contacts {
    /// The first one.
    pub first: Option<Mono>,
    /// The newest one.
    pub last: Option<Mono>,
}

impl Contacts {
    fn note(&mut self, now: Mono) {
        self.first.get_or_insert(now);
        self.last = Some(now);
    }
}

/// The shared part of a BMC.
#[derive(Clone, Debug)]
pub struct Core {
    /// The number of the machine in its farm, from 0.
    pub number: u32,
    /// The machine.
    pub machine: Machine,
    /// Who may log in.
    pub accounts: Arc<[Account]>,
    /// The BMC key K_G of IPMI, if this BMC has one.
    pub kg: Option<Arc<[u8]>>,
    /// Counts bad logins.
    pub guard: Guard,
    /// Whose firmware this BMC imitates.
    pub personality: &'static Personality,
    /// What is wrong with it.
    pub faults: Faults,
    /// Session limits.
    pub limits: Limits,
    /// What it saw.
    pub counters: Counters,
    /// When it was spoken to.
    pub contacts: Contacts,
    /// Its chance.
    pub draw: Draw,
}

impl Core {
    /// What the BMC reports, lies included.
    pub fn reported(&mut self, now: Mono) -> PowerReading {
        self.counters.power_reads += 1;
        self.contacts.note(now);
        match self.faults.claim(now) {
            Some(claim) => claim,
            None => self.machine.power(now),
        }
    }

    /// Takes a power command to the machine, unless the BMC only pretends.
    pub fn command(&mut self, now: Mono, action: PowerAction, origin: Origin) -> Outcome {
        self.counters.power_commands += 1;
        self.contacts.note(now);
        if self.faults.has(FaultKind::IgnoresCommands) {
            self.machine.ignored(now, action, origin);
            return Outcome::Ignored;
        }
        self.machine.command(now, action, origin)
    }

    /// A login is about to be checked; false if the door is locked.
    pub fn admits(&mut self, now: Mono) -> bool {
        let admitted = self.guard.admits(now, self.faults.lockout());
        if !admitted {
            self.counters.logins_locked += 1;
        }
        admitted
    }

    /// A login was refused.
    pub fn bad_login(&mut self, now: Mono) {
        self.counters.logins_refused += 1;
        self.guard.bad(now, self.faults.lockout());
    }

    /// A login succeeded.
    pub const fn good_login(&mut self) {
        self.counters.logins += 1;
        self.guard.good();
    }

    /// The account of this name.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| &*account.name == name)
    }

    /// The machine's globally unique id: the same bytes over IPMI and Redfish.
    #[must_use]
    pub fn guid(&self) -> [u8; 16] {
        let mut guid = *b"baton-\x40sim\x80\0\0\0\0\0"; // version nibble 4, variant nibble 8
        let (_, tail) = guid.split_at_mut(12);
        tail.copy_from_slice(&self.number.to_be_bytes());
        guid
    }
}
