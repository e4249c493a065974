//! `GET /v1/nodes/{node}/states`, and the states that have no file of their own: RAID, console, boot mode, secure boot.

use super::states_location;
use crate::app::{App, unexpected};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{Look, NodeField};
use crate::out::Out;
use crate::reply::Reply;
use axum::extract::State;
use baton_model::json::Json;
use baton_model::node::boot::BootMode;
use baton_model::node::edit::NodeEdit;
use baton_model::node::record::NodeRecord;
use baton_model::port::node::{NodeAnswer, NodeRequest};
use serde_json::{Value, json};
use std::sync::Arc;

/// The fields of the document, with the version from which they are in it.
const FIELDS: [(&str, u16); 11] = [
    ("console_enabled", 1),
    ("last_error", 1),
    ("power_state", 1),
    ("provision_state", 1),
    ("provision_updated_at", 1),
    ("target_power_state", 1),
    ("target_provision_state", 1),
    ("raid_config", 12),
    ("target_raid_config", 12),
    ("boot_mode", 75),
    ("secure_boot", 75),
];

/// `GET …/states`.
pub(crate) async fn show(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let shown = app.shown(app.node(&call).await?);
    let look = Look {
        version: call.version,
        base: &call.base,
        masked: true,
    };
    let mut out = Out::with_capacity(512);
    let fields = FIELDS
        .iter()
        .filter(|(_, since)| call.version.has(*since))
        .filter_map(|(name, _)| NodeField::find(name));
    for (at, field) in fields.enumerate() {
        out.raw(if at == 0 { "{\"" } else { ",\"" });
        out.raw(field.name).raw("\":");
        (field.write)(&mut out, &shown, &look);
    }
    out.raw("}");
    Ok(Reply::json(out.into_bytes()))
}

/// The answer of an interface that cannot do what is asked (Ironic's `UnsupportedDriverExtension`).
pub(super) fn unsupported(node: &NodeRecord, what: &str) -> ApiError {
    ApiError::bad(format!(
        "Driver {} does not support {what} (disabled or not implemented).",
        node.driver
    ))
}

/// `PUT …/states/raid`: the wish of the operator, kept for the next cleaning.
pub(crate) async fn set_raid(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let Value::Object(config) = call.json()? else {
        return Err(ApiError::bad(
            "The RAID configuration must be a JSON object.",
        ));
    };
    check_raid(&config)?;
    let config = Json::from_map(&config);
    app.edit(&call, |node| {
        if matches!(&*node.interfaces.raid, "" | "no-raid") {
            let text = unsupported(node, "raid").text;
            return Err(ApiError::not_found(text));
        }
        let edit = NodeEdit::TargetRaidConfig(config.clone());
        Ok(if node.target_raid_config == config {
            Vec::new()
        } else {
            vec![edit]
        })
    })
    .await?;
    Ok(Reply::done(None))
}

/// What every logical disk needs (Ironic `drivers/raid_config_schema.json`).
fn check_raid(config: &serde_json::Map<String, Value>) -> Result<(), ApiError> {
    let bad = |text: &str| ApiError::bad(format!("RAID config validation error: {text}"));
    if config.is_empty() {
        return Ok(());
    }
    let disks = config
        .get("logical_disks")
        .and_then(Value::as_array)
        .ok_or_else(|| bad("'logical_disks' is a required property"))?;
    for disk in disks {
        let size = disk
            .get("size_gb")
            .ok_or_else(|| bad("'size_gb' is a required property"))?;
        if size.as_u64().is_none_or(|size| size == 0) && size.as_str() != Some("MAX") {
            return Err(bad("size_gb is neither a positive number nor 'MAX'"));
        }
        if disk.get("raid_level").and_then(Value::as_str).is_none() {
            return Err(bad("'raid_level' is a required property"));
        }
    }
    Ok(())
}

/// `GET …/states/console`.
pub(crate) async fn console(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    call.query.only(&[])?;
    let node = app.node(&call).await?;
    match &*node.interfaces.console {
        "fake" => Ok(Reply::of(
            &json!({"console_enabled": node.console_enabled, "console_info": {}}),
        )),
        "" | "no-console" => Err(unsupported(&node, "console")),
        _ => Ok(Reply::of(
            &json!({"console_enabled": node.console_enabled, "console_info": null}),
        )),
    }
}

/// `PUT …/states/console`.
pub(crate) async fn set_console(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let enabled = call
        .arguments(&["enabled"])?
        .flag("enabled")?
        .ok_or_else(|| ApiError::bad("Missing mandatory parameter: enabled"))?;
    app.edit(&call, |node| {
        if &*node.interfaces.console != "fake" {
            return Err(unsupported(node, "console"));
        }
        Ok(if node.console_enabled == enabled {
            Vec::new()
        } else {
            vec![NodeEdit::ConsoleEnabled(enabled)]
        })
    })
    .await?;
    let location = format!("{}/v1/nodes/{}/states/console", call.base, call.segment(0));
    Ok(Reply::accepted(Some(&location)))
}

/// `PUT …/states/boot_mode`.
pub(crate) async fn set_boot_mode(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let arguments = call.arguments(&["target"])?;
    let target = arguments.text("target")?;
    let mode = BootMode::parse(target).ok_or_else(|| {
        ApiError::bad(format!(
            "Invalid boot mode {target} requested for node. Allowed boot modes are: bios, uefi"
        ))
    })?;
    start(&app, &call, NodeRequest::SetBootMode(mode)).await
}

/// `PUT …/states/secure_boot`.
pub(crate) async fn set_secure_boot(
    State(app): State<Arc<App>>,
    call: Call,
) -> Result<Reply, ApiError> {
    let on = call
        .arguments(&["target"])?
        .flag("target")?
        .ok_or_else(|| ApiError::bad("Missing mandatory parameter: target"))?;
    start(&app, &call, NodeRequest::SetSecureBoot(on)).await
}

/// Hands work to the owner that goes on after the answer.
async fn start(app: &App, call: &Call, work: NodeRequest) -> Result<Reply, ApiError> {
    let node = app.node(call).await?;
    match app.request(call, node.id, work).await? {
        NodeAnswer::Accepted | NodeAnswer::Done => {
            Ok(Reply::accepted(Some(&states_location(call))))
        }
        NodeAnswer::Live(_) | NodeAnswer::Disclosed(_) => {
            Err(unexpected("The owner gave an answer to another question."))
        }
    }
}
