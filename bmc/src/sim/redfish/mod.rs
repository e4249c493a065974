//! The Redfish face of a simulated BMC, without sockets: a request comes in, an answer goes out, the core changes.
//!
//! Served: service root, session service and sessions, the systems collection with its one member (power state,
//! reset, boot override, ETags), and a minimal manager and chassis. Everything but the service root and the login
//! asks for a session token or HTTP basic, as DSP0266 demands. Source of the shapes: DSP0266 1.15 and DSP2046.

mod bios;
pub mod boot;
pub mod extras;
pub mod message;
pub mod parts;
pub mod personality;
mod resource;
pub mod session;
mod system;
#[cfg(test)]
mod tests;

use super::core::Core;
use super::fault::FaultKind;
use super::journal::{Origin, Via};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use baton_model::env::Mono;
use bios::Bios;
use boot::Boot;
use extras::Extras;
use hyper::Method;
use message::{Answer, Request};
use resource::{collection, manager, only_get, service_root, session_body, session_path, versions};
use serde_json::{Value, json};
use session::Sessions;
use std::net::SocketAddr;
use std::sync::Arc;
use system::reset;

/// The service root.
const ROOT: &str = "/redfish/v1";

/// The Redfish service of one BMC.
#[derive(Clone, Debug, Default)]
pub struct RedfishFace {
    /// Open sessions.
    pub sessions: Sessions,
    /// Boot override.
    pub boot: Boot,
    /// Whether only signed code boots.
    pub secure_boot: bool,
    boot_version: u32,
    bios: Bios,
    /// Subscriptions and the virtual drive.
    pub extras: Extras,
    /// Whether somebody lit the box.
    pub chassis_lit: bool,
}

/// Who is asking.
struct Caller {
    user: Arc<str>,
    session: Option<u32>,
    remote: Option<SocketAddr>,
}

impl From<Caller> for Origin {
    fn from(caller: Caller) -> Self {
        Self {
            via: Via::Redfish,
            user: Some(caller.user),
            session: caller.session,
            remote: caller.remote,
        }
    }
}

impl RedfishFace {
    /// Answers one request.
    pub fn answer(&mut self, core: &mut Core, now: Mono, request: &Request<'_>) -> Answer {
        core.counters.sessions_expired += self.sessions.expire(now, core.limits.redfish_idle);
        if let Some(retry_after_s) = core.faults.busy() {
            return Answer {
                retry_after_s,
                ..Answer::vendor(core.personality.busy)
            };
        }
        let path = request.path.trim_end_matches('/');
        let rest = match path {
            "/redfish" => return versions(request),
            _below => match path.strip_prefix(ROOT) {
                Some(rest) => rest,
                None => return Answer::not_found(path),
            },
        };
        match rest {
            "" => return only_get(request, || service_root(core, request.prefix)),
            "/SessionService/Sessions" if request.method == Method::POST => {
                return self.login(core, now, request);
            }
            _asks_for_login => {}
        }
        let caller = match self.caller(core, now, request) {
            Ok(caller) => caller,
            Err(answer) => return *answer,
        };
        self.resource(core, now, request, rest, caller)
    }

    fn resource(
        &mut self,
        core: &mut Core,
        now: Mono,
        request: &Request<'_>,
        rest: &str,
        caller: Caller,
    ) -> Answer {
        let person = core.personality;
        let prefix = request.prefix;
        let mut parts = rest.split('/').skip(1);
        let place = (parts.next().unwrap_or(""), parts.next(), parts.next());
        let action = (parts.next(), parts.next());
        let last = parts.next();
        match (place, action) {
            (("Systems", Some(id), None), (None, None)) if id == person.system => {
                self.system(core, now, request)
            }
            (("Systems", Some(id), Some("Bios")), below) if id == person.system => {
                core.machine.settle(now);
                self.bios.answer(core, request, self.boot.mode, below)
            }
            (("Systems", Some(id), Some(place)), (one, two))
                if id == person.system && parts::COLLECTIONS.contains(&place) =>
            {
                parts::answer(core, request, place, (one, two, last))
            }
            (("EventService", one, two), (None, None)) => self.extras.events(request, (one, two)),
            (("Managers", Some(id), Some("VirtualMedia")), below) if id == person.manager => {
                self.extras.media(request, id, below)
            }
            (("Systems", Some(id), Some("SecureBoot")), (None, None)) if id == person.system => {
                self.secure_boot(core, request)
            }
            (("Systems", Some(id), Some("Actions")), (Some("ComputerSystem.Reset"), None))
                if id == person.system =>
            {
                reset(core, now, request, caller)
            }
            (("Systems", None, None), _) => only_get(request, || {
                collection(prefix, "ComputerSystem", "Systems", person.system)
            }),
            (("Managers", None, None), _) => only_get(request, || {
                collection(prefix, "Manager", "Managers", person.manager)
            }),
            (("Chassis", None, None), _) => only_get(request, || {
                collection(prefix, "Chassis", "Chassis", person.chassis)
            }),
            (("Managers", Some(id), None), (None, None)) if id == person.manager => {
                only_get(request, || manager(core, prefix))
            }
            (("Chassis", Some(id), None), (None, None)) if id == person.chassis => {
                self.chassis(core, now, request)
            }
            (("SessionService", None, None), _) => {
                let limits = core.limits;
                only_get(request, || {
                    json!({
                        "@odata.id": format!("{prefix}{ROOT}/SessionService"),
                        "@odata.type": "#SessionService.v1_1_8.SessionService",
                        "Id": "SessionService", "Name": "Session Service", "ServiceEnabled": true,
                        "SessionTimeout": limits.redfish_idle.as_secs(),
                        "Sessions": {"@odata.id": format!("{prefix}{ROOT}/SessionService/Sessions")},
                    })
                })
            }
            (("SessionService", Some("Sessions"), None), _) => only_get(request, || {
                let members: Vec<_> = self
                    .sessions
                    .iter()
                    .map(|(id, _)| json!({"@odata.id": session_path(prefix, id)}))
                    .collect();
                json!({
                    "@odata.id": format!("{prefix}{ROOT}/SessionService/Sessions"),
                    "@odata.type": "#SessionCollection.SessionCollection",
                    "Name": "Session Collection",
                    "Members@odata.count": members.len(), "Members": members,
                })
            }),
            (("SessionService", Some("Sessions"), Some(id)), (None, None)) => {
                self.session(core, request, id)
            }
            _nowhere => Answer::not_found(request.path),
        }
    }

