//! Partitions of a cluster with certificates, each conductor in a network namespace of its own.

use crate::rack::{Conductor, Place, Rack};
use crate::support::{BATON, eventually};
use std::path::Path;
use std::process::Command;

/// Three namespaces on one bridge. The test stands on the bridge too and is never cut off.
struct Network {
    name: String,
    subnet: u32,
}

fn run(command: &str) -> Result<(), String> {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().expect("a program"))
        .args(words)
        .output()
        .map_err(|error| format!("`{command}`: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "`{command}`: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    ))
}

impl Network {
    fn new() -> Result<Self, String> {
        let subnet = std::process::id() % 250;
        let network = Self {
            name: format!("bt{subnet}"),
            subnet,
        };
        let Self { name, .. } = &network;
        run("nft --version")?;
        run(&format!("ip link add {name} type bridge"))?;
        run(&format!("ip address add {}/24 dev {name}", network.ip(254)))?;
        run(&format!("ip link set {name} up"))?;
        for n in 1..=3 {
            let space = network.space(n);
            run(&format!("ip netns add {space}"))?;
            run(&format!(
                "ip link add {name}v{n} type veth peer name eth0 netns {space}"
            ))?;
            run(&format!("ip link set {name}v{n} master {name} up"))?;
            run(&format!(
                "ip -n {space} address add {}/24 dev eth0",
                network.ip(n)
            ))?;
            run(&format!("ip -n {space} link set eth0 up"))?;
            run(&format!("ip -n {space} link set lo up"))?;
            run(&format!("ip netns exec {space} nft add table inet cut"))?;
            run(&format!(
                "ip netns exec {space} nft add chain inet cut drops {{ type filter hook input priority 0 ; }}"
            ))?;
        }
        Ok(network)
    }

    fn space(&self, n: u32) -> String {
        format!("{}n{n}", self.name)
    }

    fn ip(&self, n: u32) -> String {
        format!("10.213.{}.{n}", self.subnet)
    }

    fn place(&self, n: u32) -> Place {
        Place {
            ip: self.ip(n).parse().expect("an address"),
            port: 6385,
            namespace: Some(self.space(n)),
        }
    }

    /// Nothing from `from` reaches `to` any more.
    fn cut(&self, from: usize, to: usize) {
        let space = self.space(u32::try_from(to).expect("small"));
        let from = self.ip(u32::try_from(from).expect("small"));
        run(&format!(
            "ip netns exec {space} nft add rule inet cut drops ip saddr {from} drop"
        ))
        .expect("cut");
    }

    fn heal(&self) {
        for n in 1..=3 {
            run(&format!(
                "ip netns exec {} nft flush chain inet cut drops",
                self.space(n)
            ))
            .expect("healed");
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for n in 1..=3 {
            drop(run(&format!("ip netns del {}", self.space(n))));
        }
        drop(run(&format!("ip link del {}", self.name)));
    }
}

fn certificates(dir: &Path) {
    let made = Command::new(BATON)
        .args(["cluster", "certs", "c1", "c2", "c3", "--out"])
        .arg(dir)
        .status()
        .expect("baton runs");
    assert!(made.success());
}

#[test]
fn a_cluster_goes_on_where_the_majority_is_and_heals() {
    let network = match Network::new() {
        Ok(network) => network,
        Err(reason) => {
            eprintln!("SKIPPED: partitions need network namespaces and nftables: {reason}");
            return;
        }
    };
    let dir = tempfile::tempdir().expect("a directory");
    let tls = dir.path().join("tls");
    certificates(&tls);
    let places: Vec<Place> = (1..=3).map(|n| network.place(n)).collect();
    let mut rack = Rack::found(dir.path(), &places, Some(&tls));
    rack.start_all();
    rack.write(1);

    // 1|2: the leader alone on its side.
    let leader = rack.leader();
    let others = [leader % 3 + 1, (leader + 1) % 3 + 1];
    for other in others {
        network.cut(leader, other);
        network.cut(other, leader);
    }
    for other in others {
        rack.write(other);
    }
    assert!(
        !rack.at(leader).enroll("lonely"),
        "a minority acknowledged a write"
    );
    let alive = || (!rack.at(others[0]).alive()?.contains(&rack.at(leader).host)).then_some(());
    eventually("the majority to take the lonely one for dead", alive);
    network.heal();
    rack.settle();
    rack.write(leader);

    // One way: the leader hears nobody, and everybody hears it.
    let leader = rack.leader();
    let others = [leader % 3 + 1, (leader + 1) % 3 + 1];
    for other in others {
        network.cut(other, leader);
    }
    for other in others {
        rack.write(other);
    }
    network.heal();
    rack.settle();
    rack.write(leader);

    // A bridge: two conductors that reach the third and not each other; one of them leads.
    let leader = rack.leader();
    let (bridge, far) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    network.cut(leader, far);
    network.cut(far, leader);
    rack.write(bridge);
    rack.write(leader);
    network.heal();
    rack.settle();
    rack.write(far);

    // Whoever has no certificate of the cluster is not heard.
    let mut stranger = Conductor::new(
        "c4",
        Place {
            ip: network.ip(254).parse().expect("an address"),
            ..Place::loopback()
        },
        &dir.path().join("c4"),
        "",
    );
    let foreign = dir.path().join("foreign");
    let made = Command::new(BATON)
        .args(["cluster", "certs", "c4", "--out"])
        .arg(&foreign)
        .status();
    assert!(made.expect("baton runs").success());
    stranger.configure(&crate::rack::tls_options(&foreign, "c4"));
    let refused = stranger.cluster_error(&["join", "--via", &rack.at(1).place.peer()]);
    assert!(refused.contains("certificate"), "{refused}");
    let said = stranger.start_and_fail();
    assert!(said.contains("member of no cluster"), "{said}");
    stranger.configure("");
    let open = stranger.start_and_fail();
    assert!(open.contains("baton cluster certs"), "{open}");
    rack.stop_all();
}
