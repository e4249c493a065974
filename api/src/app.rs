//! `App`: what all handlers share, and the ways they read nodes, edit them and hand work to their owners.
//!
//! Edits are optimistic: read, decide, propose with the revision that was read, and start over if the record has moved.
//! So two clients that patch one node at once both succeed, one after the other, on what they really saw.

use crate::barrier::Barriers;
use crate::call::Call;
use crate::changes::Changes;
use crate::error::{ApiError, RETRY_AFTER_S};
use crate::fields::Shown;
use crate::options::ApiOptions;
use crate::v1::routes::Table;
use axum::http::StatusCode;
use baton_model::command::{Command, EditNode, Refusal, Reply};
use baton_model::env::Env;
use baton_model::hardware::check_enabled;
use baton_model::ids::NodeId;
use baton_model::node::edit::{NodeEdit, Refused};
use baton_model::node::record::NodeRecord;
use baton_model::port::cluster::Proposer;
use baton_model::port::compute::Notifier;
use baton_model::port::node::{NodeAnswer, NodeGateway, NodeRequest};
use baton_model::state::{ClusterState, ConductorStatus, StateView};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// How often an edit starts over because the record moved under it. Each time somebody else's edit succeeded, so more
/// than this many in a row means a client that hammers one node.
const EDIT_ATTEMPTS_MAX: u32 = 16;

/// How many requests may wait for node locks at once; each holds a connection and its body. Beyond it a locked node
/// answers 409 at once, which clients retry.
const LOCK_WAITERS_MAX: usize = 1024;

/// What the API needs from the rest of the process.
pub struct Deps {
    /// The replicated state.
    pub state: StateView,
    /// Changes it.
    pub proposer: Arc<dyn Proposer>,
    /// Hands work to the owners of nodes.
    pub nodes: Arc<dyn NodeGateway>,
    /// Time and chance.
    pub env: Env,
    /// Rings when the state changes; has to be registered with the state machine.
    pub changes: Arc<Changes>,
    /// Knows what the compute service has not heard of.
    pub notifier: Arc<dyn Notifier>,
}

/// Shared by all requests of one public API.
pub(crate) struct App {
    pub(crate) deps: Deps,
    pub(crate) options: ApiOptions,
    pub(crate) table: Table,
    barriers: Barriers,
    lock_waiters: Semaphore,
}

impl App {
    pub(crate) fn new(deps: Deps, options: ApiOptions, table: Table) -> Self {
        Self {
            barriers: Barriers::new(Arc::clone(&deps.proposer)),
            deps,
            options,
            table,
            lock_waiters: Semaphore::new(LOCK_WAITERS_MAX),
        }
    }

    // --- Reading ----------------------------------------------------------------------------------

    /// Waits until the local state is as fresh as the request wants.
    pub(crate) async fn fresh(&self, call: &Call) -> Result<(), ApiError> {
        Ok(self.barriers.wait(call.reads).await?)
    }

    /// The node that the first segment of the path names, as fresh as the request wants.
    pub(crate) async fn node(&self, call: &Call) -> Result<Arc<NodeRecord>, ApiError> {
        self.fresh(call).await?;
        self.find(call, call.segment(0))
    }

    /// The node of this uuid or name in the local state.
    pub(crate) fn find(&self, call: &Call, ident: &str) -> Result<Arc<NodeRecord>, ApiError> {
        let state = self.deps.state.read();
        find_node(&state, call, ident).cloned()
    }

    /// A record with what the cluster knows about its owner and lock.
    pub(crate) fn shown(&self, node: Arc<NodeRecord>) -> Shown {
        Shown::of(&self.deps.state.read(), node)
    }

    // --- Editing ----------------------------------------------------------------------------------

