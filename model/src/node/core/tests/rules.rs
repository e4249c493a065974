//! The rules of power sync, fault and recovery, one by one: conductor.md §2 and §3, and the defects that they must not have.

use super::*;
use crate::command::NodeChange;

const FIRMWARE: &str = r#"{"redfish_fw_updates":[{"url":"x"}]}"#;

fn json(text: &str) -> Json {
    Json::parse(text).expect("valid")
}

fn maintenance(on: bool) -> NodeEdit {
    NodeEdit::Maintenance { on, reason: None }
}

/// A node in power fault, whose BMC is silent.
fn faulted() -> World {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    for _ in 0..4 {
        world.interval();
    }
    assert_eq!(world.record().fault, Some(Fault::Power));
    world
}

#[test]
fn only_four_states_and_maintenance_are_passed_over() {
    use ProvisionState::{AdoptFailed, CleanWait, Enroll, WaitCallBack};
    for state in ProvisionState::ALL {
        if state.is_working() {
            continue; // Locked, or failed at once for want of its work.
        }
        let mut world = World::new(|node| node.provision_state = state);
        world.interval();
        let passed_over = matches!(state, WaitCallBack | CleanWait | Enroll | AdoptFailed);
        assert_eq!(world.reads == 0, passed_over, "{state}");
    }
    // A child is read like everybody (D20), and so is a machine without an instance.
    let parent = NodeId(Uuid::from_u128(7));
    let mut world = World::new(|_| {});
    let record = NodeRecord::new(parent, "ipmi".into(), WallMs(0));
    world.commit(Command::NodeCreate(Box::new(record)));
    world.edit(NodeEdit::ParentNode(Some(parent)));
    assert_eq!(world.record().parent_node, Some(parent));
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    assert_eq!(world.acted, vec![PowerAction::On]);
}

#[test]
fn an_interval_of_zero_switches_sync_or_recovery_off() {
    let mut world = World::new(|_| {});
    world.knobs.sync_interval = None;
    world.rebuild();
    world.advance(Duration::from_secs(3000));
    assert_eq!(world.reads, 0);

    let mut world = faulted();
    world.knobs.recovery_interval = None;
    world.bmc = Ok(PowerReading::On);
    world.advance(Duration::from_secs(3000));
    assert_eq!(world.record().fault, Some(Fault::Power));
}

#[test]
fn as_many_failures_are_tolerated_as_the_option_says() {
    for max in [0, 1, 5] {
        let mut world = World::new(|_| {});
        world.knobs.sync_retries_max = max;
        world.bmc = dead();
        for _ in 0..max {
            world.interval();
        }
        assert!(!world.record().maintenance, "{max}");
        world.interval();
        assert!(world.record().maintenance, "{max}");
        assert_eq!(world.failures(), max + 1);
    }
}

#[test]
fn a_machine_that_can_not_be_forced_is_given_up_with_ironics_words() {
    let mut world = World::new(|node| node.instance_uuid = Some(Uuid::from_u128(5)));
    world.obeys = false;
    world.bmc = Ok(PowerReading::Off);
    for _ in 0..3 {
        world.interval();
    }
    assert_eq!(world.acted, vec![PowerAction::On; 3]);
    assert_eq!(
        world.error(),
        Some(
            "Failed to change power state to 'power on' by 'power on': Failed to set node power state to power on."
        )
    );
    assert_eq!(world.state.outbox_len(), 0);
    world.interval();
    let text = format!(
        "During sync_power_state, max retries exceeded for node {NODE}, node state power off does not match expected \
         state 'power on'. Updating DB state to 'power off' Switching node to maintenance mode."
    );
    let record = world.record();
    assert_eq!(
        (record.power_state, record.fault),
        (Some(PowerState::Off), Some(Fault::Power))
    );
    assert_eq!(record.maintenance_reason.as_deref(), Some(&*text));
    assert_eq!(record.last_error.as_deref(), Some(&*text));
    assert_eq!(world.state.outbox_len(), 1, "compute is told what is so");
    assert_eq!(world.acted.len(), 3, "nothing more is sent");
}

#[test]
fn a_silent_or_ignorant_bmc_is_given_up_with_its_last_words() {
    let unknown = "the BMC answers but does not know the power state".to_owned();
    let silent = dead().map(drop).expect_err("dead").to_string();
    for (bmc, words) in [(dead(), silent), (Ok(PowerReading::Unknown), unknown)] {
        let mut world = World::new(|_| {});
        world.bmc = bmc;
        for _ in 0..4 {
            world.interval();
        }
        let text = format!(
            "During sync_power_state, max retries exceeded for node {NODE}, node state None does not match expected state \
             'power on'. Updating DB state to 'None' Switching node to maintenance mode. Error: {words}"
        );
        assert_eq!(world.error(), Some(&*text));
        assert_eq!(world.record().power_state, None);
        assert_eq!(world.acted, Vec::new(), "an unknown state is never forced");
        assert_eq!(world.history().last(), Some(&("ERROR".to_owned(), text)));
    }
}

