//! Mutual TLS between conductors. Both ends show a certificate of the cluster's own authority.

use super::transport::BoxStream;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
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
                    .with_root_certificates(roots.clone())
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

    pub(super) async fn connect(&self, address: &str, stream: TcpStream) -> io::Result<BoxStream> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(self.connector.connect(name, stream).await?))
    }

    pub(super) async fn accept(&self, stream: BoxStream) -> io::Result<BoxStream> {
        Ok(Box::new(self.acceptor.accept(stream).await?))
    }
}
