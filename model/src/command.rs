//! What enters the Raft log, and what comes back from applying it.
//!
//! These types are persisted. They grow by new variants at the end; nothing is edited, reordered or removed, and golden
//! bytes in `cluster` freeze them. Every time, id and draw that `apply` needs was chosen before the proposal.

use crate::ids::{
    ConductorId, Epoch, Incarnation, IntentId, LogIndex, NodeId, RequestId, Revision, WallMs,
};
use crate::json::Json;
use crate::node::boot::BootMode;
use crate::node::edit::{NodeEdit, Refused};
use crate::node::intent::{BmcWrite, Intent};
use crate::node::power::{PowerCause, PowerState};
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::{Fault, NodeRecord, RefusedLogin};
use crate::node::steps::Flow;
use crate::object::{Kind, ObjectCommand};
use crate::outbox::Told;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Names one proposal, so that a retry after a lost answer is recognised. `seq` counts up per incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ProposalId {
    /// The proposing conductor.
    pub conductor: ConductorId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its count.
    pub seq: u64,
}

/// One log entry's content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Proposal {
    /// For recognising retries.
    pub id: ProposalId,
    /// When it was proposed, by the proposer's wall clock: the label of everything it changes.
    pub at: WallMs,
    /// What to change.
    pub command: Command,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} #{} of conductor {}",
            self.command.name(),
            self.id.seq,
            self.id.conductor
        )
    }
}

/// A change of the replicated state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// A conductor begins a life.
    ConductorUp(ConductorUp),
    /// A conductor hands its nodes over and takes none, until its life ends: it is about to stop.
    ConductorDraining(Session),
    /// A conductor's life ended: it said so, or its session expired.
    ConductorDown(Session),
    /// A conductor's record goes for good.
    ConductorRemove(ConductorId),
    /// A new node, complete with its defaults.
    NodeCreate(Box<NodeRecord>),
    /// A user's edit. All of it, or nothing.
    NodeEdit(EditNode),
    /// A user's deletion.
    NodeDelete(DeleteNode),
    /// What the owner of a node did, found or is about to do. All of it, or nothing.
    NodeAct(ActOnNode),
    /// The compute service took events, or will never take them.
    EventsDone(Vec<EventDone>),
    /// An administrator takes the lock away from its holder.
    LockBreak(BreakLock),
    /// An object that is no node is made, changed or deleted.
    Object(ObjectCommand),
    /// An operator takes a conductor out of service, or puts it back. It holds for the host name, so for every later life
    /// and for a successor whose disk was lost.
    DrainOrder(DrainOrder),
    /// A conductor makes the events of its nodes its own, before it sends what another one may have sent.
    EventsClaim(ClaimEvents),
    /// An operator decides about dead letters.
    DeadLetters(DecideDeadLetters),
    /// A conductor hands events over to those that own their nodes now. It has nothing about them on its way.
    EventsRelease(ReleaseEvents),
    /// Power syncs of a conductor's nodes failed, or work again.
    FailuresCounted(CountedFailures),
}

impl Command {
    /// A word for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::ConductorUp(_) => "conductor-up",
            Self::ConductorDraining(_) => "conductor-draining",
            Self::ConductorDown(_) => "conductor-down",
            Self::ConductorRemove(_) => "conductor-remove",
            Self::NodeCreate(_) => "node-create",
            Self::NodeEdit(_) => "node-edit",
            Self::NodeDelete(_) => "node-delete",
            Self::NodeAct(_) => "node-act",
            Self::EventsDone(_) => "events-done",
            Self::LockBreak(_) => "lock-break",
            Self::Object(command) => command.name(),
            Self::DrainOrder(_) => "drain-order",
            Self::EventsClaim(_) => "events-claim",
            Self::DeadLetters(_) => "dead-letters",
            Self::EventsRelease(_) => "events-release",
            Self::FailuresCounted(_) => "failures-counted",
        }
    }
}

/// One life of one conductor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Who.
    pub conductor: ConductorId,
    /// Which life.
    pub incarnation: Incarnation,
}

/// See [`Command::ConductorUp`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConductorUp {
    /// Who, in which life.
    pub session: Session,
    /// Host name; unique in the cluster, shown as `reservation` and in `/v1/conductors`.
    pub host: Box<str>,
    /// The one group it serves, lower case.
    pub group: Box<str>,
    /// Where it stands.
    pub rack: Box<str>,
    /// Enabled hardware types.
    pub drivers: Vec<Box<str>>,
}

