//! `GET /v1/nodes` and `/v1/nodes/detail`: filters, fields, sorting, pages.
//!
//! The state is read in chunks, so that a scan of a large fleet never holds up the state machine. A page is therefore
//! no snapshot of one instant, as it is none in Ironic.

use crate::app::{App, find_node, parse_uuid};
use crate::call::Call;
use crate::error::ApiError;
use crate::fields::{Look, NodeField, Selection, Shown};
use crate::out::Out;
use crate::paging::{PARAMETERS, Page};
use crate::reply::Reply;
use axum::extract::State;
use baton_model::ids::{ConductorId, NodeId};
use baton_model::node::provision::ProvisionState;
use baton_model::node::record::{Fault, NodeRecord};
use baton_model::object::Kind;
use baton_model::state::ClusterState;
use std::sync::Arc;
use uuid::Uuid;

/// Nodes looked at while the state is locked once. At some 50 ns each a chunk takes 0.1 ms, less than one fsync.
pub(crate) const SCAN_CHUNK: usize = 2048;

/// Every query parameter of the list.
const KNOWN: [&str; 24] = [
    "chassis_uuid",
    "instance_uuid",
    "associated",
    "maintenance",
    "retired",
    "provision_state",
    "driver",
    "resource_class",
    "conductor_group",
    "conductor",
    "owner",
    "lessee",
    "instance_name",
    "fault",
    "description_contains",
    "project",
    "shard",
    "sharded",
    "include_children",
    "parent_node",
    "fields",
    "detail",
    "limit",
    "marker",
];

/// `GET /v1/nodes`.
pub(crate) async fn list(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    let detail = match call.query.get("detail") {
        Some(text) if !call.version.has(43) => {
            return Err(ApiError::bad(format!(
                "Invalid query parameter ?detail={text} received."
            )));
        }
        Some(_) => call.query.flag("detail")?.unwrap_or(false),
        None => false,
    };
    let what = if call.query.get("fields").is_some() {
        call.needs(8)?;
        if detail {
            return Err(ApiError::bad(
                "Can not specify ?detail=True and fields in the same request.",
            ));
        }
        Selection::custom(call.version, call.query.all("fields"))?
    } else if detail {
        Selection::full(call.version)
    } else {
        Selection::summary(call.version)
    };
    page(&app, &call, &what, None).await
}

/// `GET /v1/nodes/detail`.
pub(crate) async fn detail(State(app): State<Arc<App>>, call: Call) -> Result<Reply, ApiError> {
    if call.query.get("fields").is_some() || call.query.get("detail").is_some() {
        return Err(ApiError::bad("Unexpected arguments: detail, fields"));
    }
    page(&app, &call, &Selection::full(call.version), None).await
}

/// What the filters ask for.
#[derive(Default)]
struct Filter {
    associated: Option<bool>,
    maintenance: Option<bool>,
    retired: Option<bool>,
    provision_state: Option<ProvisionState>,
    driver: Option<String>,
    resource_class: Option<String>,
    conductor_group: Option<String>,
    /// `Some(None)`: a conductor that does not exist; nothing matches.
    conductor: Option<Option<ConductorId>>,
    owner: Option<String>,
    lessee: Option<String>,
    instance_name: Option<String>,
    fault: Option<Fault>,
    description: Option<String>,
    project: Option<String>,
    shards: Option<Vec<String>>,
    sharded: Option<bool>,
    parent: Parent,
    chassis: Option<Uuid>,
}

#[derive(Default)]
enum Parent {
    /// Children are hidden.
    #[default]
    None,
    /// Children are shown like others.
    Any,
    /// Only this node's children.
    Only(NodeId),
}

