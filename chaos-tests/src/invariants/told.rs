//! The compute service hears of every power change: of each instance in order, nothing twice whose answer came, and in the
//! end the state that is recorded.

use super::{moment, short};
use crate::compute::Said;
use crate::world::World;
use crate::world::process::instance_of;

pub(super) fn check(world: &World) -> Vec<String> {
    let heard = world.nova().heard();
    let mut wrong = Vec::new();
    for (node, _) in world.workload.nodes() {
        let all = heard
            .get(&instance_of(*node))
            .map_or(&[][..], Vec::as_slice);
        for pair in all.windows(2) {
            if let [first, second] = pair {
                wrong.extend(follows(first, second).err().map(|what| {
                    format!(
                        "of node {} compute heard `{}` (event {}) at {} from conductor {}, {what}",
                        short(*node),
                        second.state,
                        second.seq,
                        moment(second.at),
                        second.from.host
                    )
                }));
            }
        }
        let recorded = world.oracle().newest(*node);
        let recorded = recorded.and_then(|record| record.power_state);
        let last = all.last().map(|said| said.state);
        if recorded.is_some() && last != recorded {
            wrong.push(format!(
                "compute heard last that node {} is {last:?}, and it is {recorded:?}",
                short(*node)
            ));
        }
    }
    wrong
}

fn follows(first: &Said, second: &Said) -> Result<(), String> {
    if second.seq < first.seq {
        return Err(format!("after event {}, which is newer", first.seq));
    }
    let same = second.seq == first.seq && second.from == first.from;
    if same && first.answered {
        return Err("which this process had been told was taken".to_owned());
    }
    Ok(())
}
