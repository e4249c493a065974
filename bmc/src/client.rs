//! [`BmcClient`]: the production implementation of the [`Bmc`] port. It looks at what kind of BMC a node has and hands
//! the call to that protocol's client; no decision is made here.

use crate::ipmi::IpmiClient;
use crate::redfish::{RedfishClient, RedfishConfig};
use baton_model::driver::BmcTarget;
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{Bmc, BmcError, BmcIdentity, PowerAction, PowerReading};
use std::sync::Arc;
use std::time::Duration;

/// All BMCs of all protocols.
#[derive(Clone, Debug)]
pub struct BmcClient {
    redfish: RedfishClient,
    ipmi: Arc<IpmiClient>,
}

impl BmcClient {
    /// A client with no connection and no session yet.
    #[must_use]
    pub fn new(redfish: RedfishConfig, ipmi: Arc<IpmiClient>) -> Self {
        Self {
            redfish: RedfishClient::new(redfish),
            ipmi,
        }
    }

    /// The IPMI half, for its counters and sessions.
    #[must_use]
    pub fn ipmi(&self) -> &IpmiClient {
        &self.ipmi
    }

    /// The Redfish half, for its counters.
    #[must_use]
    pub const fn redfish(&self) -> &RedfishClient {
        &self.redfish
    }
}

/// A node with `fake-hardware` has no BMC; the actors answer for it and never get here.
fn no_bmc<T>() -> Result<T, BmcError> {
    Err(BmcError::Misconfigured {
        bmc: "fake-hardware".into(),
        reason: "the node's driver has no BMC to talk to".into(),
    })
}

impl Bmc for BmcClient {
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<PowerReading, BmcError>> {
        match target {
            BmcTarget::Redfish(target) => Box::pin(self.redfish.power_state(target, budget)),
            BmcTarget::Ipmi(target) => Box::pin(self.ipmi.power_state(target, budget)),
            BmcTarget::Fake => Box::pin(async { no_bmc() }),
        }
    }

    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        match target {
            BmcTarget::Redfish(target) => {
                Box::pin(self.redfish.power_action(target, action, budget))
            }
            BmcTarget::Ipmi(target) => Box::pin(self.ipmi.power_action(target, action, budget)),
            BmcTarget::Fake => Box::pin(async { no_bmc() }),
        }
    }

    fn identify<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<BmcIdentity, BmcError>> {
        match target {
            BmcTarget::Redfish(target) => Box::pin(self.redfish.identify(target, budget)),
            BmcTarget::Ipmi(target) => Box::pin(self.ipmi.identify(target, budget)),
            BmcTarget::Fake => Box::pin(async { no_bmc() }),
        }
    }

    fn forget<'a>(&'a self, target: &'a BmcTarget) -> BoxFuture<'a, ()> {
        match target {
            BmcTarget::Redfish(target) => Box::pin(self.redfish.forget(target)),
            BmcTarget::Ipmi(target) => Box::pin(self.ipmi.forget(target)),
            BmcTarget::Fake => Box::pin(async {}),
        }
    }

    fn close<'a>(&'a self, budget: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            tokio::join!(self.redfish.close(budget), self.ipmi.close(budget));
        })
    }
}
