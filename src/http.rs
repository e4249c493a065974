//! A small JSON client: `baton dev` enrolls machines with it through the public API, as any client would, and
//! `baton cluster` speaks to the admin endpoint.

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

/// Largest answer that is read: a page of a thousand nodes has about a megabyte.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How long one request may take: a failover, and the node's lock.
const LIMIT: Duration = Duration::from_secs(20);

/// The microversion that is asked for: the newest.
const VERSION: &str = "1.115";

/// The certificates in a file, as authorities.
pub(crate) fn authorities(file: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file)
        .with_context(|| format!("could not read {}", file.display()))?;
    let (added, _) = roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if added == 0 {
        bail!("{} holds no certificate", file.display());
    }
    Ok(roots)
}

/// Speaks to one API.
#[derive(Clone)]
pub(crate) struct Json {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: String,
    token: Option<String>,
}

impl Json {
    /// Speaks plain HTTP.
    pub(crate) fn new(base: String) -> Self {
        Self::believing(base, RootCertStore::empty(), None)
    }

    /// Speaks to whoever shows a certificate of these authorities: for `name`, or else for the host in `base`.
    pub(crate) fn believing(
        base: String,
        authorities: RootCertStore,
        name: Option<ServerName<'static>>,
    ) -> Self {
        let provider = std::sync::Arc::new(ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the ring provider has the suites of TLS 1.2 and 1.3")
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let mut plain = HttpConnector::new();
        plain.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http();
        let connector = match name {
            Some(name) => connector
                .with_server_name_resolver(FixedServerNameResolver::new(name))
                .enable_http1()
                .wrap_connector(plain),
            None => connector.enable_http1().wrap_connector(plain),
        };
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            base,
            token: None,
        }
    }

    /// Shows this token with every request.
    pub(crate) fn with_token(self, token: Option<String>) -> Self {
        Self { token, ..self }
    }

    fn request(&self, method: &Method, path: &str) -> hyper::http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("x-openstack-ironic-api-version", VERSION);
        match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    /// Sends a request; the status and the answer, null if it is empty.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let bytes = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = self.request(&method, path).body(Full::new(bytes))?;
        let exchange = async {
            let answer = self.client.request(request).await?;
            let status = answer.status().as_u16();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|error| anyhow::anyhow!(error))?
                .to_bytes();
            let value = if body.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&body)?
            };
            anyhow::Ok((status, value))
        };
        tokio::time::timeout(LIMIT, exchange)
            .await
            .with_context(|| {
                format!(
                    "{method} {path} was not answered within {} s",
                    LIMIT.as_secs()
                )
            })?
            .with_context(|| format!("{method} {path} failed"))
    }

    /// Writes the answer to a new file, whole or not at all; how many bytes it has.
    pub(crate) async fn download(&self, path: &str, file: &Path) -> anyhow::Result<u64> {
        if file.exists() {
            bail!("{} is there already", file.display());
        }
        let request = self.request(&Method::GET, path).body(Full::default())?;
        let answer = tokio::time::timeout(LIMIT, self.client.request(request))
            .await
            .with_context(|| format!("{} did not answer in time", self.base))?
            .with_context(|| format!("{} does not answer", self.base))?;
        let (status, mut body) = (answer.status(), answer.into_body());
        if !status.is_success() {
            let text = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let text = text.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
            let value: Value = serde_json::from_slice(&text).unwrap_or_default();
            bail!("{}", value["error"].as_str().unwrap_or(status.as_str()));
        }
        let mut name = file.as_os_str().to_owned();
        name.push(".part");
        let draft = PathBuf::from(name);
        let mut out = tokio::fs::File::create(&draft)
            .await
            .with_context(|| format!("could not write {}", draft.display()))?;
        let mut bytes = 0;
        while let Some(frame) = tokio::time::timeout(LIMIT, body.frame())
            .await
            .context("the answer does not go on")?
        {
            if let Some(data) = frame.context("the answer broke off")?.data_ref() {
                bytes += data.len() as u64;
                out.write_all(data).await?;
            }
        }
        out.sync_all().await?;
        tokio::fs::rename(&draft, file).await?;
        Ok(bytes)
    }

    /// As [`Json::send`], for a request that has to succeed. A 503 is repeated: the cluster is electing.
    pub(crate) async fn must(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> anyhow::Result<Value> {
        for _ in 0..20 {
            let (status, answer) = self.send(method.clone(), path, body.clone()).await?;
            match status {
                200..300 => return Ok(answer),
                503 => tokio::time::sleep(Duration::from_millis(250)).await,
                _ => bail!("{method} {path} was answered with {status}: {answer}"),
            }
        }
        bail!("{method} {path} was answered with 503 for too long")
    }
}
