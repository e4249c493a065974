//! What is kept per BMC between calls, and for how long.
//!
//! A [`Link`] holds one connection at most, the session, and what was learned about the BMC. Its lock is the promise
//! that only one conversation with a BMC runs at a time. A clock hand moves one place with every call: it closes
//! connections that nobody used for a while and drops links that nobody used for long, so everything here is bounded
//! without a task of its own. The invariant: a link that leaves the table is marked `retired` in the same breath, so
//! that nobody logs in on it afterwards and whoever still holds it ends its session.

use super::answer::ResetAction;
use super::stream::{Endpoint, Stream};
use super::tls::TicketSlot;
use crate::vendor::Vendor;
use baton_model::driver::redfish::RedfishTarget;
use hyper::Uri;
use hyper::header::HeaderValue;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::Instant;

/// Places the clock hand moves per call: every link is looked at once while each of them is called once.
const HAND_STEPS: usize = 1;
/// Places the hand moves at most in search of somebody to make room; after that the first one it saw has to.
const EVICTION_STEPS: usize = 256;

/// How a BMC is logged in to, as far as that has been found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Login {
    /// Not tried yet.
    Unknown,
    /// A session worked here; nothing weaker is tried any more.
    Session,
    /// The BMC has no sessions for us; basic works or is being tried.
    Basic,
}

/// An open Redfish session.
pub(super) struct RedfishSession {
    /// `X-Auth-Token`.
    pub(super) token: HeaderValue,
    /// The session's own resource, to be deleted at the end.
    pub(super) location: Option<Uri>,
}

/// Everything kept about one BMC. Held by one conversation at a time.
pub(super) struct Link {
    pub(super) target: Arc<RedfishTarget>,
    pub(super) stream: Option<Stream>,
    pub(super) tickets: Arc<TicketSlot>,
    /// `Host`.
    pub(super) host: HeaderValue,
    /// `Authorization` for basic, made when first needed.
    pub(super) basic: Option<HeaderValue>,
    pub(super) login: Login,
    pub(super) session: Option<RedfishSession>,
    /// `Links.Sessions` of the service root.
    pub(super) sessions: Option<Uri>,
    /// `Systems` of the service root.
    pub(super) systems: Option<Uri>,
    /// The system to manage.
    pub(super) system: Option<Uri>,
    /// How to reset it; known after the first whole read.
    pub(super) reset: Option<Box<ResetAction>>,
    pub(super) vendor: &'static Vendor,
    /// Until when "on" means nothing yet: the BMC took a restart a moment ago.
    pub(super) settles_until: Option<Instant>,
    /// The BMC refused `Accept-Encoding: identity`.
    pub(super) any_encoding: bool,
    /// Shared with the link's place in the table.
    retired: Arc<AtomicBool>,
}

impl Link {
    fn new(target: Arc<RedfishTarget>, retired: Arc<AtomicBool>) -> Self {
        let host = HeaderValue::from_str(Endpoint::of(&target).authority)
            .unwrap_or_else(|_| HeaderValue::from_static("bmc"));
        Self {
            target,
            stream: None,
            tickets: Arc::default(),
            host,
            basic: None,
            login: Login::Unknown,
            session: None,
            sessions: None,
            systems: None,
            system: None,
            reset: None,
            vendor: Vendor::generic(),
            settles_until: None,
            any_encoding: false,
            retired,
        }
    }

    /// Whether it has left the table; then the BMC must be looked up again.
    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// The path of the open session.
    pub(super) fn session_path(&self) -> Option<&str> {
        let session = self.session.as_ref()?;
        session.location.as_ref().map(Uri::path)
    }

    /// Forgets where things are on this BMC, not who we are to it.
    pub(super) fn forget_paths(&mut self) {
        self.sessions = None;
        self.systems = None;
        self.system = None;
        self.reset = None;
    }
}

/// One place in the table.
pub(super) struct Entry {
    pub(super) link: Arc<AsyncMutex<Link>>,
    target: Arc<RedfishTarget>,
    /// Milliseconds since the pool was made.
    used_ms: AtomicU64,
    /// Set by every use, cleared by the hand: second chance.
    used_since_hand: AtomicBool,
    /// It is no longer in the map.
    retired: Arc<AtomicBool>,
}

impl Entry {
    /// Closes the connection, if there is one and nobody is using it.
    fn close(&self) -> bool {
        self.link
            .try_lock()
            .is_ok_and(|mut link| link.stream.take().is_some())
    }

    /// Leaves the map. The caller ends the session once it gets the link's lock.
    fn retire(&self, entries: &mut HashMap<Arc<RedfishTarget>, Arc<Self>>) -> Retired {
        self.retired.store(true, Ordering::Release);
        entries.remove(&self.target);
        Arc::clone(&self.link)
    }
}

/// How much is kept and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) targets_max: usize,
    pub(super) target_idle: Duration,
    pub(super) connections_max: usize,
    pub(super) connection_idle: Duration,
}

/// All links.
pub(super) struct Pool {
    limits: Limits,
    started: Instant,
    /// Open connections, counted by the connections themselves.
    pub(super) open: Arc<AtomicUsize>,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Arc<RedfishTarget>, Arc<Entry>>,
    /// Every entry once; the front is where the hand stands. May name entries that have left the map.
    ring: VecDeque<Arc<Entry>>,
}

