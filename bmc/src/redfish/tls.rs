//! TLS towards BMCs: which certificates are accepted, how sessions are resumed, and what a failed handshake means.
//!
//! One client configuration per verify mode is shared by all BMCs; each BMC has its own [`TicketSlot`], so a reconnect
//! resumes whatever the address and port are, and forgetting a BMC forgets its ticket. The crypto provider is passed
//! explicitly: nothing here depends on a process-wide default.

use super::stream::ConnectError;
use baton_model::driver::redfish::{RedfishTarget, TlsMinimum, VerifyCa};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue, WebPkiServerVerifier,
};
use rustls::crypto::CryptoProvider;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, NamedGroup,
    RootCertStore, SignatureScheme, version,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Most client configurations that are kept; fleets have one CA, or one per vendor.
const CONFIGS_MAX: usize = 64;
/// Most files of a CA directory that are read. `/etc/ssl/certs` has about 300.
const CA_FILES_MAX: usize = 4096;
/// Largest CA file that is read; Mozilla's whole bundle has 0.25 MiB.
const CA_FILE_BYTES_MAX: u64 = 4 << 20;
/// Where distributions keep the roots that their administrator manages: Debian, Fedora, SUSE, Alpine.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];
/// What to do about a BMC that is too old for the TLS that exists today.
const TOO_OLD: &str = "the BMC seems to offer only TLS 1.0/1.1 or RSA key exchange, which baton does not speak; update \
                       its firmware or enable TLS 1.2 with ECDHE there";

/// The client configurations, one per verify mode, made when first needed.
pub(super) struct TlsConfigs {
    provider: Arc<CryptoProvider>,
    /// `[redfish]verify_ca`: what `redfish_verify_ca: true` means here.
    default_ca: Option<Box<str>>,
    made: Mutex<HashMap<(VerifyCa, TlsMinimum), Arc<ClientConfig>>>,
}

impl TlsConfigs {
    pub(super) fn new(default_ca: Option<Box<str>>) -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            default_ca,
            made: Mutex::new(HashMap::new()),
        }
    }

    /// The configuration for a verify mode. The error says which file or directory is of no use.
    pub(super) async fn get(
        &self,
        verify: &VerifyCa,
        minimum: TlsMinimum,
    ) -> Result<Arc<ClientConfig>, String> {
        let key = (verify.clone(), minimum);
        if let Some(config) = self.lock().get(&key) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.make(verify, minimum).await?);
        let mut made = self.lock();
        if made.len() >= CONFIGS_MAX {
            made.clear();
        }
        // Two callers may have made it at once; all must share one, or their tickets would not fit.
        Ok(Arc::clone(made.entry(key).or_insert(config)))
    }

    /// Drops the configuration of a CA path after a failure, so that a CA file that was mended counts at once.
    pub(super) fn forget(&self, verify: &VerifyCa, minimum: TlsMinimum) {
        if *verify != VerifyCa::Off {
            self.lock().remove(&(verify.clone(), minimum));
        }
    }

    fn lock(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<(VerifyCa, TlsMinimum), Arc<ClientConfig>>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make(&self, verify: &VerifyCa, minimum: TlsMinimum) -> Result<ClientConfig, String> {
        let verifier: Arc<dyn ServerCertVerifier> = match (verify, &self.default_ca) {
            (VerifyCa::Off, _) => Arc::new(NoCheck(Arc::clone(&self.provider))),
            (VerifyCa::Path(path), _) | (VerifyCa::Roots, Some(path)) => {
                self.verifier(load_path(path).await?, path)?
            }
            (VerifyCa::Roots, None) => match load_system().await {
                Some(certificates) => self.verifier(certificates, "the system's CA bundle")?,
                None => self.mozilla()?,
            },
        };
        let versions: &[&rustls::SupportedProtocolVersion] = match minimum {
            TlsMinimum::V1_2 => &[&version::TLS13, &version::TLS12],
            TlsMinimum::V1_3 => &[&version::TLS13],
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(config)
    }

    /// Checks against these certificates.
    fn verifier(
        &self,
        certificates: Vec<CertificateDer<'static>>,
        source: &str,
    ) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let chain = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| format!("{source} holds no usable CA certificate: {error}"))?;
        Ok(Arc::new(CaCheck {
            chain,
            pinned: certificates,
        }))
    }

    /// Mozilla's roots, for a system that brings none.
    fn mozilla(&self) -> Result<Arc<dyn ServerCertVerifier>, String> {
        let roots = RootCertStore {
            roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
        };
        let chain = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| error.to_string())?;
        Ok(Arc::new(CaCheck {
            chain,
            pinned: Vec::new(),
        }))
    }
}

