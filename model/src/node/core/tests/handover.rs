//! Handing a node over while its conductor lives, and requests that are asked again.

use super::*;
use crate::command::NodeChange;
use crate::node::intent::{BmcWrite, IntentKind};

fn wake(world: &mut World) {
    world.step(Input::Wake);
}

#[test]
fn a_holder_that_owns_the_node_no_longer_finishes_its_work_and_begins_nothing() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    world.power(2, PowerRequest::On);
    world.is_owner = false;
    wake(&mut world);
    assert_eq!(
        world.answers.last(),
        Some(&(2, Err(NodeError::NotOwner(None)))),
        "it waits at the new owner"
    );
    world.power(3, PowerRequest::On);
    assert_eq!(
        world.answers.last(),
        Some(&(3, Err(NodeError::NotOwner(None))))
    );
    world.bmc = Ok(PowerReading::Off);
    world.advance(Duration::from_secs(3));
    assert_eq!(world.record().intent, None);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    let reads = world.reads;
    world.advance(Duration::from_secs(3600));
    assert_eq!(world.reads, reads, "the schedule is the new owner's");
}

#[test]
fn the_new_owner_waits_for_a_holder_that_lives_and_takes_over_from_one_that_is_gone() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    world.acted.clear();
    world.other_holds = true;
    world.rebuild();
    world.advance(Duration::from_secs(30));
    assert_eq!(world.acted, Vec::new());
    world.power(2, PowerRequest::On);
    assert_eq!(world.answers.len(), 1, "it waits for the lock");
    world.other_holds = false;
    world.obeys = true;
    wake(&mut world);
    world.advance(Duration::from_secs(3));
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::On]);
    assert_eq!(world.answers.last(), Some(&(2, Ok(NodeAnswer::Accepted))));
}

#[test]
fn a_request_that_is_asked_again_is_answered_and_not_done_again() {
    let mut world = World::new(|_| {});
    let again = |world: &mut World, asker| {
        world.step(Input::Request {
            asker,
            id: RequestId("req-same".into()),
            request: NodeRequest::Power {
                request: PowerRequest::Reboot,
                timeout_s: None,
                caller: Caller::Operator,
            },
        });
    };
    again(&mut world, 1);
    again(&mut world, 2);
    world.advance(Duration::from_secs(10));
    world.rebuild();
    again(&mut world, 3);
    world.advance(Duration::from_secs(10));
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::On]);
    let accepted = |(_, answer): &(Asker, _)| *answer == Ok(NodeAnswer::Accepted);
    assert!(world.answers.iter().all(accepted), "{:?}", world.answers);
    assert_eq!(world.answers.len(), 3);

    for asker in 10..30 {
        world.power(asker, PowerRequest::On);
    }
    assert_eq!(
        world.record().requests.len(),
        crate::node::record::REQUESTS_REMEMBERED
    );
}

#[test]
fn only_what_another_can_finish_is_handed_over() {
    let of = |kind, state, write: Option<(PowerAction, bool)>| {
        let mut world = World::new(|node| node.provision_state = state);
        let open = world.core.intent(
            world.context(),
            kind,
            Duration::from_secs(60),
            None,
            write.map(|(action, accepted)| BmcWrite {
                session: BmcSession::Ipmi(1),
                action,
                accepted,
            }),
        );
        let fence = Fence {
            session: ME,
            epoch: world.record().epoch,
        };
        world.commit(Command::NodeAct(ActOnNode {
            node: NODE,
            fence,
            expect: None,
            changes: vec![open, NodeChange::LastError(None)],
        }));
        assert!(world.record().is_locked());
        can_be_handed_over(world.record())
    };
    let power = || IntentKind::Power {
        request: PowerRequest::Reboot,
        timeout_s: None,
    };
    let provision = |verb| IntentKind::Provision { verb };
    let active = ProvisionState::Active;
    assert!(of(power(), active, None));
    assert!(of(power(), active, Some((PowerAction::Off, false))));
    assert!(!of(power(), active, Some((PowerAction::Reset, false))));
    assert!(of(power(), active, Some((PowerAction::Reset, true))));
    assert!(!of(
        IntentKind::InjectNmi,
        active,
        Some((PowerAction::Nmi, false))
    ));
    assert!(of(provision(Verb::Manage), ProvisionState::Verifying, None));
    assert!(!of(
        provision(Verb::Deploy),
        ProvisionState::Deploying,
        None
    ));
}

#[test]
fn a_waiting_state_has_its_time_limit_at_whoever_owns_the_node() {
    for (state, failed, words) in [
        (
            ProvisionState::WaitCallBack,
            ProvisionState::DeployFailed,
            "callback for node",
        ),
        (
            ProvisionState::CleanWait,
            ProvisionState::CleanFailed,
            "cleaning",
        ),
        (
            ProvisionState::InspectWait,
            ProvisionState::InspectFailed,
            "inspection",
        ),
        (
            ProvisionState::RescueWait,
            ProvisionState::RescueFailed,
            "rescue ramdisk",
        ),
        (
            ProvisionState::ServiceWait,
            ProvisionState::ServiceFailed,
            "servicing",
        ),
    ] {
        let mut world = World::new(|node| node.provision_state = state);
        world.advance(Duration::from_secs(1700));
        world.rebuild();
        world.advance(Duration::from_secs(1700));
        assert_eq!(world.record().provision_state, state, "granted once more");
        world.edit(NodeEdit::Maintenance {
            on: true,
            reason: None,
        });
        world.advance(Duration::from_secs(4000));
        assert_eq!(world.record().provision_state, state, "maintenance waits");
        world.edit(NodeEdit::Maintenance {
            on: false,
            reason: None,
        });
        world.advance(Duration::from_secs(1801));
        assert_eq!(world.record().provision_state, failed);
        let error = world.record().last_error.as_deref().unwrap_or_default();
        assert!(error.contains(words), "{error}");
    }
    let mut world = World::new(|node| node.provision_state = ProvisionState::CleanHold);
    world.knobs.waits.clean = None;
    world.advance(Duration::from_secs(100_000));
    assert_eq!(world.record().provision_state, ProvisionState::CleanHold);
}
