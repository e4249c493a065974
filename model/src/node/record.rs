//! The replicated record of a node: Ironic's fields, and the few of our own that ownership and locking need.

use super::intent::{BmcSession, Intent};
use super::power::{PowerCause, PowerState};
use super::provision::ProvisionState;
use crate::ids::{ConductorId, Epoch, Incarnation, IntentId, NodeId, RequestId, Revision, WallMs};
use crate::json::Json;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why baton itself put a node into maintenance; Ironic's `fault`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Fault {
    /// The BMC could not be read, or the state not forced.
    #[serde(rename = "power failure")]
    Power,
    /// A clean step failed on the machine.
    #[serde(rename = "clean failure")]
    Clean,
    /// A rescue could not be aborted.
    #[serde(rename = "rescue abort failure")]
    RescueAbort,
    /// A service step failed on the machine.
    #[serde(rename = "service failure")]
    Service,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 4] = [Self::Power, Self::Clean, Self::RescueAbort, Self::Service];

    /// Ironic's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Power => "power failure",
            Self::Clean => "clean failure",
            Self::RescueAbort => "rescue abort failure",
            Self::Service => "service failure",
        }
    }
}

/// The hardware interfaces of a node, one name each (Ironic's `*_interface` fields). Empty: the driver has none.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is Ironic's `<name>_interface`")]
pub struct Interfaces {
    pub bios: Box<str>,
    pub boot: Box<str>,
    pub console: Box<str>,
    pub deploy: Box<str>,
    pub firmware: Box<str>,
    pub inspect: Box<str>,
    pub management: Box<str>,
    pub network: Box<str>,
    pub power: Box<str>,
    pub raid: Box<str>,
    pub rescue: Box<str>,
    pub storage: Box<str>,
    pub vendor: Box<str>,
}

/// API requests for work that a node remembers. A request is repeated by the conductor that carries it, within seconds
/// and with the same id, when the owner vanished before it answered; other requests for the same machine come in
/// between only if several clients command it at once.
pub const REQUESTS_REMEMBERED: usize = 4;

/// Where a recorded power state comes from: who recorded it last, when, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PowerSource {
    /// What led to it.
    pub cause: PowerCause,
    /// The conductor that saw it.
    pub conductor: ConductorId,
    /// When it was recorded.
    pub at: WallMs,
}

/// A login that a BMC refused, as it is told: [`crate::port::bmc::BmcError::Refused`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedLogin {
    /// Address and port.
    pub bmc: Box<str>,
    /// The user name that was tried.
    pub username: Box<str>,
    /// The protocol's words.
    pub reason: Box<str>,
}

