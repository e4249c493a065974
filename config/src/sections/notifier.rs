//! `[notifier]`: how power events leave the outbox.

use crate::option::kinds::Millis;
use crate::option::section::section;

section! {
    /// The outbox of power events: they are stored with the change itself, and leave in batches.
    pub struct NotifierSection in "notifier";
    fixed because "the notifier is built when the conductor starts";

    /// Events in one request to compute.
    batch_max: u32 = 100, ours, live, range(1, 1000);
    /// How long the first event of a batch waits for others.
    batch_wait_ms: Millis = 50, ours, live, range(0, 10_000);
    /// Events that may wait. There is at most one for each instance, so this bounds the instances with news.
    outbox_max: u32 = 200_000, ours, range(1, 1_000_000);
}
