//! Objects: everything that clients keep in the API besides nodes, in one shape.
//!
//! Ports, chassis, allocations, templates and their kin differ in their fields and in a few rules. Fields are the API's
//! business ([`Object::body`] holds them by name); what makes two of them collide, what they refer to and when they may
//! change is decided in [`rules`], inside `apply`, where all of the state is seen at one instant.

pub mod allocation;
pub mod history;
pub mod rules;
mod store;

#[cfg(test)]
mod tests;

use crate::ids::{NodeId, Revision, WallMs};
use crate::json::Json;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use uuid::{Builder, Uuid};

pub use store::Objects;

/// Largest body of one object in bytes: a runbook of a thousand steps fits, and sixty of them fit in one snapshot piece.
pub const BODY_BYTES_MAX: usize = 256 << 10;

/// Most objects of one kind on one node. The largest machines have some forty network ports; this is six times that.
pub const PER_NODE_MAX: usize = 256;

/// What an object is. Persisted: append variants only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// A network port of a node.
    Port,
    /// Several ports of a node used as one.
    Portgroup,
    /// A grouping of nodes.
    Chassis,
    /// How a node reaches storage.
    VolumeConnector,
    /// A remote volume of a node.
    VolumeTarget,
    /// A claim for a node.
    Allocation,
    /// Deploy steps under a name.
    DeployTemplate,
    /// Clean and service steps under a name.
    Runbook,
    /// What to do with the findings of an inspection.
    InspectionRule,
    /// One row of a node's history.
    History,
    /// What an inspection found on a node; its id is the node's.
    Inventory,
    /// The BIOS settings of a node by their names, as its BMC told them; its id is the node's.
    Bios,
    /// The firmware components of a node by their names; its id is the node's.
    Firmware,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Port,
        Self::Portgroup,
        Self::Chassis,
        Self::VolumeConnector,
        Self::VolumeTarget,
        Self::Allocation,
        Self::DeployTemplate,
        Self::Runbook,
        Self::InspectionRule,
        Self::History,
        Self::Inventory,
        Self::Bios,
        Self::Firmware,
    ];

    /// The noun of messages, as in `Port X could not be found.`
    #[must_use]
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Port => "Port",
            Self::Portgroup => "Portgroup",
            Self::Chassis => "Chassis",
            Self::VolumeConnector => "Volume connector",
            Self::VolumeTarget => "Volume target",
            Self::Allocation => "Allocation",
            Self::DeployTemplate => "Deploy template",
            Self::Runbook => "Runbook",
            Self::InspectionRule => "Inspection rule",
            Self::History => "Node history record",
            Self::Inventory => "Node inventory record",
            Self::Bios => "BIOS settings",
            Self::Firmware => "Firmware components",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.noun())
    }
}

/// One object.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Object {
    /// What it is.
    pub kind: Kind,
    /// `uuid`
    pub id: Uuid,
    /// Creation order within its kind; set by `apply`.
    pub serial: u64,
    /// Grows with every change.
    pub revision: Revision,
    /// The node that it belongs to or is bound to.
    pub node: Option<NodeId>,
    /// `name`, unique within its kind.
    pub name: Option<Box<str>>,
    /// Every other field, by its name on the wire.
    pub body: Json,
    /// `created_at`
    pub created_at: WallMs,
    /// `updated_at`
    pub updated_at: Option<WallMs>,
}

impl Object {
    /// An object as it enters a proposal.
    #[must_use]
    pub const fn new(kind: Kind, id: Uuid, created_at: WallMs) -> Self {
        Self {
            kind,
            id,
            serial: 0,
            revision: Revision(1),
            node: None,
            name: None,
            body: Json::EMPTY,
            created_at,
            updated_at: None,
        }
    }

    /// What no other object of the kind may have too.
    #[must_use]
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> = self.name.clone().map(Key::Name).into_iter().collect();
        let needs_body = matches!(
            self.kind,
            Kind::Port | Kind::Portgroup | Kind::VolumeConnector | Kind::VolumeTarget
        );
        if needs_body {
            let body = self.body.to_map();
            keys.extend(self.body_key(&body));
        }
        keys
    }

    fn body_key(&self, body: &Map<String, Value>) -> Option<Key> {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        match self.kind {
            Kind::Port | Kind::Portgroup => Some(Key::Address(text("address")?.into())),
            Kind::VolumeConnector => Some(Key::Connector(
                text("type")?.into(),
                text("connector_id")?.into(),
            )),
            Kind::VolumeTarget => Some(Key::BootIndex(
                self.node?,
                body.get("boot_index").and_then(Value::as_i64)?,
            )),
            Kind::Chassis
            | Kind::Allocation
            | Kind::DeployTemplate
            | Kind::Runbook
            | Kind::InspectionRule
            | Kind::History
            | Kind::Inventory
            | Kind::Bios
            | Kind::Firmware => None,
        }
    }
}

/// Something unique within a kind.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Key {
    /// By name.
    Name(Box<str>),
    /// By MAC address.
    Address(Box<str>),
    /// By type and id of a connector.
    Connector(Box<str>, Box<str>),
    /// By place among the volumes of a node.
    BootIndex(NodeId, i64),
}

/// A uuid that every replica makes alike: the node's, mixed with the object's serial, which no other of its kind has.
pub(crate) fn made_id(node: NodeId, serial: u64) -> Uuid {
    /// Odd, with bits all over (2^64 divided by the golden ratio), so that neighbours differ everywhere.
    const MIX: u128 = 0x9e37_79b9_7f4a_7c15_9e37_79b9_7f4a_7c15;
    let mixed = node.0.as_u128() ^ u128::from(serial).wrapping_mul(MIX);
    Builder::from_random_bytes(mixed.to_be_bytes()).into_uuid()
}

/// A change of objects. Persisted in the log: append variants only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ObjectCommand {
    /// A new object.
    Create(Box<Object>),
    /// Node, name and body of an object are replaced.
    Replace {
        /// The object as it is to be; its serial and times are kept.
        object: Box<Object>,
        /// Refuse if it has moved on since the editor read it.
        expect: Revision,
    },
    /// An object goes.
    Delete {
        /// Its kind.
        kind: Kind,
        /// Its id.
        id: Uuid,
    },
    /// A new allocation, decided in the same entry.
    Allocate(Box<allocation::Allocate>),
}

impl ObjectCommand {
    /// A word for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "object-create",
            Self::Replace { .. } => "object-replace",
            Self::Delete { .. } => "object-delete",
            Self::Allocate(_) => "allocate",
        }
    }
}
