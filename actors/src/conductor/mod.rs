//! The conductor actor: owns the session of this process, and an actor for every node that it owns.
//!
//! It compares, whenever something was applied, the nodes that the replicated state gives it with the actors it has, and
//! starts or retires the difference. Takeover is nothing else. A node actor that panics is built anew from the record.

mod drain;
mod feed;
mod life;
mod placement;
mod registry;
#[cfg(test)]
mod tests;

pub use drain::Drain;
pub use feed::ChangeFeed;
pub use life::Stop;
pub use placement::Placement;
pub use registry::Registry;

use crate::node::{Poke, Retire};
use crate::shared::Shared;
use crate::sync_pool::Bar;
use crate::unhurried::count_failures;
use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message};
use baton_model::command::{Command, ConductorUp, EditNode, Session};
use baton_model::env::Mono;
use baton_model::ids::NodeId;
use baton_model::node::core::FirstRead;
use baton_model::node::edit::NodeEdit;
use baton_model::node::record::NodeRecord;
use baton_model::session::SessionPeriods;
use baton_model::state::ClusterState;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A node actor that panics this often within [`REBUILD_WINDOW`] is not rebuilt: whatever kills it is still there, and
/// its node goes into maintenance for an operator to see.
const REBUILDS_MAX: usize = 4;

/// See [`REBUILDS_MAX`]. Ten minutes hold two rounds of the slowest periodic work of a node.
const REBUILD_WINDOW: Duration = Duration::from_secs(600);

/// When node actors were too busy to be told of a change, how soon to tell them again.
const TELL_AGAIN: Duration = Duration::from_millis(100);

/// What a conductor says of itself when a life begins.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its host name.
    pub host: Box<str>,
    /// The group it serves, lower case.
    pub group: Box<str>,
    /// Where it stands.
    pub rack: Box<str>,
    /// Enabled hardware types.
    pub drivers: Vec<Box<str>>,
}

/// Supervises the nodes that this process owns.
pub struct ConductorActor {
    shared: Arc<Shared>,
    profile: Profile,
    periods: SessionPeriods,
    feed: Arc<ChangeFeed>,
    registry: Arc<Registry>,
    placement: Placement,
    generation: u64,
    generations: BTreeMap<NodeId, u64>,
    /// The nodes that this process began with have their actors; what comes from now on comes from others.
    settled: bool,
    deaths: BTreeMap<NodeId, Vec<Mono>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl ConductorActor {
    /// A conductor that begins its first life when it is started.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        profile: Profile,
        periods: SessionPeriods,
        feed: Arc<ChangeFeed>,
        registry: Arc<Registry>,
        placement: Placement,
    ) -> Self {
        Self {
            shared,
            profile,
            periods,
            feed,
            registry,
            placement,
            generation: 0,
            generations: BTreeMap::new(),
            settled: false,
            deaths: BTreeMap::new(),
            tasks: Vec::new(),
        }
    }

    fn up(&self) -> Command {
        Command::ConductorUp(ConductorUp {
            session: self.shared.lease.session(),
            host: self.profile.host.clone(),
            group: self.profile.group.clone(),
            rack: self.profile.rack.clone(),
            drivers: self.profile.drivers.clone(),
        })
    }
}

impl Actor for ConductorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        /// Deaths of node actors and the feed's wake-ups; both senders wait for room.
        const MAILBOX: usize = 1024;
        ctx.set_mailbox_capacity(MAILBOX);
        let feed = self.feed.clone();
        let me = ctx.address().downgrade();
        self.tasks.push(actix_rt::spawn(async move {
            loop {
                feed.changed().await;
                let Some(conductor) = me.upgrade() else {
                    return;
                };
                if conductor.send(Changed).await.is_err() {
                    return;
                }
            }
        }));
        let shared = self.shared.clone();
        self.tasks.push(actix_rt::spawn(async move {
            count_failures(&shared).await;
        }));
        self.begin_life(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }
}

// --- Changed ------------------------------------------------------------------------------------

