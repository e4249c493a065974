//! Lists of objects: filters, sorting, pages. The state is read in chunks, as the list of nodes is.

use super::form::is_mac;
use super::show::{Chosen, value_of};
use super::{Detail, Field, Resource, Test};
use crate::app::{App, find_node, parse_uuid};
use crate::call::Call;
use crate::error::ApiError;
use crate::paging::{PARAMETERS, Page};
use crate::reply::Reply;
use crate::v1::nodes::list::SCAN_CHUNK;
use axum::http::StatusCode;
use baton_model::ids::NodeId;
use baton_model::object::{Kind, Object};
use baton_model::state::ClusterState;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Answers a list. `node` is the node whose sub-collection it is; `forced` is a filter that the path brings.
pub(crate) async fn list(
    app: &App,
    call: &Call,
    resource: &'static Resource,
    node: Option<NodeId>,
    detailed: bool,
    forced: Option<(&'static str, String)>,
) -> Result<Reply, ApiError> {
    let mut known: Vec<&str> = resource.filters.iter().map(|filter| filter.key).collect();
    known.extend(PARAMETERS);
    if !detailed {
        known.push("fields");
        if resource.detail != Detail::Whole {
            known.push("detail");
        }
    }
    call.query.only(&known)?;
    let page = Page::read(call, app.options.max_limit)?;
    let chosen = choose(call, resource, detailed)?;
    let sort = sort_field(call, resource)?;
    let marker = page.marker.as_deref();
    if let Some(marker) = marker
        && parse_uuid(marker).is_none()
    {
        return Err(ApiError::bad(format!("Expected UUID for marker: {marker}")));
    }
    app.fresh(call).await?;
    let mut filter = Sieve::read(app, call, resource, node)?;
    filter.equals.extend(forced);
    let marker = marker
        .and_then(parse_uuid)
        .map(|id| {
            let state = app.deps.state.read();
            state
                .objects()
                .get(resource.kind, id)
                .cloned()
                .ok_or_else(|| ApiError::not_found(format!("Marker {id} could not be found.")))
        })
        .transpose()?;
    let rows = match sort {
        None if !page.descending => {
            let after = marker.as_ref().map(|object| object.serial);
            scan(app, resource, &filter, after, page.limit)
        }
        sort => sorted(app, resource, &filter, sort, &page, marker.as_deref()),
    };
    let next = rows
        .last()
        .and_then(|last| page.next(call, rows.len(), &last.id.to_string()));
    let items: Vec<Value> = rows
        .iter()
        .map(|object| chosen.document(resource, call, object))
        .collect();
    let mut document = Map::new();
    document.insert(resource.key.to_owned(), Value::from(items));
    if let Some(next) = next {
        document.insert("next".to_owned(), Value::from(next));
    }
    Ok(Reply::of(&document))
}

fn choose(call: &Call, resource: &'static Resource, detailed: bool) -> Result<Chosen, ApiError> {
    if detailed {
        return Ok(Chosen::full(resource, call));
    }
    let detail = match call.query.get("detail") {
        Some(text) if resource.detail == Detail::Gated && !call.version.has(43) => {
            return Err(ApiError::bad(format!(
                "Invalid query parameter ?detail={text} received."
            )));
        }
        Some(_) => call.query.flag("detail")?.unwrap_or(false),
        None => false,
    };
    match Chosen::custom(resource, call)? {
        Some(_) if detail => Err(ApiError::bad(
            "Can not specify ?detail=True and fields in the same request.",
        )),
        Some(custom) => Ok(custom),
        None if detail => Ok(Chosen::full(resource, call)),
        None => Ok(Chosen::summary(resource, call)),
    }
}

fn sort_field(
    call: &Call,
    resource: &'static Resource,
) -> Result<Option<&'static Field>, ApiError> {
    let Some(key) = call.query.get("sort_key").filter(|key| *key != "id") else {
        return Ok(None);
    };
    match resource.field(key).filter(|field| field.sortable) {
        None => Err(ApiError::bad(format!(
            "The sort_key value {key} is an invalid field for sorting"
        ))),
        Some(field) if !call.version.has(field.since) => Err(ApiError::not_acceptable()),
        Some(field) => Ok(Some(field)),
    }
}

/// What a list lets through.
#[derive(Default)]
struct Sieve {
    node: Option<NodeId>,
    address: Option<String>,
    equals: Vec<(&'static str, String)>,
    contains: Option<(&'static str, String)>,
    shards: Option<Vec<String>>,
    groups: Option<Vec<String>>,
    project: Option<String>,
}

impl Sieve {
    fn read(
        app: &App,
        call: &Call,
        resource: &'static Resource,
        node: Option<NodeId>,
    ) -> Result<Self, ApiError> {
        let mut sieve = Self {
            node,
            ..Self::default()
        };
        let mut exclusive = 0;
        for filter in resource.filters {
            let Some(value) = call.query.get(filter.key) else {
                continue;
            };
            if !call.version.has(filter.since) {
                return Err(ApiError::needs_version(filter.since));
            }
            let list = || Some(value.split(',').map(str::to_owned).collect());
            match filter.test {
                Test::Node => {
                    sieve.node = Some(node_of(app, call, resource, value)?);
                    exclusive += 1;
                }
                Test::Address => sieve.address = Some(mac(value)?),
                Test::Equals(field) => {
                    let value = if field == "portgroup_uuid" {
                        exclusive += 1;
                        group_of(app, value)?
                    } else {
                        value.to_owned()
                    };
                    sieve.equals.push((field, value));
                }
                Test::Contains(field) => sieve.contains = Some((field, value.to_owned())),
                Test::Shards => {
                    exclusive += 1;
                    sieve.shards = list();
                }
                Test::Groups => sieve.groups = list(),
                Test::Project => sieve.project = Some(value.to_owned()),
            }
        }
        if exclusive > 1 && resource.kind == Kind::Port {
            return Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "Operation not permitted.",
            ));
        }
        Ok(sieve)
    }

