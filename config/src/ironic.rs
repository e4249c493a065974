//! Options that Ironic has and baton does not, each with the reason and what to use instead.
//!
//! Who moves over from Ironic copies an `ironic.conf`; silence about an option would let them believe that it acts. Names:
//! Ironic 39.0.0, `ironic/conf/*.py` and the oslo libraries.

/// No broker, no database, no thread pools: the reasons that many rows share.
const NO_BROKER: &str =
    "baton has no message broker; conductors speak to each other directly, see `[cluster]`";
const NO_DATABASE: &str =
    "baton has no SQL database; its records are replicated, see `cluster.data_dir`";
const NO_POOL: &str = "baton runs actors and not a thread per operation, so there is no worker pool to size; \
                       `sync_pool.in_flight_max` bounds the work on BMCs";
const NO_RING: &str = "baton places nodes by rendezvous hashing of replicated data; there is no ring to tune or to reset";
const NO_SCAN: &str = "baton scans for nothing: each waiting node has its own timer, at the deadline of its own timeout option";
const NO_IPMITOOL: &str = "baton speaks IPMI itself and starts no ipmitool";
const NO_IMAGES: &str = "baton does not handle images in this version; deployment comes later";
const NO_DEPLOY: &str = "baton does not deploy in this version; it comes later";
const NO_NOTIFICATIONS: &str = "baton has no notification bus in this version; power events go to compute, see `[nova]` and `[notifier]`";
const NO_OUTBOX_RETRY: &str = "the outbox retries until compute has the event, see `[notifier]`";
const NOVA_VERSION: &str = "baton asks Nova's API 2.1 for microversion 2.76, the one that brought power updates; `nova.endpoint_override` \
                            names another address";
const AUTH_LATER: &str = "baton does not check tokens in this version; keep `api.host_ip` on loopback or behind an authenticating proxy";
const OS_LOG: &str = "baton logs to standard error, one line each; see `[log]`";

