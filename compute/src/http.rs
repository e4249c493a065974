//! One HTTP exchange within a bounded time, with what went wrong told apart.

use crate::options::{ComputeOptions, OptionsError};
use crate::tls;
use baton_model::port::compute::Trouble;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{HeaderMap, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error as _;
use std::time::Duration;

/// Largest answer that is read. That to a thousand events has 150 KB; a catalog of a large cloud has 100 KB.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Idle connections are closed before servers and load balancers do it (Apache's default is 5 s, HAProxy's 10 s and more).
const IDLE_MAX: Duration = Duration::from_secs(4);

/// An answer, whatever its status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// No answer.
#[derive(Debug)]
pub(crate) struct NoAnswer {
    pub(crate) trouble: Trouble,
    pub(crate) reason: String,
}

/// A client for both services. Connections are kept for the next request.
pub(crate) struct Http {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

impl Http {
    pub(crate) fn new(options: &ComputeOptions) -> Result<Self, OptionsError> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(options)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_MAX)
            .build(connector);
        Ok(Self {
            client,
            timeout: options.timeout,
        })
    }

    /// Sends a request and reads its answer; both within the time limit.
    pub(crate) async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, NoAnswer> {
        let whole = async {
            let answer = self.client.request(request).await.map_err(|error| {
                let trouble = if error.is_connect() {
                    Trouble::Unreachable
                } else {
                    Trouble::Reset
                };
                let mut reason = error.to_string();
                let mut source = error.source();
                while let Some(cause) = source {
                    reason = format!("{reason}: {cause}");
                    source = cause.source();
                }
                NoAnswer { trouble, reason }
            })?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| NoAnswer {
                trouble: Trouble::Reset,
                reason: format!("the answer broke off: {error}"),
            })?;
            Ok(Answer {
                status: head.status.as_u16(),
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        match tokio::time::timeout(self.timeout, whole).await {
            Ok(result) => result,
            Err(_) => Err(NoAnswer {
                trouble: Trouble::Timeout,
                reason: format!("no answer within {} s", self.timeout.as_secs_f32()),
            }),
        }
    }
}
