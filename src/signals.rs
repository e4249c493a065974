//! SIGTERM, SIGINT and SIGHUP as futures.

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// Ends when the process is told to stop, by Ctrl-C or SIGTERM.
pub(crate) async fn stop() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    tokio::select! {
        biased;
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
