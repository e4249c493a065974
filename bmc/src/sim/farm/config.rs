//! What a farm looks like: how many BMCs of which kind, where they listen, how they behave.

use crate::sim::account::Account;
use crate::sim::core::Limits;
use crate::sim::machine::Timing;
use crate::sim::redfish::personality::{self, Personality};
use crate::sim::switch::SwitchLimits;
use baton_model::secret::Secret;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How BMCs are told apart on the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One address each, counting up from `first`, all on one port. Cheapest: a few wildcard sockets serve them all.
    /// Only addresses of 127.0.0.0/8 are allowed; port 0 lets the system choose one.
    Addresses {
        /// The first BMC's address.
        first: Ipv4Addr,
        /// Everybody's port.
        port: u16,
    },
    /// One port each, counting up from `first`, all on one address. One file descriptor each. Port 0 lets the system
    /// choose a port for each.
    Ports {
        /// Everybody's address.
        address: IpAddr,
        /// The first BMC's port.
        first: u16,
    },
    /// Redfish only: one listener for all, told apart by the path `/bmc/<machine>/redfish/v1/`.
    Paths {
        /// The listener.
        at: SocketAddr,
    },
}

/// The power state that machines start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Initial {
    /// All on.
    On,
    /// All off.
    #[default]
    Off,
    /// Even numbers on, odd ones off.
    Alternate,
}

/// A farm. Machines are numbered from 0: first those that speak IPMI only, then Redfish only, then both.
#[derive(Clone, Debug)]
pub struct FarmConfig {
    /// Machines that speak IPMI only.
    pub ipmi: u32,
    /// Machines that speak Redfish only.
    pub redfish: u32,
    /// Machines that speak both.
    pub both: u32,
    /// Where IPMI listens.
    pub ipmi_layout: Layout,
    /// Where Redfish listens.
    pub redfish_layout: Layout,
    /// Redfish over TLS.
    pub tls: bool,
    /// The authority's certificate is written here, for `redfish_verify_ca`.
    pub ca_file: Option<PathBuf>,
    /// Where the control endpoint listens, if it is wanted.
    pub control: Option<SocketAddr>,
    /// The users of every BMC.
    pub accounts: Vec<Account>,
    /// The IPMI key K_G of every BMC.
    pub kg: Option<Secret<Vec<u8>>>,
    /// Whose firmware is imitated; several take turns.
    pub personalities: Vec<&'static Personality>,
    /// Session limits of every BMC.
    pub limits: Limits,
    /// Delays of every machine.
    pub timing: Timing,
    /// First power state.
    pub initial: Initial,
    /// Journal entries kept per machine; one takes about 100 bytes.
    pub journal_room: u16,
    /// A shared bottleneck.
    pub switch: Option<SwitchLimits>,
    /// Same seed, same session ids, losses and delays.
    pub seed: u64,
}

impl Default for FarmConfig {
    /// No machine, user `admin` with password `password`, instant power, IPMI from 127.1.0.1 on port 6230 and Redfish
    /// over TLS from 127.2.0.1 on port 8443, no control endpoint.
    fn default() -> Self {
        Self {
            ipmi: 0,
            redfish: 0,
            both: 0,
            ipmi_layout: Layout::Addresses {
                first: Ipv4Addr::new(127, 1, 0, 1),
                port: 6230,
            },
            redfish_layout: Layout::Addresses {
                first: Ipv4Addr::new(127, 2, 0, 1),
                port: 8443,
            },
            tls: true,
            ca_file: None,
            control: None,
            accounts: vec![Account::administrator("admin", "password")],
            kg: None,
            personalities: vec![&personality::GENERIC],
            limits: Limits::default(),
            timing: Timing::INSTANT,
            initial: Initial::default(),
            journal_room: 64,
            switch: None,
            seed: 1,
        }
    }
}

impl FarmConfig {
    /// How many machines there are.
    #[must_use]
    pub const fn machines(&self) -> u32 {
        self.ipmi
            .saturating_add(self.redfish)
            .saturating_add(self.both)
    }

    /// How many of them speak IPMI.
    #[must_use]
    pub const fn ipmi_machines(&self) -> u32 {
        self.ipmi.saturating_add(self.both)
    }

    /// How many of them speak Redfish.
    #[must_use]
    pub const fn redfish_machines(&self) -> u32 {
        self.redfish.saturating_add(self.both)
    }
}