    fn passes(&self, state: &ClusterState, resource: &Resource, object: &Object) -> bool {
        if self.node.is_some() && object.node != self.node {
            return false;
        }
        let of_node = |wanted: &Option<Vec<String>>, shard: bool| {
            wanted.as_ref().is_none_or(|wanted| {
                let node = object.node.and_then(|id| state.node(id));
                let has = node.and_then(|node| {
                    if shard {
                        node.shard.as_deref()
                    } else {
                        Some(&*node.conductor_group)
                    }
                });
                has.is_some_and(|has| wanted.iter().any(|one| one == has))
            })
        };
        if !of_node(&self.shards, true) || !of_node(&self.groups, false) {
            return false;
        }
        let plain = self.equals.is_empty()
            && self.contains.is_none()
            && self.address.is_none()
            && self.project.is_none();
        if plain {
            return true;
        }
        let body = object.body.to_map();
        let text = |name: &str| {
            resource
                .field(name)
                .map(|field| value_of(field, object, &body))
        };
        let is = |name: &str, wanted: &str| text(name).is_some_and(|value| value == *wanted);
        self.equals.iter().all(|(name, wanted)| is(name, wanted))
            && self.contains.as_ref().is_none_or(|(name, part)| {
                text(name).is_some_and(|value| {
                    value
                        .as_str()
                        .is_some_and(|text| text.contains(part.as_str()))
                })
            })
            && self
                .address
                .as_ref()
                .is_none_or(|wanted| is("address", wanted))
            && self
                .project
                .as_ref()
                .is_none_or(|project| is("owner", project) || text("public") == Some(json!(true)))
    }
}

/// The node that a filter names. An allocation's filter complains as a body would.
fn node_of(app: &App, call: &Call, resource: &Resource, ident: &str) -> Result<NodeId, ApiError> {
    let state = app.deps.state.read();
    match find_node(&state, call, ident) {
        Ok(node) => Ok(node.id),
        Err(error) if resource.kind == Kind::Allocation => Err(ApiError::bad(error.text)),
        Err(error) => Err(error),
    }
}

fn group_of(app: &App, ident: &str) -> Result<String, ApiError> {
    let state = app.deps.state.read();
    let objects = state.objects();
    match parse_uuid(ident) {
        Some(id) => objects.get(Kind::Portgroup, id),
        None => objects.by_name(Kind::Portgroup, ident),
    }
    .map(|group| group.id.to_string())
    .ok_or_else(|| ApiError::not_found(format!("Portgroup {ident} could not be found.")))
}

fn mac(text: &str) -> Result<String, ApiError> {
    if is_mac(text, &[':', '-']) {
        Ok(text.to_ascii_lowercase().replace('-', ":"))
    } else {
        Err(ApiError::bad(format!(
            "Expected valid MAC address for address: {text}"
        )))
    }
}

/// Objects in creation order: reads no more than it needs.
fn scan(
    app: &App,
    resource: &Resource,
    sieve: &Sieve,
    mut after: Option<u64>,
    limit: usize,
) -> Vec<Arc<Object>> {
    let kind = resource.kind;
    let mut rows = Vec::new();
    loop {
        let state = app.deps.state.read();
        let objects = state.objects();
        let chunk: Vec<&Arc<Object>> = match (&sieve.address, sieve.node) {
            (Some(address), _) => objects
                .by_address(kind, address)
                .into_iter()
                .filter(|object| after.is_none_or(|after| object.serial > after))
                .collect(),
            (None, Some(node)) => objects
                .of_node(node, kind, after)
                .take(SCAN_CHUNK)
                .collect(),
            (None, None) => objects.after(kind, after).take(SCAN_CHUNK).collect(),
        };
        for object in &chunk {
            after = Some(object.serial);
            if sieve.passes(&state, resource, object) {
                rows.push(Arc::clone(object));
                if rows.len() == limit {
                    return rows;
                }
            }
        }
        if chunk.len() < SCAN_CHUNK {
            return rows;
        }
    }
}

/// Objects in another order, ties in creation order.
fn sorted(
    app: &App,
    resource: &Resource,
    sieve: &Sieve,
    sort: Option<&'static Field>,
    page: &Page,
    marker: Option<&Object>,
) -> Vec<Arc<Object>> {
    let key = |object: &Object| {
        let value = sort.map(|field| value_of(field, object, &object.body.to_map()));
        let text = match value {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => format!("{number:>20}"),
            Some(value @ (Value::Bool(_) | Value::Array(_) | Value::Object(_))) => {
                value.to_string()
            }
        };
        (text, object.serial)
    };
    let mut rows: Vec<_> = scan(app, resource, sieve, None, usize::MAX)
        .into_iter()
        .map(|object| (key(&object), object))
        .collect();
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if page.descending {
        rows.reverse();
    }
    let marker = marker.map(key);
    let beyond = |key: &(String, u64)| match &marker {
        None => true,
        Some(marker) if page.descending => key < marker,
        Some(marker) => key > marker,
    };
    rows.into_iter()
        .filter(|(key, _)| beyond(key))
        .take(page.limit)
        .map(|(_, object)| object)
        .collect()
}
