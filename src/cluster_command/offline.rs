//! Prepares the data directory of a conductor that does not run yet.

use crate::{clocks, wiring};
use anyhow::{Context as _, bail};
use baton_cluster::Cluster;
use baton_config::Config;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

/// How long a newcomer asks for an id, beside two session periods: until then a member of the same host name that has died
/// is known to be down.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn init(config: &Config) -> anyhow::Result<String> {
    let options = wiring::options(config)?;
    let address = options.advertise.clone().unwrap_or_default();
    let (cluster, conductor) = Cluster::init(options, clocks::env()).await?;
    Ok(format!(
        "cluster {cluster} is made; its only member is conductor {conductor} ({}) at {address}\n\
         begin it with: baton run\n\
         let others enter with: baton cluster join --via {address}",
        config.host()
    ))
}

pub(super) async fn join(config: &Config, given: Vec<String>) -> anyhow::Result<String> {
    let options = wiring::options(config)?;
    let mut via = given;
    if via.is_empty() {
        let peers = config.cluster.peers.iter().map(|peer| peer.address.clone());
        via = config.cluster.join.iter().cloned().chain(peers).collect();
    }
    if via.is_empty() {
        bail!("name a member to enter through, with --via HOST:PORT or in `[cluster] join`");
    }
    let env = clocks::env();
    let patience = JOIN_PATIENCE + config.session_periods().ttl * 2;
    let (cluster, conductor) = Cluster::prepare(options, env, &via, patience).await?;
    Ok(format!(
        "this conductor ({}) may enter cluster {cluster} as conductor {conductor}\n\
         let it in with: baton run",
        config.host()
    ))
}

pub(super) async fn restore(config: &Config, file: &Path) -> anyhow::Result<String> {
    let from = File::open(file).with_context(|| format!("could not open {}", file.display()))?;
    let options = wiring::options(config)?;
    let address = options.advertise.clone().unwrap_or_default();
    let restored = Cluster::restore(options, clocks::env(), BufReader::new(from))
        .await
        .with_context(|| format!("{} was not restored", file.display()))?;
    Ok(format!(
        "cluster {} is made of a backup that {} took of cluster {}, up to log entry {}, with {} nodes\n\
         its only member is conductor {} ({}) at {address}\n\
         make sure that no conductor of the old cluster runs: both would command the same machines\n\
         begin it with: baton run\n\
         let others enter with: baton cluster join --via {address}",
        restored.cluster,
        restored.by,
        restored.of,
        restored.index,
        restored.nodes,
        restored.conductor,
        config.host()
    ))
}