/// `(section, key or "*" for the whole section, why and what instead)`.
pub const WITHOUT_USE: &[(&str, &str, &str)] = &[
    ("conductor", "workers_pool_size", NO_POOL),
    ("conductor", "reserved_workers_pool_percentage", NO_POOL),
    ("conductor", "periodic_max_workers", NO_POOL),
    (
        "conductor",
        "heartbeat_interval",
        "conductors renew their sessions with the Raft leader, see `cluster.heartbeat_interval_ms`",
    ),
    (
        "conductor",
        "heartbeat_timeout",
        "a conductor counts as dead when its session ends, see `cluster.session_ttl_ms` (milliseconds)",
    ),
    (
        "conductor",
        "node_locked_retry_attempts",
        "a request waits in the node's queue instead of trying again, see `conductor.node_lock_wait`",
    ),
    (
        "conductor",
        "node_locked_retry_interval",
        "a request waits in the node's queue instead of trying again, see `conductor.node_lock_wait`",
    ),
    ("conductor", "check_provision_state_interval", NO_SCAN),
    ("conductor", "check_rescue_state_interval", NO_SCAN),
    ("conductor", "check_allocations_interval", NO_SCAN),
    (
        "conductor",
        "sync_local_state_interval",
        "a takeover starts the moment ownership moves; nothing is scanned for it",
    ),
    (
        "conductor",
        "conductor_cleanup_interval",
        "a conductor that left is removed by `baton cluster remove`, not by age",
    ),
    (
        "conductor",
        "conductor_cleanup_timeout",
        "a conductor that left is removed by `baton cluster remove`, not by age",
    ),
    (
        "conductor",
        "conductor_cleanup_batch_size",
        "a conductor that left is removed by `baton cluster remove`, not by age",
    ),
    (
        "conductor",
        "enable_mdns",
        "baton does not announce itself over multicast DNS",
    ),
    (
        "conductor",
        "automatic_lessee",
        "deprecated in Ironic too: use `conductor.automatic_lessee_source`",
    ),
    ("conductor", "cache_clean_up_interval", NO_IMAGES),
    (
        "conductor",
        "clear_image_cache_on_deploy_failure",
        NO_IMAGES,
    ),
    ("conductor", "permitted_image_formats", NO_IMAGES),
    ("conductor", "disable_deep_image_inspection", NO_IMAGES),
    ("conductor", "conductor_always_validates_images", NO_IMAGES),
    ("conductor", "disable_file_checksum", NO_IMAGES),
    ("conductor", "disable_support_for_checksum_files", NO_IMAGES),
    ("conductor", "disable_zstandard_decompression", NO_IMAGES),
    ("conductor", "disable_kernel_parameter_parsing", NO_IMAGES),
    ("conductor", "file_url_allowed_paths", NO_IMAGES),
    ("conductor", "bootloader", NO_IMAGES),
    ("conductor", "bootloader_by_arch", NO_IMAGES),
    ("conductor", "deploy_kernel", NO_DEPLOY),
    ("conductor", "deploy_ramdisk", NO_DEPLOY),
    ("conductor", "deploy_kernel_by_arch", NO_DEPLOY),
    ("conductor", "deploy_ramdisk_by_arch", NO_DEPLOY),
    ("conductor", "rescue_kernel", NO_DEPLOY),
    ("conductor", "rescue_ramdisk", NO_DEPLOY),
    ("conductor", "rescue_kernel_by_arch", NO_DEPLOY),
    ("conductor", "rescue_ramdisk_by_arch", NO_DEPLOY),
    (
        "conductor",
        "error_on_ramdisk_config_inconsistency",
        NO_DEPLOY,
    ),
    ("conductor", "rescue_password_hash_algorithm", NO_DEPLOY),
    ("conductor", "require_rescue_password_hashed", NO_DEPLOY),
    ("conductor", "configdrive_swift_container", NO_DEPLOY),
    (
        "conductor",
        "configdrive_swift_temp_url_duration",
        NO_DEPLOY,
    ),
    ("conductor", "disable_configdrive_check", NO_DEPLOY),
    ("conductor", "disable_metadata_mtu_check", NO_DEPLOY),
    (
        "conductor",
        "permit_child_node_step_async_result",
        NO_DEPLOY,
    ),
    (
        "conductor",
        "enable_trait_based_networking",
        "baton configures no networks in this version",
    ),
    ("conductor", "log_step_flows_to_syslog", OS_LOG),
    ("DEFAULT", "rpc_transport", NO_BROKER),
    ("DEFAULT", "rpc_response_timeout", NO_BROKER),
    ("DEFAULT", "transport_url", NO_BROKER),
    ("DEFAULT", "control_exchange", NO_BROKER),
    ("DEFAULT", "hash_partition_exponent", NO_RING),
    ("DEFAULT", "hash_ring_reset_interval", NO_RING),
    ("DEFAULT", "hash_ring_algorithm", NO_RING),
    (
        "DEFAULT",
        "graceful_shutdown_timeout",
        "use `conductor.graceful_shutdown_timeout`",
    ),
    (
        "DEFAULT",
        "drain_shutdown_timeout",
        "SIGTERM hands nodes over live, with their running work; use `conductor.graceful_shutdown_timeout`",
    ),
    ("DEFAULT", "minimum_required_memory", NO_IMAGES),
    ("DEFAULT", "minimum_memory_wait_time", NO_IMAGES),
    ("DEFAULT", "minimum_memory_wait_retries", NO_IMAGES),
    ("DEFAULT", "minimum_memory_warning_only", NO_IMAGES),
    ("DEFAULT", "force_raw_images", NO_IMAGES),
    ("DEFAULT", "image_download_concurrency", NO_IMAGES),
    ("DEFAULT", "webserver_connection_timeout", NO_IMAGES),
    ("DEFAULT", "webserver_verify_timeout", NO_IMAGES),
    ("DEFAULT", "notification_level", NO_NOTIFICATIONS),
    (
        "DEFAULT",
        "versioned_notifications_topics",
        NO_NOTIFICATIONS,
    ),
    (
        "DEFAULT",
        "debug_tracebacks_in_api",
        "baton never puts internal detail into an answer; find it in the log by request id",
    ),
    ("DEFAULT", "tempdir", NO_IPMITOOL),
    (
        "DEFAULT",
        "my_ip",
        "set `cluster.advertise` for the other conductors and `api.public_endpoint` for clients",
    ),
    (
        "DEFAULT",
        "my_ipv6",
        "set `cluster.advertise` for the other conductors and `api.public_endpoint` for clients",
    ),
    ("DEFAULT", "state_path", "use `cluster.data_dir`"),
    ("DEFAULT", "debug", "use `level = \"debug\"` in `[log]`"),
    ("DEFAULT", "log_file", OS_LOG),
    ("DEFAULT", "log_dir", OS_LOG),
    ("DEFAULT", "use_syslog", OS_LOG),
    ("DEFAULT", "use_journal", OS_LOG),
    ("DEFAULT", "use_json", "use `format = \"json\"` in `[log]`"),
    ("DEFAULT", "use_stderr", OS_LOG),
    (
        "DEFAULT",
        "default_log_levels",
        "use `level` in `[log]`, such as \"info,baton_bmc=debug\"",
    ),
    ("ipmi", "use_ipmitool_retries", NO_IPMITOOL),
    ("ipmi", "kill_on_timeout", NO_IPMITOOL),
    ("ipmi", "additional_retryable_ipmi_errors", NO_IPMITOOL),
    ("ipmi", "store_cred_in_env", NO_IPMITOOL),
    (
        "ipmi",
        "debug",
        "use `level = \"info,baton_bmc=debug\"` in `[log]`",
    ),
    (
        "redfish",
        "tls_ciphers",
        "baton offers the modern TLS 1.2 and 1.3 suites (ECDHE with AEAD) and no others",
    ),
    ("redfish", "use_swift", NO_IMAGES),
    ("redfish", "swift_container", NO_IMAGES),
    ("redfish", "swift_object_expiry_timeout", NO_IMAGES),
    ("redfish", "kernel_append_params", NO_IMAGES),
    ("redfish", "firmware_source", NO_IMAGES),
    ("redfish", "raid_config_status_interval", NO_SCAN),
    ("redfish", "raid_config_fail_interval", NO_SCAN),
    ("redfish", "firmware_update_status_interval", NO_SCAN),
    ("redfish", "firmware_update_fail_interval", NO_SCAN),
    (
        "redfish",
        "firmware_update_overall_timeout",
        "baton does not update firmware in this version",
    ),
    (
        "redfish",
        "enable_verify_bmc_clock",
        "baton does not set BMC clocks in this version",
    ),
    ("nova", "version", NOVA_VERSION),
    ("nova", "min_version", NOVA_VERSION),
    ("nova", "max_version", NOVA_VERSION),
    (
        "nova",
        "auth_section",
        "baton reads no second section: write the credentials into `[nova]`",
    ),
    (
        "nova",
        "tenant_id",
        "Keystone calls it a project: use `nova.project_id`",
    ),
    (
        "nova",
        "tenant_name",
        "Keystone calls it a project: use `nova.project_name`",
    ),
    (
        "nova",
        "passcode",
        "baton cannot answer one-time codes; use an application credential",
    ),
    (
        "nova",
        "tls_min_version",
        "baton speaks TLS 1.2 and 1.3, whichever the service offers",
    ),
    ("nova", "connect_retries", NO_OUTBOX_RETRY),
    ("nova", "connect_retry_delay", NO_OUTBOX_RETRY),
    ("nova", "status_code_retries", NO_OUTBOX_RETRY),
    ("nova", "status_code_retry_delay", NO_OUTBOX_RETRY),
    ("nova", "retriable_status_codes", NO_OUTBOX_RETRY),
    (
        "nova",
        "collect_timing",
        "every request's time is in the metrics and the log",
    ),
    ("nova", "split_loggers", OS_LOG),
    (
        "nova",
        "tls_ciphers",
        "baton offers the modern TLS 1.2 and 1.3 suites (ECDHE with AEAD) and no others",
    ),
    (
        "api",
        "api_workers",
        "one process serves the API on all cores",
    ),
    (
        "api",
        "enable_ssl_api",
        "set `api.cert_file` and `api.key_file`, and baton speaks TLS",
    ),
    ("api", "unix_socket", "baton listens on TCP only"),
    ("agent", "*", NO_DEPLOY),
    ("anaconda", "*", NO_DEPLOY),
    ("ansible", "*", NO_DEPLOY),
    (
        "audit",
        "*",
        "baton writes no audit middleware events in this version",
    ),
    ("cinder", "*", "baton attaches no volumes in this version"),
    ("console", "*", "baton has no consoles in this version"),
    (
        "cors",
        "*",
        "baton sets no CORS headers in this version; a proxy in front of it can",
    ),
    ("database", "*", NO_DATABASE),
    ("deploy", "*", NO_DEPLOY),
    ("dhcp", "*", "baton configures no networks in this version"),
    ("disk_partitioner", "*", NO_IMAGES),
    ("disk_utils", "*", NO_IMAGES),
    (
        "drac",
        "*",
        "use the `redfish` hardware type for iDRACs; there is no separate driver",
    ),
    ("glance", "*", NO_IMAGES),
    (
        "healthcheck",
        "*",
        "the admin listener answers health checks, see `[admin]`",
    ),
    (
        "ilo",
        "*",
        "use the `redfish` hardware type for iLO 5 and later; there is no separate driver",
    ),
    (
        "inspector",
        "*",
        "nothing inspects from inside the machine in this version; `inspect_interface = \"redfish\"` asks the BMC",
    ),
    (
        "inventory",
        "*",
        "baton keeps inventories in its own store, beside the nodes",
    ),
    (
        "irmc",
        "*",
        "use the `redfish` or `ipmi` hardware type; there is no separate driver",
    ),
    ("json_rpc", "*", NO_BROKER),
    ("keystone_authtoken", "*", AUTH_LATER),
    (
        "mdns",
        "*",
        "baton does not announce itself over multicast DNS",
    ),
    (
        "metrics",
        "*",
        "metrics are served by the admin listener for Prometheus to read, see `[admin]`",
    ),
    (
        "metrics_statsd",
        "*",
        "metrics are served by the admin listener for Prometheus to read, see `[admin]`",
    ),
    ("molds", "*", NO_DEPLOY),
    (
        "neutron",
        "*",
        "baton configures no networks in this version",
    ),
    ("oslo_concurrency", "*", "baton needs no lock files"),
    ("oslo_messaging_kafka", "*", NO_BROKER),
    ("oslo_messaging_notifications", "*", NO_NOTIFICATIONS),
    ("oslo_messaging_rabbit", "*", NO_BROKER),
    (
        "oslo_middleware",
        "enable_proxy_headers_parsing",
        "use `api.enable_proxy_headers_parsing`",
    ),
    (
        "oslo_middleware",
        "*",
        "baton needs no middleware options; set `api.public_endpoint` behind a proxy",
    ),
    ("oslo_policy", "*", AUTH_LATER),
    (
        "oslo_reports",
        "*",
        "the admin listener tells what a conductor is doing, see `[admin]`",
    ),
    (
        "profiler",
        "*",
        "baton has no OSprofiler; follow a request by its id in the log",
    ),
    ("pxe", "*", NO_DEPLOY),
    (
        "sensor_data",
        "*",
        "baton sends no sensor data in this version",
    ),
    ("service_catalog", "*", "set `api.public_endpoint`"),
    (
        "snmp",
        "*",
        "baton drives no SNMP power units in this version",
    ),
    ("swift", "*", NO_IMAGES),
    ("vnc", "*", "baton has no consoles in this version"),
    (
        "xclarity",
        "*",
        "use the `redfish` hardware type for XCC; there is no separate driver",
    ),
];

/// What to use instead of this option of Ironic; `None` if it is none, or one that baton has.
pub(crate) fn instead_of(section: &str, key: &str) -> Option<&'static str> {
    let found = WITHOUT_USE
        .iter()
        .find(|(known, name, _)| *known == section && (*name == "*" || *name == key));
    found.map(|(_, _, instead)| *instead)
}
