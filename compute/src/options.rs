//! `[nova]` as the client takes it, and what in it does not go together.

use crate::auth::Method;
use baton_config::sections::NovaSection;
use baton_model::secret::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// What is wrong with `[nova]`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// A method that needs an option which is not set.
    #[error("`[nova] auth_type = \"{auth_type}\"` needs `{option}`")]
    Missing {
        /// The method.
        auth_type: String,
        /// The option, or a choice of options.
        option: &'static str,
    },
    /// A method that does not exist here.
    #[error(
        "`[nova] auth_type = \"{0}\"` is none of password, v3password, v3applicationcredential, v3token, token, none"
    )]
    UnknownMethod(String),
    /// A key without its certificate.
    #[error("`[nova] keyfile` needs `certfile`")]
    KeyAlone,
    /// A scope that Keystone does not have.
    #[error("`[nova] system_scope = \"{0}\"`: Keystone knows only `all`")]
    SystemScope(String),
    /// Addresses have to be absolute.
    #[error("`[nova] {option}` is no http or https address: {value}")]
    Address {
        /// The option.
        option: &'static str,
        /// What it says.
        value: String,
    },
    /// A file of certificates or keys is of no use.
    #[error("`[nova] {option}` {path}: {reason}")]
    File {
        /// The option.
        option: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What the client needs to know.
#[derive(Clone, Debug)]
pub struct ComputeOptions {
    /// How to get tokens; `None` sends no token.
    pub(crate) auth: Option<(String, Method)>,
    pub(crate) service_type: String,
    pub(crate) service_name: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) interfaces: Vec<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) cafile: Option<PathBuf>,
    pub(crate) client_certificate: Option<(PathBuf, PathBuf)>,
    pub(crate) insecure: bool,
    pub(crate) timeout: Duration,
}

impl ComputeOptions {
    /// The options of a configured compute service; `None` if there is none: notifications are switched off, or neither a
    /// method nor an address is set, as for a baton that stands alone.
    ///
    /// # Errors
    /// The first thing that does not go together.
    pub fn from_section(nova: &NovaSection) -> Result<Option<Self>, OptionsError> {
        let named = nova.auth_type.is_some() || nova.auth_url.is_some();
        if !nova.send_power_notifications || !(named || nova.endpoint_override.is_some()) {
            return Ok(None);
        }
        let auth = auth(nova)?;
        let endpoint = nova.endpoint_override.clone();
        for (option, value) in [
            ("auth_url", auth.as_ref().map(|(url, _)| url)),
            ("endpoint_override", endpoint.as_ref()),
        ] {
            if let Some(value) = value
                && !(value.starts_with("http://") || value.starts_with("https://"))
            {
                let value = value.clone();
                return Err(OptionsError::Address { option, value });
            }
        }
        let client_certificate = match (&nova.certfile, &nova.keyfile) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            // keystoneauth takes a certificate file that holds its key too.
            (Some(both), None) => Some((both.clone(), both.clone())),
            (None, Some(_)) => return Err(OptionsError::KeyAlone),
            (None, None) => None,
        };
        if let Some(scope) = nova.system_scope.as_ref().filter(|scope| *scope != "all") {
            return Err(OptionsError::SystemScope(scope.clone()));
        }
        Ok(Some(Self {
            auth,
            service_type: nova.service_type.clone(),
            service_name: nova.service_name.clone(),
            region: nova.region_name.clone(),
            interfaces: nova.valid_interfaces.clone(),
            endpoint,
            cafile: nova.cafile.clone(),
            client_certificate,
            insecure: nova.insecure,
            timeout: nova.timeout,
        }))
    }
}

fn auth(nova: &NovaSection) -> Result<Option<(String, Method)>, OptionsError> {
    let auth_type = nova.auth_type.as_deref().unwrap_or("password");
    let missing = |option| OptionsError::Missing {
        auth_type: auth_type.to_owned(),
        option,
    };
    let secret =
        |value: &Option<Secret<String>>, option| value.clone().ok_or_else(|| missing(option));
    let text = |value: &Option<String>, option| value.clone().ok_or_else(|| missing(option));
    let method = match auth_type {
        "none" | "noauth" => {
            text(&nova.endpoint_override, "endpoint_override")?;
            return Ok(None);
        }
        "password" | "v3password" => Method::password(nova, secret(&nova.password, "password")?)
            .ok_or_else(|| missing("username with user_domain_name, or user_id"))?,
        "v3applicationcredential" => {
            let credential = &nova.application_credential_secret;
            let credential = secret(credential, "application_credential_secret")?;
            Method::application_credential(nova, credential).ok_or_else(|| {
                missing("application_credential_id, or application_credential_name with its user")
            })?
        }
        "v3token" | "token" => Method::token(nova, secret(&nova.token, "token")?),
        other => return Err(OptionsError::UnknownMethod(other.to_owned())),
    };
    Ok(Some((text(&nova.auth_url, "auth_url")?, method)))
}
