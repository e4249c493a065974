//! How a node actor carries out what its core decides.

use super::{NodeActor, Place};
use crate::sync_pool::{Bar, CredentialsChanged, Forget, ReplyTo, Submit};
use crate::unhurried::until_departure;
use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use baton_model::command::{ActOnNode, Command, Fence};
use baton_model::driver::{BmcTarget, DriverInfoError};
use baton_model::env::Mono;
use baton_model::hardware;
use baton_model::ids::{Epoch, Ticket};
use baton_model::json::Json;
use baton_model::node::core::{COMMAND_LIMIT, Effect, Haste, Input, Note, ReadError, Urgency};
use baton_model::node::intent::BmcSession;
use baton_model::pool::{BmcKey, Endpoint, Job, MachineKey, Priority, Work};
use baton_model::port::bmc::BmcError;
use std::time::Duration;

/// How long a read for a waiting user may take, queueing included. Three retransmissions of a slow BMC fit in.
const READ_PATIENCE_USER: Duration = Duration::from_secs(15);

/// The same for a read that nobody waits for. Half of the core's own bound for a lost answer.
const READ_PATIENCE: Duration = Duration::from_secs(60);

/// What a BMC is asked, and how urgently.
struct Question {
    work: Work,
    /// What it carries.
    cargo: Json,
    session: Option<BmcSession>,
    priority: Priority,
    patience: Duration,
}

impl NodeActor {
    pub(super) fn carry_out(&mut self, effect: Effect, ctx: &mut Context<Self>) {
        match effect {
            Effect::Read { ticket, urgency } => {
                let (priority, patience) = match urgency {
                    Urgency::User => (Priority::User, READ_PATIENCE_USER),
                    Urgency::Recovery => (Priority::Recovery, READ_PATIENCE),
                    Urgency::Sync => (Priority::Sync, READ_PATIENCE),
                };
                let epoch = self.core.record().epoch;
                let question = Question {
                    work: Work::PowerQuery,
                    cargo: Json::EMPTY,
                    session: None,
                    priority,
                    patience,
                };
                self.submit(question, ticket, epoch, ctx);
            }
            Effect::Identify { ticket } => {
                let epoch = self.core.record().epoch;
                let question = Question {
                    work: Work::Identify,
                    cargo: Json::EMPTY,
                    session: None,
                    priority: Priority::Sync,
                    patience: READ_PATIENCE,
                };
                self.submit(question, ticket, epoch, ctx);
            }
            Effect::Ask {
                ticket,
                inquiry,
                urgency,
            } => {
                let (priority, patience) = match urgency {
                    Urgency::User => (Priority::User, READ_PATIENCE_USER),
                    Urgency::Recovery => (Priority::Recovery, READ_PATIENCE),
                    Urgency::Sync => (Priority::Sync, READ_PATIENCE),
                };
                let patience = if inquiry.is_long() {
                    READ_PATIENCE
                } else {
                    patience
                };
                let epoch = self.core.record().epoch;
                let question = Question {
                    work: Work::Ask(inquiry),
                    cargo: Json::EMPTY,
                    session: None,
                    priority,
                    patience,
                };
                self.submit(question, ticket, epoch, ctx);
            }
            Effect::Act {
                ticket,
                action,
                cargo,
                session,
                epoch,
            } => {
                let question = Question {
                    work: Work::PowerCommand(action),
                    cargo,
                    session: Some(session),
                    priority: Priority::User,
                    patience: COMMAND_LIMIT,
                };
                self.submit(question, ticket, epoch, ctx);
            }
            Effect::SwitchRelatives {
                ticket,
                id,
                request,
                limit,
            } => self.switch_relatives(ticket, id, request, limit, ctx),
            Effect::EndSession {
                ticket,
                session,
                epoch,
            } => {
                let question = Question {
                    work: Work::EndSession,
                    cargo: Json::EMPTY,
                    session: Some(session),
                    priority: Priority::User,
                    patience: READ_PATIENCE_USER,
                };
                self.submit(question, ticket, epoch, ctx);
            }
            Effect::Propose {
                ticket,
                epoch,
                expect,
                changes,
                haste,
            } => {
                let fence = Fence {
                    session: self.shared.lease.session(),
                    epoch,
                };
                let act = ActOnNode {
                    node: self.id,
                    fence,
                    expect,
                    changes,
                };
                let proposer = self.shared.proposer.clone();
                let pause = match haste {
                    Haste::Now => Duration::ZERO,
                    Haste::None => until_departure(self.shared.env.clock.wall()),
                };
                let proposal = async move {
                    if !pause.is_zero() {
                        tokio::time::sleep(pause).await;
                    }
                    proposer.propose(Command::NodeAct(act)).await
                };
                let handled = proposal.into_actor(self).map(move |result, actor, ctx| {
                    actor.refresh(ctx);
                    actor.step(Input::Proposed { ticket, result }, ctx);
                });
                ctx.spawn(handled);
            }
            Effect::Answer { asker, answer } => {
                if let Some(sender) = self.askers.remove(&asker) {
                    // Whoever asked may have gone; then nobody needs the answer.
                    drop(sender.send(answer));
                }
            }
            Effect::WakeAt(at) => self.arm(at, ctx),
            Effect::CountFailures(count) => self.shared.failures.note(self.id, count),
            Effect::ForgetBmc => self.driver_info_changed(),
            Effect::Note(note) => self.note(&note),
        }
    }

