//! BIOS settings, inventory, lights, subscriptions and virtual media: our client against the simulator.

use super::{BUDGET, client, target};
use baton_bmc::redfish::RedfishClient;
use baton_bmc::sim::redfish::{parts, personality};
use baton_bmc::sim::{Farm, FarmConfig, Layout};
use baton_model::driver::redfish::RedfishTarget;
use baton_model::json::Json;
use baton_model::node::boot::BootMode;
use baton_model::port::bmc::{BmcError, PowerAction};
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Findings, Glow, Inquiry, Inventory, Light, Part};
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// One machine of each maker that the simulator imitates, and a client.
struct World {
    farm: Farm,
    client: RedfishClient,
    targets: Vec<Arc<RedfishTarget>>,
}

impl World {
    async fn start(third: u8) -> Self {
        let config = FarmConfig {
            redfish: 5,
            personalities: personality::ALL.to_vec(),
            tls: false,
            redfish_layout: Layout::Addresses {
                first: Ipv4Addr::new(127, 2, third, 1),
                port: 0,
            },
            ..FarmConfig::default()
        };
        let farm = Farm::start(config).await.expect("a farm");
        let targets = farm.machines().map(|machine| {
            let extra = json!({
                "redfish_password": "password", "redfish_system_id": machine.redfish_system_id,
            });
            target(
                machine.redfish.as_deref().expect("it speaks Redfish"),
                extra,
            )
        });
        let targets = targets.collect();
        Self {
            targets,
            farm,
            client: client(),
        }
    }

    async fn ask(&self, target: &Arc<RedfishTarget>, inquiry: Inquiry) -> Disclosure {
        let told = self.client.ask(target, inquiry, BUDGET).await;
        told.unwrap_or_else(|error| panic!("{inquiry}: {error}"))
    }

    async fn chore(
        &self,
        target: &Arc<RedfishTarget>,
        chore: Chore,
        cargo: Value,
    ) -> Result<(), BmcError> {
        let cargo = Json::from_map(cargo.as_object().expect("an object"));
        self.client.chore(target, chore, &cargo, None, BUDGET).await
    }

    async fn findings(&self, target: &Arc<RedfishTarget>) -> Findings {
        match self.ask(target, Inquiry::Findings).await {
            Disclosure::Findings(findings) => findings,
            other => panic!("{other:?}"),
        }
    }

    async fn setting(&self, target: &Arc<RedfishTarget>, name: &str) -> Value {
        let bios = self.findings(target).await.bios.expect("it has a BIOS");
        bios.to_map()[name]["value"].clone()
    }

    async fn start_machine(&self, target: &Arc<RedfishTarget>) {
        for action in [PowerAction::Off, PowerAction::On] {
            let told = self.client.power_action(target, action, BUDGET).await;
            assert_eq!(told, Ok(()), "{action}");
        }
    }

    async fn lights(&self, target: &Arc<RedfishTarget>) -> Vec<Light> {
        match self.ask(target, Inquiry::Lights).await {
            Disclosure::Lights(lights) => lights,
            other => panic!("{other:?}"),
        }
    }

