//! `apply`: the one function that changes the replicated state.
//!
//! It is pure and total. A command is applied whole or refused whole, and a replayed proposal gets its first reply.

use crate::command::{
    ActOnNode, BreakLock, Command, CountedFailures, EditNode, Fence, NodeChange, Proposal, Refusal,
    Reply, Session,
};
use crate::ids::{Epoch, IntentId, NodeId, Position, Revision, WallMs};
use crate::json::Json;
use crate::node::edit::{NodeEdit, Refused, check_deletable, check_editable, clip};
use crate::node::intent::Intent;
use crate::node::power::{PowerCause, PowerState};
use crate::node::provision::{ProvisionState, Verb};
use crate::node::record::{NodeRecord, PowerSource, REQUESTS_REMEMBERED};
use crate::node::steps::Flow;
use crate::object::Kind;
use crate::object::rules::check_release;
use crate::outbox::EventStatus;
use crate::state::{Change, ClusterState, ConductorStatus, OutboxEvent, Replied};
use crate::sync_failures::SyncFailures;
use std::sync::Arc;

/// What applying an entry did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The answer for the proposer.
    pub reply: Reply,
    /// The records it touched, in order, each once.
    pub changes: Vec<Change>,
}

/// Applies the proposal that stands at `position`.
pub fn apply(
    state: &mut ClusterState,
    position: impl Into<Position>,
    proposal: Proposal,
) -> Applied {
    if let Some(reply) = state.reply_to(proposal.id) {
        return Applied {
            reply: reply.clone(),
            changes: Vec::new(),
        };
    }
    let mut entry = Entry {
        state,
        position: position.into(),
        at: proposal.at,
        changes: Vec::new(),
        made: 0,
    };
    let reply = entry.run(proposal.command).unwrap_or_else(Reply::Refused);
    let replied = Replied {
        id: proposal.id,
        reply: reply.clone(),
    };
    let slot = Change::Reply(
        proposal.id.conductor,
        proposal.id.seq % crate::state::RETRY_SLOTS,
    );
    entry.touch(slot);
    let changes = entry.changes;
    state.put_reply(replied);
    Applied { reply, changes }
}

mod conductors;
mod events;

struct Entry<'a> {
    state: &'a mut ClusterState,
    position: Position,
    at: WallMs,
    changes: Vec<Change>,
    /// Objects made by this entry so far, for their serials.
    made: u64,
}

