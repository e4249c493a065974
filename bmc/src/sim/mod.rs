//! The BMC simulator: thousands of IPMI and Redfish BMCs in one process, on loopback.
//!
//! Three layers. [`machine`], [`ipmi`], [`redfish`] and [`bmc`] are pure: time, chance and bytes arrive as arguments,
//! so the chaos harness drives them in simulated time. [`farm`] gives them sockets. [`control`] is the HTTP endpoint
//! that sets faults, pulls the plug behind everybody's back and tells what each BMC saw.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use baton_bmc::sim::{Farm, FarmConfig};
//! let farm = Farm::start(FarmConfig { ipmi: 30, redfish: 30, ..FarmConfig::default() }).await?;
//! for machine in farm.machines() {
//!     let _addresses = (machine.ipmi, machine.redfish);
//! }
//! farm.stop().await;
//! # Ok(()) }
//! ```
//!
//! The codecs are the production ones; what a client bug and a simulator bug could have in common is caught by
//! `ipmitool`, freeipmi and `sushy` as third parties in the tests.

pub mod account;
pub mod bmc;
pub mod control;
pub mod core;
pub mod draw;
pub mod farm;
pub mod fault;
pub mod ipmi;
pub mod journal;
pub mod machine;
pub mod redfish;
pub mod switch;

pub use account::Account;
pub use farm::config::{FarmConfig, Initial, Layout};
pub use farm::{Farm, FarmError, MachineInfo};
pub use fault::{Fault, FaultKind};
pub use machine::{SoftOff, Timing};
