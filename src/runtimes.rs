//! The threads of one conductor's process, by what may hold them up.
//!
//! Conversations with BMCs have threads of their own. A takeover of ten thousand Redfish BMCs is seconds of TLS handshakes, and a
//! heartbeat or an API call must not stand in line behind them; the kernel shares the cores out between the two. Half of
//! the cores do for BMCs: fewer threads hand each other less work, which is what a read that nobody else waits for costs most
//! (`docs/bench.md`, sweeps).

use anyhow::Context as _;
use tokio::runtime::{Builder, Handle, Runtime};

/// The runtimes beside the one that the actors live on.
pub(crate) struct Runtimes {
    io: Runtime,
    bmc: Runtime,
}

impl Runtimes {
    /// Starts the threads.
    pub(crate) fn start() -> anyhow::Result<Self> {
        Ok(Self {
            io: threads("baton-io", cores())?,
            bmc: threads("baton-bmc", cores() / 2)?,
        })
    }

    /// Where Raft, peers and HTTP run.
    pub(crate) fn io(&self) -> &Handle {
        self.io.handle()
    }

    /// Where conversations with BMCs run.
    pub(crate) fn bmc(&self) -> &Handle {
        self.bmc.handle()
    }

    /// Drops whatever still runs, without waiting for it.
    pub(crate) fn shut_down(self) {
        self.bmc.shutdown_background();
        self.io.shutdown_background();
    }
}

/// How many threads node actors live on. A hundred thousand machines read once a minute take a few hundredths of a core, and
/// each thread of them is woken at each beat: more than one is for the bursts of work that users bring.
pub(crate) fn node_threads() -> usize {
    (cores() / 4).max(1)
}

/// How many cores this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn threads(name: &'static str, count: usize) -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .enable_all()
        .worker_threads(count.max(1))
        .thread_name(name)
        .build()
        .with_context(|| format!("could not start the threads {name}"))
}
