//! `/v1/drivers`: the hardware types that live conductors serve.

use crate::app::App;
use crate::call::Call;
use crate::error::ApiError;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::hardware::{self, HARDWARE_TYPES, HardwareType, Slot};
use baton_model::state::ConductorStatus;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Interface fields of a driver, with the version each came with; the others came with 1.30.
const fn since(slot: Slot) -> u16 {
    match slot {
        Slot::Bios => 40,
        Slot::Firmware => 86,
        Slot::Rescue => 38,
        Slot::Storage => 33,
        Slot::Boot
        | Slot::Console
        | Slot::Deploy
        | Slot::Inspect
        | Slot::Management
        | Slot::Network
        | Slot::Power
        | Slot::Raid
        | Slot::Vendor => 30,
    }
}

/// Drivers with the live conductors that serve them.
fn served(app: &App) -> BTreeMap<Box<str>, Vec<Box<str>>> {
    let mut drivers = BTreeMap::<Box<str>, Vec<Box<str>>>::new();
    let state = app.deps.state.read();
    for conductor in state.conductors().values() {
        if conductor.status != ConductorStatus::Down {
            for name in &conductor.drivers {
                drivers
                    .entry(name.clone())
                    .or_default()
                    .push(conductor.host.clone());
            }
        }
    }
    for hosts in drivers.values_mut() {
        hosts.sort();
    }
    drivers
}

/// The summary of one driver; `detail` adds its interfaces.
fn write(
    app: &App,
    call: &Call,
    name: &str,
    hosts: &[Box<str>],
    detail: bool,
) -> Map<String, Value> {
    let base = &call.base;
    let links = |tail: &str| {
        json!([
            {"href": format!("{base}/v1/drivers/{name}{tail}"), "rel": "self"},
            {"href": format!("{base}/drivers/{name}{tail}"), "rel": "bookmark"},
        ])
    };
    let mut document = Map::new();
    document.insert("name".to_owned(), json!(name));
    document.insert("hosts".to_owned(), json!(hosts));
    document.insert("links".to_owned(), links(""));
    if call.version.has(14) {
        document.insert("properties".to_owned(), links("/properties"));
    }
    if call.version.has(30) {
        document.insert("type".to_owned(), json!("dynamic"));
        if let (true, Some(kind)) = (detail, HardwareType::find(name)) {
            for slot in Slot::ALL {
                if call.version.has(since(slot)) {
                    let enabled = app.options.enabled.for_type(kind, slot);
                    let default =
                        hardware::default_for(kind, slot, None, &app.options.enabled).ok();
                    let word = slot.as_str();
                    document.insert(format!("default_{word}_interface"), json!(default));
                    document.insert(format!("enabled_{word}_interfaces"), json!(enabled));
                }
            }
        }
    }
    document
}

/// Keeps the fields that `fields=` names, and the links.
fn select(call: &Call, mut document: Map<String, Value>) -> Result<Map<String, Value>, ApiError> {
    let wanted: Vec<&str> = call
        .query
        .all("fields")
        .flat_map(|list| list.split(','))
        .filter(|name| !name.is_empty())
        .collect();
    if wanted.is_empty() {
        return Ok(document);
    }
    call.needs(77)?;
    if let Some(unknown) = wanted.iter().find(|name| !document.contains_key(**name)) {
        return Err(ApiError::bad(format!(
            "Field(s) \"{unknown}\" are not valid"
        )));
    }
    document.retain(|key, _| key == "links" || wanted.contains(&key.as_str()));
    Ok(document)
}

/// `GET /v1/drivers`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["type", "detail", "fields"])?;
    let kind = call.query.get("type");
    let detail = call.query.flag("detail")?;
    if kind.is_some() || detail.is_some() {
        call.needs(30)?;
    }
    let detail = detail.unwrap_or(false);
    if detail && call.query.get("fields").is_some() {
        return Err(ApiError::bad(
            "Can not specify ?detail=True and fields in the same request.",
        ));
    }
    let none = match kind {
        None | Some("dynamic") => false,
        Some("classic") => true,
        Some(other) => {
            return Err(ApiError::bad(format!(
                "Driver type must be one of [\"classic\", \"dynamic\"], not {other}"
            )));
        }
    };
    app.fresh(&call).await?;
    let wants_fields = call.query.get("fields").is_some();
    let drivers: Vec<Map<String, Value>> = served(&app)
        .iter()
        .filter(|_| !none)
        .map(|(name, hosts)| {
            select(
                &call,
                write(&app, &call, name, hosts, detail || wants_fields),
            )
        })
        .collect::<Result<_, _>>()?;
    Ok(Reply::of(&json!({"drivers": drivers})))
}

