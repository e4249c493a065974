//! Chores of this repository: `cargo run -p baton-xtask -- <chore>`.
//!
//! `tidy` checks what the compiler and clippy cannot; `docs` writes the files that are made from code. A chore prints what
//! it found or did and fails when something is left to do. Plain Rust: what is needed to check the tree must build in
//! seconds and run anywhere.
#![expect(clippy::print_stdout, reason = "a chore's findings are its output")]

mod docs;
mod tidy;

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p baton-xtask -- <tidy | docs>";

fn main() -> anyhow::Result<ExitCode> {
    let root = root()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["tidy"] => {
            let findings = tidy::run(&root)?;
            for finding in &findings {
                println!("{finding}");
            }
            println!("tidy: {} findings", findings.len());
            Ok(if findings.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
        ["docs"] => {
            for path in docs::write(&root)? {
                println!("wrote {path}");
            }
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            println!("{USAGE}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The root of the repository: two folders above this crate.
fn root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here
        .ancestors()
        .nth(2)
        .context("this crate stands two folders below the root")?;
    Ok(root.to_owned())
}
