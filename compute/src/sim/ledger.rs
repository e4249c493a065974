//! What the simulated service heard, and what it makes of it.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use uuid::Uuid;

/// Events that are kept, the newest ones.
const HEARD_MAX: usize = 20_000;
/// Servers that are kept: more than the machines of any test.
const SERVERS_MAX: usize = 500_000;

/// One event that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Heard {
    /// Counts up.
    pub number: u64,
    /// The request that it came in.
    pub request: u64,
    /// The server.
    pub server: Uuid,
    /// `POWER_ON` or `POWER_OFF`.
    pub tag: Box<str>,
}

/// A server as the service records it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Whether it is on; unknown until the first event.
    pub on: Option<bool>,
    /// The task that is running, during which power events are dropped.
    pub task: Option<Box<str>>,
    /// Events taken.
    pub events: u64,
}

/// What was heard.
#[derive(Debug, Default)]
pub struct Ledger {
    pub(super) heard: VecDeque<Heard>,
    pub(super) servers: BTreeMap<Uuid, Server>,
    pub(super) under_way: BTreeMap<Uuid, u32>,
    /// Requests for events.
    pub requests: u64,
    /// Events taken.
    pub events: u64,
    /// Events whose server had that state already: told again, or needlessly.
    pub repeats: u64,
    /// Events whose server was in another request at that time: their order is not safe.
    pub overlaps: u64,
    /// The largest batch.
    pub largest: usize,
}

impl Ledger {
    /// The servers of a request begin to be under way.
    pub(super) fn begin(&mut self, servers: &BTreeSet<Uuid>) -> u64 {
        self.requests += 1;
        self.largest = self.largest.max(servers.len());
        for server in servers {
            let count = self.under_way.entry(*server).or_default();
            *count += 1;
            if *count > 1 {
                self.overlaps += 1;
            }
        }
        self.requests
    }

    pub(super) fn end(&mut self, servers: &BTreeSet<Uuid>) {
        for server in servers {
            if let Some(count) = self.under_way.get_mut(server) {
                *count -= 1;
                if *count == 0 {
                    self.under_way.remove(server);
                }
            }
        }
    }

    pub(super) fn take(&mut self, request: u64, server: Uuid, tag: &str, effect: bool) {
        self.events += 1;
        let known = self.servers.contains_key(&server);
        if known || self.servers.len() < SERVERS_MAX {
            let record = self.servers.entry(server).or_default();
            let on = tag == "POWER_ON";
            record.events += 1;
            self.repeats += u64::from(record.on == Some(on));
            if effect && record.task.is_none() {
                record.on = Some(on);
            }
        }
        if self.heard.len() == HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard {
            number: self.events,
            request,
            server,
            tag: tag.into(),
        });
    }

    /// The newest events, oldest first.
    pub fn heard(&self) -> impl ExactSizeIterator<Item = &Heard> {
        self.heard.iter()
    }

    /// What is recorded of a server.
    #[must_use]
    pub fn server(&self, id: Uuid) -> Option<&Server> {
        self.servers.get(&id)
    }
}
