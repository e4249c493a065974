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

    /// Checks everything; how many events were heard, and how many of them again.
    pub(super) fn check(&self, truth: &ClusterState) -> (usize, usize) {
        let (mut events, mut repeats) = (0, 0);
        for node in truth.nodes() {
            let instance = node.instance_uuid.expect("each has one");
            let Some(heard) = self.heard.get(&instance) else {
                assert_eq!(
                    node.power_state, None,
                    "{instance} changed and was never told"
                );
                continue;
            };
            events += heard.len();
            let last = heard.last().expect("not empty");
            assert_eq!(Some(last.state), node.power_state, "{instance}: {heard:?}");
            for (at, pair) in heard.windows(2).enumerate() {
                let [first, second] = pair else { continue };
                assert!(
                    first.seq <= second.seq,
                    "{instance} out of order: {heard:?}"
                );
                if first.seq < second.seq {
                    assert!(first.at <= second.at);
                    continue;
                }
                repeats += 1;
                assert_eq!(first.state, second.state);
                // Told again: only where nobody could know of the first time.
                let ended = self.ended.get(&(instance, first.seq));
                assert!(
                    ended.is_none_or(|heard| *heard > at + 1),
                    "{instance} was told again after the log had called event {} done",
                    first.seq
                );
                let senders = [
                    self.answered.get(&first.flight),
                    self.answered.get(&second.flight),
                ];
                let [Some(first_sender), second_sender] = senders else {
                    continue;
                };
                assert_ne!(
                    Some(first_sender),
                    second_sender,
                    "{instance}: one life told event {} twice though it was answered",
                    first.seq
                );
            }
        }
        (events, repeats)
    }
}
