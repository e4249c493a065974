//! Certificates of the simulated Redfish services: one authority made at the start, whose certificate is written to a
//! file for `redfish_verify_ca`, and server certificates below it that name `localhost` and the addresses served.
//!
//! A certificate cannot name thousands of addresses, so with one address per BMC each block of [`BLOCK`] addresses
//! gets one when first used. All share one key and one ticket key: sessions resume, also across blocks.

use super::FarmError;
use super::config::{FarmConfig, Layout};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::ProducesTickets;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

/// Addresses named by one certificate: 64 make it about 0.8 KiB, and 50,000 BMCs need 782 of them.
const BLOCK: u32 = 64;

/// An authority and the key of the servers below it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    server_key: KeyPair,
}

/// The farm's TLS.
pub(super) struct Tls {
    authority: Authority,
    tickets: Arc<dyn ProducesTickets>,
    /// With one address per BMC: the first address, and a configuration per block.
    first: Option<Ipv4Addr>,
    blocks: Mutex<BTreeMap<u32, Arc<ServerConfig>>>,
    common: Arc<ServerConfig>,
    /// Of another authority, for the fault "changed certificate".
    foreign: Arc<ServerConfig>,
}

impl Tls {
    pub(super) fn new(config: &FarmConfig) -> Result<Self, FarmError> {
        let authority = Authority::new("baton simulated BMCs")?;
        if let Some(path) = &config.ca_file {
            std::fs::write(path, &authority.pem).map_err(|source| FarmError::CaFile {
                path: path.clone(),
                source,
            })?;
        }
        let tickets = ring::Ticketer::new().map_err(certificate)?;
        let (first, listener) = match config.redfish_layout {
            Layout::Addresses { first, .. } => (Some(first), None),
            Layout::Ports { address, .. } => (None, Some(address)),
            Layout::Paths { at } => (None, Some(at.ip())),
        };
        let mut names = vec!["localhost".into(), "127.0.0.1".into(), "::1".into()];
        names.extend(listener.map(|address| address.to_string()));
        names.sort();
        names.dedup();
        let common = authority.server(names.clone(), &tickets)?;
        let stranger = Authority::new("somebody else's BMCs")?;
        let foreign = stranger.server(names, &ring::Ticketer::new().map_err(certificate)?)?;
        Ok(Self {
            authority,
            tickets,
            first,
            blocks: Mutex::new(BTreeMap::new()),
            common,
            foreign,
        })
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.authority.pem
    }

    /// The configuration of the `ordinal`th Redfish BMC; without one, of all.
    pub(super) fn server(&self, ordinal: Option<u32>) -> Result<Arc<ServerConfig>, FarmError> {
        let (Some(first), Some(ordinal)) = (self.first, ordinal) else {
            return Ok(Arc::clone(&self.common));
        };
        let block = ordinal / BLOCK;
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = blocks.get(&block) {
            return Ok(Arc::clone(config));
        }
        let start = first.to_bits().saturating_add(block * BLOCK);
        let mut names = vec!["localhost".to_owned()];
        names.extend(
            (start..start.saturating_add(BLOCK)).map(|bits| Ipv4Addr::from_bits(bits).to_string()),
        );
        let config = self.authority.server(names, &self.tickets)?;
        blocks.insert(block, Arc::clone(&config));
        Ok(config)
    }

    /// A configuration whose certificate nobody expects.
    pub(super) fn foreign(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.foreign)
    }
}

impl Authority {
    fn new(name: &str) -> Result<Self, FarmError> {
        let key = KeyPair::generate().map_err(certificate)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).map_err(certificate)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            pem,
            server_key: KeyPair::generate().map_err(certificate)?,
        })
    }

    fn server(
        &self,
        names: Vec<String>,
        tickets: &Arc<dyn ProducesTickets>,
    ) -> Result<Arc<ServerConfig>, FarmError> {
        let mut params = CertificateParams::new(names).map_err(certificate)?;
        params
            .distinguished_name
            .push(DnType::CommonName, "simulated BMC");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params
            .signed_by(&self.server_key, &self.issuer)
            .map_err(certificate)?;
        let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.server_key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(certificate)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(certificate)?;
        config.ticketer = Arc::clone(tickets);
        config.send_tls13_tickets = 1;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificate(error: impl std::fmt::Display) -> FarmError {
    FarmError::Certificate(error.to_string())
}
