//! A BMC that follows the standard, with knobs. Tests put their own misbehaviour in front of it.

use super::PASSWORD;
use super::server::{Reply, Seen, answer};
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

/// What the BMC is like.
pub(crate) struct State {
    pub(crate) power: Value,
    pub(crate) allowed: Option<Vec<&'static str>>,
    pub(crate) allowed_in_action_info: bool,
    pub(crate) manufacturer: &'static str,
    /// Added to the service root.
    pub(crate) root: Value,
    pub(crate) password: String,
    pub(crate) offers_sessions: bool,
    pub(crate) offers_basic: bool,
    pub(crate) root_is_open: bool,
    pub(crate) sessions_max: usize,
    pub(crate) sessions: BTreeSet<String>,
    pub(crate) sessions_made: usize,
    pub(crate) system_path: &'static str,
    pub(crate) members: Vec<&'static str>,
    pub(crate) resets: Vec<String>,
    /// Answers the next resets with this instead of obeying.
    pub(crate) reset_answer: Option<(u16, String)>,
}

/// Shared between the test and the server.
#[derive(Clone)]
pub(crate) struct FakeBmc(Arc<Mutex<State>>);

impl FakeBmc {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            power: json!("On"),
            allowed: Some(vec![
                "On",
                "ForceOff",
                "GracefulShutdown",
                "GracefulRestart",
                "ForceRestart",
                "Nmi",
            ]),
            allowed_in_action_info: false,
            manufacturer: "ACME",
            root: json!({}),
            password: PASSWORD.to_owned(),
            offers_sessions: true,
            offers_basic: true,
            root_is_open: true,
            sessions_max: 8,
            sessions: BTreeSet::new(),
            sessions_made: 0,
            system_path: "/redfish/v1/Systems/1",
            members: vec!["/redfish/v1/Systems/1"],
            resets: Vec::new(),
            reset_answer: None,
        })))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }

    /// The handler for a server.
    pub(crate) fn handler(&self) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
        let bmc = self.clone();
        move |seen| bmc.answer(seen)
    }

    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        let mut state = self.state();
        let path = seen.path.as_str();
        if seen.line() == "POST /redfish/v1/SessionService/Sessions" {
            return state.log_in(seen);
        }
        let open = path == "/redfish/v1/" && state.root_is_open;
        if !open && !state.knows(seen) {
            return error(401, "Base.1.8.NoValidSession", "no valid session");
        }
        if seen.method == "DELETE" {
            let id = path.rsplit('/').next().unwrap_or_default().to_owned();
            if !state.sessions.remove(&id) {
                return error(404, "Base.1.8.ResourceMissingAtURI", "there is nothing");
            }
            return answer(204, &[], "");
        }
        if path == "/redfish/v1/" {
            return json_answer(&state.root());
        }
        if path == "/redfish/v1/Systems" {
            let members: Vec<Value> = state
                .members
                .iter()
                .map(|member| json!({"@odata.id": member}))
                .collect();
            return json_answer(&json!({ "Members": members }));
        }
        if path == "/redfish/v1/Managers/BMC" {
            return json_answer(&json!({"FirmwareVersion": "7.1"}));
        }
        if path == "/redfish/v1/Systems/1/ResetActionInfo" {
            let values = state.allowed.clone();
            return json_answer(
                &json!({"Parameters": [{"Name": "ResetType", "AllowableValues": values}]}),
            );
        }
        if path == state.system_path {
            return json_answer(&state.system());
        }
        if path == format!("{}/Actions/ComputerSystem.Reset", state.system_path) {
            return state.reset(seen);
        }
        error(404, "Base.1.8.ResourceMissingAtURI", "there is nothing")
    }
}

