//! The node actor: one per owned node. It carries out what the node core decides, and decides nothing itself.
//!
//! It holds nothing that is not in the replicated record, save what a read or two will tell again. So it may die at any
//! instruction: its conductor builds it anew.

mod effects;
mod messages;
mod relatives;

pub use messages::{Ask, Poke, Retire};

use crate::shared::Shared;
use crate::sync_pool::BmcReport;
use actix::{Actor, ActorContext, Context, Handler, ResponseFuture, SpawnHandle};
use baton_model::driver::{BmcTarget, DriverInfoError};
use baton_model::env::Mono;
use baton_model::freshness::{Slot, Watch};
use baton_model::ids::NodeId;
use baton_model::node::core::relatives::dependents;
use baton_model::node::core::{self, Asker, FirstRead, Input, NodeCore, ReadError};
use baton_model::node::record::NodeRecord;
use baton_model::pool::{Answer, BmcKey, Endpoint, Failure, MachineKey, Work};
use baton_model::port::node::{NodeAnswer, NodeError};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Messages that may wait for one node actor. Its work sends it at most one report at a time; the rest are requests and
/// pokes, which are refused or repeated when it is full.
pub const MAILBOX: usize = 64;

/// Owns one node: its lock, its state and its timer.
pub struct NodeActor {
    id: NodeId,
    shared: Arc<Shared>,
    core: NodeCore,
    timer: Option<(Mono, SpawnHandle)>,
    /// Where its `driver_info` says that its machine is, worked out when first needed.
    place: Option<Result<Place, DriverInfoError>>,
    bmc: Option<BmcKey>,
    askers: BTreeMap<Asker, oneshot::Sender<Result<NodeAnswer, NodeError>>>,
    next_asker: Asker,
    /// The node's place among those whose freshness is counted, and what was noted there last.
    slot: Slot,
    noted: (Watch, Option<Mono>),
}

/// A node's machine, and the names that others know it by.
#[derive(Clone)]
struct Place {
    target: BmcTarget,
    endpoint: Endpoint,
    machine: Option<MachineKey>,
}

impl NodeActor {
    /// An actor for a node that this conductor owns from now on.
    #[must_use]
    pub fn new(shared: Arc<Shared>, record: Arc<NodeRecord>, first: FirstRead) -> Self {
        let knobs = shared.knobs();
        let context = context(&shared, &knobs, &record);
        let draw = shared.env.entropy.next_u64();
        let slot = shared.freshness().enter(context.now, record.id);
        Self {
            slot,
            noted: (Watch::Nobody, None),
            id: record.id,
            core: NodeCore::new(record, context, first, draw),
            timer: None,
            place: None,
            bmc: None,
            askers: BTreeMap::new(),
            next_asker: 0,
            shared,
        }
    }

    /// Hands one input to the core and carries out what comes back.
    fn step(&mut self, input: Input, ctx: &mut Context<Self>) {
        let knobs = self.shared.knobs();
        // What the core is told is about the record that it has when it decides.
        let record = match &input {
            Input::Record(record) => record.clone(),
            _ => self.core.record().clone(),
        };
        let context = context(&self.shared, &knobs, &record);
        let effects = self.core.step(context, input);
        for effect in effects {
            self.carry_out(effect, ctx);
        }
        let (watch, confirmed) = self.core.freshness(&knobs);
        if (watch, confirmed) != self.noted {
            self.noted = (watch, confirmed);
            let now = self.shared.env.clock.now();
            self.shared
                .freshness()
                .note(now, self.slot, watch, confirmed);
        }
    }

    /// Hands in the record as it is now. Always before a reply, so that the core decides on what was applied.
    fn refresh(&mut self, ctx: &mut Context<Self>) {
        let record = self.shared.state.read().node(self.id).cloned();
        if let Some(record) = record.filter(|record| record.revision > self.core.record().revision)
        {
            self.step(Input::Record(record), ctx);
        }
    }
}

impl Drop for NodeActor {
    fn drop(&mut self) {
        self.shared.freshness().leave(self.slot);
    }
}

