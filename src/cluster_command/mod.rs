//! `baton cluster`: what operators do to a cluster.
//!
//! `init`, `join` and `restore` prepare the data directory of a conductor that does not run ([`offline`]); `certs` makes
//! certificates; everything else asks a running conductor on its admin endpoint ([`remote`]), whichever it is.

mod certs;
mod offline;
mod remote;
mod status;

use crate::output;
use anyhow::Context as _;
use baton_config::{Config, Environment};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `baton cluster`
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Make a new cluster of this conductor alone. Its data directory must be empty; `baton run` then begins it.
    Init(ConfigArgs),
    /// Let this conductor enter a cluster as a new member. Its data directory must be empty; `baton run` then begins it.
    Join {
        #[command(flatten)]
        config: ConfigArgs,
        /// A member to enter through, as `host:port` of its `[cluster] listen`; several may be given. Without one,
        /// `[cluster] join` and `peers` are taken.
        #[arg(long, value_name = "HOST:PORT")]
        via: Vec<String>,
    },
    /// Show the members, who leads, how far each has come, and the disk.
    Status {
        #[command(flatten)]
        admin: AdminArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Let the asked conductor leave for good: it hands its nodes over, is removed, moves its data aside and ends.
    Leave(AdminArgs),
    /// Remove a member that is down for good; its nodes have new owners already.
    Remove {
        #[command(flatten)]
        admin: AdminArgs,
        /// Its host name or id.
        conductor: String,
        /// Remove it even though it is alive.
        #[arg(long)]
        force: bool,
    },
    /// Move the leadership, to a voter or to whichever is readiest.
    TransferLeader {
        #[command(flatten)]
        admin: AdminArgs,
        /// Host name or id of the voter.
        conductor: Option<String>,
    },
    /// Write the replicated state of the running cluster to a file.
    Backup {
        #[command(flatten)]
        admin: AdminArgs,
        /// The file; it must not be there yet.
        file: PathBuf,
        /// Take what the asked conductor knows, without asking the others: for a cluster that has lost its majority.
        #[arg(long)]
        stale: bool,
    },
    /// Make a new cluster of this conductor alone from a backup. Its data directory must be empty.
    Restore {
        #[command(flatten)]
        config: ConfigArgs,
        /// The backup.
        file: PathBuf,
    },
    /// Make certificates for conductors, and an authority for them if there is none yet.
    Certs(certs::CertsArgs),
}

/// Which configuration.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConfigArgs {
    /// The configuration file; without one, defaults and BATON__… variables hold.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(Config::load(
            self.config.as_deref(),
            &Environment::of_process(),
        )?)
    }
}

/// Which conductor to ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct AdminArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The admin endpoint of any conductor; without it, `[admin] listen` of the configuration.
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,
}

/// Runs the command.
pub(crate) fn run(command: ClusterCommand) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("could not start the runtime")?;
    let text = match command {
        ClusterCommand::Init(args) => runtime.block_on(offline::init(&args.load()?))?,
        ClusterCommand::Join { config, via } => {
            runtime.block_on(offline::join(&config.load()?, via))?
        }
        ClusterCommand::Restore { config, file } => {
            runtime.block_on(offline::restore(&config.load()?, &file))?
        }
        ClusterCommand::Certs(args) => certs::certs(&args)?,
        ClusterCommand::Status { admin, json } => {
            let status = runtime.block_on(remote::Remote::new(&admin)?.status())?;
            if json {
                serde_json::to_string_pretty(&status)?
            } else {
                status::table(&status)
            }
        }
        ClusterCommand::Leave(admin) => runtime.block_on(remote::Remote::new(&admin)?.leave())?,
        ClusterCommand::Remove {
            admin,
            conductor,
            force,
        } => runtime.block_on(remote::Remote::new(&admin)?.remove(&conductor, force))?,
        ClusterCommand::TransferLeader { admin, conductor } => {
            runtime.block_on(remote::Remote::new(&admin)?.transfer(conductor.as_deref()))?
        }
        ClusterCommand::Backup { admin, file, stale } => {
            runtime.block_on(remote::Remote::new(&admin)?.backup(&file, stale))?
        }
    };
    output::print(&text);
    Ok(())
}
