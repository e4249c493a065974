//! A conductor that an operator has drained owns nothing until it is undrained, in whatever life.

use super::moment;
use crate::world::World;

pub(super) fn check(world: &World) -> Vec<String> {
    let served = world.oracle().served_though_drained();
    let say = |(at, host): &(u64, Box<str>)| {
        format!(
            "{host} was given nodes at {} although it was drained",
            moment(*at)
        )
    };
    served.iter().map(say).collect()
}
