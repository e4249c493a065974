//! No machine is commanded by two owners: once a tenure has ended, no command of it reaches the machine.

use super::{moment, short};
use crate::oracle::Version;
use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let history = world.oracle().nodes();
    let mut wrong = Vec::new();
    for machine in world.farm().machines() {
        let versions = history
            .get(&machine.node)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let mut highest = None;
        for command in &machine.ledger {
            let who = format!(
                "machine {} was told `{}` at {} by conductor {} (boot {})",
                short(machine.node),
                command.action,
                moment(command.arrived),
                command.from.host,
                command.from.boot
            );
            let Some(epoch) = command.epoch else {
                wrong.push(format!("{who}, which had not asked for its lease"));
                continue;
            };
            if highest.is_some_and(|highest| epoch < highest) {
                wrong.push(format!(
                    "{who} under epoch {epoch}, after a command of a later epoch"
                ));
            }
            highest = highest.max(Some(epoch));
            if let Some(later) = superseded(versions, command.arrived, epoch.0) {
                wrong.push(format!(
                    "{who} under epoch {epoch}, though another tenure had begun at {} by entry {}",
                    moment(later.at),
                    later.index
                ));
            }
        }
    }
    wrong
}

/// The entry that ended tenure `epoch` before `at`, if one did.
fn superseded(versions: &[Version], at: u64, epoch: u64) -> Option<&Version> {
    versions.iter().find(|version| {
        let now = version.record.as_ref().map(|record| record.epoch.0);
        version.at < at && now.is_some_and(|now| now > epoch)
    })
}
