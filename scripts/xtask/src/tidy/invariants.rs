//! Every invariant of the chaos tests has its row in their README.

use super::Finding;
use super::tree::Tree;

const FOLDER: &str = "chaos-tests/src/invariants";
const README: &str = "chaos-tests/README.md";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let readme = tree.get(README).unwrap_or_default();
    let names = tree.names(FOLDER, ".rs").filter(|name| *name != "mod");
    let missing = names.filter(|name| !readme.contains(&format!("| `{name}` |")));
    missing
        .map(|name| Finding::file(README, format!("the invariant `{name}` has no row")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invariant_without_a_row_is_found() {
        let tree = Tree::of(&[
            ("chaos-tests/src/invariants/one_owner.rs", ""),
            ("chaos-tests/src/invariants/durable.rs", ""),
            (
                "chaos-tests/README.md",
                "| `one_owner` | at most one lease holder |\n",
            ),
        ]);
        assert_eq!(check(&tree).len(), 1);
    }
}
