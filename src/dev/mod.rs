//! `baton dev`: a whole cluster with simulated machines on this machine, to try things out.
//!
//! The conductors are processes of their own, so that they can be killed; the simulated BMCs and the simulated compute
//! service live in this one. A conductor that dies stays dead until the user starts it again with the command that is
//! printed.

mod conductors;
mod enroll;

use crate::cli::DevArgs;
use crate::output;
use crate::signals::StopSignal;
use anyhow::Context as _;
use baton_bmc::sim::Layout::Addresses;
use baton_bmc::sim::{Farm, FarmConfig, Timing};
use baton_compute::sim::Simulator;
use conductors::{Conductor, Layout};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the simulated BMCs' certificate authority is written, in the data directory.
const BMC_CA: &str = "bmc-ca.pem";

/// Runs the cluster until Ctrl-C.
pub(crate) fn dev(args: DevArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("could not start the runtime")?;
    runtime.block_on(serve(args))
}

async fn serve(args: DevArgs) -> anyhow::Result<()> {
    let mut stop = StopSignal::listen()?;
    let data = DataDir::open(args.data_dir)?;
    let layout = Layout::new(args.api_port, args.conductors, args.sync_interval).await?;
    let redfish = args.redfish.unwrap_or(args.nodes / 2).min(args.nodes);
    let delay = Duration::from_millis(args.power_delay.into());
    let machines = FarmConfig {
        ipmi: args.nodes - redfish,
        redfish,
        timing: Timing::each(delay),
        personalities: args.personality,
        ..FarmConfig::default()
    };
    let farm = start_farm(machines, data.path(), &layout).await?;
    let compute = start_compute(&layout).await?;
    let ca = data.path().join(BMC_CA);
    let mut cluster = Vec::new();
    for number in 1..=args.conductors {
        cluster.push(Conductor::start(number, &layout, data.path())?);
    }
    let outcome = tokio::select! {
        biased;
        () = stop.received() => Ok(()),
        outcome = bring_up(&layout, &farm, &ca, &mut cluster) => outcome,
    };
    for conductor in &mut cluster {
        conductor.ask_to_stop();
    }
    for conductor in &mut cluster {
        conductor.wait().await;
    }
    drop(compute);
    farm.stop().await;
    output::print("everything has stopped");
    outcome
}

async fn bring_up(
    layout: &Layout,
    farm: &Farm,
    ca: &Path,
    cluster: &mut [Conductor],
) -> anyhow::Result<()> {
    enroll::wait_until_ready(layout, cluster).await?;
    for number in layout.numbers() {
        output::print(&format!(
            "conductor {number}    {}",
            layout.describe(number)
        ));
    }
    let enrolled = enroll::enroll(layout, farm, ca).await?;
    output::print(&format!(
        "machines       {enrolled} enrolled, their power states read"
    ));
    output::print(&format!(
        "dashboard      http://127.0.0.1:{}/",
        layout.admin_port(1)
    ));
    output::print(&format!(
        "API            http://127.0.0.1:{}/",
        layout.api_port(1)
    ));
    output::print(&format!(
        "try            OS_AUTH_TYPE=none OS_ENDPOINT=http://127.0.0.1:{} baremetal node list",
        layout.api_port(1)
    ));
    output::print("stop           Ctrl-C");
    conductors::watch(cluster).await
}

async fn start_farm(mut config: FarmConfig, data: &Path, layout: &Layout) -> anyhow::Result<Farm> {
    let (ipmi, redfish) = (config.ipmi, config.redfish);
    config.ca_file = Some(data.join(BMC_CA));
    config.control = Some(([127, 0, 0, 1], layout.control_port()).into());
    if let Some((of_ipmi, of_redfish)) = layout.bmc_ports() {
        for (layout, own) in [
            (&mut config.ipmi_layout, of_ipmi),
            (&mut config.redfish_layout, of_redfish),
        ] {
            if let Addresses { port, .. } = layout {
                *port = own;
            }
        }
    }
    let farm = Farm::start(config)
        .await
        .context("could not start the simulated BMCs")?;
    output::print(&format!(
        "simulated BMCs {ipmi} IPMI, {redfish} Redfish; control http://127.0.0.1:{}/",
        layout.control_port()
    ));
    Ok(farm)
}

async fn start_compute(layout: &Layout) -> anyhow::Result<Simulator> {
    let address = ([127, 0, 0, 1], layout.compute_port()).into();
    let simulator = Simulator::start(address)
        .await
        .context("could not start the simulated compute service")?;
    output::print(&format!(
        "compute        simulated; it hears of power changes of nodes with an instance; http://{address}/control/events"
    ));
    Ok(simulator)
}

/// Where the conductors keep their data.
enum DataDir {
    Kept(PathBuf),
    Temporary(PathBuf),
}

impl DataDir {
    fn open(given: Option<PathBuf>) -> anyhow::Result<Self> {
        let dir = match given {
            Some(dir) => Self::Kept(dir),
            None => {
                let name = format!("baton-dev-{}", std::process::id());
                Self::Temporary(std::env::temp_dir().join(name))
            }
        };
        std::fs::create_dir_all(dir.path())
            .with_context(|| format!("could not make the directory {}", dir.path().display()))?;
        output::print(&format!("data           {}", dir.path().display()));
        Ok(dir)
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) | Self::Temporary(path) => path,
        }
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Self::Temporary(path) = self
            && let Err(error) = std::fs::remove_dir_all(&*path)
        {
            output::complain(&format!(
                "baton: could not remove {}: {error}",
                path.display()
            ));
        }
    }
}
