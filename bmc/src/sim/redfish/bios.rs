//! The BIOS of a simulated machine: settings, changes that wait for the next start, and the reset to the factory's.

use super::ROOT;
use super::message::{Answer, Request};
use super::resource::only_get;
use crate::sim::core::Core;
use hyper::Method;
use serde_json::{Map, Value, json};

/// What waits for a start.
#[derive(Clone, Debug)]
enum Pending {
    Change(Map<String, Value>),
    Reset,
}

/// The settings of one machine. One that was never changed costs nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Bios {
    changed: Option<Box<Map<String, Value>>>,
    /// What waits, and how often the machine had started when it was asked for.
    pending: Option<Box<(Pending, u32)>>,
    version: u32,
}

/// What the factory sets.
fn factory(core: &Core) -> Map<String, Value> {
    let settings = json!({
        "NumaNodesPerSocket": 1, "ProcVirtualization": true, "BootRetry": "Enabled",
        "AssetTag": format!("sim-{:05}", core.number),
    });
    settings.as_object().cloned().unwrap_or_default()
}

impl Bios {
    /// Carries out what waited for a start that has come.
    fn settle(&mut self, core: &Core) {
        let starts = core.machine.starts();
        let Some((pending, _)) = self
            .pending
            .take_if(|pending| pending.1 != starts)
            .map(|pending| *pending)
        else {
            return;
        };
        self.version = self.version.wrapping_add(1);
        self.changed = match pending {
            Pending::Reset => None,
            Pending::Change(new) => {
                let mut settings = self.changed.take().unwrap_or_default();
                settings.extend(new);
                Some(settings)
            }
        };
    }

    fn settings(&self, core: &Core, mode: &str) -> Map<String, Value> {
        let mut all = factory(core);
        let mode = if mode == "UEFI" { "Uefi" } else { "Bios" };
        all.insert("BootMode".to_owned(), mode.into());
        if let Some(changed) = &self.changed {
            all.extend(changed.as_ref().clone());
        }
        all
    }

    /// `Systems/{id}/Bios` and what is below it.
    pub(super) fn answer(
        &mut self,
        core: &Core,
        request: &Request<'_>,
        mode: &str,
        below: (Option<&str>, Option<&str>),
    ) -> Answer {
        self.settle(core);
        match below {
            (None, None) => only_get(request, || self.show(core, request.prefix, mode)),
            (Some("Settings"), None) => self.pending_settings(core, request, mode),
            (Some("Actions"), Some("Bios.ResetBios")) if request.method == Method::POST => {
                self.pending = Some(Box::new((Pending::Reset, core.machine.starts())));
                Answer::empty(204)
            }
            (Some("Actions"), Some("Bios.ResetBios")) => Answer::method_not_allowed("POST"),
            _nowhere => Answer::not_found(request.path),
        }
    }

    fn show(&self, core: &Core, prefix: &str, mode: &str) -> Value {
        let path = format!("{prefix}{ROOT}/Systems/{}/Bios", core.personality.system);
        let resets = matches!(self.pending.as_deref(), Some((Pending::Reset, _)));
        json!({
            "@odata.id": path,
            "@odata.type": "#Bios.v1_2_0.Bios",
            "Id": "Bios", "Name": "BIOS Settings",
            "Attributes": self.settings(core, mode),
            "ResetBiosToDefaultsPending": resets,
            "Actions": {"#Bios.ResetBios": {"target": format!("{path}/Actions/Bios.ResetBios")}},
            "@Redfish.Settings": {
                "@odata.type": "#Settings.v1_3_0.Settings",
                "SettingsObject": {"@odata.id": format!("{path}/Settings")},
                "SupportedApplyTimes": ["OnReset"],
            },
        })
    }

    fn pending_settings(&mut self, core: &Core, request: &Request<'_>, mode: &str) -> Answer {
        let etag = format!("\"bios-{}\"", self.version);
        match *request.method {
            Method::GET | Method::HEAD => {
                let mut settings = self.settings(core, mode);
                if let Some((Pending::Change(new), _)) = self.pending.as_deref() {
                    settings.extend(new.clone());
                }
                let path = format!(
                    "{}{ROOT}/Systems/{}/Bios/Settings",
                    request.prefix, core.personality.system
                );
                let body = json!({
                    "@odata.id": path,
                    "@odata.type": "#Bios.v1_2_0.Bios",
                    "Id": "Settings", "Name": "Pending BIOS Settings", "Attributes": settings,
                });
                Answer {
                    etag: Some(etag),
                    ..Answer::ok(body.to_string().into_bytes())
                }
            }
            Method::PATCH if request.if_match.is_some_and(|wanted| wanted != etag) => {
                Answer::complain(
                    412,
                    "Base.1.8.PreconditionFailed",
                    "The ETag supplied did not match the ETag required to change this resource.",
                )
            }
            Method::PATCH => self.change(core, request.body, mode),
            _ => Answer::method_not_allowed("GET, HEAD, PATCH"),
        }
    }

    /// Takes a change, all of it or nothing.
    fn change(&mut self, core: &Core, body: &[u8], mode: &str) -> Answer {
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let Some(new) = body.get("Attributes").and_then(Value::as_object) else {
            return Answer::complain(
                400,
                "Base.1.8.PropertyMissing",
                "The property Attributes is a required property.",
            );
        };
        let present = self.settings(core, mode);
        for (name, value) in new {
            let fits = present
                .get(name)
                .is_some_and(|old| std::mem::discriminant(old) == std::mem::discriminant(value));
            if !fits {
                return Answer::complain(
                    400,
                    "Base.1.8.PropertyValueTypeError",
                    &format!(
                        "The value {value} for the property {name} is of a different type than the property can accept."
                    ),
                );
            }
        }
        self.version = self.version.wrapping_add(1);
        self.pending = Some(Box::new((
            Pending::Change(new.clone()),
            core.machine.starts(),
        )));
        Answer::empty(204)
    }
}
