//! The core against the real `apply` and a scripted BMC, on a clock that the test moves.

mod bios;
mod boot;
mod credentials;
mod fencing;
mod handover;
mod inspection;
mod relatives;
mod requests;
mod rules;
mod steps;

use super::*;
use crate::apply::apply;
use crate::command::{
    ActOnNode, BreakLock, Command, ConductorUp, CountedFailures, EditNode, EventDone, EventOutcome,
    Fence, Proposal, ProposalId, Session,
};
use crate::command::{Refusal, Reply};
use crate::ids::RequestId;
use crate::ids::{ConductorId, Incarnation, LogIndex, NodeId};
use crate::json::Json;
use crate::node::edit::NodeEdit;
use crate::node::power::PowerRequest;
use crate::node::provision::ProvisionState;
use crate::node::provision::Verb;
use crate::node::record::Fault;
use crate::object::Kind;
use crate::outbox::Told;
use crate::port::bmc::{BmcError, PowerAction, PowerReading};
use crate::port::cluster::ProposeError;
use crate::port::inquiry::{Disclosure, Inquiry, Inventory};
use crate::port::node::{Caller, NodeAnswer, NodeError, NodeRequest};
use crate::state::ClusterState;
use proptest::prelude::*;
use uuid::Uuid;

const ME: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};
const OTHER: Session = Session {
    conductor: ConductorId(2),
    incarnation: Incarnation(1),
};
const NODE: NodeId = NodeId(Uuid::from_u128(42));

/// One node, its owner's core, its BMC.
struct World {
    state: ClusterState,
    index: u64,
    core: NodeCore,
    knobs: Knobs,
    now: Mono,
    lease_until: Mono,
    wake: Mono,
    /// What the BMC answers.
    bmc: Result<PowerReading, ReadError>,
    /// What the BMC says of its maker, and how often it was asked.
    vendor: Option<Box<str>>,
    identified: u32,
    /// Whether the BMC's machine follows commands, and how long it takes.
    obeys: bool,
    pending: Option<(Mono, PowerReading)>,
    acted: Vec<PowerAction>,
    reads: u32,
    answers: Vec<(Asker, Result<NodeAnswer, NodeError>)>,
    log_down: bool,
    /// The session that the BMC's client has; a later one after it ended.
    session: BmcSession,
    /// The sessions that were ended, and what the BMC says to the next end.
    ended: Vec<BmcSession>,
    ends: Result<(), ReadError>,
    /// What becomes of the next command.
    takes: VecDeque<Result<(), ReadError>>,
    /// What commands carried.
    cargos: Vec<Json>,
    /// What the BMC was asked besides the power state.
    asked: Vec<Inquiry>,
    /// What it says to every question, if not what follows.
    silence: Option<ReadError>,
    /// What the BMC says about firmware, and from when on it says something else.
    findings: Findings,
    findings_later: Option<(Mono, Findings)>,
    /// What the BMC says the machine is made of.
    inventory: Inventory,
    /// What the BMC says about booting.
    boots: Result<BootState, ReadError>,
    notes: Vec<Note>,
    /// A count of failed syncs that the log does not have yet.
    noted: Option<u32>,
    is_owner: bool,
    other_holds: bool,
    requests: u32,
    /// Reads that wait for their answers while the BMC takes its time.
    takes_its_time: bool,
    unanswered: Vec<Ticket>,
    /// Nodes that have this one as their parent, what relatives were asked, and what becomes of it.
    has_children: bool,
    switched: Vec<(RequestId, PowerRequest)>,
    relatives: Option<Result<(), Box<str>>>,
}

fn declined() -> ReadError {
    ReadError::Bmc(BmcError::Declined {
        bmc: "192.0.2.1:623".into(),
        operation: "close session",
        reason: "insufficient privilege level".into(),
    })
}

fn over() -> ReadError {
    ReadError::Bmc(BmcError::SessionOver {
        bmc: "192.0.2.1:623".into(),
        operation: "power off",
    })
}

fn dead() -> Result<PowerReading, ReadError> {
    Err(ReadError::Bmc(BmcError::Silent {
        bmc: "192.0.2.1:623".into(),
        operation: "power status",
        within: Duration::from_secs(2),
        attempts: 3,
    }))
}

