//! The pool's numbers, each with its reason.

use std::time::Duration;

/// How the pool paces. The defaults suit a management network of a few racks up to 100,000 BMCs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolSettings {
    /// Conversations in flight right after start and after a blackout; the search for the knee begins here. 128
    /// cold logins of 50 ms each reach the 5,000 machines that a takeover may bring in two seconds; each BMC has one of them,
    /// so an ordinary switch port carries a few packets each.
    pub limit_initial: usize,
    /// The search never goes below. With 8 conversations of 5 ms each the pool still makes 1,600 reads a second.
    pub limit_min: usize,
    /// The search never goes above. 100,000 BMCs at 300 ms (slow Redfish) read once a minute keep 500 in flight; four
    /// times that leaves room for a slower fleet, and a conversation holds about 10 KiB.
    pub limit_max: usize,
    /// Extra places that only users' jobs (and the starvation guard) may take when the limit is reached, so that a
    /// person does not wait behind slow reads.
    pub user_reserve: usize,
    /// Conversations at once with BMCs whose last call went unanswered, beside the limit. They hold a place for
    /// seconds and load the network little; 512 probe 10,000 dead BMCs of 5 s each in 100 s.
    pub suspects_max: usize,
    /// In flight per address block. A /24 of 254 BMCs at 5 ms each is read in 20 ms; behind one switch more would only queue.
    pub block_max: usize,
    /// In flight per address block with suspects; a dead rack is probed gently.
    pub block_suspects_max: usize,
    /// Jobs waiting in all. A conductor owns up to 100,000 nodes with one read outstanding each, and a burst of 10,000
    /// requests on top must fit.
    pub queue_max: usize,
    /// Jobs waiting per BMC. One node asks one question at a time, so 8 is a chassis with eight nodes behind one BMC.
    pub queue_per_bmc_max: usize,
    /// BMCs remembered at once; five times the fleet that one conductor is meant for. 100 MiB at the very worst.
    pub bmcs_max: usize,
    /// Datagrams or segments per second, estimated. 100,000 small packets are 100 Mbit/s, a tenth of a gigabit uplink; the
    /// search for the knee finds a narrower one. It lets 8,000 machines a second be read that need a login first, as after
    /// a takeover.
    pub packets_per_second: u64,
    /// Packets that may leave after a pause before the rate counts: one second's worth, which a takeover needs. What is in
    /// flight is bounded by the search for the knee.
    pub packets_burst: u64,
    /// Packets of a conversation within a session: question and answer.
    pub packets_warm: u64,
    /// Packets of a conversation that has to log in first: RMCP+ takes ten (capabilities, open session, RAKP 1 to 4,
    /// privilege) and two for the question.
    pub packets_cold: u64,
    /// How long after an answer the session at the BMC is taken to be alive (IPMI 2.0 §6.12.15: 60 s).
    pub warm_for: Duration,
    /// Least time between the end of one power command and the next one at the same IPMI BMC
    /// (`[ipmi]min_command_interval`, Ironic's default).
    pub write_interval: Duration,
    /// Least time between the end of a read and the next conversation at the same IPMI BMC. Ironic spaces reads as well, since each is a
    /// new process and a new session; our sessions are warm, so reads need no pause.
    pub read_interval: Duration,
    /// Budget of a read at a BMC of which nothing is known yet.
    pub read_timeout_initial: Duration,
    /// No learned budget of a read is below: room for three retransmissions.
    pub read_timeout_min: Duration,
    /// No learned budget of a read is above: slower is dead for power sync.
    pub read_timeout_max: Duration,
    /// Budgets of power commands: some BMCs answer only once the machine has moved.
    pub write_timeout_min: Duration,
    /// See [`PoolSettings::write_timeout_min`].
    pub write_timeout_max: Duration,
    /// Budget of a probe at a BMC whose breaker is open. A BMC that is up answers its cheapest question by then.
    pub probe_timeout: Duration,
    /// With less than this left until its deadline a job is rejected and not started: it would prove nothing.
    pub left_min: Duration,
    /// Silences in a row that open the circuit breaker. Three, since with 5 % of datagrams lost a call of four
    /// attempts fails in 1 of 160,000 and three in a row never.
    pub open_after: u32,
    /// First pause of an open breaker; it doubles with every silent probe.
    pub probe_backoff_min: Duration,
    /// Longest pause of an open breaker: a BMC that came back is seen within this, and it stays under Ironic's
    /// `power_failure_recovery_interval` of 300 s, so that a recovery read is always a real one.
    pub probe_backoff_max: Duration,
    /// Least time between users' probes through an open breaker.
    pub user_probe_interval: Duration,
    /// How long an auth breaker stays open without new credentials. Common BMC lockouts last 5 to 10 minutes and
    /// start again with every try.
    pub auth_backoff: Duration,
    /// Pause after a "busy" without a time.
    pub busy_pause: Duration,
    /// Longest pause that a BMC may ask for.
    pub busy_pause_max: Duration,
    /// One start in this many goes to a less urgent job, if one waits: under a flood of users' requests sync still
    /// gets an eighth, which at 2,000 starts a second reads 100,000 nodes in 7 minutes.
    pub guard_every: u64,
    /// What was learned about a BMC is dropped after this long without a job.
    pub forget_after: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            limit_initial: 128,
            limit_min: 8,
            limit_max: 2048,
            user_reserve: 16,
            suspects_max: 512,
            block_max: 64,
            block_suspects_max: 16,
            queue_max: 131_072,
            queue_per_bmc_max: 8,
            bmcs_max: 524_288,
            packets_per_second: 100_000,
            packets_burst: 100_000,
            packets_warm: 2,
            packets_cold: 12,
            warm_for: Duration::from_secs(60),
            write_interval: Duration::from_secs(5),
            read_interval: Duration::ZERO,
            read_timeout_initial: Duration::from_secs(5),
            read_timeout_min: Duration::from_secs(2),
            read_timeout_max: Duration::from_secs(15),
            write_timeout_min: Duration::from_secs(10),
            write_timeout_max: Duration::from_secs(30),
            probe_timeout: Duration::from_secs(5),
            left_min: Duration::from_millis(250),
            open_after: 3,
            probe_backoff_min: Duration::from_secs(10),
            probe_backoff_max: Duration::from_secs(120),
            user_probe_interval: Duration::from_secs(5),
            auth_backoff: Duration::from_secs(900),
            busy_pause: Duration::from_secs(2),
            busy_pause_max: Duration::from_secs(60),
            guard_every: 8,
            forget_after: Duration::from_secs(3600),
        }
    }
}

