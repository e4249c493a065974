//! Crates depend on each other, and on confined libraries, only as the layering says.
//!
//! `model <- config <- bmc, compute, cluster, actors, api <- the binary and the chaos tests`; siblings meet through `model::port`.

use super::Finding;
use super::tree::Tree;

/// Crate, and which of ours it may use.
const EDGES: &[(&str, &[&str])] = &[
    ("baton-model", &[]),
    ("baton-config", &["baton-model"]),
    ("baton-bmc", &["baton-model", "baton-config"]),
    ("baton-compute", &["baton-model", "baton-config"]),
    ("baton-cluster", &["baton-model", "baton-config"]),
    ("baton-actors", &["baton-model", "baton-config"]),
    ("baton-api", &["baton-model", "baton-config"]),
    ("baton-xtask", &["baton-model", "baton-config"]),
    ("baton", EVERY_LAYER),
    ("baton-chaos-tests", EVERY_LAYER),
];

const EVERY_LAYER: &[&str] = &[
    "baton-model",
    "baton-config",
    "baton-bmc",
    "baton-compute",
    "baton-cluster",
    "baton-actors",
    "baton-api",
    "baton",
];

/// Library, and the crates that confine it. Tests may hold one against it anywhere.
const CONFINED: &[(&str, &[&str])] = &[
    ("openraft", &["baton-cluster", "baton-chaos-tests"]),
    ("openraft-rt", &["baton-cluster", "baton-chaos-tests"]),
    ("sled", &["baton-cluster"]),
    ("bincode", &["baton-cluster"]),
    ("actix", &["baton-actors", "baton", "baton-chaos-tests"]),
    ("actix-rt", &["baton-actors", "baton", "baton-chaos-tests"]),
    ("axum", &["baton-api", "baton-bmc", "baton"]),
];

/// What `model` must not even be able to reach: it decides, it does not act.
const NEVER_IN_MODEL: &[&str] = &[
    "tokio",
    "tokio-util",
    "futures-util",
    "actix",
    "tracing",
    "hyper",
    "rustls",
    "rand",
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree
        .files()
        .filter(|(path, _)| *path == "Cargo.toml" || path.ends_with("/Cargo.toml"));
    manifests
        .flat_map(|(path, text)| check_manifest(path, text))
        .collect()
}

fn check_manifest(path: &str, text: &str) -> Vec<Finding> {
    let manifest: toml::Table = match toml::from_str(text) {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::file(path, format!("cannot be read: {error}"))],
    };
    let package = manifest
        .get("package")
        .and_then(|package| package.get("name"));
    let Some(package) = package.and_then(toml::Value::as_str) else {
        return Vec::new();
    };
    let Some((_, allowed)) = EDGES.iter().find(|(name, _)| *name == package) else {
        return vec![Finding::file(
            path,
            format!("`{package}` is unknown: give it a row in tidy/edges.rs"),
        )];
    };
    let mut findings = Vec::new();
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let table = manifest.get(kind).and_then(toml::Value::as_table);
        for (name, requirement) in table.into_iter().flatten() {
            let line = 1 + text
                .lines()
                .take_while(|line| !line.starts_with(name.as_str()))
                .count();
            if name.starts_with("baton") && name != package && !allowed.contains(&name.as_str()) {
                let may = if allowed.is_empty() {
                    "none of ours".to_owned()
                } else {
                    allowed.join(", ")
                };
                findings.push(Finding::line(
                    path,
                    line,
                    format!("`{package}` must not use `{name}`; it may use {may}"),
                ));
            }
            let confined = CONFINED.iter().find(|(library, _)| library == name);
            let confined = confined
                .filter(|(_, homes)| kind != "dev-dependencies" && !homes.contains(&package));
            if let Some((_, homes)) = confined {
                findings.push(Finding::line(
                    path,
                    line,
                    format!("`{name}` is confined to {}", homes.join(", ")),
                ));
            }
            if package == "baton-model" && NEVER_IN_MODEL.contains(&name.as_str()) {
                findings.push(Finding::line(
                    path,
                    line,
                    format!("`model` is pure and must not use `{name}`"),
                ));
            }
            let inherited = requirement.get("workspace").and_then(toml::Value::as_bool);
            if inherited != Some(true) {
                findings.push(Finding::line(
                    path,
                    line,
                    format!("`{name}`: versions stand in [workspace.dependencies] only"),
                ));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let tree = Tree::of(&[("bmc/Cargo.toml", text)]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_edge_between_siblings_a_confined_library_and_a_version_are_found() {
        let manifest = "[package]\nname = \"baton-bmc\"\n\n[dependencies]\nbaton-model.workspace = true\nbaton-api.workspace = true\nsled.workspace = true\nbytes = \"1\"\n";
        assert_eq!(
            texts(manifest),
            [
                "bmc/Cargo.toml:6: `baton-bmc` must not use `baton-api`; it may use baton-model, baton-config",
                "bmc/Cargo.toml:8: `bytes`: versions stand in [workspace.dependencies] only",
                "bmc/Cargo.toml:7: `sled` is confined to baton-cluster",
            ]
        );
    }

    #[test]
    fn a_crate_without_a_row_is_found() {
        assert_eq!(
            texts("[package]\nname = \"baton-extra\"\n"),
            ["bmc/Cargo.toml: `baton-extra` is unknown: give it a row in tidy/edges.rs"]
        );
    }
}
