//! Our client against `sushy-emulator` (PyPI `sushy-tools`) with its fake driver: the server that OpenStack's own
//! Redfish library is tested with. It answers in HTTP/1.0 and applies power changes some seconds later.
//!
//! Looked for in `$BATON_VENV/bin`, then in `.venv/bin` of the workspace, then in `PATH`.

use super::tls::Authority;
use super::{BUDGET, PASSWORD, client, target, until};
use baton_bmc::redfish::RedfishClient;
use baton_model::driver::redfish::RedfishTarget;
use baton_model::json::Json;
use baton_model::node::boot::{BootDevice, BootMode, BootOrder};
use baton_model::port::bmc::{BmcError, PowerAction, PowerReading};
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Inquiry};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::{Child, Command};

/// bcrypt of [`PASSWORD`], at the lowest cost.
const PASSWORD_HASH: &str = "$2b$04$ndh8GIRUggRxsCeW7/jOverUYhhid81Jr6yNzMWtxA8nEMUpJ2t6y";

/// A running emulator; killed when dropped.
struct Emulator {
    origin: String,
    authority: Authority,
    _process: Child,
}

#[derive(Clone, Copy, Default)]
struct Options {
    tls: bool,
    basic_auth: bool,
}

fn program() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv");
    let venv = std::env::var_os("BATON_VENV").map(PathBuf::from);
    [venv, Some(workspace)]
        .into_iter()
        .flatten()
        .map(|venv| venv.join("bin/sushy-emulator"))
        .find(|program| program.is_file())
        .unwrap_or_else(|| PathBuf::from("sushy-emulator"))
}

impl Emulator {
    async fn start(options: Options) -> Self {
        let authority = Authority::new();
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("bound").port()
        };
        let state = authority.dir.path().join("state");
        std::fs::create_dir(&state).expect("made");
        let mut config = format!(
            "SUSHY_EMULATOR_FAKE_DRIVER = True\n\
             SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n\
             SUSHY_EMULATOR_LISTEN_PORT = {port}\n\
             SUSHY_EMULATOR_STATE_DIR = '{}'\n",
            state.display()
        );
        if options.tls {
            let identity = authority.issue("127.0.0.1");
            let certificate = authority.write("server.pem", &identity.certificate);
            let key = authority.write("server.key", &identity.key);
            config.push_str(&format!(
                "SUSHY_EMULATOR_SSL_CERT = '{}'\nSUSHY_EMULATOR_SSL_KEY = '{}'\n",
                certificate.display(),
                key.display()
            ));
        }
        if options.basic_auth {
            let users = authority.write("htpasswd", &format!("admin:{PASSWORD_HASH}\n"));
            config.push_str(&format!(
                "SUSHY_EMULATOR_AUTH_FILE = '{}'\n",
                users.display()
            ));
        }
        let config = authority.write("emulator.conf", &config);
        let process = Command::new(program())
            .arg("--config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("sushy-emulator must be installed: `pip install sushy-tools` into .venv");
        until("the emulator listens", || async move {
            tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_ok()
        })
        .await;
        let scheme = if options.tls { "https" } else { "http" };
        Self {
            origin: format!("{scheme}://127.0.0.1:{port}"),
            authority,
            _process: process,
        }
    }

    fn target(&self, extra: Value) -> Arc<RedfishTarget> {
        target(&self.origin, extra)
    }
}

async fn becomes(client: &RedfishClient, target: &Arc<RedfishTarget>, wanted: PowerReading) {
    until("the emulator has applied the power change", || async {
        client.power_state(target, BUDGET).await == Ok(wanted)
    })
    .await;
}

#[tokio::test]
async fn drives_the_emulator_through_every_power_action() {
    let emulator = Emulator::start(Options::default()).await;
    let (client, target) = (client(), emulator.target(json!({})));
    assert_eq!(
        client.power_state(&target, BUDGET).await,
        Ok(PowerReading::Off)
    );
    let identity = client.identify(&target, BUDGET).await.expect("identified");
    assert_eq!(identity.vendor.as_deref(), Some("Sushy Emulator"));
    for (action, wanted) in [
        (PowerAction::On, PowerReading::On),
        (PowerAction::SoftOff, PowerReading::Off),
        (PowerAction::On, PowerReading::On),
        // On and settled only after a while.
        (PowerAction::Reset, PowerReading::PoweringOn),
        (PowerAction::Off, PowerReading::Off),
    ] {
        assert_eq!(
            client.power_action(&target, action, BUDGET).await,
            Ok(()),
            "{action}"
        );
        becomes(&client, &target, wanted).await;
    }
}

