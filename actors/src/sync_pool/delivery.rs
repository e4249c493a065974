//! The way of reports to those who asked.
//!
//! A message to an actor on another thread wakes that thread, and it sleeps again before the next one comes: the reports of
//! one beat would wake it by the dozen. So what the pool has to tell at one time goes to each thread in one piece, and
//! is handed out there.

use super::BmcReport;
use actix::Recipient;
use actix::prelude::SendError;
use actix_rt::{Arbiter, ArbiterHandle};
use baton_model::pool::Report;
use std::thread::{self, ThreadId};
use std::time::Duration;

/// When reports that found their receiver's mailbox full are tried again.
const REDELIVER_AFTER: Duration = Duration::from_millis(20);

/// Who gets a report, and where it lives.
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
                Some(arbiter) => drop(arbiter.spawn(deliver(parcels))),
                None => {
                    let left = hand_out(parcels);
                    if !left.is_empty() {
                        drop(actix_rt::spawn(hand_out_later(left)));
                    }
                }
            }
        }
    }
}

/// Returns those for whom there was no room.
fn hand_out(parcels: Vec<Parcel>) -> Vec<Parcel> {
    let full = parcels.into_iter().filter_map(|(to, report)| {
        // A closed mailbox is an actor that is gone: its successor asks again.
        let Err(SendError::Full(report)) = to.try_send(report) else {
            return None;
        };
        Some((to, report))
    });
    full.collect()
}

async fn deliver(parcels: Vec<Parcel>) {
    hand_out_later(hand_out(parcels)).await;
}

async fn hand_out_later(mut left: Vec<Parcel>) {
    while !left.is_empty() {
        tokio::time::sleep(REDELIVER_AFTER).await;
        left = hand_out(left);
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
    use tokio::sync::mpsc;

    const PATIENCE: Duration = Duration::from_secs(20);

    struct Asker {
        heard: mpsc::UnboundedSender<(ThreadId, u64)>,
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
            let heard = (thread::current().id(), report.ticket.0);
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
    fn reports_go_to_each_thread_in_one_piece_and_all_arrive() {
        System::new().block_on(async {
            let (heard, mut reports) = mpsc::unbounded_channel();
            let asker = || Asker {
                heard: heard.clone(),
            };
            let (first, second) = (Arbiter::new(), Arbiter::new());
            let askers = [
                on(&first, asker()).await,
                on(&first, asker()).await,
                on(&second, asker()).await,
                ReplyTo::here(asker().start().recipient()),
            ];
            let mut outgoing = Outgoing::default();
            for ticket in 0..64 {
                for asker in &askers {
                    outgoing.add(asker.clone(), report(ticket));
                }
            }
            assert_eq!(outgoing.0.len(), 3, "threads");
            outgoing.leave();
            let mut by_thread = std::collections::HashMap::new();
            for _ in 0..64 * askers.len() {
                let next = tokio::time::timeout(PATIENCE, reports.recv()).await;
                let (thread, ticket) = next.expect("all arrive").expect("the askers live");
                by_thread
                    .entry(thread)
                    .or_insert_with(Vec::new)
                    .push(ticket);
            }
            let mut counts: Vec<_> = by_thread.values().map(Vec::len).collect();
            counts.sort_unstable();
            assert_eq!(counts, [64, 64, 128]);
            let own = &by_thread[&thread::current().id()];
            assert!(own.is_sorted(), "{own:?}");
        });
    }
}
