//! Tests of the outbox: order, coalescing, what is sent again, what is given up.

mod guard;
mod handover;
mod hour;

use super::*;
use crate::command::{EventOutcome, Session};
use crate::env::Mono;
use crate::ids::{ConductorId, Incarnation, NodeId, WallMs};
use crate::node::power::{PowerCause, PowerState};
use crate::port::compute::{ComputeError, ItemResult, ServerPower, Trouble};
use std::time::Duration;
use uuid::Uuid;

const START: Mono = Mono(10_000);
const ME: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};
const BEFORE: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(0),
};

fn event(instance: u128, seq: u64, state: PowerState) -> OutboxEvent {
    OutboxEvent {
        seq,
        node: NodeId(Uuid::from_u128(instance)),
        instance: Uuid::from_u128(instance),
        state,
        cause: PowerCause::User,
        at: WallMs(0),
        sender: ME,
        status: EventStatus::Waiting,
    }
}

fn instances(batch: &Batch) -> Vec<u128> {
    let numbers = batch.events.iter().map(|update| update.instance.as_u128());
    numbers.collect()
}

fn after(millis: u64) -> Mono {
    START + Duration::from_millis(millis)
}

fn show(outbox: &mut Outbox, now: Mono, event: &OutboxEvent) {
    let part = if event.sender == ME {
        Part::Send
    } else {
        Part::Claim
    };
    outbox.update(now, event.instance, Some(Seen { event, part }));
}

fn outbox_with(settings: OutboxSettings, events: &[OutboxEvent]) -> Outbox {
    let mut outbox = Outbox::new(settings);
    for event in events {
        show(&mut outbox, START, event);
    }
    outbox
}

fn outbox(events: &[OutboxEvent]) -> Outbox {
    outbox_with(OutboxSettings::default(), events)
}

fn taken(batch: &Batch) -> Result<Vec<ItemResult>, ComputeError> {
    Ok(vec![ItemResult(200); batch.events.len()])
}

fn unavailable(trouble: Trouble) -> Result<Vec<ItemResult>, ComputeError> {
    Err(ComputeError::Unavailable {
        trouble,
        reason: "no".into(),
        retry_after: None,
    })
}

fn batch_error(code: u16) -> Result<Vec<ItemResult>, ComputeError> {
    Err(ComputeError::Batch {
        code,
        reason: "no".into(),
    })
}

/// The next request, whenever it is due.
fn next(outbox: &mut Outbox, now: &mut Mono) -> Batch {
    for _ in 0..10_000 {
        if let Some(batch) = outbox.next_batch(*now) {
            return batch;
        }
        *now = outbox
            .wake_at(*now)
            .expect("something is due")
            .max(*now + Duration::from_millis(1));
    }
    panic!("nothing is ever sent")
}

#[test]
fn events_wait_for_company_and_not_for_long_and_leave_in_order() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On), event(2, 4, PowerState::Off)]);
    assert_eq!(outbox.next_batch(after(49)), None);
    assert_eq!(outbox.wake_at(after(49)), Some(after(50)));
    let batch = outbox.next_batch(after(50)).expect("due");
    assert_eq!(instances(&batch), [2, 1]);
    assert_eq!(outbox.next_batch(after(500)), None);
}

#[test]
fn a_full_batch_leaves_at_once_and_so_many_are_under_way() {
    let events: Vec<_> = (1..=1000)
        .map(|n| event(n, n.try_into().unwrap(), PowerState::On))
        .collect();
    let mut outbox = outbox(&events);
    let batches: Vec<Batch> = std::iter::from_fn(|| outbox.next_batch(START)).collect();
    assert_eq!(batches.len(), 4, "no more than requests_max");
    let mut all: Vec<u128> = batches.iter().flat_map(instances).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 800, "no instance is in two of them");
    outbox.answered(START, batches[1].id, &taken(&batches[1]), 0);
    assert_eq!(outbox.done().len(), 200);
    assert!(outbox.next_batch(START).is_some());
}

