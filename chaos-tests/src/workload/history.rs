//! What the clients asked, what they were told, and when.

use crate::world::net::Host;
use baton_model::ids::NodeId;
use baton_model::node::power::PowerRequest;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Enroll the node.
    Create,
    /// Make it manageable.
    Manage,
    /// Change its power.
    Power(PowerRequest),
    /// Write this text, which no other request writes, into its description.
    Write(String),
    /// Read its description, linearizably.
    Read,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create => f.write_str("create"),
            Self::Manage => f.write_str("manage"),
            Self::Power(request) => write!(f, "{request}"),
            Self::Write(text) => write!(f, "write {text}"),
            Self::Read => f.write_str("read"),
        }
    }
}

/// What a client was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// It is done or accepted; the entry that did it, where the answer names one.
    Done(Option<u64>),
    /// The answer to a read.
    Value(Option<String>),
    /// Certainly not done.
    Refused(String),
    /// Perhaps done.
    Unknown(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(Some(index)) => write!(f, "done by entry {index}"),
            Self::Done(None) => f.write_str("accepted"),
            Self::Value(Some(text)) => write!(f, "read {text}"),
            Self::Value(None) => f.write_str("read nothing"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Unknown(why) => write!(f, "unknown: {why}"),
        }
    }
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// Of which conductor.
    pub host: Host,
    /// About which node.
    pub node: NodeId,
    /// What.
    pub ask: Ask,
    /// When it was sent.
    pub from: u64,
    /// When the answer came and what it was; `None` if none came, so it is unknown.
    pub told: Option<(u64, Told)>,
}

/// All requests, by number. Clones are the same history.
#[derive(Clone, Default)]
pub struct History(Arc<Mutex<BTreeMap<u64, Call>>>);

impl History {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<u64, Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request is sent; its number.
    pub fn begin(&self, call: Call) -> u64 {
        let mut calls = self.calls();
        let number = calls.last_key_value().map_or(1, |(last, _)| last + 1);
        calls.insert(number, call);
        number
    }

    /// Its answer has come.
    pub fn end(&self, number: u64, at: u64, told: Told) {
        if let Some(call) = self.calls().get_mut(&number) {
            call.told = Some((at, told));
        }
    }

    /// The node of the write that was acknowledged last.
    #[must_use]
    pub fn last_written(&self) -> Option<NodeId> {
        let calls = self.calls();
        let written = calls
            .values()
            .filter_map(|call| match (&call.ask, &call.told) {
                (Ask::Write(_), Some((at, Told::Done(_)))) => Some((*at, call.node)),
                _ => None,
            });
        written.max_by_key(|(at, _)| *at).map(|(_, node)| node)
    }

    /// Every request.
    #[must_use]
    pub fn all(&self) -> BTreeMap<u64, Call> {
        self.calls().clone()
    }
}
