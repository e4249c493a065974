//! Tests of `apply`: commands in, replies and state out.

mod conductors;
mod events;

use super::*;
use crate::command::{
    ConductorUp, CountedFailures, DeleteNode, EventDone, EventOutcome, ProposalId,
};
use crate::ids::{ConductorId, Incarnation, LogIndex};
use crate::node::intent::{Intent, IntentKind};
use crate::node::power::{PowerCause, PowerRequest};
use crate::node::record::Fault;
use crate::outbox::Told;
use uuid::Uuid;

struct Log {
    state: ClusterState,
    index: u64,
}

const ONE: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};
const TWO: Session = Session {
    conductor: ConductorId(2),
    incarnation: Incarnation(1),
};

impl Log {
    fn new() -> Self {
        let mut log = Self {
            state: ClusterState::default(),
            index: 0,
        };
        assert!(matches!(log.up(ONE, "one"), Reply::Done { .. }));
        log
    }

    fn up(&mut self, session: Session, host: &str) -> Reply {
        self.run(Command::ConductorUp(ConductorUp {
            session,
            host: host.into(),
            group: "".into(),
            rack: "".into(),
            drivers: vec!["fake-hardware".into()],
        }))
    }

    fn run(&mut self, command: Command) -> Reply {
        self.index += 1;
        let id = ProposalId {
            conductor: ConductorId(1),
            incarnation: Incarnation(1),
            seq: self.index,
        };
        let proposal = Proposal {
            id,
            at: WallMs(self.index * 1000),
            command,
        };
        apply(&mut self.state, LogIndex(self.index), proposal).reply
    }

    fn node(&mut self, edit: impl FnOnce(&mut NodeRecord)) -> NodeId {
        let id = NodeId(Uuid::from_u128(u128::from(self.index) + 1));
        let mut record = NodeRecord::new(id, "fake-hardware".into(), WallMs(0));
        edit(&mut record);
        assert!(matches!(
            self.run(Command::NodeCreate(Box::new(record))),
            Reply::Done { .. }
        ));
        id
    }

    fn get(&self, id: NodeId) -> &NodeRecord {
        self.state.node(id).expect("the node exists")
    }

    fn act(&mut self, id: NodeId, session: Session, changes: Vec<NodeChange>) -> Reply {
        let epoch = self.get(id).epoch;
        self.act_at(id, session, epoch, changes)
    }

    fn act_at(
        &mut self,
        node: NodeId,
        session: Session,
        epoch: Epoch,
        changes: Vec<NodeChange>,
    ) -> Reply {
        let fence = Fence { session, epoch };
        self.run(Command::NodeAct(ActOnNode {
            node,
            fence,
            expect: None,
            changes,
        }))
    }
}

fn intent() -> NodeChange {
    NodeChange::OpenIntent(Box::new(Intent {
        id: IntentId(0),
        kind: IntentKind::Power {
            request: PowerRequest::Off,
            timeout_s: None,
        },
        holder: ConductorId(0),
        incarnation: Incarnation(0),
        epoch: Epoch(0),
        since: WallMs(0),
        limit_s: 60,
        request: None,
        write: None,
    }))
}

const fn power(state: PowerState) -> NodeChange {
    NodeChange::Power {
        state: Some(state),
        cause: PowerCause::User,
        notify: true,
    }
}

#[test]
fn a_replayed_proposal_gets_its_first_reply_and_changes_nothing() {
    let mut log = Log::new();
    let node = log.node(|_| {});
    let id = ProposalId {
        conductor: ConductorId(1),
        incarnation: Incarnation(1),
        seq: 99,
    };
    let command = Command::NodeEdit(EditNode {
        node,
        expect: None,
        edits: vec![NodeEdit::Maintenance {
            on: true,
            reason: None,
        }],
    });
    let proposal = Proposal {
        id,
        at: WallMs(5),
        command,
    };
    let first = apply(&mut log.state, LogIndex(50), proposal.clone());
    let before = log.state.clone();
    let again = apply(&mut log.state, LogIndex(51), proposal);
    assert_eq!(again.reply, first.reply);
    assert_eq!(again.changes, Vec::new());
    assert_eq!(log.state, before);
}

