//! Allocations: which node a claim gets.
//!
//! Whoever proposes an allocation looks for nodes that fit and puts them in an order; `apply` takes the first that still
//! fits and binds it in the same entry. So an allocation is decided the moment it exists, two of them never get one
//! node, and there is nothing left to be taken over when a conductor dies.

use super::{Kind, Object};
use crate::command::Refusal;
use crate::ids::{NodeId, WallMs};
use crate::json::Json;
use crate::node::provision::ProvisionState;
use crate::node::record::NodeRecord;
use crate::state::ClusterState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Most nodes proposed for one allocation. Each is lost only to a claim that was applied in the milliseconds between the
/// search and the entry; with sixteen, a new search is hardly ever needed.
pub const CHOICES_MAX: usize = 16;

/// See [`super::ObjectCommand::Allocate`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Allocate {
    /// The allocation, undecided.
    pub object: Object,
    /// Nodes that fitted, best first.
    pub choices: Vec<NodeId>,
    /// The allocation describes an instance that is on this node already.
    pub backfill: Option<NodeId>,
    /// Why nothing fits, where `choices` is empty.
    pub failure: Box<str>,
}

/// What an allocation asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wish {
    /// `resource_class`
    pub resource_class: Option<Box<str>>,
    /// `traits`
    pub traits: Vec<Box<str>>,
    /// `candidate_nodes`; empty: any.
    pub candidates: Vec<NodeId>,
    /// `owner`
    pub owner: Option<Box<str>>,
}

impl Wish {
    /// The wish in an allocation's body.
    #[must_use]
    pub fn of(body: &Map<String, Value>) -> Self {
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(Box::from);
        let list = |key: &str| {
            body.get(key)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
        };
        Self {
            resource_class: text("resource_class"),
            traits: list("traits").map(Box::from).collect(),
            candidates: list("candidate_nodes")
                .filter_map(|id| Uuid::try_parse(id).ok().map(NodeId))
                .collect(),
            owner: text("owner"),
        }
    }

    /// Whether the node can be had and is of the wanted class, traits aside.
    #[must_use]
    pub fn fits_class(&self, node: &NodeRecord) -> bool {
        node.provision_state == ProvisionState::Available
            && node.instance_uuid.is_none()
            && node.power_state.is_some()
            && !node.maintenance
            && node.intent.is_none()
            && node.resource_class == self.resource_class
            && self
                .owner
                .as_ref()
                .is_none_or(|owner| [&node.owner, &node.lessee].contains(&&Some(owner.clone())))
            && (self.candidates.is_empty() || self.candidates.contains(&node.id))
    }

    /// Whether the node has every wanted trait.
    #[must_use]
    pub fn fits_traits(&self, node: &NodeRecord) -> bool {
        self.traits.iter().all(|name| node.traits.contains(name))
    }
}

/// An allocation and the node that it got, both as they are to be stored.
pub(crate) struct Decided {
    pub(crate) object: Object,
    pub(crate) node: Option<NodeRecord>,
}

/// Decides an allocation.
pub(crate) fn decide(state: &ClusterState, wish: Allocate, at: WallMs) -> Result<Decided, Refusal> {
    let mut object = wish.object;
    let mut body = object.body.to_map();
    let wanted = Wish::of(&body);
    let found = match wish.backfill {
        Some(node) => backfill(state, node, object.id),
        None if wish.choices.is_empty() => Err(wish.failure.into_string()),
        None => {
            let first = wish
                .choices
                .iter()
                .filter_map(|id| state.node(*id))
                .find(|node| wanted.fits_class(node) && wanted.fits_traits(node));
            // Somebody else got all of them: search again.
            Ok(first.ok_or(Refusal::Moved {
                revision: object.revision,
            })?)
        }
    };
    let node = match found {
        Ok(found) => {
            let mut node = NodeRecord::clone(found);
            node.allocation_uuid = Some(object.id);
            node.instance_uuid = Some(object.id);
            if wish.backfill.is_none() || !wanted.traits.is_empty() {
                let mut info = node.instance_info.to_map();
                info.insert("traits".to_owned(), Value::from(names(&wanted.traits)));
                node.instance_info = Json::from_map(&info);
            }
            if let (Some(class), None) = (&node.resource_class, &wanted.resource_class) {
                body.insert("resource_class".to_owned(), Value::from(&**class));
            }
            node.updated_at = Some(at);
            body.insert("state".to_owned(), Value::from("active"));
            object.node = Some(node.id);
            Some(node)
        }
        Err(reason) => {
            body.insert("state".to_owned(), Value::from("error"));
            body.insert("last_error".to_owned(), Value::from(reason));
            object.node = None;
            None
        }
    };
    object.body = Json::from_map(&body);
    Ok(Decided { object, node })
}

fn names(traits: &[Box<str>]) -> Vec<&str> {
    traits.iter().map(|name| &**name).collect()
}

fn backfill(
    state: &ClusterState,
    id: NodeId,
    allocation: Uuid,
) -> Result<&Arc<NodeRecord>, String> {
    let failed = |why: &str| format!("Cannot backfill an allocation for node {id}: {why}");
    let node = state
        .node(id)
        .ok_or_else(|| failed("the node could not be found."))?;
    if node.provision_state != ProvisionState::Active {
        return Err(failed(&format!(
            "Node must be in the \"active\" state, but the current state is \"{}\".",
            node.provision_state
        )));
    }
    if let Some(instance) = node
        .instance_uuid
        .filter(|instance| *instance != allocation)
    {
        return Err(failed(&format!(
            "Node is associated with instance {instance}."
        )));
    }
    Ok(node)
}

/// Whether an object is an allocation that has not failed.
#[must_use]
pub fn is_active(object: &Object) -> bool {
    object.kind == Kind::Allocation && object.node.is_some()
}
