//! Chores that are one raw command: what a user writes byte by byte, and restarts of the BMC.

use super::IpmiClient;
use crate::ipmi::session::{Job, refusal::Refusal};
use crate::ipmi::wire::raw::RawCommand;
use baton_model::driver::ipmi::IpmiTarget;
use baton_model::json::Json;
use baton_model::port::bmc::BmcError;
use baton_model::port::chore::Chore;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

impl IpmiClient {
    /// Does a chore that is one raw command, in the session with this BMC-side id if one is named; never twice.
    ///
    /// # Errors
    /// [`BmcError::Unsupported`] for what IPMI cannot do; else as [`Self::power_action_in_session`].
    pub async fn chore(
        &self,
        target: &Arc<IpmiTarget>,
        chore: Chore,
        cargo: &Json,
        session: Option<u32>,
        budget: Duration,
    ) -> Result<(), BmcError> {
        let refusal = Refusal {
            target,
            operation: chore.operation(),
        };
        let cargo = cargo.to_map();
        let raw = match chore {
            Chore::RestartBmc if cargo.get("warm") == Some(&Value::Bool(true)) => {
                RawCommand::WARM_RESET
            }
            Chore::RestartBmc => RawCommand::COLD_RESET,
            Chore::Raw => {
                let bytes = cargo.get("raw_bytes").and_then(Value::as_str);
                RawCommand::parse(bytes.unwrap_or_default())
                    .map_err(|why| refusal.unsupported(why))?
            }
            Chore::ApplyBios
            | Chore::ResetBios
            | Chore::Light
            | Chore::EjectMedia
            | Chore::Subscribe
            | Chore::Unsubscribe => {
                return Err(refusal.unsupported("IPMI has no command for it"));
            }
        };
        self.call(target, Job::Raw(raw, session), budget)
            .await
            .map(drop)
    }
}
