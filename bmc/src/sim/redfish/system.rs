//! The system of a simulated Redfish service: power state, boot override, ETags, and the reset action.

use super::boot::{self, Boot};
use super::message::{Answer, Request};
use super::resource::{chassis, only_get};
use super::{Caller, ROOT, RedfishFace, parts};
use crate::sim::core::Core;
use crate::sim::journal::Outcome;
use baton_model::env::Mono;
use baton_model::port::bmc::{PowerAction, PowerReading};
use hyper::Method;
use serde_json::{Value, json};
use std::fmt::Write as _;
use uuid::Uuid;

impl RedfishFace {
    pub(super) fn system(&mut self, core: &mut Core, now: Mono, request: &Request<'_>) -> Answer {
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

    /// The box: shown, and its light switched by `PATCH`.
    pub(super) fn chassis(&mut self, core: &mut Core, now: Mono, request: &Request<'_>) -> Answer {
        if request.method == Method::PATCH {
            let body: Value = serde_json::from_slice(request.body).unwrap_or(Value::Null);
            return match body.get("LocationIndicatorActive").and_then(Value::as_bool) {
                Some(lit) => {
                    self.chassis_lit = lit;
                    Answer::empty(204)
                }
                None => Answer::complain(
                    400,
                    "Base.1.8.PropertyMissing",
                    "The property LocationIndicatorActive is a required property.",
                ),
            };
        }
        let power = core.reported(now);
        only_get(request, || {
            chassis(core, request.prefix, power, self.chassis_lit)
        })
    }

    /// The SecureBoot resource (DSP2046): shown, and switched by `PATCH`.
    pub(super) fn secure_boot(&mut self, core: &Core, request: &Request<'_>) -> Answer {
        let etag = format!("\"{}\"", u8::from(self.secure_boot));
        match *request.method {
            Method::GET | Method::HEAD => {
                let p = core.personality;
                let body = json!({
                    "@odata.type": "#SecureBoot.v1_1_0.SecureBoot",
                    "@odata.id": format!("{}{ROOT}/Systems/{}/SecureBoot", request.prefix, p.system),
                    "Id": "SecureBoot", "Name": "UEFI Secure Boot",
                    "SecureBootEnable": self.secure_boot,
                    "SecureBootCurrentBoot": if self.secure_boot { "Enabled" } else { "Disabled" },
                    "SecureBootMode": "UserMode",
                });
                Answer {
                    etag: Some(etag),
                    ..Answer::ok(body.to_string().into_bytes())
                }
            }
            Method::PATCH
                if request
                    .if_match
                    .is_some_and(|wanted| wanted != "*" && wanted != etag) =>
            {
                Answer::complain(
                    412,
                    "Base.1.8.PreconditionFailed",
                    "The ETag supplied did not match the ETag required to change this resource.",
                )
            }
            Method::PATCH => {
                let body: Value = serde_json::from_slice(request.body).unwrap_or(Value::Null);
                match body.get("SecureBootEnable").and_then(Value::as_bool) {
                    Some(on) => {
                        self.secure_boot = on;
                        Answer::empty(204)
                    }
                    None => Answer::complain(
                        400,
                        "Base.1.8.PropertyMissing",
                        "The property SecureBootEnable is a required property.",
                    ),
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
const SYSTEM_BYTES: usize = 2304;

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
    write!(
        out,
        r#"]}},"SecureBoot":{{"@odata.id":"{prefix}{ROOT}/Systems/{0}/SecureBoot"}},"Bios":{{"@odata.id":"{prefix}{ROOT}/Systems/{0}/Bios"}},"BiosVersion":"{1}""#,
        p.system, p.firmware
    )?;
    for place in parts::COLLECTIONS {
        write!(
            out,
            r#","{place}":{{"@odata.id":"{prefix}{ROOT}/Systems/{}/{place}"}}"#,
            p.system
        )?;
    }
    write!(out, r#","IndicatorLED":"{}""#, boot.led)?;
    out.push_str(
        r##","ProcessorSummary":{"Count":2},"MemorySummary":{"TotalSystemMemoryGiB":64},"Actions":{"#ComputerSystem.Reset":{"##,
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

pub(super) fn reset(core: &mut Core, now: Mono, request: &Request<'_>, caller: Caller) -> Answer {
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
