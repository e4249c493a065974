//! Machines that share their power: whom an actor asks first, and what it makes of the answer.

use super::*;

/// An active machine at `10.0.0.<n>` that hangs in `parent`, in this power state.
fn child(world: &World, n: u8, parent: NodeId, power: PowerState, own_supply: bool) -> NodeId {
    let id = NodeId(Uuid::from_u128(u128::from(n)));
    let mut record = NodeRecord::new(id, "ipmi".into(), WallMs(0));
    record.interfaces.power = "ipmitool".into();
    record.provision_state = ProvisionState::Active;
    record.power_state = Some(power);
    record.parent_node = Some(parent);
    let info = format!(
        "{{\"ipmi_address\": \"10.0.0.{n}\", \"has_dedicated_power_supply\": {own_supply}}}"
    );
    record.driver_info = Json::parse(&info).expect("valid");
    world.cluster.commit(Command::NodeCreate(Box::new(record)));
    id
}

/// The one conductor of a world, which asks itself about the relatives of its nodes.
async fn alone(world: &World, nodes: usize) -> Conductor {
    let only = world.conductor(1);
    only.shared.set_gateway(only.registry.clone());
    only.is_up().await;
    eventually(|| only.registry.len() == nodes).await;
    only
}

fn acted(world: &World, n: u8) -> Vec<PowerAction> {
    let address = format!("10.0.0.{n}");
    world
        .machines
        .with(&address, |machine| machine.acted.clone())
}

#[tokio::test(start_paused = true)]
async fn a_parent_is_on_before_its_child_is_switched_on() {
    local(async {
        let world = World::new();
        let parent = world.node(1);
        let blade = child(&world, 2, parent, PowerState::Off, false);
        for address in ["10.0.0.1", "10.0.0.2"] {
            let off = |machine: &mut crate::testkit::TestMachine| machine.power = PowerReading::Off;
            world.machines.with(address, off);
        }
        let only = alone(&world, 2).await;
        only.power(parent, PowerRequest::Off).await.expect("taken");
        eventually(|| world.is_settled(parent, PowerState::Off)).await;
        let before = acted(&world, 1).len();

        only.power(blade, PowerRequest::On).await.expect("taken");
        eventually(|| {
            let parent_acted = acted(&world, 1).len() > before;
            assert!(parent_acted || acted(&world, 2).is_empty(), "too early");
            world.is_settled(blade, PowerState::On)
        })
        .await;
        assert!(world.is_settled(parent, PowerState::On));
        assert_eq!(acted(&world, 2), vec![PowerAction::On]);
        assert_eq!(world.record(blade).last_error, None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn children_go_off_first_save_those_with_a_supply_of_their_own() {
    local(async {
        let world = World::new();
        let parent = world.node(1);
        let blade = child(&world, 2, parent, PowerState::On, false);
        let card = child(&world, 3, parent, PowerState::On, true);
        let only = alone(&world, 3).await;

        only.power(parent, PowerRequest::Off).await.expect("taken");
        eventually(|| {
            let blade_is_off = acted(&world, 2) == [PowerAction::Off];
            assert!(blade_is_off || acted(&world, 1).is_empty(), "too early");
            world.is_settled(parent, PowerState::Off)
        })
        .await;
        assert!(world.is_settled(blade, PowerState::Off));
        assert!(world.is_settled(card, PowerState::On));
        assert_eq!(acted(&world, 3), Vec::new());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_cannot_be_switched_off_keeps_its_parent_on() {
    local(async {
        let world = World::new();
        let parent = world.node(1);
        let blade = child(&world, 2, parent, PowerState::On, false);
        let only = alone(&world, 2).await;
        world
            .machines
            .with("10.0.0.2", |machine| machine.silent = true);

        only.power(parent, PowerRequest::Off).await.expect("taken");
        eventually(|| world.record(parent).last_error.is_some()).await;
        let record = world.record(parent);
        let words = record.last_error.as_deref().unwrap_or_default();
        assert!(words.contains(&blade.to_string()), "{words}");
        assert!(words.contains("could not be switched first"), "{words}");
        assert_eq!(acted(&world, 1), Vec::new());
        assert_eq!(record.power_state, Some(PowerState::On));
        assert_eq!(record.target_power_state, None);
    })
    .await;
}
