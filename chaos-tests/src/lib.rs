//! Chaos: the whole of baton in one thread, on simulated time, disks, network and machines, from one seed.
//!
//! The conductors are the production ones: their actors, their consensus core, their log and its formats. Only the ports
//! are the simulation's. A [`scenario`] is run in a [`world`]; a [`nemesis`] makes trouble, clients do their
//! [`workload`], machines stand in a [`farm`], an [`oracle`] watches what is committed, and [`invariants`] judge. The
//! same seed gives the same [`trace`]. `docs/chaos.md` tells how to use it.

pub mod compute;
pub mod farm;
pub mod invariants;
pub mod nemesis;
pub mod oracle;
pub mod plant;
pub mod rng;
pub mod scenario;
pub mod settings;
pub mod timeline;
pub mod trace;
pub mod workload;
pub mod world;
