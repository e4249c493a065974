//! [`BmcClient`]: the production implementation of the [`Bmc`] port. It looks at what kind of BMC a node has and hands
//! the call to that protocol's client; no decision is made here.

use crate::ipmi::IpmiClient;
use crate::redfish::{RedfishClient, RedfishConfig};
use baton_model::driver::BmcTarget;
use baton_model::json::Json;
use baton_model::node::intent::BmcSession;
use baton_model::port::BoxFuture;
use baton_model::port::bmc::{Bmc, BmcError, BmcIdentity, PowerAction, PowerRead};
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Inquiry};
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

/// The BMC in messages.
fn name_of(target: &BmcTarget) -> Box<str> {
    match target {
        BmcTarget::Redfish(target) => target.origin.clone(),
        BmcTarget::Ipmi(target) => target.address.clone(),
        BmcTarget::Fake => "fake-hardware".into(),
    }
}

impl Bmc for BmcClient {
    fn power_state<'a>(
        &'a self,
        target: &'a BmcTarget,
        budget: Duration,
    ) -> BoxFuture<'a, Result<PowerRead, BmcError>> {
        match target {
            BmcTarget::Redfish(target) => Box::pin(self.redfish.read_power(target, budget)),
            BmcTarget::Ipmi(target) => Box::pin(async move {
                let power = self.ipmi.power_state(target, budget).await?;
                let session = self.ipmi.session_ids(target);
                Ok(PowerRead {
                    power,
                    session: session.map(|ids| BmcSession::Ipmi(ids.bmc)),
                })
            }),
            BmcTarget::Fake => Box::pin(async { no_bmc() }),
        }
    }

    fn power_action<'a>(
        &'a self,
        target: &'a BmcTarget,
        action: PowerAction,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        match (target, session) {
            (BmcTarget::Redfish(target), BmcSession::Redfish(path)) => Box::pin(
                self.redfish
                    .power_action_in_session(target, action, path, budget),
            ),
            (BmcTarget::Redfish(target), BmcSession::Unbound) => {
                Box::pin(self.redfish.power_action(target, action, budget))
            }
            (BmcTarget::Ipmi(target), BmcSession::Ipmi(id)) => Box::pin(
                self.ipmi
                    .power_action_in_session(target, action, *id, budget),
            ),
            // The node was given another kind of BMC meanwhile, so the session is none of this BMC's.
            (BmcTarget::Redfish(_) | BmcTarget::Ipmi(_), _) => {
                let bmc = name_of(target);
                let operation = "power command";
                Box::pin(async move { Err(BmcError::SessionOver { bmc, operation }) })
            }
            (BmcTarget::Fake, _) => Box::pin(async { no_bmc() }),
        }
    }

    fn chore<'a>(
        &'a self,
        target: &'a BmcTarget,
        chore: Chore,
        cargo: &'a Json,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        match (target, session) {
            (BmcTarget::Redfish(target), BmcSession::Redfish(path)) => {
                Box::pin(self.redfish.chore(target, chore, cargo, Some(path), budget))
            }
            (BmcTarget::Redfish(target), BmcSession::Unbound) => {
                Box::pin(self.redfish.chore(target, chore, cargo, None, budget))
            }
            (BmcTarget::Ipmi(target), BmcSession::Ipmi(id)) => {
                Box::pin(self.ipmi.chore(target, chore, cargo, Some(*id), budget))
            }
            (BmcTarget::Redfish(_) | BmcTarget::Ipmi(_), _) => {
                let bmc = name_of(target);
                let operation = chore.operation();
                Box::pin(async move { Err(BmcError::SessionOver { bmc, operation }) })
            }
            (BmcTarget::Fake, _) => Box::pin(async { no_bmc() }),
        }
    }

    fn ask<'a>(
        &'a self,
        target: &'a BmcTarget,
        inquiry: Inquiry,
        budget: Duration,
    ) -> BoxFuture<'a, Result<Disclosure, BmcError>> {
        match (target, inquiry) {
            (BmcTarget::Redfish(target), _) => Box::pin(self.redfish.ask(target, inquiry, budget)),
            (BmcTarget::Ipmi(target), Inquiry::Boot) => Box::pin(async move {
                let state = self.ipmi.boot_state(target, budget).await;
                state.map(Disclosure::Boot)
            }),
            (BmcTarget::Ipmi(_), _) => {
                let bmc = name_of(target);
                Box::pin(async move {
                    Err(BmcError::Unsupported {
                        bmc,
                        operation: inquiry.operation(),
                        reason: "IPMI does not tell".into(),
                    })
                })
            }
            (BmcTarget::Fake, _) => Box::pin(async { no_bmc() }),
        }
    }

    fn end_session<'a>(
        &'a self,
        target: &'a BmcTarget,
        session: &'a BmcSession,
        budget: Duration,
    ) -> BoxFuture<'a, Result<(), BmcError>> {
        Box::pin(async move {
            match (target, session) {
                (BmcTarget::Redfish(target), BmcSession::Redfish(path)) => self
                    .redfish
                    .close_session(target, path, budget)
                    .await
                    .map(drop),
                (BmcTarget::Ipmi(target), BmcSession::Ipmi(id)) => {
                    let own = self.ipmi.session_ids(target);
                    if own.is_some_and(|own| own.bmc == *id) {
                        // Left by a former actor of this very process; nobody ends the session that he asks in.
                        self.ipmi.forget(target).await;
                        return Ok(());
                    }
                    self.ipmi
                        .close_session_by_id(target, *id, budget)
                        .await
                        .map(drop)
                }
                // It was a session with another kind of BMC, which this target cannot reach any more.
                (BmcTarget::Redfish(_) | BmcTarget::Ipmi(_), _) => Err(BmcError::Unsupported {
                    bmc: name_of(target),
                    operation: "end session",
                    reason: format!("{session} is not a session of this kind of BMC").into(),
                }),
                (BmcTarget::Fake, _) => no_bmc(),
            }
        })
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
