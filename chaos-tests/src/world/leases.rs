//! Watches that no lease outlives its session: from the entry that ends a session on, its holder must not believe that it
//! may act. Machines refuse a late command all the same, so without this nobody would notice.

use super::net::Host;
use super::process::Process;
use crate::oracle::Oracle;
use crate::trace::Trace;
use baton_model::command::Session;
use std::collections::BTreeMap;
use std::time::Duration;

/// A lease that was not over when its session was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Overstayed {
    /// When it was noticed.
    pub at: u64,
    /// Where the holder runs.
    pub host: Host,
    /// What was left of the lease then.
    pub left: Duration,
}

/// See the module.
#[derive(Default)]
pub struct Leases {
    overstayed: BTreeMap<Session, Overstayed>,
}

impl Leases {
    /// Looks at every process that runs.
    pub(super) fn look<'a>(
        &mut self,
        at: u64,
        running: impl Iterator<Item = (&'a Host, &'a Process)>,
        oracle: &Oracle,
        trace: &Trace,
    ) {
        for (host, process) in running {
            let Some((session, left)) = process.lease() else {
                continue;
            };
            if left.is_zero() || !oracle.is_over(session) || self.overstayed.contains_key(&session)
            {
                continue;
            }
            trace.note(format_args!(
                "conductor {host} may still act for {} ms, though its session is over",
                left.as_millis()
            ));
            let host = *host;
            self.overstayed
                .insert(session, Overstayed { at, host, left });
        }
    }

    /// Every lease that was not over when its session was.
    #[must_use]
    pub const fn overstayed(&self) -> &BTreeMap<Session, Overstayed> {
        &self.overstayed
    }
}