impl World {
    fn new(edit: impl FnOnce(&mut NodeRecord)) -> Self {
        let mut record = NodeRecord::new(NODE, "ipmi".into(), WallMs(0));
        record.interfaces.power = "ipmitool".into();
        record.interfaces.deploy = "direct".into();
        record.provision_state = ProvisionState::Active;
        record.power_state = Some(PowerState::On);
        edit(&mut record);
        let knobs = Knobs {
            notify: true,
            ..Knobs::default()
        };
        let context = Context {
            now: Mono(0),
            wall: WallMs(0),
            lease_until: Mono(u64::MAX),
            is_owner: true,
            other_holds: false,
            has_children: false,
            failures: 0,
            knobs: &knobs,
            host: "one",
        };
        let core = NodeCore::new(
            Arc::new(record.clone()),
            context,
            FirstRead::WithinInterval,
            1000,
        );
        let mut world = Self {
            state: ClusterState::default(),
            index: 0,
            core,
            knobs,
            now: Mono(0),
            lease_until: Mono(u64::MAX),
            wake: Mono(0),
            bmc: Ok(PowerReading::On),
            vendor: None,
            identified: 0,
            obeys: true,
            pending: None,
            acted: Vec::new(),
            reads: 0,
            answers: Vec::new(),
            log_down: false,
            session: BmcSession::Ipmi(1),
            ended: Vec::new(),
            ends: Ok(()),
            takes: VecDeque::new(),
            cargos: Vec::new(),
            asked: Vec::new(),
            silence: None,
            findings: Findings::default(),
            findings_later: None,
            inventory: Inventory::default(),
            boots: Ok(BootState::default()),
            notes: Vec::new(),
            noted: None,
            is_owner: true,
            other_holds: false,
            requests: 0,
            takes_its_time: false,
            unanswered: Vec::new(),
            has_children: false,
            switched: Vec::new(),
            relatives: Some(Ok(())),
        };
        for (session, host) in [(ME, "one"), (OTHER, "two")] {
            world.commit(Command::ConductorUp(ConductorUp {
                session,
                host: host.into(),
                group: if session == ME {
                    "".into()
                } else {
                    "elsewhere".into()
                },
                rack: "".into(),
                drivers: Vec::new(),
            }));
        }
        world.commit(Command::NodeCreate(Box::new(record)));
        world.rebuild();
        world
    }

    /// A new core from the replicated record, as after a crash or a takeover.
    fn rebuild(&mut self) {
        let record = self.state.node(NODE).expect("the node exists").clone();
        // What was on its way to the log died with the former core.
        self.noted = None;
        self.core = NodeCore::new(record, self.context(), FirstRead::WithinInterval, 1000);
        self.wake = self.now;
    }

