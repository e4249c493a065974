//! Tests of the simulated machine: delays, edges, journal.

use super::super::journal::Via;
use super::*;
use proptest::prelude::*;

fn user(name: &str) -> Origin {
    Origin {
        via: Via::Ipmi,
        user: Some(name.into()),
        session: Some(7),
        remote: None,
    }
}

fn slow() -> Timing {
    Timing {
        on: Duration::from_millis(100),
        off: Duration::from_millis(50),
        cycle: Duration::from_millis(10),
        reset: Duration::from_millis(5),
        soft_off: SoftOff::After(Duration::from_millis(500)),
    }
}

#[test]
fn instant_machine_changes_within_the_command() {
    let mut machine = Machine::new(false, Timing::INSTANT, 8);
    assert_eq!(
        machine.command(Mono(5), PowerAction::On, user("a")),
        Outcome::Started
    );
    assert_eq!(machine.power(Mono(5)), PowerReading::On);
    assert_eq!(
        machine.command(Mono(6), PowerAction::On, user("a")),
        Outcome::AlreadyThere
    );
    assert_eq!(machine.journal(Mono(6)).edges(), 1);
    assert_eq!(machine.journal(Mono(6)).commands(), 2);
}

#[test]
fn edges_are_dated_when_due_not_when_looked_at() {
    let mut machine = Machine::new(false, slow(), 8);
    machine.command(Mono(1000), PowerAction::On, user("a"));
    assert_eq!(machine.power(Mono(1099)), PowerReading::PoweringOn);
    assert!(!machine.is_on(Mono(1099)));
    assert_eq!(machine.power(Mono(9000)), PowerReading::On);
    let edges: Vec<_> = machine
        .journal(Mono(9000))
        .kept_edges()
        .map(|(entry, edge)| (entry.at, edge))
        .collect();
    assert_eq!(edges, vec![(Mono(1100), Edge::On)]);
}

#[test]
fn a_cycle_goes_off_then_on() {
    let mut machine = Machine::new(true, slow(), 8);
    assert_eq!(
        machine.command(Mono(0), PowerAction::Cycle, user("a")),
        Outcome::Started
    );
    assert_eq!(machine.power(Mono(10)), PowerReading::PoweringOff);
    assert_eq!(machine.power(Mono(60)), PowerReading::PoweringOn);
    assert_eq!(machine.power(Mono(160)), PowerReading::On);
    assert_eq!(machine.journal(Mono(160)).edges(), 2);
}

#[test]
fn a_hard_off_overtakes_a_soft_one() {
    let mut machine = Machine::new(true, slow(), 8);
    machine.command(Mono(0), PowerAction::SoftOff, user("a"));
    assert_eq!(
        machine.command(Mono(100), PowerAction::Off, user("b")),
        Outcome::Started
    );
    assert_eq!(machine.power(Mono(150)), PowerReading::Off);
    let journal = machine.journal(Mono(1000));
    assert_eq!(journal.edges(), 1);
    let (entry, _) = journal.kept_edges().next().unwrap();
    assert_eq!(entry.origin.user.as_deref(), Some("b"));
}

#[test]
fn what_needs_power_is_refused_when_off() {
    let mut machine = Machine::new(false, Timing::INSTANT, 8);
    for action in [PowerAction::Reset, PowerAction::Cycle, PowerAction::Nmi] {
        assert_eq!(
            machine.command(Mono(1), action, user("a")),
            Outcome::NeedsPower
        );
    }
    assert_eq!(machine.journal(Mono(1)).edges(), 0);
}

#[test]
fn soft_off_can_be_ignored_or_refused() {
    for (soft_off, outcome) in [
        (SoftOff::Ignored, Outcome::Ignored),
        (SoftOff::Refused, Outcome::Refused),
    ] {
        let timing = Timing { soft_off, ..slow() };
        let mut machine = Machine::new(true, timing, 8);
        assert_eq!(
            machine.command(Mono(0), PowerAction::SoftOff, user("a")),
            outcome
        );
        assert_eq!(machine.power(Mono(99_999)), PowerReading::On);
    }
}

#[test]
fn behind_the_back_is_at_once_and_says_so() {
    let mut machine = Machine::new(true, slow(), 8);
    machine.command(Mono(0), PowerAction::SoftOff, user("a"));
    machine.force(Mono(1), false, Origin::BEHIND_THE_BACK);
    machine.force(Mono(2), false, Origin::BEHIND_THE_BACK);
    assert_eq!(machine.power(Mono(2)), PowerReading::Off);
    let journal = machine.journal(Mono(10_000));
    assert_eq!(journal.edges(), 1);
    let (entry, edge) = journal.kept_edges().next().unwrap();
    assert_eq!((edge, entry.origin.via), (Edge::Off, Via::BehindTheBack));
}

fn any_action() -> impl Strategy<Value = PowerAction> {
    prop_oneof![
        Just(PowerAction::On),
        Just(PowerAction::Off),
        Just(PowerAction::SoftOff),
        Just(PowerAction::Reset),
        Just(PowerAction::Cycle),
        Just(PowerAction::SoftReset),
        Just(PowerAction::Nmi),
    ]
}

proptest! {
    /// On and off edges alternate from the first state, never two alike in a row, whatever arrives when.
    #[test]
    fn on_and_off_edges_alternate(
        start in any::<bool>(),
        commands in prop::collection::vec((0_u64..300, any_action()), 0..40),
    ) {
        let mut machine = Machine::new(start, slow(), 200);
        let mut now = 0;
        for (wait, action) in commands {
            now += wait;
            machine.command(Mono(now), action, user("p"));
        }
        let mut state = start;
        let mut last = Mono(0);
        for (entry, edge) in machine.journal(Mono(now + 10_000)).kept_edges() {
            prop_assert!(entry.at >= last);
            last = entry.at;
            match edge {
                Edge::On => { prop_assert!(!state); state = true; }
                Edge::Off => { prop_assert!(state); state = false; }
                Edge::Reset | Edge::Nmi => prop_assert!(state),
            }
        }
        prop_assert_eq!(machine.is_on(Mono(now + 10_000)), state);
    }
}
