//! Conductors that come, go, drain and come back.

use super::{Log, ONE};
use crate::command::{Command, DrainOrder, Refusal, Reply, Session};
use crate::ids::{ConductorId, Incarnation};
use crate::state::ConductorStatus;

const TWO: Session = Session {
    conductor: ConductorId(2),
    incarnation: Incarnation(1),
};

fn order(host: &str, drained: bool) -> Command {
    Command::DrainOrder(DrainOrder {
        host: host.into(),
        drained,
    })
}

impl Log {
    fn status(&self, id: u64) -> Option<ConductorStatus> {
        let record = self.state.conductor(ConductorId(id))?;
        Some(record.status)
    }
}

fn refused(reply: &Reply) -> bool {
    matches!(reply, Reply::Refused(_))
}

#[test]
fn a_drain_holds_for_the_name_through_restarts_and_a_lost_disk_until_it_is_taken_back() {
    let mut log = Log::new();
    let node = log.node(|_| {});
    log.up(TWO, "two");
    log.run(order("two", true));
    assert_eq!(log.status(2), Some(ConductorStatus::Draining));
    // A restart.
    log.run(Command::ConductorDown(TWO));
    let next = Session {
        incarnation: Incarnation(2),
        ..TWO
    };
    log.up(next, "two");
    assert_eq!(log.status(2), Some(ConductorStatus::Draining));
    // A lost disk: another member of that name, the old record still there or not.
    log.run(Command::ConductorDown(next));
    let reborn = Session {
        conductor: ConductorId(9),
        incarnation: Incarnation(1),
    };
    log.up(reborn, "two");
    log.run(Command::ConductorRemove(TWO.conductor));
    assert_eq!(log.status(9), Some(ConductorStatus::Draining));
    assert_eq!(log.state.owner(log.get(node)), Some(ONE.conductor));
    // Down while it is taken back.
    log.run(Command::ConductorDown(reborn));
    log.run(order("two", false));
    assert_eq!(log.status(9), Some(ConductorStatus::Down));
    let again = Session {
        incarnation: Incarnation(2),
        ..reborn
    };
    log.up(again, "two");
    assert_eq!(log.status(9), Some(ConductorStatus::Up));
    assert!(log.state.drained().is_empty());
}

#[test]
fn an_order_reaches_the_living_and_never_calls_back_one_that_stops() {
    let mut log = Log::new();
    log.run(order("one", true));
    assert_eq!(log.status(1), Some(ConductorStatus::Draining));
    log.run(order("one", false));
    assert_eq!(log.status(1), Some(ConductorStatus::Up));
    // SIGTERM drains by itself, and neither an order that was never given nor a new group calls it back.
    log.run(Command::ConductorDraining(ONE));
    log.run(order("one", false));
    assert_eq!(log.status(1), Some(ConductorStatus::Draining));
    log.up(ONE, "one");
    assert_eq!(log.status(1), Some(ConductorStatus::Draining));
    assert!(refused(&log.run(order("nobody", true))));
    assert!(!refused(&log.run(order("nobody", false))));
}

#[test]
fn a_life_that_is_over_is_not_revived() {
    let mut log = Log::new();
    log.run(Command::ConductorDown(ONE));
    let late = log.up(ONE, "one");
    assert_eq!(late, Reply::Refused(Refusal::SessionOver));
    assert_eq!(log.status(1), Some(ConductorStatus::Down));
}
