//! What can be wrong with a configuration, each with its place; all of it is reported at once.

use baton_model::error_code::ErrorCode;
use std::fmt;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line of a file, counted from 1.
    Line {
        /// The file, as the operator named it.
        file: String,
        /// The line.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The file as a whole.
    File(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::File(file) => f.write_str(file),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file could not be read.
    #[error("{place}: cannot be read: {reason}")]
    Unreadable {
        /// The file.
        place: Place,
        /// The system's words.
        reason: String,
    },
    /// The file is not TOML.
    #[error("{place}: not valid TOML: {reason}")]
    Syntax {
        /// Where parsing stopped.
        place: Place,
        /// The parser's words.
        reason: String,
    },
    /// There is no such section or key.
    #[error("{place}: unknown {what}{hint}")]
    Unknown {
        /// Where it was given.
        place: Place,
        /// ``section `x` `` or ``key `x.y` ``.
        what: String,
        /// `: did you mean …?`, or empty.
        hint: String,
    },
    /// Ironic has this option or section and baton does not.
    #[error("{place}: `{name}` belongs to Ironic and baton does not have it: {instead}")]
    IronicOnly {
        /// Where it was given.
        place: Place,
        /// `section.key` or `[section]`.
        name: String,
        /// Why, and what to use instead.
        instead: &'static str,
    },
    /// A value that its option cannot have.
    #[error("{place}: `{name}` = {value} {reason}")]
    Misfit {
        /// Where it was given.
        place: Place,
        /// `section.key`.
        name: String,
        /// The value as given, `***` for a credential.
        value: String,
        /// What is wrong with it, and what is allowed.
        reason: String,
    },
    /// Values that are each fine but do not go together.
    #[error("{place}: {reason}")]
    Contradiction {
        /// Where the one that was set last in the table comes from.
        place: Place,
        /// Which options, and what must hold.
        reason: String,
    },
}

impl Problem {
    /// The page that tells more.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable { .. } => ErrorCode("CFG-101"),
            Self::Syntax { .. } => ErrorCode("CFG-102"),
            Self::Unknown { .. } => ErrorCode("CFG-103"),
            Self::IronicOnly { .. } => ErrorCode("CFG-104"),
            Self::Misfit { .. } => ErrorCode("CFG-105"),
            Self::Contradiction { .. } => ErrorCode("CFG-106"),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// At least one problem.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [_] => writeln!(f, "the configuration has a problem:")?,
            problems => writeln!(f, "the configuration has {} problems:", problems.len())?,
        }
        for problem in &self.problems {
            writeln!(f, "  {problem} [{}]", problem.code())?;
        }
        let first = self
            .problems
            .first()
            .map_or(ErrorCode("CFG-105"), Problem::code);
        write!(
            f,
            "`baton explain {first}` tells more; nothing was started or changed"
        )
    }
}

impl std::error::Error for ConfigErrors {}
