//! What must hold of every run, one property in each file.
//!
//! Each looks at what the world recorded (the oracle's history, the farm's ledgers, the clients' history) once the run is
//! over and everything has healed, and says what is wrong in words that name machine, conductor and moment.

mod acknowledged;
mod agreement;
mod asked_for;
mod drained;
mod fresh;
mod healed;
mod one_commander;
mod one_lease;
mod told;

pub use healed::unhealed;

use crate::world::World;
use baton_model::ids::NodeId;
use std::fmt;

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which one.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

type Check = fn(&World) -> Vec<String>;

/// Every invariant and its name.
const ALL: &[(&str, Check)] = &[
    ("agreement", agreement::check),
    ("one_commander", one_commander::check),
    ("one_lease", one_lease::check),
    ("asked_for", asked_for::check),
    ("acknowledged", acknowledged::check),
    ("told", told::check),
    ("drained", drained::check),
    ("fresh", fresh::check),
    ("healed", healed::check),
];

/// Everything that is wrong with a run.
#[must_use]
pub fn check(world: &World) -> Vec<Violation> {
    ALL.iter()
        .flat_map(|(invariant, check)| {
            check(world)
                .into_iter()
                .map(|what| Violation { invariant, what })
        })
        .collect()
}

/// The first digits of a node's uuid, as in the trace.
fn short(node: NodeId) -> String {
    node.to_string().chars().take(8).collect()
}

/// A moment as in the trace.
fn moment(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}