impl Filter {
    fn read(call: &Call) -> Result<Self, ApiError> {
        let gated = |key: &str, since: u16| -> Result<Option<String>, ApiError> {
            let value = call.query.get(key).map(str::to_owned);
            if value.is_some() {
                call.needs(since)?;
            }
            Ok(value)
        };
        let fault = gated("fault", 42)?
            .map(|word| {
                Fault::ALL
                    .into_iter()
                    .find(|fault| fault.as_str() == word)
                    .ok_or_else(|| {
                        ApiError::bad(format!(
                            "Unrecognized fault \"{word}\" is specified, allowed faults are [\"power failure\", \"clean \
                             failure\", \"rescue abort failure\", \"service failure\"]"
                        ))
                    })
            })
            .transpose()?;
        let provision_state = gated("provision_state", 9)?
            .map(|word| {
                ProvisionState::parse(&word).ok_or_else(|| {
                    ApiError::bad(format!("Provision state \"{word}\" is not valid"))
                })
            })
            .transpose()?;
        for (key, since) in [
            ("sharded", 82),
            ("include_children", 83),
            ("parent_node", 83),
        ] {
            gated(key, since)?;
        }
        let parent = if call.query.flag("include_children")?.unwrap_or(false) {
            Parent::Any
        } else {
            Parent::None
        };
        Ok(Self {
            associated: call.query.flag("associated")?,
            maintenance: call.query.flag("maintenance")?,
            retired: call.query.flag("retired")?,
            provision_state,
            driver: gated("driver", 16)?,
            resource_class: gated("resource_class", 21)?,
            conductor_group: gated("conductor_group", 46)?.map(|group| group.to_lowercase()),
            conductor: None,
            owner: gated("owner", 50)?,
            lessee: gated("lessee", 65)?,
            instance_name: gated("instance_name", 104)?,
            fault,
            description: gated("description_contains", 1)?,
            project: gated("project", 1)?,
            shards: gated("shard", 82)?.map(|list| list.split(',').map(str::to_owned).collect()),
            sharded: call.query.flag("sharded")?,
            parent,
            chassis: None,
        })
    }

    /// The parts that need the state.
    fn resolve(&mut self, call: &Call, state: &ClusterState) -> Result<(), ApiError> {
        if let Some(host) = call.query.get("conductor") {
            call.needs(49)?;
            let found = state
                .conductors()
                .iter()
                .find(|(_, record)| *record.host == *host);
            self.conductor = Some(found.map(|(id, _)| *id));
        }
        if let Some(ident) = call.query.get("parent_node") {
            self.parent = Parent::Only(find_node(state, call, ident)?.id);
        }
        Ok(())
    }

    fn matches(&self, state: &ClusterState, node: &NodeRecord) -> bool {
        let text = |wanted: &Option<String>, has: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| has == Some(wanted))
        };
        self.associated
            .is_none_or(|wanted| node.instance_uuid.is_some() == wanted)
            && self
                .maintenance
                .is_none_or(|wanted| node.maintenance == wanted)
            && self.retired.is_none_or(|wanted| node.retired == wanted)
            && self
                .provision_state
                .is_none_or(|wanted| node.provision_state == wanted)
            && text(&self.driver, Some(&node.driver))
            && text(&self.resource_class, node.resource_class.as_deref())
            && text(&self.conductor_group, Some(&node.conductor_group))
            && text(&self.owner, node.owner.as_deref())
            && text(&self.lessee, node.lessee.as_deref())
            && text(&self.instance_name, node.instance_name.as_deref())
            && self.fault.is_none_or(|wanted| node.fault == Some(wanted))
            && self.description.as_deref().is_none_or(|part| {
                node.description
                    .as_deref()
                    .is_some_and(|text| text.contains(part))
            })
            && self.project.as_deref().is_none_or(|project| {
                node.owner.as_deref() == Some(project) || node.lessee.as_deref() == Some(project)
            })
            && self.shards.as_ref().is_none_or(|shards| {
                node.shard
                    .as_deref()
                    .is_some_and(|shard| shards.iter().any(|wanted| wanted == shard))
            })
            && self
                .chassis
                .is_none_or(|wanted| node.chassis_uuid == Some(wanted))
            && self
                .sharded
                .is_none_or(|wanted| node.shard.is_some() == wanted)
            && match self.parent {
                Parent::None => node.parent_node.is_none(),
                Parent::Any => true,
                Parent::Only(parent) => node.parent_node == Some(parent),
            }
            && self
                .conductor
                .is_none_or(|wanted| wanted.is_some() && state.owner(node) == wanted)
    }
}

