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
