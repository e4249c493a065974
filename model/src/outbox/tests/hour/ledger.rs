//! What the service heard, and whether that is what it should have heard.

use super::*;
use crate::command::EventDone;

/// One event that the service took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) at: u64,
    pub(super) seq: u64,
    pub(super) state: PowerState,
    pub(super) flight: u64,
}

#[derive(Default)]
pub(super) struct Ledger {
    heard: BTreeMap<Uuid, Vec<Said>>,
    /// Requests whose answer reached a living sender that could tell the log.
    answered: BTreeMap<u64, (u64, u64)>,
    /// Events that the log called done.
    done: BTreeSet<(Uuid, u64)>,
    ended: BTreeMap<(Uuid, u64), usize>,
}

impl Ledger {
    pub(super) fn hear(&mut self, instance: Uuid, said: Said) {
        self.heard.entry(instance).or_default().push(said);
    }

    pub(super) fn answered(&mut self, flight: u64, sender: (u64, u64)) {
        self.answered.insert(flight, sender);
    }

    /// The log is about to hear that these are done.
    pub(super) fn done(&mut self, truth: &ClusterState, done: &[EventDone]) {
        for one in done {
            let heard = self.heard.get(&one.instance).map_or(0, Vec::len);
            if truth
                .outbox_of(one.instance)
                .is_some_and(|event| event.seq == one.seq)
            {
                self.done.insert((one.instance, one.seq));
                self.ended.insert((one.instance, one.seq), heard);
            }
        }
    }

    /// Checks everything; how many events were heard, and how many of them again; or what is wrong.
    pub(super) fn check(&self, truth: &ClusterState) -> Result<(usize, usize), String> {
        let (mut events, mut repeats) = (0, 0);
        for node in truth.nodes() {
            let instance = node.instance_uuid.expect("each has one");
            let Some(heard) = self.heard.get(&instance) else {
                if node.power_state.is_some() {
                    return Err(format!("{instance} changed and was never told"));
                }
                continue;
            };
            events += heard.len();
            for (at, pair) in heard.windows(2).enumerate() {
                let [first, second] = pair else { continue };
                if first.seq > second.seq || first.at > second.at {
                    return Err(format!("{instance} out of order: {first:?}, {second:?}"));
                }
                if first.seq == second.seq {
                    repeats += 1;
                    self.check_repeat(instance, at, *first, *second)?;
                }
            }
            let last = heard.last().expect("not empty");
            if Some(last.state) != node.power_state {
                return Err(format!("{instance}: {last:?} is not its machine's state"));
            }
        }
        Ok((events, repeats))
    }

    /// Told again: only where nobody could know of the first time.
    fn check_repeat(
        &self,
        instance: Uuid,
        at: usize,
        first: Said,
        second: Said,
    ) -> Result<(), String> {
        assert_eq!(first.state, second.state);
        let ended = self.ended.get(&(instance, first.seq));
        if ended.is_some_and(|heard| *heard <= at + 1) {
            return Err(format!(
                "{instance} was told again after the log had called event {} done",
                first.seq
            ));
        }
        let first_sender = self.answered.get(&first.flight);
        if first_sender.is_some() && first_sender == self.answered.get(&second.flight) {
            return Err(format!(
                "{instance}: one life told event {} twice though it was answered",
                first.seq
            ));
        }
        Ok(())
    }
}
