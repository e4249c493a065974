//! The farm: simulated BMCs with sockets. Owns the listeners, the clock and the tasks; decides nothing about IPMI,
//! Redfish or power. All state of a BMC is behind one short lock per BMC that is never held across an await.

pub mod config;
mod http;
mod place;
mod shared;
mod tls;
mod udp;

use super::bmc::{Blueprint, Bmc};
use super::control;
use super::core::Counters;
use super::fault::{Fault, FaultError};
use super::switch::SwitchLimits;
use baton_model::env::Mono;
use baton_model::port::bmc::PowerReading;
use config::{FarmConfig, Initial};
use place::Census;
pub use shared::MachineInfo;
pub(crate) use shared::Shared;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Why a farm does not start.
#[derive(Debug, thiserror::Error)]
pub enum FarmError {
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// A socket could not be had.
    #[error("cannot listen on {at} for {what}")]
    Bind {
        /// For what.
        what: &'static str,
        /// Where.
        at: SocketAddr,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The limit of open files is too low for one socket each.
    #[error(
        "cannot open socket number {opened} of {wanted} for {what}: the limit of open files is reached; raise it \
         (`ulimit -n {}`) or give each BMC an address instead of a port, which needs few sockets",
        u64::from(*wanted) * 2 + 1000
    )]
    TooManyFiles {
        /// For what.
        what: &'static str,
        /// How many were opened.
        opened: u32,
        /// How many are needed.
        wanted: u32,
    },
    /// The authority's certificate could not be written.
    #[error("cannot write the CA certificate to {}", path.display())]
    CaFile {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A certificate could not be made.
    #[error("cannot make a certificate for the simulated BMCs: {0}")]
    Certificate(String),
}

/// `EMFILE` and `ENFILE` of Linux: this process, or the system, has too many open files.
const TOO_MANY_FILES: [i32; 2] = [24, 23];

impl FarmError {
    fn bind(
        what: &'static str,
        at: SocketAddr,
        opened: u32,
        wanted: u32,
        source: io::Error,
    ) -> Self {
        if source
            .raw_os_error()
            .is_some_and(|code| TOO_MANY_FILES.contains(&code))
        {
            Self::TooManyFiles {
                what,
                opened,
                wanted,
            }
        } else {
            Self::Bind { what, at, source }
        }
    }
}

/// A running farm. Dropping it stops it without waiting.
pub struct Farm {
    shared: Arc<Shared>,
    control: Option<SocketAddr>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Farm {
    /// Binds every socket and starts to serve.
    ///
    /// # Errors
    /// The configuration makes no sense, a socket cannot be had, or the CA file cannot be written.
    pub async fn start(config: FarmConfig) -> Result<Self, FarmError> {
        let census = Census::of(&config)?;
        place::check(config.ipmi_layout, census.ipmi(), "ipmi")?;
        place::check(config.redfish_layout, census.redfish(), "redfish")?;
        if config.personalities.is_empty() {
            return Err(FarmError::Config("no personality is given".into()));
        }
        let udp = udp::bind(config.ipmi_layout, census.ipmi())?;
        let tcp = http::bind(config.redfish_layout, census.redfish())?;
        let control = match config.control {
            Some(at) => {
                let listener = TcpListener::bind(at)
                    .await
                    .map_err(|source| FarmError::bind("the control endpoint", at, 0, 1, source))?;
                Some(listener)
            }
            None => None,
        };
        let control_at = control.as_ref().and_then(|one| one.local_addr().ok());
        let tls = if config.tls && census.redfish() > 0 {
            Some(Arc::new(tls::Tls::new(&config)?))
        } else {
            None
        };
        let shared = Arc::new(Shared {
            bmcs: build(&config, census),
            census,
            ipmi: udp.place(),
            redfish: tcp.place(),
            tls: config.tls,
            ca_pem: tls.as_ref().map(|tls| tls.ca_pem().to_owned()),
            started: Instant::now(),
            seed: config.seed,
            switched: AtomicBool::new(false),
            switch: Mutex::new(None),
        });
        shared.set_switch(config.switch);
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        udp.start(&shared, &stop, &tasks)?;
        tcp.start(&shared, tls.as_ref(), &stop, &tasks)?;
        if let Some(listener) = control {
            tasks.spawn(control::serve(Arc::clone(&shared), listener, stop.clone()));
        }
        Ok(Self {
            shared,
            control: control_at,
            stop,
            tasks,
        })
    }

    /// All machines.
    pub fn machines(&self) -> impl Iterator<Item = MachineInfo> + '_ {
        (0..self.shared.total()).filter_map(|number| self.shared.info(number))
    }

