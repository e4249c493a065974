//! `[sync_pool]`: how hard the BMCs and their network may be pressed.

use crate::option::kinds::Seconds;
use crate::option::section::section;

section! {
    /// When a question or command may leave for a BMC: limits, pace, and breakers for those that do not answer.
    pub struct SyncPoolSection in "sync_pool";
    fixed because "the pool is built when the conductor starts";

    /// Conversations with BMCs at once that are never exceeded. The pool finds the useful number below by itself, beginning at
    /// sixteen for each of `conductor.sync_power_state_workers`.
    in_flight_max: u32 = 2048, ours, live, range(1, 100_000);
    /// Conversations at once that are always allowed, however badly the network answers.
    in_flight_min: u32 = 8, ours, live, range(1, 10_000);
    /// Conversations at once that only users' actions may add when the limit is reached.
    user_reserve: u32 = 16, ours, live, max(10_000);
    /// Conversations with one address block (a rack's BMC switch) at once. With one BMC there is never more than one.
    in_flight_per_block: u32 = 64, ours, live, range(1, 100_000);
    /// Conversations at once with BMCs that did not answer last time, beside the others.
    suspects_max: u32 = 512, ours, live, range(1, 100_000);
    /// The same in one address block.
    suspects_per_block: u32 = 16, ours, live, range(1, 100_000);
    /// Prefix length of an IPv4 block.
    block_prefix_ipv4: u8 = 24, ours, range(8, 32);
    /// Prefix length of an IPv6 block.
    block_prefix_ipv6: u8 = 64, ours, range(16, 128);
    /// Packets that may leave in a second, in total. 100,000 small ones are a tenth of a gigabit uplink, and let ten
    /// thousand machines be read within about a second of a takeover. On a slower uplink say less.
    packets_per_second: u32 = 100_000, ours, live, range(10, 10_000_000);
    /// How long a read of the power state may take at a BMC that was never measured. Afterwards its own speed counts.
    read_timeout: Seconds = 5, ours, live, range(1, 60);
    /// The least that a BMC's speed makes of it.
    read_timeout_min: Seconds = 2, ours, live, range(1, 60);
    /// The most that a BMC's speed makes of it; slower counts as no answer.
    read_timeout_max: Seconds = 15, ours, live, range(1, 300);
    /// Silences in a row after which a BMC's breaker opens, and only a probe is sent now and then.
    breaker_failures: u32 = 3, ours, live, range(1, 100);
    /// The first pause between probes; it doubles with every one that is not answered.
    breaker_open: Seconds = 10, ours, live, range(1, 3600);
    /// The longest pause. Below `conductor.power_failure_recovery_interval`, recovery always asks the BMC itself.
    breaker_open_max: Seconds = 120, ours, live, range(1, 3600);
    /// How long a BMC is left alone after it refused a login, unless its credentials change: many lock the account for
    /// minutes and begin anew with every try.
    auth_breaker_open: Seconds = 900, ours, live, range(1, 86_400);
    /// Jobs that may wait for their turn, in total.
    queue_max: u32 = 131_072, ours, live, range(100, 10_000_000);
}
