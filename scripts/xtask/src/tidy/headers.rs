//! Every Rust file opens with `//!`: what it owns and the one thing to know.

use super::Finding;
use super::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let bare = tree
        .rust()
        .filter(|(_, text)| !text.trim_start().starts_with("//!"));
    bare.map(|(path, _)| {
        Finding::line(
            path,
            1,
            "open the file with `//!`: what it owns, what it does not",
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_header_is_found() {
        let tree = Tree::of(&[("a.rs", "//! Good.\n"), ("b.rs", "use x;\n"), ("c.txt", "")]);
        assert_eq!(check(&tree).len(), 1);
    }
}
