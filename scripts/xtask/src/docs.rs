//! `docs`: files that are made from code. Tests beside the code fail when they are out of date.

use anyhow::Context as _;
use std::path::Path;

/// Writes all of them and returns their paths.
pub(crate) fn write(root: &Path) -> anyhow::Result<Vec<&'static str>> {
    let files = [
        ("config/baton.sample.toml", baton_config::document::sample()),
        ("docs/configuration.md", baton_config::document::reference()),
    ];
    let mut written = Vec::new();
    for (path, text) in files {
        std::fs::write(root.join(path), text).with_context(|| format!("writing {path}"))?;
        written.push(path);
    }
    Ok(written)
}