    fn arm(&mut self, at: Mono, ctx: &mut Context<Self>) {
        let at = together(at, self.shared.env.clock.now());
        if self.timer.as_ref().is_some_and(|(armed, _)| *armed == at) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let span = at.since(self.shared.env.clock.now());
        let timer = ctx.run_later(span, |actor, ctx| {
            actor.timer = None;
            actor.step(Input::Wake, ctx);
        });
        self.timer = Some((at, timer));
    }

    fn place(&mut self) -> Result<Place, DriverInfoError> {
        let (record, prefix) = (self.core.record(), self.shared.prefix);
        let find = || {
            hardware::bmc_target(record).map(|target| Place {
                endpoint: Endpoint::of(record.id, &target, prefix),
                machine: MachineKey::of(record.id, &target),
                target,
            })
        };
        self.place.get_or_insert_with(find).clone()
    }

    fn submit(
        &mut self,
        question: Question,
        ticket: Ticket,
        epoch: Epoch,
        ctx: &mut Context<Self>,
    ) {
        let Question {
            work,
            cargo,
            session,
            priority,
            patience,
        } = question;
        let place = match self.place() {
            Ok(place) => place,
            Err(error) => {
                let reason = error.to_string().into();
                let bmc = "in driver_info".into();
                self.answer_later(
                    work,
                    ticket,
                    ReadError::Bmc(BmcError::Misconfigured { bmc, reason }),
                    ctx,
                );
                return;
            }
        };
        // What only ends a session does no harm to whoever the machine belongs to.
        if work != Work::EndSession
            && let Some(error) = self.trespass(&place)
        {
            self.answer_later(work, ticket, ReadError::Bmc(error), ctx);
            return;
        }
        let Place {
            target, endpoint, ..
        } = place;
        self.bmc = Some(endpoint.bmc);
        let deadline = self.shared.env.clock.now() + patience;
        let job = Job {
            node: self.id,
            endpoint,
            priority,
            work,
            deadline,
            ticket,
            epoch,
        };
        let reply_to = ReplyTo::here(ctx.address().recipient());
        let submit = Submit {
            job,
            target,
            cargo,
            session,
            reply_to,
        };
        if let Err(busy) = self.shared.pool.submit(submit) {
            let words = busy.to_string().into();
            self.answer_later(work, ticket, ReadError::NoRoom(words), ctx);
        }
    }

    /// Why this machine must not be touched for this node: it is another node's.
    fn trespass(&self, place: &Place) -> Option<BmcError> {
        let machine = place.machine?;
        let state = self.shared.state.read();
        let other = state.rival(machine, self.id)?;
        let name = other
            .name
            .as_deref()
            .map_or_else(String::new, |name| format!(" ({name})"));
        Some(BmcError::Misconfigured {
            bmc: match &place.target {
                BmcTarget::Ipmi(ipmi) => format!("{}:{}", ipmi.address, ipmi.port).into(),
                BmcTarget::Redfish(redfish) => redfish.origin.clone(),
                BmcTarget::Fake => "fake-hardware".into(),
            },
            reason: format!(
                "it is the BMC of node {}{name} already, and two nodes would fight over its power; correct driver_info of \
                 the wrong one",
                other.id
            )
            .into(),
        })
    }

    /// Tells the pool what the record knows of a refused login, before anything is asked.
    pub(super) fn bar(&self) {
        if let Some(bar) = Bar::of(self.core.record(), self.shared.prefix)
            && self.shared.pool.try_send(bar).is_err()
        {
            tracing::warn!(node = %self.id, "the sync pool was too busy to hear of a refused login; it will find out itself");
        }
    }

    /// Answers a question that never left, after the core's present step is done.
    fn answer_later(&self, work: Work, ticket: Ticket, error: ReadError, ctx: &mut Context<Self>) {
        ctx.run_later(Duration::ZERO, move |actor, ctx| {
            actor.step(unanswered(work, ticket, error, Duration::ZERO), ctx);
        });
    }

    /// The operator changed how the machine is reached: old sessions end, and the auth breaker closes. What waits for the
    /// same machine leaves with the new credentials; what waits for another one never leaves.
    fn driver_info_changed(&mut self) {
        let old = self.place.take().and_then(Result::ok);
        let new = self.place().ok();
        let stays = matches!((&old, &new), (Some(old), Some(new))
            if old.endpoint == new.endpoint && old.machine == new.machine);
        // A node that was kept from its BMC, which is another node's, has nothing to leave there.
        if !stays
            && let Some(old) = &old
            && self.bmc.take_if(|bmc| *bmc == old.endpoint.bmc).is_some()
        {
            self.leave_bmc(old.endpoint.bmc, old.target.clone());
        }
        let Some(place) = new else { return };
        if self
            .shared
            .pool
            .try_send(CredentialsChanged {
                bmc: place.endpoint.bmc,
                node: self.id,
                new: place.target,
                old: old.filter(|_| stays).map(|place| place.target),
            })
            .is_err()
        {
            tracing::warn!(node = %self.id, "the sync pool was too busy to hear of changed credentials");
        }
    }

