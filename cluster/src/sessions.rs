//! Sessions at the leader: notes renewals, and declares over what was not renewed.
//!
//! A renewal is granted only after the leader proved its leadership to a majority. So a leader that was replaced without
//! knowing it renews nothing, and the one that replaced it can tell how long sessions may still live (`model::session`).

use crate::answers::read_index;
use crate::codec::peer::{NotDone, Request, Response};
use crate::codec::raft::Blob;
use crate::codec::state::encode_proposal;
use crate::handle::{Cluster, Inner};
use crate::lease::LeaderLease;
use crate::raft::types::{Raft, RaftId};
use crate::watch;
use baton_model::command::{Command, Proposal, ProposalId, Session};
use baton_model::env::{Env, Mono};
use baton_model::ids::{ConductorId, Incarnation};
use baton_model::port::BoxFuture;
use baton_model::port::cluster::{ProposeError, RenewError, Sessions};
use baton_model::session::{SessionPeriods, SessionTracker};
use baton_model::state::{ConductorStatus, StateView};
use openraft::async_runtime::watch::WatchReceiver;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Lives that one process may begin; they share its incarnation's upper bits. At two a second, nine hours of a cluster that
/// takes none of them, after which the process has to be restarted.
const LIVES_PER_PROCESS: u64 = 1 << 16;

/// What a member knows of sessions.
pub(crate) struct SessionBook {
    periods: SessionPeriods,
    lease: Arc<LeaderLease>,
    env: Env,
    view: StateView,
    applied: watch::Receiver<u64>,
    office: Mutex<Option<Office>>,
    lives: AtomicU64,
}

/// One term of leadership of this member.
struct Office {
    term: u64,
    tracker: SessionTracker,
    looked: Mono,
}

impl SessionBook {
    pub(crate) const fn new(
        periods: SessionPeriods,
        lease: Arc<LeaderLease>,
        env: Env,
        view: StateView,
        applied: watch::Receiver<u64>,
    ) -> Self {
        Self {
            periods,
            lease,
            env,
            view,
            applied,
            office: Mutex::new(None),
            lives: AtomicU64::new(0),
        }
    }

    /// The replicated state.
    pub(crate) fn view(&self) -> StateView {
        self.view.clone()
    }

    /// Answers a renewal, as the leader. It keeps the session from being declared over from when it arrives, though a slow
    /// disk or a slow majority may put its answer off; what the holder may do counts from when it sent it.
    pub(crate) async fn renew(&self, raft: &Raft, session: Session) -> Response {
        let arrived = self.env.clock.now();
        if let Some(office) = &mut *self.office() {
            office.tracker.heard(session, arrived);
        }
        let index = match read_index(raft).await {
            Ok(index) => index,
            Err(not_done) => return Response::NotDone(not_done),
        };
        // A former leader may have declared the session over in an entry that is not applied here yet.
        let mut applied = self.applied.clone();
        if applied.wait_for(|applied| *applied >= index).await.is_err() {
            return Response::NotDone(NotDone::NotLeader(None));
        }
        if !self.view.read().is_live(session) {
            return Response::SessionOver;
        }
        let term = term_of(raft);
        match &mut *self.office() {
            // It may have arrived before this office began, or in an earlier one.
            Some(office) if office.term == term => {
                if office.tracker.grant(session, arrived) {
                    Response::Renewed
                } else {
                    // The entry that says so is on its way.
                    Response::SessionOver
                }
            }
            // The watch has not seen yet that this member leads; the next try finds it in office.
            Some(_) | None => Response::NotDone(NotDone::NotLeader(None)),
        }
    }

    /// As the leader: whose session is over, and when to look again.
    fn look(&self, term: u64, former: Option<RaftId>) -> (Vec<Session>, Duration) {
        let now = self.env.clock.now();
        let tick = self.periods.margin() / 4;
        let live: Vec<Session> = {
            let state = self.view.read();
            let live = state
                .conductors()
                .iter()
                .filter(|(_, record)| record.status != ConductorStatus::Down);
            live.map(|(id, record)| Session {
                conductor: *id,
                incarnation: record.incarnation,
            })
            .collect()
        };
        let mut office = self.office();
        if office.as_ref().is_none_or(|office| office.term != term) {
            let mut tracker = SessionTracker::new(self.periods);
            // The voters that elected this member had not heard from the former leader for a whole lease, and without any
            // of them the former leader could prove nothing: its last renewal is at least that old.
            let former = former.filter(|_| self.lease.kept());
            for session in live
                .iter()
                .filter(|session| Some(session.conductor.0) == former)
            {
                tracker.heard(*session, now - self.lease.period());
            }
            *office = Some(Office {
                term,
                tracker,
                looked: now,
            });
        }
        let Some(office) = &mut *office else {
            return (Vec::new(), tick);
        };
        // Who could not look could not hear either.
        let deaf = now.since(office.looked).saturating_sub(tick * 2);
        if !deaf.is_zero() {
            office.tracker.forgive(deaf, now);
        }
        office.looked = now;
        let (over, next) = office.tracker.expired(live, now);
        let pause = next.map_or(tick, |at| {
            at.since(now).clamp(Duration::from_millis(1), tick)
        });
        (over, pause)
    }

