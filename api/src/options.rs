//! What the configuration decides about the API.

use crate::barrier::ReadPolicy;
use crate::identity::Auth;
use baton_config::Config;
use baton_config::sections::AuthStrategy;
use baton_model::hardware::Enabled;
use std::time::Duration;

/// The options of the public API. Defaults are Ironic's where Ironic has the option.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// `[api]public_endpoint`: the base of every link. Unset: what the client used to get here.
    pub public_endpoint: Option<Box<str>>,
    /// `[oslo_middleware]enable_proxy_headers_parsing`: believe `X-Forwarded-Proto` and `X-Forwarded-Host`.
    pub proxy_headers: bool,
    /// `[api]max_limit`: the most items of one page, and the default.
    pub max_limit: usize,
    /// How long an edit waits for a node's lock before the client gets Ironic's 409. Three seconds, the time that
    /// Ironic spends on its own retries (3 attempts, 1 s apart).
    pub node_lock_wait: Duration,
    /// `[DEFAULT]default_resource_class`.
    pub default_resource_class: Option<Box<str>>,
    /// `[conductor]allow_deleting_available_nodes`.
    pub allow_deleting_available_nodes: bool,
    /// How callers are told apart.
    pub auth: Auth,
    /// The listener speaks TLS, so links begin with `https`.
    pub tls: bool,
    /// Enabled hardware types and interfaces.
    pub enabled: Enabled,
    /// How fresh reads are.
    pub reads: ReadPolicy,
    /// `[notifier]compute_user`: the compute service's user, as `X-User-Name` names it.
    pub compute_user: Option<Box<str>>,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            public_endpoint: None,
            proxy_headers: false,
            max_limit: 1000,
            node_lock_wait: Duration::from_secs(3),
            default_resource_class: None,
            allow_deleting_available_nodes: true,
            auth: Auth::NoAuth,
            tls: false,
            enabled: Enabled::default(),
            reads: ReadPolicy::Linearizable,
            compute_user: None,
        }
    }
}

impl From<&Config> for ApiOptions {
    /// The options as the operator wrote them.
    fn from(config: &Config) -> Self {
        Self {
            public_endpoint: config.api.public_endpoint.as_deref().map(Box::from),
            proxy_headers: config.api.enable_proxy_headers_parsing,
            max_limit: usize::try_from(config.api.max_limit).unwrap_or(1000),
            node_lock_wait: config.conductor.node_lock_wait,
            default_resource_class: config
                .default
                .default_resource_class
                .as_deref()
                .map(Box::from),
            allow_deleting_available_nodes: config.conductor.allow_deleting_available_nodes,
            auth: match config.default.auth_strategy {
                AuthStrategy::NoAuth => Auth::NoAuth,
                AuthStrategy::HttpBasic => {
                    Auth::HttpBasic(config.default.http_basic_auth_user_file.clone())
                }
            },
            tls: config.api.cert_file.is_some(),
            enabled: config.enabled(),
            reads: ReadPolicy::Linearizable,
            compute_user: config.notifier.compute_user.as_deref().map(Box::from),
        }
    }
}