    fn context(&self) -> Context<'static> {
        Context {
            now: self.now,
            wall: WallMs(self.now.0),
            lease_until: self.lease_until,
            is_owner: self.is_owner,
            other_holds: self.other_holds,
            has_children: self.has_children,
            failures: self.noted.unwrap_or_else(|| self.failures()),
            knobs: Box::leak(Box::new(self.knobs.clone())),
            host: "one",
        }
    }

    fn commit(&mut self, command: Command) -> Reply {
        self.index += 1;
        let id = ProposalId {
            conductor: ConductorId(1),
            incarnation: Incarnation(1),
            seq: self.index,
        };
        let proposal = Proposal {
            id,
            at: WallMs(self.now.0),
            command,
        };
        apply(&mut self.state, LogIndex(self.index), proposal).reply
    }

    fn record(&self) -> &NodeRecord {
        self.state.node(NODE).expect("the node exists")
    }

    /// What waited to be counted reaches the log.
    fn bring_count(&mut self) {
        if let Some(count) = self.noted.take() {
            self.commit(Command::FailuresCounted(CountedFailures {
                session: ME,
                counts: vec![(NODE, count)],
            }));
        }
    }

    fn failures(&self) -> u32 {
        self.state.sync_failures(NODE)
    }

    fn edit(&mut self, edit: NodeEdit) {
        let edits = vec![edit];
        self.commit(Command::NodeEdit(EditNode {
            node: NODE,
            expect: None,
            edits,
        }));
        self.tell_record();
    }

    /// An administrator breaks the lock, if there is one.
    fn break_lock(&mut self) {
        if let Some(intent) = self.record().intent.as_ref().map(|intent| intent.id) {
            let reason = "it hung".into();
            self.commit(Command::LockBreak(BreakLock {
                node: NODE,
                intent,
                reason,
            }));
            self.tell_record();
        }
    }

    /// The answer to a read that was asked a while ago.
    fn read_is(&mut self, ticket: Ticket, result: Result<PowerReading, ReadError>) {
        self.step(Input::Read {
            ticket,
            result,
            rtt: Duration::ZERO,
            session: Some(self.session.clone()),
        });
    }

    /// The owner changes its node, outside of what the core does.
    fn act(&mut self, changes: Vec<NodeChange>) {
        let epoch = self.record().epoch;
        self.commit(Command::NodeAct(ActOnNode {
            node: NODE,
            fence: Fence { session: ME, epoch },
            expect: None,
            changes,
        }));
        self.tell_record();
    }

    fn error(&self) -> Option<&str> {
        self.record().last_error.as_deref()
    }

    /// Severity and text of each row of the node's history, the oldest first.
    fn history(&self) -> Vec<(String, String)> {
        let rows = self.state.objects().of_node(NODE, Kind::History, None);
        let word = |body: &serde_json::Map<String, serde_json::Value>, key: &str| {
            body[key].as_str().expect("a text").to_owned()
        };
        rows.map(|row| row.body.to_map())
            .map(|body| (word(&body, "severity"), word(&body, "event")))
            .collect()
    }

    fn tell_record(&mut self) {
        let record = self.state.node(NODE).expect("the node exists").clone();
        self.step(Input::Record(record));
    }

    fn request(&mut self, asker: Asker, request: NodeRequest) {
        self.requests += 1;
        let id = RequestId(format!("req-{}", self.requests).into());
        self.step(Input::Request { asker, id, request });
    }

    fn power(&mut self, asker: Asker, request: PowerRequest) {
        self.request(
            asker,
            NodeRequest::Power {
                request,
                timeout_s: None,
                caller: Caller::Operator,
            },
        );
    }

    fn disclosed(&mut self, inquiry: Inquiry) -> Result<Disclosure, ReadError> {
        if let Some(error) = &self.silence {
            return Err(error.clone());
        }
        if let Some((_, findings)) = self.findings_later.take_if(|(at, _)| *at <= self.now) {
            self.findings = findings;
        }
        match inquiry {
            Inquiry::Boot => self.boots.clone().map(Disclosure::Boot),
            Inquiry::Findings => Ok(Disclosure::Findings(self.findings.clone())),
            Inquiry::Inventory => Ok(Disclosure::Inventory(self.inventory.clone())),
            Inquiry::Lights => Ok(Disclosure::Lights(Vec::new())),
            Inquiry::Subscriptions => Ok(Disclosure::Subscriptions(Json::EMPTY)),
        }
    }

    fn machine(&mut self) -> Result<PowerReading, ReadError> {
        if let Some((at, state)) = self.pending
            && at <= self.now
        {
            self.bmc = Ok(state);
            self.pending = None;
        }
        self.bmc.clone()
    }

    fn step(&mut self, input: Input) {
        if !self.log_down {
            self.bring_count();
        }
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            for effect in self.core.step(self.context(), input) {
                match effect {
                    Effect::Read { ticket, .. } if self.takes_its_time => {
                        self.reads += 1;
                        self.unanswered.push(ticket);
                    }
                    Effect::Read { ticket, .. } => {
                        self.reads += 1;
                        let result = self.machine();
                        inputs.push_back(Input::Read {
                            ticket,
                            result,
                            rtt: Duration::ZERO,
                            session: Some(self.session.clone()),
                        });
                    }
                    Effect::Identify { ticket } => {
                        self.identified += 1;
                        let vendor = self.vendor.clone();
                        inputs.push_back(Input::Identified { ticket, vendor });
                    }
                    Effect::Ask {
                        ticket, inquiry, ..
                    } => {
                        self.asked.push(inquiry);
                        let result = self.disclosed(inquiry).map(Box::new);
                        inputs.push_back(Input::Told { ticket, result });
                    }
                    Effect::Act {
                        ticket,
                        action,
                        cargo,
                        session,
                        epoch,
                    } => {
                        let intent = self
                            .record()
                            .intent
                            .as_ref()
                            .expect("a write needs an open intent");
                        assert_eq!(intent.epoch, epoch, "a write of a former tenure");
                        assert!(self.now < self.lease_until, "a write without a lease");
                        let write = intent.write.as_ref().expect("a write is announced");
                        assert_eq!((write.action, &write.session), (action, &session));
                        assert_eq!(
                            self.record().unfenced,
                            None,
                            "a former holder is not fenced"
                        );
                        let result = self.takes.pop_front().unwrap_or(Ok(()));
                        self.acted.push(action);
                        self.cargos.push(cargo);
                        if self.obeys && result.is_ok() {
                            let to = match action {
                                PowerAction::On => PowerReading::On,
                                PowerAction::Off | PowerAction::SoftOff => PowerReading::Off,
                                PowerAction::BootFrom(_)
                                | PowerAction::BootMode(_)
                                | PowerAction::SecureBoot(_)
                                | PowerAction::Chore(_) => {
                                    inputs.push_back(Input::Acted { ticket, result });
                                    continue;
                                }
                                _ => PowerReading::On,
                            };
                            self.pending = Some((self.now + Duration::from_millis(300), to));
                        }
                        inputs.push_back(Input::Acted { ticket, result });
                    }
                    Effect::SwitchRelatives {
                        ticket,
                        id,
                        request,
                        ..
                    } => {
                        assert_eq!(self.acted, Vec::new(), "relatives come first");
                        self.switched.push((id, request));
                        if let Some(result) = self.relatives.clone() {
                            inputs.push_back(Input::Relatives { ticket, result });
                        }
                    }
                    Effect::EndSession {
                        ticket,
                        session,
                        epoch,
                    } => {
                        assert_eq!(self.record().epoch, epoch);
                        assert!(self.now < self.lease_until, "an end without a lease");
                        let result = self.ends.clone();
                        if result.is_ok() {
                            if session == self.session {
                                let next = u32::try_from(self.ended.len()).expect("few") + 100;
                                self.session = BmcSession::Ipmi(next);
                            }
                            self.ended.push(session);
                        }
                        inputs.push_back(Input::SessionEnded { ticket, result });
                    }
                    Effect::Propose {
                        ticket,
                        epoch,
                        expect,
                        changes,
                        haste: _,
                    } => {
                        let result = if self.log_down {
                            Err(ProposeError::Unavailable {
                                reason: "no leader".into(),
                            })
                        } else {
                            let fence = Fence { session: ME, epoch };
                            let act = ActOnNode {
                                node: NODE,
                                fence,
                                expect,
                                changes,
                            };
                            let reply = self.commit(Command::NodeAct(act));
                            let record = self.state.node(NODE).expect("the node exists").clone();
                            inputs.push_back(Input::Record(record));
                            Ok(reply)
                        };
                        inputs.push_back(Input::Proposed { ticket, result });
                    }
                    Effect::Answer { asker, answer } => self.answers.push((asker, answer)),
                    Effect::WakeAt(at) => self.wake = at,
                    Effect::CountFailures(count) => {
                        self.noted = count;
                        if !self.log_down {
                            self.bring_count();
                        }
                    }
                    Effect::Note(note) => self.notes.push(note),
                    Effect::ForgetBmc => {}
                }
            }
        }
    }

    /// Lets time pass, waking the core when it wants to be woken.
    fn advance(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..100_000 {
            if self.wake > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(self.wake);
            self.step(Input::Wake);
        }
        panic!("the core never rests; it is {:?}", self.core.phase);
    }

    fn interval(&mut self) {
        self.advance(Duration::from_secs(120));
    }
}

