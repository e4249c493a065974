//! One sample of everything that is stored. The matches have no `_` arm: a new variant must get its sample here.

use baton_cluster::Member;
use baton_cluster::codec::raft::Blob;
use baton_cluster::raft::types::{Entry, LeaderId, LogId, Membership, StoredMembership, Vote};
use baton_model::command::{
    ActOnNode, BreakLock, ClaimEvents, Command, ConductorUp, CountedFailures, DecideDeadLetters,
    Decision, DeleteNode, DrainOrder, EditNode, EventDone, EventOutcome, Fence, LimitedWork,
    NodeChange, Proposal, ProposalId, Refusal, ReleaseEvents, Reply, Session,
};
use baton_model::ids::{
    ConductorId, Epoch, Incarnation, IntentId, LogIndex, NodeId, RequestId, Revision, WallMs,
};
use baton_model::json::Json;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder};
use baton_model::node::edit::{NodeEdit, Refused};
use baton_model::node::intent::{BmcSession, BmcWrite, Intent, IntentKind};
use baton_model::node::power::{PowerCause, PowerRequest, PowerState};
use baton_model::node::provision::{ProvisionState, Verb};
use baton_model::node::record::{Fault, Interfaces, NodeRecord, PowerSource, RefusedLogin};
use baton_model::node::steps::Flow;
use baton_model::object::allocation::Allocate;
use baton_model::object::{Kind, Object, ObjectCommand};
use baton_model::outbox::{DeadReason, EventStatus, Told};
use baton_model::port::bmc::PowerAction;
use baton_model::port::chore::Chore;
use baton_model::state::{ConductorRecord, ConductorStatus, OutboxEvent, Replied, Stored};
use openraft::EntryPayload;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

const NODE: NodeId = NodeId(Uuid::from_u128(0x1111_2222_3333_4444_5555_6666_7777_8888));
const OTHER: Uuid = Uuid::from_u128(0xAAAA_BBBB_CCCC_DDDD_EEEE_FFFF_0000_1111);
const AT: WallMs = WallMs(1_700_000_000_123);

const SESSION: Session = Session {
    conductor: ConductorId(3),
    incarnation: Incarnation(8),
};

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn text(text: &str) -> Option<Box<str>> {
    Some(text.into())
}

fn intent(kind: IntentKind, write: Option<BmcWrite>) -> Intent {
    Intent {
        id: IntentId(4),
        kind,
        holder: ConductorId(3),
        incarnation: Incarnation(8),
        epoch: Epoch(2),
        since: AT,
        limit_s: 60,
        request: Some(RequestId("req-1".into())),
        write,
    }
}

fn write() -> BmcWrite {
    BmcWrite {
        session: BmcSession::Ipmi(0x0200_1234),
        action: PowerAction::SoftOff,
        accepted: false,
    }
}

fn boot_write() -> BmcWrite {
    BmcWrite {
        action: PowerAction::BootFrom(BootOrder {
            device: BootDevice::Disk,
            persistent: false,
            mode: BootMode::Bios,
        }),
        ..write()
    }
}

