//! The figures that `scripts/bench raft` reports, small enough to see at every build that the measurement works.

use crate::support::env;
use baton_cluster::bench::{Plan, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_measurement_measures() {
    let dir = tempfile::tempdir().unwrap();
    for through_follower in [false, true] {
        let plan = Plan {
            single: 50,
            writers: 8,
            together: 400,
            through_follower,
        };
        let dir = dir.path().join(through_follower.to_string());
        let figures = run(&dir, &env(1), plan).await.unwrap();
        assert!(figures.rate > 0.0 && figures.single_p50 <= figures.single_p99);
        assert!(figures.disk_bytes > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute; run it alone, in release, on the disk to be measured"]
async fn figures() {
    let dir = tempfile::tempdir_in(".").unwrap();
    for through_follower in [false, true] {
        let plan = Plan {
            through_follower,
            ..Plan::default()
        };
        let dir = dir.path().join(through_follower.to_string());
        let figures = run(&dir, &env(1), plan).await.unwrap();
        eprintln!("{plan:?}\n{figures:?}");
    }
}