#[test]
fn an_unknown_state_is_recorded_at_the_first_read() {
    let mut world = World::new(|node| node.power_state = None);
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert!(world.core.confirmed_at().is_some());
}

#[test]
fn a_quiet_node_is_read_once_an_interval_and_writes_nothing() {
    let mut world = World::new(|_| {});
    let index = world.index;
    for _ in 0..10 {
        world.interval();
    }
    assert!((10..=11).contains(&world.reads), "{} reads", world.reads);
    assert_eq!(world.index, index);
}

#[test]
fn the_next_read_is_never_further_off_than_an_interval_however_much_work_ends() {
    let mut world = World::new(|_| {});
    for n in 0..30 {
        let wish = if n % 2 == 0 {
            PowerRequest::Off
        } else {
            PowerRequest::On
        };
        world.power(n, wish);
        world.advance(Duration::from_secs(20));
        assert_eq!(world.record().intent, None);
        let due = world.core.due.since(world.now);
        assert!(due <= world.knobs.sync_interval.unwrap(), "{due:?}");
    }
}

#[test]
fn a_machine_switched_off_behind_our_back_is_forced_on_after_two_agreeing_reads() {
    let mut world = World::new(|_| {});
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    assert_eq!(world.acted, vec![PowerAction::On]);
    assert_eq!(world.record().power_state, Some(PowerState::On));
    assert_eq!(world.record().intent, None);
    world.interval();
    assert_eq!(world.failures(), 0);
    assert_eq!(world.acted.len(), 1);
}

#[test]
fn one_odd_read_forces_nothing() {
    let mut world = World::new(|_| {});
    world.bmc = Ok(PowerReading::Off);
    world.pending = Some((Mono(1200), PowerReading::On));
    world.advance(Duration::from_secs(60));
    assert!(world.reads >= 2);
    assert_eq!(world.acted, Vec::new());
    assert_eq!(world.record().power_state, Some(PowerState::On));
}

