//! Backups of a running cluster, and new clusters made of them.

use crate::support::*;
use baton_cluster::backup::BackupError;
use baton_cluster::{Cluster, ClusterError, Compaction, Entry, Storage};
use baton_model::ids::NodeId;
use baton_model::node::record::NodeRecord;
use baton_model::port::cluster::{ClusterStatus, Members};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

async fn backup_of(cluster: &Cluster) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = cluster.backup(false).await.unwrap().collect();
    parts.concat()
}

fn target(dir: &Path, address: &str) -> baton_cluster::Options {
    let listen = baton_cluster::Listen::Address(address.to_owned());
    let storage = Storage::Directory(dir.to_owned());
    let mut options = options("restored", storage, listen);
    options.advertise = Some(address.to_owned());
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_cluster_becomes_a_new_cluster_with_every_node() {
    let dir = tempfile::tempdir().unwrap();
    let founders = Founders::start(3, directories(dir.path()), Compaction::default()).await;
    for n in 1..=40 {
        founders.get(1).propose(node(n)).await.unwrap();
    }
    founders.get(1).propose(change(1)).await.unwrap();
    // From any member, and everything that was acknowledged is in it.
    let follower = founders.leader().await % 3 + 1;
    let backup = backup_of(founders.get(follower)).await;
    let last = founders.get(follower).report().applied;
    let old: Vec<NodeRecord> = {
        let state = founders.get(1).state();
        let state = state.read();
        state.nodes().map(|node| (**node).clone()).collect()
    };
    founders.stop_all().await;

    let (listen, address) = listener().await;
    drop(listen);
    let data = dir.path().join("restored");
    let restored = Cluster::restore(
        target(&data, &address),
        env(8),
        std::io::Cursor::new(backup.clone()),
    )
    .await
    .unwrap();
    assert_eq!(restored.of, CLUSTER);
    assert_ne!(restored.cluster, CLUSTER);
    assert_eq!((restored.nodes, restored.index), (40, last));
    assert!(
        restored.conductor.0 > last.0,
        "the id of an old conductor was given again"
    );
    let twice = Cluster::restore(
        target(&data, &address),
        env(8),
        std::io::Cursor::new(backup),
    )
    .await;
    assert!(matches!(twice, Err(ClusterError::NotEmpty { .. })));

    for life in 1..=2 {
        let entry = Entry {
            first: None,
            via: Vec::new(),
            patience: Duration::ZERO,
        };
        let sink = Arc::new(Counts::default());
        let cluster = Cluster::enter(target(&data, &address), env(80 + life), sink, entry)
            .await
            .unwrap();
        cluster.linearizable().await.unwrap();
        let state = cluster.state();
        let new: Vec<NodeRecord> = state.read().nodes().map(|node| (**node).clone()).collect();
        assert!(old.iter().all(|node| new.contains(node)), "a node differs");
        assert!(
            !has(&cluster, 1),
            "a conductor of the old cluster is in the new one"
        );
        // The log goes on behind the old one's: what it numbers is numbered once.
        cluster.propose(node(100 + u128::from(life))).await.unwrap();
        let id = NodeId(Uuid::from_u128(100 + u128::from(life)));
        let serial = state.read().node(id).unwrap().serial;
        assert!(old.iter().all(|node| node.serial < serial));
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_cut_or_changed_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = single(Storage::Directory(dir.path().join("data")))
        .await
        .unwrap();
    for n in 1..=5 {
        cluster.propose(node(n)).await.unwrap();
    }
    let backup = backup_of(&cluster).await;
    cluster.shutdown().await;
    let data = dir.path().join("restored");
    let mut wrong: Vec<Vec<u8>> = [0, 11, backup.len() / 2, backup.len() - 1]
        .into_iter()
        .map(|cut| backup[..cut].to_vec())
        .collect();
    for place in [3, 20, backup.len() / 2, backup.len() - 2] {
        let mut flipped = backup.clone();
        flipped[place] ^= 4;
        wrong.push(flipped);
    }
    wrong.push([backup.as_slice(), b"x"].concat());
    for bytes in wrong {
        let error = Cluster::restore(
            target(&data, "127.0.0.1:1"),
            env(8),
            std::io::Cursor::new(bytes),
        )
        .await
        .unwrap_err();
        let ClusterError::Backup(BackupError::Read(_) | BackupError::Damaged(_)) = error else {
            panic!("{error}");
        };
        assert!(!data.join("member.json").exists());
    }
}

/// What a store takes grows with what lives in it, not with what was ever written.
#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_bounded_by_what_lives() {
    let dir = tempfile::tempdir().unwrap();
    let compaction = Compaction {
        snapshot_every: 20,
        keep: 10,
    };
    let founders = Founders::start(1, directories(dir.path()), compaction).await;
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..64 {
            let cluster = founders.get(1).clone();
            writers.spawn(async move {
                for n in 0..40 {
                    cluster.propose(change(writer * 2 + n % 2)).await.unwrap();
                }
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        let report = founders.get(1).report();
        assert!(report.snapshot.is_some(), "no snapshot was taken");
        sizes.push(report.disk_bytes.unwrap());
    }
    assert!(
        sizes[0] > 100_000,
        "a status that cannot be true: {sizes:?}"
    );
    // Five times what lives, and 64 MiB: the engine's segments.
    assert!(sizes[3] < 64 << 20, "{sizes:?}");
    founders.stop_all().await;
}
