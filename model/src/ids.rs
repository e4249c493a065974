//! Newtypes for every id and counted thing, so that no two of them can be mixed up.

use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The UUID of a managed machine; Ironic's `node.uuid`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub Uuid);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl $name {
            /// The next value; saturates, which at one step a nanosecond takes 584 years.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

counted! {
    /// A conductor: one process of the cluster, and its Raft participant id.
    ConductorId;
    /// One life of a conductor process; a restart draws a higher one, so a late packet of the old life is told apart.
    Incarnation;
    /// One tenure over a node. It grows when a different owner first acts and when a lock is broken; it fences every effect.
    Epoch;
    /// The version of a replicated record; each change of it draws a higher one.
    Revision;
    /// Names one running question or action of one actor, so that a late answer is recognised as late.
    Ticket;
    /// The position of an entry in the Raft log.
    LogIndex;
    /// One open or closed intent of a node (the exclusive lock); unique per node.
    IntentId;
    /// A wall-clock instant in milliseconds since the Unix epoch. It labels records and never decides anything.
    WallMs;
}

/// Where in the log a proposal stands: its entry, and its place among the proposals of that entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// The entry.
    pub index: LogIndex,
    /// The place in it, from 0, below [`Position::PLACES`].
    pub place: u8,
}

impl Position {
    /// Proposals that an entry may carry. Places are numbered in what is left of 64 bits beside an index, and a group
    /// commit of this size already costs each proposal next to nothing.
    pub const PLACES: usize = 1 << u8::BITS;

    /// A number that grows with every proposal of the log and belongs to one of them alone.
    #[must_use]
    pub const fn serial(self) -> u64 {
        (self.index.0 << u8::BITS) | self.place as u64
    }
}

impl From<LogIndex> for Position {
    fn from(index: LogIndex) -> Self {
        Self { index, place: 0 }
    }
}

/// The id of one API request, `req-<uuid>`; replaying a request with the same id does nothing twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RequestId(pub Box<str>);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
