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
    /// How to authenticate: `password` (`v3password`), `v3applicationcredential`, `v3token`, or `none` with
    /// `endpoint_override`. Unset: no compute service, and nothing is sent.
    auth_type: Option<String> = Nothing;
    /// Address of the identity service.
    auth_url: Option<String> = Nothing;
    /// User name.
    username: Option<String> = Nothing;
    /// Password.
    password: Option<Secret<String>> = Nothing;
    /// Id of the user, instead of its name and domain.
    user_id: Option<String> = Nothing;
    /// Id of the application credential.
    application_credential_id: Option<String> = Nothing;
    /// Name of the application credential, together with its user.
    application_credential_name: Option<String> = Nothing;
    /// Secret of the application credential.
    application_credential_secret: Option<Secret<String>> = Nothing;
    /// A token to get tokens with, for `v3token`.
    token: Option<Secret<String>> = Nothing;
    /// Id of the project, instead of its name and domain.
    project_id: Option<String> = Nothing;
    /// Project of the user.
    project_name: Option<String> = Nothing;
    /// Domain of the user.
    user_domain_name: Option<String> = Nothing;
    /// Domain of the user, by id.
    user_domain_id: Option<String> = Nothing;
    /// Domain of the project.
    project_domain_name: Option<String> = Nothing;
    /// Domain of the project, by id.
    project_domain_id: Option<String> = Nothing;
    /// Domain of user and project alike, by name, where theirs are not set.
    default_domain_name: Option<String> = Nothing;
    /// Domain of user and project alike, by id, where theirs are not set.
    default_domain_id: Option<String> = Nothing;
    /// Scope of the token where it is not a project: this domain.
    domain_name: Option<String> = Nothing;
    /// Scope of the token where it is not a project: this domain, by id.
    domain_id: Option<String> = Nothing;
    /// Scope of the token where it is neither: `all`.
    system_scope: Option<String> = Nothing;
    /// Scope of the token: this trust.
    trust_id: Option<String> = Nothing;
    /// Type of the service in the catalog.
    service_type: String = "compute";
    /// Name of the service in the catalog.
    service_name: Option<String> = Nothing;
    /// Region in the catalog.
    region_name: Option<String> = Nothing;
    /// Interfaces in the catalog, the preferred one first.
    valid_interfaces: Vec<String> = ["internal", "public"];
    /// Address of the service, past the catalog.
    endpoint_override: Option<String> = Nothing;
    /// Certificate authorities, PEM.
    cafile: Option<PathBuf> = Nothing;
    /// Client certificate, PEM.
    certfile: Option<PathBuf> = Nothing;
    /// Its private key, PEM.
    keyfile: Option<PathBuf> = Nothing;
    /// Do not check the service's certificate.
    insecure: bool = false;
    /// How long one request may take. Ironic waits for ever by default.
    timeout: Seconds = 30, range(1, 600);
}