#[test]
fn proposals_of_one_entry_have_serials_of_their_own() {
    let mut log = Log::new();
    let mut create = |place| {
        let proposal = Proposal {
            id: ProposalId {
                conductor: ConductorId(1),
                incarnation: Incarnation(1),
                seq: 100 + u64::from(place),
            },
            at: WallMs(5),
            command: Command::NodeCreate(Box::new(NodeRecord::new(
                NodeId(Uuid::from_u128(1 + u128::from(place))),
                "fake-hardware".into(),
                WallMs(0),
            ))),
        };
        let index = LogIndex(50);
        apply(&mut log.state, Position { index, place }, proposal)
    };
    for place in 0..=u8::MAX {
        assert!(matches!(create(place).reply, Reply::Done { .. }));
    }
    let serials: std::collections::BTreeSet<_> =
        log.state.nodes().map(|node| node.serial).collect();
    assert_eq!(serials.len(), Position::PLACES);
    let next = Position::from(LogIndex(51)).serial();
    assert!(serials.iter().all(|serial| *serial < next));
}

#[test]
fn counts_of_failed_syncs_are_their_owners_and_leave_the_record_alone() {
    let mut log = Log::new();
    let (node, other) = (log.node(|_| {}), log.node(|_| {}));
    let revision = log.get(node).revision;
    let counted = |session, counts: &[(NodeId, u32)]| {
        Command::FailuresCounted(CountedFailures {
            session,
            counts: counts.to_vec(),
        })
    };
    let gone = NodeId(Uuid::from_u128(0xdead));
    log.run(counted(ONE, &[(node, 2), (gone, 3), (other, 1)]));
    assert_eq!(
        [node, other, gone].map(|node| log.state.sync_failures(node)),
        [2, 1, 0]
    );
    assert_eq!(log.get(node).revision, revision, "no editor is disturbed");

    // Who is gone, and who owns something else, counts nothing.
    let late = log.run(counted(TWO, &[(node, 9)]));
    assert_eq!(late, Reply::Refused(Refusal::SessionOver));
    log.up(TWO, "two");
    log.run(Command::ConductorDown(ONE));
    let late = log.run(counted(ONE, &[(node, 9)]));
    assert_eq!(late, Reply::Refused(Refusal::SessionOver));
    assert_eq!(log.state.sync_failures(node), 2, "a takeover changes none");
    log.up(
        Session {
            incarnation: Incarnation(2),
            ..ONE
        },
        "one",
    );
    let owner = log.state.owner(log.get(node));
    let stranger = Session {
        incarnation: Incarnation(if owner == Some(ONE.conductor) { 1 } else { 2 }),
        conductor: if owner == Some(ONE.conductor) {
            TWO.conductor
        } else {
            ONE.conductor
        },
    };
    assert!(matches!(
        log.run(counted(stranger, &[(node, 9)])),
        Reply::Done { .. }
    ));
    assert_eq!(log.state.sync_failures(node), 2);

    // It is stored, and ends with maintenance and with the node.
    let restored = ClusterState::restore(log.state.all_stored());
    assert_eq!(restored, log.state);
    for on in [true, false] {
        let edit = NodeEdit::Maintenance { on, reason: None };
        log.run(Command::NodeEdit(EditNode {
            node,
            expect: None,
            edits: vec![edit],
        }));
    }
    log.run(Command::NodeDelete(DeleteNode {
        node: other,
        available_too: true,
    }));
    assert_eq!(
        [node, other].map(|node| log.state.sync_failures(node)),
        [0, 0]
    );
    assert_eq!(ClusterState::restore(log.state.all_stored()), log.state);
}

#[test]
fn only_the_owner_in_its_present_life_and_tenure_may_act() {
    let mut log = Log::new();
    let node = log.node(|_| {});
    let refused = log.act(node, TWO, vec![intent()]);
    assert_eq!(refused, Reply::Refused(Refusal::SessionOver));

    assert!(matches!(
        log.act(node, ONE, vec![intent()]),
        Reply::Done { .. }
    ));
    let tenure = log.get(node).epoch;
    assert_eq!(
        log.get(node).intent.as_ref().map(|i| (i.holder, i.epoch)),
        Some((ONE.conductor, tenure))
    );

    // The first owner dies, the second takes over and acts: whatever the first still sends is late.
    log.up(TWO, "two");
    log.run(Command::ConductorDown(ONE));
    let taken = log.act(node, TWO, vec![NodeChange::SyncFailures(1)]);
    assert!(matches!(taken, Reply::Done { .. }));
    assert!(log.get(node).epoch > tenure);
    let reborn = Session {
        incarnation: Incarnation(2),
        ..ONE
    };
    log.up(reborn, "one");
    let late = log.act_at(node, reborn, tenure, vec![power(PowerState::On)]);
    assert!(
        matches!(late, Reply::Refused(Refusal::Fenced { .. })),
        "{late:?}"
    );
    assert_eq!(log.get(node).power_state, None);
}

