//! The oracle: what the cluster committed, in order, as the first member to apply each entry shows it.
//!
//! It believes nobody: when another member, or the same one after a restart, applies an entry of the same index, the two
//! must have changed the same records to the same values.

use crate::plant::Plant;
use crate::trace::{Trace, hash, hash_of};
use crate::world::net::Host;
use baton_cluster::codec::state::encode_stored;
use baton_model::apply::apply;
use baton_model::command::{Command, EditNode, Proposal, ProposalId, Session};
use baton_model::ids::{ConductorId, Incarnation, LogIndex, NodeId, WallMs};
use baton_model::node::edit::NodeEdit;
use baton_model::node::record::NodeRecord;
use baton_model::port::cluster::ChangeSink;
use baton_model::state::{Change, ClusterState, ConductorStatus, StateView};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A node's record as one entry left it.
#[derive(Clone, Debug)]
pub struct Version {
    /// When the first member had applied it, in the world's milliseconds.
    pub at: u64,
    /// The entry.
    pub index: u64,
    /// The record; `None` once the node is deleted.
    pub record: Option<Arc<NodeRecord>>,
}

/// Two members that applied different things under one index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Disagreement {
    /// When it was noticed.
    pub at: u64,
    /// The entry's index.
    pub index: u64,
    /// Who applied it first.
    pub first: Host,
    /// Who applied something else.
    pub other: Host,
}

#[derive(Default)]
struct Inner {
    /// Who applied the proposal at this index and place first, and a hash of what it changed.
    entries: BTreeMap<(u64, u64), (Host, u64)>,
    nodes: BTreeMap<NodeId, Vec<Version>>,
    disagreements: Vec<Disagreement>,
    served_though_drained: Vec<(u64, Box<str>)>,
    /// The last session of each conductor, and whether it is over.
    sessions: BTreeMap<ConductorId, (Incarnation, bool)>,
    /// Where each member that ever was runs or ran.
    members: BTreeMap<ConductorId, Host>,
}

/// See the module. Clones are the same oracle.
#[derive(Clone)]
pub struct Oracle {
    inner: Arc<Mutex<Inner>>,
    trace: Trace,
}