/// A link that has left the table and may still hold a session to end.
pub(super) type Retired = Arc<AsyncMutex<Link>>;

impl Pool {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            started: Instant::now(),
            open: Arc::default(),
            table: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The link of a target, made if need be, and whatever the hand retired on its way.
    pub(super) fn link(&self, target: &Arc<RedfishTarget>) -> (Retired, Vec<Retired>) {
        let now = self.now_ms();
        let mut table = self.lock();
        let mut retired = Vec::new();
        // One step more while the ring names entries that have left, so that they go faster than they come.
        let extra = usize::from(table.ring.len() > table.entries.len());
        self.move_hand(&mut table, HAND_STEPS + extra, now, &mut retired);
        if let Some(entry) = table.entries.get(target) {
            entry.used_ms.store(now, Ordering::Relaxed);
            entry.used_since_hand.store(true, Ordering::Relaxed);
            return (Arc::clone(&entry.link), retired);
        }
        if table.entries.len() >= self.limits.targets_max {
            self.make_room(&mut table, &mut retired);
        }
        let gone = Arc::new(AtomicBool::new(false));
        let link = Link::new(Arc::clone(target), Arc::clone(&gone));
        let entry = Arc::new(Entry {
            link: Arc::new(AsyncMutex::new(link)),
            target: Arc::clone(target),
            used_ms: AtomicU64::new(now),
            used_since_hand: AtomicBool::new(true),
            retired: gone,
        });
        table.entries.insert(Arc::clone(target), Arc::clone(&entry));
        table.ring.push_back(Arc::clone(&entry));
        (Arc::clone(&entry.link), retired)
    }

    /// Looks at the next entries of the ring and ends what is idle.
    fn move_hand(&self, table: &mut Table, steps: usize, now: u64, retired: &mut Vec<Retired>) {
        let connection_idle = millis(self.limits.connection_idle);
        let target_idle = millis(self.limits.target_idle);
        for _ in 0..steps.min(table.ring.len()) {
            let Some(entry) = table.ring.pop_front() else {
                return;
            };
            if entry.retired.load(Ordering::Acquire) {
                continue; // it has left the map before; this was the last trace of it
            }
            let idle = now.saturating_sub(entry.used_ms.load(Ordering::Relaxed));
            if idle >= target_idle {
                retired.push(entry.retire(&mut table.entries));
                continue;
            }
            if idle >= connection_idle {
                entry.close();
            }
            table.ring.push_back(entry);
        }
    }

    /// Retires the first entry of the ring that nobody used since the hand was last there; if all were used, the first.
    fn make_room(&self, table: &mut Table, retired: &mut Vec<Retired>) {
        let mut spare = None;
        for _ in 0..EVICTION_STEPS.min(table.ring.len()) {
            let Some(entry) = table.ring.pop_front() else {
                break;
            };
            if entry.retired.load(Ordering::Acquire) {
                continue;
            }
            if !entry.used_since_hand.swap(false, Ordering::Relaxed) {
                retired.push(entry.retire(&mut table.entries));
                return;
            }
            spare.get_or_insert_with(|| Arc::clone(&entry));
            table.ring.push_back(entry);
        }
        if let Some(entry) = spare {
            retired.push(entry.retire(&mut table.entries));
        }
    }

    /// Whether one more connection would be one too many.
    pub(super) fn is_full(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.limits.connections_max
    }

    /// Whether more connections are open than may be: calls in flight took them.
    pub(super) fn is_over(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.limits.connections_max
    }

    /// Closes one connection that nobody used lately. Its link, and so its session and TLS ticket, stay.
    pub(super) fn close_one(&self) {
        let mut table = self.lock();
        let mut spare = None;
        for _ in 0..EVICTION_STEPS.min(table.ring.len()) {
            let Some(entry) = table.ring.pop_front() else {
                break;
            };
            let second_chance = entry.used_since_hand.swap(false, Ordering::Relaxed);
            let closed = !second_chance && entry.close();
            if second_chance && spare.is_none() {
                spare = Some(Arc::clone(&entry));
            }
            table.ring.push_back(entry);
            if closed {
                return;
            }
        }
        // Everybody was used since the hand came by: take the first one all the same.
        if let Some(entry) = spare {
            entry.close();
        }
    }

    /// Takes a target out of the table.
    pub(super) fn remove(&self, target: &RedfishTarget) -> Option<Retired> {
        let mut table = self.lock();
        let entry = table.entries.get(target).map(Arc::clone)?;
        Some(entry.retire(&mut table.entries))
    }

    /// Empties the table.
    pub(super) fn drain(&self) -> Vec<Retired> {
        let mut table = self.lock();
        let ring = std::mem::take(&mut table.ring);
        ring.iter()
            .filter(|entry| !entry.retired.load(Ordering::Acquire))
            .map(|entry| entry.retire(&mut table.entries))
            .collect()
    }

    /// How many targets are known.
    pub(super) fn len(&self) -> usize {
        self.lock().entries.len()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
