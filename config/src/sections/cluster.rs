//! `[cluster]`: the Raft member in this process; sessions, storage, identity.

use crate::option::kinds::{HostPort, Millis, Peer};
use crate::option::raw::Nothing;
use crate::option::section::section;
use std::net::SocketAddr;
use std::path::PathBuf;

section! {
    /// This conductor as a member of the cluster: where it stores, whom it talks to, how fast it notices a death.
    pub struct ClusterSection in "cluster";
    fixed because "the member's identity, storage and timers are set when it starts, and all members must agree on the timers";

    /// Where this conductor keeps the replicated records. One directory belongs to one conductor.
    data_dir: PathBuf = "/var/lib/baton", ours;
    /// The number of this conductor, unique in the cluster for all time: a conductor that lost its disk comes back under a
    /// new one. Unset: the number that `baton cluster init` or `join` stored in `data_dir`.
    conductor_id: Option<u64> = Nothing, ours, min(1);
    /// Where it listens for the other conductors.
    listen: SocketAddr = "127.0.0.1:6387", ours;
    /// Where the others reach it; unset: `listen`.
    advertise: Option<HostPort> = Nothing, ours;
    /// The first members of a new cluster, this one among them, each `id@host:port`. Members that exist already ignore it.
    peers: Vec<Peer> = [], ours;
    /// How often the leader tells the others that it is alive.
    heartbeat_interval_ms: Millis = 100, ours, range(10, 10_000);
    /// The shortest silence of the leader after which a member calls an election. At 100 and 300 to 600 ms a lost leader is
    /// replaced in about one second; across sites use 250 and 1000 to 2000.
    election_timeout_min_ms: Millis = 300, ours, range(50, 60_000);
    /// The longest such silence.
    election_timeout_max_ms: Millis = 600, ours, range(100, 60_000);
    /// How long a conductor owns its nodes after its last renewal. It stops itself a margin before; the others take over a
    /// margin after.
    session_ttl_ms: Millis = 1000, ours, range(200, 60_000);
    /// Log entries between two snapshots. Fewer, larger steps stall the log while it is purged.
    snapshot_logs: u64 = 2000, ours, range(100, 20_000);
    /// Log entries kept behind a snapshot, for members that lag.
    snapshot_logs_kept: u64 = 1000, ours, range(0, 20_000);
    /// Memory for the storage engine's cache, in MiB.
    cache_mib: u64 = 64, ours, range(8, 4096);
    /// Certificate authority of the cluster, PEM. With `cert_file` and `key_file` conductors speak mutual TLS.
    ca_file: Option<PathBuf> = Nothing, ours;
    /// This conductor's certificate, PEM.
    cert_file: Option<PathBuf> = Nothing, ours;
    /// Its private key, PEM.
    key_file: Option<PathBuf> = Nothing, ours;
}
