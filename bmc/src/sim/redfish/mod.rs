//! The Redfish face of a simulated BMC, without sockets: a request comes in, an answer goes out, the core changes.
//!
//! Served: service root, session service and sessions, the systems collection with its one member (power state,
//! reset, boot override, ETags), and a minimal manager and chassis. Everything but the service root and the login
//! asks for a session token or HTTP basic, as DSP0266 demands. Source of the shapes: DSP0266 1.15 and DSP2046.

pub mod boot;
pub mod message;
pub mod personality;
pub mod session;
#[cfg(test)]
mod tests;

use super::core::Core;
use super::fault::FaultKind;
use super::journal::{Origin, Outcome, Via};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use baton_model::env::Mono;
use baton_model::port::bmc::{PowerAction, PowerReading};
use boot::Boot;
use hyper::Method;
use message::{Answer, Request};
use serde_json::{Value, json};
use session::Sessions;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use uuid::Uuid;

/// The service root.
const ROOT: &str = "/redfish/v1";

/// The Redfish service of one BMC.
#[derive(Clone, Debug, Default)]
pub struct RedfishFace {
    /// Open sessions.
    pub sessions: Sessions,
    /// Boot override.
    pub boot: Boot,
    boot_version: u32,
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
        match (place, action) {
            (("Systems", Some(id), None), (None, None)) if id == person.system => {
                self.system(core, now, request)
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
                let power = core.reported(now);
                only_get(request, || chassis(core, prefix, power))
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

    // --- The system -----------------------------------------------------------------------------

    fn system(&mut self, core: &mut Core, now: Mono, request: &Request<'_>) -> Answer {
        match *request.method {
            Method::GET | Method::HEAD => self.show_system(core, now, request),
            Method::PATCH => {
                let etag = self.etag(core, now);
                if let Some(wanted) = request.if_match
                    && wanted != "*"
                    && !wanted.is_empty()
                    && wanted != etag
                {
                    return Answer::complain(
                        412,
                        "Base.1.8.PreconditionFailed",
                        "The ETag supplied did not match the ETag required to change this resource.",
                    );
                }
                match self.boot.patched(request.body) {
                    Ok(boot) => {
                        self.boot = boot;
                        self.boot_version = self.boot_version.wrapping_add(1);
                        Answer {
                            etag: Some(self.etag(core, now)),
                            ..Answer::empty(204)
                        }
                    }
                    Err(answer) => *answer,
                }
            }
            _ => Answer::method_not_allowed("GET, HEAD, PATCH"),
        }
    }

    /// Changes with whatever `GET` shows: the power claim and the boot override.
    fn etag(&self, core: &mut Core, now: Mono) -> String {
        let power = match core.faults.claim(now) {
            Some(claim) => claim,
            None => core.machine.power(now),
        };
        let weak = if core.personality.etag_weak { "W/" } else { "" };
        let number = match power {
            PowerReading::On => 1,
            PowerReading::Off => 2,
            PowerReading::PoweringOn => 3,
            PowerReading::PoweringOff => 4,
            PowerReading::Unknown => 5,
        };
        format!("{weak}\"{:x}-{number}\"", self.boot_version)
    }

    fn show_system(&self, core: &mut Core, now: Mono, request: &Request<'_>) -> Answer {
        let etag = self.etag(core, now);
        let power = core.reported(now);
        if request.if_none_match == Some(etag.as_str()) {
            return Answer {
                etag: Some(etag),
                ..Answer::empty(304)
            };
        }
        let mut out = String::with_capacity(SYSTEM_BYTES);
        let written = write_system(&mut out, core, request.prefix, power, self.boot, &etag);
        debug_assert!(written.is_ok(), "writing to a String cannot fail");
        Answer {
            etag: Some(etag),
            ..Answer::ok(out.into_bytes())
        }
    }
}

/// A little more than the longest system body, so that it is written without growing.
const SYSTEM_BYTES: usize = 1536;

/// Writes the system by hand: it is the one body that is asked for thousands of times a second. Every value written
/// is ours and needs no JSON escape.
fn write_system(
    out: &mut String,
    core: &Core,
    prefix: &str,
    power: PowerReading,
    boot: Boot,
    etag: &str,
) -> std::fmt::Result {
    let p = core.personality;
    let number = core.number;
    let state = match power {
        PowerReading::On => "\"On\"",
        PowerReading::Off => "\"Off\"",
        PowerReading::PoweringOn => "\"PoweringOn\"",
        PowerReading::PoweringOff => "\"PoweringOff\"",
        PowerReading::Unknown => "null",
    };
    out.push_str(r##"{"@odata.type":"#ComputerSystem.v1_13_0.ComputerSystem","@odata.id":""##);
    write!(
        out,
        "{prefix}{ROOT}/Systems/{}\",\"@odata.etag\":\"",
        p.system
    )?;
    for c in etag.chars() {
        if c == '"' {
            out.push('\\');
        }
        out.push(c);
    }
    write!(
        out,
        r#"","Id":"{}","Name":"System","SystemType":"Physical","Manufacturer":"{}","Model":"{}","#,
        p.system, p.vendor, p.model
    )?;
    write!(
        out,
        r#""SerialNumber":"SIM{number:07}","UUID":"{}","HostName":"sim-{number:05}","PowerState":{state},"#,
        Uuid::from_bytes(core.guid())
    )?;
    out.push_str(r#""Status":{"State":"Enabled","Health":"OK","HealthRollup":"OK"},"#);
    write!(
        out,
        r#""Boot":{{"BootSourceOverrideTarget":"{}","BootSourceOverrideEnabled":"{}","BootSourceOverrideMode":"{}","BootSourceOverrideTarget@Redfish.AllowableValues":["#,
        boot.target, boot.enabled, boot.mode
    )?;
    write_list(out, boot::TARGETS);
    out.push_str(
        r##"]},"ProcessorSummary":{"Count":2},"MemorySummary":{"TotalSystemMemoryGiB":64},"Actions":{"#ComputerSystem.Reset":{"##,
    );
    write!(
        out,
        r#""target":"{prefix}{ROOT}/Systems/{}/Actions/ComputerSystem.Reset","ResetType@Redfish.AllowableValues":["#,
        p.system
    )?;
    write_list(out, p.resets);
    write!(
        out,
        r#"]}}}},"Links":{{"Chassis":[{{"@odata.id":"{prefix}{ROOT}/Chassis/{}"}}],"ManagedBy":[{{"@odata.id":"{prefix}{ROOT}/Managers/{}"}}]}}}}"#,
        p.chassis, p.manager
    )
}

fn write_list(out: &mut String, list: &[&str]) {
    for (i, item) in list.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        out.push('"');
        out.push_str(item);
        out.push('"');
    }
}

// --- Reset --------------------------------------------------------------------------------------

fn reset(core: &mut Core, now: Mono, request: &Request<'_>, caller: Caller) -> Answer {
    if request.method != Method::POST {
        return Answer::method_not_allowed("POST");
    }
    let body: Value = serde_json::from_slice(request.body).unwrap_or(Value::Null);
    let Some(wanted) = body.get("ResetType").and_then(Value::as_str) else {
        return Answer::complain(
            400,
            "Base.1.8.ActionParameterMissing",
            "The action ComputerSystem.Reset requires the parameter ResetType to be present in the request body.",
        );
    };
    let known = core.personality.resets.contains(&wanted);
    let action = match (known, wanted) {
        (true, "On" | "ForceOn") => PowerAction::On,
        (true, "ForceOff") => PowerAction::Off,
        (true, "GracefulShutdown") => PowerAction::SoftOff,
        (true, "ForceRestart") => PowerAction::Reset,
        (true, "GracefulRestart") => PowerAction::SoftReset,
        (true, "PowerCycle") => PowerAction::Cycle,
        (true, "Nmi") => PowerAction::Nmi,
        (true, "PushPowerButton") if core.machine.is_on(now) => PowerAction::SoftOff,
        (true, "PushPowerButton") => PowerAction::On,
        _unknown => {
            return Answer::complain(
                400,
                "Base.1.8.ActionParameterNotSupported",
                &format!("The parameter ResetType with the value {wanted} is not supported."),
            );
        }
    };
    match core.command(now, action, caller.into()) {
        Outcome::Started | Outcome::Ignored => Answer::empty(204),
        Outcome::AlreadyThere => core
            .personality
            .already
            .map_or_else(|| Answer::empty(204), Answer::from),
        Outcome::NeedsPower => Answer::vendor(core.personality.needs_power),
        Outcome::Refused => Answer::complain(
            400,
            "Base.1.8.ActionNotSupported",
            "The operating system does not take part in a graceful shutdown.",
        ),
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

// --- Small bodies -------------------------------------------------------------------------------

fn only_get(request: &Request<'_>, body: impl FnOnce() -> Value) -> Answer {
    if request.method == Method::GET || request.method == Method::HEAD {
        Answer::ok(body().to_string().into_bytes())
    } else {
        Answer::method_not_allowed("GET, HEAD")
    }
}

fn versions(request: &Request<'_>) -> Answer {
    only_get(
        request,
        || json!({"v1": format!("{}{ROOT}/", request.prefix)}),
    )
}

fn service_root(core: &Core, prefix: &str) -> Value {
    let at = |tail: &str| json!({"@odata.id": format!("{prefix}{ROOT}{tail}")});
    json!({
        "@odata.id": format!("{prefix}{ROOT}/"),
        "@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot",
        "Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.15.0",
        "Vendor": core.personality.vendor, "Product": core.personality.model,
        "UUID": Uuid::from_bytes(core.guid()).to_string(),
        "Systems": at("/Systems"), "Managers": at("/Managers"), "Chassis": at("/Chassis"),
        "SessionService": at("/SessionService"),
        "Links": {"Sessions": at("/SessionService/Sessions")},
    })
}

fn collection(prefix: &str, kind: &str, place: &str, id: &str) -> Value {
    json!({
        "@odata.id": format!("{prefix}{ROOT}/{place}"),
        "@odata.type": format!("#{kind}Collection.{kind}Collection"),
        "Name": format!("{kind} Collection"),
        "Members@odata.count": 1,
        "Members": [{"@odata.id": format!("{prefix}{ROOT}/{place}/{id}")}],
    })
}

fn manager(core: &Core, prefix: &str) -> Value {
    let p = core.personality;
    json!({
        "@odata.id": format!("{prefix}{ROOT}/Managers/{}", p.manager),
        "@odata.type": "#Manager.v1_11_0.Manager",
        "Id": p.manager, "Name": "Manager", "ManagerType": "BMC",
        "Manufacturer": p.vendor, "Model": p.model, "FirmwareVersion": p.firmware,
        "PowerState": "On", "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"ManagerForServers": [{"@odata.id": format!("{prefix}{ROOT}/Systems/{}", p.system)}]},
    })
}

fn chassis(core: &Core, prefix: &str, power: PowerReading) -> Value {
    let p = core.personality;
    let state = match power {
        PowerReading::On => json!("On"),
        PowerReading::Off => json!("Off"),
        PowerReading::PoweringOn => json!("PoweringOn"),
        PowerReading::PoweringOff => json!("PoweringOff"),
        PowerReading::Unknown => Value::Null,
    };
    json!({
        "@odata.id": format!("{prefix}{ROOT}/Chassis/{}", p.chassis),
        "@odata.type": "#Chassis.v1_15_0.Chassis",
        "Id": p.chassis, "Name": "Chassis", "ChassisType": "RackMount",
        "Manufacturer": p.vendor, "Model": p.model, "PowerState": state,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"ComputerSystems": [{"@odata.id": format!("{prefix}{ROOT}/Systems/{}", p.system)}]},
    })
}

fn session_path(prefix: &str, id: u32) -> String {
    format!("{prefix}{ROOT}/SessionService/Sessions/{id}")
}

fn session_body(prefix: &str, id: u32, user: &str) -> Value {
    json!({
        "@odata.id": session_path(prefix, id),
        "@odata.type": "#Session.v1_3_0.Session",
        "Id": id.to_string(), "Name": "User Session", "UserName": user,
    })
}
