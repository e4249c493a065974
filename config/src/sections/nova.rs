//! `[nova]`: the compute service that is told about power changes.

use crate::option::kinds::Seconds;
use crate::option::raw::Nothing;
use crate::option::section::section;
use baton_model::secret::Secret;
use std::path::PathBuf;

section! {
    /// The compute service, which is told about every power change of a node that has an instance.
    pub struct NovaSection in "nova";
    fixed because "the compute client is built when the conductor starts";

    /// Whether power changes are sent at all.
    send_power_notifications: bool = true, live;
    /// How to authenticate: `password`, `v3applicationcredential`, `none`.
    auth_type: Option<String> = Nothing, planned;
    /// Address of the identity service.
    auth_url: Option<String> = Nothing, planned;
    /// User name.
    username: Option<String> = Nothing, planned;
    /// Password.
    password: Option<Secret<String>> = Nothing, planned;
    /// Project of the user.
    project_name: Option<String> = Nothing, planned;
    /// Domain of the user.
    user_domain_name: Option<String> = Nothing, planned;
    /// Domain of the project.
    project_domain_name: Option<String> = Nothing, planned;
    /// Scope of the token where it is not a project: `all`.
    system_scope: Option<String> = Nothing, planned;
    /// Type of the service in the catalog.
    service_type: String = "compute", planned;
    /// Name of the service in the catalog.
    service_name: Option<String> = Nothing, planned;
    /// Region in the catalog.
    region_name: Option<String> = Nothing, planned;
    /// Interfaces in the catalog, the preferred one first.
    valid_interfaces: Vec<String> = ["internal", "public"], planned;
    /// Address of the service, past the catalog.
    endpoint_override: Option<String> = Nothing, planned;
    /// Certificate authorities, PEM.
    cafile: Option<PathBuf> = Nothing, planned;
    /// Client certificate, PEM.
    certfile: Option<PathBuf> = Nothing, planned;
    /// Its private key, PEM.
    keyfile: Option<PathBuf> = Nothing, planned;
    /// Do not check the service's certificate.
    insecure: bool = false, planned;
    /// How long one request may take. Ironic waits for ever by default.
    timeout: Seconds = 30, range(1, 600), planned;
}
