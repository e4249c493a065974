//! The replicated state: what every conductor knows.

use crate::command::{ProposalId, Reply, Session};
use crate::hardware;
use crate::ids::{ConductorId, Incarnation, NodeId, WallMs};
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use crate::object::{Kind, Object, Objects};
pub use crate::outbox::OutboxEvent;
use crate::ownership::{Conductors, owner_of};
use crate::pool::MachineKey;
use crate::sync_failures::{Counts, SyncFailures};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use uuid::Uuid;

/// How many recent replies are kept per conductor for recognising retries. A conductor never has more proposals in
/// flight than this, so a retry always finds its slot unless it is new.
pub const RETRY_SLOTS: u64 = 4096;

/// A conductor as the cluster knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConductorRecord {
    /// Its present (or last) life.
    pub incarnation: Incarnation,
    /// Whether it takes part.
    pub status: ConductorStatus,
    /// Host name.
    pub host: Box<str>,
    /// The group it serves.
    pub group: Box<str>,
    /// Where it stands.
    pub rack: Box<str>,
    /// Enabled hardware types.
    pub drivers: Vec<Box<str>>,
    /// First seen.
    pub created_at: WallMs,
    /// Last change of status.
    pub updated_at: WallMs,
}

/// Host names that an operator has taken out of service, and since when.
pub type Drained = BTreeMap<Box<str>, WallMs>;

/// Whether a conductor takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ConductorStatus {
    /// Alive and owning nodes.
    Up,
    /// Alive, handing its nodes over.
    Draining,
    /// Gone.
    Down,
}

/// The reply that a proposal got, kept so that its retry gets the same.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Replied {
    /// The proposal.
    pub id: ProposalId,
    /// Its reply.
    pub reply: Reply,
}

/// The key of one stored record; also how listeners are told what an entry touched.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A node was created, changed or deleted.
    Node(NodeId),
    /// A conductor came, went or changed.
    Conductor(ConductorId),
    /// The event record of this instance was added, changed or removed.
    Outbox(Uuid),
    /// A reply was remembered in this slot of this conductor.
    Reply(ConductorId, u64),
    /// An object of this kind was created, changed or deleted.
    Object(Kind, Uuid),
    /// A host name was drained by an operator, or put back.
    Drained,
    /// A count in this group of [`SyncFailures`] changed.
    SyncFailures(u8),
}

/// One stored record of any kind: what the state tree and snapshots hold.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Stored {
    /// A node.
    Node(Arc<NodeRecord>),
    /// A conductor.
    Conductor(ConductorId, ConductorRecord),
    /// The newest event of an instance.
    Outbox(OutboxEvent),
    /// A remembered reply.
    Reply(Replied),
    /// An object that is no node.
    Object(Arc<Object>),
    /// The host names that an operator has drained, and since when.
    Drained(Drained),
    /// A group of counts of failed power syncs.
    SyncFailures(u8, Counts),
}

impl Stored {
    /// The key under which it is stored.
    #[must_use]
    pub fn key(&self) -> Change {
        match self {
            Self::Node(node) => Change::Node(node.id),
            Self::Conductor(id, _) => Change::Conductor(*id),
            Self::Outbox(event) => Change::Outbox(event.instance),
            Self::Reply(replied) => {
                Change::Reply(replied.id.conductor, replied.id.seq % RETRY_SLOTS)
            }
            Self::Object(object) => Change::Object(object.kind, object.id),
            Self::Drained(_) => Change::Drained,
            Self::SyncFailures(group, _) => Change::SyncFailures(*group),
        }
    }
}

/// Everything replicated. Cloning it clones pointers, not records: that is how snapshots are taken.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct ClusterState {
    nodes: BTreeMap<NodeId, Arc<NodeRecord>>,
    conductors: Conductors,
    outbox: BTreeMap<Uuid, OutboxEvent>,
    replies: BTreeMap<(ConductorId, u64), Replied>,
    objects: Objects,
    drained: Drained,
    sync_failures: SyncFailures,
    // Derived from `nodes`; rebuilt on restore.
    by_name: BTreeMap<Box<str>, NodeId>,
    by_instance: BTreeMap<Uuid, NodeId>,
    by_serial: BTreeMap<u64, NodeId>,
    // Derived from `outbox`: the instances whose event waits.
    untold: BTreeSet<Uuid>,
    by_state: BTreeMap<ProvisionState, u64>,
    by_machine: BTreeSet<(MachineKey, NodeId)>,
    /// Parent and child.
    by_parent: BTreeSet<(NodeId, NodeId)>,
}

