//! What follows once a proposal was applied, was refused, or found no log.

use super::work::Work;
use super::{Context, Effect, NodeCore, Note, Phase, RETRY_AFTER, Then};
use crate::command::{Refusal, Reply};
use crate::ids::Ticket;
use crate::port::cluster::ProposeError;
use crate::port::node::{NodeAnswer, NodeError};

impl NodeCore {
    pub(super) fn on_proposed(
        &mut self,
        context: Context<'_>,
        ticket: Ticket,
        result: Result<Reply, ProposeError>,
        out: &mut Vec<Effect>,
    ) {
        let then = match std::mem::take(&mut self.phase) {
            Phase::Proposing {
                ticket: expected,
                then,
            } if expected == ticket => then,
            other => {
                self.phase = other;
                out.push(Effect::Note(Note::LateAnswer { ticket }));
                return;
            }
        };
        self.phase = Phase::Idle;
        match result {
            Ok(Reply::Done { .. }) => self.on_applied(context, then, out),
            Ok(Reply::Refused(refusal)) => self.on_refused(context, then, refusal, out),
            Err(error) => self.on_no_log(context, then, &error, out),
        }
    }

    fn on_applied(&mut self, context: Context<'_>, then: Then, out: &mut Vec<Effect>) {
        match then {
            Then::Rest => self.due = self.next_due(context),
            Then::Start {
                asker,
                cause,
                at_end: true,
            } => {
                self.at_end = asker;
                self.start_work(context, cause, out);
            }
            Then::Start { asker, cause, .. } => {
                if let Some(asker) = asker {
                    out.push(Effect::Answer {
                        asker,
                        answer: Ok(NodeAnswer::Accepted),
                    });
                }
                self.start_work(context, cause, out);
            }
            Then::Answer { asker } => {
                out.push(Effect::Answer {
                    asker,
                    answer: Ok(NodeAnswer::Accepted),
                });
            }
            Then::Close { .. } => {
                self.pass_on_end(out);
                self.due = self.next_due(context);
            }
            Then::Resume => self.on_claimed(context, out),
            Then::Work(work) => {
                self.phase = Phase::Working(work);
                self.go_on(context, out);
            }
        }
    }

    fn on_refused(
        &mut self,
        context: Context<'_>,
        then: Then,
        refusal: Refusal,
        out: &mut Vec<Effect>,
    ) {
        let answer = |asker, error| Effect::Answer {
            asker,
            answer: Err(error),
        };
        if let Then::Start {
            asker: Some(asker), ..
        }
        | Then::Answer { asker } = then
        {
            let error = match refusal {
                Refusal::Rule(refused) => NodeError::Refused(refused),
                Refusal::NoSuchNode => {
                    NodeError::Refused(crate::node::edit::Refused::no_such_node(self.record.id))
                }
                Refusal::Locked { host } => {
                    NodeError::Refused(crate::node::edit::Refused::locked(self.record.id, &host))
                }
                Refusal::Moved { .. } => NodeError::Unavailable {
                    reason: "the node was changed at the same moment".into(),
                    retry_after_s: 1,
                },
                Refusal::Fenced { .. } | Refusal::SessionOver | Refusal::HostTaken => {
                    NodeError::NotOwner(None)
                }
            };
            out.push(answer(asker, error));
        }
        self.pass_on_end(out);
        // The record that caused the refusal arrives (or has arrived) by itself; look again soon.
        self.hold(context);
    }

    fn on_no_log(
        &mut self,
        context: Context<'_>,
        then: Then,
        error: &ProposeError,
        out: &mut Vec<Effect>,
    ) {
        match then {
            Then::Start {
                asker: Some(asker), ..
            }
            | Then::Answer { asker } => {
                let reason = error.to_string().into();
                let error = NodeError::Unavailable {
                    reason,
                    retry_after_s: 1,
                };
                out.push(Effect::Answer {
                    asker,
                    answer: Err(error),
                });
                self.hold(context);
            }
            // The outcome of finished work must reach the log; nothing else happens to the node meanwhile.
            Then::Close { changes } => {
                self.phase = Phase::Working(Box::new(Work::unclosed(
                    self.record.intent.as_ref().map(|intent| intent.id),
                    changes,
                    context.now + RETRY_AFTER,
                )));
            }
            Then::Work(mut work) => {
                work.try_again_at(context.now + RETRY_AFTER);
                self.phase = Phase::Working(work);
            }
            Then::Start { asker: None, .. } | Then::Rest | Then::Resume => self.hold(context),
        }
    }
}
