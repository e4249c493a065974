//! Rules of objects, through `apply`.

use super::allocation::Allocate;
use super::{Kind, Object, ObjectCommand, history};
use crate::apply::apply;
use crate::command::{
    ActOnNode, Command, ConductorUp, EditNode, Fence, NodeChange, Proposal, ProposalId, Refusal,
    Reply, Session,
};
use crate::ids::{ConductorId, Incarnation, LogIndex, NodeId, Revision, WallMs};
use crate::json::Json;
use crate::node::edit::NodeEdit;
use crate::node::power::PowerState;
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use crate::state::{ClusterState, Stored};
use uuid::Uuid;

const ME: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

struct World {
    state: ClusterState,
    index: u64,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            state: ClusterState::default(),
            index: 0,
        };
        world.done(Command::ConductorUp(ConductorUp {
            session: ME,
            host: "one".into(),
            group: "".into(),
            rack: "".into(),
            drivers: vec!["fake-hardware".into()],
        }));
        world
    }

    fn run(&mut self, command: Command) -> Reply {
        self.index += 1;
        let proposal = Proposal {
            id: ProposalId {
                conductor: ME.conductor,
                incarnation: ME.incarnation,
                seq: self.index,
            },
            at: WallMs(self.index * 1000),
            command,
        };
        apply(&mut self.state, LogIndex(self.index), proposal).reply
    }

    #[track_caller]
    fn done(&mut self, command: Command) {
        let reply = self.run(command);
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }

    #[track_caller]
    fn refused(&mut self, command: Command, status: u16, part: &str) {
        let before = self.state.clone();
        match self.run(command) {
            Reply::Refused(Refusal::Rule(refused)) => {
                assert_eq!(refused.status, status, "{refused}");
                assert!(refused.text.contains(part), "{refused}");
            }
            other => panic!("{other:?}"),
        }
        assert!(self.state.nodes().eq(before.nodes()));
        assert_eq!(self.state.objects(), before.objects());
    }

    fn node(&mut self, n: u128, change: impl FnOnce(&mut NodeRecord)) -> NodeId {
        let node = NodeId(id(n));
        let mut record = NodeRecord::new(node, "fake-hardware".into(), WallMs(0));
        change(&mut record);
        self.done(Command::NodeCreate(Box::new(record)));
        node
    }

    fn record(&self, node: NodeId) -> &NodeRecord {
        self.state.node(node).expect("it exists")
    }

    fn act(&mut self, node: NodeId, changes: Vec<NodeChange>) {
        let epoch = self.record(node).epoch;
        self.done(Command::NodeAct(ActOnNode {
            node,
            fence: Fence { session: ME, epoch },
            expect: None,
            changes,
        }));
    }
}

fn object(kind: Kind, n: u128, node: Option<NodeId>, body: &str) -> Object {
    let mut object = Object::new(kind, id(n), WallMs(0));
    object.node = node;
    object.body = Json::parse(body).expect("an object");
    object
}

fn create(object: Object) -> Command {
    Command::Object(ObjectCommand::Create(Box::new(object)))
}

fn replace(object: Object) -> Command {
    let expect = object.revision;
    Command::Object(ObjectCommand::Replace {
        object: Box::new(object),
        expect,
    })
}

fn delete(kind: Kind, n: u128) -> Command {
    Command::Object(ObjectCommand::Delete { kind, id: id(n) })
}

