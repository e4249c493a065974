//! Which BMC a node means, and which addresses share a path to it.

use crate::driver::BmcTarget;
use crate::ids::NodeId;
use std::net::IpAddr;

/// Names one BMC: a hash of address and port, so that two nodes with the same BMC are served one after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BmcKey(pub u64);

/// Names the BMCs that share a switch or a gateway, as far as addresses tell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct BlockKey(pub u64);

/// How the BMC is spoken to, where that changes the pacing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// IPMI over LAN: `[ipmi]min_command_interval` holds.
    Ipmi,
    /// Redfish.
    Redfish,
    /// No BMC at all.
    Fake,
}

/// Length of the address prefix that makes a block, in bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockPrefix {
    /// For IPv4; a rack's management switch usually carries a /24.
    pub v4: u8,
    /// For IPv6; a segment is a /64 (RFC 4291 §2.5.4).
    pub v6: u8,
}

impl Default for BlockPrefix {
    fn default() -> Self {
        Self { v4: 24, v6: 64 }
    }
}

/// Names one machine behind a BMC: two nodes with the same key would fight over its power.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MachineKey(pub u64);

impl MachineKey {
    /// The machine that a target means; none where there is no machine.
    #[must_use]
    pub fn of(node: NodeId, target: &BmcTarget) -> Option<Self> {
        let BmcKey(bmc) = Endpoint::of(node, target, BlockPrefix::default()).bmc;
        match target {
            BmcTarget::Ipmi(_) => Some(Self(bmc)),
            BmcTarget::Redfish(redfish) => {
                // One service may stand for many machines, told apart by the path of the service or of the system.
                let service = fnv(bmc, redfish.root.trim_end_matches('/').as_bytes());
                let system = redfish.system_id.as_deref().unwrap_or_default();
                let system = system.trim_end_matches('/').as_bytes();
                Some(Self(fnv(service.rotate_left(1), system)))
            }
            BmcTarget::Fake => None,
        }
    }
}

/// Where a job goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Endpoint {
    /// The BMC.
    pub bmc: BmcKey,
    /// Its block.
    pub block: BlockKey,
    /// How it is spoken to.
    pub protocol: Protocol,
}

impl Endpoint {
    /// The endpoint of a node's BMC. A BMC that is named and not numbered is a block of its own: a name tells nothing
    /// about its path. Fake machines have no BMC, so each node is its own.
    #[must_use]
    pub fn of(node: NodeId, target: &BmcTarget, prefix: BlockPrefix) -> Self {
        match target {
            BmcTarget::Ipmi(ipmi) => {
                Self::at(Protocol::Ipmi, ipmi.address.as_bytes(), ipmi.port, prefix)
            }
            BmcTarget::Redfish(redfish) => {
                let (host, port) = split_origin(&redfish.origin);
                Self::at(Protocol::Redfish, host.as_bytes(), port, prefix)
            }
            BmcTarget::Fake => {
                let own = fnv(FNV_START, node.0.as_bytes());
                Self {
                    bmc: BmcKey(own),
                    block: BlockKey(own),
                    protocol: Protocol::Fake,
                }
            }
        }
    }

    fn at(protocol: Protocol, host: &[u8], port: u16, prefix: BlockPrefix) -> Self {
        let address = std::str::from_utf8(host)
            .ok()
            .and_then(|host| host.parse::<IpAddr>().ok())
            // `::ffff:10.0.0.1` is 10.0.0.1 (RFC 4291 §2.5.5.2), and its BMC the same one.
            .map(|address| address.to_canonical());
        let (name, block) = match address {
            Some(IpAddr::V4(v4)) => {
                let kept = keep(u128::from(u32::from(v4)), 32, prefix.v4);
                (
                    fnv(FNV_START, &v4.octets()),
                    fnv(FNV_START, &kept.to_be_bytes()),
                )
            }
            Some(IpAddr::V6(v6)) => {
                let kept = keep(u128::from(v6), 128, prefix.v6);
                (
                    fnv(FNV_START, &v6.octets()),
                    fnv(FNV_START, &kept.to_be_bytes()),
                )
            }
            None => {
                let name = fnv(FNV_START, &host.to_ascii_lowercase());
                (name, name)
            }
        };
        Self {
            bmc: BmcKey(fnv(name, &port.to_be_bytes())),
            block: BlockKey(block),
            protocol,
        }
    }
}

