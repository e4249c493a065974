//! `[redfish]`: how BMCs are reached over HTTPS.

use crate::option::choice::choice;
use crate::option::kinds::Seconds;
use crate::option::raw::Nothing;
use crate::option::section::section;
use baton_model::driver::redfish::{RedfishAuth, TlsMinimum};
use std::path::PathBuf;

choice!(impl RedfishAuth { Auto = "auto", Session = "session", Basic = "basic", });
choice!(impl TlsMinimum { V1_2 = "1.2", V1_3 = "1.3", });

section! {
    /// Redfish over HTTPS.
    pub struct RedfishSection in "redfish";
    fixed because "the Redfish client is built when the conductor starts";

    /// How nodes that say nothing else authenticate.
    auth_type: RedfishAuth = "auto";
    /// How often a request is tried when the connection fails.
    connection_attempts: u32 = 5, live, range(1, 100);
    /// The pause between two tries.
    connection_retry_interval: Seconds = 4, live, range(1, 300);
    /// How long a connection may take to open.
    connect_timeout: Seconds = 30, live, range(1, 600);
    /// How long an answer may take.
    read_timeout: Seconds = 60, live, range(1, 600);
    /// Connections that are kept open at once. Ironic keeps 1000, with which a larger fleet would have to log in for every read.
    connection_cache_size: u32 = 100_000, range(1, 1_000_000);
    /// Certificate authorities (file or directory, PEM) for nodes whose `redfish_verify_ca` is true or unset; unset: the
    /// usual public ones.
    verify_ca: Option<PathBuf> = Nothing;
    /// Lowest TLS version to accept. BMCs that speak only TLS 1.0 or 1.1 cannot be reached.
    tls_minimum_version: Option<TlsMinimum> = Nothing;
    /// How often a power on that the BMC refuses as conflicting is tried again.
    power_on_conflict_retry_attempts: u32 = 6, live, max(100);
    /// The pause between two such tries.
    power_on_conflict_retry_interval: Seconds = 10, live, range(1, 300);
    /// How often a change of the boot device is tried while the BMC says "not now", as during a self-test.
    post_boot_retry_attempts: u32 = 6, live, range(1, 100);
    /// The first pause between two such tries; it grows up to sixfold.
    post_boot_retry_delay: Seconds = 5, live, range(1, 300);
    /// How long a change of the boot mode may take.
    boot_mode_config_timeout: Seconds = 900, live, max(86_400), planned;
}
