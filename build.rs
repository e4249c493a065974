//! Compiles the pages of `docs/errors` into the binary, so that `baton explain` needs no file at hand.

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=docs/errors");
    let root = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let folder = Path::new(&root).join("docs/errors");
    let mut pages = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let code = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            // The text itself, not where it is: a target directory outlives the checkout that filled it.
            pages.push((code, std::fs::read_to_string(&path)?));
        }
    }
    pages.sort();
    let mut table = String::from("&[\n");
    for (code, page) in pages {
        writeln!(table, "    ({code:?}, {page:?}),")?;
    }
    table.push_str("]\n");
    let out = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    std::fs::write(Path::new(&out).join("error_pages.rs"), table)?;
    Ok(())
}