impl PoolSettings {
    /// The same with every number in a range in which the pool makes progress: configuration is checked elsewhere, this
    /// only keeps a slip from stopping the fleet.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        self.limit_min = self.limit_min.max(1);
        self.limit_max = self.limit_max.max(self.limit_min);
        self.limit_initial = self.limit_initial.clamp(self.limit_min, self.limit_max);
        self.suspects_max = self.suspects_max.max(1);
        self.block_max = self.block_max.max(1);
        self.block_suspects_max = self.block_suspects_max.max(1);
        self.queue_max = self.queue_max.max(1);
        self.queue_per_bmc_max = self.queue_per_bmc_max.max(1);
        self.bmcs_max = self.bmcs_max.max(1);
        self.packets_warm = self.packets_warm.max(1);
        self.packets_cold = self.packets_cold.max(self.packets_warm);
        self.packets_per_second = self.packets_per_second.max(1);
        self.packets_burst = self.packets_burst.max(self.packets_cold);
        self.read_timeout_min = self.read_timeout_min.max(self.left_min);
        self.read_timeout_max = self.read_timeout_max.max(self.read_timeout_min);
        self.write_timeout_max = self.write_timeout_max.max(self.write_timeout_min);
        self.probe_backoff_max = self.probe_backoff_max.max(self.probe_backoff_min);
        self.open_after = self.open_after.max(1);
        self.guard_every = self.guard_every.max(2);
        self
    }

    /// The most conversations that can be in flight at once; sizes the channel of completions.
    #[must_use]
    pub const fn in_flight_max(&self) -> usize {
        self.limit_max
            .saturating_add(self.user_reserve)
            .saturating_add(self.suspects_max)
    }
}
