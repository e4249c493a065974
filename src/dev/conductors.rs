//! The conductors of `baton dev`: their ports, their configuration files, their processes.

use crate::compute_sim;
use crate::output;
use anyhow::Context as _;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{Child, Command};

/// How long a conductor may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Ports between those of one conductor and the next; the first one has baton's default ports.
const STRIDE: u16 = 10;

/// Where free ports are looked for with `--api-port 0`: a thousand stretches below 32768, from where Linux hands out ports to
/// outgoing connections (`ip_local_port_range`).
const FREE_PORTS_FROM: u16 = 12_000;
/// See [`FREE_PORTS_FROM`]; two conductors' worth, so that stretches of a cluster overlap and none is missed.
const FREE_PORTS_STEP: u16 = 20;

/// What nodes may use: the defaults, and every fake interface beside them, so that a machine can go through states for which
/// it has no deploy agent.
const INTERFACES: &str = r#"enabled_hardware_types = ["fake-hardware", "ipmi", "redfish", "manual-management"]
enabled_bios_interfaces = ["no-bios", "redfish", "fake"]
enabled_boot_interfaces = ["ipxe", "pxe", "redfish-virtual-media", "fake"]
enabled_console_interfaces = ["no-console", "fake"]
enabled_deploy_interfaces = ["autodetect", "direct", "ramdisk", "bootc", "fake", "noop"]
enabled_firmware_interfaces = ["no-firmware", "redfish", "fake"]
enabled_inspect_interfaces = ["no-inspect", "redfish", "fake"]
enabled_management_interfaces = ["ipmitool", "redfish", "fake", "noop"]
enabled_power_interfaces = ["ipmitool", "redfish", "fake"]
enabled_raid_interfaces = ["agent", "no-raid", "redfish", "fake"]
enabled_rescue_interfaces = ["no-rescue", "fake"]
enabled_storage_interfaces = ["cinder", "noop", "fake"]
enabled_vendor_interfaces = ["ipmitool", "redfish", "no-vendor", "fake"]
"#;

/// Which port is whose, and what else the conductors have in common.
pub(super) struct Layout {
    base: u16,
    count: u8,
    /// Seconds between two power syncs of a machine.
    sync_interval: u32,
    /// The simulated BMCs stand beside the conductors and not on the simulator's usual ports, so that two clusters can run
    /// on one machine.
    beside: bool,
}

impl Layout {
    /// Ports from `api_port` on; for 0, the first stretch of free ones below those that the system hands out itself.
    pub(super) async fn new(api_port: u16, count: u8, sync_interval: u32) -> anyhow::Result<Self> {
        if api_port != 0 {
            return Ok(Self {
                base: api_port,
                count,
                sync_interval,
                beside: false,
            });
        }
        // Clusters that start at the same time begin to look at different places.
        let offset = u16::try_from(std::process::id() % 1000)?;
        for step in 0..1000 {
            let base = FREE_PORTS_FROM + (offset + step) % 1000 * FREE_PORTS_STEP;
            let layout = Self {
                base,
                count,
                sync_interval,
                beside: true,
            };
            if layout.is_free().await {
                return Ok(layout);
            }
        }
        anyhow::bail!("no free ports were found; name the first one with --api-port")
    }

    async fn is_free(&self) -> bool {
        let of_conductors = self.numbers().flat_map(|number| {
            [
                self.api_port(number),
                self.admin_port(number),
                self.peer_port(number),
            ]
        });
        let redfish = self.bmc_ports().map(|(_, redfish)| redfish);
        let services = [self.control_port(), self.compute_port()];
        for port in of_conductors.chain(services).chain(redfish) {
            if TcpListener::bind(("0.0.0.0", port)).await.is_err() {
                return false;
            }
        }
        match self.bmc_ports() {
            Some((ipmi, _)) => UdpSocket::bind(("0.0.0.0", ipmi)).await.is_ok(),
            None => true,
        }
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.count
    }

    const fn first_of(&self, number: u8) -> u16 {
        self.base.saturating_add(STRIDE * (number as u16 - 1))
    }

    pub(super) const fn api_port(&self, number: u8) -> u16 {
        self.first_of(number)
    }

    pub(super) const fn admin_port(&self, number: u8) -> u16 {
        self.first_of(number) + 1
    }

    const fn peer_port(&self, number: u8) -> u16 {
        self.first_of(number) + 2
    }

    pub(super) const fn control_port(&self) -> u16 {
        self.base + 5
    }

    /// The ports of the simulated BMCs, IPMI and Redfish, where they are not the usual ones.
    pub(super) fn bmc_ports(&self) -> Option<(u16, u16)> {
        self.beside.then_some((self.base + 6, self.base + 7))
    }