    pub(super) fn forget_bmc(&mut self) {
        if let (Some(bmc), Some(Ok(place))) = (self.bmc.take(), self.place.take()) {
            self.leave_bmc(bmc, place.target);
        }
    }

    fn leave_bmc(&self, bmc: BmcKey, target: BmcTarget) {
        let node = self.id;
        let forget = Forget { bmc, node, target };
        if self.shared.pool.try_send(forget).is_err() {
            tracing::debug!(node = %self.id, "the sync pool was too busy to forget a BMC; its session will expire");
        }
    }

    fn note(&self, note: &Note) {
        let node = self.id;
        match note {
            Note::ReadFailed {
                attempt,
                attempts_max,
                error,
            } => {
                tracing::warn!(%node, attempt, attempts_max, error = &**error, "power sync could not read the BMC");
            }
            Note::Forcing { actual, recorded } => {
                tracing::warn!(%node, %actual, %recorded, "the machine is not in its recorded power state; forcing it");
            }
            Note::Recorded { actual, recorded } => {
                tracing::warn!(%node, %actual, %recorded, "the machine is not in its recorded power state; recording it");
            }
            Note::FirstState { actual } => {
                tracing::info!(%node, %actual, "the power state was read for the first time");
            }
            Note::Faulted { reason } => {
                tracing::error!(%node, reason = &**reason, "power sync gave up; the node enters maintenance");
            }
            Note::Recovered { actual } => {
                tracing::info!(%node, %actual, "the BMC answers again; the power fault is over");
            }
            Note::PowerDone { target, purpose } => {
                tracing::info!(%node, power_state = %target, purpose, "the power change is done");
            }
            Note::PowerFailed { error } => {
                tracing::warn!(%node, error = &**error, "the work failed")
            }
            Note::NotRestored { error } => {
                tracing::warn!(%node, error = &**error, "the machine starts without its boot device being set again");
            }
            Note::Moved { from, to } => {
                tracing::info!(%node, %from, provision_state = %to, "the provision state moved");
            }
            Note::TookOver { purpose } => {
                tracing::info!(%node, purpose, "taking over work that was left open");
            }
            Note::Fenced { session } => {
                tracing::info!(%node, %session, "the session of the former holder has ended");
            }
            Note::NotFenced { session, error } => {
                tracing::warn!(%node, %session, error = &**error, "the session of the former holder could not be ended");
            }
            Note::WaitedOut { session } => {
                tracing::warn!(
                    %node,
                    %session,
                    "the BMC did not end the session of the former holder; its commands were waited out"
                );
            }
            Note::LateAnswer { ticket } => {
                tracing::debug!(%node, %ticket, "a late answer was dropped")
            }
            Note::LeaseLost => tracing::warn!(%node, "a command was held back: the lease is over"),
        }
    }
}

/// A question that brought no answer, as the core hears of it.
pub(super) fn unanswered(work: Work, ticket: Ticket, error: ReadError, rtt: Duration) -> Input {
    match work {
        Work::PowerCommand(_) => Input::Acted {
            ticket,
            result: Err(error),
        },
        Work::EndSession => Input::SessionEnded {
            ticket,
            result: Err(error),
        },
        Work::Identify => Input::Identified {
            ticket,
            vendor: None,
        },
        Work::Ask(_) => Input::Told {
            ticket,
            result: Err(error),
        },
        Work::PowerQuery => Input::Read {
            ticket,
            result: Err(error),
            rtt,
            session: None,
        },
    }
}

/// Moves a wake-up that is not near to the next beat, so that nodes wake several at a time: the threads between an actor
/// and its BMC are then woken once for all of them, which is most of what a read costs when reads are sparse.
fn together(at: Mono, now: Mono) -> Mono {
    /// A quarter of a second: at 600 reads a second 150 leave together, which the pool spreads as it must, and no read is
    /// late by what anybody sees in an interval of a minute.
    const BEAT_MS: u64 = 256;
    /// Nearer wake-ups belong to work that somebody waits for.
    const FAR: Duration = Duration::from_secs(1);
    if at.since(now) < FAR {
        return at;
    }
    Mono(at.0.div_ceil(BEAT_MS).saturating_mul(BEAT_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_far_wake_ups_wait_for_the_beat() {
        let now = Mono(10_001);
        assert_eq!(together(Mono(10_003), now), Mono(10_003));
        assert_eq!(together(Mono(11_001), now), Mono(11_008));
        assert_eq!(together(Mono(11_008), now), Mono(11_008));
        assert_eq!(together(Mono(u64::MAX), now).0 % 256, 255, "no overflow");
    }
}
