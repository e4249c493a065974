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
    /// A conductor switches a machine off without an intent, now and then.
    StrayCommand,
    /// Reads are answered from memory, without asking the leader how far it is.
    StaleReads,
    /// One member changes its state by itself.
    Diverge,
    /// Conductors do not hear that others came or went.
    DeafFeed,
    /// Conductors read no machine by themselves.
    NoSync,
    /// Some events are called told that were never sent.
    LoseEvents,
    /// Every process has two notifiers, which know nothing of each other.
    TwoNotifiers,
}

impl fmt::Display for Plant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::SkipLeaseCheck => "skip-lease-check",
            Self::AckBeforeSync => "ack-before-sync",
            Self::StrayCommand => "stray-command",
            Self::StaleReads => "stale-reads",
            Self::Diverge => "diverge",
            Self::DeafFeed => "deaf-feed",
            Self::NoSync => "no-sync",
            Self::LoseEvents => "lose-events",
            Self::TwoNotifiers => "two-notifiers",
        })
    }
}
