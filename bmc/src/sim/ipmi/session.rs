//! The session table of a simulated BMC: bounded, with idle expiry, and what each phase of a session holds.

use crate::ipmi::wire::crypto::{Code, SessionKeys, TrafficKeys};
use crate::ipmi::wire::window::SequenceWindow;
use baton_model::driver::ipmi::{CipherSuite, Privilege};
use baton_model::env::Mono;
use std::sync::Arc;
use std::time::Duration;

/// A session that never got beyond RAKP 3 is forgotten after this long: longer than any client's retransmissions
/// take (ipmitool gives up after about 4 s), short enough that lost handshakes do not fill the table.
const HALF_OPEN: Duration = Duration::from_secs(8);

/// What the BMC knows between RAKP 1 and the first packet of the session.
#[derive(Clone)]
pub(super) struct Proof {
    pub(super) suite: CipherSuite,
    pub(super) user: Arc<str>,
    pub(super) privilege: Privilege,
    pub(super) console_random: [u8; 16],
    pub(super) bmc_random: [u8; 16],
    /// What RAKP 3 must hold.
    pub(super) expected: Code,
    pub(super) keys: SessionKeys,
}

/// An open session.
pub(super) struct Active {
    pub(super) user: Arc<str>,
    /// The privilege now; Set Session Privilege Level changes it.
    pub(super) privilege: Privilege,
    /// The highest it may become.
    pub(super) privilege_max: Privilege,
    pub(super) keys: TrafficKeys,
    pub(super) window: SequenceWindow,
    /// Of the last packet to the console.
    pub(super) sequence: u32,
    /// RAKP 4 is repeated from here until the console shows that it has it.
    pub(super) opening: Option<Box<Proof>>,
}

/// How far a session is.
pub(super) enum Phase {
    /// Open Session was granted.
    Opened {
        suite: CipherSuite,
        /// The console's first tag, by which a repeated request is known.
        tag: u8,
    },
    /// RAKP 2 was sent.
    Proving(Box<Proof>),
    /// RAKP 4 was sent.
    Active(Box<Active>),
}

/// One session.
pub(super) struct Session {
    /// The BMC's id; what the console puts into its packets.
    pub(super) id: u32,
    /// The console's id.
    pub(super) console_id: u32,
    pub(super) last_seen: Mono,
    pub(super) phase: Phase,
}

/// The table. Empty, it allocates nothing.
#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

impl Sessions {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Session> {
        self.0.iter()
    }

    pub(super) fn find_mut(&mut self, id: u32) -> Option<&mut Session> {
        self.0.iter_mut().find(|session| session.id == id)
    }

    pub(super) fn push(&mut self, session: Session) {
        if self.0.capacity() == 0 {
            self.0.reserve_exact(1); // most BMCs ever have one; the default growth would reserve four
        }
        self.0.push(session);
    }

    pub(super) fn remove(&mut self, id: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|session| session.id != id);
        self.0.len() != before
    }

    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Ends idle and half-open sessions that are due; says how many had been open.
    pub(super) fn expire(&mut self, now: Mono, idle: Duration) -> u64 {
        let mut expired = 0;
        self.0.retain(|session| {
            let quiet = now.since(session.last_seen);
            match session.phase {
                Phase::Active(_) => {
                    let keep = quiet < idle;
                    expired += u64::from(!keep);
                    keep
                }
                Phase::Opened { .. } | Phase::Proving(_) => quiet < HALF_OPEN.min(idle),
            }
        });
        expired
    }
}
