//! `[sync_pool]`: how hard the BMCs and their network may be pressed.

use crate::option::kinds::{Interval, Seconds};
use crate::option::section::section;

section! {
    /// When a question or command may leave for a BMC: limits, pace, and breakers for those that do not answer.
    pub struct SyncPoolSection in "sync_pool";
    fixed because "the pool is built when the conductor starts";

    /// Conversations with BMCs at once, in total. The pool finds the useful number below this by itself.
    in_flight_max: u32 = 512, ours, live, range(1, 100_000);
    /// Conversations with one BMC at once. Most BMCs confuse two.
    in_flight_per_bmc: u32 = 1, ours, live, range(1, 8);
    /// Conversations with one address block (a rack's BMC switch) at once.
    in_flight_per_block: u32 = 64, ours, live, range(1, 100_000);
    /// Prefix length of an IPv4 block.
    block_prefix_ipv4: u8 = 24, ours, range(8, 32);
    /// Prefix length of an IPv6 block.
    block_prefix_ipv6: u8 = 64, ours, range(16, 128);
    /// Packets that may leave in a second, in total.
    packets_per_second: u32 = 50_000, ours, live, range(1, 10_000_000);
    /// Timeouts in a row after which a BMC's breaker opens, and only a cheap probe is sent now and then.
    breaker_failures: u32 = 3, ours, live, range(1, 100);
    /// How long the breaker stays open the first time; it doubles with every failed probe.
    breaker_open: Seconds = 30, ours, live, range(1, 86_400);
    /// The longest that it stays open.
    breaker_open_max: Seconds = 600, ours, live, range(1, 86_400);
    /// How long a BMC is left alone after it refused a login, unless its credentials change. It doubles with every further
    /// refusal: many BMCs lock the account for minutes and begin anew with every try.
    auth_breaker_open: Seconds = 300, ours, live, range(1, 86_400);
    /// The longest that it is left alone.
    auth_breaker_open_max: Seconds = 3600, ours, live, range(1, 604_800);
    /// Over how long the first reads are spread when a conductor starts or takes nodes over.
    start_spread: Interval = 10, ours, live, max(3600);
}