/// The first `prefix` of `width` bits.
const fn keep(bits: u128, width: u32, prefix: u8) -> u128 {
    let drop = width.saturating_sub(prefix as u32);
    if drop >= 128 { 0 } else { bits >> drop << drop }
}

/// Host and port of `http[s]://host[:port]`; IPv6 literals lose their brackets.
fn split_origin(origin: &str) -> (&str, u16) {
    let (default_port, rest) = match origin.split_once("://") {
        Some(("http", rest)) => (80, rest),
        Some((_, rest)) => (443, rest),
        None => (443, origin),
    };
    if let Some((host, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let port = after.strip_prefix(':').and_then(|port| port.parse().ok());
        return (host, port.unwrap_or(default_port));
    }
    match rest.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().unwrap_or(default_port)),
        None => (rest, default_port),
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923): stable across processes and versions, and good enough for keys that
/// nobody attacks: whoever may set `driver_info` may point two nodes at one BMC anyway. 100,000 BMCs collide with a
/// chance of 3 in 10^10; a collision only serialises two BMCs.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::ipmi::IPMI_PORT;
    use uuid::Uuid;

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint::at(
            Protocol::Ipmi,
            host.as_bytes(),
            port,
            BlockPrefix::default(),
        )
    }

    #[test]
    fn one_bmc_written_in_two_ways_is_one_bmc() {
        assert_eq!(
            at("fd00::1", IPMI_PORT).bmc,
            at("fd00:0:0::1", IPMI_PORT).bmc
        );
        assert_eq!(at("::ffff:10.0.0.1", 623), at("10.0.0.1", 623));
        assert_eq!(at("BMC7.example", 443).bmc, at("bmc7.example", 443).bmc);
        assert_ne!(at("10.0.0.1", 623).bmc, at("10.0.0.1", 624).bmc);
        assert_ne!(at("10.0.0.1", 623).bmc, at("10.0.0.2", 623).bmc);
    }

    #[test]
    fn a_block_is_a_prefix() {
        assert_eq!(at("10.0.0.1", 623).block, at("10.0.0.254", 623).block);
        assert_ne!(at("10.0.0.1", 623).block, at("10.0.1.1", 623).block);
        assert_eq!(at("fd00::1", 623).block, at("fd00::ffff:1", 623).block);
        assert_ne!(at("fd00:0:0:1::1", 623).block, at("fd00::1", 623).block);
        assert_ne!(at("a.example", 623).block, at("b.example", 623).block);
        let all = BlockPrefix { v4: 0, v6: 0 };
        let one = Endpoint::at(Protocol::Ipmi, b"10.0.0.1", 623, all).block;
        assert_eq!(
            one,
            Endpoint::at(Protocol::Ipmi, b"192.168.0.1", 623, all).block
        );
    }

    #[test]
    fn origins_are_split() {
        assert_eq!(split_origin("https://10.0.0.1"), ("10.0.0.1", 443));
        assert_eq!(split_origin("http://bmc:8000"), ("bmc", 8000));
        assert_eq!(split_origin("https://[fd00::1]:8443"), ("fd00::1", 8443));
        assert_eq!(split_origin("https://[fd00::1]"), ("fd00::1", 443));
    }

    #[test]
    fn fake_machines_do_not_wait_for_each_other() {
        let node = |n| NodeId(Uuid::from_u128(n));
        let of = |n| Endpoint::of(node(n), &BmcTarget::Fake, BlockPrefix::default());
        assert_ne!(of(1).bmc, of(2).bmc);
        assert_ne!(of(1).block, of(2).block);
    }
}
