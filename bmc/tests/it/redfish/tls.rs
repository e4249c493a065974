//! Certificates, resumption, and BMCs whose TLS is too old.

use super::fake::FakeBmc;
use super::server::{Reply, Server};
use super::{BUDGET, client, target};
use baton_bmc::redfish::{RedfishClient, RedfishConfig};
use baton_model::port::bmc::{BmcError, PowerReading};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

/// A certificate authority and a directory to put files into.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    pub(crate) dir: tempfile::TempDir,
}

/// A server certificate with its key, as PEM.
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
    der: rustls_pki_types::CertificateDer<'static>,
    key_der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let dir = tempfile::tempdir().expect("a directory");
        Self { issuer, dir }
    }

    pub(crate) fn issue(&self, name: &str) -> Identity {
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        let certificate = params
            .signed_by(&key, &*self.issuer)
            .expect("a certificate");
        Identity::of(&certificate, &key)
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.write("ca.pem", &self.issuer.pem())
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

impl Identity {
    fn of(certificate: &rcgen::Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: key.serialize_der(),
        }
    }

    /// What a BMC makes for itself: marked as a CA, for a name of its own.
    fn homemade() -> Self {
        let mut params = CertificateParams::new(["bmc.local".to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self::of(&certificate, &key)
    }

    fn acceptor(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.clone()));
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], key)
            .expect("a server configuration");
        TlsAcceptor::from(Arc::new(config))
    }
}

const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS12, &rustls::version::TLS13];

async fn tls_server(identity: &Identity) -> Server {
    Server::tls(identity.acceptor(BOTH), FakeBmc::new().handler()).await
}

#[tokio::test]
async fn checks_the_certificate_as_configured() {
    let authority = Authority::new();
    let stranger = Authority::new();
    let server = tls_server(&authority.issue("127.0.0.1")).await;
    let ca = authority.ca_file();
    let read = async |verify: serde_json::Value| {
        let target = target(&server.origin, json!({ "redfish_verify_ca": verify }));
        client().power_state(&target, BUDGET).await
    };
    assert_eq!(read(json!(ca)).await, Ok(PowerReading::On), "CA file");
    assert_eq!(
        read(json!(authority.dir.path())).await,
        Ok(PowerReading::On),
        "CA directory"
    );
    assert_eq!(read(json!(false)).await, Ok(PowerReading::On), "no check");
    for verify in [json!(true), json!(stranger.ca_file())] {
        let error = read(verify).await.expect_err("not trusted");
        assert!(matches!(error, BmcError::Tls { .. }), "{error}");
        assert!(error.to_string().contains("redfish_verify_ca"), "{error}");
    }
    let error = read(json!("/nowhere/ca.pem")).await.expect_err("no file");
    assert!(matches!(error, BmcError::Misconfigured { .. }), "{error}");
    let empty = stranger.write("empty.pem", "no certificate");
    let error = read(json!(empty)).await.expect_err("no certificate");
    assert!(
        error.to_string().contains("holds no PEM certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn the_configured_ca_stands_in_for_true() {
    let authority = Authority::new();
    let server = tls_server(&authority.issue("127.0.0.1")).await;
    let ca = authority.ca_file().to_str().expect("a path").to_owned();
    let client = RedfishClient::new(RedfishConfig {
        verify_ca: Some(ca.into()),
        ..RedfishConfig::default()
    });
    let target = target(&server.origin, json!({}));
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_it_is_the_configured_one() {
    let authority = Authority::new();
    let other = authority.issue("other.example");
    let server = tls_server(&other).await;
    let against_ca = target(
        &server.origin,
        json!({"redfish_verify_ca": authority.ca_file()}),
    );
    let error = client()
        .power_state(&against_ca, BUDGET)
        .await
        .expect_err("wrong name");
    assert!(error.to_string().contains("other.example"), "{error}");

    let homemade = Identity::homemade();
    let server = tls_server(&homemade).await;
    let file = authority.write("bmc.pem", &homemade.certificate);
    let pinned = target(&server.origin, json!({ "redfish_verify_ca": file }));
    assert_eq!(
        client().power_state(&pinned, BUDGET).await,
        Ok(PowerReading::On)
    );
}

#[tokio::test]
async fn a_changed_certificate_is_an_error_until_the_file_follows() {
    let authority = Authority::new();
    let (old, new) = (Identity::homemade(), Identity::homemade());
    let server = tls_server(&new).await;
    let file = authority.write("bmc.pem", &old.certificate);
    let (client, target) = (
        client(),
        target(&server.origin, json!({ "redfish_verify_ca": file })),
    );
    let error = client
        .power_state(&target, BUDGET)
        .await
        .expect_err("changed");
    assert!(matches!(error, BmcError::Tls { .. }), "{error}");
    authority.write("bmc.pem", &new.certificate);
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::On)
    );
}

#[tokio::test]
async fn reconnects_resume_the_tls_session() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let identity = authority.issue("127.0.0.1");
        let handler = FakeBmc::new().handler();
        let server = Server::tls(identity.acceptor(&[version]), move |seen| {
            match handler(seen) {
                Reply::Bytes(bytes) => Reply::Last(bytes),
                other @ (Reply::Last(_) | Reply::Hang | Reply::Drip(_)) => other,
            }
        })
        .await;
        let target = target(
            &server.origin,
            json!({"redfish_verify_ca": authority.ca_file()}),
        );
        let client = client();
        for _ in 0..4 {
            assert_eq!(
                client.power_state(&target, BUDGET).await,
                Ok(PowerReading::On)
            );
        }
        let stats = client.stats();
        assert_eq!(stats.handshakes_full, 1, "{version:?}");
        assert_eq!(stats.handshakes_resumed, 6, "{version:?}");
    }
}

