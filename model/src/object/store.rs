//! The objects of the replicated state, with the indexes that make lists and uniqueness cheap.

use super::{Kind, Object};
use crate::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// All objects. Everything but `all` is derived from it.
#[derive(Clone, Default, Debug, PartialEq, Eq)]
pub struct Objects {
    all: BTreeMap<(Kind, Uuid), Arc<Object>>,
    by_serial: BTreeMap<(Kind, u64), Uuid>,
    by_key: BTreeMap<(Kind, super::Key), Uuid>,
    by_node: BTreeSet<(NodeId, Kind, u64)>,
}

impl Objects {
    /// The object of this kind and id.
    #[must_use]
    pub fn get(&self, kind: Kind, id: Uuid) -> Option<&Arc<Object>> {
        self.all.get(&(kind, id))
    }

    /// The object of this kind and name.
    #[must_use]
    pub fn by_name(&self, kind: Kind, name: &str) -> Option<&Arc<Object>> {
        self.holder(kind, &super::Key::Name(name.into()))
    }

    /// The port or port group with this MAC address, in lower case.
    #[must_use]
    pub fn by_address(&self, kind: Kind, address: &str) -> Option<&Arc<Object>> {
        self.holder(kind, &super::Key::Address(address.into()))
    }

    /// Objects of a kind in creation order, after the one with serial `after`.
    pub fn after(&self, kind: Kind, after: Option<u64>) -> impl Iterator<Item = &Arc<Object>> {
        let start = after.map_or(0, |serial| serial.saturating_add(1));
        self.by_serial
            .range((kind, start)..=(kind, u64::MAX))
            .filter_map(move |(_, id)| self.all.get(&(kind, *id)))
    }

    /// Objects of a kind on one node, in creation order, after the one with serial `after`.
    pub fn of_node(
        &self,
        node: NodeId,
        kind: Kind,
        after: Option<u64>,
    ) -> impl DoubleEndedIterator<Item = &Arc<Object>> {
        let start = after.map_or(0, |serial| serial.saturating_add(1));
        self.by_node
            .range((node, kind, start)..=(node, kind, u64::MAX))
            .filter_map(move |(_, kind, serial)| {
                let id = self.by_serial.get(&(*kind, *serial))?;
                self.all.get(&(*kind, *id))
            })
    }

    /// How many [`Self::of_node`] finds from the start.
    #[must_use]
    pub fn count_of_node(&self, node: NodeId, kind: Kind) -> usize {
        self.by_node
            .range((node, kind, 0)..=(node, kind, u64::MAX))
            .count()
    }

    /// Every object, by kind and id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Object>> {
        self.all.values()
    }

    /// Ids of everything that belongs to a node.
    pub(crate) fn all_of_node(&self, node: NodeId) -> Vec<(Kind, Uuid)> {
        Kind::ALL
            .into_iter()
            .flat_map(|kind| self.of_node(node, kind, None))
            .map(|object| (object.kind, object.id))
            .collect()
    }

    /// Who holds a key.
    pub(crate) fn holder(&self, kind: Kind, key: &super::Key) -> Option<&Arc<Object>> {
        let id = self.by_key.get(&(kind, key.clone()))?;
        self.get(kind, *id)
    }

    pub(crate) fn put(&mut self, object: Arc<Object>) {
        let kind = object.kind;
        // Most are new, and one look-up tells.
        if let Some(old) = self.all.insert((kind, object.id), Arc::clone(&object)) {
            self.unlist(&old);
        }
        for key in object.keys() {
            self.by_key.insert((kind, key), object.id);
        }
        if let Some(node) = object.node {
            self.by_node.insert((node, kind, object.serial));
        }
        self.by_serial.insert((kind, object.serial), object.id);
    }

    pub(crate) fn remove(&mut self, kind: Kind, id: Uuid) -> Option<Arc<Object>> {
        let old = self.all.remove(&(kind, id))?;
        self.unlist(&old);
        Some(old)
    }

    fn unlist(&mut self, old: &Object) {
        let kind = old.kind;
        for key in old.keys() {
            self.by_key.remove(&(kind, key));
        }
        if let Some(node) = old.node {
            self.by_node.remove(&(node, kind, old.serial));
        }
        self.by_serial.remove(&(kind, old.serial));
    }
}
