//! The only place that writes to the terminal. The log is another thing: it goes through `tracing`.

use std::io::{ErrorKind, Write as _, stderr, stdout};

/// Prints a text on standard output. A reader that went away (`baton config show | head`) is no error.
pub(crate) fn print(text: &str) {
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = stdout().lock();
    let written = write!(out, "{text}{newline}").and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        complain(&format!("baton: cannot write to standard output: {error}"));
    }
}

/// Prints a text on standard error; when even that fails there is nobody left to tell.
pub(crate) fn complain(text: &str) {
    drop(writeln!(stderr().lock(), "{text}"));
}