/// One page. `chassis` is the one whose sub-collection it is.
pub(crate) async fn page(
    app: &App,
    call: &Call,
    what: &Selection,
    chassis: Option<Uuid>,
) -> Result<Reply, ApiError> {
    let mut known = KNOWN.to_vec();
    known.extend(PARAMETERS);
    call.query.only(&known)?;
    let page = Page::read(call, app.options.max_limit)?;
    let sort = sort_field(call)?;
    let mut filter = Filter::read(call)?;
    filter.chassis = match call.query.get("chassis_uuid") {
        Some(text) => Some(uuid_of("chassis_uuid", text)?),
        None => chassis,
    };
    let instance = call
        .query
        .get("instance_uuid")
        .map(|text| uuid_of("instance_uuid", text))
        .transpose()?;
    if let Some(marker) = &page.marker {
        uuid_of("marker", marker)?;
    }
    app.fresh(call).await?;
    if let Some(chassis) = filter.chassis {
        let state = app.deps.state.read();
        if state.objects().get(Kind::Chassis, chassis).is_none() {
            return Err(ApiError::not_found(format!(
                "Chassis {chassis} could not be found."
            )));
        }
    }
    filter.resolve(call, &app.deps.state.read())?;
    if let Some(instance) = instance {
        let state = app.deps.state.read();
        let found = state.node_by_instance(instance).cloned();
        let rows: Vec<Shown> = found
            .map(|node| Shown::of(&state, node))
            .into_iter()
            .collect();
        drop(state);
        return Ok(render(call, what, &rows, None));
    }
    let marker = page
        .marker
        .as_deref()
        .map(|marker| app.find(call, marker))
        .transpose()?;
    let rows = match sort {
        None if !page.descending => {
            in_order(app, &filter, marker.map(|node| node.serial), page.limit)
        }
        sort => sorted(app, &filter, sort, &page, marker.as_ref()),
    };
    let next = rows
        .last()
        .and_then(|last| page.next(call, rows.len(), &last.node.id.to_string()));
    Ok(render(call, what, &rows, next.as_deref()))
}

fn uuid_of(key: &str, text: &str) -> Result<Uuid, ApiError> {
    parse_uuid(text).ok_or_else(|| ApiError::bad(format!("Expected UUID for {key}: {text}")))
}

/// The column to sort by; none is creation order.
fn sort_field(call: &Call) -> Result<Option<&'static NodeField>, ApiError> {
    let Some(key) = call.query.get("sort_key").filter(|key| *key != "id") else {
        return Ok(None);
    };
    match NodeField::find(key).filter(|field| field.sortable) {
        None => Err(ApiError::bad(format!(
            "The sort_key value {key} is an invalid field for sorting"
        ))),
        Some(field) if !call.version.has(field.since) => Err(ApiError::not_acceptable()),
        Some(field) => Ok(Some(field)),
    }
}

/// A page in creation order: reads no more than it needs.
fn in_order(app: &App, filter: &Filter, mut after: Option<u64>, limit: usize) -> Vec<Shown> {
    let mut rows = Vec::new();
    loop {
        let state = app.deps.state.read();
        let mut seen = 0;
        for node in state.nodes_after(after).take(SCAN_CHUNK) {
            seen += 1;
            after = Some(node.serial);
            if filter.matches(&state, node) {
                rows.push(Shown::of(&state, Arc::clone(node)));
                if rows.len() == limit {
                    return rows;
                }
            }
        }
        if seen < SCAN_CHUNK {
            return rows;
        }
    }
}

/// A page in another order: everything that matches is read and sorted, ties in creation order.
fn sorted(
    app: &App,
    filter: &Filter,
    sort: Option<&'static NodeField>,
    page: &Page,
    marker: Option<&Arc<NodeRecord>>,
) -> Vec<Shown> {
    let key = |shown: &Shown| {
        let value = sort
            .map(|field| field.sort_value(shown))
            .unwrap_or_default();
        (value, shown.node.serial)
    };
    let mut rows: Vec<_> = in_order(app, filter, None, usize::MAX)
        .into_iter()
        .map(|shown| (key(&shown), shown))
        .collect();
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let marker = marker.map(|node| {
        key(&Shown {
            node: Arc::clone(node),
            conductor: None,
            reservation: None,
        })
    });
    let page_of = |rows: &mut dyn Iterator<Item = ((Vec<u8>, u64), Shown)>| {
        rows.take(page.limit).map(|(_, shown)| shown).collect()
    };
    if page.descending {
        let mut rest = rows
            .into_iter()
            .rev()
            .filter(|(key, _)| marker.as_ref().is_none_or(|marker| key < marker));
        page_of(&mut rest)
    } else {
        let mut rest = rows
            .into_iter()
            .filter(|(key, _)| marker.as_ref().is_none_or(|marker| key > marker));
        page_of(&mut rest)
    }
}

/// Room for one item of a detailed list.
const ITEM_BYTES: usize = 512;

fn render(call: &Call, what: &Selection, rows: &[Shown], next: Option<&str>) -> Reply {
    let look = Look {
        version: call.version,
        base: &call.base,
        masked: true,
    };
    let mut out = Out::with_capacity(rows.len() * ITEM_BYTES + 64);
    out.raw("{\"nodes\":[");
    for (at, shown) in rows.iter().enumerate() {
        if at > 0 {
            out.raw(",");
        }
        what.write(&mut out, shown, &look);
    }
    out.raw("]");
    if let Some(next) = next {
        out.raw(",\"next\":").str(next);
    }
    out.raw("}");
    Reply::json(out.into_bytes())
}
