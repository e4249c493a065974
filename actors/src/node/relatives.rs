//! Switching the machines that share a node's power: asked through their owners, awaited in the replicated state.

use super::NodeActor;
use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use baton_model::ids::{NodeId, RequestId, Ticket};
use baton_model::node::core::Input;
use baton_model::node::core::relatives::{Standing, dependents, standing};
use baton_model::node::power::PowerRequest;
use baton_model::port::node::{Caller, NodeGateway, NodeRequest};
use baton_model::state::StateView;
use futures_util::future::try_join_all;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at a relative's record: an edge is seen this much late.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Asks one relative, and waits until it is there.
async fn switch(
    gateway: Arc<dyn NodeGateway>,
    state: StateView,
    relative: NodeId,
    id: RequestId,
    request: PowerRequest,
) -> Result<(), Box<str>> {
    let failed = |why: &str| {
        let text = format!(
            "node {relative}, which shares its power, could not be switched first ({request}): {why}"
        );
        Err(text.into())
    };
    let work = NodeRequest::Power {
        request,
        timeout_s: None,
        caller: Caller::Operator,
    };
    if let Err(error) = gateway.request(relative, id.clone(), work).await {
        return failed(&error.to_string());
    }
    loop {
        let found = state.read().node(relative).cloned();
        match found.map(|record| standing(&record, &id, request)) {
            Some(Standing::Waiting) => tokio::time::sleep(LOOK_EVERY).await,
            // A node that was deleted meanwhile shares nothing any more.
            Some(Standing::There) | None => return Ok(()),
            Some(Standing::Failed(why)) => return failed(&why),
        }
    }
}

impl NodeActor {
    pub(super) fn switch_relatives(
        &self,
        ticket: Ticket,
        id: RequestId,
        request: PowerRequest,
        limit: Duration,
        ctx: &mut Context<Self>,
    ) {
        let relatives = self.relatives(request);
        let (gateway, state) = (self.shared.gateway(), self.shared.state.clone());
        let all = async move {
            if relatives.is_empty() {
                return Ok(());
            }
            let Some(gateway) = gateway else {
                return Err("this conductor has no way to other nodes yet; ask again".into());
            };
            let each = relatives.into_iter().map(|relative| {
                switch(
                    gateway.clone(),
                    state.clone(),
                    relative,
                    id.clone(),
                    request,
                )
            });
            match tokio::time::timeout(limit, try_join_all(each)).await {
                Ok(all) => all.map(drop),
                Err(_) => Err(format!(
                    "the machines that share its power were not switched within {} s",
                    limit.as_secs()
                )
                .into()),
            }
        };
        let handled = all.into_actor(self).map(move |result, actor, ctx| {
            actor.step(Input::Relatives { ticket, result }, ctx);
        });
        ctx.spawn(handled);
    }

    /// Those that depend on this node's power, or that it depends on, as far as they exist.
    fn relatives(&self, request: PowerRequest) -> Vec<NodeId> {
        let state = self.shared.state.read();
        if request == PowerRequest::On {
            let parent = self.core.record().parent_node;
            return parent
                .filter(|parent| state.node(*parent).is_some())
                .into_iter()
                .collect();
        }
        dependents(&state, self.id).collect()
    }
}