#[test]
fn each_item_of_an_answer_is_treated_by_its_code() {
    let events: Vec<_> = (1..=5)
        .map(|n| event(n, n.try_into().unwrap(), PowerState::On))
        .collect();
    let mut outbox = outbox(&events);
    let mut now = after(50);
    let batch = next(&mut outbox, &mut now);
    let codes = [200, 400, 404, 422, 500].map(ItemResult).to_vec();
    outbox.answered(now, batch.id, &Ok(codes), 7);
    let done: Vec<_> = outbox
        .done()
        .iter()
        .map(|done| (done.seq, done.outcome))
        .collect();
    let accepted = EventOutcome::Told(Told::Accepted);
    assert_eq!(done, [(1, accepted), (2, EventOutcome::Rejected(400))]);

    // An unknown server and one without a host are tried a few times, another failure for ever; all by themselves.
    let mut tries = [0; 6];
    for _ in 0..40 {
        let batch = next(&mut outbox, &mut now);
        let codes = instances(&batch).into_iter().map(|n| {
            tries[n as usize] += 1;
            ItemResult([0, 0, 0, 404, 422, 500][n as usize])
        });
        outbox.answered(now, batch.id, &Ok(codes.collect()), 7);
    }
    assert_eq!(tries[3..5], [4, 4]);
    assert!(tries[5] > 20);
    let rejected: Vec<_> = outbox.done()[2..].iter().map(|done| done.outcome).collect();
    assert_eq!(
        rejected,
        [EventOutcome::Rejected(404), EventOutcome::Rejected(422)]
    );
}

#[test]
fn a_newer_event_waits_for_the_answer_to_the_older_one() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    let batch = outbox.next_batch(after(50)).expect("due");
    show(&mut outbox, after(60), &event(1, 9, PowerState::Off));
    assert_eq!(outbox.next_batch(after(2000)), None);
    outbox.answered(after(2000), batch.id, &taken(&batch), 0);
    assert_eq!(outbox.done(), [], "the older one is no longer in the log");
    let batch = outbox.next_batch(after(2000)).expect("at once");
    assert_eq!(batch.events[0].state, PowerState::Off);
}

#[test]
fn after_a_lost_answer_the_same_state_is_sent_again_and_another_waits() {
    for (newer, waits) in [(None, false), (Some(PowerState::Off), true)] {
        let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
        let mut now = after(50);
        let batch = next(&mut outbox, &mut now);
        outbox.answered(now, batch.id, &unavailable(Trouble::Timeout), 0);
        let lost = now;
        if let Some(state) = newer {
            show(&mut outbox, now, &event(1, 9, state));
        }
        next(&mut outbox, &mut now);
        assert_eq!(now.since(lost) >= Duration::from_millis(32_500), waits);
    }
}

#[test]
fn failures_back_off_to_the_longest_pause_and_one_success_ends_them() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    let mut now = after(50);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        let batch = next(&mut outbox, &mut now);
        let failed = now;
        outbox.answered(now, batch.id, &unavailable(Trouble::Status(503)), 3);
        let mut probe = outbox.clone();
        next(&mut probe, &mut now);
        pauses.push(now.since(failed).as_millis());
    }
    assert!(pauses.is_sorted() && pauses[0] >= 500, "{pauses:?}");
    assert!((30_000..=60_000).contains(&pauses[9]), "{pauses:?}");
    assert!(outbox.stats(now).last_error.is_some());
    let batch = next(&mut outbox, &mut now);
    outbox.answered(now, batch.id, &taken(&batch), 0);
    assert_eq!(outbox.done().len(), 1);
    let stats = outbox.stats(now);
    assert_eq!((stats.last_error, stats.results["HTTP 503"]), (None, 10));
}

#[test]
fn retry_after_is_obeyed_and_a_failure_leaves_one_request_to_try() {
    let events: Vec<_> = (1..=900)
        .map(|n| event(n, n.try_into().unwrap(), PowerState::On))
        .collect();
    let mut outbox = outbox(&events);
    let batch = outbox.next_batch(START).expect("due");
    let busy = ComputeError::Unavailable {
        trouble: Trouble::Status(429),
        reason: "slow down".into(),
        retry_after: Some(Duration::from_secs(120)),
    };
    outbox.answered(START, batch.id, &Err(busy), 0);
    assert_eq!(outbox.next_batch(after(119_999)), None);
    assert!(outbox.next_batch(after(120_000)).is_some());
    assert_eq!(outbox.next_batch(after(120_000)), None, "one tries first");
}

