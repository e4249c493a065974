//! `[notifier]`: how power events leave the outbox.

use crate::option::kinds::{Millis, Seconds};
use crate::option::raw::Nothing;
use crate::option::section::section;

section! {
    /// The outbox of power events: they are stored with the change itself, and leave in batches.
    pub struct NotifierSection in "notifier";
    fixed because "the notifier is built when the conductor starts";

    /// Events in one request to compute. A thousand are 88 KB; its default limit of a body is 112 KiB.
    batch_max: u32 = 200, ours, live, range(1, 1000);
    /// How long the first event of a batch waits for others.
    batch_wait_ms: Millis = 50, ours, live, range(0, 10_000);
    /// Requests to compute under way at once, about different instances.
    requests_max: u32 = 4, ours, live, range(1, 64);
    /// Seconds after compute took an event until the server's power state is read back there, and the event sent again if
    /// it was dropped (compute drops power events while a task runs on the server). 0 believes the answer.
    read_back_after: Seconds = 0, ours, live, range(0, 600);
    /// How often an event is sent again whose read-back differs.
    read_back_repeats: u32 = 3, ours, live, range(0, 100);
    /// The user of the compute service: by HTTP basic, or as a proxy in front of baton names it in `X-User-Name`. A power
    /// request of this user that contradicts a change which compute has not heard of is refused (409). Unset: never.
    compute_user: Option<String> = Nothing, ours;
    /// Longest time that compute may be refused after one change. Its own periodic check comes every 600 s by default.
    race_window: Seconds = 600, ours, range(0, 86_400);
}