impl ClusterState {
    /// The node with this uuid.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&Arc<NodeRecord>> {
        self.nodes.get(&id)
    }

    /// The node with this name.
    #[must_use]
    pub fn node_by_name(&self, name: &str) -> Option<&Arc<NodeRecord>> {
        self.by_name.get(name).and_then(|id| self.nodes.get(id))
    }

    /// The node that this instance is on.
    #[must_use]
    pub fn node_by_instance(&self, instance: Uuid) -> Option<&Arc<NodeRecord>> {
        self.by_instance
            .get(&instance)
            .and_then(|id| self.nodes.get(id))
    }

    /// The other node that a machine belongs to, where several name it: of those that were ever verified the oldest.
    /// `node` must leave the machine alone then, or two nodes would fight over its power.
    #[must_use]
    pub fn rival(&self, machine: MachineKey, node: NodeId) -> Option<&Arc<NodeRecord>> {
        let first = (machine, NodeId(Uuid::nil()));
        let last = (machine, NodeId(Uuid::max()));
        let mut naming = self.by_machine.range(first..=last).map(|(_, id)| *id);
        let claimants = naming.clone();
        // As a rule nobody else names it: each read asks, so no record is looked at for that.
        if naming.next() == Some(node) && naming.next().is_none() {
            return None;
        }
        let rightful = claimants
            .filter_map(|id| self.nodes.get(&id))
            .min_by_key(|claimant| {
                let state = claimant.provision_state;
                let unsure = matches!(
                    state,
                    ProvisionState::Verifying
                        | ProvisionState::Adopting
                        | ProvisionState::AdoptFailed
                );
                let standing = if state == ProvisionState::Enroll {
                    2
                } else {
                    u8::from(unsure)
                };
                (standing, claimant.serial)
            });
        rightful.filter(|other| other.id != node)
    }

    /// The nodes whose `parent_node` this one is.
    pub fn children_of(&self, parent: NodeId) -> impl Iterator<Item = &Arc<NodeRecord>> {
        let first = (parent, NodeId(Uuid::nil()));
        let last = (parent, NodeId(Uuid::max()));
        self.by_parent
            .range(first..=last)
            .filter_map(|(_, id)| self.nodes.get(id))
    }

    /// All nodes in creation order, after the one with serial `after`.
    pub fn nodes_after(&self, after: Option<u64>) -> impl Iterator<Item = &Arc<NodeRecord>> {
        let start = after.map_or(0, |serial| serial.saturating_add(1));
        self.by_serial
            .range(start..)
            .filter_map(|(_, id)| self.nodes.get(id))
    }

    /// All nodes, by uuid.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = &Arc<NodeRecord>> {
        self.nodes.values()
    }

    /// How often in a row the power sync of this node has failed.
    #[must_use]
    pub fn sync_failures(&self, node: NodeId) -> u32 {
        self.sync_failures.of(node)
    }

    /// Everything that is no node.
    #[must_use]
    pub const fn objects(&self) -> &Objects {
        &self.objects
    }

    /// How many nodes are in a provision state.
    #[must_use]
    pub fn count_in(&self, state: ProvisionState) -> u64 {
        self.by_state.get(&state).copied().unwrap_or(0)
    }

    /// All conductors.
    #[must_use]
    pub const fn conductors(&self) -> &Conductors {
        &self.conductors
    }

    /// One conductor.
    #[must_use]
    pub fn conductor(&self, id: ConductorId) -> Option<&ConductorRecord> {
        self.conductors.get(&id)
    }

    /// The conductor of this host name: the one that lives, or else the youngest. A name has several records for a while
    /// after its disk was lost.
    #[must_use]
    pub fn conductor_named(&self, host: &str) -> Option<(ConductorId, &ConductorRecord)> {
        let named = self
            .conductors
            .iter()
            .filter(|(_, record)| &*record.host == host);
        named
            .max_by_key(|(id, record)| (record.status != ConductorStatus::Down, **id))
            .map(|(id, record)| (*id, record))
    }

    /// The host names that an operator has drained, and since when.
    #[must_use]
    pub const fn drained(&self) -> &Drained {
        &self.drained
    }

    /// Whether an operator has drained this host name.
    #[must_use]
    pub fn is_drained(&self, host: &str) -> bool {
        self.drained.contains_key(host)
    }

    /// The host name of a conductor, for texts; its number if it is unknown.
    #[must_use]
    pub fn host_of(&self, id: ConductorId) -> Box<str> {
        self.conductors
            .get(&id)
            .map_or_else(|| id.to_string().into(), |record| record.host.clone())
    }

    /// Whether this is the present life of a conductor that takes part.
    #[must_use]
    pub fn is_live(&self, session: Session) -> bool {
        self.conductors
            .get(&session.conductor)
            .is_some_and(|record| {
                record.incarnation == session.incarnation && record.status != ConductorStatus::Down
            })
    }

    /// Who owns the node now.
    #[must_use]
    pub fn owner(&self, node: &NodeRecord) -> Option<ConductorId> {
        owner_of(&self.conductors, node).map(|(owner, _)| owner)
    }

    /// The session of the node's owner now.
    #[must_use]
    pub fn owner_session(&self, node: &NodeRecord) -> Option<Session> {
        let conductor = self.owner(node)?;
        let incarnation = self.conductor(conductor)?.incarnation;
        Some(Session {
            conductor,
            incarnation,
        })
    }

    /// Events that the compute service has yet to be told, by instance.
    pub fn outbox(&self) -> impl Iterator<Item = &OutboxEvent> {
        self.untold.iter().filter_map(|key| self.outbox.get(key))
    }

    /// How many wait.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        self.untold.len()
    }

    /// The event of an instance that the compute service has yet to be told.
    #[must_use]
    pub fn outbox_of(&self, instance: Uuid) -> Option<&OutboxEvent> {
        self.outbox
            .get(&instance)
            .filter(|event| event.is_waiting())
    }

    /// The newest event of an instance, whatever became of it.
    #[must_use]
    pub fn event_of(&self, instance: Uuid) -> Option<&OutboxEvent> {
        self.outbox.get(&instance)
    }

    /// The newest event of every instance, whatever became of it.
    pub fn events(&self) -> impl ExactSizeIterator<Item = &OutboxEvent> {
        self.outbox.values()
    }

    /// The remembered reply to this very proposal.
    #[must_use]
    pub fn reply_to(&self, id: ProposalId) -> Option<&Reply> {
        let slot = (id.conductor, id.seq % RETRY_SLOTS);
        self.replies
            .get(&slot)
            .filter(|replied| replied.id == id)
            .map(|replied| &replied.reply)
    }

    /// The stored form of what a [`Change`] names; `None` if it is gone.
    #[must_use]
    pub fn stored(&self, key: Change) -> Option<Stored> {
        match key {
            Change::Node(id) => self.nodes.get(&id).cloned().map(Stored::Node),
            Change::Conductor(id) => self
                .conductors
                .get(&id)
                .cloned()
                .map(|record| Stored::Conductor(id, record)),
            Change::Outbox(instance) => self.outbox.get(&instance).cloned().map(Stored::Outbox),
            Change::Reply(id, slot) => self.replies.get(&(id, slot)).cloned().map(Stored::Reply),
            Change::Object(kind, id) => self.objects.get(kind, id).cloned().map(Stored::Object),
            Change::Drained => {
                (!self.drained.is_empty()).then(|| Stored::Drained(self.drained.clone()))
            }
            Change::SyncFailures(group) => self
                .sync_failures
                .group(group)
                .map(|counts| Stored::SyncFailures(group, counts.clone())),
        }
    }

    /// Every stored record, in key order.
    pub fn all_stored(&self) -> impl Iterator<Item = Stored> {
        let conductors = self
            .conductors
            .iter()
            .map(|(id, record)| Stored::Conductor(*id, record.clone()));
        let nodes = self.nodes.values().cloned().map(Stored::Node);
        let outbox = self.outbox.values().cloned().map(Stored::Outbox);
        let replies = self.replies.values().cloned().map(Stored::Reply);
        let objects = self.objects.iter().cloned().map(Stored::Object);
        let failures = self
            .sync_failures
            .groups()
            .map(|(group, counts)| Stored::SyncFailures(group, counts.clone()));
        nodes
            .chain(conductors)
            .chain(outbox)
            .chain(replies)
            .chain(objects)
            .chain(self.stored(Change::Drained))
            .chain(failures)
    }

    /// Rebuilds the state from stored records.
    #[must_use]
    pub fn restore(records: impl IntoIterator<Item = Stored>) -> Self {
        let mut state = Self::default();
        for record in records {
            match record {
                Stored::Node(node) => state.put_node(node),
                Stored::Conductor(id, record) => state.put_conductor(id, record),
                Stored::Outbox(event) => state.put_event(event),
                Stored::Reply(replied) => state.put_reply(replied),
                Stored::Object(object) => state.put_object(object),
                Stored::Drained(drained) => state.drained = drained,
                Stored::SyncFailures(_, counts) => {
                    for (node, count) in counts {
                        state.sync_failures.set(node, count);
                    }
                }
            }
        }
        state
    }

    pub(crate) fn put_node(&mut self, node: Arc<NodeRecord>) {
        // Most changes touch nothing that a node is found by.
        if let Some(old) = self.nodes.get_mut(&node.id)
            && is_found_alike(old, &node)
        {
            *old = node;
            return;
        }
        let same = self
            .nodes
            .get(&node.id)
            .is_some_and(|old| is_same_machine(old, &node));
        if !same {
            self.leave_machine(node.id);
            if let Some(machine) = machine_of(&node) {
                self.by_machine.insert((machine, node.id));
            }
        }
        self.take_out(node.id);
        if let Some(name) = &node.name {
            self.by_name.insert(name.clone(), node.id);
        }
        if let Some(instance) = node.instance_uuid {
            self.by_instance.insert(instance, node.id);
        }
        if let Some(parent) = node.parent_node {
            self.by_parent.insert((parent, node.id));
        }
        self.by_serial.insert(node.serial, node.id);
        *self.by_state.entry(node.provision_state).or_default() += 1;
        self.nodes.insert(node.id, node);
    }

    pub(crate) fn remove_node(&mut self, id: NodeId) {
        self.leave_machine(id);
        self.take_out(id);
    }

    fn leave_machine(&mut self, id: NodeId) {
        if let Some(machine) = self.nodes.get(&id).and_then(|old| machine_of(old)) {
            self.by_machine.remove(&(machine, id));
        }
    }

    fn take_out(&mut self, id: NodeId) {
        if let Some(old) = self.nodes.remove(&id) {
            if let Some(name) = &old.name {
                self.by_name.remove(name);
            }
            if let Some(instance) = old.instance_uuid {
                self.by_instance.remove(&instance);
            }
            if let Some(parent) = old.parent_node {
                self.by_parent.remove(&(parent, id));
            }
            self.by_serial.remove(&old.serial);
            if let Some(count) = self.by_state.get_mut(&old.provision_state) {
                *count -= 1;
                if *count == 0 {
                    self.by_state.remove(&old.provision_state);
                }
            }
        }
    }

    pub(crate) fn put_conductor(&mut self, id: ConductorId, record: ConductorRecord) {
        self.conductors.insert(id, record);
    }

    pub(crate) fn remove_conductor(&mut self, id: ConductorId) {
        self.conductors.remove(&id);
    }

    pub(crate) fn set_drained(&mut self, host: &str, since: Option<WallMs>) {
        match since {
            Some(at) => self.drained.insert(host.into(), at),
            None => self.drained.remove(host),
        };
    }

    pub(crate) fn put_event(&mut self, event: OutboxEvent) {
        if event.is_waiting() {
            self.untold.insert(event.instance);
        } else {
            self.untold.remove(&event.instance);
        }
        self.outbox.insert(event.instance, event);
    }

    pub(crate) fn remove_event(&mut self, instance: Uuid) {
        self.untold.remove(&instance);
        self.outbox.remove(&instance);
    }

    pub(crate) fn put_object(&mut self, object: Arc<Object>) {
        self.objects.put(object);
    }

    pub(crate) fn remove_object(&mut self, kind: Kind, id: Uuid) {
        self.objects.remove(kind, id);
    }

    /// Sets the count of failed power syncs; whether that changed it.
    pub(crate) fn set_sync_failures(&mut self, node: NodeId, count: u32) -> bool {
        self.sync_failures.set(node, count)
    }

    pub(crate) fn put_reply(&mut self, replied: Replied) {
        self.replies.insert(
            (replied.id.conductor, replied.id.seq % RETRY_SLOTS),
            replied,
        );
    }
}

