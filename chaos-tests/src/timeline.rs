//! What is on its way: events in the order in which they are due, and of one moment in the order in which they were sent.

use std::collections::BTreeMap;

/// See the module.
pub struct Timeline<E> {
    now: u64,
    sent: u64,
    due: BTreeMap<(u64, u64), E>,
}

impl<E> Default for Timeline<E> {
    fn default() -> Self {
        Self {
            now: 0,
            sent: 0,
            due: BTreeMap::new(),
        }
    }
}

impl<E> Timeline<E> {
    /// The world's time in milliseconds, as of the last [`Timeline::advance`].
    pub const fn now(&self) -> u64 {
        self.now
    }

    /// Time goes on.
    pub const fn advance(&mut self, now: u64) {
        self.now = now;
    }

    /// Sends `event`, to be due at `at`.
    pub fn send_at(&mut self, at: u64, event: E) {
        self.sent += 1;
        self.due.insert((at, self.sent), event);
    }

    /// Sends `event`, to be due in `delay_ms`.
    pub fn send(&mut self, delay_ms: u64, event: E) {
        self.send_at(self.now + delay_ms, event);
    }

    /// The next event that is due by now. Whatever is done about it may send others that are due at once.
    pub fn take_due(&mut self) -> Option<E> {
        let entry = self.due.first_entry()?;
        (entry.key().0 <= self.now).then(|| entry.remove())
    }

    /// Everything that is on its way, in order, due or not.
    pub fn take_all(&mut self) -> Vec<E> {
        std::mem::take(&mut self.due).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_time_and_then_of_sending() {
        let mut timeline = Timeline::default();
        timeline.send(5, "late");
        timeline.send(2, "early");
        timeline.send(2, "early too");
        assert_eq!(timeline.take_due(), None);
        timeline.advance(2);
        assert_eq!(timeline.take_due(), Some("early"));
        // Sent now and due at once, but behind what was sent before.
        timeline.send(0, "meanwhile");
        assert_eq!(timeline.take_due(), Some("early too"));
        assert_eq!(timeline.take_due(), Some("meanwhile"));
        assert_eq!(timeline.take_due(), None);
        assert_eq!(timeline.take_all(), ["late"]);
    }
}
