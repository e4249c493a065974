//! Boot device, boot mode and secure boot: against the simulator, and against BMCs with odd ideas of versions.

use super::fake::{FakeBmc, error};
use super::server::{Reply, Seen, Server, answer};
use super::{BUDGET, client, target};
use baton_bmc::redfish::RedfishClient;
use baton_bmc::sim::redfish::personality;
use baton_bmc::sim::{Farm, FarmConfig, Layout};
use baton_model::driver::redfish::RedfishTarget;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder, BootState};
use baton_model::port::bmc::{BmcError, PowerAction};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

const SYSTEM: &str = "/redfish/v1/Systems/1";

const fn from(device: BootDevice, persistent: bool) -> PowerAction {
    PowerAction::BootFrom(BootOrder {
        device,
        persistent,
        mode: BootMode::Uefi,
    })
}

async fn state(client: &RedfishClient, target: &Arc<RedfishTarget>) -> BootState {
    client.boot_state(target, BUDGET).await.expect("it tells")
}

async fn act(client: &RedfishClient, target: &Arc<RedfishTarget>, action: PowerAction) {
    let told = client.power_action(target, action, BUDGET).await;
    assert_eq!(told, Ok(()), "{action}");
}

/// One machine of each maker that the simulator imitates: some send weak versions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_simulated_maker_boots_as_it_is_told() {
    let config = FarmConfig {
        redfish: 5,
        personalities: personality::ALL.to_vec(),
        tls: false,
        redfish_layout: Layout::Addresses {
            first: Ipv4Addr::new(127, 2, 9, 1),
            port: 0,
        },
        ..FarmConfig::default()
    };
    let farm = Farm::start(config).await.expect("a farm");
    let client = client();
    for machine in farm.machines() {
        let origin = machine.redfish.as_deref().expect("it speaks Redfish");
        let extra = json!({
            "redfish_password": "password", "redfish_system_id": machine.redfish_system_id,
        });
        let target = target(origin, extra);
        for device in [
            BootDevice::Pxe,
            BootDevice::Disk,
            BootDevice::Cdrom,
            BootDevice::Bios,
            BootDevice::UefiHttp,
        ] {
            for persistent in [true, false, false] {
                act(&client, &target, from(device, persistent)).await;
                let told = state(&client, &target).await;
                assert_eq!(told.device, Some(device));
                assert_eq!(told.persistent, Some(persistent));
            }
        }
        for mode in [BootMode::Bios, BootMode::Uefi] {
            act(&client, &target, PowerAction::BootMode(mode)).await;
            assert_eq!(state(&client, &target).await.mode, Some(mode));
        }
        for on in [true, false] {
            act(&client, &target, PowerAction::SecureBoot(on)).await;
            assert_eq!(state(&client, &target).await.secure_boot, Some(on));
        }
        let safe = from(BootDevice::Safe, false);
        let error = client.power_action(&target, safe, BUDGET).await;
        assert!(
            matches!(error, Err(BmcError::Unsupported { .. })),
            "{error:?}"
        );
    }
    farm.stop().await;
}

/// The changes that arrived: where, for which version, with what.
type Changes = Arc<Mutex<Vec<(String, Option<String>, Value)>>>;

/// A BMC whose system has a boot override and this version, and whose answer to a change is `judge`'s.
async fn with_judge(
    version: &'static str,
    judge: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
) -> (Server, Changes) {
    let (bmc, changes) = (FakeBmc::new(), Changes::default());
    let seen_changes = changes.clone();
    let server = Server::plain(move |seen: &Seen| {
        if seen.method == "PATCH" {
            let body = serde_json::from_str(&seen.body).expect("JSON");
            let version = seen.header("if-match").map(str::to_owned);
            let change = (seen.path.clone(), version, body);
            seen_changes.lock().expect("not poisoned").push(change);
            return judge(seen);
        }
        if seen.method == "GET" && seen.path.starts_with(SYSTEM) {
            let body = json!({
                "Manufacturer": "ACME", "PowerState": "On",
                "Boot": {
                    "BootSourceOverrideTarget": "None", "BootSourceOverrideEnabled": "Once",
                    "BootSourceOverrideMode": "UEFI",
                },
                "@Redfish.Settings": {"SettingsObject": {"@odata.id": format!("{SYSTEM}/Settings")}},
                "Actions": {"#ComputerSystem.Reset": {"target": format!("{SYSTEM}/Actions/ComputerSystem.Reset")}},
            });
            let version = [("ETag", version), ("Content-Type", "application/json")];
            return answer(200, &version, &body.to_string());
        }
        bmc.answer(seen)
    })
    .await;
    (server, changes)
}

async fn boot_from_disk(server: &Server) -> Result<(), BmcError> {
    let target = target(&server.origin, json!({}));
    let order = from(BootDevice::Disk, false);
    client().power_action(&target, order, BUDGET).await
}

fn versions(changes: &Changes) -> Vec<Option<String>> {
    let changes = changes.lock().expect("not poisoned");
    changes
        .iter()
        .map(|(_, version, _)| version.clone())
        .collect()
}

#[tokio::test]
async fn a_version_that_the_bmc_does_not_take_back_is_named_less_and_less() {
    let stale = || error(412, "Base.1.8.PreconditionFailed", "another version");
    let (server, changes) = with_judge("W/\"1\"", move |seen| {
        if seen.header("if-match").is_none() {
            answer(204, &[], "")
        } else {
            stale()
        }
    })
    .await;
    assert_eq!(boot_from_disk(&server).await, Ok(()));
    let weak_strong_none = [Some("W/\"1\"".to_owned()), Some("\"1\"".to_owned()), None];
    assert_eq!(versions(&changes), weak_strong_none);
    let boot = json!({"Boot": {"BootSourceOverrideTarget": "Hdd"}});
    assert_eq!(
        changes.lock().expect("not poisoned")[0].2,
        boot,
        "it is for one boot already"
    );

    let (server, changes) = with_judge("", move |_| stale()).await;
    let error = boot_from_disk(&server)
        .await
        .expect_err("there was nothing left to try");
    assert!(matches!(error, BmcError::Declined { .. }), "{error}");
    assert_eq!(versions(&changes), [None], "an empty version is none");
}

#[tokio::test]
async fn a_system_that_cannot_be_changed_is_changed_through_its_settings() {
    let (server, changes) = with_judge("\"7\"", |seen| {
        if seen.path.ends_with("/Settings") {
            answer(202, &[], "")
        } else {
            error(405, "Base.1.8.OperationNotAllowed", "not here")
        }
    })
    .await;
    assert_eq!(boot_from_disk(&server).await, Ok(()));
    let changes = changes.lock().expect("not poisoned");
    let paths: Vec<&str> = changes.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths, [SYSTEM.to_owned(), format!("{SYSTEM}/Settings")]);
}

#[tokio::test]
async fn a_machine_that_is_starting_is_busy_and_an_odd_value_is_declined() {
    let (server, _) = with_judge("\"7\"", |_| {
        error(
            400,
            "iLO.2.14.UnableToModifyDuringSystemPOST",
            "it is in POST",
        )
    })
    .await;
    let told = boot_from_disk(&server).await;
    assert!(matches!(told, Err(BmcError::Busy { .. })), "{told:?}");
    let (server, _) = with_judge("\"7\"", |_| {
        error(400, "Base.1.8.PropertyValueNotInList", "not for ever")
    })
    .await;
    let told = boot_from_disk(&server).await;
    assert!(matches!(told, Err(BmcError::Declined { .. })), "{told:?}");
}