/// Something was applied.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
struct Changed;

impl Handler<Changed> for ConductorActor {
    type Result = ();

    fn handle(&mut self, _: Changed, ctx: &mut Self::Context) {
        let touched = self.feed.take();
        let mut busy = Vec::new();
        if touched.everything {
            self.reconcile(&touched.nodes, &mut busy, ctx);
        } else {
            for node in touched.nodes {
                self.reconcile_node(node, &mut busy, ctx);
            }
        }
        if !busy.is_empty() {
            self.feed.put_back(busy);
            ctx.notify_later(Changed, TELL_AGAIN);
        }
    }
}

/// Whether the node's actor belongs here: because the node is owned here, or because its running work is, which ends where
/// it began when the node's new owner lets it.
fn is_ours(state: &ClusterState, node: &NodeRecord, session: Session) -> bool {
    let holds = node
        .intent
        .as_ref()
        .is_some_and(|intent| intent.holder_session() == session);
    holds || state.owner(node) == Some(session.conductor)
}

impl ConductorActor {
    /// Compares all nodes with all actors: a conductor came or went, or the state was replaced.
    fn reconcile(
        &mut self,
        touched: &std::collections::BTreeSet<NodeId>,
        busy: &mut Vec<NodeId>,
        ctx: &mut Context<Self>,
    ) {
        let session = self.shared.lease.session();
        let mut missing = Vec::new();
        let mut look_at = touched.clone();
        let live = {
            let state = self.shared.state.read();
            let live = state.is_live(session);
            if live {
                for node in state.nodes().filter(|node| is_ours(&state, node, session)) {
                    if self.registry.get(node.id).is_none() {
                        missing.push(node.clone());
                    } else if node.intent.is_some() {
                        // Whether the holder of its lock lives may have changed; nothing else about it has.
                        look_at.insert(node.id);
                    }
                }
            } else if state.conductor(session.conductor).is_some() {
                self.shared.lease.end();
            }
            let gone = self.registry.nodes().into_iter().filter(|node| {
                let record = state.node(*node);
                !live || !record.is_some_and(|record| is_ours(&state, record, session))
            });
            look_at.extend(gone);
            live
        };
        // Nobody serves these, so they come first.
        let first = if self.settled {
            FirstRead::Soon
        } else {
            FirstRead::WithinInterval
        };
        for record in missing {
            look_at.remove(&record.id);
            if !self.is_given_up(record.id) {
                self.start_node(record, first, ctx);
            }
        }
        self.settled |= live;
        for node in look_at {
            self.reconcile_node(node, busy, ctx);
        }
    }

    fn reconcile_node(&mut self, node: NodeId, busy: &mut Vec<NodeId>, ctx: &mut Context<Self>) {
        let session = self.shared.lease.session();
        let (record, barred) = {
            let state = self.shared.state.read();
            let record = state.node(node);
            let ours = record
                .filter(|record| state.is_live(session) && is_ours(&state, record, session))
                .cloned();
            // Another conductor was refused by this BMC; a node of ours may have the same.
            let elsewhere =
                record.filter(|record| ours.is_none() && record.login_refused.is_some());
            (ours, elsewhere.cloned())
        };
        if let Some(bar) = barred.and_then(|record| Bar::of(&record, self.shared.prefix))
            && self.shared.pool.try_send(bar).is_err()
        {
            tracing::debug!(%node, "the sync pool was too busy to hear of a login that was refused elsewhere");
        }
        match (record, self.registry.get(node)) {
            (Some(_), Some(actor)) => {
                if actor.try_send(Poke).is_err() {
                    busy.push(node);
                }
            }
            (Some(record), None) => {
                if !self.is_given_up(node) {
                    self.start_node(record, FirstRead::WithinInterval, ctx);
                }
            }
            (None, Some(actor)) => {
                if actor.try_send(Retire).is_err() && actor.connected() {
                    busy.push(node);
                } else {
                    self.registry.remove(node);
                    self.generations.remove(&node);
                    self.deaths.remove(&node);
                }
            }
            (None, None) => {}
        }
    }

