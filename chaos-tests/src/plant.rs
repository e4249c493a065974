//! Bugs that are planted to show that the harness catches them. They live in the harness alone: production has no
//! switch for them.

use std::fmt;

/// A planted bug.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Plant {
    /// None.
    #[default]
    None,
    /// Conductors act without a lease: both checks find one that never ends.
    SkipLeaseCheck,
    /// Disks report as synced what they only hold in their buffers; most of it becomes durable later.
    AckBeforeSync,
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::SkipLeaseCheck => "skip-lease-check",
            Self::AckBeforeSync => "ack-before-sync",
        })
    }
}
