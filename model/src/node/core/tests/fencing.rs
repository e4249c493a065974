//! Fencing: what is announced, in which session it leaves, and what a new holder ends first.

use super::*;
use crate::command::NodeChange;
use crate::node::intent::BmcWrite;

/// A world whose owner vanished after its power command had left; the core is its successor.
fn orphaned(request: PowerRequest) -> World {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, request);
    assert_eq!(world.acted.len(), 1);
    world.acted.clear();
    world.session = BmcSession::Ipmi(2);
    world.rebuild();
    world
}

#[test]
fn the_entry_that_opens_a_power_intent_names_session_and_command() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    let intent = world.record().intent.as_ref().expect("open");
    let write = BmcWrite {
        session: BmcSession::Ipmi(1),
        action: PowerAction::Off,
        accepted: false,
    };
    assert_eq!(intent.write, Some(write));
    // The conductors' entries, the node's, and one for the intent: the announcement cost none of its own.
    assert_eq!(world.index, 4);
    assert_eq!(world.reads, 1, "the read before the entry serves the work");
}

#[test]
fn the_session_of_a_former_holder_is_ended_before_its_work_is_resumed() {
    let mut world = orphaned(PowerRequest::Off);
    world.obeys = true;
    world.advance(Duration::from_secs(2));
    assert_eq!(world.ended, vec![BmcSession::Ipmi(1)]);
    assert_eq!(world.acted, vec![PowerAction::Off]);
    assert_eq!(world.record().unfenced, None);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert_eq!(world.record().last_error, None);
}

#[test]
fn where_the_bmc_refuses_or_is_silent_the_limit_of_the_command_is_waited_out() {
    for (answer, tries) in [(Err(declined()), 1), (dead().map(drop), 5)] {
        let mut world = orphaned(PowerRequest::Off);
        world.obeys = true;
        world.ends = answer;
        world.advance(COMMAND_LIMIT);
        assert_eq!(world.acted, Vec::new());
        assert!(world.record().unfenced.is_some());
        let refused = world
            .notes
            .iter()
            .filter(|note| matches!(note, Note::NotFenced { .. }))
            .count();
        assert!(refused >= tries, "{refused} tries");
        world.advance(Duration::from_secs(10));
        assert_eq!(world.acted, vec![PowerAction::Off]);
        assert_eq!(world.record().power_state, Some(PowerState::Off));
        assert_eq!(world.record().unfenced, None);
    }
}

#[test]
fn without_sessions_a_successor_waits_and_without_an_announcement_it_does_not() {
    let mut world = World::new(|_| {});
    world.session = BmcSession::Unbound;
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    world.acted.clear();
    world.rebuild();
    world.advance(COMMAND_LIMIT);
    assert_eq!((world.acted.len(), world.ended.len()), (0, 0));
    world.advance(Duration::from_secs(10));
    assert_eq!(world.acted, vec![PowerAction::Off]);

    let mut world = World::new(|_| {});
    world.lease_until = Mono(0);
    world.bmc = Err(ReadError::NoRoom("full".into()));
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_millis(150));
    let intent = world.record().intent.as_ref().expect("open");
    assert_eq!(intent.write, None, "nothing is known of the BMC yet");
    world.lease_until = Mono(u64::MAX);
    world.bmc = Ok(PowerReading::On);
    world.rebuild();
    world.advance(Duration::from_secs(2));
    assert_eq!(world.ended, Vec::new(), "nothing had left");
    assert_eq!(world.acted, vec![PowerAction::Off]);
}

#[test]
fn a_command_whose_session_ended_is_announced_anew_and_not_failed() {
    let mut world = World::new(|_| {});
    world.takes.push_back(Err(over()));
    world.power(1, PowerRequest::Off);
    world.session = BmcSession::Ipmi(9);
    world.advance(Duration::from_secs(3));
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::Off]);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    assert_eq!(world.record().last_error, None);
}

#[test]
fn a_silent_bmc_gets_what_may_be_repeated_once_more_and_never_a_reset() {
    for (disable, tries) in [(false, 2), (true, 1)] {
        let mut world = World::new(|node| node.disable_power_off = disable);
        let request = if disable {
            PowerRequest::Reboot
        } else {
            PowerRequest::Off
        };
        world.takes.extend([dead().map(drop), dead().map(drop)]);
        world.power(1, request);
        world.advance(Duration::from_secs(5));
        assert_eq!(world.acted.len(), tries);
        let error = world.record().last_error.as_deref().unwrap_or_default();
        assert!(error.contains("did not answer"), "{error}");
    }
}

