//! Finding the system to manage, and reading it. Sources: DSP0266 §Service root; DSP2046 ComputerSystem; the only-member
//! rule and its text are sushy's.
//!
//! A read in steady state is one GET whose answer is looked at for one field. The first read of a BMC takes the whole
//! resource in, so that a later command needs no read before it.

use super::answer::{self, ResetAction};
use super::conversation::Conversation;
use super::exchange::Answer;
use crate::vendor::Vendor;
use baton_model::port::bmc::{BmcError, BmcIdentity, PowerReading};
use hyper::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;
use tokio::time::Instant;

/// Systems named in a message; enough to pick the right one.
const SHOWN_MAX: usize = 8;

impl Conversation<'_> {
    /// The power state.
    pub(super) async fn read_power(&mut self) -> Result<PowerReading, BmcError> {
        let body = if self.link.reset.is_none() {
            let system = Box::pin(self.read_system()).await?;
            let text = serde_json::json!({ "PowerState": system.get("PowerState") }).to_string();
            bytes::Bytes::from(text)
        } else {
            self.get_system().await?.body
        };
        let reading = answer::power_state(&body).map_err(|reason| self.garbled(&reason))?;
        Ok(self.settled(reading))
    }

    /// Right after a restart was taken the machine still says "on" of the time before it.
    fn settled(&mut self, reading: PowerReading) -> PowerReading {
        let restarting = self
            .link
            .settles_until
            .is_some_and(|until| Instant::now() < until);
        if !restarting {
            self.link.settles_until = None;
        }
        match reading {
            PowerReading::On if restarting => PowerReading::PoweringOn,
            reading => reading,
        }
    }

    /// The whole system; learns who made it and how it is reset.
    pub(super) async fn read_system(&mut self) -> Result<Value, BmcError> {
        self.read_versioned_system().await.map(|(system, _)| system)
    }

    /// The same, and the headers that it came with.
    pub(super) async fn read_versioned_system(&mut self) -> Result<(Value, HeaderMap), BmcError> {
        let Answer { body, headers, .. } = self.get_system().await?;
        let system = answer::resource(&body).map_err(|reason| self.garbled(&reason))?;
        // Who built the machine is asked only where its BMC did not say who built that.
        if self.link.vendor.is_generic()
            && let Some(maker) = answer::text(&system, "Manufacturer")
            && let Some(vendor) = Vendor::for_maker(&maker)
        {
            self.link.vendor = vendor;
        }
        if let Some(action) = answer::reset_action(&system) {
            self.link.reset = Some(Box::new(action));
        }
        Ok((system, headers))
    }

    /// The reset action, with its allowed values wherever they are.
    pub(super) async fn reset_action(&mut self) -> Result<ResetAction, BmcError> {
        if self.link.reset.is_none() {
            self.read_system().await?;
        }
        let Some(action) = &self.link.reset else {
            let path = self.link.system.as_ref().map(Uri::path).unwrap_or_default();
            return Err(BmcError::Unsupported {
                bmc: self.name(),
                operation: self.operation,
                reason: self.clean(&format!(
                    "The action #ComputerSystem.Reset is missing from the resource {path}"
                )),
            });
        };
        let mut action = ResetAction::clone(action);
        if action.allowed.is_none()
            && let Some(path) = action.action_info.take()
        {
            let answer = self.request(&Method::GET, &path, None).await?;
            if answer.status.is_success()
                && let Ok(info) = answer::resource(&answer.body)
            {
                action.allowed = answer::action_info(&info);
            }
            // Asked once, also where it names nothing.
            self.link.reset = Some(Box::new(action.clone()));
        }
        Ok(action)
    }

    /// GETs the system. A path that has vanished is looked for once more: firmware updates rename resources.
    async fn get_system(&mut self) -> Result<Answer, BmcError> {
        let known = self.link.system.is_some();
        for last in [!known, true] {
            let path = self.system_path().await?;
            let answer = self.request(&Method::GET, &path, None).await?;
            if answer.status.is_success() {
                return Ok(answer);
            }
            if answer.status != StatusCode::NOT_FOUND {
                return Err(self.unexpected(&answer));
            }
            self.link.forget_paths();
            if last || self.target.system_id.is_some() {
                return Err(self.misconfigured(&format!(
                    "The Redfish System \"{}\" was not found; check redfish_system_id",
                    path.path()
                )));
            }
        }
        Err(self.garbled("the system moves about"))
    }

    /// Where the system is: as configured, as remembered, or the only member of `Systems`.
    pub(super) async fn system_path(&mut self) -> Result<Uri, BmcError> {
        if let Some(path) = &self.link.system {
            return Ok(path.clone());
        }
        let path = match &self.target.system_id {
            Some(id) => answer::link(id)
                .ok_or_else(|| self.misconfigured("redfish_system_id is no usable path"))?,
            None => Box::pin(self.only_member()).await?,
        };
        self.link.system = Some(path.clone());
        Ok(path)
    }

    /// The only member of `Systems`.
    async fn only_member(&mut self) -> Result<Uri, BmcError> {
        let systems = self.systems_path().await?;
        let answer = self.request(&Method::GET, &systems, None).await?;
        if !answer.status.is_success() {
            return Err(self.unexpected(&answer));
        }
        let collection = answer::resource(&answer.body).map_err(|reason| self.garbled(&reason))?;
        let members = answer::members(&collection);
        if let [only] = members.as_slice() {
            return Ok(only.clone());
        }
        let shown: Vec<&str> = members.iter().take(SHOWN_MAX).map(Uri::path).collect();
        Err(self.misconfigured(&format!(
            "Failed at determining default for \"ComputerSystem\": System count is not exactly one; \
             set redfish_system_id to one of [{}] ({} in all)",
            shown.join(", "),
            members.len()
        )))
    }

    /// The `Systems` collection.
    async fn systems_path(&mut self) -> Result<Uri, BmcError> {
        // Logging in reads the root on its way, where that is open.
        self.credentials().await?;
        if self.link.systems.is_none() {
            let root = self.root_path()?;
            let answer = self.request(&Method::GET, &root, None).await?;
            if answer.status == StatusCode::NOT_FOUND {
                return Err(self.misconfigured(&format!(
                    "it has no Redfish service at {}; check redfish_address",
                    self.target.root
                )));
            }
            if !answer.status.is_success() {
                return Err(self.unexpected(&answer));
            }
            let root = answer::resource(&answer.body).map_err(|reason| self.garbled(&reason))?;
            self.learn_root(&root);
        }
        self.link
            .systems
            .clone()
            .ok_or_else(|| self.garbled("the service root names no Systems"))
    }

    /// Takes from the service root what later calls need.
    pub(super) fn learn_root(&mut self, root: &Value) {
        self.link.sessions = answer::link_at(root, "/Links/Sessions");
        self.link.systems = answer::link_at(root, "/Systems");
        let oem = root.get("Oem").and_then(Value::as_object);
        let named = answer::text(root, "Vendor").and_then(|maker| Vendor::for_maker(&maker));
        let found = named.or_else(|| {
            oem.into_iter()
                .flat_map(|oem| oem.keys())
                .find_map(|key| Vendor::for_oem(key))
        });
        if let Some(vendor) = found {
            self.link.vendor = vendor;
        }
    }

    /// The service root.
    pub(super) fn root_path(&self) -> Result<Uri, BmcError> {
        answer::link(&self.target.root)
            .ok_or_else(|| self.misconfigured("redfish_address has an unusable path"))
    }

    /// Who the BMC is: maker and model of the system, firmware of its first manager.
    pub(super) async fn identify(&mut self) -> Result<BmcIdentity, BmcError> {
        let system = self.read_system().await?;
        let mut firmware = None;
        if let Some(manager) = answer::link_at(&system, "/Links/ManagedBy/0") {
            let answer = self.request(&Method::GET, &manager, None).await?;
            if answer.status.is_success()
                && let Ok(manager) = answer::resource(&answer.body)
            {
                firmware = answer::text(&manager, "FirmwareVersion");
            }
        }
        Ok(BmcIdentity {
            vendor: answer::text(&system, "Manufacturer"),
            model: answer::text(&system, "Model"),
            firmware,
        })
    }
}
