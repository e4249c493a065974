//! The client: batches of power events out, results back; and what the service records of servers.

use crate::answer;
use crate::catalog;
use crate::http::{Answer, Http, NoAnswer};
use crate::identity::{Identity, Token};
use crate::options::{ComputeOptions, OptionsError};
use baton_model::env::Entropy;
use baton_model::node::power::PowerState;
use baton_model::port::BoxFuture;
use baton_model::port::compute::{
    Compute, ComputeError, ItemResult, MaySend, PowerUpdate, ServerPower,
};
use bytes::Bytes;
use futures_util::future::try_join_all;
use http_body_util::Full;
use hyper::Request;
use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// The microversion that brought `power-update` (Nova 20.0.0, Train).
const MICROVERSION: &str = "2.76";

#[derive(Serialize)]
struct Body<'a> {
    events: &'a [Event],
}

#[derive(Serialize)]
struct Event {
    name: &'static str,
    server_uuid: Uuid,
    tag: &'static str,
}

/// A client of one compute service.
pub struct NovaClient {
    options: ComputeOptions,
    http: Http,
    identity: Option<Identity>,
    entropy: Arc<dyn Entropy>,
}

/// Where to send a request, and with which token.
struct Access {
    base: String,
    token: Option<Arc<Token>>,
}

impl NovaClient {
    /// A client; it opens no connection yet.
    ///
    /// # Errors
    /// Files that the options name are of no use.
    pub fn new(options: ComputeOptions, entropy: Arc<dyn Entropy>) -> Result<Self, OptionsError> {
        let http = Http::new(&options)?;
        let identity = options
            .auth
            .as_ref()
            .map(|(url, method)| Identity::new(url, method.clone()));
        Ok(Self {
            options,
            http,
            identity,
            entropy,
        })
    }

    async fn access(&self) -> Result<Access, ComputeError> {
        match &self.identity {
            Some(identity) => {
                let token = identity.token(&self.http, &self.options).await?;
                Ok(Access {
                    base: token.endpoint.clone(),
                    token: Some(token),
                })
            }
            None => Ok(Access {
                base: catalog::base(self.options.endpoint.as_deref().unwrap_or_default()),
                token: None,
            }),
        }
    }

    /// Sends what `make` makes; after a 401 once more with a fresh token. `may_send` is asked each time, after the wait
    /// for a token and right before the request leaves.
    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: &Bytes,
        may_send: MaySend<'_>,
    ) -> Result<Answer, ComputeError> {
        let mut refused = false;
        loop {
            let access = self.access().await?;
            let request = self.request(method, path, body.clone(), &access)?;
            if !may_send() {
                return Err(ComputeError::Withheld);
            }
            let answer = self.http.exchange(request).await.map_err(no_answer)?;
            let (401, false, Some(identity), Some(token)) =
                (answer.status, refused, &self.identity, &access.token)
            else {
                return Ok(answer);
            };
            refused = true;
            identity.forget(token).await;
        }
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        body: Bytes,
        access: &Access,
    ) -> Result<Request<Full<Bytes>>, ComputeError> {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.entropy.next_u64().to_be_bytes());
        bytes[8..].copy_from_slice(&self.entropy.next_u64().to_be_bytes());
        let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", access.base))
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .header("openstack-api-version", format!("compute {MICROVERSION}"))
            .header("x-openstack-nova-api-version", MICROVERSION)
            .header("x-openstack-request-id", format!("req-{id}"));
        if let Some(token) = &access.token {
            request = request.header("x-auth-token", token.secret.expose());
        }
        request.body(Full::new(body)).map_err(|error| {
            let reason = format!("the address {}{path} is of no use: {error}", access.base);
            ComputeError::Refused {
                code: 0,
                reason: reason.into(),
            }
        })
    }
}

fn no_answer(NoAnswer { trouble, reason }: NoAnswer) -> ComputeError {
    ComputeError::Unavailable {
        trouble,
        reason: reason.into(),
        retry_after: None,
    }
}

/// The body of a batch. Events for states that are neither on nor off do not exist.
fn body(batch: &[PowerUpdate]) -> Bytes {
    let event = |update: &PowerUpdate| Event {
        name: "power-update",
        server_uuid: update.instance,
        tag: if update.state == PowerState::On {
            "POWER_ON"
        } else {
            "POWER_OFF"
        },
    };
    let events: Vec<Event> = batch.iter().map(event).collect();
    let body = Body { events: &events };
    serde_json::to_vec(&body)
        .expect("strings and lists of them always make JSON")
        .into()
}

impl Compute for NovaClient {
    fn power_update<'a>(
        &'a self,
        batch: &'a [PowerUpdate],
        may_send: MaySend<'a>,
    ) -> BoxFuture<'a, Result<Vec<ItemResult>, ComputeError>> {
        Box::pin(async move {
            let path = "/os-server-external-events";
            let answer = self.ask("POST", path, &body(batch), may_send).await?;
            answer::events(batch, &answer)
        })
    }

    fn server_power<'a>(
        &'a self,
        servers: &'a [Uuid],
    ) -> BoxFuture<'a, Result<Vec<ServerPower>, ComputeError>> {
        Box::pin(async move {
            let one = |server: &'a Uuid| async move {
                let path = format!("/servers/{server}");
                let answer = self.ask("GET", &path, &Bytes::new(), &|| true).await?;
                answer::server(&answer)
            };
            try_join_all(servers.iter().map(one)).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_what_nova_reads() {
        let batch = [(1, PowerState::On), (2, PowerState::Off)].map(|(n, state)| PowerUpdate {
            instance: Uuid::from_u128(n),
            state,
        });
        assert_eq!(
            &body(&batch)[..],
            br#"{"events":[{"name":"power-update","server_uuid":"00000000-0000-0000-0000-000000000001","tag":"POWER_ON"},{"name":"power-update","server_uuid":"00000000-0000-0000-0000-000000000002","tag":"POWER_OFF"}]}"#
        );
        let full: Vec<PowerUpdate> = (0..1000)
            .map(|n| PowerUpdate {
                instance: Uuid::from_u128(n),
                state: PowerState::Off,
            })
            .collect();
        // oslo.middleware, `max_request_body_size`.
        assert!(body(&full).len() < 114_688);
    }
}