#[test]
fn a_poisoned_event_is_found_by_halves_and_given_up_while_others_go_on() {
    for (code, strikes) in [(400, 1), (500, 20)] {
        let events: Vec<_> = (1..=64)
            .map(|n| event(n, n.try_into().unwrap(), PowerState::On))
            .collect();
        let mut outbox = outbox(&events);
        let mut now = after(50);
        let (mut alone, mut fresh) = (0, 1000);
        for _ in 0..5000 {
            let batch = next(&mut outbox, &mut now);
            let poisoned = instances(&batch).contains(&13);
            alone += usize::from(poisoned && batch.events.len() == 1);
            let result = if poisoned {
                batch_error(code)
            } else {
                taken(&batch)
            };
            outbox.answered(now, batch.id, &result, 5);
            let done = outbox.done();
            if done
                .iter()
                .any(|one| one.outcome == EventOutcome::Rejected(code))
            {
                break;
            }
            for one in &done {
                outbox.update(now, one.instance, None);
            }
            (now, fresh) = (now + Duration::from_secs(1), fresh + 1);
            show(
                &mut outbox,
                now,
                &event(fresh, fresh.try_into().unwrap(), PowerState::Off),
            );
        }
        let last = outbox.done();
        let dead = last
            .iter()
            .find(|one| one.outcome == EventOutcome::Rejected(code));
        assert_eq!(dead.map(|one| one.seq), Some(13));
        assert_eq!(alone, strikes + 1, "its first failure alone proves nothing");
        assert!(
            outbox
                .known()
                .all(|one| one.as_u128() > 64 || one.as_u128() == 13)
        );
    }
}

#[test]
fn a_service_that_fails_on_everything_makes_no_dead_letters() {
    let events: Vec<_> = (1..=8)
        .map(|n| event(n, n.try_into().unwrap(), PowerState::On))
        .collect();
    for code in [400, 404, 500] {
        let mut outbox = outbox(&events);
        let mut now = after(50);
        for _ in 0..500 {
            let batch = next(&mut outbox, &mut now);
            outbox.answered(now, batch.id, &batch_error(code), 5);
        }
        assert_eq!(outbox.done(), []);
        for _ in 0..50 {
            if outbox.done().len() == 8 {
                break;
            }
            let batch = next(&mut outbox, &mut now);
            outbox.answered(now, batch.id, &taken(&batch), 5);
        }
        assert_eq!(outbox.done().len(), 8);
    }
}

#[test]
fn a_body_that_is_too_large_makes_batches_smaller() {
    let events: Vec<_> = (1..=400)
        .map(|n| event(n, n.try_into().unwrap(), PowerState::On))
        .collect();
    let mut outbox = outbox(&events);
    let mut now = START;
    let mut sizes = Vec::new();
    while outbox.done().len() < 400 {
        let batch = next(&mut outbox, &mut now);
        sizes.push(batch.events.len());
        let fits = batch.events.len() <= 60;
        let result = if fits {
            taken(&batch)
        } else {
            batch_error(413)
        };
        outbox.answered(now, batch.id, &result, 5);
    }
    assert_eq!(sizes[..3], [200, 100, 50]);
    assert!(sizes[3..].iter().all(|size| *size <= 50), "{sizes:?}");
    assert_eq!(outbox.stats(now).batch_cap, 50);
}

