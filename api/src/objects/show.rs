//! Objects as clients see them.

use super::{Field, Place, Resource};
use crate::call::Call;
use crate::error::ApiError;
use crate::out::time;
use baton_model::mask::mask_map;
use baton_model::object::{Kind, Object};
use serde_json::{Map, Value, json};

/// Longest event of a history's plain list, in characters.
const EVENT_CHARS: usize = 255;

/// Which fields go into a document.
pub(crate) struct Chosen {
    fields: Vec<&'static Field>,
    full: bool,
}

impl Chosen {
    /// Every field of the client's version.
    pub(crate) fn full(resource: &'static Resource, call: &Call) -> Self {
        Self {
            fields: resource
                .fields
                .iter()
                .filter(|field| call.version.has(field.since) && field.place != Place::NodeIdent)
                .collect(),
            full: true,
        }
    }

    /// What a plain list shows.
    pub(crate) fn summary(resource: &'static Resource, call: &Call) -> Self {
        if resource.summary.is_empty() {
            return Self::full(resource, call);
        }
        Self {
            fields: resource
                .summary
                .iter()
                .filter_map(|name| resource.field(name))
                .filter(|field| call.version.has(field.since))
                .collect(),
            full: false,
        }
    }

    /// What `fields=` names; `None` if it is not there.
    pub(crate) fn custom(
        resource: &'static Resource,
        call: &Call,
    ) -> Result<Option<Self>, ApiError> {
        if call.query.get("fields").is_none() {
            return Ok(None);
        }
        call.needs(8)?;
        let mut fields: Vec<&'static Field> = Vec::new();
        let mut unknown = Vec::new();
        for name in call.query.all("fields").flat_map(|list| list.split(',')) {
            let name = name.trim().to_ascii_lowercase();
            let found = resource
                .field(&name)
                .filter(|field| !matches!(field.place, Place::NodeIdent | Place::Links(_)));
            match found {
                Some(field) if !call.version.has(field.since) => {
                    return Err(ApiError::not_acceptable());
                }
                Some(field) if fields.iter().any(|known| known.name == field.name) => {}
                Some(field) => fields.push(field),
                None if name.is_empty() || name == "links" => {}
                None => unknown.push(name),
            }
        }
        if unknown.is_empty() {
            return Ok(Some(Self { fields, full: true }));
        }
        unknown.sort_unstable();
        unknown.dedup();
        Err(ApiError::bad(format!(
            "Field(s) \"{}\" are not valid",
            unknown.join(", ")
        )))
    }

    /// One object.
    pub(crate) fn document(&self, resource: &Resource, call: &Call, object: &Object) -> Value {
        let body = object.body.to_map();
        let mut document = Map::new();
        let collection = match (object.kind, object.node) {
            (Kind::History, Some(node)) => format!("nodes/{node}/history"),
            _ => resource.path.to_owned(),
        };
        for field in &self.fields {
            let mut value = value_of(field, object, &body);
            if let Place::Links(name) = field.place {
                value = links(call, &format!("{collection}/{}/{name}", object.id));
                if object.kind == Kind::Chassis {
                    // A list in a list, as Ironic has always sent it.
                    value = json!([value]);
                }
            }
            if let (Kind::History, "event", false, Value::String(text)) =
                (object.kind, field.name, self.full, &mut value)
            {
                *text = text.chars().take(EVENT_CHARS).collect();
            }
            document.insert(field.name.to_owned(), value);
        }
        hide(object.kind, &body, &mut document);
        let mut links = links(call, &format!("{collection}/{}", object.id));
        if let (Kind::History, Value::Array(links)) = (object.kind, &mut links) {
            links.truncate(1);
        }
        document.insert("links".to_owned(), links);
        Value::Object(document)
    }
}

/// Removes what clients may not see.
fn hide(kind: Kind, body: &Map<String, Value>, document: &mut Map<String, Value>) {
    let holds_secrets = matches!(
        kind,
        Kind::DeployTemplate | Kind::Runbook | Kind::VolumeTarget
    );
    if holds_secrets {
        mask_map(document, &[]);
    }
    if kind == Kind::InspectionRule && body.get("sensitive") == Some(&Value::Bool(true)) {
        for key in ["conditions", "actions"] {
            if let Some(value) = document.get_mut(key) {
                *value = Value::Null;
            }
        }
    }
}

/// The value of a field, secrets included.
pub(super) fn value_of(field: &Field, object: &Object, body: &Map<String, Value>) -> Value {
    match field.place {
        Place::Id => Value::from(object.id.to_string()),
        Place::Created => json!(time(object.created_at)),
        Place::Updated => json!(object.updated_at.and_then(time)),
        Place::Name => json!(object.name),
        Place::Node => json!(object.node.map(|node| node.to_string())),
        Place::NodeIdent | Place::Links(_) => Value::Null,
        Place::Body => body
            .get(field.name)
            .cloned()
            .unwrap_or_else(|| default_of(field)),
    }
}

/// The value of a field that nobody has set.
pub(super) fn default_of(field: &Field) -> Value {
    // The tables hold valid JSON; a test reads them all.
    serde_json::from_str(field.default).unwrap_or(Value::Null)
}

fn links(call: &Call, path: &str) -> Value {
    let base = &call.base;
    json!([
        {"href": format!("{base}/v1/{path}"), "rel": "self"},
        {"href": format!("{base}/{path}"), "rel": "bookmark"},
    ])
}
