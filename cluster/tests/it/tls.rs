//! Members that show each other certificates, and a stranger without one.

use crate::support::*;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::peer::tls::{Tls, TlsError, TlsFiles};
use baton_cluster::peer::transport::{Tcp, Transport};
use baton_cluster::{Cluster, ClusterError, Compaction, Storage};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// An authority and one certificate of it, as files.
fn certificates(dir: &Path) -> TlsFiles {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_certificate = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
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
    let ours = secured(&certificates(&dir.path().join("ours")));
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
    let foreign = secured(&certificates(&dir.path().join("foreign")));
    let plain: Arc<dyn Transport> = Arc::new(Tcp::default());
    for transport in [foreign, plain] {
        let (listen, _) = listener().await;
        let mut options = options("stranger", Storage::Memory(MemDisk::default()), listen);
        options.transport = transport;
        let joining = Cluster::join(options, env(9), Arc::new(Counts::default()), &via);
        let joined = joining.await;
        assert!(matches!(joined, Err(ClusterError::Unconfirmed { .. })));
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

#[test]
fn a_missing_certificate_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = certificates(dir.path());
    files.key = dir.path().join("nowhere.pem");
    let error = Tls::load(&files).err().unwrap();
    assert!(matches!(error, TlsError::File { .. }));
    assert!(error.to_string().contains("nowhere.pem"), "{error}");
}
