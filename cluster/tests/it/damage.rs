//! A store that does not hold what was written to it is noticed, moved aside, reported, and never votes again.

use crate::support::*;
use baton_cluster::{Cluster, ClusterError, Storage};
use std::fs;
use std::path::Path;

/// A data directory with some hundred entries, cleanly closed.
async fn template(dir: &Path) {
    let cluster = single(Storage::Directory(dir.to_owned())).await.unwrap();
    for n in 0..300 {
        cluster.propose(change(n)).await.unwrap();
    }
    cluster.shutdown().await;
}

/// Starts on `data` and judges: everything there, or damage reported and set aside with its identity.
async fn judge(data: &Path, what: &str) -> bool {
    match single(Storage::Directory(data.to_owned())).await {
        Ok(cluster) => {
            cluster.linearizable().await.unwrap();
            assert!((0..300).all(|n| has(&cluster, n)), "{what}: silently lost");
            cluster.shutdown().await;
            false
        }
        Err(ClusterError::Damaged {
            moved_to, detail, ..
        }) => {
            assert!(moved_to.join("store").exists(), "{what}: {detail}");
            assert!(moved_to.join("member.json").exists(), "{what}: {detail}");
            assert!(!data.join("member.json").exists(), "{what}: {detail}");
            // It does not come back under its old identity.
            let (listen, _) = listener().await;
            let options = options("c1", Storage::Directory(data.to_owned()), listen);
            let sink = std::sync::Arc::new(Counts::default());
            let again = Cluster::start(options, env(3), sink).await.err();
            assert!(
                matches!(again, Some(ClusterError::NotAMember)),
                "{what}: {again:?}"
            );
            true
        }
        Err(other) => panic!("{what}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_store_is_noticed() {
    let root = tempfile::tempdir().unwrap();
    let original = root.path().join("original");
    template(&original).await;
    let mut noticed = 0;
    for (n, keep) in [0, 1, 100, 4096, 20_000, 60_000].into_iter().enumerate() {
        let data = root.path().join(format!("cut-{n}"));
        copy(&original, &data);
        let db = fs::OpenOptions::new()
            .write(true)
            .open(data.join("store/db"))
            .unwrap();
        db.set_len(keep).unwrap();
        drop(db);
        noticed += u32::from(judge(&data, &format!("cut to {keep} bytes")).await);
    }
    assert_eq!(noticed, 6, "a cut that nobody noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_is_noticed_or_harmless() {
    let root = tempfile::tempdir().unwrap();
    let original = root.path().join("original");
    template(&original).await;
    let bytes = fs::read(original.join("store/db")).unwrap();
    // The file is as long as a segment; what was written stands at its beginning.
    let live = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut noticed = 0;
    for n in 0..24 {
        let data = root.path().join(format!("flip-{n}"));
        copy(&original, &data);
        let place = live * (2 * n + 1) / 48;
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (n % 8);
        fs::write(data.join("store/db"), flipped).unwrap();
        noticed += u32::from(judge(&data, &format!("bit flipped at {place} of {live}")).await);
    }
    assert!(noticed > 0, "no flipped bit fell on live data");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_or_exchanged_never_votes() {
    let root = tempfile::tempdir().unwrap();
    let original = root.path().join("original");
    let other = root.path().join("other");
    template(&original).await;
    template(&other).await;
    let gone = root.path().join("gone");
    copy(&original, &gone);
    fs::remove_dir_all(gone.join("store")).unwrap();
    let started = single(Storage::Directory(gone)).await;
    assert!(matches!(started, Err(ClusterError::Damaged { .. })));
    let emptied = root.path().join("emptied");
    copy(&original, &emptied);
    fs::remove_dir_all(emptied.join("store")).unwrap();
    fs::create_dir(emptied.join("store")).unwrap();
    assert!(judge(&emptied, "an empty store").await);
    let format = root.path().join("format");
    copy(&original, &format);
    fs::write(format.join("store/FORMAT"), "segment_size 512\n").unwrap();
    assert!(judge(&format, "another format").await);
}