/// Whether every index finds both records by the same keys.
fn is_found_alike(old: &NodeRecord, new: &NodeRecord) -> bool {
    old.serial == new.serial
        && old.provision_state == new.provision_state
        && old.name == new.name
        && old.instance_uuid == new.instance_uuid
        && old.parent_node == new.parent_node
        && is_same_machine(old, new)
}

/// Whether both records say the same of what [`machine_of`] looks at.
fn is_same_machine(old: &NodeRecord, new: &NodeRecord) -> bool {
    old.driver_info == new.driver_info && old.interfaces.power == new.interfaces.power
}

/// The machine behind the node's BMC, if it has one and its `driver_info` can be read.
fn machine_of(node: &NodeRecord) -> Option<MachineKey> {
    let target = hardware::bmc_target(node).ok()?;
    MachineKey::of(node.id, &target)
}

/// The state as everybody in a process shares it. Only the state machine writes; readers hold the lock for
/// microseconds and clone the `Arc`s they need.
#[derive(Clone, Default)]
pub struct StateView(Arc<RwLock<ClusterState>>);

impl StateView {
    /// Shares a state.
    #[must_use]
    pub fn new(state: ClusterState) -> Self {
        Self(Arc::new(RwLock::new(state)))
    }

    /// Reads. A poisoned lock is read all the same: the process is on its way down, since `apply` aborts on a panic.
    pub fn read(&self) -> RwLockReadGuard<'_, ClusterState> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes; for the state machine only.
    pub fn write(&self) -> RwLockWriteGuard<'_, ClusterState> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
