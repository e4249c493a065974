//! Tests of the race guard.

use super::*;
use crate::node::power::PowerRequest;

const WINDOW: Duration = Duration::from_secs(600);

fn refused(guard: &RaceGuard, now: Mono, wish: PowerRequest) -> bool {
    guard
        .contradiction(now, Uuid::from_u128(1), None, wish, WINDOW)
        .is_some()
}

#[test]
fn the_compute_service_may_not_undo_what_it_has_not_heard_of() {
    let mut guard = RaceGuard::default();
    let on = event(1, 5, PowerState::On);
    guard.update(START, on.instance, Some(&on));
    assert!(refused(&guard, after(10), PowerRequest::Off));
    assert!(refused(&guard, after(10), PowerRequest::SoftOff));
    assert!(
        !refused(&guard, after(10), PowerRequest::On),
        "no contradiction"
    );
    assert!(
        !refused(&guard, after(10), PowerRequest::Reboot),
        "ends in the same state"
    );
    assert!(
        !refused(&guard, after(600_000), PowerRequest::Off),
        "the window is over"
    );

    // Told: a moment to record it, then the service may do as it likes.
    let told = OutboxEvent {
        status: EventStatus::Told {
            at: WallMs(0),
            how: Told::Accepted,
        },
        ..on
    };
    guard.update(after(1000), told.instance, Some(&told));
    assert!(refused(&guard, after(5_999), PowerRequest::Off));
    assert!(!refused(&guard, after(6_000), PowerRequest::Off));
    guard.update(after(6_000), Uuid::from_u128(2), None);
    assert!(
        format!("{guard:?}").len() < 100,
        "nothing is kept: {guard:?}"
    );
}

#[test]
fn what_the_compute_service_asked_for_it_may_undo() {
    let mut guard = RaceGuard::default();
    let wished = OutboxEvent {
        cause: PowerCause::Compute,
        ..event(1, 5, PowerState::Off)
    };
    guard.update(START, wished.instance, Some(&wished));
    assert!(!refused(&guard, after(10), PowerRequest::On));
}

#[test]
fn a_newer_change_counts_from_its_own_time() {
    let mut guard = RaceGuard::default();
    let on = event(1, 5, PowerState::On);
    guard.update(START, on.instance, Some(&on));
    guard.update(after(1), on.instance, None);
    let off = event(1, 9, PowerState::Off);
    guard.update(after(2), off.instance, Some(&off));
    guard.update(after(9_000), Uuid::from_u128(2), None);
    assert!(refused(&guard, after(500_000), PowerRequest::On));
    assert!(!refused(&guard, after(500_000), PowerRequest::Off));
}

#[test]
fn a_change_that_is_not_noted_yet_counts_too() {
    let guard = RaceGuard::default();
    let on = event(1, 5, PowerState::On);
    let found = guard.contradiction(START, on.instance, Some(&on), PowerRequest::Off, WINDOW);
    assert_eq!(found.map(|found| found.age), Some(Duration::ZERO));
}
