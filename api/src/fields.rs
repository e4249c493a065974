//! The fields of a node: one table that drives output, `fields=`, create, PATCH and sorting.
//!
//! A field that is not in [`NODE_FIELDS`] does not exist for clients. Writers put JSON straight into the reply; secrets
//! are masked on the way, unless the document is made for PATCH.

mod input;
mod table;

pub(crate) use input::{show as show_value, wrong_type};
pub(crate) use table::NODE_FIELDS;

use crate::error::ApiError;
use crate::out::Out;
use crate::version::Version;
use baton_model::hardware::Slot;
use baton_model::json::Json;
use baton_model::mask;
use baton_model::node::edit::NodeEdit;
use baton_model::node::record::NodeRecord;
use baton_model::state::ClusterState;
use serde_json::Value;
use std::sync::Arc;

/// A record with what the rest of the state says about it.
#[derive(Clone)]
pub(crate) struct Shown {
    /// The record.
    pub(crate) node: Arc<NodeRecord>,
    /// Host name of its owner.
    pub(crate) conductor: Option<Box<str>>,
    /// Host name of the lock's holder.
    pub(crate) reservation: Option<Box<str>>,
}

impl Shown {
    /// Looks up owner and holder.
    pub(crate) fn of(state: &ClusterState, node: Arc<NodeRecord>) -> Self {
        Self {
            conductor: state.owner(&node).map(|owner| state.host_of(owner)),
            reservation: node
                .intent
                .as_ref()
                .map(|intent| state.host_of(intent.holder)),
            node,
        }
    }
}

/// For whom a document is written.
pub(crate) struct Look<'a> {
    /// The client's version.
    pub(crate) version: Version,
    /// Base of links.
    pub(crate) base: &'a str,
    /// Whether secrets are masked; false only for documents that never leave the process.
    pub(crate) masked: bool,
}