impl State {
    fn root(&self) -> Value {
        let mut root = json!({
            "@odata.id": "/redfish/v1/", "Systems": {"@odata.id": "/redfish/v1/Systems"},
        });
        for (key, value) in self.root.as_object().into_iter().flatten() {
            root[key.as_str()] = value.clone();
        }
        if self.offers_sessions {
            root["Links"] =
                json!({"Sessions": {"@odata.id": "/redfish/v1/SessionService/Sessions"}});
        }
        root
    }

    fn system(&self) -> Value {
        let mut reset = json!({
            "target": format!("{}/Actions/ComputerSystem.Reset", self.system_path),
        });
        if self.allowed_in_action_info {
            reset["@Redfish.ActionInfo"] = json!("/redfish/v1/Systems/1/ResetActionInfo");
        } else if let Some(allowed) = &self.allowed {
            reset["ResetType@Redfish.AllowableValues"] = json!(allowed);
        }
        json!({
            "@odata.id": self.system_path, "Id": "1", "Manufacturer": self.manufacturer, "Model": "M1",
            "PowerState": self.power, "Actions": {"#ComputerSystem.Reset": reset},
            "Links": {"ManagedBy": [{"@odata.id": "/redfish/v1/Managers/BMC"}]},
            "Memory": {"@odata.id": "/redfish/v1/Systems/1/Memory"}, "Boot": {"BootOrder": ["a", "b"]},
        })
    }

    fn knows(&self, seen: &Seen) -> bool {
        if let Some(token) = seen.header("x-auth-token") {
            return self.sessions.contains(token);
        }
        let pair = format!("admin:{}", self.password);
        let basic = format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(pair)
        );
        self.offers_basic && seen.header("authorization") == Some(basic.as_str())
    }

    fn log_in(&mut self, seen: &Seen) -> Reply {
        if !self.offers_sessions {
            return error(404, "Base.1.8.ResourceMissingAtURI", "there is nothing");
        }
        let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        if body != json!({"UserName": "admin", "Password": self.password}) {
            return error(401, "Base.1.8.NoValidSession", "wrong");
        }
        if self.sessions.len() >= self.sessions_max {
            return error(
                503,
                "IDRAC.2.4.RAC0218",
                "The maximum number of user sessions is reached.",
            );
        }
        self.sessions_made += 1;
        let token = format!("token{}", self.sessions_made);
        self.sessions.insert(token.clone());
        let location = format!("https://10.1.2.3/redfish/v1/SessionService/Sessions/{token}");
        answer(
            201,
            &[("X-Auth-Token", &token), ("Location", &location)],
            "{}",
        )
    }

    fn reset(&mut self, seen: &Seen) -> Reply {
        let body: Value = serde_json::from_str(&seen.body).unwrap_or_default();
        let word = body["ResetType"].as_str().unwrap_or_default().to_owned();
        self.resets.push(word.clone());
        if let Some((status, body)) = &self.reset_answer {
            return answer(*status, &[], body);
        }
        if let Some(allowed) = &self.allowed
            && !allowed.contains(&word.as_str())
        {
            return error(
                400,
                "Base.1.8.ActionParameterValueNotInList",
                "unknown word",
            );
        }
        let is_on = self.power == "On";
        self.power = match word.as_str() {
            "ForceOff" | "GracefulShutdown" => json!("Off"),
            "PushPowerButton" if is_on => json!("Off"),
            _ => json!("On"),
        };
        answer(204, &[], "")
    }
}

pub(crate) fn json_answer(body: &Value) -> Reply {
    answer(
        200,
        &[("Content-Type", "application/json")],
        &body.to_string(),
    )
}

/// A Redfish error body.
pub(crate) fn error_body(id: &str, message: &str) -> String {
    json!({"error": {
        "code": "Base.1.8.GeneralError", "message": "see the extended info",
        "@Message.ExtendedInfo": [{"MessageId": id, "Message": message}],
    }})
    .to_string()
}

pub(crate) fn error(status: u16, id: &str, message: &str) -> Reply {
    answer(status, &[], &error_body(id, message))
}
