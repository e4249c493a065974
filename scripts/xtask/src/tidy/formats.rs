//! Every version of a persisted format has a test that freezes its bytes: `cluster/tests/it/format/v01.rs` and so on.

use super::Finding;
use super::tree::Tree;

const SOURCES: &str = "cluster/src/codec";
const GOLDEN: &str = "cluster/tests/it/format";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust().filter(|(path, _)| path.starts_with(SOURCES)) {
        for (number, line) in text.lines().enumerate() {
            let missing = version(line)
                .into_iter()
                .flat_map(|newest| 1..=newest)
                .find(|version| tree.get(&format!("{GOLDEN}/v{version:02}.rs")).is_none());
            if let Some(version) = missing {
                let text = format!(
                    "format version {version} is not frozen: write {GOLDEN}/v{version:02}.rs"
                );
                findings.push(Finding::line(path, number + 1, text));
            }
        }
    }
    findings
}

/// The number in `pub const FORMAT_VERSION: u16 = 3;`.
fn version(line: &str) -> Option<u16> {
    let (name, value) = line.split_once('=')?;
    if !(name.contains("const ") && name.contains("FORMAT_VERSION")) {
        return None;
    }
    value.trim().trim_end_matches(';').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_without_its_golden_test_is_found() {
        let source = "pub const FORMAT_VERSION: u16 = 2;\n";
        let tree = Tree::of(&[
            ("cluster/src/codec/mod.rs", source),
            ("cluster/tests/it/format/v01.rs", ""),
        ]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "cluster/src/codec/mod.rs:1: format version 2 is not frozen: write cluster/tests/it/format/v02.rs"
            ]
        );
    }
}
