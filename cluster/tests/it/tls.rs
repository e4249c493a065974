//! Members that show each other certificates, and a stranger without one.

use crate::support::*;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::peer::tls::{Tls, TlsError, TlsFiles};
use baton_cluster::peer::transport::{Tcp, Transport};
use baton_cluster::{CallError, Cluster, ClusterError, Compaction, Entry, Storage};
use baton_model::ids::ConductorId;
use baton_model::port::cluster::ClusterStatus;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// An authority and one certificate of it, for these names, as files.
fn certificates(dir: &Path, names: &[&str]) -> TlsFiles {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let certificate = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    fs::create_dir_all(dir).unwrap();
    let files = TlsFiles {
        certificate: dir.join("certificate.pem"),
        key: dir.join("key.pem"),
        authority: dir.join("authority.pem"),
    };
    fs::write(&files.certificate, certificate.pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    fs::write(&files.authority, authority_certificate.pem()).unwrap();
    files
}

fn secured(files: &TlsFiles) -> Arc<dyn Transport> {
    Arc::new(Tcp::new(Some(Tls::load(files).unwrap())))
}

#[tokio::test(flavor = "multi_thread")]
async fn members_with_certificates_agree_and_strangers_are_not_heard() {
    let dir = tempfile::tempdir().unwrap();
    let ours = secured(&certificates(
        &dir.path().join("ours"),
        &["c1", "c2", "c3", "friend"],
    ));
    let disks = std::array::from_fn::<_, 3, _>(|_| MemDisk::default());
    let founders = Founders::start_with(
        3,
        memory(&disks),
        Compaction::default(),
        ours.clone(),
        ENDLESS,
    )
    .await;
    founders.get(1).propose(change(1)).await.unwrap();
    founders.get(3).linearizable().await.unwrap();
    assert!(has(founders.get(3), 1));

    let via = vec![founders.members.values().next().unwrap().address.clone()];
    let foreign = secured(&certificates(
        &dir.path().join("foreign"),
        &["stranger", "c1"],
    ));
    let plain: Arc<dyn Transport> = Arc::new(Tcp::default());
    // A stranger's certificate, none, and a friend's that is not for the name it uses.
    for (transport, why) in [
        (foreign, "invalid peer certificate"),
        (plain, ""),
        (ours.clone(), "certificate for another name"),
    ] {
        let (listen, _) = listener().await;
        let mut options = options("stranger", Storage::Memory(MemDisk::default()), listen);
        options.transport = transport;
        let entry = Entry {
            first: None,
            via: via.clone(),
            patience: Duration::ZERO,
        };
        let entering = Cluster::enter(options, env(9), Arc::new(Counts::default()), entry);
        let refused = entering.await.err().unwrap();
        assert!(
            matches!(refused, ClusterError::Unconfirmed { .. }),
            "{refused}"
        );
        assert!(refused.to_string().contains(why), "{refused}");
        assert_eq!(founders.get(1).report().members.len(), 3);
    }
    let (listen, _) = listener().await;
    let mut options = options("friend", Storage::Memory(MemDisk::default()), listen);
    options.transport = ours;
    let friend = Cluster::join(options, env(9), Arc::new(Counts::default()), &via)
        .await
        .unwrap();
    friend.linearizable().await.unwrap();
    assert!(has(&friend, 1));
    friend.shutdown().await;
    founders.stop_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_one_member_is_no_other_member() {
    let dir = tempfile::tempdir().unwrap();
    let all = certificates(&dir.path().join("all"), &["c1", "c2", "spy"]);
    let founders = Founders::start_with(
        2,
        memory(&std::array::from_fn::<_, 2, _>(|_| MemDisk::default())),
        Compaction::default(),
        secured(&all),
        ENDLESS,
    )
    .await;
    founders.leader().await;
    // It knows the cluster and claims to be conductor 2, under a name that its certificate does have.
    let (listen, _) = listener().await;
    let mut options = options("spy", Storage::Memory(MemDisk::default()), listen);
    options.transport = secured(&all);
    options.founding = founding(2, &founders.members);
    options.patience = Duration::from_millis(300);
    let spy = Cluster::start(options, env(5), Arc::new(Counts::default()))
        .await
        .unwrap();
    let called = spy.call(ConductorId(1), vec![1], DEADLINE).await;
    let Err(CallError::NotSent { reason }) = called else {
        panic!("an impostor was heard: {called:?}");
    };
    assert!(
        reason.contains("conductor 2 is c2, the caller is spy"),
        "{reason}"
    );
    assert!(spy.linearizable().await.is_err());
    assert!(spy.propose(change(9)).await.is_err());
    founders.get(1).propose(change(1)).await.unwrap();
    assert!(!has(founders.get(1), 9));
    spy.shutdown().await;
    founders.stop_all().await;
}

#[test]
fn a_missing_certificate_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = certificates(dir.path(), &["c1"]);
    files.key = dir.path().join("nowhere.pem");
    let error = Tls::load(&files).err().unwrap();
    assert!(matches!(error, TlsError::File { .. }));
    assert!(error.to_string().contains("nowhere.pem"), "{error}");
}
