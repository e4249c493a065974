//! No text names the machine it was written on, and none was left half merged or half done.

use super::Finding;
use super::tree::Tree;

/// Words as two parts, so that this file does not find itself; and why they must not stand in a file.
const WORDS: &[(&str, &str, &str)] = &[
    (
        "/ho",
        "me/",
        "a path of one machine: use one below the repository, or an example such as /var/lib/baton",
    ),
    (
        "/ro",
        "ot/",
        "a path of one machine: use one below the repository, or an example such as /var/lib/baton",
    ),
    (
        "/wo",
        "rk/",
        "a path of one machine: use one below the repository, or an example such as /var/lib/baton",
    ),
    (
        "/Us",
        "ers/",
        "a path of one machine: use one below the repository, or an example such as /var/lib/baton",
    ),
    ("<<<<", "<<< ", "a merge that was not finished"),
    (">>>>", ">>> ", "a merge that was not finished"),
    ("FIX", "ME", "mend it, or write an issue and name it"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        for (number, line) in text.lines().enumerate() {
            for (head, tail, why) in WORDS {
                let word = format!("{head}{tail}");
                if starts_a_word(line, &word) {
                    findings.push(Finding::line(
                        path,
                        number + 1,
                        format!("`{word}` is {why}"),
                    ));
                }
            }
        }
    }
    findings
}

/// Whether `word` stands in `line` other than inside of a longer path or name.
fn starts_a_word(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '*');
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_machine_are_found_and_longer_paths_are_not() {
        let path = |head: &str| format!("{head}/ho{}", "me/someone/baton");
        let tree = Tree::of(&[
            ("a.md", &path("see ")),
            ("b.md", &path("https://example.org")),
        ]);
        assert_eq!(check(&tree).len(), 1);
    }
}