    /// Edits the node that the first segment names. `decide` is asked again each time the record moved; no edits mean
    /// nothing to do. Returns the node as it is afterwards.
    pub(crate) async fn edit<F>(&self, call: &Call, decide: F) -> Result<Arc<NodeRecord>, ApiError>
    where
        F: Fn(&Arc<NodeRecord>) -> Result<Vec<NodeEdit>, ApiError> + Send + Sync,
    {
        self.fresh(call).await?;
        let mut wait = LockWait::new(self);
        for _ in 0..EDIT_ATTEMPTS_MAX {
            let node = self.find(call, call.segment(0))?;
            let edits = decide(&node)?;
            if edits.is_empty() {
                return Ok(node);
            }
            if node.is_locked() && edits.iter().any(NodeEdit::needs_lock) {
                wait.until_free(&node).await?;
                continue;
            }
            let command = Command::NodeEdit(EditNode {
                node: node.id,
                expect: Some(node.revision),
                edits,
            });
            match self.deps.proposer.propose(command).await? {
                Reply::Done { .. } => return Ok(self.after(&node)),
                // The loop reads again; a lock taken meanwhile is waited for there.
                Reply::Refused(Refusal::Moved { .. } | Refusal::Locked { .. }) => {}
                Reply::Refused(other) => return Err(refusal(node.id, other)),
            }
        }
        Err(ApiError::conflict(format!(
            "Node {} is changed by others all the time; {EDIT_ATTEMPTS_MAX} attempts to apply this request to its newest \
             state have failed. Please retry.",
            call.segment(0)
        )))
    }

    /// The node after a proposal of ours was applied here.
    fn after(&self, before: &Arc<NodeRecord>) -> Arc<NodeRecord> {
        let state = self.deps.state.read();
        Arc::clone(state.node(before.id).unwrap_or(before))
    }

    /// Proposes a command that no revision guards; waits for the node's lock as edits do.
    pub(crate) async fn propose(
        &self,
        node: &NodeRecord,
        command: Command,
    ) -> Result<(), ApiError> {
        let mut wait = LockWait::new(self);
        for _ in 0..EDIT_ATTEMPTS_MAX {
            match self.deps.proposer.propose(command.clone()).await? {
                Reply::Done { .. } => return Ok(()),
                Reply::Refused(Refusal::Locked { .. }) => wait.until_free(node).await?,
                Reply::Refused(other) => return Err(refusal(node.id, other)),
            }
        }
        Err(ApiError::conflict(format!(
            "Node {} is locked again each time its lock is free; please retry.",
            node.id
        )))
    }

    /// Patience with locks, for handlers that decide by themselves.
    pub(crate) fn lock_wait(&self) -> LockWait<'_> {
        LockWait::new(self)
    }

    // --- Work -------------------------------------------------------------------------------------

    /// Hands work to the owner of a node, if driver and interfaces of the node are still enabled.
    pub(crate) async fn request(
        &self,
        call: &Call,
        node: NodeId,
        request: NodeRequest,
    ) -> Result<NodeAnswer, ApiError> {
        let record = self.deps.state.read().node(node).cloned();
        if let Some(record) = record {
            check_enabled(&record, &self.options.enabled)?;
        }
        note(call, node, &request);
        Ok(self
            .deps
            .nodes
            .request(node, call.request_id(), request)
            .await?)
    }

    // --- Drivers ----------------------------------------------------------------------------------

    /// Refuses a driver that no live conductor of the group serves.
    pub(crate) fn check_driver(&self, driver: &str, group: &str) -> Result<(), ApiError> {
        let state = self.deps.state.read();
        let served = state.conductors().values().any(|conductor| {
            conductor.status != ConductorStatus::Down
                && *conductor.group == *group
                && conductor.drivers.iter().any(|name| **name == *driver)
        });
        if served {
            return Ok(());
        }
        Err(ApiError::bad(format!(
            "No valid host was found. Reason: No conductor service registered which supports driver {driver} for \
             conductor group \"{group}\". Ensure the driver is valid and enabled."
        )))
    }
}

