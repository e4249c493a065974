//! Everything in the API that is no node, in one shape: a [`Resource`] is a table of fields with their microversions,
//! and a few facts; listing, showing, creating, patching and deleting are written once over it.
//!
//! What two objects may not share and when they may change is decided by the model, where the whole state is seen.

pub(crate) mod allocations;
pub(crate) mod crud;
mod form;
mod list;
mod show;
mod tables;

pub(crate) use form::Form;
pub(crate) use show::Chosen;
pub(crate) use tables::{
    ALLOCATIONS, CHASSIS, CONNECTORS, HISTORY, PORTGROUPS, PORTS, RULES, RUNBOOKS, TARGETS,
    TEMPLATES,
};

use crate::policy::Action;
use baton_model::object::Kind;

/// Where a field's value is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// `uuid`
    Id,
    /// `created_at`
    Created,
    /// `updated_at`
    Updated,
    /// `name`
    Name,
    /// The node's uuid.
    Node,
    /// Another way to name the node of a new object; never shown.
    NodeIdent,
    /// In the body, under the field's name.
    Body,
    /// Two links to a sub-collection of this name.
    Links(&'static str),
}

/// One field of a resource.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name on the wire.
    pub(crate) name: &'static str,
    /// The first minor version that has it.
    pub(crate) since: u16,
    /// Where it is kept.
    pub(crate) place: Place,
    /// What values it takes.
    pub(crate) form: Form,
    /// Its value when nothing was given, as JSON.
    pub(crate) default: &'static str,
    /// Must be given when an object is created, and cannot be removed.
    pub(crate) required: bool,
    /// May be given when an object is created.
    pub(crate) create: bool,
    /// May be the root of a PATCH path.
    pub(crate) patch: bool,
    /// May be named in `sort_key=`.
    pub(crate) sortable: bool,
}

/// Who may be named in a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ident {
    /// A uuid only.
    Uuid,
    /// A uuid, or a name from this version on.
    Name(u16),
}

/// What the `detail` parameter means to a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Detail {
    /// It came with 1.43.
    Gated,
    /// It was always there.
    Always,
    /// There is none: items carry everything.
    Whole,
}

/// A filter of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Test {
    /// The node, by uuid or name.
    Node,
    /// The MAC address.
    Address,
    /// A field equals.
    Equals(&'static str),
    /// A field contains.
    Contains(&'static str),
    /// The node's shard is one of a comma list.
    Shards,
    /// The node's conductor group is one of a comma list.
    Groups,
    /// Owned by a project, or public.
    Project,
}

/// A query parameter that filters.
#[derive(Debug)]
pub(crate) struct Filter {
    /// Its name.
    pub(crate) key: &'static str,
    /// The first minor version that has it.
    pub(crate) since: u16,
    /// What it does.
    pub(crate) test: Test,
}

/// The policies of a resource.
#[derive(Debug)]
pub(crate) struct Actions {
    pub(crate) list: Action,
    pub(crate) get: Action,
    pub(crate) create: Action,
    pub(crate) update: Action,
    pub(crate) delete: Action,
}

/// A kind of object as clients see it.
#[derive(Debug)]
pub(crate) struct Resource {
    /// What it is in the model.
    pub(crate) kind: Kind,
    /// The collection's path below `/v1`, without a slash in front.
    pub(crate) path: &'static str,
    /// The key of the list in its document.
    pub(crate) key: &'static str,
    /// The word in `Schema error for …`.
    pub(crate) word: &'static str,
    /// Its fields, in the order of the documentation.
    pub(crate) fields: &'static [Field],
    /// The fields of a plain list's items.
    pub(crate) summary: &'static [&'static str],
    /// How one is named in a path.
    pub(crate) ident: Ident,
    /// What `detail` means.
    pub(crate) detail: Detail,
    /// The filters of its list.
    pub(crate) filters: &'static [Filter],
    /// Its policies.
    pub(crate) actions: Actions,
}

impl Resource {
    /// The field of this name.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}
