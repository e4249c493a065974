//! `baton dev`: a cluster with simulated machines, to try things out.

use crate::cli::DevArgs;
use anyhow::bail;

/// Runs the cluster until Ctrl-C.
pub(crate) fn dev(args: DevArgs) -> anyhow::Result<()> {
    let DevArgs {
        nodes,
        api_port,
        data_dir,
        conductors,
    } = args;
    let data = data_dir.map_or_else(
        || "a temporary directory".to_owned(),
        |dir| dir.display().to_string(),
    );
    bail!(
        "this build cannot start {conductors} conductors with {nodes} machines on port {api_port} in {data} yet"
    )
}