#[test]
fn what_is_unique_stays_unique() {
    let mut world = World::new();
    let node = world.node(1, |_| {});
    let mut port = object(Kind::Port, 10, Some(node), r#"{"address":"aa:00"}"#);
    port.name = Some("eth0".into());
    world.done(create(port.clone()));
    world.refused(create(port.clone()), 409, "already exists");
    let mut other = object(Kind::Port, 11, Some(node), r#"{"address":"aa:00"}"#);
    world.refused(create(other.clone()), 409, "MAC address aa:00");
    other.body = Json::parse(r#"{"address":"aa:01"}"#).expect("fine");
    other.name = Some("eth0".into());
    world.refused(create(other.clone()), 409, "name eth0");
    other.name = None;
    world.done(create(other.clone()));
    // The same address may belong to a port group.
    world.done(create(object(
        Kind::Portgroup,
        12,
        Some(node),
        r#"{"address":"aa:00"}"#,
    )));
    // A freed key can be taken.
    port.body = Json::parse(r#"{"address":"aa:02"}"#).expect("fine");
    world.done(replace(port));
    other.body = Json::parse(r#"{"address":"aa:00"}"#).expect("fine");
    world.done(replace(other));
    let stored: Vec<Stored> = world.state.all_stored().collect();
    assert_eq!(ClusterState::restore(stored), world.state);
}

#[test]
fn an_edit_of_an_old_revision_is_refused_and_a_missing_object_is_404() {
    let mut world = World::new();
    let chassis = object(Kind::Chassis, 5, None, r#"{"description":"a"}"#);
    world.done(create(chassis.clone()));
    world.done(replace(chassis.clone()));
    let late = world.run(replace(chassis));
    assert_eq!(
        late,
        Reply::Refused(Refusal::Moved {
            revision: Revision(2)
        })
    );
    world.refused(delete(Kind::Port, 5), 404, "Port 0000");
}

#[test]
fn chassis_and_groups_with_members_stay() {
    let mut world = World::new();
    world.done(create(object(Kind::Chassis, 5, None, "{}")));
    let node = world.node(1, |node| node.chassis_uuid = Some(id(5)));
    world.refused(delete(Kind::Chassis, 5), 400, "contains nodes");
    world.done(create(object(
        Kind::Portgroup,
        6,
        Some(node),
        r#"{"address":"aa:ff"}"#,
    )));
    let member = format!(r#"{{"address":"aa:00","portgroup_uuid":"{}"}}"#, id(6));
    world.done(create(object(Kind::Port, 7, Some(node), &member)));
    world.refused(delete(Kind::Portgroup, 6), 400, "contains ports");
    let stray = world.node(2, |_| {});
    let member = format!(r#"{{"address":"aa:01","portgroup_uuid":"{}"}}"#, id(6));
    world.refused(
        create(object(Kind::Port, 8, Some(stray), &member)),
        400,
        "different nodes",
    );
    world.done(delete(Kind::Port, 7));
    world.done(delete(Kind::Portgroup, 6));
}

#[test]
fn a_port_of_a_machine_in_use_keeps_its_wiring() {
    let mut world = World::new();
    let node = world.node(1, |node| node.provision_state = ProvisionState::Active);
    let mut port = object(
        Kind::Port,
        10,
        Some(node),
        r#"{"address":"aa:00","pxe_enabled":true,"extra":{}}"#,
    );
    world.done(create(port.clone()));
    let mut changed = port.clone();
    changed.body = Json::parse(r#"{"address":"aa:01","pxe_enabled":true}"#).expect("fine");
    world.refused(replace(changed.clone()), 409, "MAC address");
    changed.body = Json::parse(r#"{"address":"aa:00","pxe_enabled":false}"#).expect("fine");
    world.refused(replace(changed.clone()), 409, "connectivity");
    port.body =
        Json::parse(r#"{"address":"aa:00","pxe_enabled":true,"extra":{"a":1}}"#).expect("fine");
    world.done(replace(port));
    world.done(Command::NodeEdit(EditNode {
        node,
        expect: None,
        edits: vec![NodeEdit::Maintenance {
            on: true,
            reason: None,
        }],
    }));
    changed.revision = Revision(2);
    world.done(replace(changed));
}

fn available(node: &mut NodeRecord) {
    node.provision_state = ProvisionState::Available;
    node.power_state = Some(PowerState::Off);
    node.resource_class = Some("gold".into());
    node.traits = vec!["CUSTOM_A".into()];
}

fn allocate(n: u128, body: &str, choices: Vec<NodeId>, backfill: Option<NodeId>) -> Command {
    Command::Object(ObjectCommand::Allocate(Box::new(Allocate {
        object: object(Kind::Allocation, n, None, body),
        choices,
        backfill,
        failure: "nothing fits".into(),
    })))
}

#[test]
fn an_allocation_takes_the_first_that_still_fits_and_frees_it_again() {
    let mut world = World::new();
    let nodes = [world.node(1, available), world.node(2, available)];
    let wish = r#"{"resource_class":"gold","traits":["CUSTOM_A"]}"#;
    world.done(allocate(20, wish, nodes.to_vec(), None));
    assert_eq!(world.record(nodes[0]).instance_uuid, Some(id(20)));
    assert_eq!(world.record(nodes[0]).allocation_uuid, Some(id(20)));
    assert!(
        world
            .record(nodes[0])
            .instance_info
            .as_str()
            .contains("CUSTOM_A")
    );
    world.done(allocate(21, wish, nodes.to_vec(), None));
    assert_eq!(world.record(nodes[1]).allocation_uuid, Some(id(21)));
    let late = world.run(allocate(22, wish, nodes.to_vec(), None));
    assert!(matches!(late, Reply::Refused(Refusal::Moved { .. })));
    world.done(allocate(23, wish, Vec::new(), None));
    let failed = world
        .state
        .objects()
        .get(Kind::Allocation, id(23))
        .expect("kept");
    assert!(failed.body.as_str().contains("nothing fits"));
    assert_eq!(failed.node, None);
    world.done(delete(Kind::Allocation, 20));
    assert_eq!(world.record(nodes[0]).instance_uuid, None);
    // Taking the instance off the node deletes its allocation.
    world.done(Command::NodeEdit(EditNode {
        node: nodes[1],
        expect: None,
        edits: vec![NodeEdit::InstanceUuid(None)],
    }));
    assert_eq!(world.state.objects().get(Kind::Allocation, id(21)), None);
}

#[test]
fn a_backfilled_allocation_needs_an_active_node() {
    let mut world = World::new();
    let idle = world.node(1, available);
    let busy = world.node(2, |node| {
        available(node);
        node.provision_state = ProvisionState::Active;
    });
    world.done(allocate(20, "{}", Vec::new(), Some(idle)));
    world.done(allocate(21, "{}", Vec::new(), Some(busy)));
    let get = |n| {
        world
            .state
            .objects()
            .get(Kind::Allocation, id(n))
            .expect("kept")
    };
    assert!(get(20).body.as_str().contains("Cannot backfill"));
    assert!(get(21).body.as_str().contains(r#""resource_class":"gold""#));
    assert_eq!(get(21).node, Some(busy));
    world.refused(
        delete(Kind::Allocation, 21),
        409,
        "Cannot delete allocation",
    );
}

#[test]
fn what_belongs_to_a_node_goes_with_it() {
    let mut world = World::new();
    let node = world.node(1, |_| {});
    world.done(create(object(
        Kind::Port,
        10,
        Some(node),
        r#"{"address":"aa:00"}"#,
    )));
    world.act(node, vec![NodeChange::LastError(Some("broken".into()))]);
    assert_eq!(
        world
            .state
            .objects()
            .of_node(node, Kind::History, None)
            .count(),
        1
    );
    world.done(Command::NodeDelete(crate::command::DeleteNode {
        node,
        available_too: true,
    }));
    assert_eq!(world.state.objects().iter().count(), 0);
}

#[test]
fn history_keeps_errors_and_ends_within_its_bound() {
    let mut world = World::new();
    let node = world.node(1, |_| {});
    for n in 0..history::ROWS_MAX * 2 {
        let text = format!("error {n}");
        world.act(node, vec![NodeChange::LastError(Some(text.into()))]);
        world.act(node, vec![NodeChange::SyncFailures(1)]);
    }
    let rows: Vec<_> = world
        .state
        .objects()
        .of_node(node, Kind::History, None)
        .collect();
    assert_eq!(rows.len(), history::ROWS_MAX);
    let newest = rows.last().expect("some").body.to_map();
    assert_eq!(
        newest["event"],
        format!("error {}", history::ROWS_MAX * 2 - 1)
    );
    assert_eq!(newest["severity"], "ERROR");
    assert_eq!(newest["conductor"], "one");
}