    fn leave_office(&self) {
        *self.office() = None;
    }

    fn office(&self) -> MutexGuard<'_, Option<Office>> {
        self.office.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn term_of(raft: &Raft) -> u64 {
    raft.metrics().borrow_watched().current_term
}

/// Watches sessions for as long as the member runs; acts only while it leads.
pub(crate) async fn watch(inner: Weak<Inner>) {
    let mut former = None;
    loop {
        let Some(strong) = inner.upgrade() else {
            return;
        };
        let stop = strong.stop.clone();
        let (leader, term) = {
            let metrics = strong.raft.metrics();
            let metrics = metrics.borrow_watched();
            (metrics.current_leader, metrics.current_term)
        };
        let me = strong.local.id;
        let book = strong.answers.sessions.clone();
        let pause = if leader == Some(me) {
            let (over, pause) = book.look(term, former);
            for session in over {
                tracing::warn!(
                    conductor = %session.conductor, incarnation = %session.incarnation,
                    "a conductor did not renew its session and is declared down"
                );
                if let Err(reason) = declare_down(&strong, term, session).await {
                    tracing::warn!(conductor = %session.conductor, reason, "could not declare it down yet");
                }
            }
            pause
        } else {
            book.leave_office();
            former = leader.or(former);
            book.periods.margin() / 4
        };
        drop(strong);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Writes into the log what the leader of `term` has found: here and nowhere else. A proposal that travels on to the next
/// leader would end a session that this one has renewed meanwhile, on the word of one that could hear nobody.
async fn declare_down(inner: &Inner, term: u64, session: Session) -> Result<(), String> {
    let limit = inner.answers.sessions.periods.ttl;
    let written = async {
        let seat = inner.window.enter().await;
        let proposal = Proposal {
            id: ProposalId {
                conductor: ConductorId(inner.local.id),
                incarnation: inner.local.incarnation,
                seq: seat.seq,
            },
            at: inner.env.clock.wall(),
            command: Command::ConductorDown(session),
        };
        let frame = encode_proposal(&proposal).map_err(|error| error.to_string())?;
        if term_of(&inner.raft) != term {
            return Err("the term is over".to_owned());
        }
        match inner
            .answers
            .answer_self(Request::Propose(Blob::from(frame)))
            .await
        {
            Response::Proposed { .. } => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    tokio::time::timeout(limit, written)
        .await
        .unwrap_or_else(|_| Err("there is no quorum".to_owned()))
}

impl Sessions for Cluster {
    fn renew(&self, session: Session) -> BoxFuture<'_, Result<(), RenewError>> {
        Box::pin(async move {
            let patience = self.session_book().periods.ttl / 2;
            match self.ask_leader(patience, &Request::Renew(session)).await {
                Ok(Response::Renewed) => Ok(()),
                Ok(Response::SessionOver) => Err(RenewError::Over),
                Ok(other) => Err(RenewError::Unavailable(
                    format!("the leader answered something else: {other:?}").into(),
                )),
                Err(failure) => Err(RenewError::Unavailable(failure.reason.into())),
            }
        })
    }

    fn next_incarnation(&self) -> BoxFuture<'_, Result<Incarnation, ProposeError>> {
        Box::pin(async move {
            let life = self.session_book().lives.fetch_add(1, Ordering::Relaxed);
            if life >= LIVES_PER_PROCESS {
                return Err(ProposeError::Unavailable {
                    reason: "this process has begun too many lives; restart it".into(),
                });
            }
            // The process's own incarnation is durable and grows with every start.
            Ok(Incarnation(
                self.incarnation()
                    .0
                    .saturating_mul(LIVES_PER_PROCESS)
                    .saturating_add(life),
            ))
        })
    }
}
