//! User edits of a node's record (PATCH, maintenance) and the rules they obey, with Ironic's texts.

use super::intent::IntentKind;
use super::provision::ProvisionState;
use super::record::{Interfaces, NodeRecord};
use crate::ids::NodeId;
use crate::json::Json;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One field set to one value. Persisted in the log: append variants, never change one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "each variant sets the record's field of its name"
)]
pub enum NodeEdit {
    Name(Option<Box<str>>),
    Driver(Box<str>),
    Interfaces(Box<Interfaces>),
    DriverInfo(Json),
    Properties(Json),
    Extra(Json),
    InstanceInfo(Json),
    NetworkData(Json),
    TargetRaidConfig(Json),
    Traits(Vec<Box<str>>),
    InstanceUuid(Option<Uuid>),
    InstanceName(Option<Box<str>>),
    ChassisUuid(Option<Uuid>),
    ParentNode(Option<NodeId>),
    ConductorGroup(Box<str>),
    ResourceClass(Option<Box<str>>),
    Owner(Option<Box<str>>),
    Lessee(Option<Box<str>>),
    Shard(Option<Box<str>>),
    Description(Option<Box<str>>),
    /// Manual maintenance. Setting it takes a fault's maintenance over, so that nothing but an operator ends it; clearing
    /// it clears reason and fault too.
    Maintenance {
        on: bool,
        reason: Option<Box<str>>,
    },
    AutomatedClean(Option<bool>),
    Protected(bool),
    ProtectedReason(Option<Box<str>>),
    Retired(bool),
    RetiredReason(Option<Box<str>>),
    DisablePowerOff(bool),
    ConsoleEnabled(bool),
    BootMode(Option<Box<str>>),
    SecureBoot(Option<bool>),
    /// The operator's wish for an owner, by host name; admin endpoint only.
    Pin(Option<Box<str>>),
}

/// Why an edit or request is refused: an HTTP status and Ironic's text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// HTTP status of the answer.
    pub status: u16,
    /// The `faultstring`.
    pub text: Box<str>,
}

impl Refused {
    /// A refusal with this status and text.
    #[must_use]
    pub fn new(status: u16, text: impl Into<Box<str>>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// 409, the lock is held by `host`.
    #[must_use]
    pub fn locked(node: NodeId, host: &str) -> Self {
        Self::new(
            409,
            format!(
                "Node {node} is locked by host {host}, please retry after the current operation is completed."
            ),
        )
    }

    /// 404, there is no such node.
    #[must_use]
    pub fn no_such_node(node: NodeId) -> Self {
        Self::new(404, format!("Node {node} could not be found."))
    }
}

/// Longest text kept in `last_error` and `maintenance_reason`, in characters (`[DEFAULT]log_in_db_max_size`).
pub const TEXT_CHARS_MAX: usize = 4096;

/// Cuts a text to [`TEXT_CHARS_MAX`] characters.
#[must_use]
pub fn clip(text: &str) -> Box<str> {
    text.char_indices()
        .nth(TEXT_CHARS_MAX)
        .map_or(text, |(at, _)| text.get(..at).unwrap_or(text))
        .into()
}

/// States in which `driver`, interfaces and `resource_class` may change (Ironic `manager.py`, `update_node`).
const RECONFIGURABLE: [ProvisionState; 5] = [
    ProvisionState::Enroll,
    ProvisionState::Inspecting,
    ProvisionState::InspectWait,
    ProvisionState::Manageable,
    ProvisionState::Available,
];

impl NodeEdit {
    /// Whether running work depends on the field, so that the edit has to wait for the lock. Flags never wait (D32).
    #[must_use]
    pub const fn needs_lock(&self) -> bool {
        match self {
            Self::Driver(_)
            | Self::Interfaces(_)
            | Self::InstanceUuid(_)
            | Self::ConductorGroup(_) => true,
            Self::Name(_)
            | Self::DriverInfo(_)
            | Self::Properties(_)
            | Self::Extra(_)
            | Self::InstanceInfo(_)
            | Self::NetworkData(_)
            | Self::TargetRaidConfig(_)
            | Self::Traits(_)
            | Self::InstanceName(_)
            | Self::ChassisUuid(_)
            | Self::ParentNode(_)
            | Self::ResourceClass(_)
            | Self::Owner(_)
            | Self::Lessee(_)
            | Self::Shard(_)
            | Self::Description(_)
            | Self::Maintenance { .. }
            | Self::AutomatedClean(_)
            | Self::Protected(_)
            | Self::ProtectedReason(_)
            | Self::Retired(_)
            | Self::RetiredReason(_)
            | Self::DisablePowerOff(_)
            | Self::ConsoleEnabled(_)
            | Self::BootMode(_)
            | Self::SecureBoot(_)
            | Self::Pin(_) => false,
        }
    }