impl Entry<'_> {
    fn run(&mut self, command: Command) -> Result<Reply, Refusal> {
        match command {
            Command::ConductorUp(up) => self.conductor_up(up),
            Command::ConductorDraining(session) => {
                self.conductor_status(session, ConductorStatus::Draining)
            }
            Command::ConductorDown(session) => {
                self.conductor_status(session, ConductorStatus::Down)
            }
            Command::ConductorRemove(id) => {
                self.state.remove_conductor(id);
                self.touch(Change::Conductor(id));
                Ok(self.done())
            }
            Command::NodeCreate(record) => self.create(*record),
            Command::NodeEdit(edit) => self.edit(edit),
            Command::NodeDelete(delete) => self.delete(delete.node, delete.available_too),
            Command::NodeAct(act) => self.act(act),
            Command::EventsDone(events) => Ok(self.events_done(&events)),
            Command::LockBreak(wish) => self.break_lock(wish),
            Command::Object(command) => self.object(command),
            Command::DrainOrder(order) => self.drain_order(order),
            Command::EventsClaim(claim) => self.claim_events(&claim),
            Command::DeadLetters(wish) => Ok(self.decide_dead_letters(&wish)),
            Command::EventsRelease(release) => Ok(self.release_events(&release)),
            Command::FailuresCounted(counted) => self.failures_counted(&counted),
        }
    }

    fn touch(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    const fn done(&self) -> Reply {
        Reply::Done {
            index: self.position.index,
            revision: Revision(0),
            epoch: Epoch(0),
        }
    }

    // --- Users' commands on nodes -----------------------------------------------------------------

    fn create(&mut self, mut record: NodeRecord) -> Result<Reply, Refusal> {
        if self.state.node(record.id).is_some() {
            let text = format!("A node with UUID {} already exists.", record.id);
            return Err(Refusal::Rule(Refused::new(409, text)));
        }
        self.check_unique(&record)?;
        self.check_parent(&record)?;
        self.check_chassis(&record)?;
        record.serial = self.position.serial();
        record.created_at = self.at;
        record.revision = Revision(1);
        Ok(self.put(record))
    }

    fn edit(&mut self, edit: EditNode) -> Result<Reply, Refusal> {
        let mut record = self.record(edit.node)?;
        if edit
            .expect
            .is_some_and(|revision| revision != record.revision)
        {
            return Err(Refusal::Moved {
                revision: record.revision,
            });
        }
        let is_flag =
            |edit: &NodeEdit| matches!(edit, NodeEdit::Maintenance { .. } | NodeEdit::Pin(_));
        if !edit.edits.iter().all(is_flag) {
            check_editable(&record).map_err(Refusal::Rule)?;
        }
        let locked = record.intent.as_ref().map(|intent| intent.holder);
        if let Some(holder) = locked.filter(|_| edit.edits.iter().any(NodeEdit::needs_lock)) {
            return Err(Refusal::Locked {
                host: self.state.host_of(holder),
            });
        }
        let before = (record.instance_uuid, record.chassis_uuid);
        let was_kept_out = record.maintenance;
        for change in edit.edits {
            change.check(&record).map_err(Refusal::Rule)?;
            change.apply(&mut record);
        }
        self.check_unique(&record)?;
        self.check_parent(&record)?;
        if record.chassis_uuid != before.1 {
            self.check_chassis(&record)?;
        }
        if let (Some(_), None, Some(allocation)) =
            (before.0, record.instance_uuid, record.allocation_uuid)
        {
            check_release(&record, allocation)?;
            record.allocation_uuid = None;
        }
        record.updated_at = Some(self.at);
        if was_kept_out && !record.maintenance {
            self.count_failures(record.id, 0);
        }
        Ok(self.put(record))
    }

    fn delete(&mut self, node: NodeId, available_too: bool) -> Result<Reply, Refusal> {
        let record = self.record(node)?;
        let host = record
            .intent
            .as_ref()
            .map(|intent| self.state.host_of(intent.holder))
            .unwrap_or_default();
        check_deletable(&record, available_too, &host).map_err(|refused| {
            if record.is_locked() && refused == Refused::locked(node, &host) {
                Refusal::Locked { host }
            } else {
                Refusal::Rule(refused)
            }
        })?;
        self.count_failures(node, 0);
        self.state.remove_node(node);
        self.touch(Change::Node(node));
        for (kind, id) in self.state.objects().all_of_node(node) {
            self.remove_object(kind, id);
        }
        self.forget_events_of(node);
        Ok(Reply::Done {
            index: self.position.index,
            revision: record.revision.next(),
            epoch: record.epoch,
        })
    }

    fn break_lock(&mut self, wish: BreakLock) -> Result<Reply, Refusal> {
        let mut record = self.record(wish.node)?;
        match &record.intent {
            Some(intent) if intent.id == wish.intent => {}
            Some(_) | None => {
                return Err(Refusal::Moved {
                    revision: record.revision,
                });
            }
        }
        let (host, purpose) = record
            .intent
            .as_ref()
            .map(|intent| (self.state.host_of(intent.holder), intent.kind.purpose()))
            .unwrap_or_default();
        record.epoch = record.epoch.next();
        if let Some(write) = record.intent.take().and_then(|intent| intent.write) {
            record.unfenced = Some(write.session);
        }
        record.target_power_state = None;
        record.last_error = Some(clip(&format!(
            "An operator broke the lock of {host} ({purpose}): {}",
            wish.reason
        )));
        if record.provision_state.is_working()
            && let Some(to) = record.provision_state.after(Verb::Fail)
        {
            move_to(&mut record, to, None, self.at);
        }
        record.updated_at = Some(self.at);
        self.write_history(&record, &host);
        Ok(self.put(record))
    }

    // --- The owner's commands ---------------------------------------------------------------------

    fn act(&mut self, act: ActOnNode) -> Result<Reply, Refusal> {
        let mut record = self.record(act.node)?;
        self.check_fence(&record, act.fence)?;
        if act
            .expect
            .is_some_and(|revision| revision != record.revision)
        {
            return Err(Refusal::Moved {
                revision: record.revision,
            });
        }
        let actor = (act.fence.session.conductor, act.fence.session.incarnation);
        if record.acted != Some(actor) {
            record.acted = Some(actor);
            record.epoch = record.epoch.next();
        }
        let mut events = Vec::new();
        let mut failures = None;
        for change in act.changes {
            match change {
                NodeChange::SyncFailures(count) => failures = Some(count),
                NodeChange::Findings { kind, body } => self.put_findings(record.id, kind, &body),
                NodeChange::Ports(addresses) => self.put_ports(record.id, &addresses),
                change => self.change(&mut record, act.fence.session, change, &mut events)?,
            }
        }
        record.updated_at = Some(self.at);
        if let Some(count) = failures {
            self.count_failures(record.id, count);
        }
        let host = self.state.host_of(act.fence.session.conductor);
        self.write_history(&record, &host);
        for event in events {
            self.announce(event, &record);
        }
        Ok(self.put(record))
    }

    fn failures_counted(&mut self, counted: &CountedFailures) -> Result<Reply, Refusal> {
        let session = counted.session;
        if !self.state.is_live(session) {
            return Err(Refusal::SessionOver);
        }
        for (node, count) in &counted.counts {
            let record = self.state.node(*node);
            let owner = record.and_then(|record| self.state.owner(record));
            if owner == Some(session.conductor) {
                self.count_failures(*node, *count);
            }
        }
        Ok(self.done())
    }

    fn count_failures(&mut self, node: NodeId, count: u32) {
        if self.state.set_sync_failures(node, count) {
            self.touch(Change::SyncFailures(SyncFailures::group_of(node)));
        }
    }

    fn check_fence(&self, record: &NodeRecord, fence: Fence) -> Result<(), Refusal> {
        if !self.state.is_live(fence.session) {
            return Err(Refusal::SessionOver);
        }
        // A draining conductor owns nothing by the hash, yet finishes the intents that it holds.
        let holds = record.intent.as_ref().is_some_and(|intent| {
            intent.holder == fence.session.conductor
                && intent.incarnation == fence.session.incarnation
        });
        let owns = self.state.owner(record) == Some(fence.session.conductor);
        if fence.epoch != record.epoch || !(owns || holds) {
            return Err(Refusal::Fenced {
                epoch: record.epoch,
            });
        }
        Ok(())
    }

    fn change(
        &self,
        record: &mut NodeRecord,
        session: Session,
        change: NodeChange,
        events: &mut Vec<OutboxEvent>,
    ) -> Result<(), Refusal> {
        match change {
            NodeChange::OpenIntent(mut intent) => {
                if let Some(held) = &record.intent {
                    return Err(Refusal::Locked {
                        host: self.state.host_of(held.holder),
                    });
                }
                if record.unfenced.is_some() && intent.write.is_some() {
                    return Err(Refusal::Fenced {
                        epoch: record.epoch,
                    });
                }
                intent.id = record.next_intent;
                intent.holder = session.conductor;
                intent.incarnation = session.incarnation;
                intent.epoch = record.epoch;
                record.next_intent = IntentId(record.next_intent.0.saturating_add(1));
                record.intent = Some(*intent);
            }
            NodeChange::CloseIntent(id) => match &record.intent {
                Some(intent) if intent.id == id => record.intent = None,
                Some(_) | None => {
                    return Err(Refusal::Fenced {
                        epoch: record.epoch,
                    });
                }
            },
            NodeChange::TargetPower(target) => record.target_power_state = target,
            NodeChange::Power {
                state,
                cause,
                notify,
            } => {
                let changed = record.power_state != state;
                record.power_state = state;
                if changed || record.power_source.is_none() {
                    record.power_source = Some(PowerSource {
                        cause,
                        conductor: session.conductor,
                        at: self.at,
                    });
                }
                let told = state.filter(|state| *state != PowerState::Error);
                // Nothing changes at an adoption, but the compute service has never heard of the state.
                let is_news = changed || cause == PowerCause::Adoption;
                if let (true, true, Some(told), Some(instance)) =
                    (is_news, notify, told, record.instance_uuid)
                {
                    events.push(OutboxEvent {
                        seq: self.position.serial(),
                        node: record.id,
                        instance,
                        state: told,
                        cause,
                        at: self.at,
                        sender: session,
                        status: EventStatus::Waiting,
                    });
                }
            }
            NodeChange::Provision { verb, target } => {
                let from = record.provision_state;
                let to = from
                    .after(verb)
                    .ok_or_else(|| Refusal::Rule(illegal(record, verb)))?;
                move_to(record, to, target, self.at);
            }
            NodeChange::LastError(text) => record.last_error = text.map(|text| clip(&text)),
            NodeChange::EnterMaintenance { fault, reason } => {
                if !record.maintenance {
                    record.maintenance = true;
                    record.maintenance_reason = Some(clip(&reason));
                    record.fault = Some(fault);
                }
            }
            NodeChange::LeaveMaintenance(fault) => {
                if record.maintenance && record.fault == Some(fault) {
                    record.maintenance = false;
                    record.maintenance_reason = None;
                    record.fault = None;
                }
            }
            NodeChange::LoginRefused(refusal) => record.login_refused = refusal,
            NodeChange::InternalInfo(info) => record.driver_internal_info = info,
            NodeChange::InstanceInfo(info) => record.instance_info = info,
            NodeChange::Step { flow, step } => match flow {
                Flow::Clean => record.clean_step = step,
                Flow::Deploy => record.deploy_step = step,
                Flow::Service => record.service_step = step,
            },
            NodeChange::CheckLimit { work, max } => {
                let busy: u64 = work
                    .states()
                    .iter()
                    .map(|state| self.state.count_in(*state))
                    .sum();
                if busy >= u64::from(max) {
                    let text = format!(
                        "Unable to process request at this time. The concurrent action limit for {} has been reached. \
                         Please contact your administrator and try again later.",
                        work.as_str()
                    );
                    return Err(Refusal::Rule(Refused::new(503, text)));
                }
            }
            // Kept beside the record; see `act`.
            NodeChange::Findings { .. } | NodeChange::Ports(_) | NodeChange::SyncFailures(_) => {}
            NodeChange::Boots { mode, secure } => {
                record.boot_mode = mode.map(|mode| mode.as_str().into());
                record.secure_boot = secure;
            }
            NodeChange::Properties(properties) => record.properties = properties,
            NodeChange::ForgetInstance => {
                record.instance_uuid = None;
                record.instance_name = None;
                record.allocation_uuid = None;
                record.instance_info = Json::EMPTY;
            }
            NodeChange::ClaimIntent(id) => match &mut record.intent {
                Some(intent) if intent.id == id => {
                    // Even if the holder stays: whatever its former actor has queued at the pool is void.
                    record.epoch = record.epoch.next();
                    intent.holder = session.conductor;
                    intent.incarnation = session.incarnation;
                    intent.epoch = record.epoch;
                    if let Some(write) = &intent.write {
                        record.unfenced = Some(write.session.clone());
                    }
                }
                Some(_) | None => {
                    return Err(Refusal::Fenced {
                        epoch: record.epoch,
                    });
                }
            },
            NodeChange::AnnounceWrite { intent, write } => {
                let unfenced = record.unfenced.is_some();
                match held_by(record, session, intent) {
                    Some(intent) if !unfenced => intent.write = Some(write),
                    Some(_) | None => {
                        return Err(Refusal::Fenced {
                            epoch: record.epoch,
                        });
                    }
                }
            }
            NodeChange::WriteAccepted(intent) => {
                if let Some(write) =
                    held_by(record, session, intent).and_then(|intent| intent.write.as_mut())
                {
                    write.accepted = true;
                }
            }
            NodeChange::Fenced => record.unfenced = None,
            NodeChange::Asked(id) => {
                let over = (record.requests.len() + 1).saturating_sub(REQUESTS_REMEMBERED);
                record.requests.drain(..over.min(record.requests.len()));
                record.requests.push(id);
            }
        }
        Ok(())
    }

    // --- Shared -----------------------------------------------------------------------------------

    fn record(&self, node: NodeId) -> Result<NodeRecord, Refusal> {
        self.state
            .node(node)
            .map(|record| NodeRecord::clone(record))
            .ok_or(Refusal::NoSuchNode)
    }

    fn put(&mut self, mut record: NodeRecord) -> Reply {
        let old = self.state.node(record.id);
        if let Some(old) = old {
            record.revision = record.revision.next();
            // An instance that goes takes its allocation with it, however it went.
            if let Some(allocation) = old
                .allocation_uuid
                .filter(|_| record.allocation_uuid.is_none())
            {
                self.remove_object(Kind::Allocation, allocation);
            }
        }
        let reply = Reply::Done {
            index: self.position.index,
            revision: record.revision,
            epoch: record.epoch,
        };
        let (node, instance) = (record.id, record.instance_uuid);
        let before = self.state.node(node).and_then(|old| old.instance_uuid);
        self.touch(Change::Node(node));
        self.state.put_node(Arc::new(record));
        if let Some(gone) = before.filter(|gone| instance != Some(*gone)) {
            self.forget_settled(gone);
        }
        reply
    }

    fn check_unique(&self, record: &NodeRecord) -> Result<(), Refusal> {
        if let Some(name) = &record.name
            && self
                .state
                .node_by_name(name)
                .is_some_and(|other| other.id != record.id)
        {
            let text = format!("A node with name {name} already exists.");
            return Err(Refusal::Rule(Refused::new(409, text)));
        }
        if let Some(instance) = record.instance_uuid
            && self
                .state
                .node_by_instance(instance)
                .is_some_and(|other| other.id != record.id)
        {
            let text = format!(
                "Instance {instance} is already associated with a node, it cannot be associated with this other node {}",
                record.id
            );
            return Err(Refusal::Rule(Refused::new(409, text)));
        }
        Ok(())
    }

    fn check_chassis(&self, record: &NodeRecord) -> Result<(), Refusal> {
        let Some(chassis) = record.chassis_uuid else {
            return Ok(());
        };
        match self.state.objects().get(Kind::Chassis, chassis) {
            Some(_) => Ok(()),
            None => Err(Refusal::Rule(Refused::new(
                400,
                format!("Chassis {chassis} could not be found."),
            ))),
        }
    }

    fn check_parent(&self, record: &NodeRecord) -> Result<(), Refusal> {
        let Some(parent) = record.parent_node else {
            return Ok(());
        };
        match self.state.node(parent) {
            Some(found) if found.parent_node.is_none() => Ok(()),
            Some(_) => {
                let text = format!("Node {parent} is itself a child and can not be a parent node.");
                Err(Refusal::Rule(Refused::new(400, text)))
            }
            None => Err(Refusal::Rule(Refused::new(
                400,
                format!("Node {parent} could not be found."),
            ))),
        }
    }
}

