//! TLS of the listeners: a certificate that is taken over while the process runs when its files are renewed.

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// How often the files' times are looked at, at the next connection.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
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
    /// The two do not fit together.
    #[error("the certificate in {} cannot be used with its key", path.display())]
    Unusable {
        /// The certificate.
        path: PathBuf,
        /// rustls's complaint.
        #[source]
        source: rustls::Error,
    },
}

/// The certificate of a listener.
#[derive(Debug)]
pub struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    stamp: Option<Stamp>,
    looked: Instant,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current")
            .field("stamp", &self.stamp)
            .finish_non_exhaustive()
    }
}

/// When chain and key were changed last.
type Stamp = [SystemTime; 2];

impl Certificate {
    /// Reads chain and key, both PEM.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(chain: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let current = Current {
            stamp: stamp(&chain, &key),
            config: read(&chain, &key)?,
            looked: Instant::now(),
        };
        Ok(Self {
            chain,
            key,
            current: Mutex::new(current),
        })
    }

    /// An acceptor with the certificate as it is now. Files that cannot be used leave the former one in force.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now.duration_since(current.looked) >= LOOK_EVERY {
            current.looked = now;
            let stamp = stamp(&self.chain, &self.key);
            if stamp.is_some() && stamp != current.stamp {
                match read(&self.chain, &self.key) {
                    Ok(config) => {
                        current.config = config;
                        tracing::info!(file = %self.chain.display(), "a listener's certificate was renewed");
                    }
                    Err(error) => tracing::warn!(
                        file = %self.chain.display(),
                        error = &error as &dyn std::error::Error,
                        "a listener's new certificate cannot be used; the former one stays in force"
                    ),
                }
                current.stamp = stamp;
            }
        }
        TlsAcceptor::from(Arc::clone(&current.config))
    }
}

fn stamp(chain: &Path, key: &Path) -> Option<Stamp> {
    let at = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified());
    Some([at(chain).ok()?, at(key).ok()?])
}

fn read(chain: &Path, key: &Path) -> Result<Arc<ServerConfig>, CertificateError> {
    let failed = |what, path: &Path| {
        let path = path.to_owned();
        move |source| CertificateError::File { what, path, source }
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed("certificate", chain))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(failed("private key", key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(certificates, key)
        })
        .map_err(|source| CertificateError::Unusable {
            path: chain.to_owned(),
            source,
        })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
