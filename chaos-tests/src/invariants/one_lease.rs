//! No lease outlives its session: whoever may act is known to all as alive.

use super::moment;
use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let overstayed = world.leases().overstayed().iter();
    overstayed
        .map(|(session, found)| {
            format!(
                "conductor {} (host {}) could still act for {} ms at {}, though its session {} was over",
                session.conductor,
                found.host,
                found.left.as_millis(),
                moment(found.at),
                session.incarnation
            )
        })
        .collect()
}