#[tokio::test]
async fn tls_minimum_is_kept() {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1");
    let acceptor = identity.acceptor(&[&rustls::version::TLS12]);
    let server = Server::tls(acceptor, FakeBmc::new().handler()).await;
    let read = async |minimum: &str| {
        let target = target(
            &server.origin,
            json!({"redfish_verify_ca": false, "redfish_tls_minimum_version": minimum}),
        );
        client().power_state(&target, BUDGET).await
    };
    assert_eq!(read("1.2").await, Ok(PowerReading::On));
    assert!(matches!(read("1.3").await, Err(BmcError::Tls { .. })));
}

/// Accepts connections and answers each first packet with these bytes.
async fn answers_with(bytes: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let origin = format!("https://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let mut hello = [0_u8; 2048];
            drop(tcp.read(&mut hello).await);
            drop(tcp.write_all(bytes).await);
            drop(tcp.shutdown().await);
        }
    });
    origin
}

#[tokio::test]
async fn a_bmc_with_old_tls_is_named_as_such() {
    // A fatal alert, protocol_version (70) and handshake_failure (40), as TLS 1.0 servers send them (RFC 8446 §6).
    for alert in [
        &b"\x15\x03\x01\x00\x02\x02\x46"[..],
        b"\x15\x03\x01\x00\x02\x02\x28",
    ] {
        let origin = answers_with(alert).await;
        let error = client()
            .power_state(&target(&origin, json!({})), BUDGET)
            .await
            .expect_err("too old");
        assert!(matches!(error, BmcError::Tls { .. }), "{error}");
        assert!(error.to_string().contains("TLS 1.0/1.1"), "{error}");
    }
    let origin = answers_with(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let error = client()
        .power_state(&target(&origin, json!({})), BUDGET)
        .await
        .expect_err("no TLS");
    assert!(error.to_string().contains("no TLS on this port"), "{error}");
    let origin = answers_with(b"").await;
    let error = client()
        .power_state(&target(&origin, json!({})), BUDGET)
        .await
        .expect_err("closed");
    assert!(matches!(error, BmcError::Unreachable { .. }), "{error}");
}
