//! What node actors cost when nothing happens: memory and CPU of a conductor that owns many nodes, with power sync off.
//! `cargo run --release -p baton-actors --features testkit --example node_actors [nodes] [seconds]`.
//!
//! Everything but the ports is the real thing: conductor, pool, node actors, replicated records of a usual size, sessions
//! renewed as often as in production. The figures are of the whole process, records and indexes included.
#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use actix::Actor;
use baton_actors::conductor::{ChangeFeed, ConductorActor, Placement, Profile, Registry};
use baton_actors::shared::{Lease, Shared};
use baton_actors::sync_pool::SyncPoolActor;
use baton_actors::testkit::{TestBmc, TestCluster, TestEnv};
use baton_config::Config;
use baton_model::command::{Command, Reply};
use baton_model::ids::{ConductorId, NodeId, WallMs};
use baton_model::json::Json;
use baton_model::node::core::Knobs;
use baton_model::node::power::PowerState;
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::NodeRecord;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Arbiters, as a conductor on two cores has.
const ARBITERS: usize = 2;

fn object(value: &serde_json::Value) -> Json {
    value.as_object().map(Json::from_map).unwrap_or_default()
}

fn record(n: u32) -> NodeRecord {
    let id = NodeId(Uuid::from_u128(
        0x0ba7_0000_0000_4000_8000_0000_0000_0000 + u128::from(n),
    ));
    let mut record = NodeRecord::new(id, "ipmi".into(), WallMs(0));
    record.name = Some(format!("rack-{:03}-{:03}", n / 40, n % 40).into());
    record.provision_state = ProvisionState::Active;
    record.power_state = Some(PowerState::On);
    record.instance_uuid = Some(Uuid::from_u128(u128::from(n) + 1));
    record.driver_info = object(&serde_json::json!({
        "ipmi_address": format!("10.{}.{}.{}", n >> 16, (n >> 8) & 255, n & 255),
        "ipmi_username": "admin",
        "ipmi_password": "a password of usual length",
        "deploy_kernel": "http://images.example/deploy/kernel",
        "deploy_ramdisk": "http://images.example/deploy/ramdisk",
    }));
    record.properties = object(&serde_json::json!({
        "cpus": 64, "memory_mb": 524_288, "local_gb": 1788, "cpu_arch": "x86_64",
        "capabilities": "boot_mode:uefi,secure_boot:true",
    }));
    record
}

/// Resident MiB and CPU seconds of this process.
fn usage() -> std::io::Result<(f64, f64)> {
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0.0);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss: f64 = number(rss.and_then(|rest| rest.split_whitespace().next()));
    let schedstat = std::fs::read_dir("/proc/self/task")?
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("schedstat")))
        .map(|text| {
            number(
                text.ok()
                    .and_then(|text| text.split(' ').next().map(str::to_owned))
                    .as_deref(),
            )
        })
        .sum::<f64>();
    Ok((rss / 1024.0, schedstat / 1e9))
}

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default| {
        arguments
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(default)
    };
    let (nodes, seconds) = (next(100_000), next(20));
    actix::System::new().block_on(measure(nodes, u64::from(seconds)))
}

async fn measure(nodes: u32, seconds: u64) -> std::io::Result<()> {
    let env = TestEnv::env(1);
    let cluster = TestCluster::new();
    let feed = Arc::new(ChangeFeed::default());
    cluster.subscribe(feed.clone());
    let (empty, _) = usage()?;
    for n in 0..nodes {
        let reply = cluster.commit(Command::NodeCreate(Box::new(record(n))));
        assert!(matches!(reply, Reply::Done { .. }), "{reply:?}");
    }
    let (with_records, _) = usage()?;

    let config = Config::default();
    let me = ConductorId(1);
    let state = cluster.state.clone();
    let lease = Arc::new(Lease::new(env.clone(), state.clone(), me));
    let pool = SyncPoolActor::new(
        config.pool_settings(),
        env.clone(),
        Arc::new(TestBmc::default()),
        lease.clone(),
        tokio::runtime::Handle::current(),
    )
    .open();
    let knobs = Knobs {
        sync_interval: None,
        ..config.node_knobs()
    };
    let member = cluster.member(me.0);
    let shared = Arc::new(Shared::new(
        env,
        state.clone(),
        member.clone(),
        member,
        lease,
        "conductor-1".into(),
        pool.clone(),
        config.block_prefix(),
        Arc::new(knobs),
    ));
    let arbiters: Vec<_> = (0..ARBITERS).map(|_| actix_rt::Arbiter::new()).collect();
    let registry = Arc::new(Registry::new(state));
    let profile = Profile {
        host: "conductor-1".into(),
        group: "".into(),
        rack: "rack-1".into(),
        drivers: vec!["ipmi".into()],
    };
    let begin = tokio::time::Instant::now();
    let _conductor = ConductorActor::new(
        shared,
        profile,
        config.session_periods(),
        feed,
        registry.clone(),
        Placement::Arbiters(arbiters.iter().map(actix_rt::Arbiter::handle).collect()),
    )
    .start();
    while registry.nodes().len() < nodes as usize {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let started = begin.elapsed();
    // What a start leaves behind is settled first.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (full, before) = usage()?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let (_, after) = usage()?;
    #[expect(clippy::cast_precision_loss, reason = "a span of seconds")]
    let idle = (after - before) / seconds as f64 * 100.0;
    println!("nodes                      {nodes}");
    println!("resident, all told         {full:.0} MiB");
    println!("  of it records            {:.0} MiB", with_records - empty);
    println!("  of it actors             {:.0} MiB", full - with_records);
    println!("all actors started within  {:.2} s", started.as_secs_f64());
    println!("idle CPU                   {idle:.2} % of a core");
    Ok(())
}
