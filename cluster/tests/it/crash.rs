//! `kill -9` in a loop: this test binary starts itself as a child that proposes and prints what was acknowledged.

use crate::support::*;
use baton_cluster::Storage;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Where the child finds its data directory; its presence makes the test below the child.
const DATA: &str = "BATON_TEST_CRASH_DATA";
/// The first change that the child proposes.
const FIRST: &str = "BATON_TEST_CRASH_FIRST";

const ROUNDS: u64 = 25;

#[tokio::test(flavor = "multi_thread")]
async fn crash_child() {
    let Some(dir) = std::env::var_os(DATA).map(PathBuf::from) else {
        return; // not started by the test below
    };
    let first: u64 = std::env::var_os(FIRST)
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let cluster = single(Storage::Directory(dir)).await.unwrap();
    for n in first.. {
        // Several at a time, so that the kill falls into group commits, snapshots and purges.
        let batch = (0..8).map(|k| cluster.propose(change(8 * n + k)));
        let done = futures_util::future::join_all(batch).await;
        assert!(done.iter().all(Result::is_ok), "{done:?}");
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {n}").unwrap();
        out.flush().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_at_any_moment_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut next = 1;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::crash_child", "--nocapture"])
            .env(DATA, &data)
            .env(FIRST, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut acknowledged = None;
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after a different amount of work each time, some of it behind a purge of the log.
        let wanted = next + round * 13 % 90;
        for line in lines.by_ref() {
            // The test harness prints its own words on the same line as the first one.
            let Some((_, n)) = line.as_ref().unwrap().split_once("acknowledged ") else {
                continue;
            };
            acknowledged = Some(n.parse::<u64>().unwrap());
            if acknowledged >= Some(wanted) {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it printed between the last line read and the kill counts too.
        for line in lines {
            if let Some((_, n)) = line.unwrap().split_once("acknowledged ")
                && let Ok(n) = n.parse()
            {
                acknowledged = Some(n);
            }
        }
        next = acknowledged.expect("the child acknowledged something") + 1;
    }
    let cluster = single(Storage::Directory(data)).await.unwrap();
    cluster.linearizable().await.unwrap();
    for n in 8..8 * next {
        assert!(has(&cluster, n), "change {n} was acknowledged and is gone");
    }
    assert_eq!(cluster.incarnation().0, ROUNDS + 1);
    cluster.shutdown().await;
}