#[test]
fn an_entry_is_applied_whole_or_not_at_all() {
    let mut log = Log::new();
    let node = log.node(|_| {});
    let before = log.get(node).clone();
    let illegal = NodeChange::Provision {
        verb: Verb::Done,
        target: None,
    };
    let reply = log.act(node, ONE, vec![power(PowerState::On), illegal]);
    assert!(matches!(reply, Reply::Refused(Refusal::Rule(_))));
    assert_eq!(*log.get(node), before);
}

#[test]
fn a_power_change_of_an_instance_puts_its_event_in_the_same_entry_and_the_newest_wins() {
    let mut log = Log::new();
    let instance = Uuid::from_u128(77);
    let node = log.node(|record| record.instance_uuid = Some(instance));
    log.act(node, ONE, vec![power(PowerState::On)]);
    let first = log
        .state
        .outbox_of(instance)
        .expect("the event is there")
        .seq;
    log.act(node, ONE, vec![power(PowerState::On)]);
    assert_eq!(
        log.state.outbox_of(instance).map(|event| event.seq),
        Some(first),
        "nothing changed"
    );
    log.act(node, ONE, vec![power(PowerState::Off)]);
    let second = log
        .state
        .outbox_of(instance)
        .expect("the event is there")
        .clone();
    assert_eq!(second.state, PowerState::Off);
    log.run(Command::EventsDone(vec![EventDone {
        instance,
        seq: first,
        outcome: EventOutcome::Told(Told::Accepted),
    }]));
    assert!(
        log.state.outbox_of(instance).is_some(),
        "a late acknowledgement keeps the newer event"
    );
    log.run(Command::EventsDone(vec![EventDone {
        instance,
        seq: second.seq,
        outcome: EventOutcome::Told(Told::Accepted),
    }]));
    assert!(log.state.outbox_of(instance).is_none());
    log.act(
        node,
        ONE,
        vec![NodeChange::Power {
            state: None,
            cause: PowerCause::Sync,
            notify: true,
        }],
    );
    assert!(log.state.outbox_of(instance).is_none(), "null is not told");
}

#[test]
fn names_and_instances_are_unique_and_edits_wait_for_the_lock_only_where_work_depends_on_them() {
    let mut log = Log::new();
    let first = log.node(|record| record.name = Some("a".into()));
    let second = log.node(|_| {});
    let edit = |node, edit| {
        Command::NodeEdit(EditNode {
            node,
            expect: None,
            edits: vec![edit],
        })
    };
    let taken = log.run(edit(second, NodeEdit::Name(Some("a".into()))));
    let text = "A node with name a already exists.";
    assert_eq!(
        taken,
        Reply::Refused(Refusal::Rule(Refused::new(409, text)))
    );

    log.act(first, ONE, vec![intent()]);
    let flag = log.run(edit(
        first,
        NodeEdit::Maintenance {
            on: true,
            reason: Some("why".into()),
        },
    ));
    assert!(matches!(flag, Reply::Done { .. }));
    let driver = log.run(edit(first, NodeEdit::Driver("ipmi".into())));
    assert_eq!(
        driver,
        Reply::Refused(Refusal::Locked { host: "one".into() })
    );
    let delete = log.run(Command::NodeDelete(DeleteNode {
        node: first,
        available_too: true,
    }));
    assert_eq!(
        delete,
        Reply::Refused(Refusal::Locked { host: "one".into() })
    );
}

#[test]
fn automatic_maintenance_never_touches_manual_maintenance() {
    let mut log = Log::new();
    let node = log.node(|record| {
        record.maintenance = true;
        record.maintenance_reason = Some("by hand".into());
    });
    let fault = Fault::Power;
    log.act(
        node,
        ONE,
        vec![NodeChange::EnterMaintenance {
            fault,
            reason: "dead".into(),
        }],
    );
    assert_eq!(log.get(node).maintenance_reason.as_deref(), Some("by hand"));
    log.act(node, ONE, vec![NodeChange::LeaveMaintenance(fault)]);
    assert!(log.get(node).maintenance);
}

#[test]
fn restoring_what_was_stored_gives_the_same_state() {
    let mut log = Log::new();
    let instance = Uuid::from_u128(7);
    let node = log.node(|record| {
        record.name = Some("n".into());
        record.instance_uuid = Some(instance);
    });
    log.act(node, ONE, vec![power(PowerState::On)]);
    let restored = ClusterState::restore(log.state.all_stored());
    assert_eq!(restored, log.state);
}
