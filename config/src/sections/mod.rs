//! The option table: one file a section. Add an option where it belongs; see `option::section` for how a line reads.

mod admin;
mod api;
mod cluster;
mod conductor;
mod default;
mod fake;
mod ipmi;
mod log;
mod notifier;
mod nova;
mod redfish;
mod sync_pool;

pub use admin::AdminSection;
pub use api::ApiSection;
pub use cluster::ClusterSection;
pub use conductor::{BootMode, CleaningStepSource, ConductorSection, LesseeSource};
pub use default::{AuthStrategy, DefaultSection};
pub use fake::FakeSection;
pub use ipmi::IpmiSection;
pub use log::{LogFormat, LogSection};
pub use notifier::NotifierSection;
pub use nova::NovaSection;
pub use redfish::RedfishSection;
pub use sync_pool::SyncPoolSection;