/// The record's intent, if it is this one and `session` holds it.
fn held_by(record: &mut NodeRecord, session: Session, id: IntentId) -> Option<&mut Intent> {
    record.intent.as_mut().filter(|intent| {
        intent.id == id
            && intent.holder == session.conductor
            && intent.incarnation == session.incarnation
    })
}

/// The text of a verb that the state does not allow.
#[must_use]
pub fn illegal(record: &NodeRecord, verb: Verb) -> Refused {
    Refused::new(
        400,
        format!(
            "The requested action \"{verb}\" can not be performed on node \"{}\" while it is in state \"{}\".",
            record.id, record.provision_state
        ),
    )
}

fn move_to(
    record: &mut NodeRecord,
    to: ProvisionState,
    target: Option<ProvisionState>,
    at: WallMs,
) {
    record.target_provision_state = if to.is_stable() {
        None
    } else {
        // Entering a state of the same work keeps an overridden target (manual cleaning stays manual).
        let kept = record
            .target_provision_state
            .filter(|_| is_clean(record.provision_state) && is_clean(to));
        target.or(kept).or(to.default_target())
    };
    match to {
        ProvisionState::Inspecting if record.provision_state != ProvisionState::InspectWait => {
            record.inspection_started_at = Some(at);
            record.inspection_finished_at = None;
        }
        ProvisionState::Manageable
            if matches!(
                record.provision_state,
                ProvisionState::Inspecting | ProvisionState::InspectWait
            ) =>
        {
            record.inspection_finished_at = Some(at);
            record.inspection_started_at = None;
        }
        ProvisionState::InspectFailed => record.inspection_started_at = None,
        _ => {}
    }
    record.provision_state = to;
    record.provision_updated_at = Some(at);
}

const fn is_clean(state: ProvisionState) -> bool {
    matches!(
        state,
        ProvisionState::Cleaning
            | ProvisionState::CleanWait
            | ProvisionState::CleanHold
            | ProvisionState::CleanFailed
    )
}

mod objects;

#[cfg(test)]
mod tests;
