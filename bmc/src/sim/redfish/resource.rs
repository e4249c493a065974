//! The small resources of a simulated Redfish service: versions, service root, collections, manager, chassis, sessions.

use super::ROOT;
use super::message::{Answer, Request};
use crate::sim::core::Core;
use baton_model::port::bmc::PowerReading;
use hyper::Method;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) fn only_get(request: &Request<'_>, body: impl FnOnce() -> Value) -> Answer {
    if request.method == Method::GET || request.method == Method::HEAD {
        Answer::ok(body().to_string().into_bytes())
    } else {
        Answer::method_not_allowed("GET, HEAD")
    }
}

pub(super) fn versions(request: &Request<'_>) -> Answer {
    only_get(
        request,
        || json!({"v1": format!("{}{ROOT}/", request.prefix)}),
    )
}

pub(super) fn service_root(core: &Core, prefix: &str) -> Value {
    let at = |tail: &str| json!({"@odata.id": format!("{prefix}{ROOT}{tail}")});
    json!({
        "@odata.id": format!("{prefix}{ROOT}/"),
        "@odata.type": "#ServiceRoot.v1_9_0.ServiceRoot",
        "Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.15.0",
        "Vendor": core.personality.vendor, "Product": core.personality.model,
        "UUID": Uuid::from_bytes(core.guid()).to_string(),
        "Systems": at("/Systems"), "Managers": at("/Managers"), "Chassis": at("/Chassis"),
        "SessionService": at("/SessionService"), "EventService": at("/EventService"),
        "Links": {"Sessions": at("/SessionService/Sessions")},
    })
}

pub(super) fn collection(prefix: &str, kind: &str, place: &str, id: &str) -> Value {
    json!({
        "@odata.id": format!("{prefix}{ROOT}/{place}"),
        "@odata.type": format!("#{kind}Collection.{kind}Collection"),
        "Name": format!("{kind} Collection"),
        "Members@odata.count": 1,
        "Members": [{"@odata.id": format!("{prefix}{ROOT}/{place}/{id}")}],
    })
}

pub(super) fn manager(core: &Core, prefix: &str) -> Value {
    let p = core.personality;
    json!({
        "@odata.id": format!("{prefix}{ROOT}/Managers/{}", p.manager),
        "@odata.type": "#Manager.v1_11_0.Manager",
        "Id": p.manager, "Name": "Manager", "ManagerType": "BMC",
        "Manufacturer": p.vendor, "Model": p.model, "FirmwareVersion": p.firmware,
        "PowerState": "On", "Status": {"State": "Enabled", "Health": "OK"},
        "VirtualMedia": {"@odata.id": format!("{prefix}{ROOT}/Managers/{}/VirtualMedia", p.manager)},
        "Links": {"ManagerForServers": [{"@odata.id": format!("{prefix}{ROOT}/Systems/{}", p.system)}]},
    })
}

pub(super) fn chassis(core: &Core, prefix: &str, power: PowerReading, lit: bool) -> Value {
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
        "LocationIndicatorActive": lit,
        "Status": {"State": "Enabled", "Health": "OK"},
        "Links": {"ComputerSystems": [{"@odata.id": format!("{prefix}{ROOT}/Systems/{}", p.system)}]},
    })
}

pub(super) fn session_path(prefix: &str, id: u32) -> String {
    format!("{prefix}{ROOT}/SessionService/Sessions/{id}")
}

pub(super) fn session_body(prefix: &str, id: u32, user: &str) -> Value {
    json!({
        "@odata.id": session_path(prefix, id),
        "@odata.type": "#Session.v1_3_0.Session",
        "Id": id.to_string(), "Name": "User Session", "UserName": user,
    })
}
