//! The way of reports to those who asked.
//!
//! A message to an actor on another thread wakes that thread, and it sleeps again before the next one comes: the reports of
//! one beat would wake it by the dozen. So what the pool has to tell at one time goes to each thread in one piece, and
//! is handed out there.
//!
//! A report always finds room, however full the mailbox is: each question brings a sender of its own, and a mailbox has room
//! for one message of each of its senders besides its capacity. So a mailbox holds one report more for each question that is
//! open, and no more.

use super::BmcReport;
use actix::Recipient;
use actix_rt::{Arbiter, ArbiterHandle};
use baton_model::pool::Report;
use std::thread::{self, ThreadId};

/// Who gets the report on one question, and where it lives.
#[derive(Clone, Debug)]
pub struct ReplyTo {
    asker: Recipient<BmcReport>,
    home: Home,
}

impl ReplyTo {
    /// An actor of the thread that this is called on.
    #[must_use]
    pub fn here(asker: Recipient<BmcReport>) -> Self {
        let home = Home {
            thread: thread::current().id(),
            arbiter: Arbiter::try_current(),
        };
        Self { asker, home }
    }
}

#[derive(Clone, Debug)]
struct Home {
    thread: ThreadId,
    /// `None`: of a thread that takes no work from others, so that it is sent to from afar.
    arbiter: Option<ArbiterHandle>,
}

type Parcel = (Recipient<BmcReport>, BmcReport);

/// Reports that leave together. No more than jobs that ended or were refused in one handler.
#[derive(Default)]
pub(super) struct Outgoing(Vec<(Home, Vec<Parcel>)>);

impl Outgoing {
    pub(super) fn add(&mut self, ReplyTo { asker, home }: ReplyTo, report: Report) {
        let parcel = (asker, BmcReport(report));
        match self.0.iter_mut().find(|(to, _)| to.thread == home.thread) {
            Some((_, parcels)) => parcels.push(parcel),
            None => self.0.push((home, vec![parcel])),
        }
    }

    /// Sends them off.
    pub(super) fn leave(&mut self) {
        for (home, parcels) in self.0.drain(..) {
            match home
                .arbiter
                .filter(|_| home.thread != thread::current().id())
            {
                // An arbiter that has ended has no actors any more.
                Some(arbiter) => drop(arbiter.spawn_fn(|| hand_out(parcels))),
                None => hand_out(parcels),
            }
        }
    }
}

fn hand_out(parcels: Vec<Parcel>) {
    for (to, report) in parcels {
        // A closed mailbox is an actor that is gone: its successor asks again.
        drop(to.try_send(report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix::{Actor, Context, Handler};
    use actix_rt::System;
    use baton_model::env::Mono;
    use baton_model::ids::{Epoch, NodeId, Ticket};
    use baton_model::pool::{Failure, Work};
    use std::collections::HashMap;
    use std::time::Duration;
    use tokio::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Asker {
        name: usize,
        heard: mpsc::UnboundedSender<(usize, ThreadId, u64)>,
    }

    impl Actor for Asker {
        type Context = Context<Self>;

        fn started(&mut self, ctx: &mut Self::Context) {
            ctx.set_mailbox_capacity(1);
        }
    }

    impl Handler<BmcReport> for Asker {
        type Result = ();

        fn handle(&mut self, BmcReport(report): BmcReport, _: &mut Context<Self>) {
            let heard = (self.name, thread::current().id(), report.ticket.0);
            assert!(self.heard.send(heard).is_ok(), "the test listens");
        }
    }

    fn report(ticket: u64) -> Report {
        Report {
            node: NodeId(uuid::Uuid::from_u128(1)),
            ticket: Ticket(ticket),
            epoch: Epoch(1),
            work: Work::PowerQuery,
            started: None,
            finished: Mono(1),
            rtt: None,
            session: None,
            outcome: Err(Failure::Lost {
                work: Work::PowerQuery,
            }),
        }
    }

    async fn on(arbiter: &Arbiter, asker: Asker) -> ReplyTo {
        let (sender, address) = tokio::sync::oneshot::channel();
        arbiter.spawn_fn(|| {
            let asker = ReplyTo::here(asker.start().recipient());
            assert!(sender.send(asker).is_ok(), "the test waits");
        });
        address.await.expect("the arbiter lives")
    }

    #[test]
    fn reports_go_to_each_thread_in_one_piece_and_all_arrive_in_order() {
        /// Many more than the mailboxes' capacity.
        const EACH: u64 = 64;
        System::new().block_on(async {
            let (heard, mut reports) = mpsc::unbounded_channel();
            let asker = |name| Asker {
                name,
                heard: heard.clone(),
            };
            let (first, second) = (Arbiter::new(), Arbiter::new());
            let askers = [
                on(&first, asker(0)).await,
                on(&first, asker(1)).await,
                on(&second, asker(2)).await,
                ReplyTo::here(asker(3).start().recipient()),
            ];
            let mut outgoing = Outgoing::default();
            for ticket in 0..EACH {
                for asker in &askers {
                    outgoing.add(asker.clone(), report(ticket));
                }
            }
            assert_eq!(outgoing.0.len(), 3, "one piece for each thread");
            outgoing.leave();
            let mut heard_by: HashMap<usize, Vec<u64>> = HashMap::new();
            let mut homes: HashMap<usize, ThreadId> = HashMap::new();
            for _ in 0..EACH * 4 {
                let next = tokio::time::timeout(PATIENCE, reports.recv()).await;
                let (name, thread, ticket) = next.expect("all arrive").expect("the askers live");
                heard_by.entry(name).or_default().push(ticket);
                homes.insert(name, thread);
            }
            for (name, tickets) in heard_by {
                assert!(tickets.iter().copied().eq(0..EACH), "{name}: {tickets:?}");
            }
            assert!(homes[&0] == homes[&1] && homes[&0] != homes[&2]);
            assert_eq!(homes[&3], thread::current().id());
        });
    }
}
