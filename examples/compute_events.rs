//! `scripts/bench events`: how fast the outbox drains into a compute service that takes 100 ms for a request, what a steady
//! stream costs, and what Ironic's way, one blocking request for each event, does in the same run.
//!
//! The notifier, the outbox core, `apply`, the client and its sockets are the real ones; the log commits at once, so that
//! what is measured is not Raft (see `scripts/bench raft`). The simulated service is a process of its own.

use actix::Actor as _;
use anyhow::Context as _;
use baton_actors::notifier::{NotifierActor, NotifierView, OutboxFeed};
use baton_actors::shared::{Lease, Shared};
use baton_actors::sync_pool::SyncPoolActor;
use baton_actors::testkit::{TestBmc, TestCluster, TestEnv};
use baton_compute::sim::{PASSWORD, Simulator, USER};
use baton_compute::{ComputeOptions, NovaClient};
use baton_config::sections::NovaSection;
use baton_model::command::{ActOnNode, Command, ConductorUp, Fence, NodeChange, Session};
use baton_model::env::{Env, Mono};
use baton_model::ids::{ConductorId, Epoch, Incarnation, NodeId, WallMs};
use baton_model::node::core::Knobs;
use baton_model::node::power::{PowerCause, PowerState};
use baton_model::node::record::NodeRecord;
use baton_model::outbox::OutboxSettings;
use baton_model::pool::{BlockPrefix, PoolSettings};
use baton_model::port::compute::{Compute, PowerUpdate};
use baton_model::secret::Secret;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use uuid::Uuid;

const QUEUED: u128 = 100_000;
const STEADY_PER_S: u128 = 2000;
const STEADY_S: u64 = 15;
const BLOCKING_S: u64 = 5;
const LATENCY_MS: u64 = 100;
const ME: Session = Session {
    conductor: ConductorId(1),
    incarnation: Incarnation(1),
};

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    if std::env::args().nth(1).as_deref() == Some("serve") {
        return runtime.block_on(serve());
    }
    actix_rt::System::new().block_on(bench(runtime.handle().clone()))
}

async fn serve() -> anyhow::Result<()> {
    let simulator = Simulator::start(([127, 0, 0, 1], 0).into()).await?;
    simulator.fault(|faults| faults.latency_ms = LATENCY_MS);
    let mut out = std::io::stdout();
    writeln!(out, "{}", simulator.auth_url())?;
    out.flush()?;
    std::future::pending().await
}

/// The service, which ends with this process.
struct Service {
    child: Child,
    auth_url: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.child.kill());
    }
}

impl Service {
    fn start() -> anyhow::Result<Self> {
        let mut child = Process::new(std::env::current_exe()?)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().context("it is piped")?;
        BufReader::new(out).read_line(&mut line)?;
        let auth_url = line.trim().to_owned();
        Ok(Self { child, auth_url })
    }

    fn client(&self, env: &Env) -> anyhow::Result<NovaClient> {
        let nova = NovaSection {
            auth_type: Some("password".into()),
            auth_url: Some(self.auth_url.clone()),
            username: Some(USER.into()),
            password: Some(Secret::new(PASSWORD.to_owned())),
            ..NovaSection::default()
        };
        let options = ComputeOptions::from_section(&nova)?.context("configured")?;
        Ok(NovaClient::new(options, env.entropy.clone())?)
    }
}

/// A node with an instance of the same number goes on or off.
fn change(cluster: &TestCluster, n: u128, state: PowerState, notify: bool) {
    let node = NodeId(Uuid::from_u128(n));
    let epoch = |cluster: &TestCluster| cluster.state.read().node(node).map(|known| known.epoch);
    if epoch(cluster).is_none() {
        let mut record = NodeRecord::new(node, "fake-hardware".into(), WallMs(0));
        record.instance_uuid = Some(Uuid::from_u128(n));
        cluster.commit(Command::NodeCreate(Box::new(record)));
    }
    let epoch = epoch(cluster).unwrap_or(Epoch(0));
    cluster.commit(Command::NodeAct(ActOnNode {
        node,
        fence: Fence { session: ME, epoch },
        expect: None,
        changes: vec![NodeChange::Power {
            state: Some(state),
            cause: PowerCause::User,
            notify,
        }],
    }));
}

