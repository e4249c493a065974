//! Enrolls the simulated machines through the public API, several at a time.

use super::conductors::{Conductor, Layout};
use crate::http::Json;
use anyhow::{Context as _, bail};
use baton_bmc::sim::{Farm, MachineInfo};
use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the cluster may take to elect a leader and to own nodes.
const READY_LIMIT: Duration = Duration::from_secs(60);

/// How long one machine may take from its creation to `available`.
const MACHINE_LIMIT: Duration = Duration::from_secs(60);

/// Machines enrolled at once.
const AT_ONCE: usize = 32;

const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits until every conductor is alive in the API of the first one.
pub(super) async fn wait_until_ready(
    layout: &Layout,
    cluster: &mut [Conductor],
) -> anyhow::Result<()> {
    let api = Json::new(format!("http://127.0.0.1:{}", layout.api_port(1)));
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        for conductor in cluster.iter_mut() {
            conductor.check()?;
        }
        if let Ok((200, answer)) = api.send(Method::GET, "/v1/conductors", None).await {
            let alive = answer["conductors"].as_array().map_or(0, |all| {
                all.iter().filter(|one| one["alive"] == true).count()
            });
            if alive == cluster.len() {
                return Ok(());
            }
        }
        if Instant::now() > deadline {
            bail!(
                "the conductors did not become ready within {} s; see their logs",
                READY_LIMIT.as_secs()
            );
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Enrolls what is not enrolled yet; the number of machines that are.
pub(super) async fn enroll(layout: &Layout, farm: &Farm, ca: &Path) -> anyhow::Result<usize> {
    let mut tasks = JoinSet::new();
    let mut count = 0;
    for (machine, conductor) in farm
        .machines()
        .zip(layout.numbers().collect::<Vec<_>>().into_iter().cycle())
    {
        if tasks.len() >= AT_ONCE
            && let Some(done) = tasks.join_next().await
        {
            done??;
        }
        let api = Json::new(format!("http://127.0.0.1:{}", layout.api_port(conductor)));
        let ca = ca.display().to_string();
        tasks.spawn(async move { enroll_one(&api, &machine, &ca).await });
        count += 1;
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(count)
}

async fn enroll_one(api: &Json, machine: &MachineInfo, ca: &str) -> anyhow::Result<()> {
    let name = &machine.name;
    let (status, _) = api
        .send(Method::GET, &format!("/v1/nodes/{name}"), None)
        .await?;
    if status != 200 {
        let mut body = json!({ "name": name, "resource_class": "baremetal" });
        match (&machine.ipmi, &machine.redfish) {
            (Some(address), _) => {
                body["driver"] = "ipmi".into();
                body["driver_info"] = json!({
                    "ipmi_address": address.ip().to_string(),
                    "ipmi_port": address.port(),
                    "ipmi_username": "admin",
                    "ipmi_password": "password",
                });
            }
            (None, Some(address)) => {
                body["driver"] = "redfish".into();
                body["driver_info"] = json!({
                    "redfish_address": address,
                    "redfish_username": "admin",
                    "redfish_password": "password",
                    "redfish_verify_ca": ca,
                });
                if let Some(system) = &machine.redfish_system_id {
                    body["driver_info"]["redfish_system_id"] = system.as_str().into();
                }
            }
            (None, None) => bail!("simulated machine {name} has no BMC"),
        }
        api.must(Method::POST, "/v1/nodes", Some(body)).await?;
    }
    reach(api, name)
        .await
        .with_context(|| format!("machine {name} could not be made available"))
}

/// Walks a node to `available`.
async fn reach(api: &Json, name: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + MACHINE_LIMIT;
    let path = format!("/v1/nodes/{name}/states/provision");
    while Instant::now() < deadline {
        let node = api
            .must(Method::GET, &format!("/v1/nodes/{name}"), None)
            .await?;
        let target = match (
            node["provision_state"].as_str(),
            node["last_error"].as_str(),
        ) {
            (Some("enroll"), Some(error)) => bail!("{error}"),
            (Some("enroll"), None) => Some("manage"),
            (Some("manageable"), _) => Some("provide"),
            (Some("available"), _) if node["power_state"] != Value::Null => return Ok(()),
            _ => None,
        };
        if let Some(target) = target {
            // A refusal means that the node has moved meanwhile; look again.
            api.send(Method::PUT, &path, Some(json!({ "target": target })))
                .await?;
        }
        tokio::time::sleep(LOOK_EVERY / 2).await;
    }
    bail!("it took longer than {} s", MACHINE_LIMIT.as_secs())
}