/// Says in the log who asked for what may change a machine's power. It is told before the owner hears of it, so that whoever
/// asks later why a machine went on or off finds the answer even if this conductor dies meanwhile.
fn note(call: &Call, node: NodeId, request: &NodeRequest) {
    let asked: &dyn std::fmt::Display = match request {
        NodeRequest::Power { request, .. } => request,
        NodeRequest::Provision { verb, .. } => verb,
        NodeRequest::InjectNmi => &"inject nmi",
        NodeRequest::SyncNow
        | NodeRequest::Inspect
        | NodeRequest::Ask(_)
        | NodeRequest::SetBootDevice { .. }
        | NodeRequest::SetBootMode(_)
        | NodeRequest::SetSecureBoot(_)
        | NodeRequest::Chore { .. } => return,
    };
    let user = call.user.as_deref();
    let request_id = call.request_id();
    tracing::info!(%node, %asked, %request_id, user, "a user asks for something that may change the power");
}

/// What a path segment or parameter that names a node can be.
pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    // Only the hyphenated form: the others would make names such as `deadbeef…` ambiguous.
    (text.len() == 36)
        .then(|| Uuid::try_parse(text).ok())
        .flatten()
}

/// The node of this uuid or name.
pub(crate) fn find_node<'a>(
    state: &'a ClusterState,
    call: &Call,
    ident: &str,
) -> Result<&'a Arc<NodeRecord>, ApiError> {
    // Names in URLs came with 1.5; the suffix lost its meaning with 1.91.
    let by = |ident: &str| {
        parse_uuid(ident).map_or_else(
            || state.node_by_name(ident).filter(|_| call.version.has(5)),
            |uuid| state.node(NodeId(uuid)),
        )
    };
    let bare = ident
        .strip_suffix(".json")
        .filter(|_| !call.version.has(91));
    bare.and_then(by).or_else(|| by(ident)).ok_or_else(|| {
        if is_name(ident) {
            ApiError::no_node(bare.unwrap_or(ident))
        } else {
            ApiError::bad(format!("Expected UUID or name for node: {ident}"))
        }
    })
}

/// Whether a text can be a resource name: 1 to 255 of RFC 3986's unreserved characters.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
}

/// A refusal as the client sees it.
pub(crate) fn refusal(node: NodeId, refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::Rule(refused) => refused.into(),
        Refusal::NoSuchNode => Refused::no_such_node(node).into(),
        Refusal::Locked { host } => Refused::locked(node, &host).into(),
        Refusal::Moved { .. } => ApiError::conflict(format!(
            "Node {node} was changed by someone else meanwhile; please retry."
        )),
        Refusal::Fenced { .. } => ApiError::unavailable(
            format!("Node {node} has a new owner; please retry."),
            RETRY_AFTER_S,
        ),
        Refusal::SessionOver | Refusal::HostTaken => ApiError::unavailable(
            "This conductor is no longer part of the cluster; please retry at another one.",
            RETRY_AFTER_S,
        ),
    }
}

/// Patience with node locks: one budget for a whole request.
pub(crate) struct LockWait<'a> {
    app: &'a App,
    deadline: Instant,
}

impl<'a> LockWait<'a> {
    fn new(app: &'a App) -> Self {
        Self {
            app,
            deadline: Instant::now() + app.options.node_lock_wait,
        }
    }

    /// Waits until the lock of `node` is free, or the node gone.
    ///
    /// # Errors
    /// Ironic's 409 when the budget is spent.
    pub(crate) async fn until_free(&mut self, node: &NodeRecord) -> Result<(), ApiError> {
        let Ok(_permit) = self.app.lock_waiters.try_acquire() else {
            return self.holder(node).map_or(Ok(()), Err);
        };
        let mut bell = self.app.deps.changes.listen();
        loop {
            let Some(locked) = self.holder(node) else {
                return Ok(());
            };
            match timeout_at(self.deadline, bell.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(locked),
            }
        }
    }

    /// The 409 that names the holder of the lock now.
    fn holder(&self, node: &NodeRecord) -> Option<ApiError> {
        let state = self.app.deps.state.read();
        let holder = state.node(node.id)?.intent.as_ref()?.holder;
        Some(Refused::locked(node.id, &state.host_of(holder)).into())
    }
}

/// A bug of ours, as the client sees it.
pub(crate) fn unexpected(what: &'static str) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, what)
}
