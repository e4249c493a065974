//! What the README tells a new user to type.

use serde_json::Value;
use std::process::Command;

/// The workspace has several binaries, and `cargo run` takes the one that exactly one default member names.
#[test]
fn cargo_run_in_the_root_means_baton() {
    let text = include_str!("../../README.md");
    assert!(
        text.contains("$ cargo run -- dev\n"),
        "the README says something else"
    );
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo's answer");
    let members = metadata["workspace_default_members"]
        .as_array()
        .expect("members");
    let packages = metadata["packages"].as_array().expect("packages");
    let named: Vec<_> = packages
        .iter()
        .filter(|package| members.contains(&package["id"]))
        .filter_map(|package| package["default_run"].as_str())
        .collect();
    assert_eq!(named, ["baton"]);
}
