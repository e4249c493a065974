//! The harness notices bugs: each one that is planted is caught by some seed, and by the invariant that is there for it.

use baton_chaos_tests::nemesis::Temper;
use baton_chaos_tests::plant::Plant;
use baton_chaos_tests::scenario::{Plan, run};

/// Seeds to try. A bug that hides from so many would hide from everybody who runs a few.
const SEEDS_MAX: u64 = 60;

fn first_catch(plan: impl Fn(u64) -> Plan, by: &[&str]) -> Option<Plan> {
    (1..=SEEDS_MAX).map(plan).find(|plan| {
        let report = run(*plan);
        report
            .violations
            .iter()
            .any(|violation| by.contains(&violation.invariant))
    })
}

#[test]
fn conductors_that_act_without_a_lease_are_caught() {
    let plan = |seed| Plan {
        temper: Temper::Isolating,
        plant: Plant::SkipLeaseCheck,
        ..Plan::of(seed)
    };
    let caught = first_catch(plan, &["one_commander"]).expect("no seed caught it");
    let honest = run(Plan {
        plant: Plant::None,
        ..caught
    });
    assert_eq!(honest.violations, [], "seed {}", caught.seed);
}

#[test]
fn disks_that_acknowledge_before_they_sync_are_caught() {
    let plan = |seed| Plan {
        plant: Plant::AckBeforeSync,
        ..Plan::of(seed)
    };
    let caught = first_catch(plan, &["acknowledged", "agreement"]).expect("no seed caught it");
    let honest = run(Plan {
        plant: Plant::None,
        ..caught
    });
    assert_eq!(honest.violations, [], "seed {}", caught.seed);
}

/// The plant is caught by one of these invariants, and the same run without it is clean.
fn assert_caught(plant: Plant, by: &[&str]) {
    let plan = |seed| Plan {
        plant,
        ..Plan::of(seed)
    };
    let caught = first_catch(plan, by).unwrap_or_else(|| panic!("no seed caught {plant}"));
    let honest = run(Plan {
        plant: Plant::None,
        ..caught
    });
    assert_eq!(honest.violations, [], "seed {}", caught.seed);
}

#[test]
fn commands_that_nobody_asked_for_are_caught() {
    assert_caught(Plant::StrayCommand, &["asked_for"]);
}

#[test]
fn reads_that_are_older_than_what_a_client_was_told_are_caught() {
    assert_caught(Plant::StaleReads, &["acknowledged"]);
}

#[test]
fn a_member_that_goes_its_own_way_is_caught() {
    assert_caught(Plant::Diverge, &["agreement"]);
}

#[test]
fn conductors_that_do_not_hear_of_a_takeover_are_caught() {
    assert_caught(Plant::DeafFeed, &["healed"]);
}

#[test]
fn machines_that_nobody_reads_are_caught() {
    assert_caught(Plant::NoSync, &["fresh"]);
}

#[test]
fn events_that_are_lost_are_caught() {
    assert_caught(Plant::LoseEvents, &["told"]);
}

#[test]
fn events_that_two_send_are_caught() {
    assert_caught(Plant::TwoNotifiers, &["told"]);
}