    async fn subscriptions(&self, target: &Arc<RedfishTarget>) -> Value {
        match self.ask(target, Inquiry::Subscriptions).await {
            Disclosure::Subscriptions(all) => Value::Object(all.to_map()),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bios_settings_change_with_the_next_start_and_go_back_to_the_factorys() {
    let world = World::start(11).await;
    for target in &world.targets {
        let wanted = json!({"ProcVirtualization": "False", "NumaNodesPerSocket": "4", "BootRetry": "Disabled"});
        assert_eq!(world.chore(target, Chore::ApplyBios, wanted).await, Ok(()));
        assert_eq!(
            world.setting(target, "BootRetry").await,
            "Enabled",
            "nothing has started"
        );
        world.start_machine(target).await;
        assert_eq!(world.setting(target, "ProcVirtualization").await, "False");
        assert_eq!(world.setting(target, "NumaNodesPerSocket").await, "4");
        assert_eq!(world.setting(target, "BootRetry").await, "Disabled");

        assert_eq!(
            world.chore(target, Chore::ResetBios, json!({})).await,
            Ok(())
        );
        assert!(world.findings(target).await.reset_pending);
        world.start_machine(target).await;
        assert!(!world.findings(target).await.reset_pending);
        assert_eq!(world.setting(target, "ProcVirtualization").await, "True");

        let unknown = world
            .chore(target, Chore::ApplyBios, json!({"Colour": "red"}))
            .await;
        let told = unknown.expect_err("it has no such setting").to_string();
        assert!(told.contains("Colour"), "{told}");
        let odd = world
            .chore(
                target,
                Chore::ApplyBios,
                json!({"ProcVirtualization": "maybe"}),
            )
            .await;
        assert!(matches!(odd, Err(BmcError::Declined { .. })), "{odd:?}");
    }
    world.farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_tells_what_it_is_made_of() {
    let world = World::start(12).await;
    for (number, target) in (0..).zip(&world.targets) {
        let Disclosure::Inventory(found) = world.ask(target, Inquiry::Inventory).await else {
            panic!("another answer");
        };
        let Inventory {
            memory_mb,
            cpus,
            cpu_arch,
            local_gb,
            boot_mode,
            macs,
            document,
            ..
        } = found;
        assert_eq!((memory_mb, cpus, local_gb), (Some(65_536), Some(32), 479));
        assert_eq!(
            (cpu_arch.as_deref(), boot_mode),
            (Some("x86_64"), Some(BootMode::Uefi))
        );
        let wanted = [1, 2].map(|interface| parts::mac(number, interface).to_lowercase().into());
        assert_eq!(macs, wanted, "the third is switched off");
        let document = document.to_map();
        assert_eq!(document["interfaces"].as_array().map(Vec::len), Some(3));
        assert_eq!(document["disks"][0]["rotational"], false);
        assert_eq!(
            document["system_vendor"]["serial_number"],
            format!("SIM{number:07}")
        );
    }
    world.farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lights_are_found_and_switched() {
    let world = World::start(13).await;
    for target in &world.targets {
        let lights = world.lights(target).await;
        let parts: Vec<Part> = lights.iter().map(|light| light.part).collect();
        assert_eq!(parts, [Part::System, Part::Chassis]);
        for light in &lights {
            assert_eq!(light.glow, Glow::Off);
            let cargo = json!({"part": light.part.as_str(), "id": &*light.id, "glow": "on"});
            assert_eq!(world.chore(target, Chore::Light, cargo).await, Ok(()));
        }
        let lit = world.lights(target).await;
        assert!(lit.iter().all(|light| light.glow == Glow::On), "{lit:?}");
        let cargo = json!({"part": "system", "id": "other", "glow": "on"});
        assert!(world.chore(target, Chore::Light, cargo).await.is_err());
    }
    world.farm.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_and_virtual_media_come_and_go() {
    let world = World::start(14).await;
    let target = &world.targets[0];
    let wish = json!({
        "Destination": "https://listener/x", "Protocol": "Redfish", "EventTypes": ["Alert"],
        "HttpHeaders": [{"Authorization": "Bearer s3cret"}],
    });
    assert_eq!(world.chore(target, Chore::Subscribe, wish).await, Ok(()));
    let all = world.subscriptions(target).await;
    assert_eq!(all["collection"]["Members@odata.count"], 1);
    assert_eq!(all["by_id"]["1"]["Destination"], "https://listener/x");
    assert!(!all.to_string().contains("s3cret"), "{all}");
    for id in ["2", "../../Managers/1", ""] {
        let cargo = json!({ "id": id });
        assert!(
            world
                .chore(target, Chore::Unsubscribe, cargo)
                .await
                .is_err(),
            "{id}"
        );
    }
    let cargo = json!({"id": "1"});
    assert_eq!(world.chore(target, Chore::Unsubscribe, cargo).await, Ok(()));
    let all = world.subscriptions(target).await;
    assert_eq!(all["collection"]["Members@odata.count"], 0);

    assert_eq!(
        world.chore(target, Chore::EjectMedia, json!({})).await,
        Ok(())
    );
    let cargo = json!({"boot_device": "cd"});
    assert_eq!(world.chore(target, Chore::EjectMedia, cargo).await, Ok(()));
    let cargo = json!({"boot_device": "usb"});
    let told = world.chore(target, Chore::EjectMedia, cargo).await;
    assert!(
        matches!(told, Err(BmcError::Unsupported { .. })),
        "{told:?}"
    );
    let raw = world.chore(target, Chore::Raw, json!({})).await;
    assert!(matches!(raw, Err(BmcError::Unsupported { .. })), "{raw:?}");
    world.farm.stop().await;
}