#[test]
fn without_force_or_with_disable_power_off_the_state_is_recorded_and_compute_is_told() {
    for disable in [false, true] {
        let instance = Uuid::from_u128(9);
        let mut world = World::new(|node| {
            node.disable_power_off = disable;
            node.instance_uuid = Some(instance);
        });
        world.knobs.force = disable;
        world.bmc = Ok(PowerReading::Off);
        world.interval();
        assert_eq!(world.acted, Vec::new());
        assert_eq!(world.record().power_state, Some(PowerState::Off));
        let event = world
            .state
            .outbox_of(instance)
            .expect("the event is in the same entry");
        assert_eq!(event.state, PowerState::Off);
    }
}

#[test]
fn a_dead_bmc_faults_the_node_after_the_retries_and_recovery_ends_the_fault() {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    for failures in 1..=3 {
        world.interval();
        assert_eq!(world.failures(), failures);
        assert!(!world.record().maintenance);
    }
    world.rebuild(); // the count survives a takeover
    world.interval();
    assert_eq!(world.record().fault, Some(Fault::Power));
    assert_eq!(world.record().power_state, None);
    let reason = world
        .record()
        .maintenance_reason
        .clone()
        .expect("there is a reason");
    assert!(
        reason.starts_with("During sync_power_state, max retries exceeded for node"),
        "{reason}"
    );
    assert!(reason.contains("192.0.2.1:623"), "{reason}");

    world.bmc = Ok(PowerReading::Off);
    world.advance(Duration::from_secs(301));
    assert!(!world.record().maintenance);
    assert_eq!(world.record().fault, None);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert_eq!(world.failures(), 0);
}

#[test]
fn corrected_credentials_are_tried_at_once() {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    for _ in 0..4 {
        world.interval();
    }
    assert!(world.record().maintenance);
    world.bmc = Ok(PowerReading::On);
    let info = crate::json::Json::parse(r#"{"ipmi_password":"new"}"#).expect("valid");
    world.edit(NodeEdit::DriverInfo(info));
    assert!(!world.record().maintenance, "recovery did not run at once");
}

#[test]
fn manual_maintenance_is_never_left_and_not_synced() {
    let mut world = World::new(|node| node.maintenance = true);
    for _ in 0..10 {
        world.interval();
    }
    assert_eq!(world.reads, 0);
    assert!(world.record().maintenance);
}

#[test]
fn a_power_request_is_in_the_log_before_the_command_and_closed_with_its_result() {
    let mut world = World::new(|node| {
        node.last_error = Some("old".into());
        node.instance_uuid = Some(Uuid::from_u128(5));
    });
    world.power(1, PowerRequest::Off);
    assert_eq!(world.answers, vec![(1, Ok(NodeAnswer::Accepted))]);
    assert_eq!(world.record().target_power_state, Some(PowerState::Off));
    assert_eq!(world.record().last_error, None);
    assert!(world.record().is_locked());
    world.advance(Duration::from_secs(1));
    assert_eq!(world.acted, vec![PowerAction::Off]);
    let record = world.record();
    assert_eq!(record.power_state, Some(PowerState::Off));
    assert_eq!(
        (record.target_power_state, record.is_locked()),
        (None, false)
    );
    assert_eq!(world.state.outbox_len(), 1);
    world.interval();
    assert_eq!(
        world.acted.len(),
        1,
        "power sync leaves the new state alone"
    );
}

#[test]
fn a_machine_already_there_is_left_alone() {
    let mut world = World::new(|_| {});
    world.power(1, PowerRequest::On);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, Vec::new());
    assert!(!world.record().is_locked());
}

#[test]
fn transitional_readings_end_no_wait_and_a_machine_that_does_not_obey_fails_the_request() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    world.bmc = Ok(PowerReading::PoweringOff);
    world.advance(Duration::from_secs(59));
    assert!(world.record().is_locked());
    world.advance(Duration::from_secs(5));
    let error = world
        .record()
        .last_error
        .clone()
        .expect("there is an error");
    assert_eq!(
        &*error,
        "Failed to change power state to 'power off' by 'power off': Failed to set node power state to power off."
    );
    assert_eq!(
        world.record().power_state,
        Some(PowerState::On),
        "power_state is left unchanged"
    );
    assert_eq!(world.record().target_power_state, None);
}

#[test]
fn a_reboot_is_off_and_on_and_with_disable_power_off_a_reset() {
    let mut world = World::new(|_| {});
    world.power(1, PowerRequest::Reboot);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::On]);
    assert!(!world.record().is_locked());

    let mut world = World::new(|node| node.disable_power_off = true);
    world.power(1, PowerRequest::Reboot);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.acted, vec![PowerAction::Reset]);
    world.power(2, PowerRequest::Off);
    let refused = world.answers.last().expect("answered").clone();
    assert!(matches!(refused, (2, Err(NodeError::Refused(refused))) if refused.status == 409));
}

