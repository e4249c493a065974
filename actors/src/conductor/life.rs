//! The lives of a conductor: begun with a durable incarnation, kept alive by renewals, ended by a drain or by silence.

use super::ConductorActor;
use super::drain::TOLD_WITHIN;
use actix::{
    ActorFutureExt, AsyncContext, Context, Handler, Message, ResponseActFuture, WrapFuture,
};
use baton_model::command::{Command, Refusal, Reply};
use baton_model::port::cluster::RenewError;
use std::time::Duration;

/// While the cluster cannot take a new life, how often to try. An election takes about a second.
const BEGIN_AGAIN: Duration = Duration::from_millis(500);

impl ConductorActor {
    /// Begins a life: draws an incarnation, tells the cluster, and renews from then on.
    pub(super) fn begin_life(&mut self, ctx: &mut Context<Self>) {
        let sessions = self.shared.sessions.clone();
        let drawn = async move { sessions.next_incarnation().await };
        let begun = drawn
            .into_actor(self)
            .map(|incarnation, actor, ctx| match incarnation {
                Ok(incarnation) => {
                    actor.shared.failures.clear();
                    actor.shared.lease.begin(incarnation);
                    actor.announce(ctx);
                }
                Err(error) => {
                    tracing::warn!(%error, "could not draw an incarnation; trying again");
                    ctx.run_later(BEGIN_AGAIN, |actor, ctx| actor.begin_life(ctx));
                }
            });
        ctx.spawn(begun);
    }

    fn announce(&mut self, ctx: &mut Context<Self>) {
        let proposer = self.shared.proposer.clone();
        let command = self.up();
        let proposed = async move { proposer.propose(command).await };
        let announced = proposed.into_actor(self).map(|result, actor, ctx| match result {
            Ok(Reply::Done { .. }) => {
                let session = actor.shared.lease.session();
                tracing::info!(conductor = %session.conductor, incarnation = %session.incarnation, "a life begins");
                actor.renew(ctx);
            }
            Ok(Reply::Refused(Refusal::HostTaken)) => {
                tracing::error!(
                    host = &*actor.profile.host,
                    "another conductor that is alive has this host name; give this one its own in [DEFAULT] host"
                );
                ctx.run_later(BEGIN_AGAIN, |actor, ctx| actor.announce(ctx));
            }
            Ok(Reply::Refused(_)) => {
                ctx.run_later(BEGIN_AGAIN, |actor, ctx| actor.begin_life(ctx));
            }
            Err(error) => {
                tracing::debug!(%error, "the cluster cannot take a new life yet; trying again");
                ctx.run_later(BEGIN_AGAIN, |actor, ctx| actor.announce(ctx));
            }
        });
        ctx.spawn(announced);
    }

    /// The group changed in the middle of a life: the same life says so. If it drains, it goes on draining.
    pub(super) fn announce_again(&mut self, ctx: &mut Context<Self>) {
        let session = self.shared.lease.session();
        if !self.shared.state.read().is_live(session) {
            return;
        }
        let proposer = self.shared.proposer.clone();
        let command = self.up();
        let proposed = async move { proposer.propose(command).await };
        let told = proposed
            .into_actor(self)
            .map(|result, _, ctx| match result {
                Ok(Reply::Done { .. }) => {}
                Ok(Reply::Refused(refusal)) => {
                    tracing::warn!(?refusal, "the new conductor group was not accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "the new conductor group was not stored; trying again");
                    ctx.run_later(BEGIN_AGAIN, |actor, ctx| actor.announce_again(ctx));
                }
            });
        ctx.spawn(told);
    }

    /// Renews once and again. The lease is counted from when the renewal was sent.
    fn renew(&mut self, ctx: &mut Context<Self>) {
        let session = self.shared.lease.session();
        let sent = self.shared.env.clock.now();
        let sessions = self.shared.sessions.clone();
        let answered = async move { sessions.renew(session).await };
        let renewed = answered.into_actor(self).map(move |result, actor, ctx| {
            if actor.shared.lease.session() != session {
                return;
            }
            match result {
                Ok(()) => actor.shared.lease.extend(actor.periods.holder_until(sent)),
                Err(RenewError::Over) => {
                    tracing::warn!(incarnation = %session.incarnation, "the session is over; a new life begins");
                    actor.shared.lease.end();
                    actor.begin_life(ctx);
                    return;
                }
                Err(RenewError::Unavailable(reason)) => {
                    tracing::debug!(reason = &*reason, "the session was not renewed");
                }
            }
            let spent = actor.shared.env.clock.now().since(sent);
            let pause = actor.periods.renew_every().saturating_sub(spent);
            ctx.run_later(pause, |actor, ctx| actor.renew(ctx));
        });
        ctx.spawn(renewed);
    }
}

// --- Stop ---------------------------------------------------------------------------------------

/// Ends the conductor gracefully: hands its nodes over, says that this life is over, and stops.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for ConductorActor {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: Stop, _: &mut Self::Context) -> Self::Result {
        let session = self.shared.lease.session();
        let proposer = self.shared.proposer.clone();
        let told = async move {
            let goodbye = proposer.propose(Command::ConductorDown(session));
            tokio::time::timeout(TOLD_WITHIN, goodbye).await
        };
        Box::pin(told.into_actor(self).map(|result, actor, ctx| {
            match result {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "could not say goodbye; the session will expire");
                }
                Err(_) => tracing::warn!("could not say goodbye in time; the session will expire"),
            }
            actor.shared.lease.end();
            actor.end(ctx);
        }))
    }
}
