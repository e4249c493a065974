//! The staleness SLO as metrics, read from what the conductor counts when they are asked for.

use baton_model::port::power::PowerReports;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

/// Makes the freshness of the nodes owned here visible in a registry.
pub fn register_power_metrics(registry: &mut Registry, power: Arc<dyn PowerReports>) {
    registry.register_collector(Box::new(Freshness(power)));
}

/// Upper edges of the ages, in seconds.
const EDGES_S: [u64; 8] = [15, 30, 60, 120, 240, 600, 1800, 86_400];

struct Freshness(Arc<dyn PowerReports>);

impl fmt::Debug for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Freshness")
    }
}

impl Collector for Freshness {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let report = self.0.here(0);
        let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut nodes = encoder.encode_descriptor(
            "baton_power_state_nodes",
            "Nodes owned here by who reads their power state",
            None,
            MetricType::Gauge,
        )?;
        let synced = report.ages.count() + report.unconfirmed;
        for (read_by, number) in [
            ("sync", synced),
            ("recovery", report.recovering),
            ("nobody", report.unwatched),
        ] {
            let labels = [("read_by", read_by)];
            let metric = nodes.encode_family(&labels)?;
            ConstGauge::new(count(number)).encode(metric)?;
        }
        let mut within = encoder.encode_descriptor(
            "baton_power_state_confirmed_within_nodes",
            "Nodes whose power state was confirmed at most so many seconds ago",
            None,
            MetricType::Gauge,
        )?;
        for edge in EDGES_S {
            let edge_text = edge.to_string();
            let labels = [("seconds", edge_text.as_str())];
            let metric = within.encode_family(&labels)?;
            ConstGauge::new(count(report.ages.within(edge))).encode(metric)?;
        }
        let mut ages = encoder.encode_descriptor(
            "baton_power_state_age_seconds",
            "Age of the last confirmed read of the power state",
            None,
            MetricType::Gauge,
        )?;
        for (quantile, permille) in [("0.5", 500), ("0.9", 900), ("0.99", 990), ("1", 1000)] {
            if let Some(age) = report.ages.at(permille) {
                let labels = [("quantile", quantile)];
                let metric = ages.encode_family(&labels)?;
                ConstGauge::new(count(age)).encode(metric)?;
            }
        }
        for (name, help, number) in [
            (
                "baton_power_state_unconfirmed_nodes",
                "Nodes whose power state this owner has never confirmed",
                report.unconfirmed,
            ),
            (
                "baton_power_state_stale_nodes",
                "Nodes whose power state is older than the threshold of the alarm",
                report.stale,
            ),
            (
                "baton_power_state_stale_after_seconds",
                "The threshold of the alarm",
                self.0.stale_after().as_secs(),
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(count(number)).encode(metric)?;
        }
        Ok(())
    }
}