    /// Checks the edit against the node's state. Uniqueness of names and instances is checked by `apply`, which sees
    /// all nodes.
    ///
    /// # Errors
    /// Ironic's status and text.
    pub fn check(&self, node: &NodeRecord) -> Result<(), Refused> {
        let reconfigurable = RECONFIGURABLE.contains(&node.provision_state);
        match self {
            Self::Driver(_) | Self::Interfaces(_) if !reconfigurable && !node.maintenance => {
                Err(Refused::new(
                    409,
                    format!(
                        "Node {} can not have its driver or interfaces updated while it is in provision state \"{}\". \
                         Allowed states: enroll, manageable, inspecting, inspect wait, available, or any state in maintenance.",
                        node.id, node.provision_state
                    ),
                ))
            }
            Self::ResourceClass(class) if !reconfigurable && *class != node.resource_class => {
                Err(Refused::new(
                    409,
                    format!(
                        "Node {} can not have resource_class updated unless it is in one of allowed (enroll, manageable, \
                     inspecting, inspect wait, available) states.",
                        node.id
                    ),
                ))
            }
            Self::Protected(true)
                if !matches!(
                    node.provision_state,
                    ProvisionState::Active | ProvisionState::Rescue
                ) =>
            {
                Err(Refused::new(
                    409,
                    format!(
                        "Node {} can only be made protected in provision states 'active' or 'rescue', the current state \
                         is '{}'",
                        node.id, node.provision_state
                    ),
                ))
            }
            Self::Retired(true) if node.provision_state == ProvisionState::Available => {
                Err(Refused::new(
                    409,
                    format!(
                        "Node {} can not have retired set to True while it is in available state.",
                        node.id
                    ),
                ))
            }
            Self::InstanceUuid(Some(wanted)) => match node.instance_uuid {
                Some(has) if has != *wanted => Err(Refused::new(
                    409,
                    format!("Node {} is associated with instance {has}.", node.id),
                )),
                Some(_) | None => Ok(()),
            },
            Self::ParentNode(Some(parent)) if *parent == node.id => Err(Refused::new(
                400,
                format!("Node {} can not be its own parent.", node.id),
            )),
            _ => Ok(()),
        }
    }

