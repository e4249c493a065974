//! Which machine is where: the arithmetic between machine numbers, addresses, ports and paths.

use super::FarmError;
use super::config::{FarmConfig, Layout};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

/// Most machines of one farm: what fits between 127.1.0.1 and the end of 127.0.0.0/8 is 16 million; a million
/// machines of about 1 KiB is what one process should be asked for.
pub(super) const MACHINES_MAX: u32 = 1_000_000;

/// Where the machines of one protocol are, once bound.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Nowhere,
    Addresses { first: Ipv4Addr, port: u16 },
    Ports { address: IpAddr, ports: Box<[u16]> },
    Paths { at: SocketAddr },
}

/// How many machines of each kind, and from that who is who.
#[derive(Clone, Copy, Debug)]
pub(super) struct Census {
    ipmi: u32,
    redfish: u32,
    both: u32,
}

impl Census {
    pub(super) fn of(config: &FarmConfig) -> Result<Self, FarmError> {
        let census = Self {
            ipmi: config.ipmi,
            redfish: config.redfish,
            both: config.both,
        };
        let total = u64::from(config.ipmi) + u64::from(config.redfish) + u64::from(config.both);
        if total > u64::from(MACHINES_MAX) {
            return Err(FarmError::Config(format!(
                "{total} machines are more than the {MACHINES_MAX} that one farm may hold; start several"
            )));
        }
        Ok(census)
    }

    pub(super) const fn total(self) -> u32 {
        self.ipmi + self.redfish + self.both
    }

    pub(super) const fn ipmi(self) -> u32 {
        self.ipmi + self.both
    }

    pub(super) const fn redfish(self) -> u32 {
        self.redfish + self.both
    }

    /// The machine that is the `ordinal`th one to speak IPMI.
    pub(super) const fn ipmi_machine(self, ordinal: u32) -> Option<u32> {
        if ordinal < self.ipmi {
            Some(ordinal)
        } else if ordinal < self.ipmi() {
            Some(ordinal + self.redfish)
        } else {
            None
        }
    }

    /// The machine that is the `ordinal`th one to speak Redfish.
    pub(super) const fn redfish_machine(self, ordinal: u32) -> Option<u32> {
        if ordinal < self.redfish() {
            Some(self.ipmi + ordinal)
        } else {
            None
        }
    }

    /// Whether this machine speaks Redfish, and as the how-manieth.
    pub(super) const fn redfish_ordinal(self, machine: u32) -> Option<u32> {
        if machine >= self.ipmi && machine < self.total() {
            Some(machine - self.ipmi)
        } else {
            None
        }
    }

    /// Whether this machine speaks IPMI, and as the how-manieth.
    pub(super) const fn ipmi_ordinal(self, machine: u32) -> Option<u32> {
        if machine < self.ipmi {
            Some(machine)
        } else if machine >= self.ipmi + self.redfish && machine < self.total() {
            Some(machine - self.redfish)
        } else {
            None
        }
    }
}

impl Place {
    /// The address of the machine with this ordinal, and its path prefix number if it has one.
    pub(super) fn of(&self, ordinal: u32) -> Option<SocketAddr> {
        match self {
            Self::Nowhere => None,
            Self::Addresses { first, port } => Some(SocketAddr::V4(SocketAddrV4::new(
                Ipv4Addr::from_bits(first.to_bits().checked_add(ordinal)?),
                *port,
            ))),
            Self::Ports { address, ports } => ports
                .get(usize::try_from(ordinal).ok()?)
                .map(|port| SocketAddr::new(*address, *port)),
            Self::Paths { at } => Some(*at),
        }
    }
}

/// The ordinal of an address in a row that starts with `first`.
pub(super) const fn ordinal_of(first: Ipv4Addr, address: Ipv4Addr) -> Option<u32> {
    address.to_bits().checked_sub(first.to_bits())
}

/// Refuses a layout in which `count` BMCs have no room.
pub(super) fn check(layout: Layout, count: u32, protocol: &'static str) -> Result<(), FarmError> {
    if count == 0 {
        return Ok(());
    }
    match layout {
        Layout::Addresses { first, .. } => {
            // The last address of 127.0.0.0/8 is a broadcast address.
            let last = u64::from(first.to_bits()) + u64::from(count) - 1;
            let end = u64::from(Ipv4Addr::new(127, 255, 255, 255).to_bits());
            if !first.is_loopback() || last >= end {
                return Err(FarmError::Config(format!(
                    "{protocol}: {count} addresses from {first} do not fit into 127.0.0.0/8; choose a lower first address"
                )));
            }
        }
        Layout::Ports { first, address } => {
            if first != 0 && u64::from(first) + u64::from(count) > 65_536 {
                return Err(FarmError::Config(format!(
                    "{protocol}: {count} ports from {first} end beyond 65535; give each BMC an address of its own instead"
                )));
            }
            if !address.is_loopback() {
                return Err(not_loopback(protocol, address));
            }
        }
        Layout::Paths { .. } if protocol == "ipmi" => {
            return Err(FarmError::Config(
                "ipmi: BMCs cannot be told apart by paths; use addresses or ports".into(),
            ));
        }
        Layout::Paths { at } => {
            if !at.ip().is_loopback() {
                return Err(not_loopback(protocol, at.ip()));
            }
        }
    }
    Ok(())
}

fn not_loopback(protocol: &str, address: IpAddr) -> FarmError {
    FarmError::Config(format!(
        "{protocol}: {address} is no loopback address; simulated BMCs with well-known passwords stay on this machine"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ordinals_agree() {
        let census = Census {
            ipmi: 3,
            redfish: 2,
            both: 4,
        };
        for ordinal in 0..census.ipmi() {
            let machine = census.ipmi_machine(ordinal).unwrap();
            assert_eq!(census.ipmi_ordinal(machine), Some(ordinal));
        }
        for ordinal in 0..census.redfish() {
            let machine = census.redfish_machine(ordinal).unwrap();
            assert_eq!(census.redfish_ordinal(machine), Some(ordinal));
        }
        assert_eq!(census.ipmi_ordinal(3), None);
        assert_eq!(census.redfish_ordinal(2), None);
        assert_eq!(census.ipmi_machine(7), None);
        assert_eq!(census.redfish_machine(6), None);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let addresses = Layout::Addresses {
            first: Ipv4Addr::new(127, 255, 255, 250),
            port: 0,
        };
        assert!(check(addresses, 5, "ipmi").is_ok());
        assert!(check(addresses, 6, "ipmi").is_err());
        let ports = Layout::Ports {
            address: Ipv4Addr::LOCALHOST.into(),
            first: 65_000,
        };
        assert!(check(ports, 536, "ipmi").is_ok());
        assert!(check(ports, 537, "ipmi").is_err());
        let everywhere = Layout::Ports {
            address: Ipv4Addr::UNSPECIFIED.into(),
            first: 0,
        };
        assert!(check(everywhere, 1, "redfish").is_err());
    }
}
