//! What is sent to get a token (Keystone API v3, `POST /v3/auth/tokens`).

use baton_config::sections::NovaSection;
use baton_model::secret::Secret;
use serde_json::{Map, Value, json};
use std::fmt;

/// A way to get a token. Its `Debug` shows no secret.
#[derive(Clone)]
pub(crate) struct Method {
    name: &'static str,
    /// The value of `identity.<name>`, without its secret.
    identity: Value,
    /// Where the secret goes in it.
    secret: (&'static [&'static str], Secret<String>),
    scope: Option<Value>,
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Method {
    /// Name and password; `None` without a user.
    pub(crate) fn password(nova: &NovaSection, secret: Secret<String>) -> Option<Self> {
        Some(Self {
            name: "password",
            identity: json!({"user": user(nova)?}),
            secret: (&["user", "password"], secret),
            scope: scope(nova),
        })
    }

    /// An application credential, which brings its own scope; `None` without its id, or name and user.
    pub(crate) fn application_credential(
        nova: &NovaSection,
        secret: Secret<String>,
    ) -> Option<Self> {
        let identity = match (
            &nova.application_credential_id,
            &nova.application_credential_name,
        ) {
            (Some(id), _) => json!({"id": id}),
            (None, Some(name)) => json!({"name": name, "user": user(nova)?}),
            (None, None) => return None,
        };
        Some(Self {
            name: "application_credential",
            identity,
            secret: (&["secret"], secret),
            scope: None,
        })
    }

    /// Another token.
    pub(crate) fn token(nova: &NovaSection, secret: Secret<String>) -> Self {
        Self {
            name: "token",
            identity: json!({}),
            secret: (&["id"], secret),
            scope: scope(nova),
        }
    }

    /// The body of the request. It holds the secret.
    pub(crate) fn body(&self) -> Vec<u8> {
        let mut identity = self.identity.clone();
        let (path, secret) = &self.secret;
        let mut place = &mut identity;
        for step in *path {
            place = &mut place[*step];
        }
        *place = Value::String(secret.expose().clone());
        let mut auth = Map::new();
        auth.insert(
            "identity".to_owned(),
            json!({"methods": [self.name], self.name: identity}),
        );
        if let Some(scope) = &self.scope {
            auth.insert("scope".to_owned(), scope.clone());
        }
        json!({"auth": auth}).to_string().into_bytes()
    }
}

/// The user by id, or by name in a domain. Keystone's own default domain has the id `default`.
fn user(nova: &NovaSection) -> Option<Value> {
    if let Some(id) = &nova.user_id {
        return Some(json!({"id": id}));
    }
    let name = nova.username.as_ref()?;
    Some(json!({
        "name": name,
        "domain": domain(nova, nova.user_domain_id.as_ref(), nova.user_domain_name.as_ref()),
    }))
}

fn domain(nova: &NovaSection, id: Option<&String>, name: Option<&String>) -> Value {
    let fallback = || match (&nova.default_domain_id, &nova.default_domain_name) {
        (Some(id), _) => json!({"id": id}),
        (None, Some(name)) => json!({"name": name}),
        (None, None) => json!({"id": "default"}),
    };
    match (id, name) {
        (Some(id), _) => json!({"id": id}),
        (None, Some(name)) => json!({"name": name}),
        (None, None) => fallback(),
    }
}

/// What the token is for: a trust, a project, a domain or the system, the first that is set.
fn scope(nova: &NovaSection) -> Option<Value> {
    if let Some(id) = &nova.trust_id {
        return Some(json!({"OS-TRUST:trust": {"id": id}}));
    }
    if let Some(id) = &nova.project_id {
        return Some(json!({"project": {"id": id}}));
    }
    if let Some(name) = &nova.project_name {
        let domain = domain(
            nova,
            nova.project_domain_id.as_ref(),
            nova.project_domain_name.as_ref(),
        );
        return Some(json!({"project": {"name": name, "domain": domain}}));
    }
    if let Some(id) = &nova.domain_id {
        return Some(json!({"domain": {"id": id}}));
    }
    if let Some(name) = &nova.domain_name {
        return Some(json!({"domain": {"name": name}}));
    }
    nova.system_scope
        .as_ref()
        .map(|_| json!({"system": {"all": true}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &Method) -> Value {
        serde_json::from_slice(&method.body()).unwrap()
    }

    #[test]
    fn each_method_has_the_body_that_keystone_documents() {
        let mut nova = NovaSection {
            username: Some("ironic".into()),
            user_domain_name: Some("Default".into()),
            project_name: Some("service".into()),
            ..NovaSection::default()
        };
        let secret = || Secret::new("s3cret".to_owned());
        let password = Method::password(&nova, secret()).unwrap();
        assert_eq!(
            parsed(&password),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user":
                    {"name": "ironic", "domain": {"name": "Default"}, "password": "s3cret"}}},
                "scope": {"project": {"name": "service", "domain": {"id": "default"}}},
            }})
        );
        assert!(!format!("{password:?}").contains("s3cret"));
        nova.application_credential_id = Some("abc".into());
        let credential = Method::application_credential(&nova, secret()).unwrap();
        assert_eq!(
            parsed(&credential),
            json!({"auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"id": "abc", "secret": "s3cret"}}}})
        );
        nova.project_name = None;
        nova.system_scope = Some("all".into());
        let token = Method::token(&nova, secret());
        assert_eq!(
            parsed(&token),
            json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "s3cret"}},
                "scope": {"system": {"all": true}}}})
        );
        nova.domain_name = Some("ops".into());
        let scope =
            |nova: &NovaSection| parsed(&Method::token(nova, secret()))["auth"]["scope"].clone();
        assert_eq!(scope(&nova), json!({"domain": {"name": "ops"}}));
        nova.domain_id = Some("d1".into());
        assert_eq!(scope(&nova), json!({"domain": {"id": "d1"}}));
        nova.project_name = Some("service".into());
        nova.default_domain_name = Some("Corp".into());
        let project = json!({"name": "service", "domain": {"name": "Corp"}});
        assert_eq!(scope(&nova), json!({"project": project}));
        nova.trust_id = Some("t1".into());
        assert_eq!(scope(&nova), json!({"OS-TRUST:trust": {"id": "t1"}}));
        nova.username = None;
        assert!(Method::password(&nova, secret()).is_none());
    }
}