impl Oracle {
    /// An oracle that has seen nothing.
    #[must_use]
    pub fn new(trace: Trace) -> Self {
        Self {
            inner: Arc::default(),
            trace,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The highest index seen.
    #[must_use]
    pub fn last_index(&self) -> u64 {
        self.inner()
            .entries
            .last_key_value()
            .map_or(0, |((index, _), _)| *index)
    }

    /// Every version of every node.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<NodeId, Vec<Version>> {
        self.inner().nodes.clone()
    }

    /// The newest version of a node.
    #[must_use]
    pub fn newest(&self, node: NodeId) -> Option<Arc<NodeRecord>> {
        let inner = self.inner();
        inner.nodes.get(&node)?.last()?.record.clone()
    }

    /// Where members did not agree.
    #[must_use]
    pub fn disagreements(&self) -> Vec<Disagreement> {
        self.inner().disagreements.clone()
    }

    /// Whether this session was, and has ended.
    #[must_use]
    pub fn is_over(&self, session: Session) -> bool {
        let inner = self.inner();
        let last = inner.sessions.get(&session.conductor);
        last.is_some_and(|(incarnation, over)| {
            *incarnation > session.incarnation || *incarnation == session.incarnation && *over
        })
    }

    /// This host runs as this member.
    pub fn note_member(&self, id: ConductorId, host: Host) {
        self.inner().members.insert(id, host);
    }

    /// Where a member runs or ran.
    #[must_use]
    pub fn host_of(&self, id: ConductorId) -> Option<Host> {
        self.inner().members.get(&id).copied()
    }

    /// Conductors that became owners although their host name was drained, and when.
    #[must_use]
    pub fn served_though_drained(&self) -> Vec<(u64, Box<str>)> {
        self.inner().served_though_drained.clone()
    }

    fn observe(
        &self,
        host: Host,
        (index, place): (u64, u64),
        changes: &[Change],
        state: &ClusterState,
    ) {
        let digest = changes.iter().fold(hash_of(b""), |digest, change| {
            let bytes = state
                .stored(*change)
                .and_then(|record| encode_stored(&record).ok());
            let digest = hash(digest, format!("{change:?}").as_bytes());
            hash(digest, &bytes.unwrap_or_default())
        });
        let at = self.trace.now();
        let mut inner = self.inner();
        if let Some((first, known)) = inner.entries.get(&(index, place)).copied() {
            if known != digest {
                self.trace.note(format_args!(
                    "DISAGREEMENT at entry {index}: conductors {first} and {host} applied different things"
                ));
                inner.disagreements.push(Disagreement {
                    at,
                    index,
                    first,
                    other: host,
                });
            }
            return;
        }
        inner.entries.insert((index, place), (host, digest));
        let mut touched = Vec::new();
        for change in changes {
            if let Change::Node(node) = change {
                let record = state.node(*node).cloned();
                touched.push(describe(*node, record.as_deref()));
                inner
                    .nodes
                    .entry(*node)
                    .or_default()
                    .push(Version { at, index, record });
            } else if let Change::Conductor(id) = change {
                if let Some(record) = state.conductor(*id) {
                    let over = record.status == ConductorStatus::Down;
                    inner.sessions.insert(*id, (record.incarnation, over));
                }
                let serves = state
                    .conductor(*id)
                    .filter(|record| record.status == ConductorStatus::Up);
                if let Some(record) = serves.filter(|record| state.is_drained(&record.host)) {
                    inner.served_though_drained.push((at, record.host.clone()));
                }
                let status = state
                    .conductor(*id)
                    .map(|record| format!("{:?} {}", record.status, record.incarnation));
                touched.push(format!(
                    "conductor {id} {}",
                    status.unwrap_or_else(|| "gone".to_owned())
                ));
            }
        }
        self.trace.note(format_args!(
            "entry {index}.{place} by conductor {host}: {} #{digest:016x}",
            touched.join("; ")
        ));
    }
}

fn describe(node: NodeId, record: Option<&NodeRecord>) -> String {
    let short: String = node.to_string().chars().take(8).collect();
    let Some(record) = record else {
        return format!("{short} deleted");
    };
    let intent = record.intent.as_ref().map(|intent| {
        format!(
            ", {} for {}",
            intent.kind.purpose(),
            intent.request.as_ref().map_or("itself", |id| &*id.0)
        )
    });
    format!(
        "{short} r{} e{} {} {}{}{}",
        record.revision,
        record.epoch,
        record.provision_state,
        baton_model::node::power::show(record.power_state),
        intent.unwrap_or_default(),
        record
            .fault
            .map(|fault| format!(", {}", fault.as_str()))
            .unwrap_or_default(),
    )
}

/// Passes changes on to a conductor, and shows them to the oracle first.
pub struct Sink {
    host: Host,
    oracle: Oracle,
    next: Arc<dyn ChangeSink>,
    state: OnceLock<StateView>,
    /// The entry applied last, and the place of its last proposal in it.
    last: Mutex<(u64, u64)>,
    plant: Plant,
}

impl Sink {
    /// The sink of one process.
    #[must_use]
    pub fn new(host: Host, oracle: Oracle, next: Arc<dyn ChangeSink>, plant: Plant) -> Self {
        Self {
            host,
            oracle,
            next,
            state: OnceLock::new(),
            last: Mutex::default(),
            plant,
        }
    }

    /// From now on it can show what changed. Entries that a start applies again were seen in the life before.
    pub fn attach(&self, state: StateView) {
        // Attached once, right after the start.
        self.state.set(state).ok();
    }
}

/// The planted bug: a change that is in nobody's log.
fn diverge(state: &StateView, index: LogIndex) {
    let mut state = state.write();
    let Some(node) = state.nodes().next().map(|record| record.id) else {
        return;
    };
    let edit = EditNode {
        node,
        expect: None,
        edits: vec![NodeEdit::Description(Some("diverged".into()))],
    };
    let proposal = Proposal {
        id: ProposalId {
            conductor: ConductorId(99),
            incarnation: Incarnation(1),
            seq: index.0,
        },
        at: WallMs(0),
        command: Command::NodeEdit(edit),
    };
    drop(apply(&mut state, index, proposal));
}

impl ChangeSink for Sink {
    fn applied(&self, index: LogIndex, changes: &[Change]) {
        let position = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            *last = match *last {
                (same, place) if same == index.0 => (same, place + 1),
                _ => (index.0, 0),
            };
            *last
        };
        if let Some(state) = self.state.get() {
            self.oracle
                .observe(self.host, position, changes, &state.read());
            if self.plant == Plant::Diverge && self.host == 2 && index.0.is_multiple_of(40) {
                diverge(state, index);
            }
        }
        if self.plant == Plant::DeafFeed {
            let heard = |change: &&Change| !matches!(change, Change::Conductor(_));
            let heard: Vec<Change> = changes.iter().filter(heard).copied().collect();
            self.next.applied(index, &heard);
            return;
        }
        self.next.applied(index, changes);
    }

    fn reset(&self, index: LogIndex) {
        self.oracle.trace.note(format_args!(
            "conductor {} installed a snapshot up to entry {index}",
            self.host
        ));
        self.next.reset(index);
    }
}