fn context<'a>(
    shared: &'a Shared,
    knobs: &'a core::Knobs,
    record: &NodeRecord,
) -> core::Context<'a> {
    let session = shared.lease.session();
    let state = shared.state.read();
    let is_owner = state.owner(record) == Some(session.conductor) && state.is_live(session);
    let other_holds = record
        .intent
        .as_ref()
        .map(|intent| intent.holder_session())
        .is_some_and(|holder| holder != session && state.is_live(holder));
    let has_children = dependents(&state, record.id).next().is_some();
    let noted = shared.failures.noted(record.id);
    core::Context {
        is_owner,
        other_holds,
        has_children,
        failures: noted.unwrap_or_else(|| state.sync_failures(record.id)),
        now: shared.env.clock.now(),
        wall: shared.env.clock.wall(),
        lease_until: shared.lease.until(),
        knobs,
        host: &shared.host,
    }
}

impl Actor for NodeActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.bar();
        self.step(Input::Wake, ctx);
    }
}

// --- Poke ---------------------------------------------------------------------------------------

impl Handler<Poke> for NodeActor {
    type Result = ();

    fn handle(&mut self, _: Poke, ctx: &mut Self::Context) {
        self.refresh(ctx);
        // Not only the record counts: who owns the node, and whether the holder of its lock lives, may have changed.
        self.step(Input::Wake, ctx);
    }
}

// --- Retire -------------------------------------------------------------------------------------

impl Handler<Retire> for NodeActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        for (_, asker) in std::mem::take(&mut self.askers) {
            // Whoever asked may have gone; then nobody needs the answer.
            drop(asker.send(Err(NodeError::NotOwner(None))));
        }
        self.forget_bmc();
        ctx.stop();
    }
}

// --- Ask ----------------------------------------------------------------------------------------

impl Handler<Ask> for NodeActor {
    type Result = ResponseFuture<Result<NodeAnswer, NodeError>>;

    fn handle(&mut self, ask: Ask, ctx: &mut Self::Context) -> Self::Result {
        let (sender, receiver) = oneshot::channel();
        let asker = self.next_asker;
        self.next_asker = self.next_asker.wrapping_add(1);
        self.askers.insert(asker, sender);
        self.refresh(ctx);
        self.step(
            Input::Request {
                asker,
                id: ask.id,
                request: ask.request,
            },
            ctx,
        );
        Box::pin(async move {
            let gone = NodeError::Unavailable {
                reason: "the node's actor was rebuilt while the request waited".into(),
                retry_after_s: 1,
            };
            receiver.await.unwrap_or(Err(gone))
        })
    }
}

// --- BmcReport ----------------------------------------------------------------------------------

impl Handler<BmcReport> for NodeActor {
    type Result = ();

    fn handle(&mut self, BmcReport(report): BmcReport, ctx: &mut Self::Context) {
        let rtt = report.rtt.unwrap_or(Duration::ZERO);
        let ticket = report.ticket;
        let input = match (report.work, report.outcome) {
            (Work::PowerQuery, Ok(Answer::Power(reading))) => Input::Read {
                ticket,
                result: Ok(reading),
                rtt,
                session: report.session,
            },
            (Work::PowerCommand(_), Ok(Answer::Accepted)) => Input::Acted {
                ticket,
                result: Ok(()),
            },
            (Work::Identify, Ok(Answer::Identity(identity))) => Input::Identified {
                ticket,
                vendor: identity.vendor,
            },
            (Work::Ask(_), Ok(Answer::Disclosed(told))) => Input::Told {
                ticket,
                result: Ok(told),
            },
            (Work::EndSession, Ok(Answer::Ended)) => Input::SessionEnded {
                ticket,
                result: Ok(()),
            },
            (work, Err(failure)) => effects::unanswered(work, ticket, read_error(failure), rtt),
            (work, answer) => {
                tracing::error!(node = %self.id, ?work, ?answer, "the pool answered another question than was asked");
                return;
            }
        };
        self.step(input, ctx);
    }
}

/// What a failed job means for the core: a refusal that stands for a BMC's own error counts as that error, one that only
/// speaks of queues says nothing about the BMC. Either way its words reach the operator.
fn read_error(failure: Failure) -> ReadError {
    use baton_model::port::bmc::BmcError;
    match failure {
        Failure::Bmc(error) => ReadError::Bmc(error),
        Failure::Refused(refusal) => match refusal.last_error() {
            Some(last) => ReadError::Barred {
                last: last.clone(),
                words: refusal.to_string().into(),
            },
            None => ReadError::NoRoom(refusal.to_string().into()),
        },
        Failure::Lost { work } => ReadError::Bmc(BmcError::Unreachable {
            bmc: "(unknown)".into(),
            reason: format!("the outcome of `{work}` was lost inside the conductor; see its log")
                .into(),
        }),
    }
}