    /// Sets the field.
    pub fn apply(self, node: &mut NodeRecord) {
        match self {
            Self::Name(v) => node.name = v,
            Self::Driver(v) => node.driver = v,
            Self::Interfaces(v) => {
                if node.interfaces.power != v.power {
                    node.login_refused = None;
                }
                node.interfaces = *v;
            }
            Self::DriverInfo(v) => {
                if node.driver_info != v {
                    // Whatever the BMC said, it said to other credentials.
                    node.login_refused = None;
                }
                node.driver_info = v;
            }
            Self::Properties(v) => node.properties = v,
            Self::Extra(v) => node.extra = v,
            Self::InstanceInfo(v) => node.instance_info = v,
            Self::NetworkData(v) => node.network_data = v,
            Self::TargetRaidConfig(v) => node.target_raid_config = v,
            Self::Traits(mut v) => {
                v.sort();
                v.dedup();
                node.traits = v;
            }
            Self::InstanceUuid(v) => node.instance_uuid = v,
            Self::InstanceName(v) => node.instance_name = v,
            Self::ChassisUuid(v) => node.chassis_uuid = v,
            Self::ParentNode(v) => node.parent_node = v,
            Self::ConductorGroup(v) => node.conductor_group = v.to_lowercase().into(),
            Self::ResourceClass(v) => node.resource_class = v,
            Self::Owner(v) => node.owner = v,
            Self::Lessee(v) => node.lessee = v,
            Self::Shard(v) => node.shard = v,
            Self::Description(v) => node.description = v,
            Self::Maintenance { on, reason } => {
                node.maintenance = on;
                node.maintenance_reason = reason.filter(|_| on).map(|text| clip(&text));
                node.fault = None;
            }
            Self::AutomatedClean(v) => node.automated_clean = v,
            Self::Protected(v) => {
                node.protected = v;
                if !v {
                    node.protected_reason = None;
                }
            }
            Self::ProtectedReason(v) => node.protected_reason = v,
            Self::Retired(v) => {
                node.retired = v;
                if !v {
                    node.retired_reason = None;
                }
            }
            Self::RetiredReason(v) => node.retired_reason = v,
            Self::DisablePowerOff(v) => node.disable_power_off = v,
            Self::ConsoleEnabled(v) => node.console_enabled = v,
            Self::BootMode(v) => node.boot_mode = v,
            Self::SecureBoot(v) => node.secure_boot = v,
            Self::Pin(v) => node.pin = v,
        }
    }
}

/// Whether a node may be edited at all while it is on its way (Ironic `api/controllers/v1/node.py`, `_check_update`).
///
/// # Errors
/// 409 with Ironic's text.
pub fn check_editable(node: &NodeRecord) -> Result<(), Refused> {
    let in_transition =
        node.target_provision_state.is_some() && !node.provision_state.allows_edit_in_transition();
    if in_transition && !node.maintenance {
        return Err(Refused::new(
            409,
            format!(
                "Node {} can not be updated while a state transition is in progress.",
                node.id
            ),
        ));
    }
    Ok(())
}

/// Whether a node may be deleted, and if not, why. `available_too` is `[conductor]allow_deleting_available_nodes`.
///
/// # Errors
/// Ironic's status and text, in Ironic's order.
pub fn check_deletable(node: &NodeRecord, available_too: bool, host: &str) -> Result<(), Refused> {
    if node.protected {
        return Err(Refused::new(
            403,
            format!(
                "Node {} is protected and cannot be undeployed, rebuilt or deleted",
                node.id
            ),
        ));
    }
    if let Some(instance) = node.instance_uuid.filter(|_| !node.maintenance) {
        return Err(Refused::new(
            409,
            format!("Node {} is associated with instance {instance}.", node.id),
        ));
    }
    let state = node.provision_state;
    let deletable = match state {
        ProvisionState::Manageable | ProvisionState::Enroll | ProvisionState::AdoptFailed => true,
        ProvisionState::Available => available_too,
        _ => false,
    };
    if !deletable && !node.maintenance {
        let states = if available_too {
            "('manageable', 'enroll', 'adopt failed', 'available')"
        } else {
            "('manageable', 'enroll', 'adopt failed')"
        };
        return Err(Refused::new(
            409,
            format!(
                "Can not delete node \"{}\" while it is in provision state \"{state}\". Valid provision states to \
                 perform deletion are: \"{states}\", or set the node into maintenance mode",
                node.id
            ),
        ));
    }
    match &node.intent {
        Some(_) => Err(Refused::locked(node.id, host)),
        None => Ok(()),
    }
}

/// Whether the running work is a power change.
#[must_use]
pub fn is_changing_power(node: &NodeRecord) -> bool {
    node.intent
        .as_ref()
        .is_some_and(|intent| matches!(intent.kind, IntentKind::Power { .. }))
}