#[tokio::test]
async fn tells_the_emulator_what_to_boot_from_and_how() {
    let emulator = Emulator::start(Options::default()).await;
    let (client, target) = (client(), emulator.target(json!({})));
    for device in [BootDevice::Cdrom, BootDevice::Disk, BootDevice::Pxe] {
        let order = BootOrder {
            device,
            persistent: true,
            mode: BootMode::Uefi,
        };
        let told = client.power_action(&target, PowerAction::BootFrom(order), BUDGET);
        assert_eq!(told.await, Ok(()), "{device}");
        let state = client.boot_state(&target, BUDGET).await.expect("it tells");
        assert_eq!(state.device, Some(device));
        assert_eq!(state.persistent, Some(true));
    }
    for mode in [BootMode::Bios, BootMode::Uefi] {
        let told = client.power_action(&target, PowerAction::BootMode(mode), BUDGET);
        assert_eq!(told.await, Ok(()), "{mode}");
        let state = client.boot_state(&target, BUDGET).await.expect("it tells");
        assert_eq!(state.mode, Some(mode));
    }
    for on in [true, false] {
        let told = client.power_action(&target, PowerAction::SecureBoot(on), BUDGET);
        assert_eq!(told.await, Ok(()), "secure boot {on}");
        let state = client.boot_state(&target, BUDGET).await.expect("it tells");
        assert_eq!(state.secure_boot, Some(on));
    }
}

#[tokio::test]
async fn asks_the_emulator_what_its_machine_is_made_of_and_changes_its_bios() {
    let emulator = Emulator::start(Options::default()).await;
    let (client, target) = (client(), emulator.target(json!({})));
    let found = client.ask(&target, Inquiry::Inventory, BUDGET).await;
    let Ok(Disclosure::Inventory(found)) = found else {
        panic!("{found:?}");
    };
    assert!(found.document.to_map().contains_key("cpu"), "{found:?}");
    let Ok(Disclosure::Findings(before)) = client.ask(&target, Inquiry::Findings, BUDGET).await
    else {
        panic!("no findings");
    };
    let Some(name) = before
        .bios
        .and_then(|bios| bios.to_map().keys().next().cloned())
    else {
        // The fake driver of this version has no BIOS.
        return;
    };
    let wish = Json::parse(&json!({ name: "changed" }).to_string()).expect("JSON");
    let told = client
        .chore(&target, Chore::ApplyBios, &wish, None, BUDGET)
        .await;
    assert_eq!(told, Ok(()));
    let told = client
        .chore(&target, Chore::ResetBios, &Json::EMPTY, None, BUDGET)
        .await;
    assert_eq!(told, Ok(()));
}

#[tokio::test]
async fn logs_in_to_the_emulator_with_basic_and_is_refused_with_a_wrong_password() {
    let emulator = Emulator::start(Options {
        basic_auth: true,
        ..Options::default()
    })
    .await;
    for auth in ["basic", "auto"] {
        let right = emulator.target(json!({ "redfish_auth_type": auth }));
        assert_eq!(
            client().power_state(&right, BUDGET).await,
            Ok(PowerReading::Off),
            "{auth}"
        );
        let wrong =
            emulator.target(json!({"redfish_auth_type": auth, "redfish_password": "wrong-one"}));
        let error = client()
            .power_state(&wrong, BUDGET)
            .await
            .expect_err("refused");
        assert!(matches!(error, BmcError::Refused { .. }), "{auth}: {error}");
        assert!(!error.to_string().contains(PASSWORD) && !error.to_string().contains("wrong-one"));
    }
}

#[tokio::test]
async fn speaks_tls_with_the_emulator_with_and_without_a_check() {
    let emulator = Emulator::start(Options {
        tls: true,
        ..Options::default()
    })
    .await;
    for verify in [json!(emulator.authority.ca_file()), json!(false)] {
        let target = emulator.target(json!({ "redfish_verify_ca": verify }));
        assert_eq!(
            client().power_state(&target, BUDGET).await,
            Ok(PowerReading::Off)
        );
    }
    let strict = emulator.target(json!({}));
    let error = client()
        .power_state(&strict, BUDGET)
        .await
        .expect_err("an unknown CA");
    assert!(matches!(error, BmcError::Tls { .. }), "{error}");
}
