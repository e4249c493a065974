//! The options of a simulated cluster member.

use super::net::{Host, address_of};
use super::process::Surroundings;
use super::stream::SimTransport;
use crate::settings;
use baton_cluster::kv::mem::MemDisk;
use baton_cluster::{Compaction, Founding, Listen, Member, Options, Storage, Timing};
use baton_model::ids::ConductorId;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How long a proposal or a read barrier is tried, as in the composition root.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names the simulated cluster.
const CLUSTER: Uuid = Uuid::from_u128(0xBA70_0000_CAFE);

pub(super) fn options(around: &Surroundings, host: Host, name: &str, disk: MemDisk) -> Options {
    let others = around.hosts.iter().filter(|other| **other != host);
    let others = others
        .map(|other| {
            let member = Member {
                host: format!("conductor-{other}"),
                address: address_of(*other),
            };
            (ConductorId(*other), member)
        })
        .collect();
    Options {
        host_name: name.to_owned(),
        storage: Storage::Memory(disk),
        transport: Arc::new(SimTransport::new(around.net.clone(), host)),
        listen: Listen::Address(address_of(host)),
        advertise: Some(address_of(host)),
        timing: Timing::default(),
        compaction: Compaction {
            snapshot_every: settings::SNAPSHOT_EVERY,
            keep: settings::LOGS_KEPT,
        },
        sessions: settings::SESSIONS,
        patience: PATIENCE,
        founding: (!around.lost_disks.contains(&host)).then_some(Founding {
            cluster: CLUSTER,
            conductor: ConductorId(host),
            others,
        }),
    }
}
