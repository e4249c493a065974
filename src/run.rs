//! `baton run`: one conductor.

use crate::cli::RunArgs;
use anyhow::bail;

/// Runs one conductor until it is told to stop.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<()> {
    let RunArgs { config } = args;
    baton_config::Config::load(config.as_deref(), &baton_config::Environment::of_process())?;
    bail!("the configuration is valid, but this build cannot run a conductor yet")
}
