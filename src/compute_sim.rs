//! `baton compute-sim`: a simulated compute service with its identity service, until Ctrl-C.

use crate::output;
use anyhow::Context as _;
use baton_compute::sim::{PASSWORD, Simulator, USER};
use clap::Args;
use std::net::SocketAddr;

/// What `baton compute-sim` takes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ComputeSimArgs {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8774")]
    listen: SocketAddr,
    /// Time before each answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
}

/// Serves until Ctrl-C or SIGTERM.
pub(crate) fn compute_sim(args: ComputeSimArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("cannot start the threads of the simulator")?;
    runtime.block_on(async {
        let simulator = Simulator::start(args.listen)
            .await
            .with_context(|| format!("could not listen on {} (--listen)", args.listen))?;
        simulator.fault(|faults| faults.latency_ms = args.latency_ms);
        output::print(&describe(&simulator));
        crate::signals::stop().await
    })
}

/// What `[nova]` needs, and where to look.
fn describe(simulator: &Simulator) -> String {
    format!(
        "A simulated compute service and its identity service. For the conductors' configuration:\n\n{}\n\
         Faults and the ledger: http://{}/control\nCtrl-C stops it.",
        section(&simulator.auth_url()),
        simulator.address()
    )
}

/// The `[nova]` section for a simulator.
pub(crate) fn section(auth_url: &str) -> String {
    format!(
        "[nova]\nauth_type = \"password\"\nauth_url = \"{auth_url}\"\nusername = \"{USER}\"\n\
         password = \"{PASSWORD}\"\nproject_name = \"service\"\ntimeout = 5\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use baton_config::{Config, Environment};

    #[tokio::test]
    async fn what_it_prints_is_a_section_that_leads_to_it() {
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into())
            .await
            .expect("a free port");
        let text = section(&simulator.auth_url());
        let config = Config::parse("nova.toml", &text, &Environment::default()).expect("sound");
        assert_eq!(config.nova.auth_url, Some(simulator.auth_url()));
        assert_eq!(config.warnings(), Vec::<String>::new());
        assert!(describe(&simulator).contains(&text));
    }
}
