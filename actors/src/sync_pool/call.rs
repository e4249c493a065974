//! One call to a BMC, from the last check of the lease to its outcome in the pool's landing channel.

use baton_model::driver::BmcTarget;
use baton_model::json::Json;
use baton_model::node::intent::BmcSession;
use baton_model::pool::{Answer, Job, JobId, Outcome, Work};
use baton_model::port::bmc::{Bmc, BmcError, PowerAction};
use baton_model::port::lease::{LeaseCheck, Leaving};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How far beyond its budget a call may run before it is given up. The port promises to end within the budget; this
/// only keeps a broken promise from holding a place for ever.
const OVERTIME: Duration = Duration::from_secs(2);

/// A call that the pool has let leave.
pub(super) struct Call {
    pub(super) id: JobId,
    pub(super) job: Job,
    pub(super) target: BmcTarget,
    /// What a command carries.
    pub(super) cargo: Json,
    /// The session that a power command must leave in, or that is to be ended.
    pub(super) session: Option<BmcSession>,
    pub(super) budget: Duration,
    pub(super) bmc: Arc<dyn Bmc>,
    pub(super) lease: Arc<dyn LeaseCheck>,
}

/// A call that ended.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) id: JobId,
    pub(super) rtt: Duration,
    pub(super) end: End,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// The port answered; and the session that was open after a read.
    Called(Result<Answer, BmcError>, Option<BmcSession>),
    /// The lease was over; nothing was sent.
    NotMade,
    /// The call panicked, was dropped, or overran its budget.
    Lost,
}

impl End {
    pub(super) const fn outcome(&self) -> Outcome<'_> {
        match self {
            Self::Called(Ok(_), _) => Outcome::Answered,
            Self::Called(Err(error), _) => Outcome::Failed(error),
            Self::NotMade => Outcome::NotMade,
            Self::Lost => Outcome::Lost,
        }
    }
}

/// Reports `Lost` when the call ends in any way but its own.
struct Landing {
    id: JobId,
    started: Instant,
    home: Option<mpsc::Sender<Landed>>,
}

impl Landing {
    fn land(&mut self, end: End) {
        if let Some(home) = self.home.take() {
            let (id, rtt) = (self.id, self.started.elapsed());
            // The channel has a place for every call in flight; it is closed only when the pool is gone.
            if let Err(mpsc::error::TrySendError::Full(lost)) =
                home.try_send(Landed { id, rtt, end })
            {
                tracing::error!(
                    ?lost,
                    "the outcome of a BMC call found no place; please report this as a bug"
                );
            }
        }
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.land(End::Lost);
    }
}

impl Call {
    /// Makes the call and sends its outcome home.
    pub(super) async fn run(self, home: mpsc::Sender<Landed>) {
        let mut landing = Landing {
            id: self.id,
            started: Instant::now(),
            home: Some(home),
        };
        if !self.may_leave() {
            landing.land(End::NotMade);
            return;
        }
        let call = self.make();
        match tokio::time::timeout(self.budget + OVERTIME, call).await {
            Ok((result, session)) => landing.land(End::Called(result, session)),
            Err(_) => {
                let (node, work) = (self.job.node, self.job.work);
                tracing::error!(%node, %work, "a BMC call overran its budget and was dropped; please report this as a bug");
                landing.land(End::Lost);
            }
        }
    }

    /// Whether the lease lets it leave: the last look before the call.
    fn may_leave(&self) -> bool {
        let leaving = match (self.job.work, &self.session) {
            (Work::PowerQuery | Work::Identify | Work::Ask(_), _) => return true,
            (Work::EndSession, Some(_)) => Leaving::EndSession,
            (Work::PowerCommand(action), Some(session)) => Leaving::Command { action, session },
            (Work::PowerCommand(_) | Work::EndSession, None) => return false,
        };
        self.lease.may_write(self.job.node, self.job.epoch, leaving)
    }

    async fn make(&self) -> (Result<Answer, BmcError>, Option<BmcSession>) {
        let (bmc, target, budget) = (&self.bmc, &self.target, self.budget);
        // `may_leave` has seen to it that what needs a session has one.
        let session = self.session.as_ref().unwrap_or(&BmcSession::Unbound);
        match self.job.work {
            Work::PowerQuery => match bmc.power_state(target, budget).await {
                Ok(read) => (Ok(Answer::Power(read.power)), read.session),
                Err(error) => (Err(error), None),
            },
            Work::PowerCommand(PowerAction::Chore(chore)) => {
                let done = bmc.chore(target, chore, &self.cargo, session, budget).await;
                (done.map(|()| Answer::Accepted), None)
            }
            Work::PowerCommand(action) => {
                let accepted = bmc.power_action(target, action, session, budget).await;
                (accepted.map(|()| Answer::Accepted), None)
            }
            Work::EndSession => {
                let ended = bmc.end_session(target, session, budget).await;
                (ended.map(|()| Answer::Ended), None)
            }
            Work::Ask(inquiry) => {
                let told = bmc.ask(target, inquiry, budget).await;
                (told.map(|told| Answer::Disclosed(Box::new(told))), None)
            }
            Work::Identify => {
                let identity = bmc.identify(target, budget).await;
                let answer = identity.map(|identity| Answer::Identity(Box::new(identity)));
                (answer, None)
            }
        }
    }
}
