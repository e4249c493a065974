//! Asks a running conductor on its admin endpoint.

use super::AdminArgs;
use crate::http::{Json, authorities};
use anyhow::{Context as _, bail};
use hyper::Method;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// How long a conductor that leaves may take to hand over and end.
const LEAVE_LIMIT: Duration = Duration::from_secs(90);

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The admin endpoint of one conductor.
pub(super) struct Remote {
    json: Json,
    address: String,
}

impl Remote {
    pub(super) fn new(args: &AdminArgs) -> anyhow::Result<Self> {
        let config = args.config.load()?;
        let address = match &args.admin {
            Some(address) => address.clone(),
            None => reachable(config.admin.listen).to_string(),
        };
        let admin = &config.admin;
        let json = match admin.ca_file.as_ref().or(admin.cert_file.as_ref()) {
            Some(file) => {
                // Its own listener it knows by its host name, which is what its certificate is for.
                let own = || {
                    ServerName::try_from(config.host()).with_context(|| {
                        let host = config.host();
                        format!(
                            "`[DEFAULT] host` = {host} is no name that a certificate can be for"
                        )
                    })
                };
                let name = args.admin.is_none().then(own).transpose()?;
                Json::believing(format!("https://{address}"), authorities(file)?, name)
            }
            None => Json::new(format!("http://{address}")),
        };
        let token = admin.token.as_ref().map(|token| token.expose().clone());
        let json = json.with_token(token);
        Ok(Self { json, address })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let (status, answer) = self
            .json
            .send(method, path, body)
            .await
            .with_context(|| {
                format!(
                    "no conductor answers on the admin endpoint {}; name another with --admin HOST:PORT",
                    self.address
                )
            })?;
        if (200..300).contains(&status) {
            return Ok(answer);
        }
        match answer["error"].as_str() {
            Some(error) => bail!("{error}"),
            None => bail!("{} answered with {status}: {answer}", self.address),
        }
    }

    async fn post(&self, path: &str, body: Value) -> anyhow::Result<Value> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// The cluster and its members in one document.
    pub(super) async fn status(&self) -> anyhow::Result<Value> {
        let mut cluster = self.ask(Method::GET, "/admin/v1/cluster", None).await?;
        let members = self.ask(Method::GET, "/admin/v1/members", None).await?;
        cluster["members"] = members["members"].clone();
        cluster["unowned_nodes"] = members["unowned_nodes"].clone();
        Ok(cluster)
    }

    pub(super) async fn leave(&self) -> anyhow::Result<String> {
        let answer = self.post("/admin/v1/cluster/leave", json!({})).await?;
        let deadline = Instant::now() + LEAVE_LIMIT;
        while Instant::now() < deadline {
            let asked = self.json.send(Method::GET, "/admin/v1/cluster", None).await;
            if asked.is_err() {
                return Ok(format!(
                    "conductor {} hands over, leaves and ends; its log says where its data is now",
                    answer["leaving"]
                ));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        bail!(
            "conductor {} still answers after {} s; see its log",
            answer["leaving"],
            LEAVE_LIMIT.as_secs()
        )
    }

    pub(super) async fn remove(&self, conductor: &str, force: bool) -> anyhow::Result<String> {
        let body = json!({"conductor": conductor, "force": force});
        let answer = self.post("/admin/v1/cluster/remove", body).await?;
        Ok(format!(
            "conductor {} is no member any more",
            answer["removed"]
        ))
    }

    pub(super) async fn transfer(&self, conductor: Option<&str>) -> anyhow::Result<String> {
        let body = match conductor {
            Some(conductor) => json!({"conductor": conductor}),
            None => json!({}),
        };
        let answer = self.post("/admin/v1/cluster/transfer-leader", body).await?;
        Ok(format!("conductor {} leads now", answer["leader"]))
    }

    pub(super) async fn backup(&self, file: &Path, stale: bool) -> anyhow::Result<String> {
        let path = format!("/admin/v1/cluster/backup?stale={stale}");
        let bytes = self.json.download(&path, file).await?;
        Ok(format!("{bytes} bytes are in {}", file.display()))
    }
}

/// Where a listener on all addresses is reached from its own machine.
fn reachable(listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), listen.port())
    } else {
        listen
    }
}
