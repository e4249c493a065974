//! The command line: what can be asked of the binary, and who answers.
//!
//! Subcommands that only tell something return a text and this module prints it; those that serve (`run`, `dev`,
//! `bmc-sim`, `compute-sim`) print for themselves through `output`. An error goes to standard error with its causes.

use crate::bmc_sim::{self, BmcSimArgs};
use crate::cluster_command::{self, ClusterCommand};
use crate::compute_sim::ComputeSimArgs;
use crate::output;
use baton_api::CertificateError;
use baton_bmc::sim::redfish::personality::Personality;
use baton_cluster::peer::tls::TlsError;
use baton_cluster::{ClusterError, Fatal};
use baton_compute::OptionsError;
use baton_config::ConfigErrors;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// `EX_CONFIG` of `sysexits.h`: starting again does not help (`RestartPreventExitStatus=78` in a systemd unit).
const EXIT_CONFIG: u8 = 78;

/// A conductor cluster for bare-metal fleets, speaking the Bare Metal v1 API.
#[derive(Debug, Parser)]
#[command(name = "baton", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one conductor until SIGTERM or Ctrl-C.
    Run(RunArgs),
    /// Run a whole cluster with simulated machines on this machine, to try things out.
    Dev(DevArgs),
    /// Serve simulated IPMI and Redfish BMCs on this machine.
    BmcSim(BmcSimArgs),
    /// Make, change, look at, save and restore a cluster.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Serve a simulated compute service with its identity service on this machine.
    ComputeSim(ComputeSimArgs),
    /// Check or show a configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Tell the cause and the remedy of an error code; without one, list them all.
    Explain {
        /// The code, such as CFG-103.
        code: Option<String>,
    },
}

/// `baton run`
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration file; without one, defaults and BATON__… variables hold.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// For tests: hold power commands back right before they leave, while this file exists.
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) hold_writes: Option<PathBuf>,
}

/// `baton dev`
#[derive(Clone, Debug, Args)]
pub(crate) struct DevArgs {
    /// Simulated machines, half IPMI and half Redfish, enrolled already.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) nodes: u32,
    /// How many of them speak Redfish; half of them without it.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) redfish: Option<u32>,
    /// How long a machine takes from a power command until its power has changed.
    #[arg(long, default_value_t = 0, value_name = "MILLISECONDS", value_parser = clap::value_parser!(u32).range(0..=600_000))]
    pub(crate) power_delay: u32,
    /// Seconds between two power syncs of a machine: short, so that one can watch.
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) sync_interval: u32,
    /// Whose firmware the simulated BMCs play, by the names of `bmc/vendors`; several take turns.
    #[arg(long, value_name = "NAME", value_parser = bmc_sim::personality, default_value = "generic", value_delimiter = ',')]
    pub(crate) personality: Vec<&'static Personality>,
    /// Port of the first conductor's API on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 6385, value_name = "PORT")]
    pub(crate) api_port: u16,
    /// Where the conductors keep their data; without it, a temporary directory that is removed at the end.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Conductors, each a process of its own.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    pub(crate) conductors: u8,
}

/// `baton config`
#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Report everything that is wrong with a file.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// Print the effective configuration, and where each value came from.
    Show {
        /// The configuration file; without one, defaults and BATON__… variables hold.
        file: Option<PathBuf>,
    },
    /// Print a sample file with every option.
    Sample,
}

/// Parses the command line, runs the command and turns its outcome into an exit code.
pub(crate) fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&format!("baton: {error:#}"));
            ExitCode::from(if is_about_configuration(&error) {
                EXIT_CONFIG
            } else {
                1
            })
        }
    }
}

/// Whether the configuration, or a file that it names, has to be changed before another start can succeed.
fn is_about_configuration(error: &anyhow::Error) -> bool {
    error.is::<ConfigErrors>()
        || error.is::<OptionsError>()
        || error.is::<CertificateError>()
        || error.is::<TlsError>()
        || error
            .downcast_ref::<Fatal>()
            .is_some_and(|fatal| fatal.expelled)
        || matches!(
            error.downcast_ref(),
            Some(
                ClusterError::NotAMember
                    | ClusterError::OtherHost { .. }
                    | ClusterError::Twice { .. }
                    | ClusterError::Options { .. }
            )
        )
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => crate::run::run(args),
        Command::Dev(args) => crate::dev::dev(args),
        Command::BmcSim(args) => crate::bmc_sim::bmc_sim(args),
        Command::Cluster(command) => cluster_command::run(command),
        Command::ComputeSim(args) => crate::compute_sim::compute_sim(args),
        Command::Config(command) => {
            output::print(&match command {
                ConfigCommand::Check { file } => crate::config_command::check(&file)?,
                ConfigCommand::Show { file } => crate::config_command::show(file.as_deref())?,
                ConfigCommand::Sample => baton_config::document::sample(),
            });
            Ok(())
        }
        Command::Explain { code: Some(code) } => {
            output::print(crate::explain::page(&code)?);
            Ok(())
        }
        Command::Explain { code: None } => {
            output::print(&crate::explain::list());
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_only_a_change_of_the_configuration_mends_is_told_by_the_exit_code() {
        use anyhow::Context as _;
        let nova: Result<(), _> = Err(OptionsError::KeyAlone);
        let error = nova.context("no compute client").expect_err("an error");
        assert!(is_about_configuration(&error));
        assert!(!is_about_configuration(&anyhow::anyhow!(
            "the disk is gone"
        )));
        for (expelled, told) in [(true, true), (false, false)] {
            let what = "a reason".into();
            let ended: Result<(), _> = Err(Fatal { what, expelled });
            let error = ended.context("it ended").expect_err("an error");
            assert_eq!(is_about_configuration(&error), told);
        }
    }

    #[test]
    fn dev_starts_three_conductors_and_sixty_machines_unless_told_otherwise() {
        let cli = Cli::try_parse_from(["baton", "dev"]).expect("valid");
        let Command::Dev(args) = cli.command else {
            panic!("not dev")
        };
        assert_eq!((args.nodes, args.api_port, args.conductors), (60, 6385, 3));
        assert!(Cli::try_parse_from(["baton", "dev", "--conductors", "0"]).is_err());
        assert!(Cli::try_parse_from(["baton", "dev", "--nodes", "-1"]).is_err());
    }
}
