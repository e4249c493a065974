//! Which process each peer is: a conductor lives in one process at a time.
//!
//! A younger life replaces an older one that is gone: its connections are closed, or nothing was heard on them for
//! [`SILENCE`]. While the older one is heard, the younger one is a second process with the same identity and is
//! refused, so it can take nothing from the first. A life that was replaced is never heard again.

use crate::raft::types::RaftId;
use baton_model::ids::Incarnation;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A life with open connections is taken for gone after this silence. Sessions are renewed four times a second and
/// votes come within two; a machine that lost its power closes no connection, and its conductor may be back in seconds.
pub const SILENCE: Duration = Duration::from_secs(3);

struct Seen {
    incarnation: Incarnation,
    life: u64,
    open: usize,
    heard: Instant,
}

/// What is known of everybody's processes.
#[derive(Default)]
pub struct Lives(Mutex<BTreeMap<RaftId, Seen>>);

impl Lives {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<RaftId, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether to hear this caller; if so, it is the conductor's life from now on.
    ///
    /// # Errors
    /// Why not, for the operator of the caller.
    pub fn greet(&self, id: RaftId, incarnation: Incarnation, life: u64) -> Result<(), String> {
        let mut all = self.seen();
        if let Some(seen) = all.get(&id) {
            if seen.life == life {
                return Ok(());
            }
            let alive = seen.open > 0 && seen.heard.elapsed() < SILENCE;
            judge(id, seen, incarnation)?;
            if alive {
                return Err(format!(
                    "conductor {id} runs already, in another process with the same identity; stop this one, and give it a \
                     data directory of its own"
                ));
            }
        }
        all.insert(
            id,
            Seen {
                incarnation,
                life,
                open: 0,
                heard: Instant::now(),
            },
        );
        Ok(())
    }

    /// Whether to believe a peer that answered at its own address; if so, it is the conductor's life from now on.
    ///
    /// # Errors
    /// Why not.
    pub fn answered(&self, id: RaftId, incarnation: Incarnation, life: u64) -> Result<(), String> {
        let mut all = self.seen();
        match all.get(&id) {
            Some(seen) if seen.life == life => Ok(()),
            Some(seen) => judge(id, seen, incarnation),
            None => Ok(()),
        }?;
        let seen = all.entry(id).or_insert_with(|| Seen {
            incarnation,
            life,
            open: 0,
            heard: Instant::now(),
        });
        if seen.life != life {
            *seen = Seen {
                incarnation,
                life,
                open: 0,
                heard: Instant::now(),
            };
        }
        Ok(())
    }

    /// A connection of this life was opened.
    pub fn opened(&self, id: RaftId, life: u64) {
        if let Some(seen) = self.seen().get_mut(&id).filter(|seen| seen.life == life) {
            seen.open += 1;
        }
    }

    /// A connection of this life was closed.
    pub fn closed(&self, id: RaftId, life: u64) {
        if let Some(seen) = self.seen().get_mut(&id).filter(|seen| seen.life == life) {
            seen.open = seen.open.saturating_sub(1);
        }
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

    /// As if `time` had passed since anybody was heard.
    fn pass(lives: &Lives, time: Duration) {
        for seen in lives.seen().values_mut() {
            seen.heard -= time;
        }
    }

    #[test]
    fn a_second_process_is_refused_while_the_first_is_heard() {
        let lives = Lives::default();
        lives.greet(7, ONE, 11).unwrap();
        lives.opened(7, 11);
        let refused = lives.greet(7, TWO, 22).unwrap_err();
        assert!(refused.contains("runs already"), "{refused}");
        assert!(lives.heard(7, 11), "the first one was harmed");
        pass(&lives, SILENCE / 2);
        assert!(lives.heard(7, 11));
        pass(&lives, SILENCE / 2);
        lives.greet(7, TWO, 22).unwrap_err();
    }

    #[test]
    fn a_restart_is_heard_at_once_when_its_connections_are_closed() {
        let lives = Lives::default();
        lives.greet(7, ONE, 11).unwrap();
        lives.opened(7, 11);
        lives.closed(7, 11);
        lives.greet(7, TWO, 22).unwrap();
        assert!(!lives.heard(7, 11), "the older life is still heard");
        assert!(lives.greet(7, ONE, 11).is_err());
    }

    #[test]
    fn a_restart_after_a_power_cut_is_heard_after_a_while() {
        let lives = Lives::default();
        lives.greet(7, ONE, 11).unwrap();
        lives.opened(7, 11);
        pass(&lives, SILENCE);
        lives.greet(7, TWO, 22).unwrap();
        lives.closed(7, 11);
        lives.opened(7, 22);
        assert!(lives.heard(7, 22));
    }

    #[test]
    fn a_copy_that_counts_the_same_life_is_refused_for_good() {
        let lives = Lives::default();
        lives.greet(7, ONE, 11).unwrap();
        let refused = lives.greet(7, ONE, 22).unwrap_err();
        assert!(refused.contains("copy of its data directory"), "{refused}");
        assert!(lives.answered(7, ONE, 22).is_err());
        lives.answered(7, TWO, 33).unwrap();
        assert!(lives.answered(7, ONE, 11).is_err());
    }
}
