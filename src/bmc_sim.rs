//! `baton bmc-sim`: a farm of simulated BMCs with sockets, until Ctrl-C.

use crate::output;
use anyhow::{Context as _, bail};
use baton_bmc::sim::redfish::personality::{self, Personality};
use baton_bmc::sim::switch::SwitchLimits;
use baton_bmc::sim::{Account, Farm, FarmConfig, Initial, Layout, Timing};
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// What `baton bmc-sim` takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct BmcSimArgs {
    /// Machines that speak IPMI only.
    #[arg(long, value_name = "N", default_value_t = 30)]
    ipmi: u32,
    /// Machines that speak Redfish only.
    #[arg(long, value_name = "N", default_value_t = 30)]
    redfish: u32,
    /// Machines that speak both.
    #[arg(long, value_name = "N", default_value_t = 0)]
    both: u32,
    /// Give each BMC a port of this one address; without it, each has a loopback address of its own on one port, counting up
    /// from 127.1.0.1 (IPMI) and 127.2.0.1 (Redfish).
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// Port of every IPMI BMC; with --address, that of the first. Port 0 takes free ones.
    #[arg(long, value_name = "PORT", default_value_t = 6230)]
    ipmi_port: u16,
    /// Port of every Redfish BMC; with --address, that of the first. Port 0 takes free ones.
    #[arg(long, value_name = "PORT", default_value_t = 8443)]
    redfish_port: u16,
    /// Port of the control endpoint on 127.0.0.1: look at machines, pull plugs, set faults. Port 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 6390)]
    control_port: u16,
    /// Speak Redfish over plain HTTP.
    #[arg(long)]
    no_tls: bool,
    /// Write the certificate of the farm's authority here, for `redfish_verify_ca`.
    #[arg(long, value_name = "FILE", conflicts_with = "no_tls")]
    ca_file: Option<PathBuf>,
    /// User of every BMC.
    #[arg(long, value_name = "NAME", default_value = "admin")]
    username: String,
    /// Password of that user. It guards nothing.
    #[arg(long, value_name = "TEXT", default_value = "password")]
    password: String,
    /// Whose firmware to play, by the names of `bmc/vendors`; several take turns.
    #[arg(long, value_name = "NAME", value_parser = personality, default_value = "generic", value_delimiter = ',')]
    personality: Vec<&'static Personality>,
    /// Power state that machines start with.
    #[arg(long, value_enum, default_value_t = Power::Off)]
    power: Power,
    /// How long a machine takes to change its power, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    power_ms: u64,
    /// Put one switch in front of all BMCs that forwards so many packets a second and loses the rest.
    #[arg(long, value_name = "N")]
    switch_packets: Option<u32>,
    /// Packets that may wait in that switch.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        requires = "switch_packets"
    )]
    switch_queue: u32,
    /// Same seed, same session ids, losses and delays.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The power state that machines start with.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Power {
    /// All on.
    On,
    /// All off.
    Off,
    /// In turns.
    Alternate,
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn bmc_sim(args: BmcSimArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("cannot start the threads of the simulator")?;
    runtime.block_on(serve(args, crate::signals::stop()))
}

/// Serves until `stop` ends.
async fn serve(
    args: BmcSimArgs,
    stop: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let credentials = format!("user `{}`, password `{}`", args.username, args.password);
    let config = config(args)?;
    let farm = Farm::start(config)
        .await
        .context("the simulator does not start")?;
    output::print(&describe(&farm, &credentials));
    let stopped = stop.await;
    farm.stop().await;
    stopped
}

fn config(args: BmcSimArgs) -> anyhow::Result<FarmConfig> {
    let layout = |first: Ipv4Addr, port: u16| match args.address {
        Some(address) => Layout::Ports {
            address,
            first: port,
        },
        None => Layout::Addresses { first, port },
    };
    let (ipmi_layout, redfish_layout) = (
        layout(Ipv4Addr::new(127, 1, 0, 1), args.ipmi_port),
        layout(Ipv4Addr::new(127, 2, 0, 1), args.redfish_port),
    );
    if args
        .ipmi
        .saturating_add(args.redfish)
        .saturating_add(args.both)
        == 0
    {
        bail!("a farm without machines: give --ipmi, --redfish or --both a number above 0");
    }
    let delay = Duration::from_millis(args.power_ms);
    Ok(FarmConfig {
        ipmi: args.ipmi,
        redfish: args.redfish,
        both: args.both,
        ipmi_layout,
        redfish_layout,
        tls: !args.no_tls,
        ca_file: args.ca_file,
        control: Some(SocketAddr::new(
            Ipv4Addr::LOCALHOST.into(),
            args.control_port,
        )),
        accounts: vec![Account::administrator(&args.username, &args.password)],
        personalities: args.personality,
        timing: Timing::each(delay),
        initial: match args.power {
            Power::On => Initial::On,
            Power::Off => Initial::Off,
            Power::Alternate => Initial::Alternate,
        },
        switch: args.switch_packets.map(|packets_per_s| SwitchLimits {
            packets_per_s,
            queue: args.switch_queue,
        }),
        seed: args.seed,
        ..FarmConfig::default()
    })
}

/// The firmware of this name.
pub(crate) fn personality(name: &str) -> Result<&'static Personality, String> {
    personality::named(name).ok_or_else(|| {
        let known: Vec<_> = personality::ALL.iter().map(|one| one.name).collect();
        format!("there are {}", known.join(", "))
    })
}

/// A line for each thing that was started, and how to leave.
fn describe(farm: &Farm, credentials: &str) -> String {
    let machines: Vec<_> = farm.machines().collect();
    let mut lines = vec![format!(
        "{} simulated machines, {credentials}",
        machines.len()
    )];
    let mut ipmi = machines.iter().filter_map(|machine| machine.ipmi);
    if let Some(first) = ipmi.next() {
        lines.push(format!(
            "  IPMI     {first} to {}",
            ipmi.next_back().unwrap_or(first)
        ));
    }
    let mut redfish = machines
        .iter()
        .filter_map(|machine| machine.redfish.as_deref());
    if let Some(first) = redfish.next() {
        lines.push(format!(
            "  Redfish  {first} to {}",
            redfish.next_back().unwrap_or(first)
        ));
    }
    if let Some(control) = farm.control() {
        lines.push(format!("  control  http://{control}/"));
    }
    lines.push("Ctrl-C stops them.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        args: BmcSimArgs,
    }

    fn args(line: &str) -> Result<BmcSimArgs, clap::Error> {
        let words = std::iter::once("bmc-sim").chain(line.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.args)
    }

    #[tokio::test]
    async fn a_farm_on_free_ports_starts_tells_where_and_stops() {
        let args = args(
            "--ipmi 2 --redfish 2 --address 127.0.0.1 --ipmi-port 0 --redfish-port 0 --control-port 0",
        );
        let farm = Farm::start(config(args.expect("valid")).expect("machines"))
            .await
            .expect("free ports");
        let text = describe(&farm, "nobody");
        assert!(
            text.starts_with("4 simulated machines, nobody\n  IPMI     127.0.0.1:"),
            "{text}"
        );
        assert!(text.contains("  Redfish  https://127.0.0.1:"), "{text}");
        farm.stop().await;
    }

    #[test]
    fn wrong_options_are_refused_with_what_is_allowed() {
        let error = args("--personality dell")
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains("there are generic, "), "{error}");
        assert!(args("--ca-file ca.pem --no-tls").is_err());
        assert!(config(args("--ipmi 0 --redfish 0").expect("parses")).is_err());
    }
}
