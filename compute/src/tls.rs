//! TLS towards the identity and compute services: whom to believe, and who we are.

use crate::options::{ComputeOptions, OptionsError};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::path::Path;
use std::sync::Arc;

/// Where distributions keep the roots that their administrator manages: Debian, Fedora, SUSE, Alpine.
const SYSTEM_BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The TLS side of the client. Reads the files that the options name.
pub(crate) fn config(options: &ComputeOptions) -> Result<ClientConfig, OptionsError> {
    // Passed explicitly: nothing here depends on a process-wide default.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the ring provider has the suites of TLS 1.2 and 1.3");
    let builder = if options.insecure {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoCheck(provider)))
    } else {
        builder.with_root_certificates(roots(options.cafile.as_deref())?)
    };
    let Some((certificate, key)) = &options.client_certificate else {
        return Ok(builder.with_no_client_auth());
    };
    let chain =
        certificates(certificate).map_err(|reason| wrong("certfile", certificate, reason))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| wrong("keyfile", key, error.to_string()))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| wrong("certfile", certificate, error.to_string()))
}

fn wrong(option: &'static str, path: &Path, reason: String) -> OptionsError {
    OptionsError::File {
        option,
        path: path.display().to_string(),
        reason,
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .collect();
    if found.is_empty() {
        return Err("holds no PEM certificate".to_owned());
    }
    Ok(found)
}

/// The configured authorities, or the system's, or Mozilla's where the system has none.
fn roots(cafile: Option<&Path>) -> Result<RootCertStore, OptionsError> {
    let mut roots = RootCertStore::empty();
    let found = match cafile {
        Some(path) => certificates(path).map_err(|reason| wrong("cafile", path, reason))?,
        None => SYSTEM_BUNDLES
            .iter()
            .find_map(|path| certificates(Path::new(path)).ok())
            .unwrap_or_default(),
    };
    let (added, _) = roots.add_parsable_certificates(found);
    if added == 0 {
        if let Some(path) = cafile {
            return Err(wrong(
                "cafile",
                path,
                "holds no usable CA certificate".to_owned(),
            ));
        }
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    Ok(roots)
}

/// `insecure = true`.
#[derive(Debug)]
struct NoCheck(Arc<CryptoProvider>);

impl ServerCertVerifier for NoCheck {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
