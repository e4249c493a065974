//! The log of a process: on standard error, with a level that SIGHUP may change.

use anyhow::Context as _;
use baton_config::Config;
use baton_config::sections::LogFormat;
use std::io::{IsTerminal as _, stderr};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

/// Changes the level of a running log.
pub(crate) struct LogLevel(reload::Handle<EnvFilter, Registry>);

impl LogLevel {
    /// Sets the filter, such as `info` or `info,baton_bmc=debug`.
    pub(crate) fn set(&self, filter: &str) -> anyhow::Result<()> {
        self.0.reload(parse(filter)?).context("the log is gone")
    }
}

/// Starts the log.
pub(crate) fn start(config: &Config) -> anyhow::Result<LogLevel> {
    let (filter, handle) = reload::Layer::new(parse(&config.log.level)?);
    let registry = tracing_subscriber::registry().with(filter);
    match config.log.format {
        LogFormat::Text => registry
            .with(
                fmt::layer()
                    .with_ansi(stderr().is_terminal())
                    .with_writer(stderr),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(fmt::layer().json().with_writer(std::io::stderr))
            .try_init(),
    }
    .context("could not start the log")?;
    Ok(LogLevel(handle))
}

/// openraft tells its every step at `info`; unless the filter names it, only what matters is shown. Its front, `openraft::raft`,
/// calls each refused request an error, such as one at a member that does not lead or that we have stopped; whoever made
/// the request reports that itself.
fn parse(filter: &str) -> anyhow::Result<EnvFilter> {
    let quiet = if filter.contains("openraft") {
        ""
    } else {
        ",openraft=warn,openraft::raft=off"
    };
    EnvFilter::builder()
        .parse(format!("{filter}{quiet}"))
        .with_context(|| format!("`log.level` is not a log filter: `{filter}`"))
}
