//! `baton run`: one conductor, until it is told to stop.

use crate::cli::RunArgs;
use crate::logging::{self, LogLevel};
use crate::output;
use crate::runtimes::Runtimes;
use crate::signals::StopSignal;
use crate::wiring::Process;
use anyhow::{Context as _, bail};
use baton_config::{Config, Environment, diff_live};
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Runs one conductor until SIGTERM or Ctrl-C.
pub(crate) fn run(args: RunArgs) -> anyhow::Result<()> {
    let config = Config::load(args.config.as_deref(), &Environment::of_process())?;
    let log = logging::start(&config)?;
    let runtimes = Runtimes::start()?;
    let system = actix_rt::System::new();
    let outcome = system.block_on(serve(config, args, log, &runtimes));
    // What is still running has been told to stop; nothing that matters waits.
    runtimes.shut_down();
    outcome
}

async fn serve(
    mut config: Config,
    args: RunArgs,
    log: LogLevel,
    runtimes: &Runtimes,
) -> anyhow::Result<()> {
    let mut stop = StopSignal::listen()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let process = tokio::select! {
        biased;
        () = stop.received() => return Ok(()),
        process = Process::start(&config, args.hold_writes, runtimes) => process?,
    };
    output::print(&format!(
        "conductor {} serves {}://{}, operators {}://{}",
        config.host(),
        scheme(config.api.cert_file.is_some()),
        process.api,
        scheme(config.admin.cert_file.is_some()),
        process.admin
    ));
    loop {
        tokio::select! {
            biased;
            () = stop.received() => break,
            fatal = process.fatal() => {
                if fatal.expelled {
                    return Err(fatal).context("the cluster does not take this process for a member");
                }
                bail!("the store failed and nothing more may be promised: {}", fatal.what)
            }
            () = process.asked_to_leave() => {
                tracing::info!("leaving the cluster");
                return process.leave(config.conductor.graceful_shutdown_timeout).await;
            }
            _ = hangup.recv() => reload(&mut config, args.config.as_ref(), &log, &process),
        }
    }
    tracing::info!("stopping");
    process
        .stop(config.conductor.graceful_shutdown_timeout)
        .await;
    Ok(())
}

const fn scheme(tls: bool) -> &'static str {
    if tls { "https" } else { "http" }
}

/// All or nothing: a file with an error, or with a change that needs a restart, changes nothing.
fn reload(config: &mut Config, file: Option<&PathBuf>, log: &LogLevel, process: &Process) {
    let new = match Config::load(file.map(PathBuf::as_path), &Environment::of_process()) {
        Ok(new) => new,
        Err(error) => {
            tracing::error!(%error, "the configuration was not reloaded");
            return;
        }
    };
    match diff_live(config, &new) {
        Ok(live) => {
            for change in &live.changes {
                let (section, key) = (change.section, change.key);
                tracing::info!(
                    section,
                    key,
                    from = change.from,
                    to = change.to,
                    "an option changed"
                );
            }
            if let Err(error) = log.set(&live.config.log.level) {
                tracing::error!(
                    error = format!("{error:#}"),
                    "the log level was not changed"
                );
            }
            process.reload(&live.config);
            *config = live.config;
        }
        Err(refused) => {
            for reason in refused {
                tracing::error!(error = %reason, code = %reason.code(), "the configuration was not reloaded");
            }
        }
    }
}
