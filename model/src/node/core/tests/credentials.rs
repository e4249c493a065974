//! A refused login is written down once, and who made the machine is asked once.

use super::*;
use crate::json::Json;
use crate::node::power::PowerCause;

fn refused() -> BmcError {
    BmcError::Refused {
        bmc: "10.0.0.1:623".into(),
        username: "admin".into(),
        reason: "RAKP 2 HMAC is invalid".into(),
    }
}

/// As the sync pool answers for a BMC that it leaves alone.
fn barred() -> Result<PowerReading, ReadError> {
    Err(ReadError::Barred {
        last: refused(),
        words: "BMC 10.0.0.1:623 refused user `admin`; baton asks no more".into(),
    })
}

#[test]
fn a_refused_login_is_in_the_record_once_and_gone_when_it_works_again() {
    let mut world = World::new(|_| {});
    world.bmc = Err(ReadError::Bmc(refused()));
    world.interval();
    let told = world.record().login_refused.clone().expect("written down");
    assert_eq!(
        (&*told.bmc, &*told.reason),
        ("10.0.0.1:623", "RAKP 2 HMAC is invalid")
    );
    world.bmc = barred();
    for _ in 0..3 {
        world.interval();
    }
    let record = world.record().clone();
    assert_eq!(record.fault, Some(Fault::Power));
    let error = record.last_error.as_deref().unwrap_or_default();
    assert!(
        error.contains("refused user `admin`; baton asks no more"),
        "{error}"
    );
    // In fault it is looked at again and again, and nothing is written.
    let index = world.index;
    world.advance(Duration::from_secs(3000));
    assert_eq!(world.index, index);
    world.bmc = Ok(PowerReading::On);
    world.advance(Duration::from_secs(300));
    assert_eq!(
        (
            world.record().login_refused.is_none(),
            world.record().maintenance
        ),
        (true, false)
    );
}

#[test]
fn a_refusal_that_recovery_meets_first_is_written_down_too() {
    let mut world = World::new(|_| {});
    world.bmc = dead();
    for _ in 0..4 {
        world.interval();
    }
    assert!(world.record().maintenance && world.record().login_refused.is_none());
    world.bmc = Err(ReadError::Bmc(refused()));
    world.advance(Duration::from_secs(300));
    assert!(world.record().login_refused.is_some());
    let index = world.index;
    world.advance(Duration::from_secs(3000));
    assert_eq!(world.index, index, "once");
}

#[test]
fn new_driver_info_takes_the_refusal_out_of_the_record_at_once() {
    let mut world = World::new(|_| {});
    world.bmc = Err(ReadError::Bmc(refused()));
    world.interval();
    assert!(world.record().login_refused.is_some());
    world.bmc = Ok(PowerReading::On);
    let info = Json::parse(r#"{"ipmi_password":"new"}"#).expect("valid");
    world.edit(NodeEdit::DriverInfo(info));
    assert!(world.record().login_refused.is_none());
    assert_eq!(world.failures(), 0, "it was read at once");
}

#[test]
fn the_maker_is_asked_for_once_and_what_stands_there_is_kept() {
    let mut world = World::new(|_| {});
    world.vendor = Some("dell inc".into());
    for _ in 0..5 {
        world.interval();
    }
    assert_eq!(world.identified, 1);
    assert_eq!(
        world.record().properties.as_str(),
        r#"{"vendor":"dell inc"}"#
    );
    let index = world.index;
    world.rebuild();
    for _ in 0..5 {
        world.interval();
    }
    assert_eq!(
        (world.identified, world.index),
        (1, index),
        "nor by its next owner"
    );

    let mut world = World::new(|node| {
        node.properties = Json::parse(r#"{"cpus":"8","vendor":"acme"}"#).expect("valid");
    });
    world.vendor = Some("dell inc".into());
    world.interval();
    assert_eq!(world.identified, 0);
    assert_eq!(
        world.record().properties.as_str(),
        r#"{"cpus":"8","vendor":"acme"}"#
    );
}

#[test]
fn a_machine_that_does_not_say_who_made_it_is_asked_again_only_after_an_hour() {
    let mut world = World::new(|_| {});
    for _ in 0..25 {
        world.interval();
    }
    assert_eq!(world.identified, 1);
    for _ in 0..10 {
        world.interval();
    }
    assert_eq!(world.identified, 2);
}

#[test]
fn a_fake_delay_lies_between_its_bounds_and_is_mostly_short() {
    let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(5));
    let delay = RandomDelay { shortest, longest };
    let draws: Vec<_> = (0..1000u64)
        .map(|n| delay.drawn(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32))
        .collect();
    assert!(draws.iter().all(|draw| (shortest..=longest).contains(draw)));
    // A triangle with its top at the start has three quarters of its draws in its first half.
    let short = draws
        .iter()
        .filter(|draw| **draw <= Duration::from_secs(3))
        .count();
    assert!((700..=800).contains(&short), "{short}");
    let fixed = RandomDelay {
        shortest: longest,
        longest,
    };
    assert_eq!(fixed.drawn(7), longest);
}

#[test]
fn a_machine_whose_firmware_is_written_is_looked_at_and_left_alone() {
    let busy = r#"{"redfish_fw_updates":[{"url":"x"}]}"#;
    let mut world =
        World::new(|node| node.driver_internal_info = Json::parse(busy).expect("valid"));
    let index = world.index;
    for says in [Ok(PowerReading::Off), dead(), Ok(PowerReading::Unknown)] {
        world.bmc = says;
        for _ in 0..5 {
            world.interval();
        }
    }
    assert!((14..=16).contains(&world.reads), "{} reads", world.reads);
    assert_eq!((world.index, world.acted.len()), (index, 0));
    assert_eq!(world.core.confirmed_at(), None);
    world.bmc = Ok(PowerReading::On);
    world.interval();
    assert!(
        world.core.confirmed_at().is_some(),
        "agreement is agreement"
    );
}

#[test]
fn a_node_that_was_never_reached_and_is_not_set_up_yet_is_passed_by() {
    let mut world = World::new(|node| node.power_state = None);
    world.bmc = Err(ReadError::Bmc(BmcError::Misconfigured {
        bmc: "in driver_info".into(),
        reason: "Missing the following IPMI credentials".into(),
    }));
    let index = world.index;
    for _ in 0..6 {
        world.interval();
    }
    assert_eq!((world.index, world.record().maintenance), (index, false));
}

#[test]
fn a_recorded_state_tells_why_it_is_what_it_is_and_who_saw_it() {
    let mut world = World::new(|_| {});
    world.knobs.force = false;
    world.bmc = Ok(PowerReading::Off);
    world.interval();
    let source = world.record().power_source.expect("recorded");
    assert_eq!(
        (source.cause, source.conductor),
        (PowerCause::Sync, ME.conductor)
    );
    world.power(1, PowerRequest::On);
    world.advance(Duration::from_secs(5));
    let source = world.record().power_source.expect("recorded");
    assert_eq!(source.cause, PowerCause::User);
}
