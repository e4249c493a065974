//! Power requests, rule by rule: conductor.md §4 and power-interfaces.md §2 to §5.

use super::*;

type Edit = fn(&mut NodeRecord);
/// Driver, `disable_power_off`, what is asked for, what the machine is, what is sent.
type Row = (
    Edit,
    bool,
    PowerRequest,
    PowerReading,
    &'static [PowerAction],
);

fn redfish(node: &mut NodeRecord) {
    node.driver = "redfish".into();
    node.interfaces.power = "redfish".into();
}

fn timed(request: PowerRequest, timeout_s: u32) -> NodeRequest {
    NodeRequest::Power {
        request,
        timeout_s: Some(timeout_s),
        caller: Caller::Operator,
    }
}

#[test]
fn each_driver_does_each_request_in_its_own_way() {
    use PowerAction::{Off, On, Reset, SoftOff, SoftReset};
    use PowerRequest as R;
    let (ipmi, fish): (Edit, Edit) = (|_| {}, redfish);
    let rows: [Row; 17] = [
        (ipmi, false, R::On, PowerReading::Off, &[On]),
        (ipmi, false, R::On, PowerReading::On, &[]),
        (ipmi, false, R::Off, PowerReading::On, &[Off]),
        (ipmi, false, R::SoftOff, PowerReading::On, &[SoftOff]),
        (ipmi, false, R::SoftOff, PowerReading::Off, &[]),
        (ipmi, false, R::Reboot, PowerReading::On, &[Off, On]),
        (ipmi, false, R::Reboot, PowerReading::Off, &[On]),
        (ipmi, false, R::SoftReboot, PowerReading::On, &[SoftOff, On]),
        (ipmi, true, R::Reboot, PowerReading::On, &[Reset]),
        (ipmi, true, R::On, PowerReading::Off, &[On]),
        (fish, false, R::Off, PowerReading::On, &[Off]),
        (fish, false, R::SoftOff, PowerReading::On, &[SoftOff]),
        (fish, false, R::Reboot, PowerReading::On, &[Off, On]),
        (fish, false, R::Reboot, PowerReading::Off, &[On]),
        (fish, false, R::SoftReboot, PowerReading::On, &[SoftReset]),
        (fish, true, R::Reboot, PowerReading::On, &[Reset]),
        (fish, true, R::SoftReboot, PowerReading::On, &[SoftReset]),
    ];
    for (driver, keep_on, request, reading, actions) in rows {
        let mut world = World::new(|node| {
            driver(node);
            node.disable_power_off = keep_on;
            node.power_state = PowerState::from_reading(reading);
        });
        let name = format!("{} {request} from {reading:?}", world.record().driver);
        world.bmc = Ok(reading);
        world.power(1, request);
        assert_eq!(
            world.record().target_power_state.is_some(),
            world.record().is_locked(),
            "{name}"
        );
        world.advance(Duration::from_secs(30));
        assert_eq!(world.acted, actions, "{name}");
        let record = world.record();
        assert_eq!(record.power_state, Some(request.target()), "{name}");
        assert_eq!(
            (record.target_power_state, record.is_locked()),
            (None, false)
        );
        assert_eq!(record.last_error, None, "{name}");
    }
}

#[test]
fn what_a_driver_or_a_flag_does_not_allow_is_refused_with_ironics_words() {
    let refused = |edit: Edit, request| {
        let mut world = World::new(edit);
        world.power(1, request);
        world.advance(Duration::from_secs(5));
        assert_eq!((world.acted.len(), world.record().is_locked()), (0, false));
        assert_eq!(world.record().target_power_state, None);
        match world.answers.first().expect("answered") {
            (1, Err(NodeError::Refused(refused))) => (refused.status, refused.text.to_string()),
            other => panic!("{other:?}"),
        }
    };
    let (status, text) = refused(
        |node| node.disable_power_off = true,
        PowerRequest::SoftReboot,
    );
    assert_eq!(status, 400);
    assert_eq!(
        text,
        format!(
            "Node {NODE} hardware does not support feature soft power off, which is required based upon the requested \
             configuration."
        )
    );
    for request in [PowerRequest::Off, PowerRequest::SoftOff] {
        let (status, text) = refused(|node| node.disable_power_off = true, request);
        assert_eq!(status, 409);
        let ironics = format!("Failed to set node power state to {request}.");
        assert!(text.starts_with(&ironics), "{text}");
    }
    let (status, text) = refused(
        |node| node.provision_state = ProvisionState::CleanWait,
        PowerRequest::On,
    );
    assert_eq!(status, 400);
    assert_eq!(
        text,
        format!(
            "The requested action \"power on\" can not be performed on node \"{NODE}\" while it is in state \"clean wait\"."
        )
    );
}