#[test]
fn a_second_request_waits_for_the_lock_and_one_that_waits_too_long_gets_409() {
    let mut world = World::new(|_| {});
    world.power(1, PowerRequest::Off);
    world.power(2, PowerRequest::On);
    world.advance(Duration::from_secs(3));
    assert_eq!(world.answers.len(), 2);
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::On]);

    world.obeys = false;
    world.power(3, PowerRequest::Off);
    world.power(4, PowerRequest::On);
    world.advance(Duration::from_secs(11));
    let text = format!(
        "Node {NODE} is locked by host one, please retry after the current operation is completed."
    );
    let (asker, answer) = world.answers.last().expect("answered").clone();
    assert_eq!(asker, 4);
    assert_eq!(
        answer,
        Err(NodeError::Refused(crate::node::edit::Refused::new(
            409, text
        )))
    );
}

#[test]
fn fifty_clients_at_one_machine_all_get_their_turn() {
    let mut world = World::new(|_| {});
    world.knobs.lock_wait = Duration::from_secs(30);
    for asker in 1..=50 {
        let request = [PowerRequest::On, PowerRequest::Off][usize::from(asker % 2 == 1)];
        world.power(asker, request);
    }
    world.advance(Duration::from_secs(30));
    let refused = world.answers.iter().filter(|(_, answer)| answer.is_err());
    assert_eq!((world.answers.len(), refused.count()), (50, 0));
    assert_eq!(world.acted.len(), 50);
}

#[test]
fn without_a_lease_no_command_leaves_and_reads_go_on() {
    let mut world = World::new(|_| {});
    world.lease_until = Mono(0);
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_secs(20));
    assert_eq!(world.acted, Vec::new());
    world.lease_until = Mono(u64::MAX);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, vec![PowerAction::Off]);
}

#[test]
fn a_new_owner_resumes_what_is_idempotent() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    let tenure = world.record().epoch;
    world.rebuild();
    world.obeys = true;
    world.advance(Duration::from_secs(2));
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::Off]);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert!(!world.record().is_locked());
    assert!(
        world.record().epoch > tenure,
        "what a former actor has queued is void, even of this very conductor"
    );
}

#[test]
fn work_left_without_its_intent_is_cleaned_up_by_the_new_owner() {
    let mut world = World::new(|node| {
        node.target_power_state = Some(PowerState::Off);
        node.provision_state = ProvisionState::Rescuing;
    });
    world.advance(Duration::from_secs(1));
    assert_eq!(world.record().target_power_state, None);
    assert_eq!(world.record().provision_state, ProvisionState::RescueFailed);
}

#[test]
fn the_outcome_of_work_waits_for_the_log_and_is_not_lost() {
    let mut world = World::new(|_| {});
    world.power(1, PowerRequest::Off);
    world.log_down = true;
    world.advance(Duration::from_secs(30));
    assert!(world.record().is_locked());
    world.log_down = false;
    world.advance(Duration::from_secs(2));
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert!(!world.record().is_locked());
    assert_eq!(world.acted, vec![PowerAction::Off]);
}

#[test]
fn a_request_without_a_log_is_refused_as_retryable_and_does_nothing() {
    let mut world = World::new(|_| {});
    world.log_down = true;
    world.power(1, PowerRequest::Off);
    assert!(matches!(
        world.answers.last(),
        Some((1, Err(NodeError::Unavailable { .. })))
    ));
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, Vec::new());
}

#[test]
fn manage_reads_the_bmc_and_an_unanswered_manage_returns_to_enroll() {
    let mut world = World::new(|node| {
        node.provision_state = ProvisionState::Enroll;
        node.power_state = None;
    });
    let manage = NodeRequest::Provision {
        verb: Verb::Manage,
        arguments: crate::json::Json::EMPTY,
    };
    world.bmc = dead();
    world.request(1, manage.clone());
    assert_eq!(world.record().provision_state, ProvisionState::Enroll);
    let error = world
        .record()
        .last_error
        .clone()
        .expect("there is an error");
    assert!(
        error.starts_with(&format!(
            "Failed to get power state for node {NODE}. Error: "
        )),
        "{error}"
    );
    world.bmc = Ok(PowerReading::Off);
    world.request(2, manage);
    assert_eq!(world.record().provision_state, ProvisionState::Manageable);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert_eq!(world.record().last_error, None);
}

