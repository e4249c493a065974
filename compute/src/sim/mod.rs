//! A compute service and its identity service, for tests and `baton dev`: what baton asks of them, with faults, and a ledger
//! of what they heard.
//!
//! It takes events for any server, unless it is told to know only those that were announced. The control endpoint under
//! `/control` sets faults and shows the ledger. Its own check: no server was ever in two requests at once.

mod faults;
mod ledger;
mod server;

pub use faults::Faults;
pub use ledger::{Heard, Ledger, Server};
pub use server::{PASSWORD, Simulator, USER};