#[test]
fn a_broken_lock_is_free_at_once_and_its_session_ended_before_the_next_write() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    world.acted.clear();
    world.break_lock();
    let record = world.record();
    assert_eq!(record.intent, None);
    let told = "An operator broke the lock of one (changing node power state): it hung";
    assert_eq!(record.last_error.as_deref(), Some(told));
    assert_eq!(record.unfenced, Some(BmcSession::Ipmi(1)));

    world.obeys = true;
    world.session = BmcSession::Ipmi(2);
    world.power(2, PowerRequest::Off);
    assert_eq!(
        world.answers.last(),
        Some(&(2, Ok(NodeAnswer::Accepted))),
        "nobody waits for the holder of a broken lock"
    );
    world.advance(Duration::from_secs(2));
    assert_eq!(world.ended, vec![BmcSession::Ipmi(1)]);
    assert_eq!(world.acted, vec![PowerAction::Off]);
    assert_eq!(world.record().unfenced, None);
}

#[test]
fn nothing_is_announced_by_a_stranger_or_before_the_fence() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Off);
    let intent = world.record().intent.as_ref().expect("open").id;
    let write = BmcWrite {
        session: BmcSession::Ipmi(7),
        action: PowerAction::On,
        accepted: false,
    };
    let announce = |world: &mut World, changes: Vec<NodeChange>| {
        let fence = Fence {
            session: ME,
            epoch: world.record().epoch,
        };
        let mut changes = changes;
        let write = write.clone();
        changes.push(NodeChange::AnnounceWrite { intent, write });
        world.commit(Command::NodeAct(ActOnNode {
            node: NODE,
            fence,
            expect: None,
            changes,
        }))
    };
    let refused = |reply: &Reply| matches!(reply, Reply::Refused(Refusal::Fenced { .. }));
    let claim = NodeChange::ClaimIntent(intent);
    assert!(refused(&announce(&mut world, vec![claim.clone()])));
    assert!(!refused(&announce(
        &mut world,
        vec![claim, NodeChange::Fenced]
    )));
    world.break_lock();
    assert!(
        refused(&announce(&mut world, Vec::new())),
        "the lock is broken"
    );
}

#[test]
fn an_interrupted_reboot_goes_on_where_the_last_announcement_left_it() {
    /// The announced write that was left behind, whether the BMC's yes was noted, what the successor finds, what it
    /// sends, and whether it gives up.
    type Row = (
        PowerAction,
        bool,
        PowerReading,
        &'static [PowerAction],
        bool,
    );
    use PowerAction::{Off, On, Reset};
    const ROWS: [Row; 8] = [
        (Off, false, PowerReading::On, &[Off, On], false),
        (Off, false, PowerReading::Off, &[On], false),
        (On, false, PowerReading::Off, &[On], false),
        (On, false, PowerReading::On, &[], false),
        (Reset, true, PowerReading::On, &[], false),
        (Reset, true, PowerReading::Off, &[On], false),
        (Reset, false, PowerReading::Off, &[On], false),
        (Reset, false, PowerReading::On, &[], true),
    ];
    for (action, accepted, found, sent, parked) in ROWS {
        let mut world = World::new(|node| node.disable_power_off = action == Reset);
        world.obeys = false;
        world.lease_until = Mono(0);
        world.power(1, PowerRequest::Reboot);
        let mut record = world.record().clone();
        let intent = record.intent.as_mut().expect("open");
        intent.write = Some(BmcWrite {
            session: BmcSession::Ipmi(1),
            action,
            accepted,
        });
        world.state.put_node(Arc::new(record));
        world.lease_until = Mono(u64::MAX);
        world.obeys = true;
        world.bmc = Ok(found);
        world.rebuild();
        world.advance(Duration::from_secs(60));
        assert_eq!(world.acted, sent, "{action} {accepted} {found:?}");
        assert_eq!(world.record().intent, None);
        assert_eq!(world.record().power_state, Some(PowerState::On));
        let error = world.record().last_error.as_deref().unwrap_or_default();
        assert_eq!(error.contains("not known"), parked, "{action}: {error}");
        assert_eq!(error.contains("IPMI session 0x00000001"), parked);
    }
}
