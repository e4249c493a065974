//! The part of `apply` that makes, changes and deletes objects.

use super::Entry;
use crate::command::{Refusal, Reply};
use crate::ids::{Epoch, NodeId, Revision};
use crate::json::Json;
use crate::node::edit::Refused;
use crate::node::record::NodeRecord;
use crate::object::allocation::{self, Allocate};
use crate::object::rules::{check_create, check_delete, check_replace};
use crate::object::{self, Kind, Object, ObjectCommand, PER_NODE_MAX, history};
use crate::state::Change;
use serde_json::{Map, Value};
use std::sync::Arc;
use uuid::Uuid;

/// Bits of a serial that tell the objects of one proposal apart: an inspection makes most, with two rows of history, three
/// objects of findings and [`PORTS_MAX`] ports.
const SERIAL_BITS: u32 = 6;

/// Most ports that one inspection makes. The largest machines have some forty network ports.
pub(super) const PORTS_MAX: usize = 48;

/// The components with the `initial_version` that is known of them already.
fn with_first_versions(new: &Json, old: &Json) -> Json {
    const FIRST: &str = "initial_version";
    let known = old.to_map();
    let mut all = new.to_map();
    for (name, component) in &mut all {
        let first = known.get(name).and_then(|component| component.get(FIRST));
        if let (Some(first), Some(component)) = (first, component.as_object_mut()) {
            component.insert(FIRST.to_owned(), first.clone());
        }
    }
    Json::from_map(&all)
}

impl Entry<'_> {
    pub(super) fn object(&mut self, command: ObjectCommand) -> Result<Reply, Refusal> {
        match command {
            ObjectCommand::Create(object) => {
                check_create(self.state, &object)?;
                Ok(self.put_new(*object))
            }
            ObjectCommand::Replace { object, expect } => self.replace(*object, expect),
            ObjectCommand::Delete { kind, id } => self.delete_object(kind, id),
            ObjectCommand::Allocate(wish) => self.allocate(*wish),
        }
    }

    fn replace(&mut self, mut object: Object, expect: Revision) -> Result<Reply, Refusal> {
        let old = Arc::clone(self.found(object.kind, object.id)?);
        if old.revision != expect {
            return Err(Refusal::Moved {
                revision: old.revision,
            });
        }
        object.serial = old.serial;
        object.revision = old.revision.next();
        object.created_at = old.created_at;
        object.updated_at = Some(self.at);
        check_replace(self.state, &old, &object)?;
        Ok(self.put_object(object))
    }

    fn delete_object(&mut self, kind: Kind, id: Uuid) -> Result<Reply, Refusal> {
        let object = Arc::clone(self.found(kind, id)?);
        check_delete(self.state, &object)?;
        let bound = object.node.filter(|_| allocation::is_active(&object));
        self.remove_object(kind, id);
        if let Some(node) = bound
            && let Some(node) = self.state.node(node)
            && node.allocation_uuid == Some(id)
        {
            let mut node = NodeRecord::clone(node);
            node.allocation_uuid = None;
            node.instance_uuid = None;
            node.updated_at = Some(self.at);
            self.put(node);
        }
        Ok(self.object_reply(object.revision.next()))
    }

    fn allocate(&mut self, wish: Allocate) -> Result<Reply, Refusal> {
        // The node is checked by the decision itself.
        let unbound = Object {
            node: None,
            ..wish.object.clone()
        };
        check_create(self.state, &unbound)?;
        let decided = allocation::decide(self.state, wish, self.at)?;
        if let Some(node) = decided.node {
            self.put(node);
        }
        Ok(self.put_new(decided.object))
    }

    pub(super) fn remove_object(&mut self, kind: Kind, id: Uuid) {
        self.state.remove_object(kind, id);
        self.touch(Change::Object(kind, id));
    }

    /// Adds the rows that the change to `new` makes, and drops the oldest beyond the bound.
    pub(super) fn write_history(&mut self, new: &NodeRecord, host: &str) {
        let Some(old) = self.state.node(new.id) else {
            return;
        };
        let serial = self.next_serial();
        let rows = history::rows(old, new, host, self.at, serial);
        if rows.is_empty() {
            return;
        }
        for row in rows {
            self.made = self.made.saturating_add(1);
            self.put_object(row);
        }
        let objects = self.state.objects();
        let spare = objects
            .count_of_node(new.id, Kind::History)
            .saturating_sub(history::ROWS_MAX);
        let mine = objects.of_node(new.id, Kind::History, None);
        let oldest: Vec<Uuid> = mine.take(spare).map(|row| row.id).collect();
        for id in oldest {
            self.remove_object(Kind::History, id);
        }
    }

    /// Keeps what the BMC told of a machine's firmware. A component keeps the version that it was first seen with.
    pub(super) fn put_findings(&mut self, node: NodeId, kind: Kind, body: &Json) {
        let old = self.state.objects().get(kind, node.0).map(Arc::clone);
        let body = match &old {
            Some(old) if kind == Kind::Firmware => with_first_versions(body, &old.body),
            Some(_) | None => body.clone(),
        };
        match old {
            Some(old) if old.body == body => {}
            Some(old) => {
                self.put_object(Object {
                    body,
                    revision: old.revision.next(),
                    updated_at: Some(self.at),
                    ..Object::clone(&old)
                });
            }
            None => {
                let mut object = Object::new(kind, node.0, self.at);
                object.node = Some(node);
                object.body = body;
                self.put_new(object);
            }
        }
    }

    /// Makes a port for each address that no port has. An address at another node stays there: the machine that it was
    /// seen at last is not known to be the right one.
    pub(super) fn put_ports(&mut self, node: NodeId, addresses: &[Box<str>]) {
        for address in addresses.iter().take(PORTS_MAX) {
            let mut port = Object::new(
                Kind::Port,
                object::made_id(node, self.next_serial()),
                self.at,
            );
            port.node = Some(node);
            port.body = Json::from_map(&Map::from_iter([
                ("address".to_owned(), Value::from(&**address)),
                ("pxe_enabled".to_owned(), Value::Bool(true)),
                ("extra".to_owned(), Value::Object(Map::new())),
            ]));
            let taken = self.state.objects().by_address(Kind::Port, address);
            let mine = self.state.objects().count_of_node(node, Kind::Port);
            if taken.is_none() && mine < PER_NODE_MAX {
                self.put_new(port);
            }
        }
    }

    fn found(&self, kind: Kind, id: Uuid) -> Result<&Arc<Object>, Refusal> {
        self.state.objects().get(kind, id).ok_or_else(|| {
            Refusal::Rule(Refused::new(
                404,
                format!("{kind} {id} could not be found."),
            ))
        })
    }

    const fn next_serial(&self) -> u64 {
        (self.position.serial() << SERIAL_BITS).saturating_add(self.made)
    }

    fn put_new(&mut self, mut object: Object) -> Reply {
        object.serial = self.next_serial();
        self.made = self.made.saturating_add(1);
        object.revision = Revision(1);
        object.created_at = self.at;
        object.updated_at = None;
        self.put_object(object)
    }

    fn put_object(&mut self, object: Object) -> Reply {
        let reply = self.object_reply(object.revision);
        self.touch(Change::Object(object.kind, object.id));
        self.state.put_object(Arc::new(object));
        reply
    }

    const fn object_reply(&self, revision: Revision) -> Reply {
        Reply::Done {
            index: self.position.index,
            revision,
            epoch: Epoch(0),
        }
    }
}
