//! `[log]`: what is logged, and how a line looks.

use crate::option::choice::choice;
use crate::option::section::section;

choice! {
    /// How a line of the log looks.
    pub enum LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }
}

section! {
    /// The log, on standard error.
    pub struct LogSection in "log";
    fixed because "the log's form is set when the process starts";

    /// The least that is logged: `error`, `warn`, `info`, `debug` or `trace`; also by crate: `info,baton_bmc=debug`.
    level: String = "info", ours, live;
    /// How a line looks.
    format: LogFormat = "text", ours;
}
