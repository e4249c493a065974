//! The notifier's metrics, read from its statistics when they are asked for.

use baton_model::port::compute::Notifier;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::fmt;
use std::sync::Arc;

/// Makes the notifier's numbers visible in a registry.
pub fn register_notifier_metrics(registry: &mut Registry, notifier: Arc<dyn Notifier>) {
    registry.register_collector(Box::new(Numbers(notifier)));
}

struct Numbers(Arc<dyn Notifier>);

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let stats = self.0.stats();
        let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let gauges = [
            (
                "baton_compute_events_waiting",
                "Power events of nodes owned here that the compute service has yet to be told",
                count(stats.depth),
            ),
            (
                "baton_compute_events_in_flight",
                "Power events in requests that are under way",
                count(stats.in_flight),
            ),
            (
                "baton_compute_failing",
                "Whether the last request to the compute service failed",
                i64::from(stats.last_error.is_some()),
            ),
        ];
        for (name, help, value) in gauges {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        let oldest = encoder.encode_descriptor(
            "baton_compute_oldest_event_age_seconds",
            "How long the oldest waiting power event has been known to this conductor",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(stats.oldest.as_secs_f64()).encode(oldest)?;
        let requests = encoder.encode_descriptor(
            "baton_compute_requests",
            "Requests sent to the compute service",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(stats.requests).encode(requests)?;
        let mut results = encoder.encode_descriptor(
            "baton_compute_event_results",
            "Power events by what the compute service said to each, or why their request failed",
            None,
            MetricType::Counter,
        )?;
        for (result, events) in &stats.results {
            let labels = [("result", &**result)];
            let metric = results.encode_family(&labels)?;
            ConstCounter::new(*events).encode(metric)?;
        }
        Ok(())
    }
}