#[test]
fn recovery_leaves_the_error_to_the_next_sync_and_is_in_the_history() {
    let mut world = faulted();
    world.bmc = Ok(PowerReading::Off);
    for _ in 0..301 {
        if world.record().maintenance {
            world.advance(Duration::from_secs(1));
        }
    }
    let record = world.record();
    assert_eq!(
        (record.maintenance, &record.maintenance_reason, record.fault),
        (false, &None, None)
    );
    assert!(world.error().is_some());
    let row =
        format!("Node {NODE} is recovered from power failure with actual power state 'power off'.");
    assert_eq!(world.history().last(), Some(&("INFO".to_owned(), row)));
    assert_eq!(
        world.acted,
        Vec::new(),
        "recovery records, it forces nothing"
    );
    world.interval();
    assert_eq!(world.error(), None);
}

#[test]
fn one_blip_after_the_recovery_faults_nobody() {
    let mut world = faulted();
    world.bmc = Ok(PowerReading::On);
    // Before a read that agrees could end the count.
    for _ in 0..301 {
        if world.record().maintenance {
            world.advance(Duration::from_secs(1));
        }
    }
    assert!(!world.record().maintenance);
    world.bmc = dead();
    for failures in 1..=3 {
        world.interval();
        assert_eq!(world.failures(), failures);
        assert!(!world.record().maintenance);
    }
}

#[test]
fn a_successor_goes_on_counting_where_the_count_stood() {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    world.interval();
    world.interval();
    world.rebuild();
    assert_eq!(world.failures(), 2);
    world.interval();
    assert_eq!(world.failures(), 3);
    world.interval();
    assert_eq!(world.record().fault, Some(Fault::Power));
}

#[test]
fn a_failed_read_leaves_the_record_alone_and_keeps_no_user_waiting() {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    let revision = world.record().revision;
    // The count has not reached the log, and nothing waits for that.
    world.log_down = true;
    world.interval();
    assert_eq!((world.failures(), world.noted), (0, Some(1)));
    assert_eq!(world.core.live(world.now).waiting_for, None);
    world.interval();
    assert_eq!((world.failures(), world.noted), (0, Some(2)));
    world.log_down = false;
    world.bmc = Ok(PowerReading::On);
    world.interval();
    assert_eq!(
        (world.failures(), world.record().revision),
        (0, revision),
        "one that works ends the count"
    );
}

#[test]
fn without_its_lease_a_conductor_counts_for_nobody() {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    world.log_down = true;
    world.lease_until = world.now;
    for _ in 0..10 {
        world.interval();
    }
    assert_eq!((world.failures(), world.noted), (0, None));
    world.log_down = false;
    world.lease_until = Mono(u64::MAX);
    for failures in 1..=3 {
        world.interval();
        assert_eq!(
            (world.failures(), world.record().maintenance),
            (failures, false)
        );
    }
}

#[test]
fn what_changes_a_count_in_the_log_outdates_the_one_on_its_way() {
    let mut world = World::new(|_| {});
    world.knobs.force = false;
    world.bmc = dead();
    world.log_down = true;
    world.interval();
    assert_eq!(world.noted, Some(1));
    // It is not known here what became of the proposal that says 0.
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    assert_eq!(world.noted, None);
}

#[test]
fn a_count_goes_with_the_forcing_that_it_is_about() {
    let mut world = World::new(|_| {});
    world.obeys = false;
    world.bmc = Ok(PowerReading::Off);
    world.log_down = true;
    world.interval();
    world.log_down = false;
    assert_eq!((world.acted.len(), world.failures()), (0, 0));
    for failures in 1..=3 {
        world.interval();
        assert_eq!(world.failures(), failures);
        assert_eq!(world.acted.len(), usize::try_from(failures).expect("few"));
    }
}

#[test]
fn maintenance_that_an_operator_takes_over_is_never_left() {
    let mut world = faulted();
    world.edit(NodeEdit::Maintenance {
        on: true,
        reason: Some("I look at it".into()),
    });
    assert_eq!(world.record().fault, None);
    world.bmc = Ok(PowerReading::On);
    let reads = world.reads;
    world.advance(Duration::from_secs(3000));
    assert!(world.record().maintenance);
    assert_eq!(
        world.record().maintenance_reason.as_deref(),
        Some("I look at it")
    );
    assert_eq!(world.reads, reads);
    // And its end begins a count of its own.
    world.bmc = dead();
    world.edit(maintenance(false));
    world.interval();
    assert_eq!(world.failures(), 1);
}

