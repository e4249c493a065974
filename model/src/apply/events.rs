//! What commands do to compute events.

use super::Entry;
use crate::command::{
    ClaimEvents, DecideDeadLetters, Decision, EventDone, EventOutcome, Refusal, ReleaseEvents,
    Reply,
};
use crate::ids::NodeId;
use crate::node::record::NodeRecord;
use crate::outbox::{DeadReason, EventStatus, OutboxEvent, WAITING_MAX};
use crate::state::Change;
use uuid::Uuid;

impl Entry<'_> {
    /// A new event of the instance, which replaces the former one. `record` is the node as it will be.
    pub(super) fn announce(&mut self, mut event: OutboxEvent, record: &NodeRecord) {
        match self.state.outbox_of(event.instance) {
            // A request about the instance may be on its way, so its sender stays on record.
            Some(waiting) => event.sender = waiting.sender,
            None => {
                // The fence lets a draining holder act on a node that it does not own; its owner will send.
                event.sender = self.state.owner_session(record).unwrap_or(event.sender);
                if self.state.outbox_len() >= WAITING_MAX {
                    let why = DeadReason::NoRoom;
                    event.status = EventStatus::Dead { at: self.at, why };
                }
            }
        }
        self.touch(Change::Outbox(event.instance));
        self.state.put_event(event);
    }

    pub(super) fn events_done(&mut self, events: &[EventDone]) -> Reply {
        for done in events {
            let Some(event) = self.state.outbox_of(done.instance) else {
                continue;
            };
            if event.seq != done.seq {
                continue;
            }
            if !self.is_on(event.node, event.instance) {
                self.remove_event(done.instance);
                continue;
            }
            let at = self.at;
            let status = match done.outcome {
                EventOutcome::Told(how) => EventStatus::Told { at, how },
                EventOutcome::Rejected(code) => EventStatus::Dead {
                    at,
                    why: DeadReason::Code(code),
                },
            };
            self.put_event(OutboxEvent {
                status,
                ..event.clone()
            });
        }
        self.done()
    }

    pub(super) fn claim_events(&mut self, claim: &ClaimEvents) -> Result<Reply, Refusal> {
        let session = claim.session;
        if !self.state.is_live(session) {
            return Err(Refusal::SessionOver);
        }
        for instance in &claim.instances {
            let Some(event) = self.state.outbox_of(*instance) else {
                continue;
            };
            let owner = self
                .state
                .node(event.node)
                .and_then(|node| self.state.owner(node));
            if owner == Some(session.conductor) && event.sender != session {
                self.put_event(OutboxEvent {
                    sender: session,
                    ..event.clone()
                });
            }
        }
        Ok(self.done())
    }

    pub(super) fn release_events(&mut self, release: &ReleaseEvents) -> Reply {
        for (instance, seq) in &release.events {
            let Some(event) = self.state.outbox_of(*instance) else {
                continue;
            };
            let owner = self
                .state
                .node(event.node)
                .and_then(|node| self.state.owner_session(node));
            if let Some(owner) = owner
                && event.seq == *seq
                && event.sender == release.session
                && owner != release.session
            {
                self.put_event(OutboxEvent {
                    sender: owner,
                    ..event.clone()
                });
            }
        }
        self.done()
    }

    pub(super) fn decide_dead_letters(&mut self, wish: &DecideDeadLetters) -> Reply {
        for instance in &wish.instances {
            let Some(event) = self.state.event_of(*instance).filter(|one| one.is_dead()) else {
                continue;
            };
            match wish.decision {
                Decision::Drop => self.remove_event(*instance),
                Decision::Resend => {
                    let owner = self
                        .state
                        .node(event.node)
                        .and_then(|node| self.state.owner_session(node));
                    self.put_event(OutboxEvent {
                        seq: self.position.serial(),
                        // It was answered, so nobody has a request about it on its way.
                        sender: owner.unwrap_or(event.sender),
                        status: EventStatus::Waiting,
                        ..event.clone()
                    });
                }
            }
        }
        self.done()
    }

    /// The node is gone: nobody owns its events any more, so nobody could send them.
    pub(super) fn forget_events_of(&mut self, node: NodeId) {
        let gone: Vec<Uuid> = self
            .state
            .events()
            .filter(|event| event.node == node)
            .map(|event| event.instance)
            .collect();
        for instance in gone {
            self.remove_event(instance);
        }
    }

    /// The instance has left its node: what was settled about it is of no more use. What waits is still told.
    pub(super) fn forget_settled(&mut self, instance: Uuid) {
        let settled = |event: &&OutboxEvent| !event.is_waiting();
        if self.state.event_of(instance).filter(settled).is_some() {
            self.touch(Change::Outbox(instance));
            self.state.remove_event(instance);
        }
    }

    fn is_on(&self, node: NodeId, instance: Uuid) -> bool {
        self.state
            .node(node)
            .is_some_and(|record| record.instance_uuid == Some(instance))
    }

    /// For commands that name many instances: each record changes at most once in them, since the change takes away what
    /// made it eligible. So the list of changes need not be searched a thousand times.
    fn put_event(&mut self, event: OutboxEvent) {
        self.changes.push(Change::Outbox(event.instance));
        self.state.put_event(event);
    }

    fn remove_event(&mut self, instance: Uuid) {
        self.changes.push(Change::Outbox(instance));
        self.state.remove_event(instance);
    }
}
