//! The session table of a simulated Redfish service: bounded, with idle expiry.

use baton_model::env::Mono;
use std::sync::Arc;
use std::time::Duration;

/// One session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: u32,
    pub(super) user: Arc<str>,
    token: u128,
    last_seen: Mono,
}

/// The table. Empty, it allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    open: Vec<Session>,
}

impl Sessions {
    /// Ends idle sessions and says how many.
    pub(super) fn expire(&mut self, now: Mono, idle: Duration) -> u64 {
        if self.open.is_empty() {
            return 0;
        }
        let before = self.open.len();
        self.open.retain(|s| now.since(s.last_seen) < idle);
        u64::try_from(before - self.open.len()).unwrap_or(0)
    }

    /// Opens one; the caller has checked that there is room.
    pub(super) fn open(&mut self, now: Mono, id: u32, token: [u8; 16], user: Arc<str>) -> String {
        let token = u128::from_be_bytes(token);
        self.open.push(Session {
            id,
            user,
            token,
            last_seen: now,
        });
        format!("{token:032x}")
    }

    /// The session of a token; counts as traffic.
    pub(super) fn touch(&mut self, now: Mono, token: &str) -> Option<&Session> {
        let token = u128::from_str_radix(token, 16).ok()?;
        let session = self.open.iter_mut().find(|s| s.token == token)?;
        session.last_seen = now;
        Some(session)
    }

    /// The session of this id.
    pub(super) fn find(&self, id: &str) -> Option<&Session> {
        let id = id.parse::<u32>().ok()?;
        self.open.iter().find(|s| s.id == id)
    }

    /// Ends one; true if it was open.
    pub(super) fn close(&mut self, id: &str) -> bool {
        let before = self.open.len();
        if let Ok(id) = id.parse::<u32>() {
            self.open.retain(|s| s.id != id);
        }
        self.open.len() != before
    }

    /// Ends all of them.
    pub fn clear(&mut self) {
        self.open = Vec::new();
    }

    /// How many are open.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The open ones: id and user.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &str)> {
        self.open.iter().map(|s| (s.id, &*s.user))
    }
}