#[test]
fn maintenance_that_begins_between_two_reads_keeps_hands_off() {
    let update = NodeChange::InternalInfo(json(FIRMWARE));
    type Begin<'a> = &'a dyn Fn(&mut World);
    let begins: [Begin<'_>; 2] = [&|world| world.edit(maintenance(true)), &|world| {
        world.act(vec![update.clone()])
    }];
    for begin in begins {
        // After the first of the two reads.
        let mut world = World::new(|_| {});
        world.bmc = Ok(PowerReading::Off);
        world.advance(Duration::from_millis(1100));
        assert_eq!(world.reads, 1);
        begin(&mut world);
        world.advance(Duration::from_secs(600));
        assert_eq!((world.acted.len(), world.failures()), (0, 0));
        assert_eq!(world.record().power_state, Some(PowerState::On));

        // While either of them is under way, whatever its answer.
        for (under_way, answer) in [
            (1, Ok(PowerReading::Off)),
            (1, dead()),
            (2, Ok(PowerReading::Off)),
        ] {
            let mut world = World::new(|_| {});
            world.bmc = Ok(PowerReading::Off);
            if under_way == 2 {
                world.advance(Duration::from_millis(1100));
            }
            world.takes_its_time = true;
            world.advance(Duration::from_secs(2));
            assert_eq!(world.reads, under_way);
            let index = world.index;
            begin(&mut world);
            let ticket = world.unanswered.remove(0);
            world.read_is(ticket, answer);
            world.advance(Duration::from_secs(600));
            assert_eq!((world.acted.len(), world.index), (0, index + 1));
        }
    }
}

#[test]
fn maintenance_that_ends_while_recovery_reads_is_a_matter_of_sync() {
    let mut world = faulted();
    world.takes_its_time = true;
    let ticket = loop {
        world.advance(Duration::from_secs(1));
        if let Some(ticket) = world.unanswered.pop() {
            break ticket;
        }
    };
    world.takes_its_time = false;
    world.edit(maintenance(false));
    world.bmc = Ok(PowerReading::Off);
    world.read_is(ticket, Ok(PowerReading::On));
    world.advance(Duration::from_secs(1));
    assert_eq!(world.record().power_state, Some(PowerState::Off));
}

#[test]
fn an_error_stands_for_an_interval_before_agreement_clears_it() {
    let mut world = World::new(|_| {});
    world.power(1, PowerRequest::Off);
    world.advance(Duration::from_secs(5));
    world.obeys = false;
    world.power(2, PowerRequest::On);
    world.break_lock();
    let told = "An operator broke the lock of one (changing node power state): it hung";
    world.step(Input::Request {
        asker: 3,
        id: RequestId("poke".into()),
        request: NodeRequest::SyncNow,
    });
    world.advance(Duration::from_secs(119));
    assert_eq!(world.error(), Some(told), "read, and kept");
    world.advance(Duration::from_secs(240));
    assert_eq!(world.error(), None);
}

#[test]
fn a_failed_state_keeps_its_reason_through_agreement_and_force() {
    let mut world = World::new(|node| {
        node.provision_state = ProvisionState::DeployFailed;
        node.last_error = Some("the image is broken".into());
    });
    for _ in 0..3 {
        world.interval();
    }
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    assert_eq!(world.acted, vec![PowerAction::On]);
    world.interval();
    assert_eq!(world.error(), Some("the image is broken"));
}

#[test]
fn without_node_history_no_error_is_cleared() {
    let mut world = World::new(|node| node.last_error = Some("old".into()));
    world.knobs.node_history = false;
    for _ in 0..5 {
        world.interval();
    }
    assert_eq!(world.error(), Some("old"));
    world.knobs.node_history = true;
    world.interval();
    assert_eq!(world.error(), None);
}

#[test]
fn a_target_that_nobody_works_for_is_cleared_in_maintenance_too() {
    for maintenance in [false, true] {
        let mut world = World::new(|node| {
            node.target_power_state = Some(PowerState::Off);
            node.maintenance = maintenance;
        });
        world.advance(Duration::from_millis(10));
        assert_eq!(world.record().target_power_state, None);
        assert_eq!(
            world.error(),
            Some("Pending power operation was aborted due to conductor take over")
        );
    }
}