#[test]
fn a_flag_that_is_set_while_a_request_waits_refuses_it_and_leaves_no_target() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.power(1, PowerRequest::Reboot);
    world.power(2, PowerRequest::Off);
    world.edit(NodeEdit::DisablePowerOff(true));
    assert!(
        world.record().disable_power_off,
        "a flag does not wait for the lock (D32)"
    );
    world.bmc = Ok(PowerReading::Off);
    world.obeys = true;
    world.advance(Duration::from_secs(9));
    let (asker, answer) = world.answers.last().expect("answered").clone();
    assert_eq!(asker, 2);
    assert!(matches!(answer, Err(NodeError::Refused(refused)) if refused.status == 409));
    assert_eq!(world.record().target_power_state, None);
    // Sync goes on (D26: Ironic leaves the target, and never looks at the node again).
    let reads = world.reads;
    world.interval();
    assert!(world.reads > reads);
}

#[test]
fn a_soft_request_has_its_own_patience_and_never_becomes_a_hard_one() {
    let soft = |given: Option<u32>, patience: u64| {
        let mut world = World::new(|_| {});
        world.obeys = false;
        match given {
            Some(seconds) => world.request(1, timed(PowerRequest::SoftOff, seconds)),
            None => world.power(1, PowerRequest::SoftOff),
        }
        world.advance(Duration::from_secs(patience - 1));
        assert!(world.record().is_locked(), "{patience}");
        world.advance(Duration::from_secs(3));
        assert!(!world.record().is_locked(), "{patience}");
        assert_eq!(world.acted, vec![PowerAction::SoftOff]);
        assert_eq!(
            world.error(),
            Some(
                "Failed to change power state to 'power off' by 'soft power off': Failed to set node power state to \
                 power off."
            )
        );
        assert_eq!(world.record().power_state, Some(PowerState::On));
        assert_eq!(world.record().target_power_state, None);
        assert!(!world.record().maintenance);
    };
    soft(None, 600);
    soft(Some(5), 5);
    soft(Some(1200), 1200);
}

#[test]
fn a_hard_request_has_the_options_patience_or_its_own() {
    for (given, option, patience) in [(None, 10, 10), (Some(30), 10, 30)] {
        let mut world = World::new(|_| {});
        world.knobs.change_timeout = Duration::from_secs(option);
        world.obeys = false;
        match given {
            Some(seconds) => world.request(1, timed(PowerRequest::Off, seconds)),
            None => world.power(1, PowerRequest::Off),
        }
        world.advance(Duration::from_secs(patience - 1));
        assert!(world.record().is_locked());
        world.advance(Duration::from_secs(3));
        assert!(!world.record().is_locked());
    }
}

#[test]
fn a_read_that_fails_before_the_command_fails_the_request() {
    let silent = dead().map(drop).expect_err("dead").to_string();
    for (request, told) in [
        (PowerRequest::On, "'power on'"),
        (PowerRequest::Off, "'power off'"),
        (PowerRequest::SoftOff, "'soft power off'"),
        (PowerRequest::Reboot, "'power on' by 'rebooting'"),
    ] {
        let mut world = World::new(|_| {});
        world.bmc = dead();
        world.power(1, request);
        world.advance(Duration::from_millis(900));
        let text = format!("Failed to change power state to {told}: {silent}");
        assert_eq!(world.error(), Some(&*text));
        assert_eq!(world.record().target_power_state, None);
        assert_eq!((world.acted.len(), world.record().maintenance), (0, false));
    }
}

#[test]
fn a_read_from_before_a_users_action_says_nothing_after_it() {
    let mut world = World::new(|_| {});
    // A read just made serves the request, so the next one, which is under way, serves nobody.
    world.advance(Duration::from_millis(1050));
    assert_eq!(world.reads, 1);
    world.takes_its_time = true;
    world.step(Input::Request {
        asker: 9,
        id: RequestId("poke".into()),
        request: NodeRequest::SyncNow,
    });
    let old = world.unanswered.pop().expect("asked");
    world.takes_its_time = false;
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.acted, vec![PowerAction::Off]);
    assert_eq!(world.record().power_state, Some(PowerState::Off));
    let index = world.index;
    world.read_is(old, Ok(PowerReading::On));
    world.advance(Duration::from_millis(100));
    assert_eq!((world.index, world.acted.len()), (index, 1));
    // Nor does it stand for the read that the next request begins with.
    world.power(2, PowerRequest::On);
    world.advance(Duration::from_secs(2));
    assert_eq!(world.acted, vec![PowerAction::Off, PowerAction::On]);
}

#[test]
fn a_power_request_works_in_maintenance_and_in_fault_and_ends_neither() {
    let mut world = World::new(|node| {
        node.maintenance = true;
        node.fault = Some(Fault::Power);
        node.maintenance_reason = Some("gone".into());
    });
    world.knobs.recovery_interval = None;
    world.rebuild();
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_secs(5));
    assert_eq!(world.acted, vec![PowerAction::Off]);
    let record = world.record();
    assert_eq!(
        (record.power_state, record.fault, record.maintenance),
        (Some(PowerState::Off), Some(Fault::Power), true)
    );
}
