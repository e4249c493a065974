//! `tidy`: the rules of the house that neither compiler nor clippy knows, one file each.
//!
//! Each rule reads the tree as text and returns findings; none writes. Rules that speak of folders which do not exist yet
//! find nothing.

mod edges;
mod formats;
mod headers;
mod invariants;
mod pages;
mod tree;
mod words;

use std::fmt;
use std::path::Path;

/// One thing to mend.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// The file, from the root of the repository.
    path: String,
    /// The line, where there is one.
    line: Option<usize>,
    /// What is wrong and what to do.
    text: String,
}

impl Finding {
    fn file(path: &str, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: None,
            text: text.into(),
        }
    }

    fn line(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line: Some(line),
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "{}{line}: {}", self.path, self.text)
    }
}

/// Runs every rule over the repository at `root`.
pub(crate) fn run(root: &Path) -> anyhow::Result<Vec<Finding>> {
    let tree = tree::Tree::read(root)?;
    let rules = [
        edges::check,
        headers::check,
        words::check,
        pages::check,
        formats::check,
        invariants::check,
    ];
    let mut findings: Vec<_> = rules.iter().flat_map(|rule| rule(&tree)).collect();
    findings.sort();
    Ok(findings)
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_repository_is_tidy() {
        let findings = super::run(&crate::root().expect("a root")).expect("the tree can be read");
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    }
}
