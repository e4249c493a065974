//! Which process each peer is: a conductor lives in one process at a time.
//!
//! Whoever has the place keeps it for as long as it may live. A process with a later life is heard at once if the one
//! before it was never heard here. Otherwise somebody has to go and see who is at the conductor's own address
//! ([`Greeting::Unsure`]): a conductor that was started again is found there itself, and a second process on a copy of
//! the data finds the first one there. A life that was replaced is never heard again.
//!
//! Neither a closed connection nor silence tells that a process is gone: one that gets no time to run is silent, and
//! closes connections on which it was answered late.

use crate::raft::types::RaftId;
use baton_model::ids::Incarnation;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A process on a machine that cannot be reached is taken for gone after this silence. Sessions are renewed seven times
/// a second and end after 0.6 s; the network may lose a neighbour for a second or two.
pub const SILENCE: Duration = Duration::from_secs(3);

struct Seen {
    incarnation: Incarnation,
    life: u64,
    heard: Instant,
}

/// What is known of everybody's processes.
#[derive(Default)]
pub struct Lives(Mutex<BTreeMap<RaftId, Seen>>);

/// What to do with a process that says that it is a conductor.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Greeting {
    /// It is.
    Heard,
    /// Another process was, so long ago. It has to be seen whether that one is gone.
    Unsure {
        /// Since it was heard.
        silent: Duration,
    },
    /// It is not: a later process was heard, or another one of the same life.
    Refused(String),
}

/// What is found at a conductor's own address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// A process of that conductor; the number that it drew.
    Process(u64),
    /// The machine, and no such process.
    Nobody,
    /// Something that takes connections and says nothing: a process that is stopped.
    Mute,
    /// Nothing that could be reached.
    Nothing,
}

impl Found {
    /// Whether the process that drew `life` may take the place of another one that was `silent` for so long.
    ///
    /// # Errors
    /// Why not.
    pub fn judge(self, id: RaftId, life: u64, silent: Duration) -> Result<(), Denied> {
        match self {
            Self::Process(found) if found == life => Ok(()),
            Self::Nobody => Ok(()),
            Self::Nothing if silent >= SILENCE => Ok(()),
            Self::Process(_) => Err(Denied {
                reason: runs_already(id),
                twin: true,
            }),
            Self::Mute => Err(Denied {
                reason: format!(
                    "another process of conductor {id} is at its address and does not answer; end that one first if it \
                     is stuck"
                ),
                twin: false,
            }),
            Self::Nothing => Err(Denied {
                reason: format!(
                    "another process of conductor {id} was heard {} ms ago, and its machine cannot be reached now",
                    silent.as_millis()
                ),
                twin: false,
            }),
        }
    }
}

/// Why a process is not heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denied {
    /// In words.
    pub reason: String,
    /// It never will be: it is the second of two.
    pub twin: bool,
}

fn runs_already(id: RaftId) -> String {
    format!(
        "conductor {id} runs already, in another process with the same identity; stop this one, and give it a data \
         directory of its own"
    )
}

impl Lives {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<RaftId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to hear this caller; if so, it is the conductor's life from now on.
    pub fn greet(&self, id: RaftId, incarnation: Incarnation, life: u64) -> Greeting {
        let mut all = self.seen();
        match all.get(&id) {
            Some(seen) if seen.life == life => Greeting::Heard,
            Some(seen) => match judge(id, seen, incarnation) {
                Ok(()) => Greeting::Unsure {
                    silent: seen.heard.elapsed(),
                },
                Err(reason) => Greeting::Refused(reason),
            },
            None => {
                all.insert(id, Seen::now(incarnation, life));
                Greeting::Heard
            }
        }
    }

    /// Whether to believe that this process has a conductor's place: it answered at the conductor's own address, or the
    /// one before it was found to be gone. If so, it is the conductor's life from now on.
    ///
    /// # Errors
    /// Why not.
    pub fn answered(&self, id: RaftId, incarnation: Incarnation, life: u64) -> Result<(), String> {
        let mut all = self.seen();
        match all.get(&id) {
            Some(seen) if seen.life == life => return Ok(()),
            Some(seen) => judge(id, seen, incarnation)?,
            None => {}
        }
        all.insert(id, Seen::now(incarnation, life));
        Ok(())
    }

    /// How long nothing came from this conductor; `None` if nothing ever did.
    pub fn silence(&self, id: RaftId) -> Option<Duration> {
        self.seen().get(&id).map(|seen| seen.heard.elapsed())
    }

    /// Something came from this life. Whether it is still the conductor's life.
    pub fn heard(&self, id: RaftId, life: u64) -> bool {
        match self.seen().get_mut(&id) {
            Some(seen) if seen.life == life => {
                seen.heard = Instant::now();
                true
            }
            Some(_) => false,
            None => true,
        }
    }
}

impl Seen {
    fn now(incarnation: Incarnation, life: u64) -> Self {
        Self {
            incarnation,
            life,
            heard: Instant::now(),
        }
    }
}

/// Lives are counted on disk, so a higher count is a later start.
fn judge(id: RaftId, seen: &Seen, incarnation: Incarnation) -> Result<(), String> {
    if incarnation < seen.incarnation {
        return Err(format!(
            "conductor {id} was started again since; this is its older process, or one on an old copy of its data"
        ));
    }
    if incarnation == seen.incarnation {
        return Err(format!(
            "another process was conductor {id} in this same life; this one runs on a copy of its data directory and \
             must join as a new member"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Incarnation = Incarnation(1);
    const TWO: Incarnation = Incarnation(2);

    #[test]
    fn a_later_process_takes_the_place_only_once_it_was_seen_there() {
        let lives = Lives::default();
        assert_eq!(lives.greet(7, ONE, 11), Greeting::Heard);
        assert!(matches!(lives.greet(7, TWO, 22), Greeting::Unsure { .. }));
        assert!(lives.heard(7, 11), "the first one was harmed");
        assert!(!lives.heard(7, 22), "the second one was heard unseen");
        lives.answered(7, TWO, 22).unwrap();
        assert_eq!(lives.greet(7, TWO, 22), Greeting::Heard);
        assert!(!lives.heard(7, 11), "the older life is still heard");
        assert!(matches!(lives.greet(7, ONE, 11), Greeting::Refused(_)));
    }

    #[test]
    fn a_copy_that_counts_the_same_life_is_refused_for_good() {
        let lives = Lives::default();
        assert_eq!(lives.greet(7, ONE, 11), Greeting::Heard);
        let Greeting::Refused(reason) = lives.greet(7, ONE, 22) else {
            panic!("it was not refused");
        };
        assert!(reason.contains("copy of its data directory"), "{reason}");
        assert!(lives.answered(7, ONE, 22).is_err());
        lives.answered(7, TWO, 33).unwrap();
        assert!(lives.answered(7, ONE, 11).is_err());
    }

    #[test]
    fn who_has_the_place_keeps_it_while_it_may_live() {
        let judged = |found: Found, silent| found.judge(7, 22, silent).map_err(|no| no.twin);
        for silent in [Duration::ZERO, SILENCE * 20] {
            assert_eq!(judged(Found::Process(22), silent), Ok(()));
            assert_eq!(judged(Found::Nobody, silent), Ok(()));
            assert_eq!(judged(Found::Process(11), silent), Err(true));
            // It is stopped, and may go on at any moment.
            assert_eq!(judged(Found::Mute, silent), Err(false));
        }
        assert_eq!(judged(Found::Nothing, SILENCE / 2), Err(false));
        assert_eq!(judged(Found::Nothing, SILENCE), Ok(()));
    }
}