#[test]
fn a_machine_is_not_called_clean_unless_it_was_cleaned() {
    let provide = NodeRequest::Provision {
        verb: Verb::Provide,
        arguments: crate::json::Json::EMPTY,
    };
    let mut world = World::new(|node| node.provision_state = ProvisionState::Manageable);
    world.request(1, provide.clone());
    assert_eq!(world.record().provision_state, ProvisionState::CleanFailed);
    assert!(
        world
            .record()
            .last_error
            .as_deref()
            .is_some_and(|text| text.contains("automated_clean"))
    );
    let mut world = World::new(|node| {
        node.provision_state = ProvisionState::Manageable;
        node.automated_clean = Some(false);
    });
    world.request(1, provide);
    assert_eq!(world.record().provision_state, ProvisionState::Available);
}

#[test]
fn undeploy_switches_off_and_forgets_the_instance() {
    let mut world = World::new(|node| {
        node.automated_clean = Some(false);
        node.instance_uuid = Some(Uuid::from_u128(3));
    });
    let delete = NodeRequest::Provision {
        verb: Verb::Delete,
        arguments: crate::json::Json::EMPTY,
    };
    world.request(1, delete);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.acted, vec![PowerAction::Off]);
    assert_eq!(world.record().provision_state, ProvisionState::Available);
    assert_eq!(world.record().instance_uuid, None);
}

#[derive(Clone, Debug)]
enum Event {
    Advance(u64),
    Bmc(u8),
    Power(u8),
    Maintenance(bool),
    Log(bool),
    Lease(bool),
    Crash,
    Break,
    Session(u32),
    Ends(u8),
    Takes(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (1u64..200_000).prop_map(Event::Advance),
        (0u8..5).prop_map(Event::Bmc),
        (0u8..5).prop_map(Event::Power),
        any::<bool>().prop_map(Event::Maintenance),
        any::<bool>().prop_map(Event::Log),
        any::<bool>().prop_map(Event::Lease),
        Just(Event::Crash),
        Just(Event::Break),
        (1u32..5).prop_map(Event::Session),
        (0u8..4).prop_map(Event::Ends),
        (0u8..4).prop_map(Event::Takes),
    ]
}

proptest! {
    /// Whatever happens, a write has an open intent, a lease and the present tenure (asserted in `World::step`), and
    /// once faults end the node comes to rest: unlocked, without a target, freshly confirmed.
    #[test]
    fn after_any_history_the_node_comes_to_rest(events in prop::collection::vec(event(), 1..60)) {
        let mut world = World::new(|_| {});
        for (asker, event) in events.into_iter().enumerate() {
            match event {
                Event::Advance(millis) => world.advance(Duration::from_millis(millis)),
                Event::Bmc(kind) => {
                    world.pending = None;
                    world.bmc = match kind {
                        0 => dead(),
                        1 => Ok(PowerReading::Off),
                        2 => Ok(PowerReading::PoweringOn),
                        3 => Err(ReadError::NoRoom("full".into())),
                        _ => Ok(PowerReading::On),
                    };
                }
                Event::Power(kind) => {
                    let request = PowerRequest::ALL[usize::from(kind)];
                    world.power(asker as Asker, request);
                }
                Event::Maintenance(on) => world.edit(NodeEdit::Maintenance { on, reason: None }),
                Event::Log(up) => world.log_down = !up,
                Event::Lease(held) => world.lease_until = if held { Mono(u64::MAX) } else { world.now },
                Event::Crash => world.rebuild(),
                Event::Break => world.break_lock(),
                Event::Session(id) => world.session = BmcSession::Ipmi(id),
                Event::Ends(kind) => world.ends = match kind {
                    0 => Err(declined()),
                    1 => Err(ReadError::NoRoom("full".into())),
                    2 => dead().map(drop),
                    _ => Ok(()),
                },
                Event::Takes(kind) => world.takes.push_back(match kind {
                    0 => Err(declined()),
                    1 => Err(over()),
                    2 => dead().map(drop),
                    _ => Ok(()),
                }),
            }
        }
        world.log_down = false;
        world.lease_until = Mono(u64::MAX);
        world.pending = None;
        world.bmc = Ok(PowerReading::On);
        world.edit(NodeEdit::Maintenance { on: false, reason: None });
        world.advance(Duration::from_secs(3000));
        let record = world.record();
        prop_assert!(record.intent.is_none(), "still locked: {:?}", record.intent);
        prop_assert_eq!(record.target_power_state, None);
        prop_assert!(!record.maintenance);
        let confirmed = world.core.confirmed_at().expect("confirmed");
        prop_assert!(world.now.since(confirmed) <= Duration::from_secs(121));
        // The machine ends as recorded.
        let actual = world.machine().ok().and_then(PowerState::from_reading);
        prop_assert_eq!(actual, world.record().power_state);
    }
}