    fn session(&mut self, core: &mut Core, request: &Request<'_>, id: &str) -> Answer {
        let Some(session) = self.sessions.find(id) else {
            return Answer::not_found(request.path);
        };
        match *request.method {
            Method::GET | Method::HEAD => Answer::ok(
                session_body(request.prefix, session.id, &session.user)
                    .to_string()
                    .into_bytes(),
            ),
            Method::DELETE => {
                self.sessions.close(id);
                core.counters.sessions_closed += 1;
                Answer::empty(204)
            }
            _ => Answer::method_not_allowed("GET, HEAD, DELETE"),
        }
    }

    // --- Login ----------------------------------------------------------------------------------

    fn login(&mut self, core: &mut Core, now: Mono, request: &Request<'_>) -> Answer {
        let body: Value = serde_json::from_slice(request.body).unwrap_or(Value::Null);
        let field = |name| body.get(name).and_then(Value::as_str);
        let (Some(name), Some(password)) = (field("UserName"), field("Password")) else {
            return Answer::complain(
                400,
                "Base.1.8.PropertyMissing",
                "The properties UserName and Password are required strings.",
            );
        };
        if !core.admits(now) {
            return locked();
        }
        let Some(user) = check(core, name, password) else {
            core.bad_login(now);
            return unauthorized();
        };
        let full = core.faults.has(FaultKind::SessionFull)
            || self.sessions.len() >= usize::from(core.limits.redfish_sessions_max);
        if full {
            core.counters.sessions_refused += 1;
            return Answer::vendor(core.personality.session_full);
        }
        core.good_login();
        let id = core.draw.nonzero_u32();
        let token = core.draw.bytes16();
        let body = session_body(request.prefix, id, &user);
        let token = self.sessions.open(now, id, token, user);
        Answer {
            status: 201,
            body: body.to_string().into_bytes(),
            location: Some(session_path(request.prefix, id)),
            token: Some(token),
            ..Answer::default()
        }
    }

    fn caller(
        &mut self,
        core: &mut Core,
        now: Mono,
        request: &Request<'_>,
    ) -> Result<Caller, Box<Answer>> {
        let remote = request.remote;
        if let Some(token) = request.token {
            return match self.sessions.touch(now, token) {
                Some(session) => Ok(Caller {
                    user: Arc::clone(&session.user),
                    session: Some(session.id),
                    remote,
                }),
                None => Err(Box::new(Answer::complain(
                    401,
                    "Base.1.8.NoValidSession",
                    "There is no valid session established with the implementation.",
                ))),
            };
        }
        let Some(authorization) = request.authorization else {
            return Err(unauthorized().into());
        };
        if !core.admits(now) {
            return Err(locked().into());
        }
        match basic(core, authorization) {
            Some(user) => {
                core.good_login();
                Ok(Caller {
                    user,
                    session: None,
                    remote,
                })
            }
            None => {
                core.bad_login(now);
                Err(unauthorized().into())
            }
        }
    }
}

// --- Credentials --------------------------------------------------------------------------------

fn check(core: &Core, name: &str, password: &str) -> Option<Arc<str>> {
    let account = core.account(name)?;
    (**account.password.expose() == *password).then(|| Arc::clone(&account.name))
}

fn basic(core: &Core, authorization: &str) -> Option<Arc<str>> {
    let encoded = authorization.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    check(core, name, password)
}

fn unauthorized() -> Answer {
    Answer::complain(
        401,
        "Base.1.8.ResourceAtUriUnauthorized",
        "While accessing the resource, the service received an authorization error: invalid username or password.",
    )
}

fn locked() -> Answer {
    Answer::complain(
        401,
        "Base.1.8.ResourceAtUriUnauthorized",
        "While accessing the resource, the service received an authorization error: the account is locked after too many failed logins.",
    )
}
