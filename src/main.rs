//! baton: a conductor cluster for bare-metal fleets, in one binary.
//!
//! This crate is the composition root: the command line, and the only place that sees every layer and joins siblings
//! through the traits of `model::port`. It decides nothing about machines. A subcommand is one file.

mod bmc_sim;
mod cli;
mod clocks;
mod cluster_command;
mod compute_sim;
mod config_command;
mod dev;
mod explain;
mod held_writes;
mod http;
mod logging;
mod output;
mod power_desk;
mod router;
mod run;
mod runtimes;
mod signals;
mod sinks;
mod wiring;

/// Several threads allocate what others free, for each read of a BMC; glibc's allocator takes a lock for most of that.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::main()
}