/// How a client may set a field.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    /// Not at all.
    ReadOnly,
    /// `uuid` of a new node.
    Uuid,
    /// `driver`: decides the interfaces.
    Driver,
    /// `<slot>_interface`.
    Interface(Slot),
    /// An edit made from the value alone; null means the default. `Err` completes `Schema error for node: `.
    Edit(fn(&'static str, &Value) -> Result<NodeEdit, String>),
}

/// One field of a node.
pub(crate) struct NodeField {
    /// Its name on the wire.
    pub(crate) name: &'static str,
    /// The first minor version that has it.
    pub(crate) since: u16,
    /// May be named in `fields=`.
    pub(crate) selectable: bool,
    /// May be named in `sort_key=`.
    pub(crate) sortable: bool,
    /// May be given when a node is created.
    pub(crate) create: bool,
    /// May be the root of a PATCH path.
    pub(crate) patch: bool,
    /// How it is set.
    pub(crate) input: Input,
    /// Writes its value.
    pub(crate) write: fn(&mut Out, &Shown, &Look<'_>),
}

impl NodeField {
    /// The field of this name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        NODE_FIELDS.iter().find(|field| field.name == name)
    }

    /// The value alone, as bytes that sort like the value: null first.
    pub(crate) fn sort_value(&self, shown: &Shown) -> Vec<u8> {
        let mut out = Out::with_capacity(40);
        let look = Look {
            version: Version(crate::version::MAX),
            base: "",
            masked: true,
        };
        (self.write)(&mut out, shown, &look);
        let bytes = out.into_bytes();
        if bytes == b"null" { Vec::new() } else { bytes }
    }
}

/// Which fields go into each item of a reply.
#[derive(Clone)]
pub(crate) struct Selection {
    fields: Vec<&'static NodeField>,
    /// Whether the links to sub-collections are written too.
    full: bool,
}

/// The fields of a list that asked for nothing in particular.
const SUMMARY: [&str; 6] = [
    "instance_uuid",
    "maintenance",
    "power_state",
    "provision_state",
    "uuid",
    "name",
];

/// Sub-collections linked from a full representation, and the version each came with.
const SUB_COLLECTIONS: [(&str, u16); 4] = [
    ("ports", 1),
    ("states", 14),
    ("portgroups", 24),
    ("volume", 32),
];

impl Selection {
    /// Every field of a version.
    pub(crate) fn full(version: Version) -> Self {
        Self {
            fields: NODE_FIELDS
                .iter()
                .filter(|field| version.has(field.since))
                .collect(),
            full: true,
        }
    }

    /// What a plain list shows.
    pub(crate) fn summary(version: Version) -> Self {
        Self {
            fields: SUMMARY
                .iter()
                .filter_map(|name| NodeField::find(name))
                .filter(|field| version.has(field.since))
                .collect(),
            full: false,
        }
    }

    /// What `fields=` names.
    pub(crate) fn custom<'a>(
        version: Version,
        lists: impl Iterator<Item = &'a str>,
    ) -> Result<Self, ApiError> {
        let mut fields: Vec<&'static NodeField> = Vec::new();
        let mut unknown: Vec<String> = Vec::new();
        let mut too_new = false;
        for name in lists.flat_map(|list| list.split(',')) {
            let name = name.trim().to_ascii_lowercase();
            if name.is_empty() {
                continue;
            }
            match NodeField::find(&name).filter(|field| field.selectable) {
                Some(field) if !version.has(field.since) => too_new = true,
                Some(field) => {
                    if !fields.iter().any(|known| known.name == field.name) {
                        fields.push(field);
                    }
                }
                None => unknown.push(name),
            }
        }
        if !unknown.is_empty() {
            unknown.sort_unstable();
            unknown.dedup();
            return Err(ApiError::bad(format!(
                "Field(s) \"{}\" are not valid",
                unknown.join(", ")
            )));
        }
        if too_new {
            return Err(ApiError::not_acceptable());
        }
        Ok(Self {
            fields,
            full: false,
        })
    }

    /// Writes one node.
    pub(crate) fn write(&self, out: &mut Out, shown: &Shown, look: &Look<'_>) {
        out.raw("{");
        for field in &self.fields {
            out.raw("\"").raw(field.name).raw("\":");
            (field.write)(out, shown, look);
            out.raw(",");
        }
        let id = shown.node.id.0;
        let links = |out: &mut Out, tail: &str| {
            out.raw("[{\"href\":\"").raw(look.base).raw("/v1/nodes/");
            out.bare_uuid(id).raw(tail);
            out.raw("\",\"rel\":\"self\"},{\"href\":\"").raw(look.base);
            out.raw("/nodes/").bare_uuid(id).raw(tail);
            out.raw("\",\"rel\":\"bookmark\"}]");
        };
        out.raw("\"links\":");
        links(out, "");
        if self.full {
            for (name, since) in SUB_COLLECTIONS {
                if look.version.has(since) {
                    out.raw(",\"").raw(name).raw("\":");
                    links(out, &["/", name].concat());
                }
            }
        }
        out.raw("}");
    }
}

/// A whole node as a JSON text: the body of show, create and PATCH.
pub(crate) fn document(shown: &Shown, version: Version, base: &str, what: &Selection) -> Vec<u8> {
    let mut out = Out::with_capacity(4096);
    let look = Look {
        version,
        base,
        masked: true,
    };
    what.write(&mut out, shown, &look);
    out.into_bytes()
}

/// Writes a free-form object. Only texts that may hold a secret are parsed.
fn write_json(out: &mut Out, json: &Json, look: &Look<'_>, exact: &[&str]) {
    let text = json.as_str();
    if look.masked && mask::may_hold_secret(text) {
        let mut map = json.to_map();
        mask::mask_map(&mut map, exact);
        out.raw(Json::from_map(&map).as_str());
    } else {
        out.raw(text);
    }
}