fn not_found(name: &str) -> ApiError {
    ApiError::not_found(format!(
        "Could not find the following driver(s) or hardware type(s): {name}."
    ))
}

/// `GET /v1/drivers/{driver}`.
pub(crate) async fn show(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&["fields"])?;
    app.fresh(&call).await?;
    let name = call.segment(0);
    let served = served(&app);
    let hosts = served.get(name).ok_or_else(|| not_found(name))?;
    Ok(Reply::of(&select(
        &call,
        write(&app, &call, name, hosts, true),
    )?))
}

/// The hardware type of the path, if a live conductor serves it.
fn hardware_type(app: &App, call: &Call) -> Result<&'static HardwareType, ApiError> {
    let name = call.segment(0);
    served(app)
        .get(name)
        .and_then(|_| HARDWARE_TYPES.iter().find(|kind| kind.name == name))
        .ok_or_else(|| ApiError::not_found(format!("The driver '{name}' is unknown.")))
}

/// `GET /v1/drivers/{driver}/properties`.
pub(crate) async fn properties(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    app.fresh(&call).await?;
    let kind = hardware_type(&app, &call)?;
    Ok(Reply::of(&hardware::properties(kind, &app.options.enabled)))
}

/// Keys of a logical disk (Ironic `drivers/raid_config_schema.json`); the descriptions are ours.
const LOGICAL_DISK: [(&str, &str); 10] = [
    (
        "controller",
        "Controller that the logical disk is made on. Optional; any controller by default.",
    ),
    (
        "disk_type",
        "Kind of the physical disks: hdd or ssd. Optional; any kind by default.",
    ),
    (
        "interface_type",
        "Interface of the physical disks: sata, scsi or sas. Optional; any interface by default.",
    ),
    (
        "is_root_volume",
        "Whether this is the disk to boot from; at most one may be. Optional, defaults to false.",
    ),
    (
        "number_of_physical_disks",
        "How many physical disks to use. Optional; the least that the RAID level needs by default.",
    ),
    (
        "physical_disks",
        "The physical disks to use, as the controller names them. Optional; free disks by default.",
    ),
    (
        "raid_level",
        "RAID level: JBOD, 0, 1, 2, 5, 6, 1+0, 5+0 or 6+0. Required.",
    ),
    (
        "share_physical_disks",
        "Whether other logical disks may use the same physical disks. Optional, defaults to false.",
    ),
    (
        "size_gb",
        "Size in GiB, or MAX for all that is free. Required.",
    ),
    (
        "volume_name",
        "Name of the logical disk; unique in the node. Optional, generated by default.",
    ),
];

/// `GET /v1/drivers/{driver}/raid/logical_disk_properties`.
pub(crate) async fn raid_properties(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    app.fresh(&call).await?;
    let kind = hardware_type(&app, &call)?;
    let has_raid = app
        .options
        .enabled
        .for_type(kind, Slot::Raid)
        .iter()
        .any(|name| *name != "no-raid");
    if has_raid {
        Ok(Reply::of(&BTreeMap::from(LOGICAL_DISK)))
    } else {
        Err(ApiError::not_found(format!(
            "Driver {} does not support raid (disabled or not implemented).",
            kind.name
        )))
    }
}

/// `GET /v1/drivers/{driver}/vendor_passthru/methods`.
pub(crate) async fn vendor_methods(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    app.fresh(&call).await?;
    hardware_type(&app, &call)?;
    Ok(Reply::of(&Map::new()))
}

/// A call of a driver's own method, which is named by the path or by `?method=`. No hardware type has one.
pub(crate) async fn vendor(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    app.fresh(&call).await?;
    hardware_type(&app, &call)?;
    let method = match call.segment(1) {
        "" => call.query.get("method").unwrap_or("None"),
        method => method,
    };
    Err(ApiError::bad(format!("No handler for method {method}")))
}
