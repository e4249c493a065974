//! Counters of the public API.

use axum::http::{Method, StatusCode};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct Request {
    method: &'static str,
    status: u16,
}

/// Upper bounds of the duration histogram, in seconds: from a read in memory to a write that waited for a lock.
const DURATION_BUCKETS_S: [f64; 9] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0];

/// What one public API counts.
pub(crate) struct Metrics {
    requests: Family<Request, Counter>,
    duration: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            duration: Histogram::new(DURATION_BUCKETS_S),
        }
    }
}

impl Metrics {
    /// Makes the counters visible in a registry.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "baton_api_requests",
            "Requests answered by the public API",
            self.requests.clone(),
        );
        registry.register(
            "baton_api_request_duration_seconds",
            "Time from the end of a request's head to its reply",
            self.duration.clone(),
        );
    }

    /// Counts one answered request.
    pub(crate) fn observe(&self, method: &Method, status: StatusCode, took: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::PATCH => "PATCH",
            Method::DELETE => "DELETE",
            _ => "other",
        };
        let labels = Request {
            method,
            status: status.as_u16(),
        };
        self.requests.get_or_create(&labels).inc();
        self.duration.observe(took.as_secs_f64());
    }
}