    fn start_node(&mut self, record: Arc<NodeRecord>, first: FirstRead, ctx: &mut Context<Self>) {
        self.generation = self.generation.wrapping_add(1);
        let (node, generation) = (record.id, self.generation);
        let died = ctx.address().downgrade().recipient();
        let actor = self
            .placement()
            .start(self.shared.clone(), record, first, generation, died);
        self.generations.insert(node, generation);
        self.registry.insert(node, actor);
    }
}

// --- NodeDied -----------------------------------------------------------------------------------

/// A node actor panicked.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct NodeDied {
    node: NodeId,
    generation: u64,
}

impl Handler<NodeDied> for ConductorActor {
    type Result = ();

    fn handle(&mut self, died: NodeDied, ctx: &mut Self::Context) {
        let NodeDied { node, generation } = died;
        if self.generations.get(&node) != Some(&generation) {
            return;
        }
        self.generations.remove(&node);
        self.registry.remove(node);
        let now = self.shared.env.clock.now();
        let deaths = self.deaths.entry(node).or_default();
        deaths.retain(|at| now.since(*at) < REBUILD_WINDOW);
        deaths.push(now);
        let count = deaths.len();
        tracing::error!(%node, attempt = count, attempts_max = REBUILDS_MAX, "a node actor panicked; see the panic above");
        if self.is_given_up(node) {
            self.put_aside(node, ctx);
        } else {
            let mut busy = Vec::new();
            self.reconcile_node(node, &mut busy, ctx);
        }
    }
}

impl ConductorActor {
    fn is_given_up(&self, node: NodeId) -> bool {
        let now = self.shared.env.clock.now();
        self.deaths.get(&node).is_some_and(|deaths| {
            let recent = deaths
                .iter()
                .filter(|at| now.since(**at) < REBUILD_WINDOW)
                .count();
            recent >= REBUILDS_MAX
        })
    }

    /// The node goes into maintenance, which only an operator ends, and gets an actor again when the window is over.
    fn put_aside(&mut self, node: NodeId, ctx: &mut Context<Self>) {
        let reason = format!(
            "The actor of node {node} panicked {REBUILDS_MAX} times within {} s on conductor {}; its log holds the \
             panics. The node is looked at again after that time.",
            REBUILD_WINDOW.as_secs(),
            self.profile.host
        );
        let edit = NodeEdit::Maintenance {
            on: true,
            reason: Some(reason.into()),
        };
        let command = Command::NodeEdit(EditNode {
            node,
            expect: None,
            edits: vec![edit],
        });
        let proposer = self.shared.proposer.clone();
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(actix_rt::spawn(async move {
            if let Err(error) = proposer.propose(command).await {
                tracing::error!(%node, %error, "could not put the node into maintenance");
            }
        }));
        ctx.run_later(REBUILD_WINDOW, move |actor, ctx| {
            let mut busy = Vec::new();
            actor.reconcile_node(node, &mut busy, ctx);
        });
    }
}

// --- Reload -------------------------------------------------------------------------------------

/// The options were reloaded: every node looks at its schedule again, and a changed profile is announced.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Reloaded(pub Profile);

impl Handler<Reloaded> for ConductorActor {
    type Result = ();

    fn handle(&mut self, Reloaded(profile): Reloaded, ctx: &mut Self::Context) {
        let moved = self.profile.group != profile.group;
        self.profile = profile;
        if moved {
            self.announce_again(ctx);
        }
        self.feed.put_back(self.registry.nodes());
        ctx.notify(Changed);
    }
}

impl ConductorActor {
    fn end(&mut self, ctx: &mut Context<Self>) {
        for node in self.registry.nodes() {
            if let Some(actor) = self.registry.remove(node)
                && actor.try_send(Retire).is_err()
            {
                tracing::debug!(%node, "a node actor was too busy to retire; it ends with the process");
            }
        }
        ctx.stop();
    }
}
