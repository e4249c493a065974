//! A small JSON client for `baton dev`: it enrolls machines through the public API, as any client would.

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use std::time::Duration;

/// Largest answer that is read: a page of a thousand nodes has about a megabyte.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How long one request may take: a failover, and the node's lock.
const LIMIT: Duration = Duration::from_secs(20);

/// The microversion that is asked for: the newest.
const VERSION: &str = "1.115";

/// Speaks to one API.
#[derive(Clone)]
pub(crate) struct Json {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
}

impl Json {
    pub(crate) fn new(base: String) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            base,
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
        let request = Request::builder()
            .method(&method)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("x-openstack-ironic-api-version", VERSION)
            .body(Full::new(bytes))?;
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

    /// The same, for a request that has to succeed. A 503 is repeated: the cluster is electing.
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
