//! Every error code has a page under `docs/errors`, and every page a code.

use super::Finding;
use super::tree::Tree;
use std::collections::BTreeMap;

const FOLDER: &str = "docs/errors";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let codes = codes(tree);
    let unwritten = codes
        .iter()
        .filter(|(code, _)| tree.get(&page(code)).is_none());
    let unwritten = unwritten.map(|(code, (path, line))| {
        Finding::line(
            path,
            *line,
            format!("`{code}` has no page: write {}", page(code)),
        )
    });
    let unused = tree
        .names(FOLDER, ".md")
        .filter(|name| *name != "README" && !codes.contains_key(*name));
    let unused = unused
        .map(|name| Finding::file(&page(name), "no code of this name is left in the sources"));
    let shapeless = codes.keys().filter_map(|code| {
        let text = tree.get(&page(code))?;
        let missing = HEADINGS
            .iter()
            .find(|heading| !text.contains(&format!("\n## {heading}\n")))?;
        Some(Finding::file(
            &page(code),
            format!("the heading `## {missing}` is missing"),
        ))
    });
    unwritten.chain(unused).chain(shapeless).collect()
}

/// What every page answers.
const HEADINGS: &[&str] = &["Cause", "Check", "Remedy"];

fn page(code: &str) -> String {
    format!("{FOLDER}/{code}.md")
}

/// Codes in the sources, each with the first place that names it.
fn codes(tree: &Tree) -> BTreeMap<&str, (&str, usize)> {
    let mut codes = BTreeMap::new();
    for (path, text) in tree.rust() {
        for (number, line) in text.lines().enumerate() {
            for constructor in ["ErrorCode(\"", "ErrorCode::new(\""] {
                for (at, _) in line.match_indices(constructor) {
                    let code = line
                        .get(at + constructor.len()..)
                        .and_then(|rest| rest.split('"').next());
                    if let Some(code) = code {
                        codes.entry(code).or_insert((path, number + 1));
                    }
                }
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_without_pages_and_pages_without_codes_are_found() {
        let source = concat!(
            "let code = ErrorCode",
            "(\"X-1\");\nlet code = ErrorCode",
            "(\"X-2\");\n"
        );
        let tree = Tree::of(&[
            ("a.rs", source),
            ("docs/errors/X-1.md", "# X-1\n\n## Cause\n\n## Check\n"),
            ("docs/errors/X-3.md", ""),
        ]);
        let found: Vec<_> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "a.rs:2: `X-2` has no page: write docs/errors/X-2.md",
                "docs/errors/X-3.md: no code of this name is left in the sources",
                "docs/errors/X-1.md: the heading `## Remedy` is missing",
            ]
        );
    }
}
