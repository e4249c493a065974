//! The same seed gives the same trace. tokio's own random source is seeded anew by the system for every runtime, so a run
//! that depended on it would differ from its repetition.

use baton_chaos_tests::scenario::{Plan, run};
use baton_chaos_tests::trace::first_difference;

fn assert_repeats(plan: Plan) {
    let (one, other) = (run(plan), run(plan));
    assert_eq!(first_difference(&one.trace, &other.trace), None);
    assert_eq!(one.digest, other.digest);
    assert!(
        one.trace.len() > 100,
        "a trace of {} lines shows nothing",
        one.trace.len()
    );
}

#[test]
fn an_election_and_some_proposals_are_the_same_twice() {
    assert_repeats(Plan {
        trouble_ms: 0,
        ..Plan::of(1)
    });
}

#[test]
fn a_run_full_of_trouble_is_the_same_twice() {
    assert_repeats(Plan::of(5));
}

#[test]
fn other_seeds_give_other_traces() {
    assert_ne!(run(Plan::of(1)).digest, run(Plan::of(2)).digest);
}