    /// One machine.
    #[must_use]
    pub fn machine(&self, number: u32) -> Option<MachineInfo> {
        self.shared.info(number)
    }

    /// Where the control endpoint listens.
    #[must_use]
    pub const fn control(&self) -> Option<SocketAddr> {
        self.control
    }

    /// The authority's certificate, if Redfish speaks TLS.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.shared.ca_pem()
    }

    /// The farm's clock, by which journals are dated.
    #[must_use]
    pub fn now(&self) -> Mono {
        self.shared.now()
    }

    /// Looks at or changes one BMC; `None` if there is no such machine. Keep it short: the BMC answers nobody
    /// meanwhile.
    pub fn with<R>(&self, machine: u32, f: impl FnOnce(&mut Bmc, Mono) -> R) -> Option<R> {
        let mut bmc = self.shared.bmc(machine)?;
        let now = self.shared.now();
        Some(f(&mut bmc, now))
    }

    /// The true power state of a machine.
    #[must_use]
    pub fn power(&self, machine: u32) -> Option<PowerReading> {
        self.with(machine, |bmc, now| bmc.core.machine.power(now))
    }

    /// Changes the power behind everybody's back; nothing for an unknown machine.
    pub fn force_power(&self, machine: u32, on: bool) {
        self.with(machine, |bmc, now| bmc.force_power(now, on));
    }

    /// Injects a fault into one BMC; nothing for an unknown machine.
    ///
    /// # Errors
    /// The fault's figures mean nothing.
    pub fn inject(&self, machine: u32, fault: Fault) -> Result<(), FaultError> {
        fault.check()?;
        self.with(machine, |bmc, now| bmc.inject(now, fault));
        Ok(())
    }

    /// Clears all faults of one BMC.
    pub fn heal(&self, machine: u32) {
        self.with(machine, |bmc, _| bmc.core.faults.clear_all());
    }

    /// The sum of what all BMCs saw.
    #[must_use]
    pub fn totals(&self) -> Counters {
        self.shared.totals().0
    }

    /// How many power edges all machines had, however caused.
    #[must_use]
    pub fn edges(&self) -> u64 {
        self.shared.totals().1
    }

    /// Puts a bottleneck in front of all BMCs, or takes it away.
    pub fn set_switch(&self, limits: Option<SwitchLimits>) {
        self.shared.set_switch(limits);
    }

    /// Serves until `until` is cancelled, then stops.
    pub async fn run(self, until: CancellationToken) {
        until.cancelled().await;
        self.stop().await;
    }

    /// Closes every socket and waits for the tasks.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn build(config: &FarmConfig, census: Census) -> Box<[Mutex<Bmc>]> {
    let mut blueprint = Blueprint {
        accounts: config.accounts.clone().into(),
        kg: config.kg.as_ref().map(|kg| kg.expose().as_slice().into()),
        personality: &super::redfish::personality::GENERIC,
        limits: config.limits,
        timing: config.timing,
        on: false,
        journal_room: config.journal_room,
        seed: config.seed,
    };
    (0..census.total())
        .zip(config.personalities.iter().cycle())
        .map(|(number, personality)| {
            blueprint.personality = personality;
            blueprint.on = match config.initial {
                Initial::On => true,
                Initial::Off => false,
                Initial::Alternate => number % 2 == 0,
            };
            Mutex::new(Bmc::new(number, &blueprint))
        })
        .collect()
}
