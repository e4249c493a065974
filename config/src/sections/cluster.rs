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
    /// The number of this conductor among the founders in `peers`. Later conductors get theirs from the cluster, and so does
    /// a founder that lost its disk: it comes back under a new one.
    conductor_id: Option<u64> = Nothing, ours, min(1);
    /// Where it listens for the other conductors.
    listen: SocketAddr = "127.0.0.1:6387", ours;
    /// Where the others reach it; unset: `listen`.
    advertise: Option<HostPort> = Nothing, ours;
    /// The first members of a new cluster, this one among them, each `id@host:port`; the same list on each of them. The
    /// cluster is founded once all of them are there. Members that exist already ignore it.
    peers: Vec<Peer> = [], ours;
    /// Members through which this conductor enters the cluster when its `data_dir` is empty, or was lost. Without `join` and
    /// `peers`, an empty `data_dir` needs `baton cluster init` or `baton cluster join` first.
    join: Vec<HostPort> = [], ours;
    /// A voter that was not heard for this long is lost, and a learner takes over its vote. Five conductors vote; more of
    /// them follow as learners and own nodes all the same.
    voter_lost_after_ms: Millis = 30_000, ours, range(1000, 86_400_000);
    /// How often the leader tells the others that it is alive.
    heartbeat_interval_ms: Millis = 80, ours, range(10, 10_000);
    /// The shortest silence of the leader, beyond its lease, after which a member calls an election. At 80 and 250 to 500 ms
    /// a lost leader is replaced after some 0.9 s; across sites use 250 and 1000 to 2000.
    election_timeout_min_ms: Millis = 250, ours, range(50, 60_000);
    /// The longest such silence, and the life of a leader's lease.
    election_timeout_max_ms: Millis = 500, ours, range(100, 60_000);
    /// How long a conductor owns its nodes after its last renewal. It stops itself a fifth before; the others take over a
    /// fifth after. At 500, and elections as above, the nodes of a lost conductor are owned again after some 0.6 s, those of a
    /// lost leader after some 1 s; across sites use 2500.
    session_ttl_ms: Millis = 500, ours, range(200, 60_000);
    /// Log entries between two snapshots. Fewer, larger steps stall the log while it is purged.
    snapshot_logs: u64 = 2000, ours, range(100, 20_000);
    /// Log entries kept behind a snapshot, for members that lag.
    snapshot_logs_kept: u64 = 1000, ours, range(0, 20_000);
    /// Memory for the storage engine's cache, in MiB.
    cache_mib: u64 = 64, ours, range(8, 4096);
    /// Certificate authority of the cluster, PEM. With `cert_file` and `key_file` conductors speak mutual TLS; without them
    /// `listen` must be a loopback address. `baton cluster certs` makes all three.
    ca_file: Option<PathBuf> = Nothing, ours;
    /// This conductor's certificate, PEM, for the host name in `[DEFAULT] host`.
    cert_file: Option<PathBuf> = Nothing, ours;
    /// Its private key, PEM.
    key_file: Option<PathBuf> = Nothing, ours;
}