    pub(super) const fn compute_port(&self) -> u16 {
        self.base + 8
    }

    pub(super) fn describe(&self, number: u8) -> String {
        format!(
            "API http://127.0.0.1:{}  admin http://127.0.0.1:{}  peers 127.0.0.1:{}",
            self.api_port(number),
            self.admin_port(number),
            self.peer_port(number)
        )
    }

    fn config(&self, number: u8, data: &Path) -> String {
        let mut peers = String::new();
        for peer in self.numbers() {
            // Writing to a string cannot fail.
            let _infallible = write!(peers, "\"{peer}@127.0.0.1:{}\", ", self.peer_port(peer));
        }
        format!(
            "# Written by `baton dev`.\n\
             [DEFAULT]\nhost = \"conductor-{number}\"\n\
             {INTERFACES}\
             [conductor]\nsync_power_state_interval = {}\nautomated_clean = false\n\
             rack = \"rack-{number}\"\n\
             [cluster]\nconductor_id = {number}\ndata_dir = \"{}\"\nlisten = \"127.0.0.1:{}\"\npeers = [{peers}]\n\
             [api]\nport = {}\n\
             [admin]\nlisten = \"127.0.0.1:{}\"\n\
             [log]\nlevel = \"info\"\n\
             [notifier]\nread_back_after = 2\ncompute_user = \"nova\"\n{}",
            self.sync_interval,
            data.display(),
            self.peer_port(number),
            self.api_port(number),
            self.admin_port(number),
            compute_sim::section(&format!(
                "http://127.0.0.1:{}/identity",
                self.compute_port()
            )),
        )
    }
}

/// One conductor process.
pub(super) struct Conductor {
    number: u8,
    config: PathBuf,
    child: Child,
}

impl Conductor {
    pub(super) fn start(number: u8, layout: &Layout, data: &Path) -> anyhow::Result<Self> {
        let dir = data.join(format!("conductor-{number}"));
        std::fs::create_dir_all(&dir)?;
        let config = dir.join("baton.toml");
        std::fs::write(&config, layout.config(number, &dir.join("data")))
            .with_context(|| format!("could not write {}", config.display()))?;
        let log = std::fs::File::create(dir.join("baton.log"))?;
        let child = Command::new(std::env::current_exe()?)
            .arg("run")
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // Ctrl-C reaches this process only; it stops the conductors one after another.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .context("could not start a conductor")?;
        let conductor = Self {
            number,
            config,
            child,
        };
        output::print(&format!(
            "conductor {number}    process {}, log {}",
            conductor.child.id().unwrap_or_default(),
            dir.join("baton.log").display()
        ));
        Ok(conductor)
    }

    /// An error if the process has ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let log = self.config.with_file_name("baton.log");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let tail: Vec<&str> = text.lines().rev().take(5).collect();
            let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
            anyhow::bail!(
                "conductor {} ended while it started ({status}):\n{tail}",
                self.number
            );
        }
        Ok(())
    }

    pub(super) fn ask_to_stop(&mut self) {
        if let Some(pid) = self.child.id() {
            // The shell's `kill` saves a dependency for one system call.
            let asked = std::process::Command::new("kill")
                .arg("-TERM")
                .arg(pid.to_string())
                .status();
            if let Err(error) = asked {
                output::complain(&format!(
                    "baton: could not signal conductor {}: {error}",
                    self.number
                ));
            }
        }
    }

    pub(super) async fn wait(&mut self) {
        if tokio::time::timeout(STOP_LIMIT, self.child.wait())
            .await
            .is_err()
        {
            output::complain(&format!(
                "baton: conductor {} did not stop in time and is killed",
                self.number
            ));
            if let Err(error) = self.child.kill().await {
                output::complain(&format!(
                    "baton: conductor {} could not be killed: {error}",
                    self.number
                ));
            }
        }
    }
}

/// Tells of conductors that end. Never returns by itself.
pub(super) async fn watch(cluster: &mut [Conductor]) -> anyhow::Result<()> {
    /// How soon a death is told.
    const LOOK_EVERY: Duration = Duration::from_millis(200);
    let mut told = vec![false; cluster.len()];
    loop {
        for (conductor, told) in cluster.iter_mut().zip(&mut told) {
            if let Some(status) = conductor.child.try_wait()?
                && !std::mem::replace(told, true)
            {
                output::print(&format!(
                    "conductor {} ended ({status}); start it again with: {} run --config {}",
                    conductor.number,
                    std::env::current_exe()?.display(),
                    conductor.config.display()
                ));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
