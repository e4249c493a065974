//! Tests of the outbox: order, coalescing, what is sent again.

use super::*;
use crate::ids::{NodeId, WallMs};
use crate::node::power::{PowerCause, PowerState};

const START: Mono = Mono(10_000);

fn event(instance: u128, seq: u64, state: PowerState) -> OutboxEvent {
    OutboxEvent {
        seq,
        node: NodeId(Uuid::from_u128(instance)),
        instance: Uuid::from_u128(instance),
        state,
        cause: PowerCause::User,
        at: WallMs(0),
    }
}

fn instances(batch: &[PowerUpdate]) -> Vec<u128> {
    batch
        .iter()
        .map(|update| update.instance.as_u128())
        .collect()
}

fn after(millis: u64) -> Mono {
    START + Duration::from_millis(millis)
}

fn outbox(events: &[OutboxEvent]) -> Outbox {
    let mut outbox = Outbox::new(OutboxSettings::default());
    outbox.refresh(START, events.iter());
    outbox
}

#[test]
fn events_wait_for_company_and_not_for_long() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On), event(2, 4, PowerState::Off)]);
    assert_eq!(outbox.next_batch(after(499)), None);
    let batch = outbox.next_batch(after(500)).unwrap();
    assert_eq!(instances(&batch), [2, 1], "the older change first");
}

#[test]
fn a_full_batch_leaves_at_once_and_no_larger() {
    let events: Vec<OutboxEvent> = (0..150u16)
        .map(|n| event(n.into(), n.into(), PowerState::On))
        .collect();
    let mut outbox = outbox(&events);
    assert_eq!(outbox.next_batch(START).unwrap().len(), 100);
    assert_eq!(
        outbox.next_batch(after(1000)),
        None,
        "one request at a time"
    );
    outbox.answered(after(1000), &Ok(vec![ItemResult::Accepted; 100]), 0);
    assert_eq!(outbox.next_batch(after(1000)).unwrap().len(), 50);
}

#[test]
fn each_event_gets_its_own_end() {
    let events: Vec<OutboxEvent> = (0..3u16)
        .map(|n| event(n.into(), n.into(), PowerState::On))
        .collect();
    let mut outbox = outbox(&events);
    outbox.next_batch(after(500)).unwrap();
    let results = vec![
        ItemResult::Accepted,
        ItemResult::Rejected { code: 404 },
        ItemResult::Failed { code: 500 },
    ];
    outbox.answered(after(600), &Ok(results), 7);
    let told: Vec<u64> = outbox.told().iter().map(|done| done.seq).collect();
    assert_eq!(told, [0, 1]);
    assert_eq!(outbox.next_batch(after(700)), None, "the third backs off");
    assert_eq!(instances(&outbox.next_batch(after(2000)).unwrap()), [2]);
    // Until the log has dropped them they are neither sent again nor forgotten.
    outbox.refresh(after(2000), events.iter());
    assert_eq!(outbox.told().len(), 2);
    outbox.refresh(after(2000), events[2..].iter());
    assert_eq!(outbox.told(), []);
    let stats = outbox.stats(after(2000));
    assert_eq!(
        (stats.depth, stats.accepted, stats.rejected, stats.failed),
        (1, 1, 1, 1)
    );
}

#[test]
fn a_newer_change_waits_for_the_answer_to_the_older_one() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    outbox.next_batch(after(500)).unwrap();
    let newer = event(1, 6, PowerState::Off);
    outbox.refresh(after(600), [&newer].into_iter());
    assert_eq!(outbox.next_batch(after(2000)), None);
    outbox.answered(after(2000), &Ok(vec![ItemResult::Accepted]), 0);
    assert_eq!(outbox.told(), [], "the older one is no longer in the log");
    let batch = outbox.next_batch(after(2000)).unwrap();
    assert_eq!(batch[0].state, PowerState::Off);
}

#[test]
fn a_service_that_is_down_is_asked_ever_more_rarely_and_nothing_is_lost() {
    let events = [event(1, 5, PowerState::On)];
    let mut outbox = outbox(&events);
    let down = || ComputeError::Unavailable {
        reason: "connection refused".into(),
        retry_after: None,
    };
    let mut now = after(500);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        outbox.next_batch(now).unwrap();
        outbox.answered(now, &Err(down()), 3);
        let from = now;
        while outbox.clone().next_batch(now).is_none() {
            now = now + Duration::from_millis(100);
        }
        pauses.push(now.since(from));
    }
    assert!(
        pauses.windows(2).all(|pair| pair[0] <= pair[1]),
        "{pauses:?}"
    );
    assert!(pauses[9] <= Duration::from_secs(60));
    assert!(
        outbox
            .stats(now)
            .last_error
            .unwrap()
            .contains("connection refused")
    );
    outbox.next_batch(now).unwrap();
    outbox.answered(now, &Ok(vec![ItemResult::Accepted]), 0);
    assert_eq!(outbox.told().len(), 1);
}

#[test]
fn an_answer_of_the_wrong_length_is_no_answer() {
    let mut outbox = outbox(&[event(1, 5, PowerState::On)]);
    outbox.next_batch(after(500)).unwrap();
    outbox.answered(after(500), &Ok(Vec::new()), 0);
    assert_eq!(outbox.told(), []);
    assert!(outbox.next_batch(after(5000)).is_some());
}

#[test]
fn a_node_that_moved_away_takes_its_event_along() {
    let events = [event(1, 5, PowerState::On)];
    let mut outbox = outbox(&events);
    outbox.next_batch(after(500)).unwrap();
    outbox.refresh(after(600), [].into_iter());
    outbox.answered(after(700), &Ok(vec![ItemResult::Accepted]), 0);
    assert_eq!(outbox.told(), []);
    assert_eq!(outbox.stats(after(700)).depth, 0);
}