/// CPU time of this process in seconds (proc(5): fields 14 and 15 of `stat`, in hundredths).
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    (ticks(11).unwrap_or(0.0) + ticks(12).unwrap_or(0.0)) / 100.0
}

/// A notifier over `cluster`, whose every node is this conductor's.
fn start_notifier(
    cluster: &Arc<TestCluster>,
    env: &Env,
    feed: Arc<OutboxFeed>,
    client: NovaClient,
    runtime: &Handle,
) {
    let lease = Arc::new(Lease::new(env.clone(), cluster.state.clone(), ME.conductor));
    lease.begin(ME.incarnation);
    lease.extend(Mono(u64::MAX));
    let settings = PoolSettings::default();
    let bmc = Arc::new(TestBmc::default());
    let pool =
        SyncPoolActor::new(settings, env.clone(), bmc, lease.clone(), runtime.clone()).open();
    let member = cluster.member(1);
    let shared = Shared::new(
        env.clone(),
        cluster.state.clone(),
        member.clone(),
        member,
        lease,
        "one".into(),
        pool,
        BlockPrefix::default(),
        Arc::new(Knobs::default()),
    );
    let view = NotifierView::new(env.clone(), cluster.state.clone(), Duration::ZERO, true);
    NotifierActor::new(
        Arc::new(shared),
        Some(Arc::new(client)),
        feed,
        Arc::new(view),
        OutboxSettings::default(),
        runtime.clone(),
    )
    .start();
}

async fn bench(runtime: Handle) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    let service = Service::start()?;
    let (cluster, env) = (TestCluster::new(), TestEnv::env(1));
    let feed = Arc::new(OutboxFeed::default());
    cluster.subscribe(feed.clone());
    cluster.commit(Command::ConductorUp(ConductorUp {
        session: ME,
        host: "one".into(),
        group: "".into(),
        rack: "".into(),
        drivers: vec!["fake-hardware".into()],
    }));
    for n in 1..=QUEUED {
        change(&cluster, n, PowerState::On, true);
    }
    let queued = cluster.state.read().outbox_len();
    let (begun, cpu) = (Instant::now(), cpu_s());
    start_notifier(&cluster, &env, feed, service.client(&env)?, &runtime);
    while cluster.state.read().outbox_len() > 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_s() - cpu);
    writeln!(
        out,
        "drained {queued} events in {took:.1} s with {cpu:.1} CPU-s; target <= 30 s"
    )?;

    // A steady stream, without its events and with them: the difference is what telling costs.
    let mut shares = Vec::new();
    for (notify, state) in [(false, PowerState::Off), (true, PowerState::On)] {
        let (begun, cpu) = (Instant::now(), cpu_s());
        for tick in 0..STEADY_S * 100 {
            for n in 0..STEADY_PER_S / 100 {
                // Each node changes once in a round.
                let node = 1 + u128::from(tick) * (STEADY_PER_S / 100) + n;
                change(&cluster, node, state, notify);
            }
            tokio::time::sleep_until(begun + Duration::from_millis((tick + 1) * 10)).await;
        }
        shares.push(100.0 * (cpu_s() - cpu) / begun.elapsed().as_secs_f64());
    }
    writeln!(
        out,
        "steady {STEADY_PER_S} events/s for {STEADY_S} s: {:.1} % of a core with events, {:.1} % without, {} waiting at the \
         end; target: 5 % between them",
        shares[1],
        shares[0],
        cluster.state.read().outbox_len()
    )?;

    // As Ironic does it: one event for each request, and the node's lock held meanwhile.
    let client = service.client(&env)?;
    let limit = Duration::from_secs(BLOCKING_S);
    let blocking = runtime.spawn(async move {
        let (begun, mut sent) = (Instant::now(), 0_u32);
        while begun.elapsed() < limit {
            let update = PowerUpdate {
                instance: Uuid::from_u128(u128::from(sent) + 1),
                state: PowerState::On,
            };
            client.power_update(&[update], &|| true).await?;
            sent += 1;
        }
        anyhow::Ok(sent)
    });
    let rate = f64::from(blocking.await??) / limit.as_secs_f64();
    let eight = 100_000.0 / (rate * 8.0);
    writeln!(
        out,
        "one blocking request for each event: {rate:.1}/s for a worker, {eight:.0} s for {QUEUED} events with Ironic's 8"
    )?;
    Ok(())
}
