//! Tests of what commands do to compute events.

use super::*;
use crate::command::{ClaimEvents, DecideDeadLetters, Decision};
use crate::outbox::DeadReason;

const INSTANCE: Uuid = Uuid::from_u128(77);

fn with_event() -> (Log, NodeId) {
    let mut log = Log::new();
    let node = log.node(|record| record.instance_uuid = Some(INSTANCE));
    log.act(node, ONE, vec![power(PowerState::On)]);
    (log, node)
}

fn event(log: &Log) -> OutboxEvent {
    log.state.event_of(INSTANCE).expect("there is one").clone()
}

fn done(log: &mut Log, outcome: EventOutcome) {
    let (instance, seq) = (INSTANCE, event(log).seq);
    log.run(Command::EventsDone(vec![EventDone {
        instance,
        seq,
        outcome,
    }]));
}

fn claim(log: &mut Log, session: Session) -> Reply {
    let instances = vec![INSTANCE];
    log.run(Command::EventsClaim(ClaimEvents { session, instances }))
}

#[test]
fn only_the_present_life_of_the_owner_becomes_the_sender() {
    let (mut log, _) = with_event();
    assert_eq!(event(&log).sender, ONE);
    let next = Session {
        incarnation: Incarnation(2),
        ..ONE
    };
    log.up(next, "one");
    assert_eq!(claim(&mut log, ONE), Reply::Refused(Refusal::SessionOver));
    // Another conductor, in another group: it is alive and owns nothing here.
    log.run(Command::ConductorUp(ConductorUp {
        session: TWO,
        host: "two".into(),
        group: "elsewhere".into(),
        rack: "".into(),
        drivers: vec!["fake-hardware".into()],
    }));
    claim(&mut log, TWO);
    assert_eq!(event(&log).sender, ONE);
    claim(&mut log, next);
    assert_eq!(event(&log).sender, next);
}

#[test]
fn a_newer_event_keeps_the_sender_that_may_have_the_older_one_under_way() {
    let (mut log, node) = with_event();
    let next = Session {
        incarnation: Incarnation(2),
        ..ONE
    };
    log.up(next, "one");
    log.act(node, next, vec![power(PowerState::Off)]);
    assert_eq!(
        (event(&log).state, event(&log).sender),
        (PowerState::Off, ONE)
    );
    claim(&mut log, next);
    done(&mut log, EventOutcome::Told(Told::Accepted));
    log.act(node, next, vec![power(PowerState::On)]);
    assert_eq!(event(&log).sender, next, "nothing is under way any more");
}

#[test]
fn dead_letters_are_kept_sent_again_dropped_and_replaced_by_newer_events() {
    let (mut log, node) = with_event();
    let decide = |log: &mut Log, decision| {
        let instances = vec![INSTANCE, Uuid::from_u128(1)];
        log.run(Command::DeadLetters(DecideDeadLetters {
            instances,
            decision,
        }));
    };
    decide(&mut log, Decision::Drop);
    assert!(event(&log).is_waiting(), "only dead letters are dropped");
    let first = event(&log).seq;
    done(&mut log, EventOutcome::Rejected(404));
    assert!(event(&log).is_dead());
    assert_eq!(log.state.outbox_len(), 0);
    decide(&mut log, Decision::Resend);
    assert!(event(&log).is_waiting() && event(&log).seq > first);
    done(&mut log, EventOutcome::Rejected(422));
    log.act(node, ONE, vec![power(PowerState::Off)]);
    assert!(event(&log).is_waiting(), "the newer event counts");
    done(&mut log, EventOutcome::Rejected(400));
    decide(&mut log, Decision::Drop);
    assert_eq!(log.state.event_of(INSTANCE), None);
}

#[test]
fn the_record_of_an_event_goes_with_its_instance_once_nothing_waits() {
    let (mut log, node) = with_event();
    log.act(node, ONE, vec![NodeChange::ForgetInstance]);
    assert!(event(&log).is_waiting(), "what waits is still told");
    done(&mut log, EventOutcome::Rejected(404));
    assert_eq!(
        log.state.event_of(INSTANCE),
        None,
        "no dead letter of a server that is gone"
    );

    let (mut log, node) = with_event();
    done(&mut log, EventOutcome::Told(Told::Confirmed));
    assert!(matches!(event(&log).status, EventStatus::Told { .. }));
    log.act(node, ONE, vec![NodeChange::ForgetInstance]);
    assert_eq!(log.state.event_of(INSTANCE), None);

    // An event of a former instance goes with its node, since nobody could send it.
    let (mut log, node) = with_event();
    log.act(node, ONE, vec![NodeChange::ForgetInstance]);
    log.run(Command::NodeDelete(DeleteNode {
        node,
        available_too: true,
    }));
    assert_eq!(log.state.events().len(), 0);
    assert_eq!(log.state.outbox_len(), 0);
}

#[test]
fn what_finds_no_room_is_a_dead_letter_at_once() {
    let (mut log, _) = with_event();
    let full = event(&log);
    for n in 0..crate::outbox::WAITING_MAX as u128 {
        log.state.put_event(OutboxEvent {
            instance: Uuid::from_u128(1_000_000 + n),
            ..full.clone()
        });
    }
    let other = Uuid::from_u128(78);
    let node = log.node(|record| record.instance_uuid = Some(other));
    log.act(node, ONE, vec![power(PowerState::On)]);
    let status = log.state.event_of(other).expect("kept").status;
    assert!(matches!(
        status,
        EventStatus::Dead {
            why: DeadReason::NoRoom,
            ..
        }
    ));
}