/// One managed machine as every conductor knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    /// `uuid`
    pub id: NodeId,
    /// Creation order; the default sort of lists.
    pub serial: u64,
    /// Grows with every change of this record.
    pub revision: Revision,
    /// The tenure under which effects are valid; see [`Epoch`].
    pub epoch: Epoch,
    /// Who acted last as owner, and in which life.
    pub acted: Option<(ConductorId, Incarnation)>,
    /// The running work, which is the lock (`reservation`).
    pub intent: Option<Intent>,
    /// The id that the next intent gets.
    pub next_intent: IntentId,
    /// The API requests that were carried out last, the newest last; see [`REQUESTS_REMEMBERED`].
    pub requests: Vec<RequestId>,
    /// A BMC session that a write of a fenced holder may still use. It is ended before anything else is written.
    pub unfenced: Option<BmcSession>,
    /// An operator's wish that the conductor of this host name owns the node while it is up.
    pub pin: Option<Box<str>>,
    /// Where earlier builds kept what [`SyncFailures`](crate::sync_failures::SyncFailures) keeps now. Nobody reads it, but
    /// stored records have its bytes.
    pub former_sync_failures: u32,
    /// Where `power_state` comes from.
    pub power_source: Option<PowerSource>,
    /// The BMC refused the login with the present `driver_info`. No conductor tries again for a long while.
    pub login_refused: Option<Box<RefusedLogin>>,

    /// `name`
    pub name: Option<Box<str>>,
    /// `driver`
    pub driver: Box<str>,
    /// `*_interface`
    pub interfaces: Interfaces,
    /// `driver_info`, with its secrets
    pub driver_info: Json,
    /// `driver_internal_info`
    pub driver_internal_info: Json,
    /// `properties`
    pub properties: Json,
    /// `extra`
    pub extra: Json,
    /// `instance_info`
    pub instance_info: Json,
    /// `network_data`
    pub network_data: Json,
    /// `raid_config`
    pub raid_config: Json,
    /// `target_raid_config`
    pub target_raid_config: Json,
    /// `clean_step`
    pub clean_step: Json,
    /// `deploy_step`
    pub deploy_step: Json,
    /// `service_step`
    pub service_step: Json,
    /// `traits`, sorted
    pub traits: Vec<Box<str>>,

    /// `instance_uuid`
    pub instance_uuid: Option<Uuid>,
    /// `instance_name`
    pub instance_name: Option<Box<str>>,
    /// `allocation_uuid`
    pub allocation_uuid: Option<Uuid>,
    /// `chassis_uuid`
    pub chassis_uuid: Option<Uuid>,
    /// `parent_node`
    pub parent_node: Option<NodeId>,
    /// `conductor_group`, lower case
    pub conductor_group: Box<str>,
    /// `resource_class`
    pub resource_class: Option<Box<str>>,
    /// `owner`
    pub owner: Option<Box<str>>,
    /// `lessee`
    pub lessee: Option<Box<str>>,
    /// `shard`
    pub shard: Option<Box<str>>,
    /// `description`
    pub description: Option<Box<str>>,

    /// `power_state`
    pub power_state: Option<PowerState>,
    /// `target_power_state`
    pub target_power_state: Option<PowerState>,
    /// `provision_state`
    pub provision_state: ProvisionState,
    /// `target_provision_state`
    pub target_provision_state: Option<ProvisionState>,
    /// `provision_updated_at`
    pub provision_updated_at: Option<WallMs>,
    /// `last_error`
    pub last_error: Option<Box<str>>,
    /// `maintenance`
    pub maintenance: bool,
    /// `maintenance_reason`
    pub maintenance_reason: Option<Box<str>>,
    /// `fault`
    pub fault: Option<Fault>,
    /// `automated_clean`
    pub automated_clean: Option<bool>,
    /// `protected`
    pub protected: bool,
    /// `protected_reason`
    pub protected_reason: Option<Box<str>>,
    /// `retired`
    pub retired: bool,
    /// `retired_reason`
    pub retired_reason: Option<Box<str>>,
    /// `console_enabled`
    pub console_enabled: bool,
    /// `disable_power_off`
    pub disable_power_off: bool,
    /// `boot_mode`
    pub boot_mode: Option<Box<str>>,
    /// `secure_boot`
    pub secure_boot: Option<bool>,
    /// `health`
    pub health: Option<Box<str>>,
    /// `inspection_started_at`
    pub inspection_started_at: Option<WallMs>,
    /// `inspection_finished_at`
    pub inspection_finished_at: Option<WallMs>,
    /// `created_at`
    pub created_at: WallMs,
    /// `updated_at`
    pub updated_at: Option<WallMs>,
}

impl NodeRecord {
    /// A node as `POST /v1/nodes` makes it when nothing but the driver is given.
    #[must_use]
    pub fn new(id: NodeId, driver: Box<str>, created_at: WallMs) -> Self {
        Self {
            id,
            serial: 0,
            revision: Revision(1),
            epoch: Epoch(0),
            acted: None,
            intent: None,
            next_intent: IntentId(1),
            requests: Vec::new(),
            unfenced: None,
            pin: None,
            former_sync_failures: 0,
            power_source: None,
            login_refused: None,
            name: None,
            driver,
            interfaces: Interfaces::default(),
            driver_info: Json::EMPTY,
            driver_internal_info: Json::EMPTY,
            properties: Json::EMPTY,
            extra: Json::EMPTY,
            instance_info: Json::EMPTY,
            network_data: Json::EMPTY,
            raid_config: Json::EMPTY,
            target_raid_config: Json::EMPTY,
            clean_step: Json::EMPTY,
            deploy_step: Json::EMPTY,
            service_step: Json::EMPTY,
            traits: Vec::new(),
            instance_uuid: None,
            instance_name: None,
            allocation_uuid: None,
            chassis_uuid: None,
            parent_node: None,
            conductor_group: Box::from(""),
            resource_class: None,
            owner: None,
            lessee: None,
            shard: None,
            description: None,
            power_state: None,
            target_power_state: None,
            provision_state: ProvisionState::Enroll,
            target_provision_state: None,
            provision_updated_at: None,
            last_error: None,
            maintenance: false,
            maintenance_reason: None,
            fault: None,
            automated_clean: None,
            protected: false,
            protected_reason: None,
            retired: false,
            retired_reason: None,
            console_enabled: false,
            disable_power_off: false,
            boot_mode: None,
            secure_boot: None,
            health: None,
            inspection_started_at: None,
            inspection_finished_at: None,
            created_at,
            updated_at: None,
        }
    }

    /// Whether some work holds the node's lock.
    #[must_use]
    pub const fn is_locked(&self) -> bool {
        self.intent.is_some()
    }
}
