//! Seeds that must be clean: some drawn once and for all, and those that have shown a bug.

use baton_chaos_tests::scenario::{Plan, Report, run};

fn assert_clean(plan: Plan) -> Report {
    let report = run(plan);
    let tail = report.trace.len().saturating_sub(40);
    let end = report.trace.get(tail..).unwrap_or_default().join("\n");
    assert!(
        report.violations.is_empty(),
        "seed {} broke {:#?}\nthe end of its trace:\n{end}",
        plan.seed,
        report.violations
    );
    report
}

#[test]
fn a_handful_of_seeds_breaks_nothing() {
    let mut done = 0;
    let mut commands = 0;
    for seed in 1..=6 {
        let report = assert_clean(Plan::of(seed));
        done += report.answers.get("done").copied().unwrap_or(0);
        commands += report.commands;
    }
    assert!(
        done > 200 && commands > 60,
        "only {done} requests were done and {commands} commands sent: trouble leaves no room for work"
    );
}

#[test]
fn one_conductor_alone_loses_nothing_either() {
    assert_clean(Plan {
        conductors: 1,
        ..Plan::of(3)
    });
}

/// Seeds that have shown a bug, with what it was. See `chaos-tests/README.md`.
const REGRESSIONS: &[(u64, u64)] = &[(170, 40_000), (2012, 30_000), (2161, 30_000)];

#[test]
fn seeds_that_have_shown_a_bug_stay_clean() {
    for (seed, trouble_ms) in REGRESSIONS {
        assert_clean(Plan {
            trouble_ms: *trouble_ms,
            ..Plan::of(*seed)
        });
    }
}