#[test]
fn what_another_life_may_have_sent_is_claimed_first_and_waits() {
    let foreign = OutboxEvent {
        sender: BEFORE,
        ..event(1, 5, PowerState::On)
    };
    let mut outbox = outbox(std::slice::from_ref(&foreign));
    assert_eq!(outbox.claims(START), [foreign.instance]);
    assert_eq!(outbox.next_batch(after(60_000)), None);
    // Until the log has it, it is claimed again and again.
    assert_eq!(outbox.claims(after(59_900)), [foreign.instance]);
    let claimed = OutboxEvent {
        sender: ME,
        ..foreign
    };
    show(&mut outbox, after(60_000), &claimed);
    assert!(outbox.claims(START).is_empty());
    // A newer event does not jump the wait.
    show(&mut outbox, after(61_000), &event(1, 8, PowerState::Off));
    assert_eq!(outbox.next_batch(after(92_499)), None);
    let batch = outbox.next_batch(after(92_500)).expect("the wait is over");
    assert_eq!(batch.events[0].state, PowerState::Off);
}

#[test]
fn what_was_withheld_is_not_counted_as_a_failure_and_goes_when_it_may() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    let batch = outbox.next_batch(after(50)).expect("due");
    outbox.answered(after(60), batch.id, &Err(ComputeError::Withheld), 0);
    assert_eq!(outbox.stats(after(60)).failed, 0);
    outbox.update(after(60), Uuid::from_u128(1), None);
    assert_eq!(outbox.wake_at(after(60)), None, "it is another's now");
    show(&mut outbox, after(70), &event(1, 5, PowerState::On));
    assert!(outbox.next_batch(after(400)).is_some());
}

#[test]
fn events_that_leave_while_they_are_under_way_are_forgotten_with_the_answer() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    let batch = outbox.next_batch(after(50)).expect("due");
    outbox.update(after(60), Uuid::from_u128(1), None);
    // It comes back while the request is still under way: no second one leaves.
    show(&mut outbox, after(70), &event(1, 6, PowerState::Off));
    assert_eq!(outbox.next_batch(after(500)), None);
    outbox.update(after(500), Uuid::from_u128(1), None);
    outbox.answered(after(700), batch.id, &taken(&batch), 0);
    assert_eq!(
        (outbox.done().len(), outbox.stats(after(700)).depth),
        (0, 0)
    );
}

#[test]
fn a_read_back_repeats_what_was_dropped_and_gives_up_in_the_end() {
    let settings = OutboxSettings {
        read_back: Some(Duration::from_secs(5)),
        ..OutboxSettings::default()
    };
    let known = |state, busy| ServerPower::Known {
        state: Some(state),
        busy,
    };
    let (on, off) = (PowerState::On, PowerState::Off);
    let cases: [(&[ServerPower], Told, usize); 4] = [
        (&[known(off, false)], Told::Confirmed, 1),
        (
            &[known(on, true), known(on, false), known(off, false)],
            Told::Confirmed,
            2,
        ),
        (&[known(on, false); 4], Told::Unconfirmed, 4),
        (&[ServerPower::Gone], Told::Accepted, 1),
    ];
    for (answers, told, sent) in cases {
        let mut outbox = outbox_with(settings, &[event(1, 5, off)]);
        let (mut now, mut requests) = (after(50), 0);
        let mut answers = answers.iter();
        while outbox.done().is_empty() {
            if let Some(batch) = outbox.next_batch(now) {
                requests += 1;
                outbox.answered(now, batch.id, &taken(&batch), 0);
            } else if let Some(check) = outbox.next_check(now) {
                assert_eq!(check.servers, [Uuid::from_u128(1)]);
                let answer = *answers.next().expect("no more read-backs");
                outbox.checked(now, &Ok(vec![answer]), 0);
            } else {
                now = outbox.wake_at(now).expect("something is due");
            }
        }
        assert_eq!(outbox.done()[0].outcome, EventOutcome::Told(told));
        assert_eq!(requests, sent);
        assert!(now >= after(5050), "the service gets a moment");
    }
}

#[test]
fn an_answer_for_another_number_of_events_is_a_failure() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    let batch = outbox.next_batch(after(50)).expect("due");
    outbox.answered(after(50), batch.id, &Ok(Vec::new()), 0);
    assert_eq!(outbox.done(), []);
    assert!(outbox.next_batch(after(5000)).is_some());
}
