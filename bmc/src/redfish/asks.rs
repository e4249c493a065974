//! Questions and commands besides the power state and its changes, each in one turn with the BMC.

use super::{RedfishClient, Turn};
use baton_model::driver::redfish::RedfishTarget;
use baton_model::json::Json;
use baton_model::port::bmc::BmcError;
use baton_model::port::chore::Chore;
use baton_model::port::inquiry::{Disclosure, Inquiry};
use std::sync::Arc;
use std::time::Duration;

impl RedfishClient {
    /// Asks something besides the power state.
    ///
    /// # Errors
    /// See [`BmcError`].
    pub async fn ask(
        &self,
        target: &Arc<RedfishTarget>,
        inquiry: Inquiry,
        budget: Duration,
    ) -> Result<Disclosure, BmcError> {
        let turn = Turn::new(target, inquiry.operation(), budget);
        turn.within(async {
            let mut held = self.hold(target).await;
            let mut talk = turn.talk(&self.shared, &mut held);
            let result = match inquiry {
                Inquiry::Boot => talk.read_boot().await.map(Disclosure::Boot),
                Inquiry::Findings => talk.read_findings().await.map(Disclosure::Findings),
                Inquiry::Inventory => talk.read_inventory().await.map(Disclosure::Inventory),
                Inquiry::Lights => talk.read_lights().await.map(Disclosure::Lights),
                Inquiry::Subscriptions => {
                    let told = talk.read_subscriptions().await;
                    told.map(Disclosure::Subscriptions)
                }
            };
            self.release(held);
            result
        })
        .await
    }

    /// Does a chore; in this session and in no other, if one is named.
    ///
    /// # Errors
    /// [`BmcError::SessionOver`] once the session is over; else see [`BmcError`].
    pub async fn chore(
        &self,
        target: &Arc<RedfishTarget>,
        chore: Chore,
        cargo: &Json,
        session: Option<&str>,
        budget: Duration,
    ) -> Result<(), BmcError> {
        let turn = Turn {
            bound_to: session,
            ..Turn::new(target, chore.operation(), budget)
        };
        turn.within(async {
            let mut held = self.hold(target).await;
            let mut talk = turn.talk(&self.shared, &mut held);
            let result = match chore {
                Chore::ApplyBios => talk.apply_bios(cargo).await,
                Chore::ResetBios => talk.reset_bios().await,
                Chore::Light => talk.set_light(cargo).await,
                Chore::EjectMedia => talk.eject_media(cargo).await,
                Chore::Subscribe => talk.subscribe(cargo).await,
                Chore::Unsubscribe => talk.unsubscribe(cargo).await,
                Chore::Raw | Chore::RestartBmc => {
                    Err(talk.unsupported("baton does it over IPMI only"))
                }
            };
            self.release(held);
            result
        })
        .await
    }
}