/// The system's bundle, if there is one with certificates in it.
async fn load_system() -> Option<Vec<CertificateDer<'static>>> {
    for path in SYSTEM_BUNDLES {
        if let Ok(certificates) = load_file(Path::new(path)).await
            && !certificates.is_empty()
        {
            return Some(certificates);
        }
    }
    None
}

/// The certificates of a CA file, or of every file in a CA directory.
async fn load_path(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |error: io::Error| format!("redfish_verify_ca {path} cannot be read: {error}");
    let mut certificates = Vec::new();
    if tokio::fs::metadata(path).await.map_err(failed)?.is_dir() {
        let mut entries = tokio::fs::read_dir(path).await.map_err(failed)?;
        let mut files: usize = 0;
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            files = files.saturating_add(1);
            if files > CA_FILES_MAX {
                return Err(format!(
                    "redfish_verify_ca {path} has more than {CA_FILES_MAX} files"
                ));
            }
            // Directories, keys and notes may lie beside the certificates.
            if let Ok(found) = load_file(&entry.path()).await {
                certificates.extend(found);
            }
        }
    } else {
        certificates = load_file(Path::new(path)).await.map_err(failed)?;
    }
    if certificates.is_empty() {
        return Err(format!("redfish_verify_ca {path} holds no PEM certificate"));
    }
    Ok(certificates)
}

/// The certificates of one PEM file.
async fn load_file(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let metadata = tokio::fs::metadata(path).await?;
    if !metadata.is_file() || metadata.len() > CA_FILE_BYTES_MAX {
        return Err(io::Error::other("not a file of a sensible size"));
    }
    let text = tokio::fs::read(path).await?;
    Ok(CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .collect())
}

/// Accepts a chain to a configured CA, or exactly a configured certificate.
///
/// BMCs mostly carry a self-signed certificate, made by tools that mark it as a CA and put no address into it. Operators
/// name that very certificate in `redfish_verify_ca`; equality to the byte says more than any name in it.
#[derive(Debug)]
struct CaCheck {
    chain: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for CaCheck {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.chain
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

/// `redfish_verify_ca: false`.
#[derive(Debug)]
struct NoCheck(Arc<CryptoProvider>);

impl ServerCertVerifier for NoCheck {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What one BMC's last TLS session left behind: one ticket or session, the newest. Server names are ignored, because a
/// slot belongs to one BMC.
#[derive(Default)]
pub(super) struct TicketSlot(Mutex<Tickets>);

#[derive(Default)]
struct Tickets {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: Option<Tls13ClientSessionValue>,
}

impl TicketSlot {
    fn lock(&self) -> std::sync::MutexGuard<'_, Tickets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for TicketSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSlot(***)")
    }
}

impl ClientSessionStore for TicketSlot {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.lock().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.lock().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.lock().tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.lock().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.lock().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.lock().tls13 = Some(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.lock().tls13.take()
    }
}

/// What a failed handshake means to the operator of that BMC.
pub(super) fn explain(error: &io::Error, target: &RedfishTarget) -> ConnectError {
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return ConnectError::Broken(format!(
            "the connection broke during the TLS handshake: {error}"
        ));
    };
    let against = match &target.verify_ca {
        VerifyCa::Path(path) => path.to_string(),
        VerifyCa::Roots | VerifyCa::Off => "the configured CAs".to_owned(),
    };
    // The enums of rustls grow; what is not singled out is shown in rustls' words.
    let reason = if let rustls::Error::InvalidCertificate(certificate) = tls {
        explain_certificate(certificate, &against)
    } else if let rustls::Error::AlertReceived(
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity,
    )
    | rustls::Error::PeerIncompatible(_) = tls
    {
        format!("{tls}: {TOO_OLD}")
    } else if let rustls::Error::InvalidMessage(_) = tls {
        format!("{tls}: no TLS on this port; use http:// in redfish_address if that is meant")
    } else {
        tls.to_string()
    };
    ConnectError::Tls(reason)
}

/// What is wrong with a certificate and which key to change.
fn explain_certificate(error: &CertificateError, against: &str) -> String {
    if *error == CertificateError::UnknownIssuer {
        format!(
            "its certificate is not issued by {against}; put its CA or the certificate itself into the file that \
             redfish_verify_ca names"
        )
    } else {
        format!(
            "its certificate is not accepted: {error}; renew it, or put it into the file that redfish_verify_ca names"
        )
    }
}
