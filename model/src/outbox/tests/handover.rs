//! Events that go from one living conductor to another.

use super::*;

const NEXT: Session = Session {
    conductor: ConductorId(2),
    incarnation: Incarnation(1),
};

fn see(outbox: &mut Outbox, now: Mono, event: &OutboxEvent, part: Part) {
    outbox.update(now, event.instance, Some(Seen { event, part }));
}

/// The event as the log has it once `sender` is named.
fn of(sender: Session, event: &OutboxEvent) -> OutboxEvent {
    OutboxEvent {
        sender,
        ..event.clone()
    }
}

#[test]
fn what_waits_is_handed_over_at_once_and_sent_at_once() {
    let one = event(1, 1, PowerState::On);
    let mut former = outbox(std::slice::from_ref(&one));
    let mut next = Outbox::new(OutboxSettings::default());
    see(&mut former, after(10), &one, Part::HandOver);
    see(&mut next, after(10), &one, Part::Await);
    assert!(next.claims(after(10)).is_empty());
    assert_eq!(next.next_batch(after(9_000)), None, "its sender lives");
    assert_eq!(former.releases(after(10)), [(one.instance, 1)]);
    assert!(!former.is_idle());
    assert_eq!(former.next_batch(after(100)), None);

    see(&mut next, after(20), &of(NEXT, &one), Part::Send);
    former.released();
    former.update(after(20), one.instance, None);
    assert!(former.is_idle());
    let batch = next.next_batch(after(60)).expect("no wait");
    assert_eq!(instances(&batch), [1]);
}

#[test]
fn a_request_under_way_is_answered_first_and_what_was_told_is_not_told_again() {
    let all: Vec<_> = (1..=2).map(|n| event(n, 1, PowerState::On)).collect();
    let mut former = outbox(&all);
    let batch = former.next_batch(after(50)).expect("due");
    for event in &all {
        see(&mut former, after(60), event, Part::HandOver);
    }
    assert!(former.releases(after(60)).is_empty());
    assert!(!former.is_idle());
    let codes = [200, 503].map(ItemResult).to_vec();
    former.answered(after(70), batch.id, &Ok(codes), 0);
    let done = former.done();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].instance, all[0].instance);
    assert_eq!(former.releases(after(70)), [(all[1].instance, 1)]);
    assert_eq!(former.next_batch(after(90_000)), None);
}

#[test]
fn a_lost_answer_is_waited_out_before_the_event_goes() {
    let one = event(1, 1, PowerState::On);
    let mut former = outbox(std::slice::from_ref(&one));
    let batch = former.next_batch(after(50)).expect("due");
    see(&mut former, after(60), &one, Part::HandOver);
    former.answered(after(70), batch.id, &unavailable(Trouble::Reset), 0);
    let wait = OutboxSettings::default().handover_wait;
    assert!(former.releases(after(70)).is_empty());
    assert_eq!(former.releases(after(70) + wait), [(one.instance, 1)]);
}

#[test]
fn what_was_claimed_is_not_handed_on_while_it_is_held() {
    let one = event(1, 1, PowerState::On);
    let mut middle = Outbox::new(OutboxSettings::default());
    see(&mut middle, START, &of(BEFORE, &one), Part::Claim);
    assert_eq!(middle.claims(START), [one.instance]);
    see(&mut middle, after(5), &one, Part::HandOver);
    let wait = OutboxSettings::default().handover_wait;
    assert!(middle.releases(after(5)).is_empty());
    assert_eq!(middle.releases(after(5) + wait), [(one.instance, 1)]);
}

#[test]
fn a_sender_that_never_hands_over_is_claimed_from_in_the_end_and_waited_out() {
    let one = of(NEXT, &event(1, 1, PowerState::On));
    let mut next = Outbox::new(OutboxSettings::default());
    see(&mut next, START, &one, Part::Await);
    let wait = OutboxSettings::default().handover_wait;
    assert!(next.claims(START).is_empty());
    assert_eq!(next.claims(START + wait), [one.instance]);
    see(&mut next, START + wait, &of(ME, &one), Part::Send);
    assert_eq!(
        next.next_batch(START + wait * 2 - Duration::from_millis(1)),
        None
    );
    assert!(next.next_batch(START + wait * 2).is_some());
    // Or it dies meanwhile.
    let mut next = Outbox::new(OutboxSettings::default());
    see(&mut next, START, &one, Part::Await);
    see(&mut next, after(5), &one, Part::Claim);
    assert_eq!(next.claims(after(5)), [one.instance]);
}

#[test]
fn what_comes_back_waits_until_it_is_known_that_it_did_not_go() {
    let one = event(1, 1, PowerState::On);
    let mut outbox = outbox(std::slice::from_ref(&one));
    see(&mut outbox, after(10), &one, Part::HandOver);
    assert_eq!(outbox.releases(after(10)).len(), 1);
    for _ in 0..2 {
        see(&mut outbox, after(20), &one, Part::Send);
        assert_eq!(outbox.next_batch(after(9_000)), None);
    }
    assert_eq!(outbox.releases(after(9_000)).len(), 1);
    outbox.released();
    see(&mut outbox, after(9_010), &one, Part::Send);
    assert!(outbox.next_batch(after(9_100)).is_some());
}
