//! Configuration: one typed section per component, read from a TOML file and the environment.
//!
//! Owns the option table (`sections/`, one file each; an option is one line with its doc, type, default and bounds), the
//! reading of the file and of `BATON__SECTION__KEY` variables, and everything made from the table: bounds checks,
//! `config show`, the sample file, `docs/configuration.md`, and the answer to "may this change while baton runs?".
//! Options keep Ironic's names and sections; those that Ironic has and baton has no use for are refused with the reason
//! ([`ironic`]).
//!
//! It knows no business rule: what an option *does* is decided where it is used. This is the only crate that reads the
//! environment of the process. Invariant: a [`Config`] that [`Config::load`] returned holds no value out of its bounds.

mod config;
mod contradictions;
pub mod document;
pub mod ironic;
mod live;
mod machine;
mod option;
mod problem;
pub mod sections;
mod show;
mod source;
mod suggest;
mod views;

pub use config::Config;
pub use live::{Change, LiveChange, NotLive, diff_live};
pub use option::kinds::{FakeDelay, Group, HostPort, Interval, Millis, Peer, Seconds};
pub use option::raw::Raw;
pub use option::spec::{Rule, Section, Spec};
pub use option::{Kind, Misfit};
pub use problem::{ConfigErrors, Place, Problem};
pub use source::env::Environment;
