//! The power goes: what was acknowledged is there afterwards, whatever part of the rest reached the disk.

use crate::support::*;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::{Compaction, Storage};

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_loses_nothing_acknowledged() {
    let disk = MemDisk::default();
    let mut acknowledged = 0;
    for round in 0..30_u64 {
        let cluster = single(Storage::Memory(disk.clone())).await.unwrap();
        cluster.linearizable().await.unwrap();
        for n in 1..=acknowledged {
            assert!(has(&cluster, n), "change {n} after cut {round}");
        }
        for _ in 0..=round % 7 * 20 {
            acknowledged += 1;
            cluster.propose(change(acknowledged)).await.unwrap();
        }
        // Some of the buffered writes reach the disk, in order, and some do not.
        disk.cut_power(usize::try_from(round).unwrap() % 4);
        cluster.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_power_cut_of_all_members_at_once_loses_nothing_acknowledged() {
    let disks = std::array::from_fn::<_, 3, _>(|_| MemDisk::default());
    let compaction = Compaction {
        snapshot_every: 40,
        keep: 10,
    };
    let mut founders = Founders::start(3, memory(&disks), compaction).await;
    let mut acknowledged = 0;
    for round in 0..6 {
        for _ in 0..70 {
            acknowledged += 1;
            let by = acknowledged % 3 + 1;
            founders
                .get(by)
                .propose(change(acknowledged))
                .await
                .unwrap();
        }
        for (n, disk) in disks.iter().enumerate() {
            disk.cut_power((round + n) % 3);
        }
        for id in 1..=3 {
            founders.stop(id).await;
        }
        for id in 1..=3 {
            founders.restart(id).await.unwrap();
        }
        for id in 1..=3 {
            founders.get(id).linearizable().await.unwrap();
            assert!((1..=acknowledged).all(|n| has(founders.get(id), n)));
        }
    }
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_fatal_and_nothing_is_acknowledged_after_it() {
    let disk = MemDisk::default();
    let cluster = single(Storage::Memory(disk.clone())).await.unwrap();
    cluster.propose(change(1)).await.unwrap();
    disk.fail_next_sync();
    assert!(cluster.propose(change(2)).await.is_err());
    let mut fatal = cluster.fatal();
    let fatal = tokio::time::timeout(DEADLINE, fatal.wait_for(Option::is_some))
        .await
        .unwrap();
    assert!(
        fatal
            .unwrap()
            .as_ref()
            .unwrap()
            .to_string()
            .contains("exit")
    );
    cluster.shutdown().await;
    disk.cut_power(0);
    let again = single(Storage::Memory(disk)).await.unwrap();
    again.linearizable().await.unwrap();
    assert!(has(&again, 1) && !has(&again, 2));
    again.shutdown().await;
}
