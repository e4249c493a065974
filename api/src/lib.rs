//! The Bare Metal v1 REST API and the admin endpoint.
//!
//! Reads come from the replicated state in memory, after a read barrier. Edits are proposed to the cluster from
//! whichever conductor was asked; work on a machine is handed to its owner through a port. This crate knows neither
//! actors nor Raft: it meets them as `model::port` traits.
//!
//! The wire contract (statuses, texts, shapes, gates by microversion) is Ironic's; where Ironic is known to be wrong
//! the safe behaviour is implemented instead and noted beside the code. `v1::routes` is the one table of endpoints, from
//! which the router, the gates, the policy names and `docs/compatibility.md` all come.

mod admin;
mod app;
mod barrier;
mod call;
mod changes;
mod compute_metrics;
mod error;
mod fields;
mod identity;
mod metrics;
mod objects;
mod options;
mod out;
mod paging;
mod patch;
mod policy;
mod power_metrics;
mod query;
mod reply;
mod request_id;
mod server;
mod service;
mod tls;
mod v1;
mod version;

pub use admin::{AdminApi, AdminDeps};
pub use app::Deps;
pub use barrier::ReadPolicy;
pub use changes::Changes;
pub use compute_metrics::register_notifier_metrics;
pub use identity::Auth;
pub use options::ApiOptions;
pub use power_metrics::register_power_metrics;
pub use server::{ServeOptions, serve};
pub use service::PublicApi;
pub use tls::{Certificate, CertificateError};
pub use v1::compatibility;