/// See [`Command::DrainOrder`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DrainOrder {
    /// The conductor.
    pub host: Box<str>,
    /// Out of service, or back.
    pub drained: bool,
}

/// See [`Command::NodeEdit`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EditNode {
    /// The node.
    pub node: NodeId,
    /// Refuse if the record has moved on since the editor read it.
    pub expect: Option<Revision>,
    /// The edits, in order.
    pub edits: Vec<NodeEdit>,
}

/// See [`Command::NodeDelete`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DeleteNode {
    /// The node.
    pub node: NodeId,
    /// `[conductor]allow_deleting_available_nodes` of the conductor that was asked.
    pub available_too: bool,
}

/// See [`Command::FailuresCounted`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CountedFailures {
    /// Who counted. Nodes that it does not own, or not any more, keep the counts that they have.
    pub session: Session,
    /// How often in a row the power sync of each has failed now.
    pub counts: Vec<(NodeId, u32)>,
}

/// Proof that an owner's proposal is not late: `apply` refuses it when the conductor no longer owns the node in this
/// life, or when the node's tenure has moved on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fence {
    /// Who claims to own the node.
    pub session: Session,
    /// The tenure that it saw.
    pub epoch: Epoch,
}

/// See [`Command::NodeAct`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ActOnNode {
    /// The node.
    pub node: NodeId,
    /// Who acts.
    pub fence: Fence,
    /// Refuse if the record has moved on since the decision. `None` where the change holds whatever else was edited.
    pub expect: Option<Revision>,
    /// The changes, in order.
    pub changes: Vec<NodeChange>,
}

/// One thing that the owner changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum NodeChange {
    /// Take the lock. Its `id`, `epoch` and `holder` are filled in by `apply`.
    OpenIntent(Box<Intent>),
    /// Release the lock; refused if another intent holds it.
    CloseIntent(IntentId),
    /// Set or clear `target_power_state`.
    TargetPower(Option<PowerState>),
    /// Record the power state. When it differs from the recorded one, a node with an instance gets a compute event in
    /// this very entry if `notify`.
    Power {
        /// The state; `None` when the BMC cannot tell.
        state: Option<PowerState>,
        /// Why it is what it is now.
        cause: PowerCause,
        /// Whether the compute service is told (`[nova]send_power_notifications`).
        notify: bool,
    },
    /// Move the provision state by the table.
    Provision {
        /// The verb or event.
        verb: Verb,
        /// Overrides the state's default target (manual cleaning targets `manageable`).
        target: Option<ProvisionState>,
    },
    /// Set or clear `last_error`.
    LastError(Option<Box<str>>),
    /// Automatic maintenance with its fault. A node already in maintenance keeps its reason and gets no fault.
    EnterMaintenance {
        /// The fault.
        fault: Fault,
        /// The reason.
        reason: Box<str>,
    },
    /// Leave automatic maintenance, if `fault` is still the one set.
    LeaveMaintenance(Fault),
    /// The count of consecutive failed power syncs, where something else changes with it; see also
    /// [`Command::FailuresCounted`].
    SyncFailures(u32),
    /// Replace `driver_internal_info`.
    InternalInfo(Json),
    /// Replace `properties` (the vendor cache).
    Properties(Json),
    /// Clear what belongs to the instance, after a tear-down.
    ForgetInstance,
    /// Become the holder of the intent that a former owner left open. Raises the epoch, so that nothing that the former
    /// holder has under way is valid any more, and notes the session that its write may still use.
    ClaimIntent(IntentId),
    /// Announce the next BMC write of the intent that the proposer holds. Refused while a former holder's session is not
    /// known to have ended.
    AnnounceWrite {
        /// The intent.
        intent: IntentId,
        /// The write.
        write: BmcWrite,
    },
    /// The BMC took the announced write of this intent.
    WriteAccepted(IntentId),
    /// The session that a former holder's write might have used has ended, or can do no harm any more.
    Fenced,
    /// These changes are what this API request asked for; asked again, it is answered from memory.
    Asked(RequestId),
    /// The running step of a flow; empty: none.
    Step {
        /// Which of `clean_step`, `deploy_step` and `service_step`.
        flow: Flow,
        /// The step, as Ironic shows it.
        step: Json,
    },
    /// Replace `instance_info`.
    InstanceInfo(Json),
    /// Refuse everything when this many nodes are at this kind of work already.
    CheckLimit {
        /// What is limited.
        work: LimitedWork,
        /// The most.
        max: u32,
    },
    /// The BMC refused the login, or lets us in again.
    LoginRefused(Option<Box<RefusedLogin>>),
    /// Record how the machine boots, as far as its BMC tells.
    Boots {
        /// `boot_mode`
        mode: Option<BootMode>,
        /// `secure_boot`
        secure: Option<bool>,
    },
    /// Keep what the BMC told of the machine's firmware.
    Findings {
        /// [`Kind::Bios`], [`Kind::Firmware`] or [`Kind::Inventory`].
        kind: Kind,
        /// Everything, by name.
        body: Json,
    },
    /// Make a port for each of these MAC addresses that no port has.
    Ports(Vec<Box<str>>),
}

