//! The power desk: tells how fresh the nodes of this conductor are, asks the other conductors for the same, and says so in
//! the log when nodes become stale.

use crate::router::PeerRequest;
use baton_actors::shared::Shared;
use baton_actors::sync_pool::{GetStats, PoolAddr};
use baton_cluster::Cluster;
use baton_cluster::codec::peer::{decode_message, encode_message};
use baton_model::freshness::FreshnessReport;
use baton_model::ids::ConductorId;
use baton_model::port::BoxFuture;
use baton_model::port::power::{PowerReport, PowerReports, Told};
use baton_model::state::ConductorStatus;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long another conductor may take to answer; it only looks at what it has.
const PATIENCE: Duration = Duration::from_secs(3);

/// How often freshness is looked at for the log's sake; a twelfth of the usual interval.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct PowerDesk {
    me: ConductorId,
    cluster: Cluster,
    shared: Arc<Shared>,
    pool: PoolAddr,
    stale_after_ms: AtomicU64,
}

impl PowerDesk {
    pub(crate) fn new(
        cluster: Cluster,
        shared: Arc<Shared>,
        pool: PoolAddr,
        stale_after: Duration,
    ) -> Self {
        let desk = Self {
            me: cluster.conductor(),
            cluster,
            shared,
            pool,
            stale_after_ms: AtomicU64::new(0),
        };
        desk.set_stale_after(stale_after);
        desk
    }

    /// A reloaded threshold.
    pub(crate) fn set_stale_after(&self, stale_after: Duration) {
        let millis = u64::try_from(stale_after.as_millis()).unwrap_or(u64::MAX);
        self.stale_after_ms.store(millis, Ordering::Relaxed);
    }

    /// What this conductor tells the others.
    pub(crate) async fn report(&self, worst: usize) -> Told {
        let freshness = self.here(worst);
        match self.pool.send(GetStats).await {
            Ok(stats) => Ok(PowerReport {
                freshness,
                pool: stats.into(),
            }),
            Err(error) => Err(format!("its sync pool gave no answer: {error}").into()),
        }
    }

    async fn ask(&self, conductor: ConductorId, worst: usize) -> Told {
        if conductor == self.me {
            return self.report(worst).await;
        }
        let rows = u32::try_from(worst).unwrap_or(u32::MAX);
        let request = encode_message(&PeerRequest::Power { worst: rows })
            .map_err(|error| error.to_string())?;
        let answer = self
            .cluster
            .call(conductor, request, PATIENCE)
            .await
            .map_err(|error| error.to_string())?;
        decode_message::<Told>(&answer).map_err(|error| error.to_string())?
    }

    /// Says in the log when nodes become stale and when all are fresh again, until the process ends.
    pub(crate) async fn watch(self: Arc<Self>) {
        let mut alarmed = false;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let report = self.here(1);
            let stale = report.stale;
            let after_s = self.stale_after().as_secs();
            match (report.worst.first(), stale > 0) {
                (Some(worst), true) if !alarmed => {
                    alarmed = true;
                    tracing::warn!(
                        stale,
                        after_s,
                        node = %worst.node,
                        age_ms = worst.age_ms,
                        "power states are stale; `GET /admin/v1/staleness` lists the worst"
                    );
                }
                (_, false) if alarmed => {
                    alarmed = false;
                    tracing::info!(after_s, "no power state is stale any more");
                }
                _ => {}
            }
        }
    }
}

impl PowerReports for PowerDesk {
    fn stale_after(&self) -> Duration {
        Duration::from_millis(self.stale_after_ms.load(Ordering::Relaxed))
    }

    fn here(&self, worst: usize) -> FreshnessReport {
        let now = self.shared.env.clock.now();
        self.shared
            .freshness()
            .report(now, worst, self.stale_after())
    }

    fn everywhere(&self, worst: usize) -> BoxFuture<'_, Vec<(ConductorId, Told)>> {
        let conductors: Vec<ConductorId> = {
            let state = self.cluster.state();
            let state = state.read();
            state
                .conductors()
                .iter()
                .filter(|(_, record)| record.status != ConductorStatus::Down)
                .map(|(id, _)| *id)
                .collect()
        };
        let asked = conductors
            .into_iter()
            .map(move |conductor| async move { (conductor, self.ask(conductor, worst).await) });
        Box::pin(join_all(asked))
    }
}