fn intents() -> Vec<Intent> {
    let power = IntentKind::Power {
        request: PowerRequest::SoftOff,
        timeout_s: Some(30),
    };
    let provision = IntentKind::Provision {
        verb: Verb::Provide,
    };
    vec![
        intent(power, Some(write())),
        intent(
            provision,
            Some(BmcWrite {
                session: BmcSession::Redfish("/redfish/v1/SessionService/Sessions/1".into()),
                action: PowerAction::Off,
                accepted: true,
            }),
        ),
        intent(IntentKind::InjectNmi, None),
        intent(
            IntentKind::BootDevice {
                device: BootDevice::Pxe,
                persistent: true,
            },
            Some(boot_write()),
        ),
        intent(IntentKind::BootMode(BootMode::Uefi), None),
        intent(IntentKind::SecureBoot(true), None),
        intent(
            IntentKind::Chore {
                chore: Chore::Raw,
                cargo: json(r#"{"raw_bytes":"0x06 0x01"}"#),
            },
            Some(BmcWrite {
                action: PowerAction::Chore(Chore::Raw),
                ..write()
            }),
        ),
    ]
}

fn refused_login() -> RefusedLogin {
    RefusedLogin {
        bmc: "192.0.2.1:623".into(),
        username: "admin".into(),
        reason: "RAKP 2 HMAC is invalid".into(),
    }
}

fn node() -> NodeRecord {
    let mut node = NodeRecord::new(NODE, "ipmi".into(), AT);
    node.serial = 17;
    node.revision = Revision(5);
    node.epoch = Epoch(2);
    node.unfenced = Some(BmcSession::Unbound);
    node.requests = vec![RequestId("req-6".into())];
    node.acted = Some((ConductorId(3), Incarnation(8)));
    node.intent = intents().into_iter().next();
    node.pin = Some("c1".into());
    node.former_sync_failures = 2;
    node.power_source = Some(PowerSource {
        cause: PowerCause::Sync,
        conductor: ConductorId(3),
        at: AT,
    });
    node.login_refused = Some(Box::new(refused_login()));
    node.name = text("rack1-u17");
    node.interfaces.power = "ipmitool".into();
    node.interfaces.deploy = "direct".into();
    node.driver_info = json(r#"{"ipmi_address":"192.0.2.1","ipmi_port":623}"#);
    node.properties = json(r#"{"cpus":"8","nested":{"list":[1,2.5,null,true]}}"#);
    node.traits = vec!["CUSTOM_A".into(), "CUSTOM_B".into()];
    node.instance_uuid = Some(OTHER);
    node.conductor_group = "rack1".into();
    node.power_state = Some(PowerState::On);
    node.target_power_state = Some(PowerState::Off);
    node.provision_state = ProvisionState::Active;
    node.provision_updated_at = Some(AT);
    node.maintenance = true;
    node.maintenance_reason = text("dead BMC");
    node.fault = Some(Fault::Power);
    node.automated_clean = Some(false);
    node
}

fn object() -> Object {
    let mut object = Object::new(Kind::Port, OTHER, AT);
    object.serial = 300;
    object.node = Some(NODE);
    object.name = text("eth0");
    object.body = json(r#"{"address":"52:54:00:00:00:01","pxe_enabled":true}"#);
    object.updated_at = Some(AT);
    object
}

fn all_edits() -> Vec<NodeEdit> {
    let interfaces = Interfaces {
        power: "redfish".into(),
        ..Interfaces::default()
    };
    vec![
        NodeEdit::Name(text("n")),
        NodeEdit::Driver("redfish".into()),
        NodeEdit::Interfaces(Box::new(interfaces)),
        NodeEdit::DriverInfo(json(r#"{"a":1}"#)),
        NodeEdit::Properties(json(r#"{"b":2}"#)),
        NodeEdit::Extra(Json::EMPTY),
        NodeEdit::InstanceInfo(json(r#"{"c":3}"#)),
        NodeEdit::NetworkData(json(r#"{"d":4}"#)),
        NodeEdit::TargetRaidConfig(json(r#"{"e":5}"#)),
        NodeEdit::Traits(vec!["CUSTOM_T".into()]),
        NodeEdit::InstanceUuid(Some(OTHER)),
        NodeEdit::InstanceName(text("i")),
        NodeEdit::ChassisUuid(Some(OTHER)),
        NodeEdit::ParentNode(Some(NODE)),
        NodeEdit::ConductorGroup("g".into()),
        NodeEdit::ResourceClass(text("baremetal")),
        NodeEdit::Owner(text("o")),
        NodeEdit::Lessee(text("l")),
        NodeEdit::Shard(text("s")),
        NodeEdit::Description(None),
        NodeEdit::Maintenance {
            on: true,
            reason: text("why"),
        },
        NodeEdit::AutomatedClean(Some(true)),
        NodeEdit::Protected(true),
        NodeEdit::ProtectedReason(text("p")),
        NodeEdit::Retired(true),
        NodeEdit::RetiredReason(text("r")),
        NodeEdit::DisablePowerOff(true),
        NodeEdit::ConsoleEnabled(false),
        NodeEdit::BootMode(text("uefi")),
        NodeEdit::SecureBoot(Some(false)),
        NodeEdit::Pin(Some("c2".into())),
    ]
}

fn all_changes() -> Vec<NodeChange> {
    let mut changes: Vec<_> = intents()
        .into_iter()
        .map(|intent| NodeChange::OpenIntent(Box::new(intent)))
        .collect();
    changes.extend([
        NodeChange::CloseIntent(IntentId(4)),
        NodeChange::TargetPower(Some(PowerState::Off)),
        NodeChange::Power {
            state: Some(PowerState::Error),
            cause: PowerCause::Recovery,
            notify: true,
        },
        NodeChange::Provision {
            verb: Verb::Provide,
            target: Some(ProvisionState::Available),
        },
        NodeChange::LastError(text("it broke")),
        NodeChange::EnterMaintenance {
            fault: Fault::Clean,
            reason: "r".into(),
        },
        NodeChange::LeaveMaintenance(Fault::Service),
        NodeChange::SyncFailures(3),
        NodeChange::InternalInfo(json(r#"{"k":"v"}"#)),
        NodeChange::Properties(Json::EMPTY),
        NodeChange::ForgetInstance,
        NodeChange::ClaimIntent(IntentId(4)),
        NodeChange::AnnounceWrite {
            intent: IntentId(4),
            write: write(),
        },
        NodeChange::WriteAccepted(IntentId(4)),
        NodeChange::Fenced,
        NodeChange::Asked(RequestId("req-7".into())),
        NodeChange::LoginRefused(Some(Box::new(refused_login()))),
        NodeChange::Step {
            flow: Flow::Service,
            step: json(r#"{"step":"reboot"}"#),
        },
        NodeChange::InstanceInfo(json(r#"{"k":"v"}"#)),
        NodeChange::CheckLimit {
            work: LimitedWork::Unprovisioning,
            max: 50,
        },
        NodeChange::Boots {
            mode: Some(BootMode::Bios),
            secure: Some(false),
        },
        NodeChange::Findings {
            kind: Kind::Firmware,
            body: json(r#"{"bmc":{"current_version":"2"}}"#),
        },
        NodeChange::Ports(vec!["02:5a:00:00:00:01".into()]),
    ]);
    changes
}

fn conductor_up() -> ConductorUp {
    ConductorUp {
        session: SESSION,
        host: "c3".into(),
        group: "rack1".into(),
        rack: "r".into(),
        drivers: vec!["fake-hardware".into(), "ipmi".into()],
    }
}

fn commands() -> Vec<Command> {
    let fence = Fence {
        session: SESSION,
        epoch: Epoch(2),
    };
    vec![
        Command::ConductorUp(conductor_up()),
        Command::ConductorDraining(SESSION),
        Command::ConductorDown(SESSION),
        Command::ConductorRemove(ConductorId(3)),
        Command::NodeCreate(Box::new(node())),
        Command::NodeEdit(EditNode {
            node: NODE,
            expect: Some(Revision(5)),
            edits: all_edits(),
        }),
        Command::NodeDelete(DeleteNode {
            node: NODE,
            available_too: true,
        }),
        Command::NodeAct(ActOnNode {
            node: NODE,
            fence,
            expect: None,
            changes: all_changes(),
        }),
        Command::EventsDone(vec![EventDone {
            instance: OTHER,
            seq: 77,
            outcome: EventOutcome::Told(Told::Confirmed),
        }]),
        Command::LockBreak(BreakLock {
            node: NODE,
            intent: IntentId(4),
            reason: "stuck".into(),
        }),
        Command::Object(ObjectCommand::Create(Box::new(object()))),
        Command::Object(ObjectCommand::Replace {
            object: Box::new(object()),
            expect: Revision(3),
        }),
        Command::Object(ObjectCommand::Delete {
            kind: Kind::Allocation,
            id: OTHER,
        }),
        Command::Object(ObjectCommand::Allocate(Box::new(Allocate {
            object: object(),
            choices: vec![NODE],
            backfill: Some(NODE),
            failure: "none".into(),
        }))),
        Command::DrainOrder(DrainOrder {
            host: "c1".into(),
            drained: true,
        }),
        Command::EventsClaim(ClaimEvents {
            session: fence.session,
            instances: vec![OTHER],
        }),
        Command::EventsRelease(ReleaseEvents {
            session: fence.session,
            events: vec![(OTHER, 9)],
        }),
        Command::DeadLetters(DecideDeadLetters {
            instances: vec![OTHER],
            decision: Decision::Drop,
        }),
        Command::FailuresCounted(CountedFailures {
            session: fence.session,
            counts: vec![(NODE, 2)],
        }),
    ]
}

/// Every command, by its name.
pub(crate) fn proposals() -> Vec<(&'static str, Proposal)> {
    let named = |command: Command| {
        let name = match &command {
            Command::ConductorUp(_)
            | Command::ConductorDraining(_)
            | Command::ConductorDown(_)
            | Command::DrainOrder(_)
            | Command::ConductorRemove(_)
            | Command::NodeCreate(_)
            | Command::NodeEdit(_)
            | Command::NodeDelete(_)
            | Command::NodeAct(_)
            | Command::EventsDone(_)
            | Command::LockBreak(_)
            | Command::Object(_)
            | Command::EventsClaim(_)
            | Command::DeadLetters(_)
            | Command::EventsRelease(_)
            | Command::FailuresCounted(_) => command.name(),
        };
        let id = ProposalId {
            conductor: ConductorId(3),
            incarnation: Incarnation(8),
            seq: 99,
        };
        let proposal = Proposal {
            id,
            at: AT,
            command,
        };
        (name, proposal)
    };
    commands().into_iter().map(named).collect()
}

/// Every reply.
pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let done = Reply::Done {
        index: LogIndex(12),
        revision: Revision(6),
        epoch: Epoch(2),
    };
    let refusals = [
        Refusal::Moved {
            revision: Revision(6),
        },
        Refusal::Fenced { epoch: Epoch(3) },
        Refusal::Locked { host: "c1".into() },
        Refusal::NoSuchNode,
        Refusal::SessionOver,
        Refusal::HostTaken,
        Refusal::Rule(Refused::new(409, "no")),
    ];
    let named = |refusal: Refusal| {
        let name = match &refusal {
            Refusal::Moved { .. } => "moved",
            Refusal::Fenced { .. } => "fenced",
            Refusal::Locked { .. } => "locked",
            Refusal::NoSuchNode => "no-such-node",
            Refusal::SessionOver => "session-over",
            Refusal::HostTaken => "host-taken",
            Refusal::Rule(_) => "rule",
        };
        (name, Reply::Refused(refusal))
    };
    let mut all = vec![("done", done)];
    all.extend(refusals.into_iter().map(named));
    all
}

/// Every kind of record of the state.
pub(crate) fn records() -> Vec<(&'static str, Stored)> {
    let up = conductor_up();
    let conductor = ConductorRecord {
        incarnation: Incarnation(8),
        status: ConductorStatus::Draining,
        host: up.host,
        group: up.group,
        rack: up.rack,
        drivers: up.drivers,
        created_at: AT,
        updated_at: AT,
    };
    let event = OutboxEvent {
        seq: 77,
        node: NODE,
        instance: OTHER,
        state: PowerState::Off,
        cause: PowerCause::Recovery,
        at: AT,
        sender: Session {
            conductor: ConductorId(3),
            incarnation: Incarnation(8),
        },
        status: EventStatus::Dead {
            at: AT,
            why: DeadReason::Code(404),
        },
    };
    let replied = Replied {
        id: ProposalId {
            conductor: ConductorId(3),
            incarnation: Incarnation(8),
            seq: 99,
        },
        reply: Reply::Refused(Refusal::NoSuchNode),
    };
    [
        Stored::Node(Arc::new(node())),
        Stored::Conductor(ConductorId(3), conductor),
        Stored::Drained([("c1".into(), AT)].into()),
        Stored::Outbox(event),
        Stored::Reply(replied),
        Stored::Object(Arc::new(object())),
        Stored::SyncFailures(0x71, [(NODE, 2)].into()),
    ]
    .into_iter()
    .map(|record| {
        let name = match &record {
            Stored::Node(_) => "node",
            Stored::Conductor(..) => "conductor",
            Stored::Drained(_) => "drained",
            Stored::Outbox(_) => "outbox",
            Stored::Reply(_) => "reply",
            Stored::Object(_) => "object",
            Stored::SyncFailures(..) => "sync-failures",
        };
        (name, record)
    })
    .collect()
}

pub(crate) fn log_id(index: u64) -> LogId {
    LogId {
        leader_id: LeaderId {
            term: 6,
            node_id: 2,
        },
        index,
    }
}

pub(crate) fn vote() -> Vote {
    Vote {
        leader_id: LeaderId {
            term: 6,
            node_id: 2,
        },
        committed: true,
    }
}

fn members() -> Membership {
    let member = |n: u64| Member {
        host: format!("c{n}"),
        address: format!("192.0.2.{n}:6386"),
    };
    let configs = vec![BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2])];
    let members: BTreeMap<u64, Member> = (1..=4).map(|n| (n, member(n))).collect();
    Membership::new(configs, members).unwrap()
}

pub(crate) fn membership() -> StoredMembership {
    StoredMembership::new(Some(log_id(5)), members())
}

/// Every kind of log entry.
pub(crate) fn entries() -> Vec<(&'static str, Entry)> {
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Normal(Blob::from(vec![1, 2, 3])),
        EntryPayload::Membership(members()),
    ];
    payloads
        .into_iter()
        .map(|payload| {
            let name = match &payload {
                EntryPayload::Blank => "blank",
                EntryPayload::Normal(_) => "proposal",
                EntryPayload::Membership(_) => "membership",
            };
            let log_id = log_id(8);
            (name, Entry { log_id, payload })
        })
        .collect()
}
