//! Mutual TLS between conductors. Both ends show a certificate of the cluster's own authority.
//!
//! A certificate is for a host name, not for an address: what a conductor says of itself in its first message must be
//! what its certificate says ([`Proof::check`]), and a conductor's host name is what the cluster knows it by.

use super::transport::BoxStream;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ClientConfig, DigitallySignedStruct, Error as RustlsError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Where the certificates are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// This conductor's certificate chain, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The authority that signs every conductor's certificate, PEM.
    pub authority: PathBuf,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or holds no such thing.
    #[error("could not read the {what} in {}", path.display())]
    File {
        /// What was looked for.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The files do not fit together.
    #[error("the certificate in {} cannot be used", path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// rustls's complaint.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What the other end of a connection has proved of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// Nothing was asked for: conductors on one machine, or in a simulation.
    None,
    /// This certificate, which the cluster's authority has signed.
    Certificate(CertificateDer<'static>),
}

impl Proof {
    /// Whether the other end may call itself `host`.
    ///
    /// # Errors
    /// Why not, for the operator of either end.
    pub fn check(&self, host: &str) -> Result<(), String> {
        let Self::Certificate(certificate) = self else {
            return Ok(());
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no host name that a certificate can be for"))?;
        ParsedCertificate::try_from(certificate)
            .and_then(|parsed| verify_server_name(&parsed, &name))
            .map_err(|_| {
                format!(
                    "the conductor calls itself {host} and shows a certificate for another name; make one for its \
                     `[DEFAULT] host` with `baton cluster certs`"
                )
            })
    }
}

/// Checks who signed a certificate and leaves the name to [`Proof::check`].
#[derive(Debug)]
struct SignedByAuthority {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SignedByAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Both roles of this conductor.
pub struct Tls {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File {
        what,
        path: path.to_owned(),
        source,
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(failed)?
        .collect();
    found.map_err(failed)
}

impl Tls {
    /// Reads the files. Uses ring, whatever other provider is linked in.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(files: &TlsFiles) -> Result<Self, TlsError> {
        let chain = certificates("certificate", &files.certificate)?;
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|source| TlsError::File {
            what: "private key",
            path: files.key.clone(),
            source,
        })?;
        let unusable =
            |path: &Path, source: Box<dyn std::error::Error + Send + Sync>| TlsError::Unusable {
                path: path.to_owned(),
                source,
            };
        let mut roots = RootCertStore::empty();
        for authority in certificates("authority's certificate", &files.authority)? {
            roots
                .add(authority)
                .map_err(|error| unusable(&files.authority, error.into()))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(SignedByAuthority {
                        roots: roots.clone(),
                        provider: provider.clone(),
                    }))
                    .with_client_auth_cert(chain.clone(), key.clone_key())
            })
            .map_err(|error| unusable(&files.certificate, error.into()))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| unusable(&files.authority, error.into()))?;
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_client_cert_verifier(verifier)
                    .with_single_cert(chain, key)
            })
            .map_err(|error| unusable(&files.certificate, error.into()))?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(client)),
            acceptor: TlsAcceptor::from(Arc::new(server)),
        })
    }

    pub(super) async fn connect(
        &self,
        address: &str,
        stream: TcpStream,
    ) -> io::Result<(BoxStream, Proof)> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = self.connector.connect(name, stream).await?;
        let proof = proof(stream.get_ref().1.peer_certificates())?;
        Ok((Box::new(stream), proof))
    }

    pub(super) async fn accept(&self, stream: BoxStream) -> io::Result<(BoxStream, Proof)> {
        let stream = self.acceptor.accept(stream).await?;
        let proof = proof(stream.get_ref().1.peer_certificates())?;
        Ok((Box::new(stream), proof))
    }
}

fn proof(shown: Option<&[CertificateDer<'static>]>) -> io::Result<Proof> {
    shown
        .and_then(<[_]>::first)
        .map(|certificate| Proof::Certificate(certificate.clone()))
        .ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the other end showed no certificate",
            )
        })
}
