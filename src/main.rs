//! baton: a conductor cluster for bare-metal fleets, in one binary.
//!
//! This crate is the composition root: the command line, and the only place that sees every layer and joins siblings
//! through the traits of `model::port`. It decides nothing about machines. A subcommand is one file.

mod cli;
mod config_command;
mod dev;
mod explain;
mod output;
mod run;

fn main() -> std::process::ExitCode {
    cli::main()
}
