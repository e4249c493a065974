//! `ErrorCode`: the stable name of an error that an operator can look up.
//!
//! A code never changes its meaning and is never used again for something else. Each one has a page, `docs/errors/<code>.md`,
//! which `baton explain <code>` prints; `xtask tidy` fails when a code has no page or a page no code.

use std::fmt;

/// A stable error code, such as `CFG-102`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub &'static str);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
