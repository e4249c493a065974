//! Host names of BMCs, resolved by the system and remembered briefly.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long an answer is used. The system's resolver has caches of its own that know the real lifetime; this one
/// spares a thread per call while a fleet is polled.
const LIFE: Duration = Duration::from_secs(30);
/// Names remembered. Beyond it the cache starts anew; nothing is lost but time.
const NAMES_MAX: usize = 131_072;

/// The cache.
#[derive(Default)]
pub(super) struct Resolver {
    names: Mutex<HashMap<Box<str>, (IpAddr, Instant)>>,
}

impl Resolver {
    /// The address, if it can be told without asking anybody.
    pub(super) fn known(&self, host: &str) -> Option<IpAddr> {
        if let Ok(address) = host.parse() {
            return Some(address);
        }
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let (address, until) = names.get(host)?;
        (Instant::now() < *until).then_some(*address)
    }

    /// Asks the system.
    pub(super) async fn ask(&self, host: &str) -> io::Result<IpAddr> {
        let address = tokio::net::lookup_host((host, 0))
            .await?
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))?
            .ip();
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= NAMES_MAX {
            names.clear();
        }
        names.insert(host.into(), (address, Instant::now() + LIFE));
        Ok(address)
    }

    /// Forgets a name, for instance because its BMC moved.
    pub(super) fn forget(&self, host: &str) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(host);
    }
}