/// Work of which only so much may go on at once in the whole cluster (Ironic's `ConcurrentActionLimit`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LimitedWork {
    /// Deploying and rebuilding; counts nodes that deploy.
    Provisioning,
    /// Tearing down; counts nodes that are torn down or cleaned.
    Unprovisioning,
    /// Cleaning; counts the same.
    Cleaning,
}

impl LimitedWork {
    /// The word of the refusal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Unprovisioning => "unprovisioning",
            Self::Cleaning => "cleaning",
        }
    }

    /// The states whose nodes count.
    #[must_use]
    pub const fn states(self) -> &'static [ProvisionState] {
        match self {
            Self::Provisioning => &[ProvisionState::Deploying, ProvisionState::WaitCallBack],
            Self::Unprovisioning | Self::Cleaning => &[
                ProvisionState::Deleting,
                ProvisionState::Cleaning,
                ProvisionState::CleanWait,
            ],
        }
    }
}

/// See [`Command::EventsDone`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct EventDone {
    /// The instance.
    pub instance: Uuid,
    /// The event's number; a newer event of the instance stays.
    pub seq: u64,
    /// What became of it.
    pub outcome: EventOutcome,
}

/// What became of an event that needs no more sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum EventOutcome {
    /// The compute service was told.
    Told(Told),
    /// It will never take the event; its last code. A dead letter, if the instance is still on the node.
    Rejected(u16),
}

/// See [`Command::EventsClaim`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClaimEvents {
    /// Who claims. Events of nodes that it does not own, or that are not waiting, are left alone.
    pub session: Session,
    /// The instances.
    pub instances: Vec<Uuid>,
}

/// See [`Command::EventsRelease`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReleaseEvents {
    /// Who hands over. Events that name another sender are left alone, and so are those of nodes that it owns.
    pub session: Session,
    /// The instances, each with its event's number; a newer event is left alone.
    pub events: Vec<(Uuid, u64)>,
}

/// See [`Command::DeadLetters`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DecideDeadLetters {
    /// The instances; those without a dead letter are left alone.
    pub instances: Vec<Uuid>,
    /// What to do with each.
    pub decision: Decision,
}

/// What to do with a dead letter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Decision {
    /// Send it again, as a new event.
    Resend,
    /// Forget it.
    Drop,
}

/// See [`Command::LockBreak`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BreakLock {
    /// The node.
    pub node: NodeId,
    /// The intent to break; a newer one is left alone.
    pub intent: IntentId,
    /// Kept in `last_error`.
    pub reason: Box<str>,
}

/// The result of one command.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Applied. The record's new revision, where one record was changed.
    Done {
        /// The entry that did it.
        index: LogIndex,
        /// The node's new revision.
        revision: Revision,
        /// The node's tenure.
        epoch: Epoch,
    },
    /// Not applied; nothing was changed.
    Refused(Refusal),
}

/// Why a command changed nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// The record has moved on; read again and decide again.
    Moved {
        /// The revision it has now.
        revision: Revision,
    },
    /// The proposer does not own the node, or not in this life or tenure.
    Fenced {
        /// The tenure now.
        epoch: Epoch,
    },
    /// Another intent holds the lock.
    Locked {
        /// The holder's host name.
        host: Box<str>,
    },
    /// No such node.
    NoSuchNode,
    /// The conductor's life is over: a younger incarnation or a `ConductorDown` has been applied.
    SessionOver,
    /// Another conductor, alive, has this host name.
    HostTaken,
    /// A rule of the API, with its status and text.
    Rule(Refused),
}