// --- Compute events -------------------------------------------------------------------------------

const INSTANCE: Uuid = Uuid::from_u128(9);

impl World {
    /// Tells compute: the event that waited, which is then done.
    fn told(&mut self) -> Option<(PowerState, PowerCause)> {
        let event = self.state.outbox_of(INSTANCE)?.clone();
        self.commit(Command::EventsDone(vec![EventDone {
            instance: INSTANCE,
            seq: event.seq,
            outcome: EventOutcome::Told(Told::Accepted),
        }]));
        Some((event.state, event.cause))
    }
}

/// Every path that changes the recorded power state of a node with an instance, and the event that it must make.
#[test]
fn no_path_that_changes_the_power_state_is_silent_and_none_speaks_twice() {
    type Path = fn(&mut World);
    let (on, off) = (PowerState::On, PowerState::Off);
    let user: Path = |world| {
        world.power(1, PowerRequest::Off);
        world.advance(Duration::from_secs(5));
    };
    let compute: Path = |world| {
        let request = NodeRequest::Power {
            request: PowerRequest::Off,
            timeout_s: None,
            caller: Caller::Compute,
        };
        world.request(1, request);
        world.advance(Duration::from_secs(5));
    };
    let short_circuit: Path = |world| {
        // The machine is off already; only the record has to follow (Ironic tells nobody, D15).
        world.bmc = Ok(PowerReading::Off);
        world.power(1, PowerRequest::Off);
        world.advance(Duration::from_secs(5));
        assert_eq!(world.acted, Vec::new());
    };
    let sync_record: Path = |world| {
        world.knobs.force = false;
        world.bmc = Ok(PowerReading::Off);
        world.interval();
    };
    let recovery: Path = |world| {
        world.bmc = dead();
        for _ in 0..4 {
            world.interval();
        }
        assert_eq!(world.record().fault, Some(Fault::Power));
        assert_eq!(world.told(), None, "an unknown state is not told");
        world.bmc = Ok(PowerReading::Off);
        world.advance(Duration::from_secs(301));
    };
    let takeover: Path = |world| {
        world.obeys = false;
        world.power(1, PowerRequest::Off);
        world.rebuild();
        world.bmc = Ok(PowerReading::Off);
        world.advance(Duration::from_secs(30));
    };
    let paths: [(&str, Path, PowerCause); 6] = [
        ("user", user, PowerCause::User),
        ("compute", compute, PowerCause::Compute),
        ("short-circuit", short_circuit, PowerCause::User),
        ("sync record", sync_record, PowerCause::Sync),
        ("recovery", recovery, PowerCause::Recovery),
        ("takeover", takeover, PowerCause::User),
    ];
    for (name, path, cause) in paths {
        let mut world = World::new(|node| node.instance_uuid = Some(INSTANCE));
        assert_eq!(world.record().power_state, Some(on));
        path(&mut world);
        assert_eq!(world.record().power_state, Some(off), "{name}");
        assert_eq!(world.told(), Some((off, cause)), "{name}");
        world.interval();
        world.interval();
        assert_eq!(world.told(), None, "{name} spoke twice");
    }
}

#[test]
fn forcing_back_what_compute_believes_is_no_news() {
    let mut world = World::new(|node| node.instance_uuid = Some(INSTANCE));
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    world.advance(Duration::from_secs(30));
    assert_eq!(world.acted, vec![PowerAction::On]);
    assert_eq!(world.told(), None);
}

#[test]
fn an_adopted_nodes_state_and_a_first_read_are_told() {
    let request = |world: &mut World, verb| {
        let arguments = crate::json::Json::EMPTY;
        world.request(1, NodeRequest::Provision { verb, arguments });
        world.advance(Duration::from_secs(5));
    };
    let mut world = World::new(|node| {
        node.instance_uuid = Some(INSTANCE);
        node.provision_state = ProvisionState::Enroll;
        node.power_state = None;
    });
    request(&mut world, Verb::Manage);
    assert_eq!(world.record().provision_state, ProvisionState::Manageable);
    assert_eq!(world.told(), Some((PowerState::On, PowerCause::Verify)));
    request(&mut world, Verb::Adopt);
    assert_eq!(world.record().provision_state, ProvisionState::Active);
    assert_eq!(world.told(), Some((PowerState::On, PowerCause::Adoption)));
}
